"""Painting what changed straight to its place on the screen, at the end of the key that changed it.

Textual's compositor asks every widget for all its lines, cuts them at all edges and puts them together again, and it
does so two or three turns of the loop later: 1.2 ms for two lines, 2.5 for a page. A line of a pane that nothing covers
needs none of that. Whatever else is to be painted is Textual's, as before.
"""

from __future__ import annotations

from typing import Any, cast

from rich.console import Console
from textual._compositor import CompositorUpdate
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from crmmail.tui.panels import Painted
from crmmail.tui.scroll import PaintedScroll

PANES = (Painted, PaintedScroll)  # they paint by lines, as wide as themselves, and let nothing shine through


class Lines(CompositorUpdate):
    """Lines and their places: column and row of the screen, counted from 0."""

    def __init__(self, lines: list[tuple[int, int, Strip]]) -> None:
        self.lines = lines

    def render_segments(self, console: Console) -> str:
        """What the terminal is told."""
        return "".join(f"\x1b[{y + 1};{x + 1}H{strip.render(console)}" for x, y, strip in self.lines)


class PaintedScreen(Screen[None]):
    """A screen of panes."""

    def paint_now(self) -> None:
        """Paint what a key changed, unless the panes will first take other places."""
        if self._layout_required or self._scroll_required:
            return
        visible = self._compositor.visible_widgets
        if any(widget._layout_required or widget._scroll_required for widget in visible):
            return
        for widget in visible:
            if widget._repaint_required and isinstance(widget, PANES):
                widget._repaint_required = False
                self._dirty_widgets.add(widget)
        if self._dirty_widgets:
            self._on_timer_update()

    def _compositor_refresh(self) -> None:
        lines = self._lines() if self is self.app.screen and not self.app.is_inline else None
        if lines is None:
            super()._compositor_refresh()
            return
        self._compositor._dirty_regions.clear()
        self._dirty_widgets.clear()
        if lines:
            self.app._display(self, cast(Any, Lines(lines)))  # it takes any update of the compositor

    def _lines(self) -> list[tuple[int, int, Strip]] | None:
        """The lines to be painted; None where something lies over them, or what is to be painted is no pane."""
        wanted: dict[Widget, set[int]] = {}
        for region in self._compositor._dirty_regions:
            pane = self._pane_of(region)
            if pane is None:
                return None
            wanted.setdefault(pane, set()).update(region.line_range)
        found = []
        for pane, rows in wanted.items():
            x, y, width, _height = self._compositor.visible_widgets[pane][0]
            top = min(rows)
            strips = pane.render_lines(Region(0, top - y, width, max(rows) - top + 1))
            found += [(x, row, strips[row - top]) for row in sorted(rows)]
        return found

    def _pane_of(self, dirty: Region) -> Widget | None:
        """The pane that all of a region belongs to; None when there is none, or another widget in front of it."""
        for widget, (region, clip) in self._compositor.visible_widgets.items():  # those in front come first
            if region.overlaps(dirty):
                whole = region.contains_region(dirty) and clip.contains_region(region)
                return widget if whole and isinstance(widget, PANES) else None
        return None

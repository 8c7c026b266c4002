"""A painted, scrolling widget whose length may change at every key without a new layout of the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.segment import Segment
from textual import events
from textual.color import Color
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from crmmail.tui.ink import Ink


class PaintedScroll(ScrollView, can_focus=True):
    """Lines by `render_line`. Its scrollbar is always there (or never), so that nothing moves when it is needed."""

    INK = ""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ink = Ink(self, self.INK)
        self._look = ""
        self._below: Color | None = None
        self.active = False
        self._on_screen = False
        self._stale = False
        self._drawn: dict[int, Strip] = {}  # line of the pane → as it was painted last
        self._drawn_at: tuple[int, Size] = (0, Size(0, 0))

    # A repaint wished by what has no place on the screen (a hidden pane, a scrollbar without width) makes Textual
    # arrange the screen on the side, some milliseconds; the layout that follows finds nothing new and paints nothing.

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """As Textual's; kept for later while this is not on the screen."""
        if regions:
            for y in (y for region in regions for y in region.line_range):
                self._drawn.pop(y, None)
        else:
            self._drawn.clear()
        if repaint and not layout and not recompose and not self._on_screen and self.is_attached:
            self._stale = True
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_show(self) -> None:
        """It has its place: what was to be painted meanwhile is."""
        self._on_screen = True
        if self._stale:
            self._stale = False
            self.refresh()

    def on_hide(self) -> None:
        """Nobody sees it."""
        self._on_screen = False

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a paint: those that were not asked for anew as they are, the others painted.

        Not through Textual's cache of lines: all of them are others after a scroll, an act or another message, and the
        borders and padding it would add to each these have none of. 3 ms less for a page.
        """
        width, look = self.outer_size.width, (self.scroll_offset.y, self.size)
        if look != self._drawn_at:
            self._drawn_at = look
            self._drawn.clear()
        missing = [y for y in crop.line_range if y not in self._drawn]
        if missing:
            self._drawn.update(zip(missing, self.paint_lines(missing), strict=True))
        if crop.height >= self.outer_size.height:
            self._stale = False  # this was the paint kept for later
        strips = [self._drawn[y] for y in crop.line_range]
        if self.size.width != width:  # the last column is the scrollbar's
            base = self.ink()
            strips = [strip.adjust_cell_length(width, base) for strip in strips]
        if crop.column_span != (0, width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def paint_lines(self, lines: Sequence[int]) -> list[Strip]:
        """Lines of the pane, counted from its top, in the colours the terminal can show."""
        strips = [self.render_line(y) for y in lines]
        filters = self.get_line_filters()
        if filters:  # NO_COLOR, colours by number
            for line_filter in filters:
                strips = [strip.apply_filter(line_filter, self.below) for strip in strips]
        return strips

    def activate(self, active: bool) -> None:
        """Whether keys go here. The panes of the main screen do not use Textual's focus, see MailScreen.go_to_pane."""
        if active != self.active:
            self.active = active
            self.activity_changed()

    def activity_changed(self) -> None:
        """Paint what shows where keys go."""

    def set_length(self, count: int) -> None:
        """There are `count` lines now. Setting `virtual_size` alone would lay out the whole screen, 10 ms and more."""
        self.set_reactive(PaintedScroll.virtual_size, Size(self.size.width, count))
        if self.is_attached and self.show_vertical_scrollbar and self.styles.scrollbar_size_vertical:
            self.vertical_scrollbar.window_virtual_size = count
        if self.scroll_offset.y > self.max_scroll_y:
            self.jump(self.max_scroll_y)

    def jump(self, y: int) -> None:
        """Scroll to a line at once."""
        self.scroll_to(y=y, animate=False, immediate=True)

    def reveal(self, index: int) -> bool:
        """Scroll as little as brings a line on screen; whether that was necessary."""
        top, height = self.scroll_offset.y, self.size.height
        if not height or top <= index < top + height:
            return False
        self.jump(index if index < top else index - height + 1)
        return True

    def notify_style_update(self) -> None:
        """Styles were applied again (focus, hover); only with another theme do colours change."""
        super().notify_style_update()
        look = f"{self.app.theme} {self.rich_style}"
        if look != self._look:
            self._look = look
            self.forget_colors()

    @property
    def below(self) -> Color:
        """What the lines are painted on, all that lies behind it mixed in: 30 µs to work out."""
        if self._below is None:
            self._below = self.background_colors[1]
        return self._below

    def forget_colors(self) -> None:
        """Paint everything anew."""
        self._below = None
        self.ink.clear()
        self.refresh()


class BarredScroll(PaintedScroll):
    """Paints its scrollbar into its last column.

    Textual's is a widget of its own: painting it with every page, or beside a message that opens, cost 2 to 3 ms.
    Needs an ink "thumb", and `scrollbar-size-vertical: 0`.
    """

    def thumb(self, top: int, height: int) -> range:
        """The lines of the pane that the thumb covers; none where everything is in view."""
        most = self.max_scroll_y
        if most <= 0:
            return range(0)
        size = max(1, height * height // max(1, self.virtual_size.height))
        at = round(top * (height - size) / most)
        return range(at, at + size)

    def bar(self, thumb: bool) -> Segment:
        """The last cell of a line."""
        return Segment("█", self.ink("thumb")) if thumb else Segment(" ", self.ink())

    def is_bar(self, x: int) -> bool:
        """Whether a column of the widget is the bar's."""
        return x == self.size.width - 1

    def go_to_share(self, share: float) -> None:
        """The thumb was dragged: 0 is the beginning, 1 the end."""
        self.jump(round(share * self.max_scroll_y))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """On the bar: go there, and along while the button is held."""
        if self.is_bar(event.x) and self.max_scroll_y > 0:
            event.stop()
            self.capture_mouse()
            self._drag_to(event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the thumb."""
        if self.app.mouse_captured is self:
            self._drag_to(event.y)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let the thumb go."""
        if self.app.mouse_captured is self:
            event.stop()
            self.release_mouse()

    def _drag_to(self, y: int) -> None:
        self.go_to_share(min(max(y / max(1, self.size.height - 1), 0.0), 1.0))

"""A painted, scrolling widget whose length may change at every key without a new layout of the screen."""

from __future__ import annotations

from typing import Self

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView

from crmmail.tui.ink import Ink


class PaintedScroll(ScrollView, can_focus=True):
    """Lines by `render_line`. Its scrollbar is always there (or never), so that nothing moves when it is needed."""

    INK = ""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ink = Ink(self, self.INK)
        self._look = ""
        self.active = False
        self._on_screen = False
        self._stale = False

    # A repaint wished by what has no place on the screen (a hidden pane, a scrollbar without width) makes Textual
    # arrange the screen on the side, some milliseconds; the layout that follows finds nothing new and paints nothing.

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """As Textual's; kept for later while this is not on the screen."""
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

    def forget_colors(self) -> None:
        """Paint everything anew."""
        self.ink.clear()
        self.refresh()

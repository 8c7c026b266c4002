"""Styles for painted lines, from component classes: `get_component_rich_style` alone forgets transparency."""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.widget import Widget


def ground(widget: Widget) -> Style:
    """The widget's own colours."""
    return Style(color=widget.rich_style.color, bgcolor=widget.rich_style.bgcolor)


def ink(widget: Widget, name: str, below: Style) -> Style:
    """The style of component class `name` painted on `below`: what it does not set shines through."""
    styles = widget.get_component_styles(name)
    back = _color(below, "bgcolor")
    fore = _color(below, "color")
    if styles.has_rule("background"):
        back = _over(back, styles.background)
    if styles.has_rule("color"):
        fore = _over(back, styles.color)
    paint = Style(color=fore.rich_color if fore else None, bgcolor=back.rich_color if back else None)
    return below + paint + (styles.text_style if styles.has_rule("text_style") else Style.null())


def _color(style: Style, side: str) -> Color | None:
    found = getattr(style, side)
    return Color.from_rich_color(found) if found is not None else None


def _over(below: Color | None, above: Color) -> Color:
    """`above` on `below`; a terminal's own colours cannot be mixed and stay as they are."""
    if below is None or above.ansi is not None or below.ansi is not None or above.a == 1:
        return above
    return below + above


class Ink:
    """A widget's painted styles, each made when first asked for. `clear` it when the theme changes."""

    def __init__(self, widget: Widget, prefix: str) -> None:
        self._widget = widget
        self._prefix = prefix
        self._made: dict[tuple[str, str], Style] = {}

    def __call__(self, part: str = "", on: str = "") -> Style:
        """The style of `part` on a line of kind `on`; '' for the plain one of either."""
        style = self._made.get((part, on))
        if style is None:
            below = self("", on) if part else ground(self._widget)
            name = part or on
            style = ink(self._widget, f"{self._prefix}--{name}", below) if name else below
            self._made[part, on] = style
        return style

    def clear(self) -> None:
        """Forget all: colours are others now."""
        self._made.clear()

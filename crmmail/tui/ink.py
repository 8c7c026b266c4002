"""Styles for painted lines, from component classes: `get_component_rich_style` alone forgets transparency."""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.widget import Widget

LEGIBLE = 3.0  # contrast of text with its ground; themes mix badly with each other's idea of an accent
FAINT = frozenset({"thumb", "rule", "bar", "stripe"})  # no text: these are meant to be hardly there


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
    if fore and back and name.rpartition("--")[2] not in FAINT:
        fore = legible(fore, back)
    paint = Style(color=fore.rich_color if fore else None, bgcolor=back.rich_color if back else None)
    return below + paint + (styles.text_style if styles.has_rule("text_style") else Style.null())


def legible(text: Color, ground: Color) -> Color:
    """`text`, moved towards black or white as far as it takes to be read on `ground`."""
    if text.ansi is not None or ground.ansi is not None or contrast(text, ground) >= LEGIBLE:
        return text
    far = max((Color(0, 0, 0), Color(255, 255, 255)), key=lambda end: contrast(end, ground))
    steps = (text.blend(far, share) for share in (0.25, 0.5, 0.75))
    return next((color for color in steps if contrast(color, ground) >= LEGIBLE), far)


def with_text_colors(variables: dict[str, str]) -> dict[str, str]:
    """A theme's variables, its muted text such as can be read, and `$on-primary`, `$on-error`, `$on-success`."""
    grounds = {name: Color.parse(variables[name]) for name in ("primary", "error", "success")}
    wish, panel = Color.parse(variables["foreground"]), Color.parse(variables["panel"])
    if wish.ansi is None:  # else the terminal's own colours, which nobody here knows
        quiet = _over(panel, Color.parse(variables["foreground-muted"]))
        if legible(quiet, panel) != quiet:
            variables = {**variables, "foreground-muted": legible(quiet, panel).css}
    return {**variables, **{f"on-{name}": legible(wish, ground).css for name, ground in grounds.items()}}


def contrast(one: Color, other: Color) -> float:
    """From 1 (the same) to 21 (black and white), as WCAG 2 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in color.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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

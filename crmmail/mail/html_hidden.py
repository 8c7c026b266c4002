"""What a sender hides: elements a browser would not show, by their attributes, their style or the page's style sheet.

Hidden text is how a preview or a CRM note is made to say what the reader never sees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_DECLARATION = re.compile(r"([a-zA-Z-]++)\s*+:\s*+([^;]*+)")
_ZERO = re.compile(r"[+-]?0*\.?0*(?:px|pt|em|rem|ex|%|vh|vw|mm|cm|in|pc)?\Z")
_TINY = re.compile(r"(?:0*\.\d+|0*1(?:\.\d+)?)(?:px|pt)\Z")
_FAR_AWAY = re.compile(r"-\d{3,}(?:\.\d+)?(?:px|pt|em|rem)?\Z")
_HEX = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})\Z")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*(?:[,/]\s*([\d.]+%?)\s*)?\)\Z")
_COLOR_WORD = re.compile(r"#[0-9a-fA-F]{3,8}|rgba?\([^)]{0,60}\)|[a-zA-Z]+")
_RULE = re.compile(r"([^{}]{1,2000})\{([^{}]{0,4000})\}")
_STATEMENT = re.compile(r"@[^;{}]*+;")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SIMPLE_SELECTOR = re.compile(r"(?:[a-z][a-z0-9]{0,20})?([.#][\w-]{1,100})\Z", re.IGNORECASE)
_URL = re.compile(r"url\(\s*[\"']?\s*(?!data:|cid:|#)[^)\s]", re.IGNORECASE)

_NAMED = {"white": "ffffff", "black": "000000", "red": "ff0000", "transparent": "", "none": ""}
SHEET_LIMIT = 200_000
RULES_LIMIT = 2_000


def declarations(style: str) -> dict[str, str]:
    """A style attribute as property → value, in lower case."""
    if not style:
        return {}
    cut = style[:4_000].lower()
    return {name: value.replace("!important", "").strip() for name, value in _DECLARATION.findall(cut)}


def color(value: str) -> str | None:
    """A colour as 'rrggbb', '' for a transparent one, None for one not understood."""
    value = value.strip().lower()
    if value in _NAMED:
        return _NAMED[value]
    if _HEX.match(value):
        digits = value[1:]
        digits = "".join(2 * digit for digit in digits) if len(digits) < 6 else digits
        return "" if digits[6:] == "00" else digits[:6]
    if match := _RGB.match(value):
        if match[4] and match[4].rstrip("%").strip("0.") == "":
            return ""
        return "".join(f"{min(int(part), 255):02x}" for part in match.groups()[:3])
    return None


def is_hiding(style: dict[str, str]) -> bool:
    """Whether these declarations make an element and all in it invisible."""
    if not style:
        return False
    display, visibility = style.get("display", ""), style.get("visibility", "")
    if display == "none" or visibility in ("hidden", "collapse") or style.get("mso-hide") == "all":
        return True
    if _zero(style, "opacity") or _zero(style, "max-height") or _zero(style, "max-width"):
        return True
    if style.get("overflow", "").startswith("hidden") and (_zero(style, "height") or _zero(style, "width")):
        return True
    size = style.get("font-size", "")
    if size and (_ZERO.match(size) or _TINY.match(size)):
        return True
    return _is_moved_away(style)


def _zero(style: dict[str, str], name: str) -> bool:
    value = style.get(name, "")
    return bool(value) and _ZERO.match(value) is not None


def _is_moved_away(style: dict[str, str]) -> bool:
    if _FAR_AWAY.match(style.get("text-indent", "")):
        return True
    if "rect(0" in style.get("clip", "") or style.get("clip-path", "").startswith("inset(100%"):
        return True
    out_of_flow = style.get("position") in ("absolute", "fixed")
    return out_of_flow and any(_FAR_AWAY.match(style.get(side, "")) for side in ("left", "top", "right", "bottom"))


def background(style: dict[str, str], attribute: str) -> str | None:
    """The background an element sets: 'rrggbb', '' for none of its own, None for one that cannot be known."""
    value = style.get("background-color") or style.get("background") or attribute
    if not value:
        return ""
    if "url(" in value or "gradient" in value:
        return None
    known = [found for word in _COLOR_WORD.findall(value) if (found := color(word)) is not None]
    return known[0] if known else None


@dataclass(slots=True)
class Sheet:
    """The rules of a message's style elements that hide something: '.name' and '#name', without media queries."""

    hiding: set[str] = field(default_factory=set)

    def read(self, source: str) -> None:
        """Take the rules of one style element."""
        flat = _without_at_rules(_COMMENT.sub("", source[:SHEET_LIMIT]))
        for count, rule in enumerate(_RULE.finditer(flat)):
            if count >= RULES_LIMIT:
                break
            if is_hiding(declarations(rule[2])):
                selectors = (_SIMPLE_SELECTOR.match(selector.strip()) for selector in rule[1].split(","))
                self.hiding.update(match[1] for match in selectors if match)

    def hides(self, attributes: dict[str, str]) -> bool:
        """Whether a rule hides an element with these attributes."""
        if not self.hiding:
            return False
        if f"#{attributes.get('id', '')}" in self.hiding:
            return True
        return any(f".{name}" in self.hiding for name in attributes.get("class", "")[:1_000].split())


def _without_at_rules(source: str) -> str:
    """`source` without what stands inside @media and the like: those rules are for other screens."""
    if "@" not in source:
        return source
    kept: list[str] = []
    depth, skipping = 0, False
    for piece in re.split(r"([{}])", _STATEMENT.sub("", source)):
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth = max(depth - 1, 0)
        if depth == 0 and piece not in "{}":
            piece, at, _condition = piece.partition("@")
            skipping = bool(at)
        if not skipping:
            kept.append(piece)
        elif depth == 0 and piece == "}":
            skipping = False
    return "".join(kept)


def remote_urls(style: str) -> int:
    """How many things from elsewhere a style asks for."""
    return len(_URL.findall(style[:SHEET_LIMIT])) + style[:SHEET_LIMIT].count("@import") if style else 0

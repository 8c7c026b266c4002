"""The first text gate: whatever came from outside leaves as harmless characters.

Removed or made visible: C0, DEL and C1 controls (a terminal obeys them: CWE-150), bidi marks and overrides, zero-width
and tag characters, variation selectors, fillers that look like nothing, lone surrogates (SQLite refuses them), and the
ninth combining mark on one base. Variation selectors go too: terminals and width tables disagree on them, and a list
row must be as wide as it claims. Everything is linear; plain ASCII costs a few microseconds.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

LINE_LIMIT = 2_000
TEXT_LIMIT = 1_000_000
MARKS_PER_BASE = 8
REPLACEMENT = "\ufffd"

# Code points that have no look of their own, without the two joiners (a body keeps those where they join).
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINERS = "\u200c\u200d"
_CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_BREAKS = "\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"

_SUSPECT_LINE = re.compile(f"[{_UNSEEN}{_JOINERS}]")
_CONTROL = re.compile(f"[{_CONTROLS}\x1f]")
_LINE_SPACE = re.compile(f"[{_BREAKS}\t\x1f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000 ]+")
_ODD_SPACE = re.compile(f"[{_BREAKS}\t\x1f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]|  ")
_UNSEEN_ONE = re.compile(f"[{_UNSEEN}]")
# What nearly all mail is made of: nothing to do when it holds nothing else. One search, 4 µs a kilobyte.
_UNUSUAL = re.compile(
    "[^\n -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2100-\u23ff\u3001-\u3029\u3030-\u3098"
    "\u309b-\u3163\u4e00-\u9fff\uac00-\ud7a3]"
)
_BODY_BREAK = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_MARK_RUN = re.compile(
    "[\u0300-\u2fff\u302a-\u302f\u3099\u309a\ua66f-\uabff\ufb1e\ufe20-\ufe2f\U00010000-\U0010ffff]{9,}"
)


def clean_line(text: str, limit: int = LINE_LIMIT) -> str:
    """`text` as one harmless line of at most `limit` characters, white space collapsed; '…' marks a cut."""
    if len(text) > 4 * limit:
        text = text[: 4 * limit]
    if not (text.isascii() and text.isprintable()):
        text = _CONTROL.sub(REPLACEMENT, _SUSPECT_LINE.sub("", text))
        text = _cap_marks(text)
    if _ODD_SPACE.search(text):
        text = _LINE_SPACE.sub(" ", text)
    text = text.strip(" ")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` as harmless lines: newline is the only control left, tabs become spaces, at most `limit` characters."""
    text = text[:limit].replace("\r\n", "\n")
    if _UNUSUAL.search(text) is None:
        return text
    if not text.isascii():
        text = _UNSEEN_ONE.sub("", text)
        if "\u200c" in text or "\u200d" in text:
            text = _loose_joiner().sub("", text)
        text = _cap_marks(text)
    text = _BODY_BREAK.sub("\n", text)
    if "\t" in text:
        text = text.expandtabs(8)[: 2 * limit]
    return _CONTROL.sub(REPLACEMENT, text).replace("\u00a0", " ")


@cache
def _loose_joiner() -> re.Pattern[str]:
    """A joiner is kept only between two characters beyond Latin: emoji sequences, Persian, Indic scripts.

    Made when first needed: it takes 3 ms.
    """
    return re.compile(
        f"(?<![\u0590-\u1fff\u2190-\uffff\U00010000-\U0010ffff])[{_JOINERS}]"
        f"|[{_JOINERS}](?![\u0590-\u1fff\u2190-\u2fff\u3001-\uffff\U00010000-\U0010ffff])"
    )


def _cap_marks(text: str) -> str:
    """`text` with at most MARKS_PER_BASE combining marks in a row (more draw over the rows around)."""
    return _MARK_RUN.sub(_thin_out, text) if _MARK_RUN.search(text) else text


def _thin_out(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me", "Mc") else 0
        if marks <= MARKS_PER_BASE:
            kept.append(character)
    return "".join(kept)

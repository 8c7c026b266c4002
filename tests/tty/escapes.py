"""Take a terminal's byte stream apart: which escape sequences were written, and what stands inside them (ECMA-48)."""

from __future__ import annotations

import re
from collections import Counter

# CSI, strings (OSC, DCS, SOS, PM, APC, up to their end or the end of output), two-byte escapes, bare controls.
_PATTERN = re.compile(
    rb"\x1b\[(?P<parameters>[0-?]*)(?P<middle>[ -/]*)(?P<final>[@-~])"
    rb"|\x1b(?P<string>[\]PX^_])(?P<payload>.*?)(?:\x07|\x1b\\|\Z)"
    rb"|\x1b(?P<short>[ -/]*[0-~])"
    rb"|(?P<control>[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f])",
    re.DOTALL,
)


def kinds(raw: bytes) -> Counter[str]:
    """How often each kind of sequence occurs. Numbers that only place or colour text are not told apart."""
    found: Counter[str] = Counter()
    for match in _PATTERN.finditer(raw):
        if match["string"]:
            found[f"string {match['string'].decode()}{match['payload'][:4].split(b';')[0].decode('latin-1')}"] += 1
        elif match["final"]:
            private = match["parameters"][:1].decode() if match["parameters"][:1] in (b"?", b">", b"<", b"=") else ""
            number = match["parameters"].decode() if private or match["final"] in b"npct" else ""
            found[f"csi {number}{match['middle'].decode()}{match['final'].decode()}"] += 1
        elif match["short"]:
            found[f"esc {match['short'].decode()}"] += 1
        else:
            found[f"control {match['control'][0]:02x}"] += 1
    for code in set(raw.decode("utf-8", "replace")):
        if 0x80 <= ord(code) <= 0x9F:
            found[f"c1 {ord(code):02x}"] += 1
    return found


def inside(raw: bytes) -> bytes:
    """All that was written within escape sequences, for finding foreign text there."""
    return b"\n".join(match.group() for match in _PATTERN.finditer(raw))

"""The wire form of outgoing mail: header fields and bodies that every server and client reads alike.

Own code instead of `email.generator`, which folds a long Message-ID into an encoded word (so that Outlook loses the
thread), lets NUL through in a subject, and turns an encoded line break into a header on some versions (CVE-2024-6923).
Everything here is 7-bit, lines end in CRLF and are at most 78 characters long unless one word or id is longer; what
could end a line is removed before anything else happens. The bytes are the same under every Python.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from crmmail.model import Address

CRLF = b"\r\n"
LINE = 76  # RFC 2047 §2: a line with an encoded word; RFC 2045 §6.7, §6.8: a line of a body
_WORD = 52  # characters of content in an encoded word: with its frame and 'Reply-To: ' in front still one line

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TEXT_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TEXT_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_UNESCAPED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_PARAMETER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_QUOTED_PRINTABLE = {octet: f"={octet:02X}" for octet in (*range(9), *range(10, 32), 61, *range(127, 256))}
_SEVEN_BIT = bytes(range(127))
_ODD_LINE = re.compile(r"[^\n]{79}|[\t ]\n|^From |^\.", re.MULTILINE)


def one_line(text: str) -> str:
    """`text` fit for a header: line breaks and tabs become one space, other controls and lone surrogates go."""
    return _CONTROLS.sub("", _BREAKS.sub(" ", text)).strip()


def lines(text: str) -> str:
    """`text` fit for a body: newlines and tabs are its only controls, and it ends with a newline."""
    text = _TEXT_CONTROLS.sub("", _TEXT_BREAKS.sub("\n", text))
    return text if text.endswith("\n") else text + "\n"


def text_field(name: str, text: str) -> bytes:
    """An unstructured field (RFC 5322 §2.2.1); encoded words (RFC 2047) where it is not plain ASCII."""
    text = one_line(text)
    pieces = re.findall(" *[^ ]+", text)
    if not text.isascii() or "=?" in text or any(len(piece) > LINE - 10 for piece in pieces):
        return _packed(name, _encoded_words(text))
    rows = [f"{name}:"]
    for piece in [f" {pieces[0]}", *pieces[1:]] if pieces else []:
        if len(rows[-1]) + len(piece) > 78:
            rows.append(piece)
        else:
            rows[-1] += piece
    return "\r\n".join(rows).encode("ascii") + CRLF


def people_field(name: str, people: Iterable[Address]) -> bytes:
    """A field of addresses (RFC 5322 §3.4), each of which must be a valid ASCII addr-spec."""
    words: list[str] = []
    for person in people:
        phrase = _phrase(one_line(person.name))
        words += [*phrase, f"<{person.email}>," if phrase else f"{person.email},"]
    if words:
        words[-1] = words[-1].removesuffix(",")
    return _packed(name, words)


def ids_field(name: str, ids: Iterable[str]) -> bytes:
    """A field of message ids, one in a line, never encoded: servers compare them letter by letter."""
    return f"{name}: {f'{chr(13)}{chr(10)} '.join(ids)}\r\n".encode("ascii")


def _packed(name: str, words: Iterable[str]) -> bytes:
    """`words` joined by spaces in as few lines as hold them."""
    rows = [f"{name}:"]
    for word in words:
        if len(rows[-1]) + 1 + len(word) > LINE and rows[-1] != f"{name}:":
            rows.append("")
        rows[-1] += f" {word}"
    return "\r\n".join(rows).encode("ascii") + CRLF


def _phrase(name: str) -> list[str]:
    """A display name as words: atoms, a quoted string, or encoded words."""
    if not name:
        return []
    if not name.isascii() or "=?" in name or len(name) > _WORD:
        return _encoded_words(name)
    if _ATOMS.match(name):
        return name.split(" ")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _encoded_words(text: str) -> list[str]:
    """`text` as RFC 2047 words in the shorter of the two encodings; no character is cut in two."""
    octets = text.encode()
    escaped = sum(1 if octet in _UNESCAPED or octet == 32 else 3 for octet in octets)
    if escaped <= len(octets) * 4 // 3 + 2:
        return [f"=?utf-8?q?{piece}?=" for piece in _filled(map(_q_encoded, text), _WORD)]
    pieces = _filled((character.encode().decode("latin-1") for character in text), _WORD * 3 // 4)
    return [f"=?utf-8?b?{base64.b64encode(piece.encode('latin-1')).decode()}?=" for piece in pieces]


def _q_encoded(character: str) -> str:
    octets = character.encode()
    if character == " ":
        return "_"
    return "".join(chr(octet) if octet in _UNESCAPED else f"={octet:02X}" for octet in octets)


def _filled(units: Iterable[str], room: int) -> Iterator[str]:
    """`units` joined into strings of at most `room`."""
    piece: list[str] = []
    used = 0
    for unit in units:
        if used + len(unit) > room:
            yield "".join(piece)
            piece, used = [], 0
        piece.append(unit)
        used += len(unit)
    if piece:
        yield "".join(piece)


def file_name(name: str) -> str:
    """`name` as the filename parameter of a Content-Disposition, on lines of its own; RFC 2231 where it must be."""
    if name.isascii() and name.isprintable() and len(name) <= 60 and not re.search(r'["\\]|=\?', name):
        return f'\r\n filename="{name}"'
    units = ["".join(chr(octet) if octet in _PARAMETER else f"%{octet:02X}" for octet in c.encode()) for c in name]
    pieces = list(_filled(units, 50))
    if len(pieces) == 1:
        return f"\r\n filename*=utf-8''{pieces[0]}"
    rows = [f" filename*{n}*={piece}" for n, piece in enumerate([f"utf-8''{pieces[0]}", *pieces[1:]])]
    return "\r\n" + ";\r\n".join(rows)


def text_body(text: str) -> tuple[str, bytes]:
    """(transfer encoding, encoded body) of `text`: as it is where it is plain, else the fitter of the two others.

    Not format=flowed: it would take away the spaces at the ends of lines. Every reader wraps long lines itself.
    """
    text = lines(text)
    if text.isascii() and not _ODD_LINE.search(text):
        return "7bit", text.replace("\n", "\r\n").encode("ascii")
    octets = text.encode()
    unusual = sum(octet > 126 for octet in octets)
    if unusual > len(octets) // 3:  # Latin scripts stay readable in the source; other scripts are shorter so
        return "base64", base64_body(text.replace("\n", "\r\n").encode())
    return "quoted-printable", _quoted_printable(octets)


def text_size(text: str) -> int:
    """About how long the body of `text_body` is, at a hundredth of its cost."""
    octets = text.encode("utf-8", "replace")
    unusual = len(octets.translate(None, _SEVEN_BIT))
    breaks = octets.count(b"\n") + 1
    if not unusual and not _ODD_LINE.search(text):
        return len(octets) + breaks
    if unusual > len(octets) // 3:
        return base64_size(len(octets) + breaks)
    escaped = len(octets) + 2 * (unusual + octets.count(b"=")) + breaks
    return escaped + 3 * max(escaped // LINE - breaks, 0)


def base64_body(content: bytes) -> bytes:
    """`content` in base64 lines."""
    return base64.encodebytes(content).replace(b"\n", CRLF)


def base64_size(count: int) -> int:
    """How long `base64_body` of `count` bytes is."""
    return (count + 2) // 3 * 4 + 2 * ((count + 56) // 57)


def _quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 §6.7. No line begins with 'From ' or '.', none ends in a space: relays change those."""
    rows: list[str] = []
    for line in octets.decode("latin-1").removesuffix("\n").split("\n"):
        escaped = line.translate(_QUOTED_PRINTABLE)
        if escaped.endswith((" ", "\t")):
            escaped = f"{escaped[:-1]}={ord(escaped[-1]):02X}"
        rows.extend(_soft_lines(escaped))
    return "\r\n".join(rows).encode("ascii") + CRLF


def _soft_lines(escaped: str) -> Iterator[str]:
    position = 0
    while True:
        start = ""
        if escaped.startswith((".", "From "), position):
            start = f"={ord(escaped[position]):02X}"
            position += 1
        room = LINE - len(start)
        if len(escaped) - position <= room:
            yield start + escaped[position:]
            return
        end = position + room - 1
        end -= 1 if escaped[end - 1] == "=" else 2 if escaped[end - 2] == "=" else 0
        yield f"{start}{escaped[position:end]}="
        position = end

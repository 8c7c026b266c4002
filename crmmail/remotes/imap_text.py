"""IMAP's answers ↔ our nouns. Pure. RFC 9051; Gmail's extensions as in Google's "IMAP extensions" page."""

from __future__ import annotations

import base64
import calendar
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from crmmail.mail.text import clean_line
from crmmail.model import Role, State

Piece = bytes | tuple[bytes, bytes]

HEADER_ITEM = (
    "BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER REPLY-TO TO CC BCC SUBJECT MESSAGE-ID IN-REPLY-TO REFERENCES LIST-ID "
    "LIST-UNSUBSCRIBE PRECEDENCE AUTO-SUBMITTED CONTENT-TYPE X-CRMMAIL-ID)]"
)
SEEN, FLAGGED, ANSWERED, DELETED, DRAFT = rb"\Seen", rb"\Flagged", rb"\Answered", rb"\Deleted", rb"\Draft"
_LETTERS = {DELETED.lower(): "D", SEEN.lower(): "S", FLAGGED.lower(): "F", ANSWERED.lower(): "A"}
_LABELS = {b"\\inbox": "inbox", b"\\sent": "sent", b"\\draft": "drafts", b"\\drafts": "drafts"}
_UNSEEN_LABELS = (b"\\important", b"\\starred", b"\\muted", b"\\trash", b"\\spam", b"\\junk", b"\\all", b"\\allmail")
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}

_UID = re.compile(rb"[( ]UID (\d{1,10})")
_FLAGS = re.compile(rb"[( ]FLAGS \(([^)]*)\)")
_DATE = re.compile(rb'INTERNALDATE "([^"]{20,40})"')
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")
_MODSEQ = re.compile(rb"MODSEQ \((\d{1,20})\)")
_QUOTED_BODY = re.compile(rb'BODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"')
_DATE_PARTS = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MESSAGE_ID = re.compile(rb"(?im)^message-id:[ \t]*((?:[^\r\n]|\r?\n[ \t])*)")

_TOKEN = re.compile(rb"(?im)^x-crmmail-id:[ \t]*([^\r\n]*)")


@dataclass(frozen=True, slots=True)
class Told:
    """What one FETCH answer says of a message; None and -1: nothing."""

    uid: int
    marks: str | None = None
    moment: int = -1  # seconds since the epoch
    size: int = -1
    body: bytes | None = None  # the one section that was asked for
    modseq: int = 0
    gmail_id: int = 0
    gmail_thread: int = 0
    keywords: str = ""  # how far its sending got: $SubmitPending or $Submitted (RFC 5550), the later one


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder of LIST, with its STATUS where that came along. `name` as on the wire (modified UTF-7)."""

    name: str
    delimiter: str
    flags: frozenset[str]
    status: dict[str, int] = field(default_factory=dict)


def answers(data: Iterable[Piece | None]) -> Iterator[list[Piece]]:
    """imaplib's flat list as one list of pieces for each answer: those with literals are told in several pieces."""
    held: list[Piece] = []
    for piece in data:
        if piece is None:
            continue
        held.append(piece)
        if isinstance(piece, bytes):
            yield held
            held = []
    if held:
        raise ValueError("an answer without its end")


def fetched(data: Iterable[Piece | None]) -> dict[int, Told]:
    """The messages a FETCH answer tells of, by UID; of several answers for one message each adds what it says."""
    found: dict[int, Told] = {}
    for pieces in answers(data):
        text = b"".join(piece if isinstance(piece, bytes) else piece[0] for piece in pieces)
        told = _gmail(pieces) if b"X-GM-" in text else _plain(text, pieces)
        if told is None:
            continue  # unasked, without a UID
        known = found.get(told.uid)
        found[told.uid] = told if known is None else _merged(known, told)
    return found


def _merged(old: Told, new: Told) -> Told:
    return Told(
        old.uid,
        new.marks if new.marks is not None else old.marks,
        max(new.moment, old.moment),
        max(new.size, old.size),
        new.body if new.body is not None else old.body,
        max(new.modseq, old.modseq),
        new.gmail_id or old.gmail_id,
        new.gmail_thread or old.gmail_thread,
        new.keywords or old.keywords,
    )


def _plain(text: bytes, pieces: Sequence[Piece]) -> Told | None:
    uid = _UID.search(text)
    if uid is None:
        return None
    flags, date, size, modseq = (pattern.search(text) for pattern in (_FLAGS, _DATE, _SIZE, _MODSEQ))
    body = next((piece[1] for piece in pieces if isinstance(piece, tuple)), None)
    if body is None and (quoted := _QUOTED_BODY.search(text)):
        body = re.sub(rb"\\(.)", rb"\1", quoted[1])
    return Told(
        int(uid[1]),
        marks(flags[1].split()) if flags else None,
        moment(date[1]) if date else -1,
        int(size[1]) if size else -1,
        body,
        int(modseq[1]) if modseq else 0,
        keywords=_keywords(flags[1].split()) if flags else "",
    )


def _gmail(pieces: Sequence[Piece]) -> Told | None:
    """Labels may hold anything, so these answers are really parsed."""
    from imapclient.response_parser import parse_response

    parsed = parse_response(list(pieces))
    values = parsed[-1]
    pairs = {bytes(values[at]).upper(): values[at + 1] for at in range(0, len(values) - 1, 2)}
    if not isinstance(pairs.get(b"UID"), int):
        return None
    flags, labels = pairs.get(b"FLAGS"), pairs.get(b"X-GM-LABELS")
    date = pairs.get(b"INTERNALDATE")
    return Told(
        pairs[b"UID"],
        marks(map(_atom, flags or ()), map(_atom, labels or ())) if flags is not None and labels is not None else None,
        moment(date) if isinstance(date, bytes) else -1,
        pairs[b"RFC822.SIZE"] if isinstance(pairs.get(b"RFC822.SIZE"), int) else -1,
        next((value for key, value in pairs.items() if key.startswith(b"BODY[") and isinstance(value, bytes)), None),
        gmail_id=int(pairs.get(b"X-GM-MSGID") or 0),
        gmail_thread=int(pairs.get(b"X-GM-THRID") or 0),
        keywords=_keywords(map(_atom, flags or ())),
    )


def _keywords(flags: Iterable[bytes]) -> str:
    told = {flag.lower() for flag in flags}
    return "$Submitted" if b"$submitted" in told else "$SubmitPending" if b"$submitpending" in told else ""


def _atom(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def marks(flags: Iterable[bytes], labels: Iterable[bytes] | None = None) -> str:
    """Flags as letters (D deleted, S seen, F flagged, A answered, in this order); after a space the labels as JSON."""
    held = {letter for flag in flags if (letter := _LETTERS.get(flag.lower()))}
    letters = "".join(letter for letter in "DSFA" if letter in held)
    if labels is None:
        return letters
    told = list(labels)
    if "F" not in letters and any(label.lower() == b"\\starred" for label in told):
        letters += "F"
    kept = sorted({label.decode("utf-8", "replace") for label in told if label.lower() not in _UNSEEN_LABELS})
    return f"{letters} {json.dumps(kept)}"


def is_deleted(told: str) -> bool:
    """Whether a message is only waiting to be expunged."""
    return told.startswith("D")


def state(told: str, folder: str, labels: bool = False) -> State:
    """The State of a message with these marks in the folder with this key."""
    letters, _space, rest = told.partition(" ")
    keys = {folder}
    if labels:
        keys = {folder} if folder in ("trash", "spam") else set()
        keys |= {_LABELS.get(one.lower().encode(), f"x:{one}") for one in json.loads(rest or "[]")}
        keys -= {"inbox"} if folder in ("trash", "spam") else set()
    return State(frozenset(keys), unread="S" not in letters, starred="F" in letters)


def moment(text: bytes) -> int:
    """An INTERNALDATE in seconds since the epoch, -1 for none."""
    found = _DATE_PARTS.fullmatch(text)
    month = _MONTHS.get(found[2].decode().title()) if found else None
    if found is None or month is None:
        return -1
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    offset = (int(found[8]) * 60 + int(found[9])) * 60 * (1 if found[7] == b"+" else -1)
    try:
        return calendar.timegm((year, month, day, hour, minute, second)) - offset
    except (ValueError, OverflowError):
        return -1


def identity(told: Told) -> str:
    """What a message is, wherever it lies: its Message-ID (else its header), time of receipt and size.

    RFC 9051 §6.4.7 lets a copy keep its flags and its time; that servers do so was seen with Dovecot. One that does
    not makes a moved message a new one.
    """
    if told.gmail_id:
        return format(told.gmail_id, "x")
    header = told.body or b""
    found = _MESSAGE_ID.search(header)
    own = b"".join(found[1].split()) if found else b""
    token = _TOKEN.search(header)  # our own drafts: the token names one content
    own += token[1].strip() if token else b""
    parts = (own or header, str(told.moment).encode(), str(told.size).encode())
    return "m" + base64.b32encode(hashlib.sha256(b"\0".join(parts)).digest()[:15]).decode().lower()


def copy_of(identifier: str, folder: str, validity: int, uid: int) -> str:
    """The id of a further copy of a message."""
    place = f"{folder}\0{validity}\0{uid}".encode()
    return f"{identifier}~{hashlib.sha256(place).hexdigest()[:12]}"


def has_files(header: bytes) -> bool:
    """Whether a message probably has attachments, until its body tells."""
    return re.search(rb"(?im)^content-type:[ \t\r\n]*multipart/mixed", header) is not None


# Sets of UIDs


def uid_set(uids: Iterable[int]) -> str:
    """UIDs as IMAP writes sets: 1:3,7."""
    ranges: list[list[int]] = []
    for uid in sorted(set(uids)):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def uid_list(text: bytes, most: int = 5_000_000) -> list[int]:
    """The UIDs of a set, in its order. ValueError for one that is none or names more than `most`."""
    found: list[int] = []
    for part in text.split(b","):
        first, _colon, last = part.partition(b":")
        low, high = int(first), int(last or first)
        if abs(high - low) >= most - len(found):
            raise ValueError("too many")
        found += range(low, high + 1) if low <= high else range(low, high - 1, -1)
    return found


# Folders


def listed(data: Iterable[Piece | None]) -> Iterator[Listed]:
    """The folders of a LIST answer. Names that cannot be said on the wire again are left out."""
    from imapclient.response_parser import parse_response

    for pieces in answers(data):
        if pieces == [b""]:
            continue
        flags, delimiter, name, *_more = parse_response(list(pieces))
        wire = _wire_name(name)
        if wire is not None:
            told = frozenset(_atom(flag).decode("ascii", "replace").lower() for flag in flags or ())
            yield Listed(wire, _atom(delimiter).decode("ascii", "replace") if delimiter else "", told)


def statuses(data: Iterable[Piece | None]) -> dict[str, dict[str, int]]:
    """Folder → what STATUS said of it."""
    from imapclient.response_parser import parse_response

    found: dict[str, dict[str, int]] = {}
    for pieces in answers(data):
        name, values = parse_response(list(pieces))[:2]
        wire = _wire_name(name)
        if wire is not None and isinstance(values, tuple):
            pairs = zip(values[::2], values[1::2], strict=False)
            numbers = {_atom(key).decode("ascii", "replace").upper(): value for key, value in pairs}
            found[wire] = {key: value for key, value in numbers.items() if isinstance(value, int)}
    return found


def _wire_name(name: object) -> str | None:
    raw = b"NIL" if name is None else _atom(name)
    return raw.decode("ascii") if raw and all(0x20 <= byte < 0x7F for byte in raw) else None


def shown(name: str, delimiter: str) -> str:
    """The last part of a folder's name as people read it; what is no modified UTF-7 is shown as it came."""
    from imapclient.imap_utf7 import decode

    last = name.rsplit(delimiter, 1)[-1] if delimiter else name
    try:
        text = decode(last.encode())
    except (ValueError, UnicodeError):
        text = last
    return clean_line(text, 200) or clean_line(last, 200)


def parent(name: str, delimiter: str) -> str:
    """The wire name of the folder a folder lies in, '' for none."""
    return name.rsplit(delimiter, 1)[0] if delimiter and delimiter in name else ""


def quoted(name: str) -> str:
    """A folder's wire name as an argument."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_view(role: Role) -> bool:
    """Whether a folder shows what others hold."""
    return role in (Role.ALL, Role.FAVORITES)

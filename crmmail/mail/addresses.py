"""Addresses, read from the header as it was sent.

Only names and comments are decoded; an addr-spec is taken raw or not at all, so that no encoded word, control character
or second angle bracket can put another address in its place (Mailsploit, CVE-2023-27043). What is not plainly one valid
address has `email` '' and is shown as invalid. One pass over the tokens, linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from crmmail.mail.charsets import decode as decode_charset
from crmmail.mail.headers import Fields, decode_words, unfold
from crmmail.mail.text import clean_line
from crmmail.model import Address

ADDRESSES_LIMIT = 500
NAME_LIMIT = 300

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[(),:;]|<[^<>]*+>?|[^\s"(),:;<]++|\s++|"', re.DOTALL)
_PLAIN_TOKEN = re.compile(r"[(),:;]|<[^<>]*+>?|[^\s(),:;<]++|\s++")
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u00a1-\U0010ffff-]{1,128}\Z")
_QUOTED_LOCAL = re.compile(r'"[A-Za-z0-9.!#$%&\'*+/=?^_`{|}~-]{1,128}"\Z')
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_LITERAL = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]\Z", re.IGNORECASE)
_OBSOLETE_SPACE = re.compile(r"\s*+([@.])\s*+")
_ANY_ADDRESS = re.compile(r"[^\s@<>()\"',;:]{1,128}@[^\s@<>()\"',;:]{1,255}")


@dataclass(slots=True)
class _Entry:
    """One mailbox while it is read."""

    words: list[str] = field(default_factory=list)
    spaced: bool = False  # white space since the last word
    split: bool = False  # the words do not touch: no addr-spec, but a phrase
    angles: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    broken: bool = False

    def add(self, word: str) -> None:
        """Another word, in front of an angle address or after it."""
        self.split |= self.spaced and bool(self.words)
        self.broken |= bool(self.angles) and not word.startswith('"')
        self.words.append((" " if self.spaced and self.words else "") + word)
        self.spaced = False


def parse(value: bytes, limit: int = ADDRESSES_LIMIT) -> tuple[Address, ...]:
    """The mailboxes of an address field, groups opened, at most `limit`."""
    text = _undecoded(value)
    addresses: list[Address] = []
    for entry in _entries(text):
        address = _address(entry)
        if addresses and _is_half_a_name(addresses[-1]) and entry.angles and address.name:
            address = Address(f"{addresses.pop().name}, {address.name}", address.email)
        addresses.append(address)
        if len(addresses) > limit:
            break
    return tuple(addresses[:limit])


def _is_half_a_name(address: Address) -> bool:
    """'Silva' of an unquoted 'Silva, Jose <jose@...>'."""
    return not address.email and bool(address.name) and "@" not in address.name


def sender(fields: Fields) -> tuple[Address, tuple[str, ...]]:
    """(who a message says it is from, warnings).

    Warnings: `invalid_sender` no valid address; `multiple_from` two From fields or two addresses in it (the first is
    shown); `name_contains_other_address` the display name holds an address that is not the sender's.
    """
    values = [value for value in fields.values.get("from", []) if value.strip()]
    flags: list[str] = []
    if not values:
        return parse_one(fields.first("sender")), ("invalid_sender",)
    addresses = parse(values[0])
    first = addresses[0] if addresses else Address("", "")
    if len(values) > 1 or len(addresses) > 1:
        flags.append("multiple_from")
    if not first.email:
        flags.append("invalid_sender")
    if _names_another(first):
        flags.append("name_contains_other_address")
    return first, tuple(flags)


def parse_one(value: bytes) -> Address:
    """The first mailbox of a field."""
    found = parse(value, 1)
    return found[0] if found else Address("", "")


def _names_another(address: Address) -> bool:
    named = _ANY_ADDRESS.findall(address.name)
    return any(other.lower().strip(".") != address.email.lower() for other in named)


def _undecoded(value: bytes) -> str:
    """Header bytes as text with encoded words left as they are; NUL and other controls stay, to be refused later."""
    return decode_charset(unfold(value))


def _tokens(text: str) -> Iterator[str]:
    """The tokens of an address field. From a quote on that is never closed, quotes count as letters."""
    for token in _TOKEN.finditer(text):
        if token[0] != '"':
            yield token[0]
            continue
        for plain in _PLAIN_TOKEN.finditer(text, token.start()):
            yield plain[0]
        return


def _entries(text: str) -> Iterator[_Entry]:
    """The mailboxes of `text`, as their tokens."""
    entry = _Entry()
    tokens = _tokens(text)
    in_group = False
    for word in tokens:
        if word == "," or (word == ";" and (in_group or entry.words or entry.angles)):
            in_group = in_group and word == ","
            if entry.words or entry.angles or entry.comments:
                yield entry
            entry = _Entry()
        elif word == ":" and not entry.angles and not in_group and not _is_mailto(entry):
            in_group, entry = True, _Entry()
        else:
            _take(entry, word, tokens)
    if entry.words or entry.angles:
        yield entry


def _is_mailto(entry: _Entry) -> bool:
    """Whether what stands before a ':' is no group's name but 'mailto:'."""
    return len(entry.words) == 1 and entry.words[0].lower() == "mailto"


def _take(entry: _Entry, word: str, tokens: Iterator[str]) -> None:
    if word.isspace():
        entry.spaced = True
    elif word == "(":
        entry.comments.append(_comment(tokens))
        entry.spaced = True
    elif word[0] == "<":
        entry.angles.append(word[1:].removesuffix(">"))
        entry.spaced = True
    elif word == ":" and _is_mailto(entry):
        entry.words.clear()
    else:
        entry.add(word)


def _comment(tokens: Iterator[str]) -> str:
    """What stands up to the bracket that closes the one just read, nested ones included."""
    depth, pieces = 1, []
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if not depth:
            break
        pieces.append(token)
    return "".join(pieces)


def _address(entry: _Entry) -> Address:
    words = "".join(entry.words)
    if entry.angles:
        specs = [spec for spec in entry.angles if spec.strip()]
        name = _name(words) or _name(" ".join(entry.comments))
        email = (
            addr_spec(_OBSOLETE_SPACE.sub(r"\1", specs[0]).strip("'")) if len(specs) == 1 and not entry.broken else ""
        )
        return Address(name or ("" if email else clean_line(" ".join(entry.angles), NAME_LIMIT)), email)
    email = "" if entry.split or entry.broken else addr_spec(words)
    if email:
        return Address(_name(" ".join(entry.comments)), email)
    name = _name(" ".join((words, *entry.comments)))
    # No address but something that wants to look like one: shown as it was sent, nothing decoded.
    return Address(clean_line(words, NAME_LIMIT) if "@" in name else name, "")


def _name(phrase: str) -> str:
    """A phrase or comment as it is shown: quotes taken off, encoded words decoded, clean."""
    phrase = phrase.strip()
    if '"' in phrase:
        phrase = _QUOTED.sub(_unquoted, phrase)
    if "=?" in phrase:
        phrase = decode_words(phrase.encode("utf-8", "replace"))
        if phrase.startswith('"') and phrase.endswith('"') and len(phrase) > 1:
            phrase = phrase[1:-1]
    return clean_line(phrase, NAME_LIMIT)


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _unquoted(match: re.Match[str]) -> str:
    return _ESCAPED.sub(r"\1", match[1])


def addr_spec(text: str) -> str:
    """`text` as one valid address (domain in lower case ASCII), '' when it is not plainly that."""
    text = text.strip(" \t")
    if text.startswith("@") and ":" in text:
        text = text.rpartition(":")[2].strip()  # obsolete source route, RFC 5322 §4.4
    text = text[7:] if text[:7].lower() == "mailto:" else text
    local, at, domain = text.rpartition("@")
    if not at or "=?" in local or len(text) > 400:
        return ""
    if local.startswith('"'):
        if not _QUOTED_LOCAL.match(local):
            return ""
        bare = local[1:-1]
        local = bare if ".." not in bare and not bare.startswith(".") and not bare.endswith(".") else local
    elif not _LOCAL.match(local) or not (local.isascii() or local.isprintable()):
        return ""
    domain = domain_name(domain)
    return f"{local}@{domain}" if domain else ""


def domain_name(text: str) -> str:
    """`text` as a domain in lower-case ASCII (IDN as punycode) or an address literal; '' when it is neither."""
    if _LITERAL.match(text):
        return text
    name = text.lower().removesuffix(".")
    if not name.isascii():
        name = _to_ascii(name)
    if not name or len(name) > 253 or not all(_LABEL.match(label) for label in name.split(".")):
        return ""
    return name


def _to_ascii(name: str) -> str:
    """IDNA 2008 with UTS 46 mapping: what a browser or mail server would look up ('straße' is not 'strasse')."""
    if len(name) > 253 or any(len(label) > 63 for label in name.split(".")):
        return ""
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return ""

"""How an answer begins: its recipients, subject, threading headers, identity and text. Pure rules, no clock, no store.

RFC 5322 §3.6.2–3.6.5 decides the headers; where it is silent, what users of several clients asked for: our own
addresses (aliases and plus tags too) never receive our own reply, prefixes never stack, References stay short.

The composer calls `begin`, which gives a whole Draft; the other functions are its single rules.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from crmmail.i18n import _
from crmmail.mail import addresses, headers, quote
from crmmail.model import Address, Draft, Headers, Identity, Message

KEPT_REFERENCES = 20  # the first one and the latest: enough to thread, short enough for every server's line limit
RECIPIENTS_LIMIT = 500  # what Gmail and Exchange Online take in one message; a reply to all never proposes more

_PREFIX = re.compile(
    r"\s*(?:(?:re|res|resp|ref|aw|antw|sv|vs|rv|odp|ynt|fw|fwd|enc|encaminhad[ao]|wg|tr|rif|vl|doorst|pd|ilt|i̇lt"
    r"|回复|回覆|答复|答覆|转发|轉寄|轉發)"
    r"(?:\[\d+\]|\(\d+\)|\*\d+)?\s*[:：])\s*",
    re.IGNORECASE,
)
# Only for telling which subjects belong together: one letter could as well be what somebody wrote.
_SHORT_PREFIX = re.compile(r"\s*(?:[ri]|en)\s*:\s*", re.IGNORECASE)
_TAG = re.compile(r"\s*(?:\[[^\[\]]{1,40}\]|\*{2,}[^*]{1,40}\*{2,})\s*")
_DELIVERY = ("delivered-to", "x-original-to", "x-delivered-to", "envelope-to")
_DOTLESS = ("gmail.com", "googlemail.com")


class Kind(enum.StrEnum):
    """What is being written: the values of `Draft.kind`."""

    NEW = "new"
    REPLY = "reply"
    REPLY_ALL = "reply_all"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a message goes to, each address once."""

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    """What the headers of the answered message say beyond `model.Headers`; read from its bytes by `hints`."""

    delivered_to: tuple[str, ...] = ()
    followup_to: tuple[Address, ...] = ()  # Mail-Followup-To: where a list's members want answers to all


def hints(raw: bytes) -> Hints:
    """The Hints in the message `raw`."""
    fields = headers.split(raw)
    delivered = (addresses.parse_one(value).email for name in _DELIVERY for value in fields.values.get(name, ())[:10])
    return Hints(
        tuple(dict.fromkeys(filter(None, delivered))),
        addresses.parse(fields.first("mail-followup-to"), RECIPIENTS_LIMIT),
    )


def begin(
    kind: Kind,
    parent: Message,
    identities: Sequence[Identity],
    *,
    hints: Hints = Hints(),
    own: Iterable[str] = (),
    selection: str = "",
    zone: tzinfo | None = None,
    remote_thread: str = "",
    account: str = "",
    below: bool = False,
) -> Draft:
    """The draft of a reply to `parent`, or of a forward of it, its cursor where the writing starts.

    `identities` of all mailboxes; `own` further addresses that are ours. `selection` is quoted instead of the whole
    body. `zone` for the date in the quote line (None: the computer's). `below`: to be written below the quotation. A
    forward's files are no part of it: `compose.carried` and `compose.carried_whole` give what the store shall enclose.
    """
    chosen = identity(parent.headers, identities, parent.row.mailbox, hints.delivered_to)
    ours = [known.address.email for known in identities] + list(own)
    whom = recipients(kind, parent.headers, ours, hints)
    shown = selection or (parent.body.text if parent.body else "")
    make = quote.forwarded if kind is Kind.FORWARD else quote.answered
    text = make(parent.headers, shown, zone=zone)
    signature = chosen.signature if chosen else ""
    if below and text and kind is not Kind.FORWARD:
        text, cursor = quote.below(text, signature)
    else:
        text, cursor = quote.signed(text, signature), 0
    return Draft(
        id=0,
        mailbox=chosen.mailbox if chosen else parent.row.mailbox,
        sender=chosen.address.email if chosen else "",
        to=whom.to,
        cc=whom.cc,
        subject=subject(kind, parent.headers.subject),
        text=text,
        cursor=cursor,
        kind=kind.value,
        parent=parent.row.id,
        in_reply_to=parent.headers.message_id,
        references=references(parent.headers),
        remote_thread=remote_thread,
        account=account,
    )


def same(email: str) -> str:
    """What two spellings of one address have in common: case, in practice never told apart (RFC 5321 §2.4)."""
    return email.strip().casefold()


def owner(email: str) -> str:
    """`same` without a plus tag: the mailbox that receives it (RFC 5233). For Gmail, without dots too."""
    local, at, domain = same(email).rpartition("@")
    local = local.partition("+")[0] or local
    return (local.replace(".", "") if domain in _DOTLESS else local) + at + domain


def recipients(kind: Kind, parent: Headers, own: Iterable[str], hints: Hints = Hints()) -> Recipients:
    """To and Cc of a reply to `parent`; `own` are all addresses and aliases of all our mailboxes.

    Answering our own message goes to whom it was sent. A forward, or a new message, has no recipients yet. At most
    RECIPIENTS_LIMIT.
    """
    if kind in (Kind.NEW, Kind.FORWARD):
        return Recipients()
    ours = {owner(email) for email in own}
    target = _target(parent, ours)
    if kind is Kind.REPLY:
        return Recipients(target)
    if followup := _without(_usable(hints.followup_to), ours, ()):
        return Recipients(followup[:RECIPIENTS_LIMIT])
    others = _without((*_usable(parent.to), *_usable(parent.cc)), ours, target)
    return Recipients(target, others[: RECIPIENTS_LIMIT - len(target)])


def _target(parent: Headers, ours: set[str]) -> tuple[Address, ...]:
    """Whom a reply answers. Where nobody but ourselves is left, that is meant."""
    asked = _usable(parent.reply_to) or _usable((parent.sender,))
    if _is_ours(parent.sender, ours):
        # Where somebody else shall answer for us (Reply-To at another address), that still counts.
        target = _without(_usable(parent.reply_to), ours, ()) or _usable(parent.to) or asked
    else:
        target = _without(asked, ours, ()) or _usable((parent.sender,)) or asked
    return (_without(target, ours, ()) or _unique(target, ()))[:RECIPIENTS_LIMIT]


def _is_ours(address: Address, ours: set[str]) -> bool:
    return bool(address.email) and owner(address.email) in ours


def _usable(addresses: Iterable[Address]) -> tuple[Address, ...]:
    return tuple(address for address in addresses if address.email)


def _without(addresses: Iterable[Address], ours: set[str], taken: Iterable[Address]) -> tuple[Address, ...]:
    return _unique((address for address in addresses if not _is_ours(address, ours)), taken)


def _unique(addresses: Iterable[Address], taken: Iterable[Address]) -> tuple[Address, ...]:
    seen = {same(address.email) for address in taken}
    kept = []
    for address in addresses:
        if same(address.email) not in seen:
            seen.add(same(address.email))
            kept.append(address)
    return tuple(kept)


def bare_subject(subject: str) -> str:
    """`subject` without its reply and forward prefixes, in the languages people meet."""
    position = 0
    while match := _PREFIX.match(subject, position):
        position = match.end()
    return subject[position:].strip()


def topic(subject: str) -> str:
    """What the subjects of one conversation have in common: no prefixes, no leading [tags], case and spaces ignored.

    For grouping only; what is sent keeps its tags.
    """
    position = 0
    while match := _PREFIX.match(subject, position) or _SHORT_PREFIX.match(subject, position):
        position = match.end()
        if tag := _TAG.match(subject, position):
            position = tag.end()
    if position == 0 and (tag := _TAG.match(subject)):
        return topic(subject[tag.end() :]) or " ".join(subject.split()).casefold()
    return " ".join(subject[position:].split()).casefold()


def subject(kind: Kind, parent: str) -> str:
    """The subject of an answer to a message called `parent`.

    `Re: ` in every language (RFC 5322 §3.6.5: others are not recognised everywhere); a forward says it in the
    interface's language, Fwd or Enc.
    """
    if kind is Kind.NEW:
        return parent
    prefix = _("Fwd") if kind is Kind.FORWARD else "Re"
    return f"{prefix}: {bare_subject(parent)}".rstrip()


def references(parent: Headers) -> tuple[str, ...]:
    """The References of a reply (RFC 5322 §3.6.4), trimmed to the first and the latest ones."""
    chain = parent.references or ((parent.in_reply_to,) if parent.in_reply_to else ())
    others = tuple(dict.fromkeys(found for found in chain if found != parent.message_id))
    full = (*others, parent.message_id) if parent.message_id else others
    return full if len(full) <= KEPT_REFERENCES else (full[0], *full[-(KEPT_REFERENCES - 1) :])


def identity(
    parent: Headers, identities: Sequence[Identity], mailbox: str, delivered_to: Iterable[str] = ()
) -> Identity | None:
    """Which of our identities answers `parent`, a message in `mailbox`. None only without identities.

    The one that wrote it, or else that it came to: To, Cc, then the delivery headers; one of the message's own
    mailbox before others, an exact spelling before the same inbox with another plus tag, a verified one before one
    that is not. Else the default of the mailbox.
    """
    ranked = sorted(identities, key=lambda known: (known.mailbox != mailbox, not known.verified, not known.default))
    here = [known for known in ranked if known.mailbox == mailbox]
    places = [address.email for address in (parent.sender, *parent.to, *parent.cc)] + list(delivered_to)
    for group in (here, ranked):
        found = _first(places, group, same) or _first(places, group, owner)
        if found:
            return found
    return ranked[0] if ranked else None


def _first(places: Iterable[str], identities: Sequence[Identity], spelling: Callable[[str], str]) -> Identity | None:
    known = {spelling(one.address.email): one for one in reversed(identities)}
    return next((known[spelling(place)] for place in places if place and spelling(place) in known), None)

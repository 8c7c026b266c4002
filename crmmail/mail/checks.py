"""What a draft is asked before it is sent. One pure table: draft and circumstances in, findings out.

A finding that blocks names what no server would take; all others are questions that one key answers.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crmmail.i18n import _, ngettext
from crmmail.mail import addresses, quote, templates
from crmmail.mail.reply import Kind, owner, same
from crmmail.mail.text import clean_line
from crmmail.model import Address, Draft, Headers, Identity

MANY = 20  # people: a reply to more than these is asked about
NAMED = 4  # people: of more, how many others there are
LIMITS = {  # bytes of a whole message; the servers refuse more (providers: Gmail 35 MiB, Exchange Online 35 MB)
    "gmail": 36_700_160,
    "outlook": 35_000_000,
}


class Severity(enum.StrEnum):
    """Whether the user can decide to send all the same."""

    ASK = "ask"
    BLOCK = "block"


class Code(enum.StrEnum):
    """What was found."""

    NO_IDENTITY = "no_identity"
    NO_RECIPIENT = "no_recipient"
    INVALID_RECIPIENT = "invalid_recipient"
    TOO_LARGE = "too_large"
    UNVERIFIED_SENDER = "unverified_sender"
    OTHER_SENDER = "other_sender"
    WAS_BLIND_COPIED = "was_blind_copied"
    MANY_RECIPIENTS = "many_recipients"
    EMPTY_SUBJECT = "empty_subject"
    EMPTY_TEXT = "empty_text"
    MISSING_ATTACHMENT = "missing_attachment"
    UNRESOLVED_PLACE = "unresolved_place"
    OTHER_ACCOUNT = "other_account"
    BLIND_CONTACT = "blind_contact"
    OTHER_IDENTITY = "other_identity"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `fields` of the draft to show it at (to, cc, bcc, sender, subject, text, enclosures)."""

    code: Code
    severity: Severity
    fields: tuple[str, ...]
    values: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What to tell the user, in the interface's language."""
        return _SENTENCES[self.code](dict(self.values))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the checks need to know beyond the draft."""

    identity: Identity | None  # the one of `draft.sender`
    own: tuple[str, ...] = ()  # all our addresses and aliases
    parent: Headers | None = None  # of the message answered
    last_sender: str = ""  # our address this thread, else the first recipient, was last written from
    size: int = 0  # compose.estimated_size
    limit: int = 0  # LIMITS of the provider; 0: unknown
    many: int = MANY
    account: str = ""  # name of the account it is written for
    contacts: frozenset[str] = frozenset()  # addresses of that account's contacts, lower case
    others: Mapping[str, str] = field(default_factory=dict)  # address of another account's contact → that account
    account_sender: str = ""  # our address that account was last written from


def check(draft: Draft, circumstances: Circumstances) -> tuple[Finding, ...]:
    """What there is to look at, what blocks first."""
    found = [finding for test in _TESTS if (finding := test(draft, circumstances))]
    return tuple(sorted(found, key=lambda finding: finding.severity is Severity.ASK))


def _people(draft: Draft) -> list[tuple[str, Address]]:
    places = (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc))
    return [(name, person) for name, people in places for person in people]


def _block(code: Code, *fields: str, **values: str | int) -> Finding:
    return Finding(code, Severity.BLOCK, fields, values)


def _ask(code: Code, *fields: str, **values: str | int) -> Finding:
    return Finding(code, Severity.ASK, fields, values)


def _identity(draft: Draft, around: Circumstances) -> Finding | None:
    return None if around.identity else _block(Code.NO_IDENTITY, "sender")


def _recipient(draft: Draft, around: Circumstances) -> Finding | None:
    return None if _people(draft) else _block(Code.NO_RECIPIENT, "to")


def _invalid(draft: Draft, around: Circumstances) -> Finding | None:
    wrong = [(name, person) for name, person in _people(draft) if not _is_valid(person)]
    if not wrong:
        return None
    shown = clean_line(wrong[0][1].email or wrong[0][1].name, 80)
    fields = dict.fromkeys(name for name, _person in wrong)
    return _block(Code.INVALID_RECIPIENT, *fields, address=shown, count=len(wrong))


def _is_valid(person: Address) -> bool:
    return bool(person.email) and person.email.isascii() and bool(addresses.addr_spec(person.email))


def _size(draft: Draft, around: Circumstances) -> Finding | None:
    if not around.limit or around.size <= around.limit:
        return None
    return _block(Code.TOO_LARGE, "enclosures", size=around.size, limit=around.limit)


def _unverified(draft: Draft, around: Circumstances) -> Finding | None:
    known = around.identity
    return None if not known or known.verified else _ask(Code.UNVERIFIED_SENDER, "sender", address=known.address.email)


def _other_sender(draft: Draft, around: Circumstances) -> Finding | None:
    if not around.last_sender or not draft.sender or same(draft.sender) == same(around.last_sender):
        return None
    return _ask(Code.OTHER_SENDER, "sender", address=draft.sender, before=around.last_sender)


def _other_account(draft: Draft, around: Circumstances) -> Finding | None:
    """What is meant for one customer must not reach another."""
    if not around.account:
        return None
    wrong = [(name, one) for name, one in _people(draft) if one.email.lower() in around.others]
    if not wrong:
        return None
    address = wrong[0][1].email
    fields = dict.fromkeys(name for name, _one in wrong)
    people = _named([f"{one.email} ({around.others[one.email.lower()]})" for _name, one in wrong])
    values = {"address": address, "other": around.others[address.lower()], "account": around.account, "people": people}
    return _ask(Code.OTHER_ACCOUNT, *fields, count=len(wrong), **values)


def _blind_contact(draft: Draft, around: Circumstances) -> Finding | None:
    """A customer in blind copy may answer everybody."""
    hidden = [one.email for one in draft.bcc if one.email.lower() in around.contacts]
    if not hidden:
        return None
    values = {"address": hidden[0], "people": _named(hidden), "account": around.account}
    return _ask(Code.BLIND_CONTACT, "bcc", count=len(hidden), **values)


def _named(people: list[str]) -> str:
    """Each of them, as far as one reads them before pressing a key."""
    rest = len(people) - NAMED
    more = [ngettext("{count} more", "{count} more", rest).format(count=rest)] if rest > 0 else []
    return ", ".join(people[:NAMED] + more)


def _other_identity(draft: Draft, around: Circumstances) -> Finding | None:
    """Said once: where this conversation or recipient was written to before, that check speaks."""
    if _other_sender(draft, around) or not around.account_sender or not draft.sender:
        return None
    if around.last_sender or same(draft.sender) == same(around.account_sender):
        return None
    values = {"address": draft.sender, "before": around.account_sender, "account": around.account}
    return _ask(Code.OTHER_IDENTITY, "sender", **values)


def _blind(draft: Draft, around: Circumstances) -> Finding | None:
    """Answering everybody tells them of the blind copy. Mail of a list never names its members."""
    parent = around.parent
    if draft.kind != Kind.REPLY_ALL or parent is None or parent.list_id or not around.own:
        return None
    ours = {owner(email) for email in around.own}
    named = (parent.sender, *parent.to, *parent.cc)
    if any(person.email and owner(person.email) in ours for person in named):
        return None
    return _ask(Code.WAS_BLIND_COPIED, "to", "cc")


def _many(draft: Draft, around: Circumstances) -> Finding | None:
    count = len({same(person.email) for _name, person in _people(draft) if person.email})
    if draft.kind != Kind.REPLY_ALL or count <= around.many:
        return None
    return _ask(Code.MANY_RECIPIENTS, "to", "cc", count=count)


def _subject(draft: Draft, around: Circumstances) -> Finding | None:
    return None if draft.subject.strip() else _ask(Code.EMPTY_SUBJECT, "subject")


def _text(draft: Draft, around: Circumstances) -> Finding | None:
    if draft.enclosures or draft.kind == Kind.FORWARD or _own_words(draft, around).strip():
        return None
    return _ask(Code.EMPTY_TEXT, "text")


def _own_words(draft: Draft, around: Circumstances) -> str:
    return quote.own_words(draft.text, around.identity.signature if around.identity else "")


def _attachment(draft: Draft, around: Circumstances) -> Finding | None:
    if draft.enclosures:
        return None
    said = _own_words(draft, around)
    if draft.kind == Kind.NEW:
        said = f"{draft.subject}\n{said}"
    promised = mentions_attachment(said)
    return _ask(Code.MISSING_ATTACHMENT, "enclosures", words=promised) if promised else None


def _places(draft: Draft, around: Circumstances) -> Finding | None:
    in_subject, in_text = templates.places(draft.subject), templates.places(_own_words(draft, around))
    if draft.kind != Kind.NEW:
        in_subject = ()
    if not in_subject and not in_text:
        return None
    fields = [name for name, found in (("subject", in_subject), ("text", in_text)) if found]
    return _ask(Code.UNRESOLVED_PLACE, *fields, place=(*in_subject, *in_text)[0])


_TESTS: tuple[Callable[[Draft, Circumstances], Finding | None], ...] = (
    _identity, _recipient, _invalid, _size, _other_account, _blind_contact, _unverified, _other_sender, _other_identity,
    _blind, _many, _subject, _text, _attachment, _places,
)  # fmt: skip

_PROMISES = re.compile(
    r"""\b(?:
        (?:em|no|nos)\s+anexos?                                   # segue em anexo, está no anexo
      | (?:segue|seguem|vai|vão|envio|mando|veja|vejam|vide|confira|conforme)\s+(?:o\s|os\s|a\s|as\s)?\s*
        (?:(?:\w+\s+){0,3}?)(?:em\s+)?(?:anexos?|anexad[oa]s?|anexas?)
      | anexos?\s*: | anexei | anexamos | (?:estou|estamos)\s+anexando | anexad[oa]s?\s+(?:segue|est[áa])
      | (?:arquivos?|documentos?|contrato|proposta|planilha|fatura|boleto|nota(?:\s+fiscal)?|or[çc]amento|relat[óo]rio)
        \s+(?:em\s+)?(?:anexos?|anexad[oa]s?|anexas?)
      | (?:is|are|i['’]?ve|i\s+have|we['’]?ve|we\s+have|i|please\s+find|find|see|pls\s+find)\s+(?:also\s+)?
        (?:(?:the|an?|my|our|it|them|two|three)\s+)?(?:\w+\s+)?(?:attached|enclosed)
      | attached\s+(?:is|are|you|please|find|here|to\s+this\s+(?:e-?mail|message)|herewith|the\b|a\b|my\b|our\b)
      | enclosed\s+(?:is|are|please|you|find)
      | (?:i['’]?m|i\s+am|we['’]?re|we\s+are|am)\s+attaching | (?:see|in|open)\s+(?:the\s+|this\s+)?attachments?
      | attachments?\s*: | (?:i\s+)?attach\s+(?:the|a|my|our|here)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# What somebody else attached, or what is said not to be there.
_DENIALS = re.compile(
    r"""\b(?:
        (?:sem|nenhum|n[ãa]o\s+(?:\w+\s+){0,3}?)\s*(?:em\s+|o\s+|os\s+|no\s+)?anex\w+
      | (?:seu|teu|vosso|seus)\s+anexos?
      | anex(?:o|os|ado|ada)\s+(?:que\s+)?(?:voc[êe]s?|tu|ele|ela|o\s+senhor|a\s+senhora|recebid|enviad|anterior)
      | (?:no|without|any|your|his|her|their|not|n['’]t)\s+(?:\w+\s+){0,2}?(?:attach\w*|enclos\w*)
      | attach(?:ment|ed)s?\s+(?:that\s+)?(?:you|he|she|they)\s+(?:sent|send|shared|forwarded)
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def mentions_attachment(text: str) -> str:
    """The words in which `text` promises a file, '' when it promises none. Portuguese and English."""
    for sentence in re.split(r"[.!?\n](?=\s|\Z)", text[:50_000]):
        sentence = sentence[:1_000]
        if (found := _PROMISES.search(sentence)) and not _DENIALS.search(sentence):
            return clean_line(found[0], 60)
    return ""


def _megabytes(count: str | int) -> str:
    return f"{int(count) / 1_000_000:.1f}"


def _invalid_sentence(values: dict[str, str | int]) -> str:
    return ngettext(
        "“{address}” is not a valid address.",
        "{count} addresses are not valid, “{address}” first.",
        int(values["count"]),
    ).format(**values)


def _many_sentence(values: dict[str, str | int]) -> str:
    count = int(values["count"])
    return ngettext("This answers {count} person.", "This answers {count} people.", count).format(count=count)


def _large_sentence(values: dict[str, str | int]) -> str:
    return _("The message is about {size} MB; the server accepts up to {limit} MB.").format(
        size=_megabytes(values["size"]), limit=_megabytes(values["limit"])
    )


_SENTENCES: dict[Code, Callable[[dict[str, str | int]], str]] = {
    Code.NO_IDENTITY: lambda values: _("No mailbox is connected to send from."),
    Code.NO_RECIPIENT: lambda values: _("There is no recipient."),
    Code.INVALID_RECIPIENT: _invalid_sentence,
    Code.TOO_LARGE: _large_sentence,
    Code.UNVERIFIED_SENDER: lambda values: _(
        "{address} is not verified on the server, which would send from another of your addresses."
    ).format(**values),
    Code.OTHER_SENDER: lambda values: _("You last wrote from {before}; this goes out from {address}.").format(**values),
    Code.WAS_BLIND_COPIED: lambda values: _("You were blind-copied: everyone would find out."),
    Code.MANY_RECIPIENTS: _many_sentence,
    Code.EMPTY_SUBJECT: lambda values: _("The subject is empty."),
    Code.EMPTY_TEXT: lambda values: _("The message is empty."),
    Code.MISSING_ATTACHMENT: lambda values: _("The text says “{words}”, but nothing is attached.").format(**values),
    Code.OTHER_ACCOUNT: lambda values: (
        _("{address} is a contact of {other}, and this is written for {account}.")
        if values["count"] == 1
        else _("{people} are contacts of other accounts, and this is written for {account}.")
    ).format(**values),
    Code.BLIND_CONTACT: lambda values: (
        _("{address} of {account} stands in blind copy.")
        if values["count"] == 1
        else _("{people} of {account} stand in blind copy.")
    ).format(**values),
    Code.OTHER_IDENTITY: lambda values: _("{account} last heard from you as {before}, and now as {address}.").format(
        **values
    ),
    Code.UNRESOLVED_PLACE: lambda values: _("{{{place}}} has not been filled in.").format(**values),
}

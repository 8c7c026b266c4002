"""Whom a message belongs to. Pure: the store looks up, this decides.

Three steps, each on what the one before found. `read`: who takes part, apart from us. `weigh`: the accounts these
people stand for, each person by an exact address, else by a company's domain. `decide`: what the user said of the
message, its conversation, sender or domain; else its people, with the conversation settling what they leave open.

The conversation answers for a message whose people say nothing, or several things; it never outvotes an exact address.
So mail to a contact of B that was forwarded within a talk with A is B's, and what could be either asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from crmmail.crm import domains
from crmmail.crm.model import Bound, Ignored, Owes, Reason, Scope
from crmmail.model import Address, Headers

CROWD = 50  # people on a message: beyond that only its sender says whose it is
FORGED = frozenset({"invalid_sender", "multiple_from"})
_MACHINE = re.compile(
    r"(?:no|nao|não|do[-_.]?not)[-_.]?(?:reply|responda|responder)|mailer-daemon|postmaster|bounces?\b"
    r"|notifications?@|notifica(?:cao|coes|ção|ções)@"
)
_TAGGED = re.compile(r"\+[^@]*(?=@)")
_SPACE = re.compile(r"[\s\x00-\x1f]")
_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Own:
    """Who we are: addresses without `+tag`, company domains; `shared`: hosts of free mail the user names besides."""

    addresses: frozenset[str] = _NOBODY
    domains: frozenset[str] = _NOBODY
    shared: frozenset[str] = _NOBODY

    def is_me(self, email: str) -> bool:
        """Whether an address is the user's own."""
        return email in self.addresses or plain(email) in self.addresses

    def is_ours(self, email: str) -> bool:
        """Whether an address is the user's or a colleague's."""
        return self.is_me(email) or domains.is_below(email.rpartition("@")[2], self.domains)


@dataclass(frozen=True, slots=True)
class People:
    """Who takes part in a message apart from us.

    `sent`: by our side, the user or a colleague; the one answer to which side a message is of.
    `first`: its sender, or whom our side sent it to; `others`: the rest. `why` settles it whatever the people say;
    `machine` only when nobody is known (a list, a no-reply address, a newsletter).
    """

    sent: bool = False
    first: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    why: Ignored | None = None
    machine: Ignored | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user said: whose a thing is, and whose it is not."""

    yes: frozenset[str] = _NOBODY
    no: frozenset[str] = _NOBODY


NO_CHOICE = Choice()


@dataclass(frozen=True, slots=True)
class Match:
    """An account a message may belong to, and why."""

    account: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a message's people say, without its conversation. `chosen`: by a rule of the user's for them."""

    matches: tuple[Match, ...] = ()
    chosen: tuple[Match, ...] = ()
    refused: frozenset[str] = _NOBODY  # accounts the user said its sender is not of
    why: Ignored | None = None
    machine: Ignored | None = None

    @property
    def sure(self) -> Match | None:
        """The one account its people speak for, which a conversation may take from it."""
        found = self.chosen or self.matches
        return found[0] if self.why is None and len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the people of some messages: handles (address or @domain → accounts), rules, never-lists."""

    handles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: Mapping[str, Choice] = field(default_factory=dict)  # address or @domain
    never: frozenset[str] = _NOBODY  # addresses and @domains
    tags: tuple[str, ...] = ()  # case-folded
    shared: frozenset[str] = _NOBODY


@dataclass(frozen=True, slots=True)
class Talk:
    """What a conversation says: accounts → the earliest message that speaks for them; and the user's word on it."""

    address: Mapping[str, int] = field(default_factory=dict)
    domain: Mapping[str, int] = field(default_factory=dict)
    choice: Choice = NO_CHOICE


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on a message. `matches`: its accounts when linked, the candidates when queued."""

    bound: Bound
    matches: tuple[Match, ...] = ()
    why: Ignored | None = None


@lru_cache(8192)
def undotted(email: str) -> str:
    """An address as its server reads it: at Gmail dots mean nothing, and its two domains are one."""
    local, _at, domain = email.rpartition("@")
    return f"{local.replace('.', '')}@gmail.com" if domain in ("gmail.com", "googlemail.com") else email


@lru_cache(8192)
def plain(email: str) -> str:
    """The same without its `+tag`."""
    return _TAGGED.sub("", undotted(email), count=1)


@lru_cache(8192)
def spellings(email: str) -> tuple[str, ...]:
    """What a writer with this address may be known by, the most exact first."""
    return tuple(dict.fromkeys((email, undotted(email), plain(email))))


# who takes part


def read(headers: Headers, flags: Iterable[str], own: Own) -> People:
    """Who takes part. Bcc is left out: whom a message was hidden for must not show that they got it."""
    sender = headers.sender.email.lower()
    if not sender or _SPACE.search(sender) or FORGED.intersection(flags):
        return People(why=Ignored.INVALID_SENDER)
    me = own.is_me(sender)
    told = _written(headers.to) + _written(headers.cc)
    ours = own.is_ours(sender)
    machine = machine_behind(headers)
    speaking: list[str] = []  # a form on our site, a ticket system: the customer is whom one answers
    if not me and (ours or machine):
        speaking = [email for email in _written(headers.reply_to) if not own.is_ours(email)]
    people = [email for email in dict.fromkeys(speaking + told) if not own.is_ours(email)]
    if ours:
        if not people:
            alone = all(own.is_me(email) for email in (sender, *told))
            return People(me, why=Ignored.NO_COUNTERPART if alone else Ignored.INTERNAL)
        sent = me or not speaking
        if len(people) > CROWD:
            return People(sent, why=Ignored.CROWD)
        return People(sent, first=tuple(people), machine=machine)
    others = [email for email in people if email != sender]
    return People(False, (sender,), tuple(others) if len(others) <= CROWD else (), machine=machine)


def _written(people: Sequence[Address]) -> list[str]:
    """Their addresses; one with white space in it, which no server delivers to, is nobody's."""
    return [email for email in (person.email.lower() for person in people) if email and not _SPACE.search(email)]


def owes(people: People) -> Owes | None:
    """Who owes an answer after a message; None for one that is no word between us and them, so that the one before
    it still counts: mail among ourselves, and what a machine of ours writes by itself.
    """
    if people.why is not None or (people.sent and people.machine in (Ignored.NO_REPLY, Ignored.BULK)):
        return None
    if people.sent:
        return Owes.THEY
    return Owes.WE if people.machine is None else Owes.NOBODY


def machine_behind(headers: Headers) -> Ignored | None:
    """Whether a list or a machine wrote a message."""
    if headers.list_id:
        return Ignored.LIST
    if _is_machine(headers.sender.email.lower()):
        return Ignored.NO_REPLY
    return Ignored.BULK if headers.bulk else None


@lru_cache(8192)
def _is_machine(sender: str) -> bool:
    return _MACHINE.search(sender) is not None


def everybody(headers: Headers) -> list[str]:
    """Every address on a message, Bcc too: what never-lists and the internal rule look at before anything is logged."""
    people = (headers.sender, *headers.reply_to, *headers.to, *headers.cc, *headers.bcc)
    return list(dict.fromkeys(person.email.lower() for person in people if person.email))


# what they say


@lru_cache(8192)
def keys(email: str) -> tuple[str, ...]:
    """What an address is looked up by: itself, without its tag, its domain and those above."""
    return (*spellings(email), *(f"@{domain}" for domain in domains.parents(email.rpartition("@")[2])))


def is_never(email: str, never: frozenset[str]) -> bool:
    """Whether a never-list names this address or its domain."""
    return bool(never) and any(key in never for key in keys(email))


def has_tag(subject: str, tags: Iterable[str]) -> bool:
    """Whether a subject holds one of these (case-folded) tags."""
    folded = subject.casefold()
    return any(tag in folded for tag in tags)


def weigh(people: People, subject: str, known: Known) -> Evidence:
    """The accounts a message's people stand for."""
    if people.why is not None:
        return Evidence(why=people.why)
    if known.tags and has_tag(subject, known.tags):
        return Evidence(why=Ignored.NEVER)
    first = [email for email in people.first if not is_never(email, known.never)]
    others = [email for email in people.others if not is_never(email, known.never)]
    if not first:
        return Evidence(why=Ignored.NEVER)
    chosen: dict[str, Match] = {}
    matches: dict[str, Match] = {}
    refused: set[str] = set()
    for email in (*first, *others):
        rule, key = _rule(email, known)
        found = [Match(account, Reason.MANUAL, key) for account in sorted(rule.yes)] or _named(email, rule.no, known)
        if people.machine is Ignored.LIST:  # a list's own domain says nothing of who wrote
            found = [match for match in found if match.reason is not Reason.DOMAIN]
        for match in found:
            if match.account not in matches or matches[match.account].reason < match.reason:
                matches[match.account] = match
        if email in people.first:
            chosen |= {match.account: match for match in found if match.reason is Reason.MANUAL}
            refused |= rule.no
    return Evidence(
        tuple(matches.values()), tuple(chosen.values()), frozenset(refused - chosen.keys()), machine=people.machine
    )


def _rule(email: str, known: Known) -> tuple[Choice, str]:
    """What the user said of this address or, where nothing, of its domain; and the key it was said of.

    What is not of a company stays refused though the address has a rule of its own.
    """
    if not known.rules:
        return NO_CHOICE, ""
    said = [(known.rules[key], key) for key in keys(email) if key in known.rules]
    refused = frozenset[str]().union(*(choice.no for choice, _key in said))
    for choice, key in said:
        if choice.yes:
            return Choice(choice.yes, refused - choice.yes), key.lstrip("@")
    return Choice(no=refused), ""


def _named(email: str, refused: frozenset[str], known: Known) -> list[Match]:
    """The accounts that have this address; else those of its domain, nearest first, unless many share it."""
    for key in keys(email):
        if key not in known.handles:
            continue
        owners = [one for one in known.handles[key] if one not in refused]
        if key[0] != "@" and owners:
            return [Match(account, Reason.ADDRESS, email) for account in owners]
        if owners and not domains.is_shared(email.rpartition("@")[2], known.shared):
            return [Match(account, Reason.DOMAIN, key[1:]) for account in owners]
    return []


# whose it is


def decide(number: int, evidence: Evidence, talk: Talk, choice: Choice) -> Decision:
    """The verdict on message `number` (local ids sort by time): total, so that linked + ignored + queued = all."""
    if choice.yes:
        return _linked(Match(account, Reason.MANUAL, Scope.MESSAGE.value) for account in sorted(choice.yes))
    chosen = talk.choice.yes - choice.no
    if chosen:
        return _linked(Match(account, Reason.MANUAL, Scope.THREAD.value) for account in sorted(chosen))
    if evidence.why is not None:
        return Decision(Bound.IGNORED, why=evidence.why)
    refused = choice.no | talk.choice.no | evidence.refused
    ruled = [match for match in evidence.chosen if match.account not in choice.no | talk.choice.no]
    if ruled:
        return _linked(ruled) if len(ruled) == 1 else Decision(Bound.QUEUED, tuple(ruled))
    matches = {match.account: match for match in evidence.matches if match.account not in refused}
    said = {one: first for one, first in (talk.address or talk.domain).items() if one not in refused}
    return _from_talk(number, matches, said) or _from_people(matches, evidence.machine)


def _linked(matches: Iterable[Match]) -> Decision:
    return Decision(Bound.LINKED, tuple(matches))


def _from_talk(number: int, matches: Mapping[str, Match], said: Mapping[str, int]) -> Decision | None:
    """What the conversation settles: None where it says nothing, or nothing but what the message itself says."""
    fitting = [account for account in said if account in matches] if matches else list(said)
    if len(fitting) == 1:
        account = fitting[0]
        own = matches.get(account)
        if own is not None and said[account] >= number:
            return None if len(matches) == 1 else _linked([Match(account, Reason.THREAD, own.detail)])
        return _linked([Match(account, Reason.THREAD, own.detail if own else "")])
    if not said:
        return None
    if not fitting and len(matches) == 1 and next(iter(matches.values())).reason >= Reason.ADDRESS:
        return None
    rest = [Match(account, Reason.THREAD) for account in said if account not in matches]
    return Decision(Bound.QUEUED, (*matches.values(), *rest))


def _from_people(matches: Mapping[str, Match], machine: Ignored | None) -> Decision:
    if len(matches) == 1:
        return _linked(matches.values())
    if not matches and machine is not None:
        return Decision(Bound.IGNORED, why=machine)
    return Decision(Bound.QUEUED, tuple(matches.values()))

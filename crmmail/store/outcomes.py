"""What becomes of the messages of a conversation, by what their people say and where they lie. Pure, and remembered.

Most conversations look like many others: nearly every answer is a look into a cache, and deciding each anew took half
of the time of looking at mail again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from crmmail.crm import match
from crmmail.crm.match import Choice, Decision, Talk
from crmmail.crm.model import Bound, Ignored, Owes, Reason
from crmmail.model import Role
from crmmail.store import codec, ties
from crmmail.store.projection import ALL, flags_of, places

CLASSIFY, WAITING, ACCOUNT = "classify", "waiting:", "account:"
SPAM, TRASH, DRAFTS = 1, 2, 4
_BITS = ((Role.SPAM.value, SPAM), (Role.TRASH.value, TRASH), (Role.DRAFTS.value, DRAFTS))
LIKE_OTHERS = 12  # messages: a longer conversation looks like no other
Shape = tuple[tuple[str, int], ...]
"""Of each message of a conversation, oldest first: its evidence as stored, and where it lies (`Spot.aside`)."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a message lies, as far as its account asks."""

    visible: bool  # among all mail: neither trash nor spam, nor gone
    aside: int  # which of spam, trash and drafts it is in
    flags: int


@lru_cache(8192)
def spot(mailbox: str, shown: str) -> Spot:
    """Where a message lies that is shown in this (stored) state."""
    state = codec.text_state(shown)
    aside = sum(bit for role, bit in _BITS if role in state.folders)
    return Spot((mailbox, ALL) in places(mailbox, state), aside, flags_of(state))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict as it is written down, and the lists it puts a visible message in."""

    decision: Decision
    bound: str
    accounts: str
    verdict: str
    lists: str  # comma between
    waiting: str  # the lists where it is the last word and asks for an answer


@lru_cache(8192)
def outcome(decision: Decision) -> Outcome:
    """What a verdict means for the rows."""
    accounts = [found.account for found in decision.matches]
    lists: list[str] = []
    waiting: list[str] = []
    if decision.bound is Bound.QUEUED:
        lists = waiting = [CLASSIFY]
    elif decision.bound is Bound.LINKED:
        lists = [f"{ACCOUNT}{account}" for account in accounts]
        waiting = [*lists, WAITING.rstrip(":"), *(f"{WAITING}{account}" for account in accounts)]
    text = ties.verdict_text(decision)
    return Outcome(decision, decision.bound.value, ",".join(accounts), text, ",".join(lists), ",".join(waiting))


@lru_cache(8192)
def owed(people: str) -> Owes | None:
    """Who owes an answer after a message with these (stored) people; None where the one before it still counts."""
    return match.owes(ties.text_people(people))


# whose they are


def settled(shape: Shape, *, speaks: bool) -> tuple[Outcome, ...]:
    """What becomes of each message of a conversation the user said nothing of. `speaks`: it answers for its messages;
    one that is too long does not.
    """
    return _like_others(shape, speaks) if len(shape) <= LIKE_OTHERS else decided(shape, speaks=speaks)


@lru_cache(4096)
def _like_others(shape: Shape, speaks: bool) -> tuple[Outcome, ...]:
    return decided(shape, speaks=speaks)


def decided(
    shape: Shape,
    *,
    speaks: bool,
    of_talk: Sequence[Choice] = (),
    of_messages: Sequence[Choice] = (),
) -> tuple[Outcome, ...]:
    """The same where the user did say something: of the conversation by its messages, and of each message."""
    talk = _talk(shape, of_talk, speaks=speaks)
    alone = of_messages or (match.NO_CHOICE,) * len(shape)
    return tuple(
        outcome(_in_place(match.decide(number, ties.text_evidence(evidence), talk, choice), aside))
        for number, ((evidence, aside), choice) in enumerate(zip(shape, alone, strict=True))
    )


def _talk(shape: Shape, choices: Iterable[Choice], *, speaks: bool) -> Talk:
    address: dict[str, int] = {}
    domain: dict[str, int] = {}
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    for choice in choices:
        yes, no = (yes | choice.yes) - choice.no, (no | choice.no) - choice.yes
    for number, (evidence, aside) in enumerate(shape if speaks else ()):
        sure = ties.text_evidence(evidence).sure
        if sure is not None and not aside & (SPAM | DRAFTS):
            (domain if sure.reason is Reason.DOMAIN else address).setdefault(sure.account, number)
    return Talk(address, domain, Choice(yes, no))


def _in_place(decision: Decision, aside: int) -> Decision:
    """A verdict where the message lies: spam proves nothing; what is thrown away, or not sent yet, asks nothing."""
    by_hand = decision.bound is Bound.LINKED and decision.matches[0].reason is Reason.MANUAL
    if aside & SPAM and not by_hand:
        return Decision(Bound.IGNORED, why=Ignored.SPAM)
    if decision.bound is Bound.QUEUED and aside & TRASH:
        return Decision(Bound.IGNORED, why=Ignored.TRASH)
    if decision.bound is Bound.QUEUED and aside & DRAFTS:
        return Decision(Bound.IGNORED, why=Ignored.DRAFT)
    return decision


def agreed(copies: Sequence[Outcome]) -> list[Outcome]:
    """Copies of one message belong to the same account: what the strongest reason says of any of them."""
    linked = [one for one in copies if one.decision.bound is Bound.LINKED]
    if not linked:
        return list(copies)
    best = max(linked, key=lambda one: one.decision.matches[0].reason)
    return [best if one.decision.bound is Bound.QUEUED else one for one in copies]


# where they stand


@lru_cache(8192)
def moves(before: str, was: int, after: str, now: int) -> tuple[tuple[str, int | None, int | None], ...]:
    """(list, flags then, flags now) of each list that a message enters, leaves (None), or looks different in."""
    left, there = (before.split(",") if before else []), (after.split(",") if after else [])
    found: list[tuple[str, int | None, int | None]] = [
        (place, was if place in left else None, now) for place in there if place not in left or was != now
    ]
    return (*found, *((place, was, None) for place in left if place not in there))

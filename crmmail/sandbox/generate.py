"""A mailbox full of plausible business mail: any number of messages, the same for the same seed, owner and clock.

`plan` decides who wrote what when (about 40 µs a message); the bytes are written when `Letter.raw` asks. The newest
message is a minute old, the span grows with the number (2,000 messages: three months).
"""

from __future__ import annotations

import random
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from typing import NamedTuple

from crmmail.sandbox import bulk_phrases, phrases
from crmmail.sandbox.compose import ZONE
from crmmail.sandbox.letter import Letter
from crmmail.sandbox.people import LAST_WEEK, OWNER, Account, Person, World, accounts, world
from crmmail.sandbox.phrases import LABELS, Topic
from crmmail.sandbox.thread import DAY, Thread, write

__all__ = ["LABELS", "OWNER", "Letter", "Person", "accounts", "arrivals", "generate", "plan"]

MESSAGES_A_DAY = 22
LONGEST_SPAN = 5 * 365 * DAY
NEWEST = 60  # seconds
LONGEST_THREAD = 14
WEEK = 7 * DAY
BUSY = 20.0  # how much more there is to talk about with an account while a project runs
CONTACT_SHARE = 0.35  # of an account's contacts, each is written to about half as often as the one before
# What a conversation is, by how often one starts: business, bulk, and the two ends nobody wants.
SHARES = {"customer": 30, "internal": 12, "news": 22, "notice": 22, "list": 4, "stranger": 5, "spam": 4, "draft": 1}


class Cast(NamedTuple):
    """Who talks about what."""

    language: str
    them: tuple[Person, ...]
    topic: Topic
    length: int = 1
    us: tuple[Person, ...] = ()  # colleagues beside the owner
    company: str = ""
    call: str = ""


def plan(
    count: int,
    seed: int = 1,
    owner: Person = OWNER,
    *,
    portuguese: float = 0.7,
    clock: Callable[[], float] = time.time,
) -> list[Letter]:
    """`count` letters, newest first; `portuguese` is the share of conversations with the outside in that language."""
    people, now = world(seed, owner), int(clock())
    span = min(LONGEST_SPAN, max(10 * DAY, count * DAY // MESSAGES_A_DAY))
    letters: list[Letter] = []
    number = 0
    while len(letters) < count:
        rng = random.Random(f"{seed}:{owner.email}:{number}:plan")
        start = now if not number else now - _age(rng, span)
        thread = _thread(rng, seed, number, people, start - NEWEST, now - NEWEST, portuguese)
        letters += [_letter(thread, position, now) for position in range(len(thread.sent))][: count - len(letters)]
        number += 1
    letters.sort(key=lambda letter: (letter.received_ms, letter.name), reverse=True)
    return letters


def generate(
    count: int,
    seed: int = 1,
    owner: Person = OWNER,
    *,
    portuguese: float = 0.7,
    clock: Callable[[], float] = time.time,
) -> Iterator[Letter]:
    """The letters of `plan`, one by one, newest first."""
    yield from plan(count, seed, owner, portuguese=portuguese, clock=clock)


def arrivals(
    seed: int = 1, owner: Person = OWNER, *, portuguese: float = 0.7, clock: Callable[[], float] = time.time
) -> Iterator[Letter]:
    """Mail that comes in while one looks: each letter asked for was received just now and is unread."""
    people, number = world(seed, owner), 10_000_000
    while True:
        number += 1
        rng, now = random.Random(f"{seed}:{owner.email}:{number}:plan"), int(clock())
        thread = _thread(rng, seed, number, people, now, now, portuguese)
        if thread.kind not in ("spam", "draft") and thread.senders[0] != owner:
            source = partial(write, thread, 0)
            yield Letter(now * 1000, "inbox", source, unread=True, thread=thread.key, name=f"{number}.0")


def _age(rng: random.Random, span: int) -> int:
    """Seconds before now; denser towards the present, so that the first screen is today's and yesterday's mail."""
    return int(span * rng.random() ** 1.25)


def _office_hours(rng: random.Random, moment: int, now: int) -> int:
    """`moment` moved into a working day and hour, unless it is still fresh."""
    if now - moment < DAY:
        return moment
    day = (moment + ZONE) // DAY
    weekday = (day + 3) % 7  # 1 January 1970 was a Thursday
    shift = 2 if weekday >= 5 else 0
    return (day - shift) * DAY + int(rng.triangular(8, 19, 11) * 3600) - ZONE


def _thread(
    rng: random.Random, seed: int, number: int, people: World, start: int, now: int, portuguese: float
) -> Thread:
    kind = rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]
    language = "pt" if rng.random() < portuguese else "en"
    cast = _customer(rng, seed, language, people, start) if kind == "customer" else _cast(rng, kind, language, people)
    us = (people.owner, *cast.us)
    sent = _times(rng, start, now, min(cast.length, LONGEST_THREAD))
    senders = tuple(_sender(rng, kind, position, us, cast, people) for position in range(len(sent)))
    them, company = cast.them, cast.company
    return Thread(seed, number, kind, cast.language, cast.topic, us, them, sent, senders, company, cast.call)


def _cast(rng: random.Random, kind: str, language: str, people: World) -> Cast:
    match kind:
        case "internal":
            them = _some(rng, people.staff, people.staff_weights, rng.choice((1, 2, 4)))
            length = 1 + int(rng.expovariate(0.5))
            return Cast("pt", them, rng.choice(phrases.INTERNAL), length, company=people.company)
        case "stranger":
            topic = rng.choice(phrases.STRANGERS[language])
            return Cast(language, (rng.choice(people.strangers[language]),), topic, rng.choice((1, 1, 2)))
        case "spam":
            sender = Person("Central de Prêmios", f"oferta{rng.randint(10, 99)}@premios.test")
            return Cast("pt", (sender,), _single(rng.choice(bulk_phrases.SPAM)))
        case "draft":
            topic = _single(rng.choice(phrases.DRAFTS))
            return Cast("pt", (rng.choice(people.accounts).contacts[0],), topic)
        case _:
            return _bulk(rng, kind, language, people)


def _customer(rng: random.Random, seed: int, language: str, people: World, moment: int) -> Cast:
    weights = _in_week(seed, people.owner, language, moment // WEEK)
    account = people.customers[language][bisect(weights, rng.random() * weights[-1])]
    closeness = [CONTACT_SHARE**rank for rank in range(len(account.contacts))]
    them = _some(rng, account.contacts, closeness, min(len(account.contacts), rng.choice((1, 1, 2))))
    us = _some(rng, people.staff, people.staff_weights, rng.choice((0, 0, 1, 2)))
    topic = rng.choice(phrases.CUSTOMER[language])
    return Cast(language, them, topic, 1 + int(rng.expovariate(0.4)), us, account.name)


@lru_cache(4096)
def _in_week(seed: int, owner: Person, language: str, week: int) -> tuple[float, ...]:
    """How much there is to talk about with each account in a week; cumulative."""
    people = world(seed, owner)

    def share(account: Account, closeness: float) -> float:
        projects = people.projects[account.id]
        at = bisect(projects, (week, LAST_WEEK)) - 1
        return closeness * (BUSY if at >= 0 and week <= projects[at][1] else 1.0)

    return tuple(accumulate(map(share, people.customers[language], people.weights[language])))


def _some(rng: random.Random, people: Sequence[Person], closeness: Sequence[float], count: int) -> tuple[Person, ...]:
    """`count` of `people`, each as likely as close."""
    # Efraimidis and Spirakis: the largest of u^(1/weight) are a weighted sample without replacement.
    lots = sorted(((rng.random() ** (1.0 / weight), at) for at, weight in enumerate(closeness)), reverse=True)
    return tuple(people[at] for _lot, at in lots[:count])


def _bulk(rng: random.Random, kind: str, language: str, people: World) -> Cast:
    sender = rng.choice([sender for sender, of_kind, tongue in people.bulk if (of_kind, tongue) == (kind, language)])
    if kind == "list":
        return Cast(language, (sender,), rng.choice(bulk_phrases.LISTS[language]), rng.choice((1, 2, 4)))
    if kind == "notice":
        return Cast(language, (sender,), _single(rng.choice(bulk_phrases.NOTICES[sender.name])))
    subject, headline, call = rng.choice(bulk_phrases.NEWS[language])
    return Cast(language, (sender,), Topic(subject, (headline,), ()), call=call)


def _single(pair: tuple[str, str]) -> Topic:
    """A topic of one message with one paragraph."""
    return Topic(pair[0], (pair[1],), ())


def _times(rng: random.Random, start: int, now: int, length: int) -> tuple[int, ...]:
    moments, moment = [], _office_hours(rng, start, now)
    for _ in range(length):
        if moment > now:
            break
        moments.append(moment)
        moment += 120 + int(rng.lognormvariate(9.3, 1.3))
    return tuple(moments)


def _sender(rng: random.Random, kind: str, position: int, us: tuple[Person, ...], cast: Cast, people: World) -> Person:
    if kind == "draft":
        return us[0]
    if kind == "list":
        return rng.choice(people.strangers[cast.language])
    if kind == "stranger":
        return cast.them[0] if position % 2 == 0 else us[0]
    if kind in ("customer", "internal"):
        return rng.choice(cast.them) if rng.random() < 0.62 else rng.choice(us)
    return cast.them[0]


def _letter(thread: Thread, position: int, now: int) -> Letter:
    rng, sent = thread.random(position, "place"), thread.sent[position]
    owner, age = thread.us[0], now - sent
    mine = thread.senders[position] == owner
    place, labels = _place(rng, thread, mine, age)
    fresh = 0.55 if age < 2 * DAY else 0.22 if age < 14 * DAY else 0.05
    unread = place != "drafts" and not mine and rng.random() < (0.8 if place == "spam" else fresh)
    starred = place in ("inbox", "archive") and thread.kind in ("customer", "internal") and rng.random() < 0.07
    source = partial(write, thread, position)
    return Letter(sent * 1000, place, source, labels, unread, starred, thread.key, f"{thread.number}.{position}")


def _place(rng: random.Random, thread: Thread, mine: bool, age: int) -> tuple[str, tuple[str, ...]]:
    if thread.kind == "draft":
        return "drafts", ()
    if thread.kind == "spam":
        return "spam", ()
    if mine:
        return "sent", ()
    roll = rng.random()
    if roll < (0.10 if thread.kind in ("news", "notice") else 0.02):
        return "trash", ()
    labels = (rng.choice(LABELS),) if thread.kind in ("customer", "internal") and roll > 0.75 else ()
    kept = roll > 0.90 or (age > 200 * DAY and roll > 0.55)
    return ("archive" if kept else "inbox"), labels

"""Whose each message is, written beside it: `bond` rows, and the lists over all mailboxes that follow from them.

A `Binding` lives for one cache transaction, after the projection has written what is shown. It looks again at the
whole conversations of the messages that moved (and at every copy of them), decides by `crm.match`, and puts each into
`account:…`, `waiting:…` and `classify`, lists like any folder: a range scan with a counter. Derived from the mail and
the desk alone: running it twice changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from crmmail.crm import match
from crmmail.crm.match import Choice, Own, People
from crmmail.crm.model import Bound, Owes
from crmmail.model import Change, Headers
from crmmail.store import choices, codec, logbook, outcomes, ties
from crmmail.store.outcomes import Outcome, Spot
from crmmail.store.projection import Projection
from crmmail.store.weighing import Weighing

TALK_LIMIT = 1_000  # messages: a longer conversation is a list's or a machine's, and answers for nobody
_MEMBERS = """SELECT m.id, m.mailbox, m.remote_id, m.thread, m.shown, m.message_id, m.sender_email, m.subject, b.twin,
b.people, b.evidence, b.bound, b.accounts, b.verdict, b.placed, b.flags, b.weighed
FROM json_each(?) j CROSS JOIN message m ON m.{column} = j.value LEFT JOIN bond b ON b.message = m.id
WHERE m.shown IS NOT NULL"""
_UPSERT = """INSERT INTO bond(message, twin, people, evidence, bound, accounts, verdict, placed, flags, weighed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(message) DO UPDATE SET twin = excluded.twin, people = excluded.people,
evidence = excluded.evidence, bound = excluded.bound, accounts = excluded.accounts, verdict = excluded.verdict,
placed = excluded.placed, flags = excluded.flags, weighed = excluded.weighed"""
_UPDATE = """UPDATE bond SET people = ?, evidence = ?, bound = ?, accounts = ?, verdict = ?, placed = ?, flags = ?,
weighed = ? WHERE message = ?"""  # leaves the index of twins alone
Told = Mapping[int, tuple[Headers, Sequence[str]]]
"""Message → its headers and warnings, where the caller has just read them."""
_UNDECIDED = outcomes.outcome(match.Decision(Bound.QUEUED))
_BY_ID = attrgetter("id")


@dataclass(slots=True)
class _Member:
    """A message of a conversation that is looked at."""

    id: int
    mailbox: str
    remote_id: str
    thread: int
    spot: Spot
    message_id: str
    sender: str
    subject: str
    before: tuple[Any, ...] | None  # the row of `bond` as it is, without its message; None: there is none
    twin: int = 0
    people: str = ""
    evidence: str = ""
    weighed: int = 0
    placed: str = ""
    outcome: Outcome = _UNDECIDED


class Binding:
    """Binds messages within one cache transaction. `weighing`: what transactions before it learnt."""

    def __init__(self, connection: sqlite3.Connection, weighing: Weighing | None = None) -> None:
        self._connection = connection
        self._weighing = weighing or Weighing()
        self._weighing.renew(connection)
        self._projection = Projection(connection)
        self._accounts: set[str] = set()
        self._moved: list[int] = []  # messages of which it is new whose they are
        self._talks: set[int] = set()  # the conversations that are looked at as a whole
        self._joined: list[tuple[int, People]] = []
        self.looked: Collection[int] = ()
        """The messages that were looked at for all that was asked of `run`."""

    @cached_property
    def _own(self) -> Own:
        return choices.own(self._connection, self._weighing.setting)

    def run(
        self,
        numbers: Iterable[int],
        *,
        threads: Iterable[int] = (),
        told: Told | None = None,
        afresh: bool = False,
        reread: bool = False,
    ) -> Change:
        """Bind these messages and their conversations anew.

        `told` spares unpacking what was just parsed. Their people are weighed again, `afresh`, though nothing of the
        messages themselves moved (an account did); with `reread`, also who they are (we did).
        """
        members = self._family(numbers, threads)
        if not members:
            return Change()
        self.looked = tuple(members)
        self._weigh(members.values(), told or {}, afresh=afresh, reread=reread)
        copies = self._copies(members)
        ordered = sorted(members.values(), key=_BY_ID)
        talks = _by_thread(ordered)
        self._decide(ordered, talks)
        for group in copies:
            for one, outcome in zip(group, outcomes.agreed([one.outcome for one in group]), strict=True):
                one.outcome = outcome
        self._place(talks, copies)
        self._write(ordered, told or {})
        change = self._projection.finish()
        return Change(folders=change.folders, messages=frozenset(self._moved), accounts=frozenset(self._accounts))

    # who is looked at

    def _family(self, numbers: Iterable[int], threads: Iterable[int]) -> dict[int, _Member]:
        """The messages named, and all of their conversations that are not too long to speak for anybody."""
        wanted = list(numbers)
        rows = self._connection.execute(
            "SELECT m.id, m.thread FROM json_each(?) j CROSS JOIN message m ON m.id = j.value", (json.dumps(wanted),)
        ).fetchall()
        talks = set(self._short({thread for _number, thread in rows} | set(threads)))
        alone = [number for number, thread in rows if thread not in talks]
        return self._load("id", alone) | self._load("thread", list(talks))

    def _short(self, threads: Iterable[int]) -> list[int]:
        """Those of these conversations that are not too long to speak for anybody."""
        rows = self._connection.execute(
            "SELECT j.value, (SELECT count(*) FROM (SELECT 1 FROM message m WHERE m.thread = j.value LIMIT ?)) "
            "FROM json_each(?) j",
            (TALK_LIMIT + 1, json.dumps(list(threads))),
        )
        found = [thread for thread, count in rows if count <= TALK_LIMIT]
        self._talks.update(found)
        return found

    def _load(self, column: str, values: Sequence[int]) -> dict[int, _Member]:
        rows = (
            self._connection.execute(_MEMBERS.format(column=column), (json.dumps(values),)).fetchall() if values else []
        )
        return {row[0]: _member(row) for row in rows}

    def _copies(self, members: dict[int, _Member]) -> list[list[_Member]]:
        """The members there are several copies of; copies in other conversations come in with these."""
        twins = json.dumps(list({one.twin for one in members.values()}))
        query = "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.twin = j.value"
        elsewhere = [row[0] for row in self._connection.execute(query, (twins,)) if row[0] not in members]
        if elsewhere:
            query = "SELECT m.thread FROM json_each(?) j CROSS JOIN message m ON m.id = j.value"
            threads = {row[0] for row in self._connection.execute(query, (json.dumps(elsewhere),))}
            members |= self._load("id", elsewhere) | {
                number: one
                for number, one in self._load("thread", self._short(threads)).items()
                if number not in members
            }
            self._weigh([one for one in members.values() if not one.people], {})
        groups: dict[int, list[_Member]] = defaultdict(list)
        for one in sorted(members.values(), key=_BY_ID):
            groups[one.twin].append(one)
        return [group for group in groups.values() if len(group) > 1]

    # what their people say

    def _weigh(self, members: Iterable[_Member], told: Told, *, afresh: bool = False, reread: bool = False) -> None:
        fresh = []
        for one in members:
            if not one.people or one.id in told or reread:
                self._read(one, told.get(one.id))
                fresh.append(one)
            elif afresh:
                fresh.append(one)
        weighing = self._weighing
        weighing.learn(self._connection, [(one.people, one.subject) for one in fresh])
        for one in fresh:
            one.evidence = weighing.evidence(one.people, one.subject)
            one.weighed = weighing.seen

    def _read(self, one: _Member, told: tuple[Headers, Sequence[str]] | None) -> None:
        """Who takes part in a message; who does is found again by address and domain."""
        if told is None:
            row = self._connection.execute("SELECT packed FROM body WHERE message = ?", (one.id,)).fetchone()
            told = codec.unpack_headers(row[0]) if row else (codec.no_headers(one.subject, "", one.sender)[0], ())
        people = match.read(*told, self._own)
        text = ties.people_text(people)
        if text != one.people:
            if one.people:
                ties.part(self._connection, [(one.id, ties.text_people(one.people))])
            self._joined.append((one.id, people))
        one.people = text
        one.twin = ties.twin(one.mailbox, one.remote_id, one.message_id, one.sender)

    # whose they are

    def _decide(self, members: Iterable[_Member], talks: Iterable[Sequence[_Member]]) -> None:
        said = self._said(members)
        for talk in talks:
            shape = tuple([(one.evidence, one.spot.aside) for one in talk])
            speaks = talk[0].thread in self._talks
            if said:
                of_talk = [said[key] for one in talk if (key := ("t", one.twin)) in said]
                of_messages = [said.get(("m", one.twin), match.NO_CHOICE) for one in talk]
                found = outcomes.decided(shape, speaks=speaks, of_talk=of_talk, of_messages=of_messages)
            else:
                found = outcomes.settled(shape, speaks=speaks)
            for one, outcome in zip(talk, found, strict=True):
                one.outcome = outcome

    def _said(self, members: Iterable[_Member]) -> dict[tuple[str, int], Choice]:
        """What the user said of these messages and conversations, of accounts that exist."""
        if not self._weighing.chosen:
            return {}
        found = choices.of_messages(self._connection, {one.twin for one in members})
        found = {key: choices.lasting(choice, self._weighing.aliases) for key, choice in found.items()}
        there = choices.existing(self._connection, found.values())
        return {key: Choice(choice.yes & there, choice.no) for key, choice in found.items()}

    # where they stand

    def _place(self, talks: Iterable[Sequence[_Member]], copies: Iterable[Sequence[_Member]]) -> None:
        """Each message once in a list, whatever copies of it other mailboxes have: the oldest that is to be seen."""
        for talk in talks:
            for one in talk:
                one.placed = one.outcome.lists if one.spot.visible else ""
            last = _last_word(talk) if talk[0].thread in self._talks else None
            if last is not None and outcomes.owed(last.people) is Owes.WE:
                last.placed = last.outcome.waiting
        for group in copies:
            taken: set[str] = set()
            for one in group:
                wanted = [place for place in one.placed.split(",") if place and place not in taken]
                taken.update(wanted)
                one.placed = ",".join(wanted)

    def _write(self, members: Iterable[_Member], told: Told) -> None:
        new, changed = [], []
        news = []  # it may be for the CRM: a message, or whose it is, is new
        moved: dict[tuple[str, int, str, int], list[int]] = defaultdict(list)
        for one in members:
            before, outcome, flags = one.before, one.outcome, one.spot.flags
            row = (
                one.people, one.evidence, outcome.bound, outcome.accounts, outcome.verdict, one.placed, flags,
                one.weighed,
            )  # fmt: skip
            if before is None or before[0] != one.twin:
                new.append((one.id, one.twin, *row))
            elif row != before[1:]:
                changed.append((*row, one.id))
            if before is None:
                moved["", 0, one.placed, flags].append(one.id)
            elif before[6] != one.placed or before[7] != flags:
                moved[before[6], before[7], one.placed, flags].append(one.id)
            if before is None or before[3] != outcome.bound or before[4] != outcome.accounts:
                self._moved.append(one.id)
                news.append(one)
            elif one.id in told:
                news.append(one)
        self._move(moved)
        if logbook.any_on(self._connection):
            linked = [(one.id,) for one in news if one.outcome.decision.bound is Bound.LINKED]
            self._connection.executemany("INSERT OR IGNORE INTO log_wanted(message) VALUES (?)", linked)
        self._connection.executemany(_UPSERT, new)
        self._connection.executemany(_UPDATE, changed)
        ties.join(self._connection, self._joined)

    def _move(self, moved: Mapping[tuple[str, int, str, int], Sequence[int]]) -> None:
        """Into and out of the lists: messages by (their lists before, flags then, their lists now, flags now)."""
        self._projection.expect("", {place for _before, _was, now, _flags in moved for place in now.split(",")})
        for change, numbers in moved.items():
            for place, was, now in outcomes.moves(*change):
                self._projection.stand(("", place), numbers, was, now)
                if account := place.partition(":")[2]:
                    self._accounts.add(account)


def _member(row: tuple[Any, ...]) -> _Member:
    number, mailbox, remote_id, thread, shown, message_id, sender, subject, twin, people, evidence = row[:11]
    spot = outcomes.spot(mailbox, shown)
    if twin is None:
        return _Member(number, mailbox, remote_id, thread, spot, message_id, sender, subject, None)
    return _Member(
        number, mailbox, remote_id, thread, spot, message_id, sender, subject, row[8:], twin, people, evidence, row[16]
    )


def _by_thread(ordered: Iterable[_Member]) -> list[list[_Member]]:
    """The conversations, the messages of each in the order of `ordered`."""
    found: dict[int, list[_Member]] = defaultdict(list)
    for one in ordered:
        found[one.thread].append(one)
    return list(found.values())


def _last_word(talk: Sequence[_Member]) -> _Member | None:
    """The newest message of a conversation that is a word between us and them, and is to be seen."""
    for one in reversed(talk):
        if one.spot.visible and not one.spot.aside & outcomes.DRAFTS and outcomes.owed(one.people) is not None:
            return one
    return None


def forget(connection: sqlite3.Connection, numbers: Sequence[int]) -> tuple[set[int], Change]:
    """Messages go: out of the lists their bonds put them in. (The copies of them that stay behind, what changed.)"""
    view = Projection(connection)
    given = json.dumps(list(numbers))
    rows = connection.execute(
        "SELECT b.message, b.twin, b.placed, b.flags, b.people FROM json_each(?) j "
        "CROSS JOIN bond b ON b.message = j.value",
        (given,),
    ).fetchall()
    for number, _twin, placed, flags, people in rows:
        for place in filter(None, placed.split(",")):
            view.stand(("", place), [number], flags, None)
        ties.part(connection, [(number, ties.text_people(people))])
    connection.execute("DELETE FROM bond WHERE message IN (SELECT value FROM json_each(?))", (given,))
    left = connection.execute(
        "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.twin = j.value",
        (json.dumps([row[1] for row in rows]),),
    ).fetchall()
    return {row[0] for row in left}, view.finish()


def rebind(connection: sqlite3.Connection, numbers: Iterable[int], threads: Iterable[int] = ()) -> Change:
    """Bind messages again after something of them moved."""
    return Binding(connection).run(numbers, threads=threads)

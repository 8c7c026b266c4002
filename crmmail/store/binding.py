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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmmail.crm import match
from crmmail.crm.match import Choice, Decision, People, Talk
from crmmail.crm.model import Bound, Ignored, Owes, Reason
from crmmail.model import Change, Headers, Role, State
from crmmail.store import choices, codec, logbook, records, ties
from crmmail.store.projection import ALL, Projection, places

TALK_LIMIT = 1_000  # messages: a longer conversation is a list's or a machine's, and answers for nobody
CLASSIFY, WAITING, ACCOUNT = "classify", "waiting:", "account:"
SPAM, TRASH, DRAFTS = Role.SPAM.value, Role.TRASH.value, Role.DRAFTS.value
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


_UNDECIDED = Decision(Bound.QUEUED)


@dataclass(slots=True)
class _Member:
    """A message of a conversation that is looked at."""

    id: int
    mailbox: str
    remote_id: str
    thread: int
    state: State
    message_id: str
    sender: str
    subject: str
    twin: int
    people: str
    evidence: str
    before: tuple[object, ...] | None  # the row of `bond` as it is; None: there is none
    visible: bool  # among all mail: neither trash nor spam, nor gone
    weighed: int
    placed: str = ""
    flags: int = 0
    decision: Decision = _UNDECIDED


class Binding:
    """Binds messages within one cache transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._setting = choices.setting(connection)
        self._own = choices.own(connection, self._setting)
        self._aliases = records.of_kind(connection, records.ALIAS)
        self._chosen = connection.execute("SELECT 1 FROM record WHERE kind = 'choice' LIMIT 1").fetchone() is not None
        self._projection = Projection(connection)
        self._seen = int(next(iter(connection.execute("SELECT seen FROM known")), (0,))[0])
        self._accounts: set[str] = set()
        self._moved: list[int] = []  # messages of which it is new whose they are
        self._talks: set[int] = set()  # the conversations that are looked at as a whole
        self._joined: list[tuple[int, str]] = []

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
        self._weigh(members, told or {}, afresh=afresh, reread=reread)
        by_twin = self._copies(members)
        self._decide(members)
        _agree(by_twin)
        self._place(members, by_twin)
        self._write(members, told or {})
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
        return {row[0]: self._member(row) for row in rows}

    def _member(self, row: Sequence[Any]) -> _Member:
        number, mailbox, remote_id, thread, shown, header, sender, subject, twin, people, evidence = row[:11]
        before = None if twin is None else (twin, people, evidence, *row[11:])
        state = codec.text_state(shown)
        visible = (mailbox, ALL) in places(mailbox, state)
        return _Member(
            number, mailbox, remote_id, thread, state, header, sender, subject, twin or 0,
            people or "", evidence or "", before, visible, row[16] or 0,
        )  # fmt: skip

    # what their people say

    def _weigh(self, members: Mapping[int, _Member], told: Told, *, afresh: bool = False, reread: bool = False) -> None:
        fresh = []
        read: dict[str, People] = {}
        for number, one in members.items():
            if not one.people or number in told or reread:
                people = self._read(one, told.get(number))
                read[one.people] = people
                fresh.append(one)
            elif afresh:
                read[one.people] = ties.text_people(one.people)
                fresh.append(one)
        if not fresh:
            return
        known = choices.known(self._connection, read.values(), self._setting, self._aliases, chosen=self._chosen)
        weighed: dict[tuple[str, str], str] = {}  # the same few people write most of an account's mail
        for one in fresh:
            key = (one.people, one.subject if known.tags else "")
            if key not in weighed:
                weighed[key] = ties.evidence_text(match.weigh(read[one.people], one.subject, known))
            one.evidence = weighed[key]
            one.weighed = self._seen

    def _read(self, one: _Member, told: tuple[Headers, Sequence[str]] | None) -> People:
        """Who takes part in a message; who does is found again by address and domain."""
        if told is None:
            row = self._connection.execute("SELECT packed FROM body WHERE message = ?", (one.id,)).fetchone()
            headers, body = codec.unpack(row[0]) if row else codec.no_headers(one.subject, "", one.sender)
            told = headers, body.flags if body else ()
        people = match.read(*told, self._own)
        text = ties.people_text(people)
        if text != one.people:
            if one.people:
                old = ties.text_people(one.people)
                ties.part(self._connection, [(one.id, email) for email in (*old.first, *old.others)])
            self._joined += [(one.id, email) for email in (*people.first, *people.others)]
        one.people = text
        one.twin = ties.twin(one.mailbox, one.remote_id, one.message_id, one.sender)
        return people

    def _copies(self, members: dict[int, _Member]) -> dict[int, list[_Member]]:
        """The members by what they are copies of; copies in other conversations come in with these."""
        twins = {one.twin for one in members.values()}
        rows = self._connection.execute(
            "SELECT b.message, m.thread FROM json_each(?) j CROSS JOIN bond b ON b.twin = j.value "
            "CROSS JOIN message m ON m.id = b.message",
            (json.dumps(list(twins)),),
        ).fetchall()
        elsewhere = [(number, thread) for number, thread in rows if number not in members]
        if elsewhere:
            members |= self._load("id", [number for number, _thread in elsewhere]) | {
                number: one
                for number, one in self._load("thread", self._short({thread for _n, thread in elsewhere})).items()
                if number not in members
            }
            self._weigh({number: one for number, one in members.items() if not one.people}, {})
        groups: dict[int, list[_Member]] = defaultdict(list)
        for one in sorted(members.values(), key=lambda one: one.id):
            groups[one.twin].append(one)
        return groups

    # whose they are

    def _decide(self, members: Mapping[int, _Member]) -> None:
        said = self._said(members)
        talks: dict[int, list[_Member]] = defaultdict(list)
        for one in sorted(members.values(), key=lambda one: one.id):
            talks[one.thread].append(one)
        for thread in talks.values():
            talk = self._talk(thread, said)
            for one in thread:
                choice = said.get(("m", one.twin), match.NO_CHOICE)
                decision = match.decide(one.id, ties.text_evidence(one.evidence), talk, choice)
                one.decision = _in_place(decision, one.state)

    def _said(self, members: Mapping[int, _Member]) -> dict[tuple[str, int], Choice]:
        """What the user said of these messages and conversations, of accounts that exist."""
        if not self._chosen:
            return {}
        found = choices.of_messages(self._connection, {one.twin for one in members.values()})
        found = {key: choices.lasting(choice, self._aliases) for key, choice in found.items()}
        there = choices.existing(self._connection, found.values())
        return {key: Choice(choice.yes & there, choice.no) for key, choice in found.items()}

    def _talk(self, thread: Sequence[_Member], said: Mapping[tuple[str, int], Choice]) -> Talk:
        address: dict[str, int] = {}
        domain: dict[str, int] = {}
        yes: set[str] = set()
        no: set[str] = set()
        for one in thread:
            if (choice := said.get(("t", one.twin))) is not None:
                yes, no = (yes | choice.yes) - choice.no, (no | choice.no) - choice.yes
            sure = ties.text_evidence(one.evidence).sure
            if sure is not None and not one.state.folders & {SPAM, DRAFTS}:
                (domain if sure.reason is Reason.DOMAIN else address).setdefault(sure.account, one.id)
        if thread[0].thread not in self._talks:
            address, domain = {}, {}
        return Talk(address, domain, Choice(frozenset(yes), frozenset(no)))

    # where they stand

    def _place(self, members: Mapping[int, _Member], by_twin: Mapping[int, Sequence[_Member]]) -> None:
        """Each message once in a list, whatever copies of it other mailboxes have: the oldest that is to be seen."""
        last: dict[int, _Member] = {}
        for one in members.values():
            if (
                one.thread in self._talks
                and one.visible
                and DRAFTS not in one.state.folders
                and one.id > getattr(last.get(one.thread), "id", -1)
                and match.owes(ties.text_people(one.people)) is not None
            ):
                last[one.thread] = one
        for group in by_twin.values():
            taken: set[str] = set()
            for one in group:
                wanted = [place for place in _wanted(one, last.get(one.thread)) if place not in taken]
                taken.update(wanted)
                one.placed = ",".join(wanted)
                one.flags = one.state.unread | one.state.starred << 1

    def _write(self, members: Mapping[int, _Member], told: Told) -> None:
        new, changed = [], []
        self._projection.expect("", {place for one in members.values() for place in one.placed.split(",") if place})
        news = []  # it may be for the CRM: a message, or whose it is, is new
        for one in sorted(members.values(), key=lambda one: one.id):
            said, before = _said(one), one.before
            row = (one.people, one.evidence, *said, ties.verdict_text(one.decision), one.placed, one.flags, one.weighed)
            if before is None or before[0] != one.twin:
                new.append((one.id, one.twin, *row))
            elif row != before[1:]:
                changed.append((*row, one.id))
            if before is None or before[6:8] != (one.placed, one.flags):
                self._move(one)
            if before is None or before[3:5] != said:
                self._moved.append(one.id)
                news.append(one)
            elif one.id in told:
                news.append(one)
        if logbook.any_on(self._connection):
            linked = [(one.id,) for one in news if one.decision.bound is Bound.LINKED]
            self._connection.executemany("INSERT OR IGNORE INTO log_wanted(message) VALUES (?)", linked)
        self._connection.executemany(_UPSERT, new)
        self._connection.executemany(_UPDATE, changed)
        ties.join(self._connection, self._joined)

    def _move(self, one: _Member) -> None:
        before = str(one.before[6]).split(",") if one.before and one.before[6] else []
        after = one.placed.split(",") if one.placed else []
        flags = int(str(one.before[7])) if one.before else 0
        for place in after:
            was = flags if place in before else None
            if was != one.flags:
                self._stands(place, one.id, was, one.flags)
        for place in before:
            if place not in after:
                self._stands(place, one.id, flags, None)

    def _stands(self, place: str, number: int, was: int | None, now: int | None) -> None:
        self._projection.stand(("", place), number, was, now)
        if account := place.partition(":")[2]:
            self._accounts.add(account)


def _said(one: _Member) -> tuple[str, str]:
    return one.decision.bound.value, ",".join(found.account for found in one.decision.matches)


def _wanted(one: _Member, last: _Member | None) -> list[str]:
    if not one.visible:
        return []
    if one.decision.bound is Bound.QUEUED:
        return [CLASSIFY]
    if one.decision.bound is not Bound.LINKED:
        return []
    accounts = [found.account for found in one.decision.matches]
    found = [f"{ACCOUNT}{account}" for account in accounts]
    if last is one and match.owes(ties.text_people(one.people)) is Owes.WE:
        found += [WAITING.rstrip(":"), *(f"{WAITING}{account}" for account in accounts)]
    return found


def _in_place(decision: Decision, state: State) -> Decision:
    """A verdict where the message lies: spam proves nothing; what is thrown away, or not sent yet, asks nothing."""
    by_hand = decision.bound is Bound.LINKED and decision.matches[0].reason is Reason.MANUAL
    if SPAM in state.folders and not by_hand:
        return Decision(Bound.IGNORED, why=Ignored.SPAM)
    if decision.bound is Bound.QUEUED and TRASH in state.folders:
        return Decision(Bound.IGNORED, why=Ignored.TRASH)
    if decision.bound is Bound.QUEUED and DRAFTS in state.folders:
        return Decision(Bound.IGNORED, why=Ignored.DRAFT)
    return decision


def _agree(by_twin: Mapping[int, Sequence[_Member]]) -> None:
    """Copies of one message belong to the same account: what the strongest reason says of any of them."""
    for group in by_twin.values():
        linked = [one.decision for one in group if one.decision.bound is Bound.LINKED]
        if len(group) > 1 and linked:
            best = max(linked, key=lambda decision: decision.matches[0].reason)
            for one in group:
                if one.decision.bound is Bound.QUEUED:
                    one.decision = best


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
            view.stand(("", place), number, flags, None)
        read = ties.text_people(people)
        ties.part(connection, [(number, email) for email in (*read.first, *read.others)])
    connection.execute("DELETE FROM bond WHERE message IN (SELECT value FROM json_each(?))", (given,))
    left = connection.execute(
        "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.twin = j.value",
        (json.dumps([row[1] for row in rows]),),
    ).fetchall()
    return {row[0] for row in left}, view.finish()


def rebind(connection: sqlite3.Connection, numbers: Iterable[int], threads: Iterable[int] = ()) -> Change:
    """Bind messages again after something of them moved."""
    return Binding(connection).run(numbers, threads=threads)

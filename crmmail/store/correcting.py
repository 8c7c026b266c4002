"""The user's word on whose mail is: which records say it, so that it reaches what it was said for and nothing else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from crmmail.crm import domains
from crmmail.crm.match import Choice, People
from crmmail.crm.model import Scope
from crmmail.errors import SettingsError
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.store import choices, records, ties


@dataclass(frozen=True, slots=True)
class Told:
    """A message a correction is about."""

    id: int
    mailbox: str
    remote_id: str
    message_id: str
    thread: int
    subject: str
    twin: int
    people: People


def told(connection: sqlite3.Connection, messages: Sequence[int]) -> list[Told]:
    """These messages, as far as they are here, for a word of the user's on them."""
    rows = connection.execute(
        "SELECT m.id, m.mailbox, m.remote_id, m.message_id, m.thread, m.subject, b.twin, b.people "
        "FROM json_each(?) j CROSS JOIN message m ON m.id = j.value CROSS JOIN bond b ON b.message = m.id "
        "ORDER BY j.key",
        (json.dumps(list(dict.fromkeys(messages))),),
    )
    return [
        Told(number, mailbox, remote_id, header, thread, subject, twin, ties.text_people(people))
        for number, mailbox, remote_id, header, thread, subject, twin, people in rows
    ]


def who(told: Told) -> str:
    """The sender of a message; of one of ours, whom it went to. Raises SettingsError where that is nobody."""
    if not told.people.first:
        raise SettingsError(
            _("Nobody can be told to have sent this message."), next_step=_("Choose the message itself instead.")
        )
    return told.people.first[0]


def domain_of(told: Told) -> str:
    """What the company registered that this is an address of. Raises SettingsError for a domain that many share."""
    domain = domains.registrable(domains.of_address(who(told)))
    if not domain or domains.is_shared(domain):
        raise SettingsError(
            _("Many people have addresses at {domain}: it tells no account.").format(
                domain=domain or clean_line(who(told))
            ),
            next_step=_("Choose the sender instead."),
        )
    return domain


@dataclass(frozen=True, slots=True)
class Correction:
    """The user's word on an account: mail is its (`yes`), or is not. `also`: beside what was said before.

    `earlier`: what the same act has already to write.
    """

    account: str
    yes: bool
    also: bool
    earlier: Mapping[records.Key, str | None] = field(default_factory=dict)

    def edits(
        self, connection: sqlite3.Connection, told: Sequence[Told], scope: Scope
    ) -> dict[records.Key, str | None]:
        """The records to write so that it reaches what it was said for, and nothing else."""
        if scope is Scope.MESSAGE:
            keys = {choices.key("m", one.twin): self._about(one) for one in told}
            return self._written(connection, keys)
        if scope is Scope.THREAD:
            found = self._written(connection, {choices.key("t", one.twin): self._about(one) for one in told})
            return self._cleared(connection, told, found) | found
        prefix, tell = ("a:", who) if scope is Scope.SENDER else ("d:", domain_of)
        found = self._written(connection, {f"{prefix}{tell(one)}": {} for one in told})
        return self._agreeing(connection, told) | found

    def _about(self, one: Told) -> dict[str, object]:
        return {"mailbox": one.mailbox, "remote_id": one.remote_id, "message_id": one.message_id}

    def _said(self, before: Choice) -> Choice:
        only = frozenset({self.account})
        if not self.yes:
            return Choice(before.yes - only, before.no | only)
        return Choice((before.yes | only) if self.also else only, before.no - only)

    def _written(
        self, connection: sqlite3.Connection, keys: Mapping[str, Mapping[str, object]]
    ) -> dict[records.Key, str | None]:
        before = self._before(connection, keys)
        return {
            (records.CHOICE, key): choices.choice_text(self._said(choices.text_choice(before.get(key))), **about)
            for key, about in keys.items()
        }

    def _cleared(
        self, connection: sqlite3.Connection, told: Sequence[Told], kept: Iterable[records.Key]
    ) -> dict[records.Key, str | None]:
        """What was said of these conversations, or of single messages in them, and says otherwise, no longer counts."""
        threads = json.dumps([one.thread for one in told])
        rows = connection.execute(
            "SELECT b.twin FROM json_each(?) j CROSS JOIN message m ON m.thread = j.value "
            "CROSS JOIN bond b ON b.message = m.id",
            (threads,),
        ).fetchall()
        names = {choices.key(scope, row[0]) for row in rows for scope in ("m", "t")} - {key for _kind, key in kept}
        found: dict[records.Key, str | None] = {}
        for key, text in self._before(connection, names).items():
            said = choices.text_choice(text)
            left = self._without(said)
            if left != said:
                found[records.CHOICE, key] = choices.choice_text(left) if left.yes or left.no else None
        return found

    def _without(self, choice: Choice) -> Choice:
        """What is left of an older word where the new one counts."""
        if not self.yes:
            return Choice(choice.yes - {self.account}, choice.no)
        return Choice(choice.yes if self.also else frozenset(), choice.no - {self.account})

    def _agreeing(self, connection: sqlite3.Connection, told: Sequence[Told]) -> dict[records.Key, str | None]:
        """A word on single messages or conversations outranks one on a sender: for these messages it must agree."""
        twins = [one.twin for one in told]
        talks = self._talks_with_a_word(connection, [one.thread for one in told])
        before = self._before(connection, [choices.key("m", twin) for twin in twins])
        found: dict[records.Key, str | None] = {}
        for one in told:
            key = choices.key("m", one.twin)
            if key in before or one.thread in talks:
                said = self._said(choices.text_choice(before.get(key)))
                found[records.CHOICE, key] = choices.choice_text(said, **self._about(one))
        return found

    def _talks_with_a_word(self, connection: sqlite3.Connection, threads: Sequence[int]) -> set[int]:
        rows = connection.execute(
            "SELECT m.thread, b.twin FROM json_each(?) j CROSS JOIN message m ON m.thread = j.value "
            "CROSS JOIN bond b ON b.message = m.id",
            (json.dumps(threads),),
        ).fetchall()
        said = self._before(connection, {choices.key("t", twin) for _thread, twin in rows})
        return {thread for thread, twin in rows if choices.key("t", twin) in said}

    def _before(self, connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, str]:
        """What was said under these keys, in this act or before it."""
        wanted = list(names)
        found: dict[str, str | None] = dict(records.many(connection, records.CHOICE, wanted))
        found |= {name: self.earlier[key] for name in wanted if (key := (records.CHOICE, name)) in self.earlier}
        return {name: text for name, text in found.items() if text is not None}

"""What the people of messages say, by what the desk and the directory know; remembered until either changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from crmmail.crm import match
from crmmail.store import choices, records, ties
from crmmail.store.choices import Setting

REMEMBERED = 20_000  # answers


class Weighing:
    """Serves one transaction, or many that edit nothing themselves: `renew` at the beginning of each."""

    def __init__(self) -> None:
        self.seen = -1
        """The last edit of the desk that the directory knows of."""
        self.setting = Setting()
        self.aliases: Mapping[str, str] = {}
        self.chosen = False
        """Whether the user said anything of any mail."""
        self._newest = -1
        self._tags: tuple[str, ...] = ()
        self._found: dict[str, str] = {}

    def renew(self, connection: sqlite3.Connection) -> None:
        """Forget all when an edit was made, or taken over by the directory, since the last time."""
        newest = records.newest(connection)
        seen = int(next(iter(connection.execute("SELECT seen FROM known")), (0,))[0])
        if (newest, seen) == (self._newest, self.seen):
            return
        self._newest, self.seen = newest, seen
        self.setting = choices.setting(connection)
        self.aliases = records.of_kind(connection, records.ALIAS)
        query = "SELECT 1 FROM record WHERE kind = 'choice' LIMIT 1"
        self.chosen = connection.execute(query).fetchone() is not None
        self._tags = choices.never_lists(connection)[1]
        self._found.clear()

    def learn(self, connection: sqlite3.Connection, asked: Iterable[tuple[str, str]]) -> None:
        """Make sure that `evidence` knows what these (people as stored, subject) say."""
        if len(self._found) > REMEMBERED:
            self._found.clear()
        missing = {key: one for one in asked if (key := self._key(*one)) not in self._found}
        if not missing:
            return
        read = {people: ties.text_people(people) for people, _subject in missing.values()}
        known = choices.known(connection, read.values(), self.setting, self.aliases, chosen=self.chosen)
        for key, (people, subject) in missing.items():
            self._found[key] = ties.evidence_text(match.weigh(read[people], subject, known))

    def evidence(self, people: str, subject: str) -> str:
        """What these people say, as stored, once it was learnt."""
        return self._found[self._key(people, subject)]

    def _key(self, people: str, subject: str) -> str:
        return f"{people}\n{subject}" if self._tags else people  # the same few people write most of an account's mail

"""The store's door for files of accounts and contacts, in and out. `Store` inherits it.

An import is one act, written in chunks so that a key pressed meanwhile need not wait for it. While it runs its act is
`running`: should it break off, or the machine stop, what was written is turned back, in steps as short.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row, Skipped
from crmmail.crm.upsert import Known, Tally, Upsert, normal_name
from crmmail.faultpoint import fault
from crmmail.model import Act
from crmmail.store import cards, records, rematch, turning
from crmmail.store.completion import folded
from crmmail.store.telling import Telling

CHUNK = 25  # rows: written in about 5 ms; a key that writes waits for that much
READ = 500  # accounts of an export
TOLD = 1_000  # skipped rows that are told one by one


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would have done. `act` None: a dry run, or nothing differed."""

    tally: Tally
    skipped: tuple[Skipped, ...]
    skipped_count: int
    act: Act | None


class Importing(Telling):
    """Every method is safe from any thread; what writes is on the disk when it returns."""

    readonly: bool

    def import_rows(
        self,
        rows: Iterable[Row | Skipped],
        title: str,
        *,
        dry_run: bool = False,
        progress: Callable[[int], None] = lambda _rows: None,
    ) -> Imported:
        """Take over the rows of a file as one act, or only tell what it would do. Nothing stays if it breaks off."""
        self.finish_turning()  # what is being undone must be gone before a file is compared with what is there
        upsert = Upsert(self._read(self._known), cards.new_id)
        skipped: list[Skipped] = []
        count = 0
        act: Act | None = None
        try:
            for number, row in enumerate(rows, 1):
                if isinstance(row, Skipped):
                    count += 1
                    skipped += [row] if len(skipped) < TOLD else []
                else:
                    upsert.take(row)
                if number % CHUNK == 0:
                    act = act if dry_run else self._write_chunk(upsert, act, title)
                    progress(number)
            act = act if dry_run else self._write_chunk(upsert, act, title)
        except BaseException:
            if act is not None:
                self._turn_back()
            raise
        if act is not None:
            act = self._finish(act, upsert.tally)
        return Imported(upsert.tally, tuple(skipped), count, act)

    def _write_chunk(self, upsert: Upsert, act: Act | None, title: str) -> Act | None:
        if not upsert.accounts and not upsert.contacts:
            return act
        wanted: dict[records.Key, str | None] = {
            (records.ACCOUNT, uid): cards.account_text(one) for uid, one in upsert.accounts.items()
        }
        wanted |= {(records.CONTACT, uid): cards.contact_text(one) for uid, one in upsert.contacts.items()}
        with self._writing():
            act = self._commit(lambda connection: _chunk(connection, act, title, self._now_ms(), wanted))
            fault("store.imported")
            self._derive()
        self._connections.tidy()
        time.sleep(rematch.PAUSE)
        upsert.accounts.clear()
        upsert.contacts.clear()
        return act

    def _finish(self, act: Act, tally: Tally) -> Act:
        count = tally.accounts_new + tally.accounts_changed + tally.contacts_new + tally.contacts_changed
        with self._writing():
            self._commit(lambda connection: records.finish(connection, act.id, count))
        return replace(act, count=count)

    def _turn_back(self) -> None:
        self._commit(turning.abandon_running)
        self.finish_turning()

    def finish_turning(self) -> None:
        """What is being undone or redone is so when this returns. In short steps: keys go between them."""
        while not self.readonly and self._turn_step():
            pass

    def _known(self, connection: sqlite3.Connection) -> Known:
        """What is there, by what it is found by."""
        known = Known(self.account, self.contact)
        handles = connection.execute(
            "SELECT key, account, contact FROM handle ORDER BY key, account DESC, contact DESC"
        )
        for key, account, contact in handles:
            if key.startswith("@"):
                known.by_domain[key[1:]] = account
            else:
                known.by_email[key] = contact
        for uid, name, tax_id in connection.execute("SELECT uid, name, tax_id FROM account ORDER BY id DESC"):
            known.by_name[normal_name(name)] = uid
            if tax_id:
                known.by_tax_id[tax_id] = uid
        nameless = (
            "SELECT uid, account, name FROM contact c WHERE NOT EXISTS (SELECT 1 FROM handle h WHERE h.contact = c.uid)"
        )
        for uid, account, name in connection.execute(nameless):
            known.by_name[f"{account}\n{normal_name(name)}"] = uid
        return known

    def cards(self) -> Iterator[tuple[Account, Sequence[Contact]]]:
        """Every account with its contacts, by name; then, under an account without a name, the contacts of none."""
        names = self._read(
            lambda connection: connection.execute("SELECT a.uid FROM account a ORDER BY a.sort, a.id").fetchall()
        )
        for start in range(0, len(names), READ):
            yield from self._cards([row[0] for row in names[start : start + READ]])
        alone = self.contacts("")
        if alone:
            yield Account("", ""), alone

    def _cards(self, uids: Sequence[str]) -> list[tuple[Account, Sequence[Contact]]]:
        return self._read(lambda connection: _cards(connection, uids))


def _chunk(
    connection: sqlite3.Connection, act: Act | None, title: str, now_ms: int, wanted: dict[records.Key, str | None]
) -> Act | None:
    if act is None:
        act = records.begin(connection, records.IMPORT, 0, title, now_ms)
        connection.execute("UPDATE act SET state = ? WHERE id = ?", (records.RUNNING, act.id))
    records.write(connection, act.id, wanted)
    return act


def _cards(connection: sqlite3.Connection, uids: Sequence[str]) -> list[tuple[Account, Sequence[Contact]]]:
    found = records.many(connection, records.ACCOUNT, uids)
    people: dict[str, list[Contact]] = {}
    rows = connection.execute(
        "SELECT c.uid FROM json_each(?) j CROSS JOIN contact c ON c.account = j.value", (json.dumps(list(uids)),)
    ).fetchall()
    for uid, text in records.many(connection, records.CONTACT, [row[0] for row in rows]).items():
        one = cards.text_contact(uid, text)
        people.setdefault(one.account, []).append(one)
    by_name = {uid: sorted(ones, key=lambda one: (folded(one.name), one.id)) for uid, ones in people.items()}
    return [(cards.text_account(uid, found[uid]), by_name.get(uid, ())) for uid in uids if uid in found]

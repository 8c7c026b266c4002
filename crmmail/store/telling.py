"""The store's door to the CRMs: what they told us, what we may tell them and what became of it. `Store` inherits it.

Nothing leaves for a CRM but what `claim_log` hands out, and nothing gets there but through `crm.fence`.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from crmmail.crm import dropbox, fence
from crmmail.crm.model import (
    CrmAck,
    CrmCapabilities,
    CrmOp,
    LogEntry,
    LogSetting,
    LogState,
    NewAccount,
    NewContact,
    Scope,
    Unlogged,
)
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.model import Act, Change, Draft
from crmmail.store import cards, choices, correcting, directory, logbook, mirrored, records
from crmmail.store.beside import Beside
from crmmail.store.logbook import Op

WANTED_AT_ONCE = 100


class Telling(Beside):
    """Every method is safe from any thread; what writes is on the disk when it returns."""

    # connected CRMs

    def register_crm(self, name: str, capabilities: CrmCapabilities) -> None:
        """A CRM is connected, or can other things than before."""
        text = json.dumps({one: getattr(capabilities, one) for one in CrmCapabilities.__dataclass_fields__})
        with self._writing():
            if self._commit(lambda connection: records.write(connection, 0, {(records.CONNECTED, name): text})):
                self._gather(Change(crm=True))

    def unregister_crm(self, name: str) -> None:
        """A CRM is no longer connected: what it told stays, what waited for it is given up."""
        with self._writing():
            self._commit(lambda connection: mirrored.end_all(connection, [name]))
            self._gather(Change(crm=True))

    def crms(self) -> dict[str, CrmCapabilities]:
        """The connected CRMs and what they can do."""
        found = self._read(lambda connection: records.of_kind(connection, records.CONNECTED))
        return {name: CrmCapabilities(**json.loads(text)) for name, text in found.items()}

    # what the user chose

    def log_setting(self, *, mailbox: str = "", account: str = "") -> LogSetting:
        """What was chosen to be logged of a mailbox's or an account's mail."""
        return self._read(lambda connection: logbook.setting(connection, _of(mailbox, account)))

    def set_log_setting(self, said: LogSetting, *, mailbox: str = "", account: str = "") -> Act | None:
        """Choose what is logged of a mailbox's or an account's mail, from now on."""
        of = _of(mailbox, account)
        begun = self._read(lambda connection: logbook.since(connection, of)) or self._now_ms()
        text = logbook.setting_text(said, begun if said.on else 0)
        return self._records_deed(records.SET, 1, "", {(records.SETTING, f"log:{of}"): text})

    def set_private(self, messages: Iterable[int], private: bool = True, scope: Scope = Scope.MESSAGE) -> Act | None:
        """Keep messages, or their conversations, from every CRM (or no longer)."""
        wanted = list(messages)
        edits = self._read(lambda connection: _private(connection, wanted, private, scope))
        return self._records_deed(records.HIDE, len(wanted), "", edits)

    def is_private(self, message: int, scope: Scope = Scope.MESSAGE) -> bool:
        """Whether a message is kept from every CRM, by itself or with its conversation; or the conversation is."""
        asked = logbook.is_talk_private if scope is Scope.THREAD else logbook.is_private
        return self._read(
            lambda connection: any(asked(connection, letter) for letter in logbook.letters(connection, [message]))
        )

    # where messages stand

    def log_states(self, messages: Iterable[int]) -> dict[int, LogState]:
        """Where each of these messages stands with the CRM, and why not."""
        wanted = list(messages)
        return self._read(lambda connection: logbook.states(connection, wanted))

    def log_preview(self, message: int, account: str = "") -> tuple[LogState | None, LogEntry | None]:
        """(where a message stands, exactly what the CRM would be told of it; None: it would not be told). Where several
        accounts are possible: on `account`, or the one it was queued for."""
        return self._read(lambda connection: _preview(connection, message, account))

    def log_queue(self, limit: int = 200) -> list[Op]:
        """What waits, asks or failed, and what was told last; the newest first."""
        found = self._read(lambda connection: logbook.ops(connection, "state != 'cancelled'", ()))
        return sorted(found, key=lambda op: (op.state == logbook.LOGGED, -op.id))[:limit]

    def message_of_log(self, op: int) -> int:
        """The message, or a copy of it, that an op tells of; 0 where it is none, or no longer here."""
        return self._read(lambda connection: logbook.message_of(connection, op))

    # asking for it

    def log_step(self) -> bool:
        """Queue what is new and chosen to be logged; False when nothing is left to look at. For the sync side."""
        with self._writing():
            numbers = self._read(_log_wanted)
            if not numbers:
                return False
            queued = self._commit(lambda connection: _queue_new(connection, numbers))
            fault("store.logged")
            self._commit(lambda connection: _no_longer_wanted(connection, numbers))
            self._gather(Change(crm=bool(queued), messages=frozenset(queued)))
        return True

    def log_now(self, messages: Iterable[int], account: str = "") -> list[LogState]:
        """The user asks to log these messages; where several accounts are possible, to `account`. How they stand."""
        wanted = list(messages)
        with self._writing():
            queued = self._commit(lambda connection: _queue_asked(connection, wanted, account))
            self._gather(Change(crm=bool(queued), messages=frozenset(queued)))
        return list(self.log_states(wanted).values())

    def retry_log(self, op: int) -> None:
        """Try again what failed."""
        self._log_deed(
            "UPDATE crm_op SET state = 'queued', not_before = 0, error = '' WHERE id = ? AND state = 'failed'", op
        )

    def cancel_log(self, op: int) -> None:
        """Give up what has not been told yet."""
        self._log_deed(
            "UPDATE crm_op SET state = 'cancelled' WHERE id = ? AND state IN ('queued', 'failed', 'ask')", op
        )

    def _log_deed(self, statement: str, op: int) -> None:
        with self._writing():
            self._commit(lambda connection: connection.execute(statement, (op,)))
            self._gather(Change(crm=True))

    def takes_copy(self, draft: Draft) -> bool:
        """Whether a CRM with a dropbox address is to get a copy of this message, as chosen and as the fence allows."""
        return self._read(lambda connection: _takes_copy(connection, draft))

    def push_account(self, account: str, crm: str) -> bool:
        """Have an account that exists only here, and its contacts, created in a CRM. False: nothing is to be done."""
        with self._writing():
            queued = self._commit(lambda connection: _queue_account(connection, account, crm))
            self._gather(Change(crm=queued))
        return queued

    # the sync side

    def claim_log(self, crm: str, limit: int = 50) -> list[CrmOp]:
        """What a CRM is to be told next, oldest first; it counts as on its way when this returns.

        The fence is passed once more: what was made private meanwhile is given up, what was bound to another account
        meanwhile asks.
        """
        with self._writing():
            where = "crm = ? AND state = 'queued' AND not_before <= ?"
            due = self._read(lambda connection: logbook.ops(connection, where, (crm, self._clock())))[:limit]
            built = self._read(lambda connection: [(op, _built(connection, op)) for op in due])
            self._commit(lambda connection: _claim(connection, built))
            fault("store.log_claimed")
            self._gather(Change(crm=bool(built)))
        return [found for _op, found in built if isinstance(found, LogEntry | NewAccount | NewContact)]

    def acknowledge_log(self, crm: str, acks: Iterable[CrmAck]) -> None:
        """Take over a CRM's answers: told, or refused for good."""
        heard = list(acks)
        with self._writing():
            accounts = self._commit(lambda connection: _acknowledge(connection, crm, heard))
            self._derive()
            self._gather(Change(crm=True, accounts=accounts))

    def defer_log(self, crm: str, not_before: float, sentence: str) -> None:
        """What was on its way to a CRM waits until `not_before` (seconds since the epoch)."""
        with self._writing():
            self._commit(
                lambda connection: connection.execute(
                    "UPDATE crm_op SET state = 'queued', not_before = ?, error = ? WHERE crm = ? AND state = 'sending'",
                    (not_before, sentence, crm),
                )
            )
            self._gather(Change(crm=True))

    def log_waiting(self, crm: str) -> tuple[int, float]:
        """(how many ops wait for a CRM, when the next is due: seconds since the epoch, infinite for none)."""
        query = "SELECT count(*), min(not_before) FROM crm_op WHERE state IN ('queued', 'sending') AND crm = ?"
        count, due = self._read(lambda connection: connection.execute(query, (crm,)).fetchone())
        return int(count), math.inf if due is None else float(due)

    def release_log(self, crm: str) -> None:
        """Nothing is on its way to a CRM any more: what was, waits again (telling is idempotent)."""
        self.defer_log(crm, 0.0, "")


def _of(mailbox: str, account: str) -> str:
    return f"account:{account}" if account else f"mailbox:{mailbox}"


def _private(
    connection: sqlite3.Connection, messages: list[int], private: bool, scope: Scope
) -> dict[records.Key, str | None]:
    """Records that keep messages from the CRMs; taking it back for one takes its conversation's word back too."""
    told = correcting.told(connection, messages)
    letter = "t" if scope is Scope.THREAD else "m"
    keys = {choices.key(letter, one.twin) for one in told}
    if private:
        return {(records.PRIVATE, key): json.dumps({}) for key in keys}
    rows = connection.execute(
        "SELECT b.twin FROM json_each(?) j CROSS JOIN message m ON m.thread = j.value "
        "CROSS JOIN bond b ON b.message = m.id",
        (json.dumps([one.thread for one in told]),),
    )
    keys |= {choices.key("t", row[0]) for row in rows}
    if scope is Scope.THREAD:
        keys |= {choices.key("m", one.twin) for one in told}
    return {(records.PRIVATE, key): None for key in keys}


def _preview(connection: sqlite3.Connection, message: int, wanted: str) -> tuple[LogState | None, LogEntry | None]:
    state = logbook.states(connection, [message]).get(message)
    wanted = wanted or (state.account if state else "")
    for letter in logbook.letters(connection, [message]):
        if wanted in letter.accounts:
            letter = replace(letter, accounts=(wanted,))
        said = logbook.rules(connection)
        connected = frozenset(records.keys(connection, records.CONNECTED))
        why, account = logbook.why_not(connection, letter, said, connected, asked=True)
        told = logbook.content(connection, letter)
        if why is None and account is not None and told is not None:
            crm = logbook.told_to(account, connected)
            return state, logbook.entry(connection, letter, told, account, crm, said)
    return state, None


def _takes_copy(connection: sqlite3.Connection, draft: Draft) -> bool:
    if dropbox.NAME not in records.keys(connection, records.CONNECTED):
        return False
    account = directory.account(connection, draft.account or _account_written_to(connection, draft))
    if account is None or any(
        logbook.is_private(connection, one) for one in logbook.letters(connection, [draft.parent])
    ):
        return False
    mailbox = logbook.setting(connection, f"mailbox:{draft.mailbox}")
    choice = fence.chosen(mailbox, logbook.setting(connection, f"account:{account.id}"))
    told = dropbox.headers(draft)
    return dropbox.allowed(choice, draft) and fence.refusal(told, (), frozenset(), logbook.rules(connection)) is None


def _account_written_to(connection: sqlite3.Connection, draft: Draft) -> str:
    """The one account the recipients belong to, '' for none or several."""
    people = [one.email for one in (*draft.to, *draft.cc) if one.email]
    found = {one.account for one in directory.writers(connection, people)} - {""}
    return found.pop() if len(found) == 1 else ""


def _log_wanted(connection: sqlite3.Connection) -> list[int]:
    rows = connection.execute("SELECT message FROM log_wanted ORDER BY message LIMIT ?", (WANTED_AT_ONCE,))
    return [row[0] for row in rows]


def _no_longer_wanted(connection: sqlite3.Connection, numbers: list[int]) -> None:
    connection.executemany("DELETE FROM log_wanted WHERE message = ?", [(number,) for number in numbers])


def _queue_new(connection: sqlite3.Connection, numbers: list[int]) -> list[int]:
    """Queue those of these messages that the user chose to have logged. Those."""
    said, connected = logbook.rules(connection), frozenset(records.keys(connection, records.CONNECTED))
    queued = []
    for letter in logbook.letters(connection, numbers):
        why, account = logbook.why_not(connection, letter, said, connected)
        if why is None and account is not None:
            crm = logbook.told_to(account, connected)
            waits = logbook.ops(connection, "crm = ? AND key = ?", (crm, f"{logbook.LOG}{letter.message_id}"))
            if not waits:  # what was given up or failed is not asked for again by itself
                logbook.put(
                    connection,
                    crm,
                    f"{logbook.LOG}{letter.message_id}",
                    account.id,
                    letter.subject,
                    letter.twin,
                )
                queued.append(letter.id)
    return queued


def _queue_asked(connection: sqlite3.Connection, numbers: list[int], account: str) -> list[int]:
    said, connected = logbook.rules(connection), frozenset(records.keys(connection, records.CONNECTED))
    queued = []
    for letter in logbook.letters(connection, numbers):
        if account and account in letter.accounts:
            letter = replace(letter, accounts=(account,))
        why, found = logbook.why_not(connection, letter, said, connected, asked=True)
        if why is None and found is not None:
            key = f"{logbook.LOG}{letter.message_id}"
            if logbook.put(connection, logbook.told_to(found, connected), key, found.id, letter.subject, letter.twin):
                queued.append(letter.id)
    return queued


def _queue_account(connection: sqlite3.Connection, uid: str, crm: str) -> bool:
    account = directory.account(connection, uid)
    if account is None or account.crm or not records.get(connection, records.CONNECTED, crm):
        return False
    queued = logbook.put(connection, crm, f"{logbook.ACCOUNT}{account.id}", account.id, account.name)
    for one in directory.contacts(connection, account.id):
        if not one.crm:
            queued |= logbook.put(connection, crm, f"{logbook.CONTACT}{one.id}", account.id, one.name)
    return queued


_Built = CrmOp | tuple[str, str] | None
"""What to tell; or (the state it goes to instead, why); or None: it waits for something else first."""


def _built(connection: sqlite3.Connection, op: Op) -> _Built:
    account = directory.account(connection, op.account)
    if account is None:
        return logbook.CANCELLED, _("The account is no longer here.")
    if op.key.startswith(logbook.ACCOUNT):
        return NewAccount(account) if not account.crm else (logbook.LOGGED, "")
    if op.key.startswith(logbook.CONTACT):
        contact = directory.contact(connection, op.key.removeprefix(logbook.CONTACT))
        if contact is None:
            return logbook.CANCELLED, _("The contact is no longer here.")
        return NewContact(contact, account.remote_id) if account.crm == op.crm else None
    return _built_entry(connection, op)


def _built_entry(connection: sqlite3.Connection, op: Op) -> _Built:
    rows = connection.execute("SELECT message FROM bond WHERE twin = ? ORDER BY message", (op.twin,)).fetchall()
    found = logbook.letters(connection, [row[0] for row in rows])
    letter = next((one for one in found if one.whole), found[0] if found else None)
    if letter is None:
        return logbook.CANCELLED, _("The message is no longer here.")
    account = directory.account(connection, op.account)
    connected = frozenset(records.keys(connection, records.CONNECTED))
    if account is None or account.id not in letter.accounts or logbook.told_to(account, connected) != op.crm:
        return logbook.ASK, _("It was given to another account while it waited.")
    said = logbook.rules(connection)
    told = logbook.content(connection, letter)
    against = logbook.refusal(connection, letter, told, said)
    if against is Unlogged.NOT_HERE:
        return None
    if against is not None or told is None:
        return logbook.CANCELLED, ""
    return logbook.entry(connection, letter, told, account, op.crm, said)


def _claim(connection: sqlite3.Connection, built: list[tuple[Op, _Built]]) -> None:
    for op, found in built:
        if isinstance(found, tuple):
            logbook.note(connection, [op.id], found[0], error=found[1])
        elif found is not None:
            logbook.note(connection, [op.id], logbook.SENDING, attempts=op.attempts + 1, error="")


def _acknowledge(connection: sqlite3.Connection, crm: str, acks: list[CrmAck]) -> frozenset[str]:
    """Note the answers; the accounts concerned."""
    waiting = {op.key: op for op in logbook.ops(connection, "crm = ? AND state = 'sending'", (crm,))}
    accounts = set()
    for ack in acks:
        names = (f"{prefix}{ack.key}" for prefix in (logbook.LOG, logbook.ACCOUNT, logbook.CONTACT))
        op = next((waiting[name] for name in names if name in waiting), None)
        if op is None:
            continue
        accounts.add(op.account)
        if ack.error is not None:
            logbook.note(connection, [op.id], logbook.FAILED, error=str(ack.error))
            continue
        logbook.note(connection, [op.id], logbook.LOGGED, remote=ack.remote_id, error="")
        _named(connection, crm, op, ack.remote_id)
    return frozenset(accounts)


def _named(connection: sqlite3.Connection, crm: str, op: Op, remote_id: str) -> None:
    """What was created in the CRM is known there now."""
    if op.key.startswith(logbook.ACCOUNT):
        account = directory.account(connection, op.account)
        if account is not None:
            text = cards.account_text(replace(account, crm=crm, remote_id=remote_id))
            records.write(connection, 0, {(records.ACCOUNT, account.id): text})
    elif op.key.startswith(logbook.CONTACT):
        contact = directory.contact(connection, op.key.removeprefix(logbook.CONTACT))
        if contact is not None:
            text = cards.contact_text(replace(contact, crm=crm, remote_id=remote_id))
            records.write(connection, 0, {(records.CONTACT, contact.id): text})

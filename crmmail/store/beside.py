"""The store's door for what stands beside a message, and for an account seen as a whole. `Store` inherits it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from crmmail.crm.model import AccountRow, Briefing, Figures, LogState, LogStatus, TimelineEntry, Unlogged
from crmmail.faultpoint import fault
from crmmail.model import Change
from crmmail.store import briefing, diary, directory
from crmmail.store.mirror import Mirroring

TIMELINE = 500


class Beside(Mirroring):
    """Every method is safe from any thread and reads local data only."""

    def briefing(self, message: int) -> Briefing:
        """Everything the panel beside a message shows, in a few milliseconds."""
        verdict = self.verdict(message)
        log = self.log_states([message]).get(message) or LogState(message, LogStatus.NOT_LOGGED, Unlogged.NOT_HERE)
        uid = verdict.links[0].account if verdict.links else ""
        return self._read(lambda connection: self._brief(connection, Briefing(message, verdict, log), uid))

    def _brief(self, connection: sqlite3.Connection, begun: Briefing, uid: str) -> Briefing:
        addresses, owes, since_ms = briefing.talk(connection, begun.message)
        account = directory.account(connection, uid) if uid else None
        contacts, strangers = briefing.present(connection, uid, addresses)
        seen = briefing.exchange(connection, uid) if account else briefing.Exchange()
        total, unread, waiting = briefing.counts(connection, uid) if account else (0, 0, 0)
        return Briefing(
            begun.message,
            begun.verdict,
            begun.log,
            account=account,
            contacts=contacts,
            strangers=strangers,
            received=seen.received,
            sent=seen.sent,
            owes=owes,
            since_ms=since_ms,
            drafts=briefing.drafts_for(connection, account, [one for person in contacts for one in person.addresses]),
            files=seen.files,
            identities=seen.identities,
            total=total,
            unread=unread,
            waiting=waiting,
        )

    def log_states(self, messages: Iterable[int]) -> dict[int, LogState]:
        """What became of logging each of these messages, and why not."""
        raise NotImplementedError

    def account_figures(self, account: str) -> Figures:
        """Mail a week and response times of half a year."""
        return self._read(
            lambda connection: briefing.figures(connection, directory.resolve(connection, account), self._now_ms())
        )

    def timeline(self, account: str, limit: int = TIMELINE) -> list[TimelineEntry]:
        """Our mail with an account and what its CRM told of it, newest first."""
        return self._read(
            lambda connection: briefing.timeline(connection, directory.resolve(connection, account), limit)
        )

    def keep_timeline(self, account: str, entries: Iterable[TimelineEntry]) -> None:
        """Take over what the CRM tells of an account, in the place of what it told before."""
        told = list(entries)
        with self._writing():
            self._commit(lambda connection: briefing.keep_timeline(connection, account, told, self._now_ms()))
            self._gather(Change(accounts=frozenset({account})))

    def keep_entry(self, account: str, told: TimelineEntry) -> str:
        """Log what happened with an account on this computer, once for each message: its id. '' : no such account."""
        with self._writing():
            found = self._read(lambda connection: directory.account(connection, account))
            if found is None:
                return ""
            number, new = self._commit(lambda connection: diary.keep(connection, found.id, told))
            fault("store.kept")
            self._gather(Change(accounts=frozenset({found.id}) if new else frozenset()))
        return number

    def kept_entries(self, account: str) -> list[TimelineEntry]:
        """What was logged of an account on this computer, newest first."""
        return self._read(lambda connection: diary.entries(connection, directory.resolve(connection, account)))

    def similar_accounts(self, account: str) -> list[AccountRow]:
        """Accounts that may be the same customer: a domain, tax id, address or name in common. To be merged, or not."""
        return self._read(lambda connection: directory.similar(connection, account))

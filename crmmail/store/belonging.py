"""The store's door for whose mail is: links, verdicts, corrections, the rules behind them. `Store` inherits it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from crmmail.crm import domains, match
from crmmail.crm.model import Bound, Link, Never, NeverBy, Scope, Verdict
from crmmail.errors import SettingsError
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Act
from crmmail.store import choices, correcting, directory, records, rematch, ties, turning
from crmmail.store.choices import Setting
from crmmail.store.correcting import Correction, Told
from crmmail.store.customers import Customers
from crmmail.store.rematch import Progress


class Belonging(Customers):
    """Every method is safe from any thread; what writes is on the disk when it returns."""

    # reading

    def verdict(self, message: int) -> Verdict:
        """What is known of a message's account; one that is not here counts as queued, without candidates."""
        return self.verdicts([message]).get(message, Verdict(Bound.QUEUED))

    def verdicts(self, messages: Iterable[int]) -> dict[int, Verdict]:
        """What is known of each of these messages that is here."""
        wanted = list(messages)
        return self._read(lambda connection: _verdicts(connection, wanted))

    def links(self, messages: Iterable[int]) -> list[Link]:
        """The links of these messages."""
        return [link for verdict in self.verdicts(messages).values() for link in verdict.links]

    def candidates(self, message: int) -> tuple[Link, ...]:
        """The accounts a queued message may belong to, best first; empty when nobody on it is known."""
        return self.verdict(message).candidates

    def bound_counts(self) -> dict[Bound, int]:
        """How many messages are linked, ignored and queued: together all there are."""
        query = (
            "SELECT coalesce(b.bound, 'queued'), count(*) FROM message m LEFT JOIN bond b ON b.message = m.id "
            "WHERE m.shown IS NOT NULL GROUP BY 1"
        )
        found = dict(self._read(lambda connection: connection.execute(query).fetchall()))
        return {bound: found.get(bound.value, 0) for bound in Bound}

    def next_account_with_unread(self, after: str = "", *, back: bool = False) -> str | None:
        """The account with unread mail that follows `after` by name (comes before it: `back`), round at the end."""
        return self._read(lambda connection: _next_unread(connection, after, back=back))

    # correcting

    def link(
        self, messages: Iterable[int], account: str, scope: Scope = Scope.MESSAGE, *, also: bool = False
    ) -> Act | None:
        """Say that mail belongs to an account: these messages, their conversations, all mail of their senders or of
        these senders' domains; exactly that, and lasting: no match overrules it.

        `also` keeps what was said before instead of replacing it. Raises SettingsError for an unknown account, and
        for a domain that many share.
        """
        found = self.account(account)
        if found is None:
            raise SettingsError(_("There is no such account."), next_step=_("Choose one from the list of accounts."))
        return self._correct({found.id: list(messages)}, scope, records.LINK, yes=True, also=also)

    def unlink(self, messages: Iterable[int], account: str = "", scope: Scope = Scope.MESSAGE) -> Act | None:
        """Say that mail does not belong to an account ('': each of these messages to those it is linked to), as one
        act; no match brings it back.
        """
        wanted = list(messages)
        if account:
            uid = self._read(lambda connection: directory.resolve(connection, account))
            return self._correct({uid: wanted}, scope, records.UNLINK, yes=False, also=False)
        linked: dict[str, list[int]] = {}
        for link in self.links(wanted):
            linked.setdefault(link.account, []).append(link.message)
        return self._correct(linked, scope, records.UNLINK, yes=False, also=False)

    def _correct(
        self, of: Mapping[str, Sequence[int]], scope: Scope, kind: str, *, yes: bool, also: bool
    ) -> Act | None:
        """The user's word on messages of each of these accounts."""
        edits: dict[records.Key, str | None] = {}
        titles: dict[int, str] = {}
        for account, numbers in of.items():
            found, more = self._read(partial(_corrected, Correction(account, yes, also, dict(edits)), numbers, scope))
            edits |= more
            titles |= {one.id: one.subject for one in found}
        title = next(iter(titles.values())) if len(titles) == 1 else ""
        return self._records_deed(kind, len(titles), title, edits)

    # never

    def nevers(self) -> list[Never]:
        """The senders, domains and subject tags whose mail is never bound and never logged."""
        by = {"a": NeverBy.ADDRESS, "d": NeverBy.DOMAIN, "t": NeverBy.TAG}
        names = self._read(lambda connection: records.keys(connection, records.NEVER))
        return [Never(by[name[0]], name[2:]) for name in sorted(names) if name[0] in by]

    def never(self, by: NeverBy, value: str) -> Act | None:
        """Never bind, and never log, mail of this sender, domain, or with this tag in its subject."""
        key = _never_key(by, value)
        return self._records_deed(records.NEVER_AGAIN, 1, key[2:], {(records.NEVER, key): json.dumps({})})

    def allow(self, by: NeverBy, value: str) -> Act | None:
        """Take a never-rule back."""
        key = _never_key(by, value)
        return self._records_deed(records.NEVER_AGAIN, 1, key[2:], {(records.NEVER, key): None})

    def counterpart(self, message: int) -> str:
        """Whom a word on the sender of a message is about: its sender, or whom our side wrote to; '' for nobody."""
        found = self._read(lambda connection: correcting.told(connection, [message]))
        return next((email for one in found for email in one.people.first), "")

    def never_for(self, message: int, by: NeverBy) -> Act | None:
        """The same for the sender of a message (whom we sent it to), or their domain."""
        found = self._read(lambda connection: correcting.told(connection, [message]))
        if not found:
            return None
        tell = correcting.who if by is NeverBy.ADDRESS else correcting.domain_of
        return self.never(by, tell(found[0]))

    # who we are

    def ourselves(self) -> Setting:
        """Our own domains besides those of the mailboxes, hosts that many share, whether internal mail is logged."""
        return self._read(choices.setting)

    def set_ourselves(self, said: Setting) -> Act | None:
        """Say who we are. All mail is looked at again in the background."""
        kept = replace(
            said,
            domains=frozenset(filter(None, map(domains.normal, said.domains))),
            shared=frozenset(filter(None, map(domains.normal, said.shared))),
        )
        wanted = {(records.SETTING, choices.OWN): choices.setting_text(kept)}
        return self._records_deed(records.SET, 1, "", wanted)

    # the mail that was here before

    def rematch_step(self, limit: int | None = None) -> bool:
        """Go on with what a large undo left to do; then look at the next messages whose accounts may have changed (as
        many as 4 ms allow, unless told how many). False when nothing is left. For the sync side.
        """
        if self._turn_step():
            return True
        pace = self._pace
        pace.plan = self._read(lambda connection: rematch.plan(connection, pace.plan))
        with self._writing():
            began = time.perf_counter()
            change = self._commit(lambda connection: rematch.step(connection, limit, pace))
            if change is not None:
                self._gather(change)
                pace.took(time.perf_counter() - began)
        self._connections.tidy()
        if self._connections.lock.wanted:
            time.sleep(rematch.PAUSE)
        return change is not None

    def _turn_step(self) -> bool:
        if not self._read(turning.under_way):
            return False
        with self._writing():
            self._commit(turning.step)
            fault("store.turned")
            self._derive()
        self._connections.tidy()
        time.sleep(rematch.PAUSE)
        return True

    def rematching(self) -> Progress:
        """How far looking at mail again is."""
        return self._read(rematch.progress)


# reading


def _verdicts(connection: sqlite3.Connection, messages: Sequence[int]) -> dict[int, Verdict]:
    rows = connection.execute(
        "SELECT b.message, b.bound, b.verdict FROM json_each(?) j CROSS JOIN bond b ON b.message = j.value "
        "ORDER BY j.key",
        (json.dumps(messages),),
    ).fetchall()
    decided = {number: ties.text_verdict(bound, text) for number, bound, text in rows}
    names = directory.names(connection, {one.account for found in decided.values() for one in found.matches})
    return {number: _verdict(number, decision, names) for number, decision in decided.items()}


def _verdict(number: int, decision: match.Decision, names: Mapping[str, str]) -> Verdict:
    found = tuple(
        Link(number, one.account, names[one.account], one.reason, one.detail)
        for one in decision.matches
        if one.account in names
    )
    linked = decision.bound is Bound.LINKED
    return Verdict(decision.bound, found if linked else (), decision.why, () if linked else found)


def _next_unread(connection: sqlite3.Connection, after: str, *, back: bool) -> str | None:
    rows = connection.execute(
        "SELECT a.sort, a.id, a.uid FROM folder f JOIN account a ON a.uid = substr(f.key, 9) "
        "WHERE f.mailbox = '' AND f.key >= 'account:' AND f.key < 'account;' AND f.unread > 0 ORDER BY a.sort, a.id"
    ).fetchall()
    if not rows:
        return None
    start = connection.execute("SELECT sort, id FROM account WHERE uid = ?", (after,)).fetchone()
    if start is None:
        return str(rows[-1 if back else 0][2])
    here = tuple(start)
    if back:
        before = [row for row in rows if row[:2] < here]
        return str((before or rows)[-1][2])
    return str(next((row for row in rows if row[:2] > here), rows[0])[2])


def _corrected(
    correction: Correction, messages: Sequence[int], scope: Scope, connection: sqlite3.Connection
) -> tuple[list[Told], dict[records.Key, str | None]]:
    """(the messages a correction is about, the records that say it)."""
    found = correcting.told(connection, messages)
    return found, correction.edits(connection, found, scope)


def _never_key(by: NeverBy, value: str) -> str:
    plain = clean_line(value).strip().lower()
    if by is NeverBy.DOMAIN:
        plain = domains.normal(plain)
    if not plain or (by is NeverBy.ADDRESS and "@" not in plain.strip("@")):
        raise SettingsError(
            _("“{value}” is no sender, domain or subject tag.").format(value=clean_line(value)),
            next_step=_("Write an address, a domain, or the words the subject holds."),
        )
    return {NeverBy.ADDRESS: "a:", NeverBy.DOMAIN: "d:", NeverBy.TAG: "t:"}[by] + plain.casefold()

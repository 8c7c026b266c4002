"""The composer's field Accounts: the account a message is for, found as one types, or made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual import events, on
from textual.message import Message

from crmmail.crm.model import Account, AccountRow, Contact
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Address, Draft, Query
from crmmail.tui import format
from crmmail.tui.account_acts import AccountActs
from crmmail.tui.account_commands import EVERYWHERE
from crmmail.tui.composer_base import Composer
from crmmail.tui.recipients import PARTS, Recipients

OFFERED = 7  # accounts, and the new one
NOWHERE = " "  # in place of an address, where there is no domain to show


def _only_account(people: Sequence[Address], known: Mapping[str, Sequence[Contact]]) -> str:
    """The id of the one account that all who are a contact among `people` write for; '' when there is none."""
    asked = [{one.account for one in known.get(person.email.lower(), ())} for person in people]
    accounts = [some for some in asked if some]
    common = set.intersection(*accounts) if accounts else set()
    return common.pop() if len(common) == 1 else ""


class AccountField(Recipients):
    """One account, or none. Typing looks for it; the last suggestion makes a new one of what was typed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"people--{name}" for name in PARTS}

    class Asked(Message):
        """The user wants a new account of this name."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Chosen(Message):
        """Another account, or none."""

    def __init__(self, find: Callable[[str], Sequence[AccountRow]], *, id: str) -> None:
        super().__init__(self._found, id=id)
        self.find = find
        self.account = ""  # its id
        self.rows: list[AccountRow] = []

    def _found(self, text: str) -> list[Address]:
        self.rows = list(self.find(text))[:OFFERED]
        offers = [Address(row.name, row.domain or NOWHERE) for row in self.rows]
        fresh = _("New account: {name}").format(name=text)
        return [*offers, Address(f"+ {fresh}", NOWHERE)]

    def put_account(self, account: Account | None) -> None:
        """Show an account, without a word to anybody."""
        self.account = account.id if account else ""
        self.put([Address(account.name, account.id)] if account else [])

    def choose(self, account: Account | None) -> None:
        """Another account."""
        before = self.account
        self.put_account(account)
        self._offer(())
        self._changed()
        if self.account != before:
            self.post_message(self.Chosen())

    def accept(self, index: int | None = None) -> None:
        """Take a suggestion; the last one asks for a new account."""
        at = self.offer if index is None else index
        typed = self.text.strip()
        self._offer(())
        if at < len(self.rows):
            self.post_message(self.Picked(self.rows[at].id))
        else:
            self.post_message(self.Asked(typed))

    class Picked(Message):
        """An account among the suggestions."""

        def __init__(self, account: str) -> None:
            super().__init__()
            self.account = account

    def finish(self) -> None:
        """What was typed and is no account stays as it was typed."""
        typed = self.text.strip().casefold()
        same = [row for row in self.rows if row.name.casefold() == typed]
        if typed and len(same) == 1:
            self.post_message(self.Picked(same[0].id))
        self._offer(())

    def _type(self, character: str) -> None:
        if self.people:
            self._remove(0)
        if character != " " or self.text:
            self._insert(character)

    def _remove(self, index: int) -> None:
        super()._remove(index)
        if not self.people and self.account:
            self.account = ""
            self.post_message(self.Chosen())

    def _reopen(self, index: int) -> None:
        """The name becomes text again, to look for another."""
        name = self.people[index].name
        self._remove(index)
        self.text, self.at, self.chosen = name, len(name), None
        self._changed(search=True)

    def _words(self, person: Address, room: int) -> str:
        return format.cut(format.clean(person.name), room)

    def on_paste(self, event: events.Paste) -> None:
        """A name to look for."""
        event.stop()
        if self.people:
            self._remove(0)
        self._insert(clean_line(event.text, 200))


class ForAccount(Composer, AccountActs):
    """What the composer does with its account."""

    customer: AccountField

    def find_accounts(self, text: str) -> list[AccountRow]:
        """Accounts for what is typed; typing goes on without suggestions when the disk does not answer."""
        try:
            return self.store.accounts(text, 0, OFFERED)
        except CrmMailError:
            return []

    def action_compose_account(self) -> None:
        """To the field Accounts."""
        self.customer.focus()

    @on(AccountField.Picked)
    def _picked(self, event: AccountField.Picked) -> None:
        self.guarded(lambda: self.take_account(self.store.account(event.account)))

    @on(AccountField.Asked)
    def _new_asked(self, event: AccountField.Asked) -> None:
        first = next((person for person in self.fields["to"].everyone if person.email), None)
        self.new_account(self._proposed(event.name, first), self.take_account)

    def _proposed(self, name: str, first: Address | None) -> Account:
        """A new account: its name as typed, its domain that of whom the message is to."""
        from crmmail.crm import domains

        domain = domains.usable(domains.of_address(first.email)) if first else ""
        return Account("", name, (domain,) if domain else ())

    def take_account(self, account: Account | None) -> None:
        """The message is for this account: propose whom to write to, the likeliest first."""
        self.customer.choose(account)
        if account is None:
            return
        to = self.fields["to"]
        people = self.people_of(account.id)
        if to.everyone:
            self.customer.screen.focus_next() if self.customer.has_focus else None
            return
        to.focus()
        if not people:
            return
        if len(people) == 1:
            to.add(people)
        else:
            self.call_after_refresh(to.propose, people)

    def people_of(self, account: str) -> list[Address]:
        """Whom one can write to at an account: each contact under one address, the likeliest first."""
        whose = {address: one for one in self.store.contacts(account) for address in one.addresses}
        ranked = self.store.likeliest([Address(one.name, address) for address, one in whose.items()])
        found: dict[str, Address] = {}
        for one in ranked:
            found.setdefault(whose[one.email].id, one)
        return list(found.values())

    def customer_circumstances(self, draft: Draft) -> dict[str, Any]:
        """In a thread: what the checks need to know of the draft's account; fields of `checks.Circumstances`.

        Where none was chosen it is that of all the contacts it is addressed to. Nobody said then that it is for this
        account alone, so contacts of others are no surprise.
        """
        people = [one.email.lower() for one in (*draft.to, *draft.cc, *draft.bcc) if one.email]
        known = self.store.who_writes(people)
        account = self.store.account(draft.account or _only_account(draft.to, known))
        if account is None:
            return {}
        own = {address for address, some in known.items() if any(one.account == account.id for one in some)}
        others = {
            address: other.name
            for address, some in known.items()
            if address not in own
            for one in some
            if (other := self.store.account(one.account)) is not None
        }
        return {
            "account": account.name,
            "contacts": frozenset(own),
            "others": others if draft.account else {},
            "account_sender": self._account_sender(account.id),
        }

    def _account_sender(self, account: str) -> str:
        """Our address the account was last written from."""
        newest = self.store.ids(Query("", EVERYWHERE, account=account), 0, 1)
        return next(iter(self.store.briefing(newest[0]).identities), "") if newest else ""

    def write_for(self, draft: Draft) -> None:
        """This is the composer already."""

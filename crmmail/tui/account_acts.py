"""What is done to accounts and contacts, from the list of accounts and from beside the mail alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from crmmail.crm.model import Account, Contact
from crmmail.i18n import _
from crmmail.model import Address, Draft
from crmmail.tui import format, words
from crmmail.tui.keyboard import Keyboard

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.tui.app import CrmMail
    from crmmail.tui.form import Values

Then = Callable[[Account], None]


class AccountActs(Keyboard):
    """Forms and questions whose answers change accounts; each act can be undone."""

    store: Store

    @property
    def program(self) -> CrmMail:
        """The application, by its own type."""
        raise NotImplementedError

    def say(self, sentence: str, tone: str = words.OK, *ids: str) -> None:
        """What happened, and the commands that may follow, each with its key."""
        raise NotImplementedError

    def may_write(self) -> bool:
        """Whether anything can be changed here; says so where it cannot."""
        if self.program.readonly:
            self.say(_("Another crmmail is open on this profile: here you can only read."), words.WARN)
        return not self.program.readonly

    def accounts_changed(self) -> None:
        """An act of ours: show it at once, and let the CRM hear of it in its own time."""
        self.program.drain()
        self.program.wake()

    # --- accounts

    def new_account(self, start: Account, then: Then | None = None) -> None:
        """A form for a new account. One that looks like it is asked about before a second is made."""
        if self.may_write():
            self._account_form(_("New account"), start, lambda made: self._create(made, then))

    def edit_account(self, name: str) -> None:
        """A form with what is known of an account."""
        account = self.store.account(name)
        if account is not None and self.may_write():
            self._account_form(account.name, account, self._save_account)

    def _account_form(self, title: str, account: Account, done: Then) -> None:
        # Forms are imported when one opens: the first screen does not wait for them.
        from crmmail.tui import account_forms
        from crmmail.tui.form import Form

        def filled(values: Values | None) -> None:
            if values is not None:
                self.guarded(lambda: done(account_forms.account_of(values, account)))

        # The list of public suffixes takes 0.1 s to read: by the time a domain is typed it is there.
        self.program.run_worker(lambda: account_forms.domains_problem("a.example"), thread=True, exit_on_error=False)
        self.program.push_screen(Form(title, account_forms.account_fields(account)), filled)

    def _create(self, account: Account, then: Then | None) -> None:
        twin = self._twin(account)
        if twin is None:
            self._save_account(account, then)
            return
        from crmmail.tui.dialogs import Picker

        sentence = _("There is an account like it: {name}").format(name=format.clean(twin.name))
        lines = [(_("Use {name}").format(name=format.clean(twin.name)), ""), (_("Make a new one all the same"), "")]

        def chosen(at: int | tuple[str, int] | None) -> None:
            if at == 0 and then is not None:
                self.guarded(lambda: then(twin))
            elif at == 1:
                self.guarded(lambda: self._save_account(account, then))

        self.program.push_screen(Picker(sentence, lines), chosen)

    def _twin(self, account: Account) -> Account | None:
        """An account there is already that looks like the same customer."""
        from crmmail.tui import account_forms

        asked = [text for text in (account.tax_id, *account.domains, account.name) if text]
        for text in asked:
            rows = self.store.accounts(text, 0, 5)
            known = [found for row in rows if (found := self.store.account(row.id)) is not None]
            if twin := account_forms.same_named(account, known):
                return twin
        return None

    def _save_account(self, account: Account, then: Then | None = None) -> None:
        known = bool(account.id)
        saved = self.store.save_account(account)
        self.accounts_changed()
        told = _("{name} is changed") if known else _("{name} is an account now")
        self.say(told.format(name=saved.name), words.OK, "undo")
        if then is not None:
            then(saved)

    def remove_account(self, name: str) -> None:
        """Without a question: it can be undone."""
        account = self.store.account(name)
        if account is None or not self.may_write():
            return
        self.store.remove_account(name)
        self.accounts_changed()
        self.say(_("{name} is removed; its mail stays").format(name=account.name), words.OK, "undo")

    def merge_account(self, name: str) -> None:
        """Choose the account it becomes part of."""
        account = self.store.account(name)
        if account is None or not self.may_write():
            return
        from crmmail.tui.account_picker import AccountPicker

        title = _("Merge {name} into which account?").format(name=account.name)

        def chosen(goal: str | None) -> None:
            if goal:
                self.guarded(lambda: self._merge(account, goal))

        self.program.push_screen(AccountPicker(self.store, title, without=name), chosen)

    def _merge(self, account: Account, goal: str) -> None:
        kept = self.store.account(goal)
        if kept is None:
            return
        self.store.merge_accounts(goal, [account.id])
        self.accounts_changed()
        told = _("{name} is part of {kept} now, with its contacts and mail")
        self.say(told.format(name=account.name, kept=kept.name), words.OK, "undo")

    # --- contacts

    def list_contacts(self, name: str) -> None:
        """The people of an account: change one, add one, remove one, write to one."""
        from crmmail.tui.dialogs import Picker

        account = self.store.account(name)
        if account is None:
            return
        contacts = self.store.contacts(name)
        lines = [(_contact_words(one), ", ".join(one.addresses[:2])) for one in contacts]
        keys = {"enter": _("change"), "n": _("new"), "w": _("write"), "d": _("remove")}
        if not contacts:
            self.edit_contact(Contact("", name, ""))
            return

        def chosen(choice: int | tuple[str, int] | None) -> None:
            match choice:
                case int(at):
                    self.edit_contact(contacts[at])
                case ("n", int()):
                    self.edit_contact(Contact("", name, ""))
                case ("w", int(at)):
                    self.write_to(account, contacts[at])
                case ("d", int(at)):
                    self.guarded(lambda: self._remove_contact(contacts[at]))

        title = _("Contacts of {name}").format(name=account.name)
        self.program.push_screen(Picker(title, lines, keys=keys), chosen)

    def edit_contact(self, contact: Contact) -> None:
        """A form with what is known of a contact."""
        if not self.may_write():
            return
        from crmmail.tui import account_forms
        from crmmail.tui.form import Form

        def filled(values: Values | None) -> None:
            if values is not None:
                self.guarded(lambda: self._save_contact(account_forms.contact_of(values, contact)))

        title = contact.name or _("New contact")
        form = Form(title, account_forms.contact_fields(contact), also=account_forms.contact_whole)
        self.program.push_screen(form, filled)

    def _save_contact(self, contact: Contact) -> None:
        saved = self.store.save_contact(contact)
        self.accounts_changed()
        told = _("{name} is changed") if contact.id else _("{name} is a contact now")
        self.say(told.format(name=_contact_words(saved)), words.OK, "undo")

    def _remove_contact(self, contact: Contact) -> None:
        if self.may_write():
            self.store.remove_contact(contact.id)
            self.accounts_changed()
            self.say(_("{name} is removed").format(name=_contact_words(contact)), words.OK, "undo")

    # --- writing to them

    def write_to(self, account: Account, contact: Contact | None = None) -> None:
        """A message for an account, to its one contact or the one chosen."""
        contacts = [contact] if contact else [one for one in self.store.contacts(account.id) if one.addresses]
        people = [Address(one.name, one.addresses[0]) for one in contacts if one.addresses]
        to = tuple(people) if len(people) == 1 else ()
        self.write_for(Draft(0, to=to, account=account.id))

    def write_for(self, draft: Draft) -> None:
        """Open the composer on a draft for an account."""
        raise NotImplementedError


def _contact_words(contact: Contact) -> str:
    name = contact.name or next(iter(contact.addresses), _("(no name)"))
    return f"{name} · {contact.role}" if contact.role else name

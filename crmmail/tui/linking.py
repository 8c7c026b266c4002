"""Whose mail it is, decided by the user: link, unlink, never, private; and going from account to account."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod
from typing import TYPE_CHECKING

from crmmail.crm import domains
from crmmail.crm.model import Account, Bound, NeverBy, Scope
from crmmail.i18n import _, ngettext
from crmmail.mail.text import clean_line
from crmmail.model import Address, Message, Role
from crmmail.tui import words
from crmmail.tui.account_acts import AccountActs
from crmmail.tui.account_commands import INBOX_ONLY
from crmmail.tui.beside import Beside
from crmmail.tui.commands import LIST

if TYPE_CHECKING:
    from crmmail.tui.account_picker import Decision, Reach


class Linking(Beside, AccountActs):
    """Commands that bind messages to accounts. Each names what it did and the key that takes it back."""

    account_shown: str = ""  # the account whose own view is open

    def _aimed(self) -> list[int]:
        """The messages an act is meant for; none, and a word about it, when others have just moved the cursor."""
        if not self.may_write():
            return []
        if self.pane == LIST and not self.messages.selected and not self.messages.aimed:
            self.hint(_("The message under the cursor has just gone elsewhere: nothing was done. Press again."))
            return []
        return [message for message in self.targets if message > 0]

    def account_id(self) -> str:
        """The account that is shown, or the one of the message under the cursor; '' for none."""
        if self.account_shown:
            return self.account_shown
        targets = self.targets
        if not targets:
            return ""
        if self.panel.message_id == targets[0] and self.panel.briefing and self.panel.briefing.account:
            return self.panel.briefing.account.id
        found = self.store.links(targets[:1])
        return found[0].account if found else ""

    # --- linking

    def action_link_account(self) -> None:
        """Choose an account, then how far the link reaches."""
        targets = self._aimed()
        if not targets:
            return
        message = self.store.message(targets[0])
        if message is None:
            return
        from crmmail.tui.account_picker import LinkPicker, Reach

        verdict = self.store.verdict(targets[0])
        several = len(targets) > 1
        title = (
            ngettext("{count} message belongs to…", "{count} messages belong to…", len(targets))
            if several
            else _("“{subject}” belongs to…")
        ).format(count=words.number(len(targets)), subject=message.row.subject or _("(no subject)"))
        picker = LinkPicker(
            self.store,
            title,
            verdict.candidates or verdict.links,
            Reach("") if several else self._reach(message),
            linked=verdict.bound is Bound.LINKED,
        )

        def decided(decision: Decision | None) -> None:
            if decision is not None:
                self.guarded(lambda: self._decide(targets, message, decision))

        self.app.push_screen(picker, decided)

    def _reach(self, message: Message) -> Reach:
        """Whom a decision about a message can be about: the other side, never ourselves."""
        from crmmail.tui.account_picker import Reach

        email = self._counterpart(message).email
        domain = domains.usable(domains.of_address(email)) if email else ""
        return Reach(email, domain and domains.registrable(domain), message.row.thread_count)

    def _counterpart(self, message: Message) -> Address:
        """Who it is with: the sender, or whom our side wrote to. The store says who, and acts by the same."""
        email = self.store.counterpart(message.row.id)
        headers = message.headers
        people = (headers.sender, *headers.reply_to, *headers.to, *headers.cc)
        return next((one for one in people if one.email.lower() == email), Address("", email))

    def _decide(self, targets: list[int], message: Message, decision: Decision) -> None:
        match decision.what:
            case "link":
                self._link(targets, decision.account, decision.scope)
            case "unlink":
                self.unlink(targets, decision.scope)
            case "never":
                self._never(message, decision.scope)
            case _:
                start = self._proposed(message, decision.name)
                self.new_account(start, lambda made: self._link(targets, made.id, decision.scope))

    def _proposed(self, message: Message, name: str) -> Account:
        """A new account as far as the message tells: its domain, and a name made of it."""
        domain = self._reach(message).domain
        named = name or (domain.split(".")[0].capitalize() if domain else clean_line(self._counterpart(message).name))
        return Account("", named, (domain,) if domain else ())

    def _link(self, targets: list[int], account: str, scope: Scope) -> None:
        found = self.store.account(account)
        act = self.store.link(targets, account, scope)
        if act is None or found is None:
            self.hint(_("It belongs there already."))
            return
        told = ngettext("{count} message linked to {name}", "{count} messages linked to {name}", act.count)
        self._decided(targets, told.format(count=words.number(act.count), name=found.name))

    def unlink(self, targets: list[int], scope: Scope) -> None:
        """Take a link away for good: no later match brings it back."""
        act = self.store.unlink(targets, scope=scope)
        if act is None:
            self.hint(_("It is linked to no account."))
            return
        told = ngettext("{count} message unlinked", "{count} messages unlinked", act.count)
        self._decided(targets, told.format(count=words.number(act.count)))

    def _never(self, message: Message, scope: Scope) -> None:
        by = NeverBy.DOMAIN if scope is Scope.DOMAIN else NeverBy.ADDRESS
        act = self.store.never_for(message.row.id, by)
        if act is None:
            self.hint(_("That is so already."))
            return
        told = _("Mail of {who} is bound to no account and never logged").format(who=act.subject)
        self._decided([message.row.id], told)

    def _decided(self, targets: list[int], sentence: str) -> None:
        self.messages.clear_selection()
        self._show_own()
        self.after_act(targets)
        self.brief()
        self.say(sentence, words.OK, "undo")
        self.program.wake()

    def _show_own(self) -> None:
        raise NotImplementedError

    def action_unlink_account(self) -> None:
        """This message does not belong to its account."""
        if targets := self._aimed():
            self.unlink(targets, Scope.MESSAGE)

    def _never_by(self, scope: Scope) -> None:
        targets = self._aimed()
        message = self.store.message(targets[0]) if targets else None
        if message is not None:
            self._never(message, scope)

    def action_never_sender(self) -> None:
        """Mail of this sender belongs to no account."""
        self._never_by(Scope.SENDER)

    def action_never_domain(self) -> None:
        """Mail of this domain belongs to no account."""
        self._never_by(Scope.DOMAIN)

    # --- the queue

    def classify(self, number: int) -> None:
        """Answer with a candidate as the panel showed it: the key means what stood there, or nothing."""
        targets = self._aimed()
        briefing = self.panel.briefing
        if not targets or briefing is None or briefing.message != targets[0]:
            self.hint(_("The candidates are just being read. Press again."))
            return
        candidates = briefing.verdict.candidates
        if number <= len(candidates):
            self._link(targets, candidates[number - 1].account, Scope.MESSAGE)

    action_classify_1 = partialmethod(classify, 1)
    action_classify_2 = partialmethod(classify, 2)
    action_classify_3 = partialmethod(classify, 3)
    action_classify_4 = partialmethod(classify, 4)
    action_classify_5 = partialmethod(classify, 5)
    action_classify_6 = partialmethod(classify, 6)
    action_classify_7 = partialmethod(classify, 7)
    action_classify_8 = partialmethod(classify, 8)
    action_classify_9 = partialmethod(classify, 9)

    def action_classify_new(self) -> None:
        """A new account from what the message tells."""
        targets = self._aimed()
        message = self.store.message(targets[0]) if targets else None
        if message is not None:
            start = self._proposed(message, "")
            self.new_account(start, lambda made: self._link(targets, made.id, Scope.SENDER))

    def action_classify_skip(self) -> None:
        """The next one; this one waits."""
        self.messages.move(1)

    # --- one account's mail

    def action_filter_account(self) -> None:
        """Only this account in the list; again, all of them."""
        query = self.messages.query_shown
        if query.account and not self.account_shown:
            text = "" if query.text == INBOX_ONLY else query.text
            self.messages.show(replace(query, account="", text=text), self.messages.cursor_id)
        elif account := self.account_id():
            text = query.text or (INBOX_ONLY if query.folder == Role.INBOX else "")
            self.messages.show(replace(query, account=account, text=text), self.messages.cursor_id)
        self.renew()

    def action_select_account(self) -> None:
        """Select what is on screen of the same account."""
        row = self.messages.row
        if row is not None and row.account:
            self.messages.select(one.id for one in self.messages.visible_rows if one.account == row.account)

    def action_next_account(self) -> None:
        """The next account that has unread mail, at its newest."""
        self._to_account(back=False)

    def action_previous_account(self) -> None:
        """The one before it."""
        self._to_account(back=True)

    def _to_account(self, *, back: bool) -> None:
        found = self.store.next_account_with_unread(self.account_id(), back=back)
        if found is None:
            self.hint(_("No other account has unread mail."))
            return
        self.show_account(found)
        self._to_unread()

    def _to_unread(self) -> None:
        """The cursor on the newest unread message of the account."""
        query = replace(self.messages.query_shown, unread=True)
        newest = self.store.ids(query, 0, 1)
        if newest:
            self.messages.go_to(newest[0])

    def show_account(self, account: str) -> None:
        """Show everything of an account."""
        raise NotImplementedError

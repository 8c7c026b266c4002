"""What a CRM is told, in the user's hand: private in one key, the exact entry to look at, what is logged at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmmail.crm.model import LogStatus, Scope, Unlogged
from crmmail.i18n import _, ngettext
from crmmail.tui import account_words, words
from crmmail.tui.detail import Detail

if TYPE_CHECKING:
    from crmmail.tui.log_queue import Answer


class CustomerLog(Detail):
    """Commands about logging."""

    def action_private(self) -> None:
        """Keep these messages out of the CRM; again: they may be logged."""
        self._private(self._aimed(), Scope.MESSAGE)

    def action_private_thread(self) -> None:
        """Keep the whole conversation out of the CRM; again: it may be logged."""
        self._private(self._aimed(), Scope.THREAD)

    def _private(self, targets: list[int], scope: Scope) -> None:
        if not targets:
            return
        wish = not all(self.store.is_private(message, scope) for message in targets)
        talks = scope is Scope.THREAD
        talks |= not wish and any(self.store.is_private(message, Scope.THREAD) for message in targets)
        act = self.store.set_private(targets, wish, scope)
        if act is None:
            self.hint(_("That is so already."))
            return
        self._decided(targets, _privacy(len(targets), wish, talks))

    def action_log_preview(self) -> None:
        """Exactly what the CRM is told of this message."""
        self._preview(self.targets[0])

    def _preview(self, message: int) -> None:
        """Where it belongs to several accounts and nothing says to which it is told: that first."""
        state, entry = self.store.log_preview(message)
        links = self.store.links([message])
        undecided = state is not None and entry is None and len(links) > 1 and state.why in (None, Unlogged.SEVERAL)
        if not undecided:
            self._show_preview(message, state.account if state else "")
            return
        from crmmail.tui.dialogs import Picker

        def chosen(at: int | tuple[str, int] | None) -> None:
            if isinstance(at, int):
                self.guarded(lambda: self._show_preview(message, links[at].account))

        lines = [(link.name, account_words.reason(link)) for link in links]
        self.app.push_screen(Picker(_("Log it to which account?"), lines), chosen)

    def _show_preview(self, message: int, wanted: str) -> None:
        from crmmail.tui.log_screens import LogPreview

        state, entry = self.store.log_preview(message, wanted)
        if state is None:
            self.hint(_("This message is no longer here."))
            return
        linked = [link.account for link in self.store.links([message])]
        account = self.store.account(wanted if wanted in linked else next(iter(linked), ""))
        crm = state.crm or (account.crm if account else "") or next(iter(self.store.crms()), "")

        def chosen(what: str | None) -> None:
            if what == "log" and self.may_write():
                self.guarded(lambda: self._log_to(message, wanted))
            elif what == "private" and self.may_write():
                self.guarded(lambda: self._private([message], Scope.MESSAGE))
            elif what == "settings":
                self.guarded(self.action_log_settings)

        can = self.store.crms().get(crm)
        files = can is None or can.attachments
        self.app.push_screen(LogPreview(state, entry, crm, account.name if account else "", files=files), chosen)

    def _log_to(self, message: int, account: str) -> None:
        states = self.store.log_now([message], account)
        self.program.drain()
        self.program.wake()
        sentence, tone = account_words.log_state(states[0]) if states else (_("Not logged"), words.QUIET)
        good = bool(states) and states[0].status in (LogStatus.QUEUED, LogStatus.SENDING, LogStatus.LOGGED)
        self.say(sentence, words.OK if good else tone, *(() if good else ("log_settings",)))

    def action_go_log(self) -> None:
        """What waits to be told to the CRM, and what was told."""
        from crmmail.tui.log_queue import LogQueue

        self.app.push_screen(LogQueue(self.store, self.keymap), self._from_queue)

    def _from_queue(self, answer: Answer | None) -> None:
        match answer:
            case ("open", int(message)):
                self.guarded(lambda: self.open_message(message))
            case ("decide", int(message)):
                self.guarded(lambda: self._preview(message))
            case ("account", str(account)):
                self.guarded(lambda: self.show_account(account))

    def action_log_settings(self) -> None:
        """Choose what is logged."""
        from crmmail.tui.log_screens import LogSettings, Place

        places = [Place(box.name or box.address, mailbox=box.id) for box in self.boxes.values()]
        account = self.store.account(self.account_id()) if self.account_id() else None
        if account is not None:
            places.append(Place(account.name, account=account.id))
        self.app.push_screen(LogSettings(self.store, places, readonly=self.program.readonly))


def _privacy(count: int, wish: bool, talks: bool) -> str:
    """What was said to be private, or no longer. `talks`: it reaches the whole conversations."""
    if talks and wish:
        told = ngettext("{count} conversation is never logged", "{count} conversations are never logged", count)
    elif talks:
        told = ngettext("{count} conversation may be logged again", "{count} conversations may be logged again", count)
    elif wish:
        told = ngettext("{count} message is never logged", "{count} messages are never logged", count)
    else:
        told = ngettext("{count} message may be logged again", "{count} messages may be logged again", count)
    return told.format(count=words.number(count))

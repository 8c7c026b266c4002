"""An account's own view: all its mail in the list, its card where the folders stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from crmmail.crm.model import Account
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.model import Change, Draft, Query
from crmmail.tui import card_lines
from crmmail.tui.account_commands import CLASSIFY, EVERYWHERE, WAITING
from crmmail.tui.account_panel import LinesPane
from crmmail.tui.card_lines import Card
from crmmail.tui.commands import LIST, READER
from crmmail.tui.linking import Linking
from crmmail.tui.text_lines import TextLine

if TYPE_CHECKING:
    from crmmail.tui.accounts import Left, Place

HINTED = ("account_write", "account_edit", "account_timeline", "account_contacts", "account_merge")


class AccountCard(LinesPane):
    """What is known of the account, beside its mail."""

    INK = "card"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"card--{name}" for name in card_lines.PARTS}

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.keys: Callable[[], Mapping[str, str]] = dict
        self.card: Card | None = None

    def show(self, card: Card | None) -> None:
        """Show an account."""
        if card is None or self.card is None or card.account.id != self.card.account.id:
            self.jump(0)
        self.card = card
        self.lay_out()

    def layout_for(self, width: int) -> list[TextLine]:
        """The card's lines."""
        return card_lines.layout(self.card, width, self.keys()) if self.card else []


class Detail(Linking):
    """Commands of the account's view, and the way to the list of accounts."""

    card: AccountCard
    _left_at: tuple[Query, int | None] | None = None  # the list before the account's view
    _from_list: bool = False  # whether the list of accounts led here
    _list_place: Place | None = None  # where that list was left

    def card_keys(self) -> dict[str, str]:
        """The keys the card mentions."""
        return {name: self.keymap.first(name) for name in HINTED}

    def show_account(self, account: str) -> None:
        """Everything of an account; Esc leads back to where one was."""
        found = self.store.account(account)
        if found is None:
            self.hint(_("This account is no longer here."))
            return
        if not self.account_shown and not self.searching:
            self._left_at = (self.messages.query_shown, self.messages.cursor_id)
        self.account_shown = found.id
        self.searching = False
        self.close_reader()
        self.messages.show(Query("", EVERYWHERE, account=found.id))
        self.card.show(Card(found))
        self.read_card()
        self.dress()
        self.folders_over = False
        self.fit_panes()
        self.go_to_pane(LIST)
        self.notice.say("", "")
        self.renew()
        self.brief()

    def customer_facts(self, targets: list[int]) -> dict[str, Any]:
        """What commands need to know of accounts: fields of `commands.Context`."""
        briefing = self.panel.briefing if targets and self.panel.message_id == targets[0] else None
        row = self.reader.message.row if self.pane == READER and self.reader.message else self.messages.row
        return {
            "account": bool(self.account_shown or (row and row.account) or (briefing and briefing.account)),
            "candidates": len(briefing.verdict.candidates) if briefing and self.classifying else 0,
            "narrowed": bool(self.messages.query_shown.account) and not self.account_shown,
            "detail": bool(self.account_shown),
        }

    def customers_changed(self, change: Change) -> None:
        """Accounts, links or log states are others: the panel, the card and the folders follow."""
        if change.accounts or change.crm:
            self.sidebar.forget_accounts()
            if self.has_accounts != (self.store.account_count() > 0):
                self.has_accounts = not self.has_accounts
                self.dress()
            if self.panel.display != self.panel_shown:
                self.fit_panes()
            if self.account_shown:
                self.read_card()
        if change.crm or change.accounts or self.panel.message_id in change.messages:
            self.brief()

    def choose_side(self) -> None:
        """Enter: the folder under the cursor, or the people of the account."""
        if self.account_shown:
            self.list_contacts(self.account_shown)
        else:
            self.sidebar.choose()

    def step_side(self, by: int) -> None:
        """Down or up in what stands at the left: the folders, or an account's card."""
        if self.account_shown:
            self.card.scroll_lines(by)
        else:
            self.sidebar.move(by)

    def read_card(self) -> None:
        """In a thread: contacts and figures."""
        account = self.account_shown

        def work() -> None:
            try:
                found = self.store.account(account)
                card = found and self._card(found)
            except CrmMailError as error:
                self.app.call_from_thread(self.fail, error)
            else:
                self.app.call_from_thread(self._card_read, account, card)

        if account:
            self.run_worker(work, thread=True, exit_on_error=False, group="card")

    def _card(self, account: Account) -> Card:
        """In a thread: an account with its people and figures, and who may be the same customer."""
        return Card(
            account,
            tuple(self.store.contacts(account.id)),
            self.store.account_figures(account.id),
            tuple(row.name for row in self.store.similar_accounts(account.id)[:3]),
        )

    def _card_read(self, account: str, card: Card | None) -> None:
        if account != self.account_shown:
            return
        if card is None:
            self.leave_detail()
            self.hint(_("This account is no longer here."))
        else:
            self.card.show(card)
            self.renew()

    def leave_detail(self) -> None:
        """Back to the list as it was before."""
        self.account_shown = ""
        before, self._left_at = self._left_at, None
        query, cursor = before or (Query("", account=""), None)
        self.show_folder(query.mailbox, query.folder)
        if cursor is not None:
            self.messages.go_to(cursor)

    def action_leave_account(self) -> None:
        """Back: to the list of accounts where it led here, else to the mail."""
        back = self._from_list
        self._from_list = False
        self.leave_detail()
        if back:
            self.action_go_accounts()

    def action_go_accounts(self) -> None:
        """All accounts."""
        from crmmail.tui.accounts import AccountsScreen, Place

        screen = AccountsScreen(self.store, self.keymap, clock=self.clock, place=self._list_place or Place())

        def left(outcome: Left | None) -> None:
            self._list_place = screen.place
            if outcome is None:
                self.renew()
            elif outcome.draft is not None:
                self.write_for(outcome.draft)
            else:
                self.guarded(lambda: self.show_account(outcome.account))
                self._from_list = True

        self.app.push_screen(screen, left)

    def action_go_classify(self) -> None:
        """Mail whose account is not certain."""
        self.show_folder("", CLASSIFY)

    def action_go_waiting(self) -> None:
        """What waits for our answer."""
        self.show_folder("", WAITING)

    def write_for(self, draft: Draft) -> None:
        """Open the composer on a draft for an account, from the identity used with it last."""
        raise NotImplementedError

    # --- the account that is shown, or of the message

    def _with_account(self, act: Callable[[str], None]) -> None:
        account = self.account_id()
        if account:
            act(account)
        else:
            self.say(_("This message belongs to no account."), "quiet", "link_account")

    def action_account_open(self) -> None:
        """Everything of this account."""
        self._from_list = False
        self._with_account(self.show_account)

    def action_account_edit(self) -> None:
        """Change it."""
        self._with_account(self.edit_account)

    def action_account_merge(self) -> None:
        """Make it part of another."""
        self._with_account(self.merge_account)

    def action_account_contacts(self) -> None:
        """Its people."""
        self._with_account(self.list_contacts)

    def action_account_write(self) -> None:
        """Write to it."""

        def write(name: str) -> None:
            account = self.store.account(name)
            if account is not None:
                self.write_to(account)

        self._with_account(write)

    def action_account_timeline(self) -> None:
        """What happened with it, ours and the CRM's."""
        from crmmail.tui.timeline import Timeline

        def show(name: str) -> None:
            account = self.store.account(name)
            if account is not None:
                self.app.push_screen(Timeline(self.store, account, clock=self.clock), self._from_timeline)
                self.program.want_timeline(account.id)

        self._with_account(show)

    def _from_timeline(self, message: int | None) -> None:
        if message:
            self.guarded(lambda: self.open_message(message))

    def open_message(self, message: int) -> None:
        """Read a message."""
        raise NotImplementedError

    def dress(self) -> None:
        """Colours for the list that is shown."""
        raise NotImplementedError

"""The panel beside the message: when it shows, and reading what it shows in a thread, so that no key waits for it."""

from __future__ import annotations

from textual.timer import Timer

from crmmail.crm.model import Briefing
from crmmail.errors import CrmMailError
from crmmail.tui.account_commands import CLASSIFY
from crmmail.tui.account_panel import AccountPanel
from crmmail.tui.keymap import shown
from crmmail.tui.screen_base import WIDE, MailScreen

REST = 0.05  # seconds without another key before the panel follows
HINTED = (
    "account_open", "link_account", "log_preview", "log_settings", "never_sender", "never_domain", "classify_new",
    "classify_skip",
)  # fmt: skip


class Beside(MailScreen):
    """What the panel needs of the main screen."""

    panel: AccountPanel
    panel_wish: bool | None = None  # None: beside a message where there is room, once there are accounts
    has_accounts: bool = False
    _briefing: int | None = None  # the message whose briefing is being read
    _brief_timer: Timer | None = None

    def panel_keys(self) -> dict[str, str]:
        """The keys the panel's text mentions: of each command the shortest, one stroke where there is one."""
        keys = {name: self.keymap.keys.get(name, ()) for name in HINTED}
        return {name: shown(min(some, key=len)) for name, some in keys.items() if some}

    @property
    def classifying(self) -> bool:
        """Whether the list is the To-classify queue."""
        return self.messages.query_shown.folder == CLASSIFY

    @property
    def answers_at_once(self) -> bool:
        """In the queue the panel follows each step of the cursor: the answers stand in it."""
        return self.classifying

    @property
    def panel_shown(self) -> bool:
        """Whether the panel has its place; in the queue always, for the answers stand in it."""
        if self.panel_wish is None:
            return self.classifying or (self.arrangement == WIDE and self.has_accounts)
        return self.panel_wish or self.classifying

    @property
    def panel_message(self) -> int | None:
        """The message the panel is to be about."""
        return self.reader.message_id if self.reading else self.messages.cursor_id

    def brief(self) -> None:
        """Let the panel follow, when the user rests; in the queue at once, after the paint."""
        if not self.panel.display:
            return
        if self._brief_timer is not None:
            self._brief_timer.stop()
        if self.classifying:
            self.call_after_refresh(self.brief_now)
        else:
            self._brief_timer = self.set_timer(REST, self.brief_now)

    def brief_now(self) -> None:
        """Read in a thread; what a later key asks for wins."""
        message = self.panel_message
        if not self.panel.display:
            return
        if message is None or message < 0:
            self._briefing = None
            self.panel.show(None)
            return
        self._briefing = message

        def work() -> None:
            if self._briefing != message:
                return
            try:
                found, trouble = self.store.briefing(message), ""
            except CrmMailError as error:
                found, trouble = None, str(error)
            self.app.call_from_thread(self._briefed, message, found, trouble)

        self.run_worker(work, thread=True, exit_on_error=False, group="briefing")

    def _briefed(self, message: int, briefing: Briefing | None, trouble: str) -> None:
        if message == self._briefing and message == self.panel_message:
            self.panel.show(briefing, classify=self.classifying, trouble=trouble)
            if self.classifying:
                self.renew()

    def action_account_panel(self) -> None:
        """Show the panel, or hide it."""
        self.panel_wish = not self.panel_shown
        self.fit_panes()
        if not self.panel.display and self.pane == "panel":
            self.go_to_pane("list")
        self.brief()
        self.renew()

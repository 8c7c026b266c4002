"""What the parts of the main screen share: the widgets and the few ways to tell the user something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.widget import Widget

from crmmail.model import Folder, Mailbox, Query, Status
from crmmail.tui import words
from crmmail.tui.commands import LIST
from crmmail.tui.keyboard import Keyboard
from crmmail.tui.message_list import MessageList
from crmmail.tui.painting import PaintedScreen
from crmmail.tui.panels import NoticeLine
from crmmail.tui.reader import Reader
from crmmail.tui.sidebar import Sidebar

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.tui.app import CrmMail


NARROW, MIDDLE, WIDE, TINY = "narrow", "middle", "wide", "tiny"


class MailScreen(Keyboard, PaintedScreen):
    """The main screen as its mixins (Acts, Reading, Finding, Going) see it."""

    store: Store
    clock: Callable[[], float]
    boxes: dict[str, Mailbox]
    statuses: dict[str, Status]
    messages: MessageList
    sidebar: Sidebar
    reader: Reader
    notice: NoticeLine
    searching: bool = False
    acting: bool = False  # what changes in the store right now is the user's own act
    reading: bool = False  # a message was opened; the wide arrangement shows the reader in any case
    folders_over: bool = False  # on a narrow terminal the folders lie over the list
    arrangement: str = MIDDLE
    active_pane: str = LIST

    def go_to_pane(self, pane: str) -> None:
        """Send the keys to a pane."""
        raise NotImplementedError

    def focus_next(self, selector: str | type[Widget] = "*") -> Widget | None:
        """Nowhere: no pane has Textual's focus, and Tab would give it to a line that is just leaving."""
        return self.focused

    focus_previous = focus_next

    def fit_panes(self) -> None:
        """Show the panes that fit."""
        raise NotImplementedError

    @property
    def program(self) -> CrmMail:
        """The application, by its own type."""
        from crmmail.tui.app import CrmMail

        assert isinstance(self.app, CrmMail)
        return self.app

    @property
    def targets(self) -> list[int]:
        """The messages an act touches: bound when the key is pressed."""
        raise NotImplementedError

    @property
    def pane(self) -> str:
        """Where keys go."""
        raise NotImplementedError

    def say(self, sentence: str, tone: str = words.OK, *ids: str) -> None:
        """What happened, and the commands that may follow, each with its key."""
        raise NotImplementedError

    def renew(self) -> None:
        """Title, place and footer as things stand."""
        raise NotImplementedError

    def show_folder(self, mailbox: str, folder: str) -> None:
        """Show a folder in the list."""
        raise NotImplementedError

    def folder_of(self, query: Query) -> Folder | None:
        """The folder a query shows; None for All inboxes."""
        raise NotImplementedError

    def troubled(self) -> Status | None:
        """The first mailbox that needs the user, those in view before the others."""
        raise NotImplementedError

    def choose_side(self) -> None:
        """Enter in what stands at the left."""
        raise NotImplementedError

    def step_side(self, by: int) -> None:
        """Down or up in what stands at the left: the folders, or an account's card."""
        raise NotImplementedError

    def brief(self) -> None:
        """Let the account's panel follow."""
        raise NotImplementedError

    @property
    def answers_at_once(self) -> bool:
        """Whether the panel holds the answers to a question about every message: it follows each step of the cursor."""
        raise NotImplementedError

    def close_reader(self) -> None:
        """Back to the list alone."""
        raise NotImplementedError

    def after_act(self, messages: list[int]) -> None:
        """The reader follows an act on the message it shows."""
        raise NotImplementedError

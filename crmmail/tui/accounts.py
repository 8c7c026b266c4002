"""The accounts: a list of any length, searched as one types; open, create, change, merge, remove, import, export.

It begins in the search line. Tab or Esc leads to the list, where single letters are commands; `/` leads back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from crmmail.crm.model import Account
from crmmail.errors import CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.model import Change, Draft
from crmmail.tui import account_rows, commands, words
from crmmail.tui.account_files import AccountFiles
from crmmail.tui.account_list import AccountList, AccountPages
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.commands import ACCOUNTS, COMMANDS, Command, Context, possible
from crmmail.tui.keyboard import stroke
from crmmail.tui.keymap import Keymap, shown
from crmmail.tui.panels import Entry, FooterLine, NoticeLine, Painted, Title, TitleLine

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.tui.app import CrmMail

TYPING_PAUSE = 0.05  # seconds without a key before the list follows
_FROM_LINE = ("enter", "down", "up", "pagedown", "pageup", "ctrl+n")  # and every function key


@dataclass(frozen=True, slots=True)
class Left:
    """How the list was left: the account to show, or a message to write."""

    account: str = ""
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the list was left, to come back to."""

    text: str = ""
    account: str = ""


class SearchLine(Input):
    """The line to type in. What types nothing is a command of the screen."""

    async def on_key(self, event: events.Key) -> None:
        """Arrows, Enter and function keys work while typing; Tab and Esc lead to the list."""
        screen = self.screen
        assert isinstance(screen, AccountsScreen)
        if event.key in ("tab", "escape"):
            event.stop()
            event.prevent_default()
            screen.to_list()
        elif from_line(event.key):
            event.stop()
            event.prevent_default()
            await screen.press(event)


class Heading(Widget):
    """What the columns hold."""

    def __init__(self, rows: AccountList) -> None:
        super().__init__(id="accounts-heading")
        self.rows = rows

    def render_line(self, y: int) -> Strip:
        """One line, over the list's columns."""
        shape = account_rows.columns(self.size.width)
        return Strip(account_rows.heading(shape, self.rows.ink)).adjust_cell_length(self.size.width, self.rows.ink())


class AccountsScreen(ClosesOnce, AccountFiles, Screen[Left]):
    """All accounts. Dismissed with what to show next, or None."""

    AUTO_FOCUS = ""

    def __init__(self, store: Store, keymap: Keymap, *, clock: Callable[[], float], place: Place = Place()) -> None:
        super().__init__()
        self.store, self.keymap, self.clock = store, keymap, clock
        self.begin = place
        self.rows = AccountList(store, id="accounts")
        self.rows.active = True  # its keys work while one types, too
        self.line = SearchLine(
            place.text, placeholder=_("Name, domain, address or tax id"), id="find", compact=True, max_length=200
        )
        self.title_line = TitleLine(id="title")
        self.notice = NoticeLine(id="notice")
        self.footer = FooterLine(id="footer")
        self._timer: Timer | None = None
        self._asked = ""

    def compose(self) -> ComposeResult:
        """Title, search line, list, notice, footer."""
        yield self.title_line
        yield self.line
        yield Heading(self.rows)
        yield self.rows
        yield self.notice
        yield self.footer

    def on_mount(self) -> None:
        """Where it was left."""
        self.rows.empty = self._empty()
        if self.begin.text:
            self.rows.put(AccountPages(self.store, self.begin.text))
        if self.begin.account:
            self.rows.index = self.rows.pages.near(self.begin.account, 0)
        self.line.focus()
        self.renew()

    @property
    def program(self) -> CrmMail:
        """The application, by its own type."""
        from crmmail.tui.app import CrmMail

        assert isinstance(self.app, CrmMail)
        return self.app

    # --- searching

    @on(Input.Changed, "#find")
    def _typed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        text = self.wanted
        self._timer = self.set_timer(TYPING_PAUSE, lambda: self.find(text))

    @property
    def wanted(self) -> str:
        """What is looked for. Who presses / to search, as elsewhere, is searching already."""
        return self.line.value.strip().removeprefix("/")

    def find(self, text: str) -> None:
        """In a thread: 100,000 accounts are searched in milliseconds, but not within every frame."""
        self._timer = None
        self._asked = text

        def work() -> None:
            try:
                pages = AccountPages(self.store, text)
            except CrmMailError as error:
                self.app.call_from_thread(self.fail, error)
            else:
                self.app.call_from_thread(self._found, pages)

        self.run_worker(work, thread=True, exit_on_error=False, group="accounts")

    def _found(self, pages: AccountPages) -> None:
        if pages.text == self._asked:
            self.rows.empty = self._empty()
            self.rows.put(pages)
            self.renew()

    def _settle(self) -> None:
        """Before a key acts: the list holds what was typed."""
        text = self.wanted
        if text != self.rows.pages.text:
            if self._timer is not None:
                self._timer.stop()
            self._asked = text
            self._found(AccountPages(self.store, text))

    def to_list(self) -> None:
        """Letters are commands now."""
        self.set_focus(None)
        self.renew()

    def action_accounts_search(self) -> None:
        """Type what to look for."""
        self.set_focus(self.line)  # at once: `focus` would let the keys behind this one be commands
        self.renew()

    def publish(self, change: Change) -> None:
        """The store changed: the same accounts, read again."""
        if change.accounts or change.crm or change.messages:
            self.rows.put(AccountPages(self.store, self.rows.pages.text))
            self.renew()

    # --- what is said

    def _empty(self) -> tuple[str, ...]:
        if self.wanted:
            return (
                _("No account is found"),
                "",
                _("{key} makes one").format(key=typing_key(self.keymap, "accounts_new")),
            )
        return (
            _("No accounts yet"),
            "",
            _("{key} makes one · {other} imports a file (CSV, vCard)").format(
                key=typing_key(self.keymap, "accounts_new"), other=typing_key(self.keymap, "accounts_import")
            ),
            _("Connecting a CRM: docs/crm.md"),
        )

    def renew(self) -> None:
        """Title, place and footer as things stand."""
        count = self.rows.pages.count
        told = ngettext("{count} account", "{count} accounts", count).format(count=words.number(count))
        self.title_line.say(Title(_("Accounts"), "", told, "", "", self.keymap.first("palette")))
        place = f"{words.number(self.rows.index + 1)}/{words.number(count)}" if count else ""
        self.notice.put(place)
        context = self.context()
        useful = sorted((one for one in COMMANDS if one.footer and ACCOUNTS in one.panes), key=lambda one: one.footer)
        self.footer.put([*self._entries([one for one in useful if possible(one, context)])])

    def _entries(self, found: list[Command]) -> Iterator[Entry]:
        """While typing, only keys that type nothing."""
        typing = self.focused is self.line
        for command in found:
            key = typing_key(self.keymap, command.id) if typing else self.keymap.first(command.id)
            if key:
                yield Entry(key, _(command.short or command.label), command.id)
        if typing:
            yield Entry("Esc", _("To the list"), "accounts_list")

    def hint(self, sentence: str) -> None:
        """Something in passing."""
        self.notice.say(sentence, words.QUIET)

    def say(self, sentence: str, tone: str = words.OK, *ids: str) -> None:
        """What happened, and the commands that may follow, each with its key."""
        hints = [(self.keymap.first(name), _(commands.BY_ID[name].label), name) for name in ids]
        self.notice.say(sentence, tone, hints)

    def fail(self, error: CrmMailError) -> None:
        """What went wrong, and what to do."""
        self.notice.say(str(error), words.BAD)

    def show_prefix(self, entries: Iterable[Command]) -> None:
        """Prefix keys are of the main screen."""

    def context(self) -> Context:
        """What the screen shows right now."""
        return Context(
            pane=ACCOUNTS,
            rows=self.rows.pages.count,
            undoable=self.store.turnable(back=True) is not None,
            redoable=self.store.turnable(back=False) is not None,
        )

    async def press(self, event: events.Key) -> bool:
        """A key of the list; chords belong to the main screen."""
        self._settle()
        key = stroke(event)
        return True if key in self.keymap.chords else await self._first(self.keymap.single.get(key, ()))

    @on(AccountList.Moved)
    def _moved(self) -> None:
        self.renew()

    @on(AccountList.Opened)
    def _opened(self, event: AccountList.Opened) -> None:
        self.leave_to(event.id)

    @on(Painted.Pressed)
    async def _pressed(self, event: Painted.Pressed) -> None:
        if event.command == "accounts_list":
            self.to_list()
            return
        await self.run_command("palette" if event.command == "actions" else event.command)

    # --- commands

    @property
    def chosen(self) -> str:
        """The account under the cursor."""
        row = self.rows.row
        return row.id if row else ""

    @property
    def place(self) -> Place:
        """Where the list stands."""
        return Place(self.wanted, self.chosen)

    def leave_to(self, account: str) -> None:
        """Show an account."""
        if account:
            self.dismiss(Left(account))

    def action_accounts_open(self) -> None:
        """Everything of the account."""
        self.leave_to(self.chosen)

    def action_accounts_new(self) -> None:
        """A new one, named as typed where nothing was found."""
        typed = self.wanted if not self.rows.pages.count else ""
        named, domains = ("", (typed,)) if "." in typed and " " not in typed else (typed, ())
        self.new_account(Account("", named, domains))

    def action_accounts_edit(self) -> None:
        """Change what is known of it."""
        self.edit_account(self.chosen)

    def action_accounts_contacts(self) -> None:
        """Its people."""
        self.list_contacts(self.chosen)

    def action_accounts_merge(self) -> None:
        """Make it part of another."""
        self.merge_account(self.chosen)

    def action_accounts_remove(self) -> None:
        """Remove it; undo brings it back."""
        self.remove_account(self.chosen)

    def action_accounts_write(self) -> None:
        """Write to it."""
        account = self.store.account(self.chosen)
        if account is not None:
            self.write_to(account)

    def write_for(self, draft: Draft) -> None:
        """The main screen opens the composer."""
        self.dismiss(Left(draft=draft))

    def action_accounts_close(self) -> None:
        """Back to the mail."""
        self.dismiss(None)

    def _travel(self, *, back: bool) -> None:
        if not self.may_write():
            return
        act = self.store.undo() if back else self.store.redo()
        if act is None:
            self.hint(_("Nothing to undo.") if back else _("Nothing to redo."))
            return
        self.accounts_changed()
        told = words.undone if back else words.redone
        self.say(told(act.kind, act.count), words.OK, "redo" if back else "undo")

    def action_undo(self) -> None:
        """Take the last act back."""
        self._travel(back=True)

    def action_redo(self) -> None:
        """Do again what was undone."""
        self._travel(back=False)

    # --- moving

    def action_down(self) -> None:
        """Next account."""
        self.rows.move(1)

    def action_up(self) -> None:
        """Previous account."""
        self.rows.move(-1)

    def action_page_down(self) -> None:
        """A screenful down."""
        self.rows.move(max(1, self.rows.size.height - 1))

    def action_page_up(self) -> None:
        """A screenful up."""
        self.rows.move(-max(1, self.rows.size.height - 1))

    def action_top(self) -> None:
        """The first."""
        self.rows.go(0)

    def action_bottom(self) -> None:
        """The last."""
        self.rows.go(self.rows.pages.count - 1)

    # --- the program

    def action_refresh(self) -> None:
        """Ask the servers now."""
        self.program.wake()
        self.hint(_("Asking the servers…") if self.program.online else _("No connection is set up here."))

    def action_palette(self) -> None:
        """Find a command by its words."""
        from crmmail.tui.palette import Palette

        self.app.push_screen(Palette(self.keymap, self.context()), self._run_chosen)

    async def _run_chosen(self, command_id: str | None) -> None:
        if command_id:
            await self.run_command(command_id)

    def action_help(self) -> None:
        """All keys."""
        from crmmail.tui.help import Help

        self.app.push_screen(Help(self.keymap, ACCOUNTS))

    def action_leave(self) -> None:
        """Leave the program."""
        self.app.exit()

    def speak(self) -> None:
        """Another language."""
        self.renew()
        self.rows.refresh()


def typing_key(keymap: Keymap, command_id: str) -> str:
    """The key of a command that also works while typing; '' where it has none."""
    return next((shown(key) for key in keymap.keys.get(command_id, ()) if from_line(key)), "")


def from_line(key: str) -> bool:
    """Whether a key types nothing, and is no use within a line of text."""
    return key in _FROM_LINE or (key.startswith("f") and key[1:].isdigit())

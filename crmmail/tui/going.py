"""Moving: the cursor, the folders, the panes, the program."""

from __future__ import annotations

from crmmail.i18n import _, language
from crmmail.model import Phase, Role
from crmmail.tui import outgoing_lines, words
from crmmail.tui.account_panel import AccountPanel
from crmmail.tui.commands import PANEL, READER, SIDEBAR
from crmmail.tui.keymap import PRESETS, Keymap
from crmmail.tui.screen_base import WIDE, MailScreen

END = 1_000_000  # lines: beyond every end


class Going(MailScreen):
    """Commands that move, and those that concern the program itself."""

    panel: AccountPanel

    # --- the cursor: list, folders or text, whichever has the keys

    def _step(self, by: int) -> None:
        match self.pane:
            case "reader":
                self.reader.scroll_lines(by)
            case "sidebar":
                self.step_side(by)
            case "panel":
                self.panel.scroll_lines(by)
            case _:
                self.messages.move(by)

    def _leap(self, direction: int) -> None:
        match self.pane:
            case "reader":
                self.reader.scroll_lines(direction * max(1, self.reader.size.height - 1))
            case "sidebar":
                self.step_side(direction * max(1, self.sidebar.size.height - 1))
            case "panel":
                self.panel.scroll_lines(direction * max(1, self.panel.size.height - 1))
            case _:
                self.messages.page(direction)

    def _edge(self, *, end: bool) -> None:
        if self.pane == SIDEBAR:
            self.step_side(END if end else -END)
        elif self.pane == PANEL:
            self.panel.scroll_lines(END if end else -END)
        elif self.pane == READER:
            self.reader.scroll_lines(self.reader.line_count if end else -self.reader.line_count)
        else:
            self.messages.go(self.messages.count - 1 if end else 0)

    def action_down(self) -> None:
        """One line down."""
        self._step(1)

    def action_up(self) -> None:
        """One line up."""
        self._step(-1)

    def action_page_down(self) -> None:
        """A screenful down."""
        self._leap(1)

    action_list_page = action_page_down

    def action_page_up(self) -> None:
        """A screenful up."""
        self._leap(-1)

    def action_top(self) -> None:
        """To the top."""
        self._edge(end=False)

    def action_bottom(self) -> None:
        """To the end."""
        self._edge(end=True)

    # --- folders

    def _to_folder(self, role: Role) -> None:
        """The folder of that role in the mailbox in view; from All inboxes, in the mailbox under the cursor."""
        query = self.messages.query_shown
        if role is Role.INBOX:
            self.show_folder(query.mailbox, role.value)
            return
        row = self.messages.row
        name = query.mailbox or (row.mailbox if row else next(iter(self.boxes), ""))
        found = next((item for item in self.store.folders(name) if item.role is role), None) if name else None
        if found is None or (role is Role.FAVORITES and not self.boxes[name].capabilities.favorites):
            self.hint(_("This mailbox has no folder “{folder}”.").format(folder=_(words.FOLDERS[role])))
            return
        self.show_folder(name, found.key)

    def action_go_inbox(self) -> None:
        """The inbox."""
        self._to_folder(Role.INBOX)

    def action_go_favorites(self) -> None:
        """The favorites."""
        self._to_folder(Role.FAVORITES)

    def action_go_sent(self) -> None:
        """What was sent."""
        self._to_folder(Role.SENT)

    def action_go_trash(self) -> None:
        """The trash."""
        self._to_folder(Role.TRASH)

    def action_go_all(self) -> None:
        """All mail."""
        self._to_folder(Role.ALL)

    def action_go_unified(self) -> None:
        """All inboxes."""
        self.show_folder("", Role.INBOX.value)

    def action_next_mailbox(self) -> None:
        """The next mailbox's inbox; after the last, All inboxes."""
        names = ["", *self.boxes]
        here = self.messages.query_shown.mailbox
        at = names.index(here) if here in names else 0
        self.show_folder(names[(at + 1) % len(names)], Role.INBOX.value)

    def action_go_mailbox(self) -> None:
        """The mailbox of that number; without a number, choose one."""
        from crmmail.tui.dialogs import Picker

        boxes = list(self.boxes.values())
        if self.struck.isdigit():
            at = int(self.struck) - 1
            if at < len(boxes):
                self.show_folder(boxes[at].id, Role.INBOX.value)
            else:
                self.hint(_("There is no mailbox {number}.").format(number=self.struck))
            return
        lines = [(box.name or box.address, box.address) for box in boxes]
        self.app.push_screen(
            Picker(_("Mailboxes"), lines),
            lambda at: self.show_folder(boxes[at].id, Role.INBOX.value) if isinstance(at, int) else None,
        )

    def action_mailboxes(self) -> None:
        """The Mailboxes screen."""
        from crmmail.tui.boxes import Mailboxes

        self.app.push_screen(Mailboxes(self.store, self.keymap))

    def _neighbour(self, by: int) -> None:
        found = self.sidebar.neighbour(by)
        if found is not None:
            self.show_folder(*found)

    def action_next_folder(self) -> None:
        """The next folder."""
        self._neighbour(1)

    def action_previous_folder(self) -> None:
        """The previous folder."""
        self._neighbour(-1)

    # --- panes

    @property
    def _panes(self) -> list[str]:
        beside = [PANEL] if self.panel.display else []
        if self.arrangement == WIDE:
            return [SIDEBAR, "list", *([READER] if self.reader.message else []), *beside]
        return [SIDEBAR, READER if self.reading else "list", *beside]

    def _to_pane(self, by: int) -> None:
        panes = self._panes
        here = panes.index(self.pane) if self.pane in panes else 0
        self.focus_pane(panes[(here + by) % len(panes)])

    def focus_pane(self, pane: str) -> None:
        """Send the keys to another pane; on a narrow terminal the folders come in over the list."""
        self.folders_over = pane == "sidebar"
        self.fit_panes()
        self.go_to_pane(pane)

    def action_next_pane(self) -> None:
        """The next pane."""
        self._to_pane(1)

    def action_previous_pane(self) -> None:
        """The previous pane."""
        self._to_pane(-1)

    def action_folders(self) -> None:
        """Show the folders, or hide them."""
        if self.pane == SIDEBAR:
            self.action_to_list()
        else:
            self.focus_pane("sidebar")

    def action_to_list(self) -> None:
        """From the folders back."""
        self.focus_pane("reader" if self.reading and self.arrangement != WIDE else "list")

    # --- the program

    def action_refresh(self) -> None:
        """Ask the servers now."""
        self.program.wake()
        self.hint(_("Asking for new mail…") if self.program.online else _("No connection is set up here."))

    def action_actions(self) -> None:
        """The Actions menu."""
        from crmmail.tui.menu import ActionsMenu

        self.app.push_screen(ActionsMenu(self.keymap, self.context(), self.targets), self._run_chosen)

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

        self.app.push_screen(Help(self.keymap, self.pane))

    def action_quit(self) -> None:
        """Leave, after a question."""
        from crmmail.tui.dialogs import Confirm

        waiting = len(self.store.outbox()) + len(self.store.outgoing(outgoing_lines.WAITING))
        text = _("What waits for the server is kept and sent next time.") if waiting else ""
        dialog = Confirm(_("Quit crmmail?"), text, _("Quit"), harmless=True)
        self.app.push_screen(dialog, lambda sure: self.app.exit() if sure else None)

    def action_leave(self) -> None:
        """Leave at once: everything is saved already."""
        self.app.exit()

    def action_connect(self) -> None:
        """Connect a mailbox."""
        self.program.connect()

    def action_connect_crm(self) -> None:
        """Connect a CRM, or the one there is again."""
        self.program.connect_crm()

    def action_sign_in(self) -> None:
        """Sign in again where the session has ended."""
        status = self.troubled()
        self.program.sign_in(status.mailbox if status else "")

    def action_allow_removal(self) -> None:
        """The fuse: the server reports much less than before. Ask what to believe."""
        from crmmail.tui.dialogs import Confirm

        status = self.troubled()
        if status is None or status.phase is not Phase.PAUSED:
            return
        dialog = Confirm(_("Synchronisation is paused"), status.sentence, _("Remove them here too"))
        self.app.push_screen(dialog, lambda sure: self._allow_removal(status.mailbox) if sure else None)

    def _allow_removal(self, mailbox: str) -> None:
        self.guarded(lambda: self.store.allow_mass_removal(mailbox))
        self.program.wake()

    def action_language(self) -> None:
        """The other language."""
        self.program.use_language("en" if language() != "en" else "pt_BR")

    def action_theme(self) -> None:
        """Choose a theme."""
        from crmmail.tui.dialogs import Picker

        names = sorted(self.app.available_themes)
        self.app.push_screen(
            Picker(_("Theme"), [(name, "") for name in names], start=names.index(self.app.theme)),
            lambda at: None if at is None else self.program.use_theme(names[at]),
        )

    def action_keys_preset(self) -> None:
        """Choose a set of keys."""
        from crmmail.tui.dialogs import Picker

        names = list(PRESETS)
        self.app.push_screen(
            Picker(_("Keys"), [(name, "") for name in names]),
            lambda at: None if at is None else self.program.use_keys(names[at]),
        )

    def use_keymap(self, keymap: Keymap) -> None:
        """Other keys from now on."""
        self.keymap = keymap
        self.sidebar.reload()
        self.renew()

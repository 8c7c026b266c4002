"""What the main screen says: title, place, footer, toasts, the panel after a prefix key, the words of an empty list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crmmail.errors import CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.model import Change, Folder, Phase, Query, Role, Status
from crmmail.tui import commands, words
from crmmail.tui.account_commands import CLASSIFY, EVERYWHERE, INBOX_ONLY, WAITING
from crmmail.tui.commands import COMMANDS, Command
from crmmail.tui.keymap import shown
from crmmail.tui.panels import Entry, FooterLine, PrefixPanel, Title, TitleLine
from crmmail.tui.screen_base import MailScreen

QUEUES = (CLASSIFY, WAITING)
# The state that is shown for several mailboxes is the one further down.
GRAVITY = (
    Phase.HELD,
    Phase.SYNCED,
    Phase.IDLE,
    Phase.SYNCING,
    Phase.FILLING,
    Phase.WAITING,
    Phase.OFFLINE,
    Phase.ERROR,
    Phase.PAUSED,
    Phase.SIGN_IN,
)


class Telling(MailScreen):
    """Everything that is said around the list."""

    title_line: TitleLine
    footer: FooterLine
    prefix_panel: PrefixPanel
    renewed: dict[str, float]  # mailbox → when its access was last renewed, where that is known
    undoable: bool
    redoable: bool
    copying: bool = False  # a CRM's accounts are being copied, and that was said

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
        """The panel after a prefix key."""
        found = [self._entry(command, after=self.prefix) for command in entries]
        if found:
            self.prefix_panel.put(shown(self.prefix), found)
        else:
            self.prefix_panel.display = False

    def _entry(self, command: Command, after: str = "") -> Entry:
        keys = self.keymap.keys[command.id]
        second = [key.split(" ")[1] for key in keys if after and key.startswith(after + " ")]
        key = shown(second[0]) if second else self.keymap.first(command.id)
        return Entry(key, _(command.label if after else command.short or command.label), command.id)

    def tell_notices(self) -> None:
        """What the store had to mend, once: none of that happens in silence."""
        if self.store.notices:
            sentences, self.store.notices[:] = " ".join(self.store.notices), []
            self.notice.say(sentences, words.WARN)

    def tell(self, change: Change) -> None:
        for _act, sentence in change.rejected:
            self.say(_("The server refused: {sentence}").format(sentence=sentence), words.BAD, "go_outbox")
        if change.parted & self.store.drafts_parted():
            self.say(
                _("A draft was changed here and elsewhere: both versions are kept in Drafts."), words.WARN, "go_drafts"
            )
        count = len(change.arrived)
        if count and self.notice.tone in ("", words.QUIET, words.BUSY):
            self.notice.say(
                ngettext("{count} new message", "{count} new messages", count).format(count=count), words.BUSY
            )

        self.tell_notices()
        for name in change.mailboxes:
            if name.startswith("crm.") and (status := self.store.said(name)) is not None:
                self._tell_crm(status)

    def _tell_crm(self, status: Status) -> None:
        """How far the copy of its accounts is, and what it needs the user for. What passes by itself is not said."""
        if status.phase in (Phase.SIGN_IN, Phase.ERROR, Phase.PAUSED) and status.sentence:
            self.notice.say(f"{status.sentence} {status.next_step}".strip(), words.WARN)
        elif status.phase is Phase.FILLING and status.done and self.notice.tone in ("", words.QUIET, words.BUSY):
            text = _("Copying accounts and contacts from the CRM: {count}").format(count=words.number(status.done))
            self.notice.say(text, words.BUSY)
            self.copying = True
        elif status.phase in (Phase.SYNCED, Phase.SYNCING) and self.copying:
            self.copying = False
            if self.notice.tone == words.BUSY:
                count = self.store.account_count()
                text = ngettext("{count} account is here.", "{count} accounts are here.", count)
                self.notice.say(text.format(count=words.number(count)), words.QUIET)

    def refresh_journal(self) -> None:
        """Whether there is something to undo or redo."""
        self.undoable = self.store.turnable(back=True) is not None
        self.redoable = self.store.turnable(back=False) is not None

    def renew(self) -> None:
        """Title, place and footer as things stand."""
        self.title_line.say(self._title())
        self.notice.put(self._place())
        context = self.context()
        if not self.boxes:
            self.footer.put([self._entry(commands.BY_ID[name]) for name in ("connect", "help", "quit")])
            return
        useful = sorted((command for command in COMMANDS if command.footer), key=lambda command: command.footer)
        self.footer.put([self._entry(command) for command in useful if commands.possible(command, context)])

    def _title(self) -> Title:
        query = self.messages.query_shown
        folder = self.folder_of(query)
        box = self.boxes.get(query.mailbox)
        status = self.statuses.get(query.mailbox) or self._worst_status()
        state, tone = words.state(status, self.keymap.first("sign_in")) if self.boxes else ("", "")
        name = self._named(query, folder)
        counts = self._counts(folder)
        if query.text and query.text != INBOX_ONLY:
            name = _("“{words}” in {folder}").format(words=query.text, folder=name)
            counts = ngettext("{count} found", "{count} found", self.messages.count).format(
                count=words.number(self.messages.count)
            )
        mailbox = box.address if box and len(self.boxes) > 1 else ""
        return Title(name, mailbox, counts, state, tone, self.keymap.first("actions"), self._session(query.mailbox))

    def _session(self, mailbox: str) -> str:
        """When the access was last renewed; of several mailboxes, the one longest ago."""
        times = [time for name, time in self.renewed.items() if mailbox in ("", name)]
        return _("access renewed {time}").format(time=words.recently(min(times), self.clock())) if times else ""

    def _named(self, query: Query, folder: Folder | None) -> str:
        """What the list holds."""
        account = self.store.account(query.account) if query.account else None
        if query.folder in QUEUES:
            name = _("To classify") if query.folder == CLASSIFY else _("Waiting for you")
        elif account is not None and query.folder == EVERYWHERE and not query.mailbox:
            return account.name
        else:
            name = words.folder(folder) if folder else _("All inboxes") if self.boxes else _("Welcome")
        return f"{name} · {account.name}" if account is not None else name

    def _worst_status(self) -> Status | None:
        return max(self.statuses.values(), key=lambda status: GRAVITY.index(status.phase), default=None)

    def _counts(self, folder: Folder | None) -> str:
        total = self.messages.count
        query = self.messages.query_shown
        fresh = folder.unread if folder else sum(line.count for line in self.sidebar.lines if line.kind == "unified")
        if query.account or query.folder in QUEUES:
            fresh = 0  # of the folder, not of what is shown
        words_total = ngettext("{count} message", "{count} messages", total).format(count=words.number(total))
        if not fresh:
            return words_total if self.boxes else ""
        return (
            ngettext("{count} unread", "{count} unread", fresh).format(count=words.number(fresh)) + " · " + words_total
        )

    def _place(self) -> str:
        selected = len(self.messages.selected)
        if selected:
            return ngettext("{count} selected", "{count} selected", selected).format(count=words.number(selected))
        if not self.messages.count:
            return ""
        return f"{words.number(self.messages.index + 1)}/{words.number(self.messages.count)}"

    def folder_of(self, query: Query) -> Folder | None:
        """The folder a query shows; None for All inboxes."""
        if query.mailbox not in self.boxes:
            return None
        return next((found for found in self.store.folders(query.mailbox) if found.key == query.folder), None)

    def empty_text(self) -> Sequence[str]:
        """What an empty list says, and the key that leads out."""
        key = self.keymap.first
        query = self.messages.query_shown
        status = self.statuses.get(query.mailbox) or self._worst_status()
        if not self.boxes:
            return (
                _("No mailbox is connected yet"),
                "",
                _("{key} connects one: Gmail, Outlook or any other").format(key=key("connect")),
                _("Just looking: crmmail demo"),
                "",
                _("{key} quits").format(key=key("quit")),
            )
        if query.text and query.text != INBOX_ONLY:
            return (_("Nothing found"), "", _("{key} leaves the search").format(key=key("leave_search")))
        if status and status.phase is Phase.SIGN_IN:
            return (_("Session expired"), "", status.sentence, _("{key} signs in again").format(key=key("sign_in")))
        if status and status.phase is Phase.FILLING:
            return (_("Your mail is coming in"), "", words.state(status)[0])
        if status and status.phase is Phase.OFFLINE and not status.at:
            return (_("Offline"), "", status.sentence, _("{key} tries again").format(key=key("refresh")))
        if query.folder == CLASSIFY:
            return (_("Everything has its account"), "", _("What is uncertain waits here for a key."))
        if query.folder == WAITING:
            return (_("Nobody waits for your answer"), "", _("{key} goes to the inbox").format(key=key("go_inbox")))
        if query.account:
            key_out = key("leave_account") if query.folder == EVERYWHERE else key("filter_account")
            return (_("No mail with this account"), "", _("{key} goes back").format(key=key_out))
        if query.folder == Role.TRASH.value:
            return (_("The trash is empty"), "", _("{key} goes to the inbox").format(key=key("go_inbox")))
        if query.folder == Role.INBOX.value:
            return (_("All done"), "", _("Nothing is waiting for you here."))
        return (_("Nothing here"), "", _("{key} goes to the inbox").format(key=key("go_inbox")))

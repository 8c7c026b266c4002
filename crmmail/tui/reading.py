"""Reading: open, go on, fold, save and open attachments, follow links, look at the source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual import on
from textual.timer import Timer

from crmmail.errors import CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.model import Attachment, Link, Row
from crmmail.ops import Verb
from crmmail.tui import format, words
from crmmail.tui.commands import LIST, READER, SIDEBAR
from crmmail.tui.message_list import MessageList
from crmmail.tui.screen_base import WIDE, MailScreen

PREVIEW_PAUSE = 0.12  # seconds the cursor rests before the wide layout shows its message
HINTED = ("quotes", "show_all", "attachments", "links", "raw", "thread_next", "thread_previous")


class Reading(MailScreen):
    """Commands of the reader."""

    _preview_timer: Timer | None = None
    _read_timer: Timer | None = None

    def reader_hints(self) -> tuple[tuple[str, str], ...]:
        """The keys the reader's text mentions."""
        return tuple((name, self.keymap.first(name)) for name in HINTED)

    # --- open and close

    def action_open(self) -> None:
        """Read the message under the cursor; in the folders, go there."""
        if self.pane == SIDEBAR:
            self.choose_side()
        elif self.messages.cursor_id is not None:
            self.open_message(self.messages.cursor_id)

    @on(MessageList.Opened)
    def _opened(self, event: MessageList.Opened) -> None:
        self.guarded(lambda: self.open_message(event.id))

    def open_message(self, message: int) -> None:
        """Show a message and send the keys to the reader."""
        self._stop_timers()
        if not self._show(message):
            self.hint(_("This message is no longer here."))
            return
        self.reading = True
        self.folders_over = False
        self.fit_panes()
        self.go_to_pane(READER)
        self.notice.say("", "")
        self._mark_read(message)
        self.renew()
        self.brief()

    def _show(self, message: int) -> bool:
        found = self.store.message(message)
        if found is None:
            return False
        thread = self.store.thread(message) if found.row.thread_count > 1 else []
        place = next((at for at, row in enumerate(thread, 1) if row.id == message), 1)
        self.reader.show(found, (place, max(len(thread), 1)))
        if found.body is None:
            self.program.want(message)
        return True

    def refresh_reader(self) -> None:
        """The open message changed in the store: its body came, or its flags are others."""
        if self.reader.message_id is not None and not self._show(self.reader.message_id):
            self.close_reader()

    def close_reader(self) -> None:
        """Back to the list."""
        self._stop_timers()
        if not self.reading:
            return
        self.reading = False
        self.fit_panes()
        if self.arrangement != WIDE:
            self.reader.show(None)
        self.go_to_pane(LIST)

    def action_back(self) -> None:
        """Back to the list."""
        self.close_reader()
        self.renew()
        self.brief()

    def after_act(self, messages: list[int]) -> None:
        """When the message being read has left the list, the next one is read; with the last the list is back."""
        if not self.reading or self.reader.message_id not in messages:
            return
        if self.messages.pages.holds(self.reader.message_id):
            self.refresh_reader()
        elif self.messages.cursor_id is not None:
            self.open_message(self.messages.cursor_id)
        else:
            self.close_reader()

    def _mark_read(self, message: int) -> None:
        """As the setting says: at once, after some seconds, never."""
        wish = self.program.settings.mark_read
        shown = self.reader.message
        if wish == "never" or self.program.readonly or shown is None or not shown.state.unread:
            return
        if wish == "at_once":
            # Not before it is on the screen: the note costs a third of a frame. Whatever is shown by then was opened.
            self.call_after_refresh(self.guarded, lambda: self._read_quietly(message))
        else:
            self._read_timer = self.set_timer(float(wish), lambda: self._now_read(message))

    def _now_read(self, message: int) -> None:
        if self.reader.message_id == message:
            self.guarded(lambda: self._read_quietly(message))

    def _read_quietly(self, message: int) -> None:
        """Reading is not an act of its own: undo goes past it to what the user really did."""
        if self.store.perform(Verb.READ, [message], quiet=True):
            self.program.drain()
            self.program.wake()

    def _stop_timers(self) -> None:
        for timer in (self._preview_timer, self._read_timer):
            if timer is not None:
                timer.stop()

    # --- the wide layout follows the cursor

    @on(MessageList.Moved)
    def _moved(self, event: MessageList.Moved) -> None:
        if self._preview_timer is not None:
            self._preview_timer.stop()
        self._preview_timer = self.set_timer(PREVIEW_PAUSE, self._rested)
        if self.answers_at_once:
            self.brief()

    def _rested(self) -> None:
        self.renew()
        self.brief()
        if self.arrangement == WIDE and not self.reader.active:
            self.preview()

    def preview(self) -> None:
        """Show the message under the cursor beside the list, without counting it as read."""
        cursor = self.messages.cursor_id
        if cursor is None:
            self.reader.show(None)
        elif cursor != self.reader.message_id:
            self._show(cursor)

    # --- going on

    def _read_neighbour(self, by: int) -> None:
        before = self.messages.index
        self.messages.move(by)
        if self.messages.index == before:
            self.hint(_("This is the last message.") if by > 0 else _("This is the first message."))
        elif self.messages.cursor_id is not None:
            self.open_message(self.messages.cursor_id)

    def action_next_message(self) -> None:
        """The next message of the list."""
        self._read_neighbour(1)

    def action_previous_message(self) -> None:
        """The one before it."""
        self._read_neighbour(-1)

    def _in_thread(self, by: int) -> None:
        rows: list[Row] = self.store.thread(self.reader.message_id) if self.reader.message_id is not None else []
        at = next((index for index, row in enumerate(rows) if row.id == self.reader.message_id), 0) + by
        if not 0 <= at < len(rows):
            self.hint(_("The conversation ends here.") if by > 0 else _("The conversation begins here."))
            return
        self.messages.go_to(rows[at].id)
        self.open_message(rows[at].id)

    def action_thread_next(self) -> None:
        """The next message of the conversation."""
        self._in_thread(1)

    def action_thread_previous(self) -> None:
        """The one before it."""
        self._in_thread(-1)

    def action_page_on(self) -> None:
        """Scroll on; at the end, the next message."""
        if not self.reader.scroll_lines(max(1, self.reader.size.height - 1)):
            self._read_neighbour(1)

    # --- the text

    def action_quotes(self) -> None:
        """Unfold quoted text, or fold it."""
        self.reader.toggle_quotes()

    def action_show_all(self) -> None:
        """Also what is beyond the first 64 KiB."""
        self.reader.show_whole()
        self.renew()

    def action_headers(self) -> None:
        """All headers."""
        self._with_raw(_("Headers"), lambda raw: raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0])

    def action_raw(self) -> None:
        """The source."""
        self._with_raw(_("Source"), lambda raw: raw.replace(b"\r\n", b"\n"))

    def _with_raw(self, title: str, cut: Callable[[bytes], bytes]) -> None:
        message = self.targets[0]

        def work() -> None:
            raw = self.store.raw(message)
            if raw is None:
                self.app.call_from_thread(self.program.want, message)
            text = None if raw is None else format.clean(cut(raw).decode("utf-8", "replace"), lines=True)
            self.app.call_from_thread(self._show_text, title, text)

        self._in_thread_worker(work)

    def _show_text(self, title: str, text: str | None) -> None:
        from crmmail.tui.dialogs import TextScreen

        if text is None:
            self.hint(_("The message has not been downloaded yet."))
        else:
            self.app.push_screen(TextScreen(title, text))

    def _in_thread_worker(self, work: Callable[[], None]) -> None:
        """Disk and parsing stay off the loop; what goes wrong becomes a sentence."""

        def careful() -> None:
            try:
                work()
            except CrmMailError as error:
                self.app.call_from_thread(self.fail, error)
            except OSError as error:
                self.app.call_from_thread(
                    self.say,
                    _("That did not work: {reason}").format(reason=error.strerror or type(error).__name__),
                    words.BAD,
                )

        self.run_worker(careful, thread=True, exit_on_error=False)

    # --- attachments

    def action_attachments(self) -> None:
        """Save one, save all, or open one."""
        from crmmail.tui.dialogs import Picker

        body = self.reader.message.body if self.reader.message else None
        if body is None:
            return
        items = body.attachments
        lines = [(item.name, f"{format.size(item.size)}  {item.content_type}") for item in items]
        keys = {"enter": _("save"), "o": _("open"), "a": _("save all")}
        picker = Picker(_("Attachments"), lines, keys=keys)

        def chosen(choice: int | tuple[str, int] | None) -> None:
            match choice:
                case ("a", _at):
                    self._save(list(items))
                case ("o", int(at)):
                    self._look_at(items[at])
                case int(at):
                    self._save([items[at]])

        self.app.push_screen(picker, chosen)

    def _save(self, items: list[Attachment]) -> None:
        message = self.reader.message_id

        def work() -> None:
            paths = self._written(message, items)
            count = len(paths)
            told = ngettext("{count} attachment saved in {folder}", "{count} attachments saved in {folder}", count)
            sentence = told.format(count=count, folder=paths[0].parent) if paths else _("Nothing was saved.")
            self.app.call_from_thread(self.say, sentence)

        self._in_thread_worker(work)

    def _written(self, message: int | None, items: list[Attachment]) -> list[Path]:
        """In a thread: take the attachments out of the raw message and write them under safe names."""
        from crmmail.mail import attachments
        from crmmail.tui.launch import download_folder

        raw = self.store.raw(message) if message is not None else None
        if raw is None:
            return []
        folder = download_folder(self.program.settings)
        folder.mkdir(parents=True, exist_ok=True)
        return [attachments.save(folder, item, attachments.content(raw, item.part)) for item in items]

    def _look_at(self, item: Attachment) -> None:
        """In a thread: what the file really is, before anybody is asked whether to open it."""
        message = self.reader.message_id

        def work() -> None:
            from crmmail.mail import attachments

            raw = self.store.raw(message) if message is not None else None
            kind = attachments.openable(item, attachments.content(raw, item.part)) if raw is not None else ""
            self.app.call_from_thread(self._ask_to_open, item, kind, message)

        self._in_thread_worker(work)

    def _ask_to_open(self, item: Attachment, kind: str, message: int | None) -> None:
        from crmmail.tui.dialogs import Confirm

        if not kind:
            sentence = _("Not opened from here: it could run something, or is not what its name says. Save it instead.")
            self.say(sentence, words.WARN, "attachments")
            return
        question = _("Open “{name}”?").format(name=format.clean(item.name))
        text = _("{type}, {size}. It opens in the program your system has for it. Only do this if you expect the file.")

        def work() -> None:
            from crmmail.tui import launch

            for path in self._written(message, [item]):
                launch.open_file(path)

        dialog = Confirm(question, text.format(type=kind, size=format.size(item.size)), _("Save and open"))
        self.app.push_screen(dialog, lambda sure: self._in_thread_worker(work) if sure else None)

    # --- links

    def action_links(self) -> None:
        """Every link with the host it really leads to."""
        from crmmail.tui.dialogs import Picker

        body = self.reader.message.body if self.reader.message else None
        if body is None:
            return
        links = body.links
        lines = [(f"[{link.number}] {link.host or link.url[:60]}", link.text) for link in links]
        picker = Picker(_("Links"), lines, keys={"enter": _("open"), "y": _("copy")})

        def chosen(choice: int | tuple[str, int] | None) -> None:
            match choice:
                case ("y", int(at)):
                    self.app.copy_to_clipboard(format.clean(links[at].url))
                    self.say(_("Link copied"))
                case int(at):
                    self._ask_to_follow(links[at])

        self.app.push_screen(picker, chosen)

    def _ask_to_follow(self, link: Link) -> None:
        from crmmail.mail.links import may_open
        from crmmail.tui.dialogs import Confirm

        if not may_open(link.url):
            self.say(_("This link is not a web or mail address and is not opened."), words.WARN)
            return
        question = _("Open {host}?").format(host=format.clean(link.host) or _("this address"))
        text = format.clean(link.url)
        if link.mismatch:
            text = _("Its text claims another address than the one it leads to.") + "\n" + text

        def work() -> None:
            from crmmail.tui import launch

            launch.open_url(link.url)

        dialog = Confirm(question, text, _("Open in the browser"), bad=link.mismatch)
        self.app.push_screen(dialog, lambda sure: self._in_thread_worker(work) if sure else None)

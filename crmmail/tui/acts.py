"""The user's acts on messages: verbs, undo, selection. Every act names what it did and the key that takes it back."""

from __future__ import annotations

from collections.abc import Callable

from textual import on

from crmmail.i18n import _, ngettext
from crmmail.model import Row
from crmmail.ops import Verb
from crmmail.tui import words
from crmmail.tui.commands import LIST
from crmmail.tui.message_list import MessageList
from crmmail.tui.screen_base import MailScreen

CONFIRM_BY_COUNT = 20  # above this many permanent deletions the number itself is typed


class Acts(MailScreen):
    """Commands that change messages or select them."""

    def perform(self, verb: Verb, messages: list[int]) -> None:
        """Do it now, in the store; the server hears of it in its own time."""
        if self.program.readonly:
            self.say(_("Another crmmail is open on this profile: here you can only read."), words.WARN)
            return
        if self.pane == LIST and not self.messages.selected and not self.messages.aimed:
            self.hint(_("The message under the cursor has just gone elsewhere: nothing was done. Press again."))
            return
        act = self.store.perform(verb, messages)
        if act is None:
            self.hint(words.nothing(verb))
            return
        self.messages.clear_selection()
        self._show_own()
        self.after_act(messages)
        self.say(words.done(act.kind, act.count), words.OK, *(() if verb is Verb.DELETE else ("undo",)))
        self.program.wake()

    def _show_own(self) -> None:
        self.acting = True
        self.program.drain()
        self.acting = False

    def action_read(self) -> None:
        """Mark as read."""
        self.perform(Verb.READ, self.targets)

    def action_unread(self) -> None:
        """Mark as unread."""
        self.perform(Verb.UNREAD, self.targets)

    def action_favorite(self) -> None:
        """Put among the favorites."""
        self.perform(Verb.FAVORITE, self.targets)

    def action_unfavorite(self) -> None:
        """Take out of the favorites."""
        self.perform(Verb.UNFAVORITE, self.targets)

    def action_trash(self) -> None:
        """Send to the trash, without a question."""
        self.perform(Verb.TRASH, self.targets)

    def action_recover(self) -> None:
        """Back from the trash to where it came from."""
        self.perform(Verb.RECOVER, self.targets)

    def action_archive(self) -> None:
        """Out of the inbox."""
        self.perform(Verb.ARCHIVE, self.targets)

    def action_delete(self) -> None:
        """Delete permanently, after a question."""
        self._ask_to_delete(self.targets)

    def action_empty_trash(self) -> None:
        """Delete permanently all that is in this trash, after a question."""
        self._ask_to_delete(self.store.ids(self.messages.query_shown))

    def _ask_to_delete(self, messages: list[int]) -> None:
        from crmmail.tui.dialogs import Confirm, ConfirmCount

        count = len(messages)
        title = ngettext("Delete {count} message permanently?", "Delete {count} messages permanently?", count)
        question = title.format(count=words.number(count))
        text = _("It disappears from the server too. This cannot be undone.")
        button = _("Delete permanently")
        dialog = (
            Confirm(question, text, button)
            if count <= CONFIRM_BY_COUNT
            else ConfirmCount(question, text, button, count)
        )
        self.app.push_screen(dialog, self._if_sure(lambda: self.perform(Verb.DELETE, messages)))

    def _if_sure(self, act: Callable[[], None]) -> Callable[[bool | None], None]:
        def decided(sure: bool | None) -> None:
            if sure:
                self.guarded(act)

        return decided

    # --- the journal

    def action_undo(self) -> None:
        """Take the last act back."""
        self._travel(back=True)

    action_undo_too = action_undo

    def action_redo(self) -> None:
        """Do again what was undone."""
        self._travel(back=False)

    def _travel(self, *, back: bool) -> None:
        act = self.store.undo() if back else self.store.redo()
        if act is None:
            self.hint(_("Nothing to undo.") if back else _("Nothing to redo."))
            return
        self._show_own()
        told = words.undone if back else words.redone
        self.say(told(act.kind, act.count), words.OK, "redo" if back else "undo")
        self.program.wake()

    # --- selection

    def action_select(self) -> None:
        """Select the message, or take it out of the selection."""
        self.messages.toggle()

    def action_range(self) -> None:
        """Begin a range, or end it."""
        self.messages.toggle_range()
        self.hint(_("Move to the other end of the range.") if self.messages.range_from else "")

    def action_range_down(self) -> None:
        """Select downwards."""
        self.messages.extend(1)

    def action_range_up(self) -> None:
        """Select upwards."""
        self.messages.extend(-1)

    def action_select_all(self) -> None:
        """First what is on screen; again: everything in the folder."""
        seen = {row.id for row in self.messages.visible_rows}
        if self.messages.selected < seen or not self.messages.selected:
            self.messages.select(seen)
            if self.messages.count > len(seen):
                total = words.number(self.messages.count)
                sentence = _("{count} on screen selected. Again selects all {total} in this folder.")
                self.say(sentence.format(count=len(seen), total=total), words.QUIET, "select_all")
            return
        self.messages.select(self.store.ids(self.messages.query_shown))
        count = len(self.messages.selected)
        self.say(
            ngettext("All {count} selected", "All {count} selected", count).format(count=words.number(count)),
            words.QUIET,
            "select_none",
        )

    def action_select_none(self) -> None:
        """Select nothing."""
        self.messages.clear_selection()
        self.hint("")

    action_unselect = action_select_none

    def _select_where(self, wanted: Callable[[Row], bool]) -> None:
        self.messages.select(row.id for row in self.messages.visible_rows if wanted(row))

    def action_select_read(self) -> None:
        """Select the read ones on screen."""
        self._select_where(lambda row: not row.unread)

    def action_select_unread(self) -> None:
        """Select the unread ones on screen."""
        self._select_where(lambda row: row.unread)

    def action_select_starred(self) -> None:
        """Select the favorites on screen."""
        self._select_where(lambda row: row.starred)

    @on(MessageList.StarClicked)
    def _star_clicked(self, event: MessageList.StarClicked) -> None:
        verb = Verb.UNFAVORITE if event.row.starred else Verb.FAVORITE
        self.guarded(lambda: self.perform(verb, [event.row.id]))

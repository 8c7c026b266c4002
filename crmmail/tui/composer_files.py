"""What is put into a message besides typing: files, templates, text from the user's own editor."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from textual import on
from textual.app import SuspendNotSupported

from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.mail import checks
from crmmail.model import Draft
from crmmail.tui import format, words
from crmmail.tui.composer_base import Composer
from crmmail.tui.composer_fields import Files


class Inserting(Composer):
    """Commands that put something in."""

    _folder: Path | None = None  # where the last file came from

    # --- files

    def action_compose_attach(self) -> None:
        """Choose a file."""
        from crmmail.tui.composer_dialogs import FilePicker

        picker = FilePicker(self._folder or Path.home())
        self.app.push_screen(picker, lambda path: None if path is None else self.attach(path))

    @on(Files.Asked)
    def _asked(self) -> None:
        self.action_compose_attach()

    def attach(self, path: Path) -> None:
        """Take the file in now, as it is at this moment."""
        if self.busy:
            return
        self._folder = path.absolute().parent
        wanted, ticket = self.written(), self.desk.ticket()
        self._stop_timer()
        self.say(_("Attaching {name}…").format(name=format.clean(path.name)), words.BUSY)

        def work() -> None:
            saved = self.desk.enclose(wanted, ticket, path)
            self.app.call_from_thread(self._attached, saved, path.name)

        self.in_thread(work)

    def _attached(self, saved: Draft, name: str) -> None:
        self.busy = False
        self.files.put(saved.enclosures)
        self.was_saved(saved)
        self.weigh()
        self.say(_("Attached: {name}").format(name=format.clean(name)))
        self.changed()
        self.attach_next()

    @on(Files.Removed)
    def _removed(self, event: Files.Removed) -> None:
        self.files.put(one for one in self.files.enclosures if one is not event.enclosure)
        self.weigh()
        self.say(_("Removed: {name}").format(name=format.clean(event.enclosure.name)), words.QUIET)
        self.changed()

    def weigh(self) -> None:
        """How large the message is, beside what the provider takes."""
        from crmmail.mail.compose import estimated_size

        box = self.boxes.get(self.sender.identity.mailbox if self.sender.identity else "")
        enclosures = tuple(self.files.enclosures)
        light = replace(self.draft, enclosures=enclosures, text="", to=(), cc=(), bcc=())
        limit = checks.LIMITS.get(box.provider, 0) if box else 0
        self.files.weigh(estimated_size(light) if enclosures else 0, limit)

    # --- templates

    def action_compose_template(self) -> None:
        """Choose a template; it comes in where the cursor is."""
        from crmmail.mail import templates
        from crmmail.tui.dialogs import Picker

        place = self.program.place
        folder = place.config_dir / "templates" if place else None
        found, faults = templates.read(folder) if folder else ([], [])
        if faults:
            self.fail(faults[0])
        if not found:
            if not faults:
                where = str(folder) if folder else _("the profile's folder “templates”")
                self.say(_("There are no templates yet. Put text files in {folder}.").format(folder=where), words.QUIET)
            return
        lines = [(one.name, one.subject or one.text.strip().partition("\n")[0]) for one in found]

        def chosen(index: int | tuple[str, int] | None) -> None:
            if isinstance(index, int):
                self._insert(found[index])

        self.app.push_screen(Picker(_("Insert a template"), lines), chosen)

    def _insert(self, template: object) -> None:
        from crmmail.mail import templates

        assert isinstance(template, templates.Template)
        draft = self.written()
        me = self.sender.identity.address if self.sender.identity else None
        date = datetime.fromtimestamp(self.clock()).astimezone().strftime("%d/%m/%Y")
        first = next((person for person in draft.to if person.email), None)
        subject = draft.subject or template.subject
        values = templates.values(recipient=first, me=me, account=self._account_name(draft), date=date, subject=subject)
        text, unresolved = templates.fill(template.text, values)
        if template.subject and not draft.subject:
            self.subject.value, more = templates.fill(template.subject, values)
            unresolved = (*more, *unresolved)
        self.markdown = self.markdown or template.markdown
        self.body.insert_here(text)
        self.body.focus()
        if template.problems:
            self.say(template.problems[0].sentence(template.file), words.WARN)
        elif unresolved:
            self.say(_("{{{place}}} has not been filled in.").format(place=unresolved[0]), words.WARN)
        self.changed()

    def _account_name(self, draft: Draft) -> str:
        """What the place {account} stands for."""
        account = self.store.account(draft.account) if draft.account else None
        return account.name if account else ""

    # --- the user's editor

    def action_compose_editor(self) -> None:
        """Step aside for $VISUAL or $EDITOR."""
        from crmmail.tui import composer_editor

        self.save_now()
        before = self.body.text
        try:
            with self.app.suspend():
                text = composer_editor.edit(before)
        except SuspendNotSupported as error:
            raise CrmMailError(_("This terminal cannot be handed to another program.")) from error
        if text != before:
            self.body.put(text, len(text) if self.body.place >= len(before) else self.body.place)
            self.changed()
        self.body.focus()

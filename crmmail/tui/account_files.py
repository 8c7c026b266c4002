"""Accounts from a file and into one: what a file holds is shown first; one undo takes all of it back."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from crmmail.errors import CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.tui import account_words, format, words
from crmmail.tui.account_acts import AccountActs
from crmmail.tui.dialogs import HEADING, MOVES, Button, Choices, Confirm, Dialog, Notice
from crmmail.tui.form import Field, Form, Values

if TYPE_CHECKING:
    from crmmail.crm.rows import Row
    from crmmail.crm.sheet import Shape
    from crmmail.store.importing import Imported
    from crmmail.tui.app import CrmMail

SAMPLE = 4  # rows shown as they are understood
OFTEN = 0.2  # seconds between two words about the progress


@dataclass(frozen=True, slots=True)
class Plan:
    """A file, and what importing it would do."""

    path: Path
    shape: Shape | None  # None: cards
    sample: tuple[Row, ...]
    would: Imported


def summary(done: Imported) -> str:
    """What an import does, in one line: only what there is, so that it fits where the undo key stands beside it."""
    tally = done.tally
    parts = (
        (tally.accounts_new, ngettext("{count} new account", "{count} new accounts", tally.accounts_new)),
        (
            tally.accounts_changed,
            ngettext("{count} changed account", "{count} changed accounts", tally.accounts_changed),
        ),
        (tally.contacts_new, ngettext("{count} new contact", "{count} new contacts", tally.contacts_new)),
        (
            tally.contacts_changed,
            ngettext("{count} changed contact", "{count} changed contacts", tally.contacts_changed),
        ),
    )
    found = [sentence.format(count=words.number(count)) for count, sentence in parts if count]
    return ", ".join(found) or _("Nothing in it is new.")


def lines(plan: Plan) -> list[tuple[str, str]]:
    """What there is to know before a file is taken over."""
    out: list[tuple[str, str]] = []
    if plan.shape is not None:
        out.append((_("Columns"), HEADING))
        for column, header in enumerate(plan.shape.headers):
            meaning = plan.shape.meanings.get(column, "")
            out.append((header or "–", account_words.meaning(meaning) or _("is not taken over")))
    out.append((_("First rows"), HEADING))
    for row in plan.sample:
        account = row.account.name if row.account else ""
        person = row.contact.name or next(iter(row.contact.addresses), "") if row.contact else ""
        out.append((" · ".join(part for part in (account, person) if part), ""))
    if plan.would.skipped_count:
        out.append((_("Left out"), HEADING))
        out += [(_("Row {number}: {why}.").format(number=one.number, why=one.why), "") for one in plan.would.skipped]
        rest = plan.would.skipped_count - len(plan.would.skipped)
        if rest:
            out.append((ngettext("And {count} more row.", "And {count} more rows.", rest).format(count=rest), ""))
    return out


class ImportPreview(Dialog[bool]):
    """What a file holds, how it is understood, what would happen; then the question."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """File, sum, details, buttons."""
        plan = self.plan
        count = plan.would.tally.rows + plan.would.skipped_count
        rows = ngettext("{count} row", "{count} rows", count).format(count=words.number(count))
        how = f"“{plan.shape.separator}” · {plan.shape.encoding}" if plan.shape else "vCard"
        with Vertical(id="box", classes="-help"):
            title = _("Import {file}?").format(file=format.clean(plan.path.name))
            yield Static(Content(title.replace("\t", "Tab")), id="question")
            text = f"{rows} · {how}\n{summary(plan.would)}".replace("\t", "Tab")
            yield Static(Content(text), id="text")
            yield self.choices
            with Horizontal(id="buttons"):
                yield Button(f"{_('Import')}  {_('y')}", id="yes")
                yield Button(_("Cancel") + "  Esc", id="no")

    def ready(self) -> None:
        """Nothing happens by chance: the keys scroll."""
        self.choices.put(lines(self.plan))
        self.choices.styles.height = max(3, min(len(self.choices.lines), self.app.size.height - 13))
        self.choices.focus()

    def pressed(self, event: events.Key) -> None:
        """y takes it over, Esc and n leave it."""
        if event.key in ("y", _("y"), "n"):
            event.stop()
            self.dismiss(event.key != "n")
        elif event.key in MOVES:
            event.stop()
            self.choices.scroll_by(MOVES[event.key])
        else:
            super().pressed(event)

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")


class AccountFiles(AccountActs):
    """Commands of the list of accounts that read and write files. Disk and parsing stay off the loop."""

    def action_accounts_import(self) -> None:
        """Choose a file, look at what it holds, take it in."""
        from crmmail.tui.composer_dialogs import FilePicker
        from crmmail.tui.launch import download_folder

        if not self.may_write():
            return
        folder = download_folder(self.program.settings)
        picker = FilePicker(
            folder if folder.is_dir() else Path.home(), _("Import accounts and contacts"), _("look at it")
        )
        self.program.push_screen(picker, self._look_into)

    def _look_into(self, path: Path | None) -> None:
        if path is not None:
            self.hint(_("Reading {file}…").format(file=path.name))
            refused = partial(self._refused, _("{file} is not imported").format(file=path.name))
            self._apart(lambda program: self._plan(program, path), refused)

    def _plan(self, program: CrmMail, path: Path) -> None:
        """In a thread: a dry run, which tells what would happen and every row that cannot be taken over."""
        from crmmail.crm import files, sheet
        from crmmail.crm.rows import Row

        shape = None if files.is_vcard(path) else sheet.shape(path)
        found = (row for row in files.read(path) if isinstance(row, Row))
        sample = tuple(itertools.islice(found, SAMPLE))
        would = self.store.import_rows(files.read(path), path.name, dry_run=True, progress=self._progress(program))
        program.call_from_thread(self._ask_to_import, program, Plan(path, shape, sample, would))

    def _progress(self, program: CrmMail) -> Callable[[int], None]:
        last = 0.0

        def say(rows: int) -> None:
            nonlocal last
            if time.monotonic() - last > OFTEN:
                last = time.monotonic()
                told = _("{count} rows so far…").format(count=words.number(rows))
                program.call_from_thread(self._tell, program, told, words.QUIET)

        return say

    def _tell(self, program: CrmMail, sentence: str, tone: str, *ids: str) -> None:
        """On the list of accounts, or where the user went meanwhile."""
        (self if self._is_open(program) else program.main).say(sentence, tone, *ids)

    def _is_open(self, program: CrmMail) -> bool:
        return any(screen is self for screen in list[object](program.screen_stack))

    def _ask_to_import(self, program: CrmMail, plan: Plan) -> None:
        if not self._is_open(program):
            return  # the list was left: nobody is there to be asked
        self.hint("")

        def decided(sure: bool | None) -> None:
            if sure:
                self._apart(lambda program: self._import(program, plan.path))

        self.program.push_screen(ImportPreview(plan), decided)

    def _import(self, program: CrmMail, path: Path) -> None:
        from crmmail.crm import files

        done = self.store.import_rows(files.read(path), path.name, progress=self._progress(program))
        program.call_from_thread(self._imported, program, done)

    def _imported(self, program: CrmMail, done: Imported) -> None:
        program.drain()
        program.wake()
        if done.act is None:
            self._tell(program, _("Nothing in it is new."), words.QUIET)
            return
        told = summary(done)
        if done.skipped_count:
            told += " · " + _("{count} left out").format(count=words.number(done.skipped_count))
        self._tell(program, told, words.OK, "undo")

    def action_accounts_export(self) -> None:
        """All accounts with their contacts into a file: a table, or cards where it ends in .vcf."""
        from crmmail.tui.composer_dialogs import shortened
        from crmmail.tui.launch import download_folder

        folder = download_folder(self.program.settings)
        start = shortened(folder if folder.is_dir() else Path.home()) + "/" + _("accounts") + ".csv"
        field = Field("file", _("File"), start, problem=_folder_problem)
        text = _("All accounts with their contacts; a name that ends in .vcf makes cards.")
        form = Form(_("Export accounts and contacts"), [field], text=text)
        self.program.push_screen(form, self._export_to)

    def _export_to(self, values: Values | None) -> None:
        if values is None:
            return
        path = Path(values["file"].strip()).expanduser()
        if not path.exists():
            self._apart(lambda program: self._export(program, path))
            return
        question = Confirm(
            _("Replace {file}?").format(file=path.name), _("There is a file of this name."), _("Replace")
        )

        def decided(sure: bool | None) -> None:
            if sure:
                self._apart(lambda program: self._export(program, path))

        self.program.push_screen(question, decided)

    def _export(self, program: CrmMail, path: Path) -> None:
        from crmmail.crm import files

        files.write(path, self.store.cards())
        count = self.store.account_count()
        told = ngettext("{count} account written to {file}", "{count} accounts written to {file}", count)
        sentence = told.format(count=words.number(count), file=path)
        program.call_from_thread(self._tell, program, sentence, words.OK)

    def _refused(self, title: str, program: CrmMail, sentence: str) -> None:
        """What a file lacks, to be read to its end; in a line where the list was left."""
        if self._is_open(program):
            self.hint("")
            program.push_screen(Notice(title, sentence))
        else:
            self._tell(program, sentence, words.BAD)

    def _failed(self, program: CrmMail, sentence: str) -> None:
        self._tell(program, sentence, words.BAD)

    def _apart(self, work: Callable[[CrmMail], None], failed: Callable[[CrmMail, str], None] | None = None) -> None:
        """In a thread, which is given the program: a screen that was left no longer knows it. Errors are told."""
        tell = failed or self._failed
        program = self.program

        def careful() -> None:
            try:
                work(program)
            except CrmMailError as error:
                program.call_from_thread(tell, program, str(error))
            except OSError as error:
                reason = error.strerror or type(error).__name__
                told = _("That did not work: {reason}").format(reason=reason)
                program.call_from_thread(tell, program, told)

        program.run_worker(careful, thread=True, exit_on_error=False)


def _folder_problem(text: str) -> str:
    path = Path(text.strip()).expanduser()
    if not text.strip() or path.is_dir():
        return _("A file name is needed.")
    return "" if path.parent.is_dir() else _("There is no folder {folder}.").format(folder=path.parent)

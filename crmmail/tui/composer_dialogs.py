"""The composer's small screens: what to look at before sending, when to send, which file to attach."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from crmmail.i18n import _, ngettext
from crmmail.mail.checks import Finding, Severity
from crmmail.tui import format
from crmmail.tui.dialogs import Button, Choices, Dialog

_TIME = re.compile(r"(?:(\d{1,2})[/.](\d{1,2})(?:[/.](\d{4}))?\s+)?(\d{1,2})(?:[:h](\d{2})?)?")
_SPAN = re.compile(r"\+\s*(\d{1,3})\s*(min|m|h|d)|(\d{1,3})\s*(min|d)")  # 8h is eight o'clock
ENTRIES = 400  # of a folder, at most


class Checks(Dialog[bool]):
    """What was found before sending: one key sends all the same, unless no server would take it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__()
        self.findings = list(findings)
        self.blocked = any(finding.severity is Severity.BLOCK for finding in self.findings)

    def compose(self) -> ComposeResult:
        """The findings, worst first."""
        count = len(self.findings)
        title = ngettext(
            "Before sending: {count} thing to check", "Before sending: {count} things to check", count
        ).format(count=count)
        with Vertical(id="box"):
            yield Static(Content(_("This cannot be sent yet") if self.blocked else title), id="question")
            for finding in self.findings:
                mark = "✗" if finding.severity is Severity.BLOCK else "!"
                classes = "finding -block" if finding.severity is Severity.BLOCK else "finding"
                yield Static(Content(f"{mark} {format.clean(finding.sentence)}"), classes=classes)
            with Horizontal(id="buttons"):
                if not self.blocked:
                    yield Button(_("Send anyway") + f"  {_('y')}", id="yes")
                yield Button(_("Back to the message") + "  Esc", id="no")

    def ready(self) -> None:
        """Enter goes back: sending is said, not hit by chance."""
        self.query_one("#no").focus()

    def pressed(self, event: events.Key) -> None:
        """y sends, n and Esc lead back."""
        if event.key in ("y", _("y")) and not self.blocked:
            event.stop()
            self.dismiss(True)
        elif event.key in ("n", "y"):
            event.stop()
            self.dismiss(False)
        else:
            super().pressed(event)

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


def proposals(now: datetime) -> list[tuple[str, datetime]]:
    """Times to send at, each in words: only those that are still ahead."""
    evening = now.replace(hour=18, minute=0, second=0, microsecond=0)
    morning = (now + timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    monday = morning + timedelta(days=(7 - morning.weekday()) % 7)
    found = [(_("In one hour"), now + timedelta(hours=1))]
    if evening > now:
        found.append((_("Today at 18:00"), evening))
    found.append((_("Tomorrow at 8:00"), morning))
    if monday != morning:
        found.append((_("Monday at 8:00"), monday))
    return found


def moment(text: str, now: datetime) -> datetime | None:
    """The time `text` means: 17:30, 8h, 24/11 9:00, +2h, 45min. Always ahead of `now`; None where it means none."""
    text = text.strip().lower()
    if span := _SPAN.fullmatch(text):
        unit = {"h": "hours", "d": "days"}.get(span[2] or span[4], "minutes")
        return now + timedelta(**{unit: int(span[1] or span[3])})
    found = _TIME.fullmatch(text)
    if not found or (":" not in text and "h" not in text):
        return None
    day, month, year, hour, minute = found.groups()
    try:
        then = now.replace(hour=int(hour), minute=int(minute or 0), second=0, microsecond=0)
        if not day:
            return then if then > now else then + timedelta(days=1)
        then = then.replace(day=1).replace(year=int(year or now.year), month=int(month)).replace(day=int(day))
        if then <= now and not year:
            then = then.replace(year=then.year + 1)
    except ValueError:
        return None
    return then if then > now else None


class SendLater(Dialog[float]):
    """When to send: a few usual times, or one typed. Answers seconds since the epoch."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.now = datetime.fromtimestamp(now).astimezone()
        self.times = proposals(self.now)
        lines = [(label, then.strftime("%d/%m %H:%M")) for label, then in self.times]
        self.choices = Choices(lines, id="choices")

    def compose(self) -> ComposeResult:
        """The usual times, a line to type in."""
        with Vertical(id="box", classes="-menu"):
            yield Static(Content(_("When should it be sent?")), id="question")
            yield self.choices
            yield Static(Content(_("Or type a time: 17:30, 24/11 9:00, +2h")), id="ask")
            yield Input(id="typed", compact=True, max_length=30)
            yield Static(Content("↑↓ Enter " + _("choose") + " · Esc " + _("close")), id="hint")

    def ready(self) -> None:
        """Typing goes to the line; arrows to the list."""
        self.choices.styles.height = len(self.times)
        self.query_one(Input).focus()

    def pressed(self, event: events.Key) -> None:
        """Up and down choose among the usual times."""
        if event.key in ("up", "down"):
            event.stop()
            self.choices.move(-1 if event.key == "up" else 1)
        else:
            super().pressed(event)

    @on(Choices.Chosen)
    def _clicked(self) -> None:
        self.dismiss(self.times[self.choices.cursor][1].timestamp())

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            self._clicked()
            return
        then = moment(event.value, self.now)
        if then is None:
            self.query_one("#ask", Static).update(
                Content(_("That is not a time in the future. Try 17:30, 24/11 9:00 or +2h."))
            )
        else:
            self.dismiss(then.timestamp())


class FilePicker(Dialog[Path]):
    """A path to type with completion, and the folder it leads to, to choose from."""

    def __init__(self, start: Path, title: str = "", act: str = "") -> None:
        super().__init__()
        self.start = start
        self.heading, self.act = title or _("Attach a file"), act or _("attach")
        self.entries: list[Path] = []
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """The path, what there is, the keys."""
        with Vertical(id="box", classes="-palette"):
            yield Static(Content(self.heading), id="question")
            yield Input(id="typed", compact=True)
            yield self.choices
            yield Static(
                Content(f"Tab {_('complete')} · ↑↓ {_('choose')} · Enter {self.act} · Esc {_('close')}"), id="hint"
            )

    def ready(self) -> None:
        """In the folder last used."""
        self.choices.styles.height = max(3, min(14, self.app.size.height - 10))
        field = self.query_one(Input)
        field.value = shortened(self.start) + "/"
        field.cursor_position = len(field.value)
        field.focus()

    def pressed(self, event: events.Key) -> None:
        """Arrows move in the list, Tab completes."""
        moves = {"up": -1, "down": 1, "pagedown": 8, "pageup": -8}
        if event.key in moves:
            event.stop()
            self.choices.move(moves[event.key])
        elif event.key == "tab":
            event.stop()
            event.prevent_default()
            self._complete()
        else:
            super().pressed(event)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if (anew := begun_anew(event.value)) != event.value:
            self._put(anew)  # says so once more
            return
        self.entries = completions(event.value)
        self.choices.cursor = 0
        self.choices.put([_line(path) for path in self.entries] or [(_("Nothing there"), "")])

    def _complete(self) -> None:
        """As far as all that is left agrees; a second time takes the one under the cursor."""
        if not self.entries:
            return
        field = self.query_one(Input)
        folder, _slash, begun = field.value.rpartition("/")
        common = _common([path.name for path in self.entries])
        if len(self.entries) > 1 and len(common) > len(begun):
            self._put(f"{folder}/{common}")
        else:
            self._enter(self.entries[max(0, self.choices.cursor)], attach=False)

    def _enter(self, path: Path, *, attach: bool) -> None:
        if path.is_dir():
            self._put(shortened(path) + "/")
        elif attach:
            self.dismiss(path)
        else:
            self._put(shortened(path))

    def _put(self, value: str) -> None:
        field = self.query_one(Input)
        field.value = value
        field.cursor_position = len(value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        typed = Path(event.value).expanduser()
        if event.value.strip() and typed.is_file():
            self.dismiss(typed)
        elif self.entries:
            self._enter(self.entries[max(0, self.choices.cursor)], attach=True)

    @on(Choices.Chosen)
    def _clicked(self) -> None:
        if self.entries:
            self._enter(self.entries[self.choices.cursor], attach=True)


def _line(path: Path) -> tuple[str, str]:
    if path.is_dir():
        return path.name + "/", ""
    try:
        return path.name, format.size(path.stat().st_size)
    except OSError:
        return path.name, "–"


def shortened(path: Path) -> str:
    """`path` as people write it, with ~ for their home."""
    try:
        below = path.relative_to(Path.home())
    except (ValueError, RuntimeError):
        return str(path).rstrip("/")
    return "~" if str(below) == "." else f"~/{below}"


def begun_anew(text: str) -> str:
    """What counts of a path: a whole one typed or pasted behind the folder that stood there takes its place."""
    return re.split(r"/(?=[/~])", text)[-1]


def completions(text: str) -> list[Path]:
    """What `text`, the beginning of a path, can become: folders first; hidden ones only when asked for by a dot."""
    folder, _slash, begun = text.rpartition("/")
    try:
        place = Path(f"{folder}/" if folder or text.startswith("/") else ".").expanduser()
        found = sorted(_visible(place, begun), key=lambda path: (not path.is_dir(), path.name.casefold()))
    except (OSError, RuntimeError, ValueError):
        return []
    return found[:ENTRIES]


def _visible(place: Path, begun: str) -> Iterable[Path]:
    wanted = begun.casefold()
    for path in place.iterdir():
        name = path.name.casefold()
        if name.startswith(wanted) and (not name.startswith(".") or wanted.startswith(".")):
            yield path


def _common(names: Sequence[str]) -> str:
    """The longest beginning all names share."""
    first, last = min(names), max(names)
    at = next((index for index, letter in enumerate(first) if letter != last[index : index + 1]), len(first))
    return first[:at]

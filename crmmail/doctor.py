"""Looking at every mailbox again: is there a session and where, does its server answer, what is to be mended.

Everything is tried for real and nothing is changed; what is said holds no secret. Mailboxes are looked at beside each
other, so that one whose server is silent keeps none of the others waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmmail import config, mailboxes, setup
from crmmail.connecting import Checked, Part
from crmmail.errors import AuthRequired, CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.model import Mailbox

if TYPE_CHECKING:
    from crmmail.auth.standing import SessionState
    from crmmail.remotes.gmail import Gmail
    from crmmail.remotes.graph import Graph

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of one mailbox."""

    mailbox: Mailbox
    checks: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is to be mended."""
        return all(check.ok for check in self.checks)


def examine(
    place: config.Profile, settings: config.Settings, names: Sequence[str], clock: Callable[[], float] = time.time
) -> Iterator[Report]:
    """A report of each mailbox of `names`, in that order, each as soon as those before it are ready."""
    boxes = {box.id: box for box in mailboxes.listed(settings)}
    found: dict[str, tuple[Checked, ...]] = {}

    def look(name: str) -> None:
        found[name] = tuple(_checks(place, settings, boxes[name], clock()))

    threads = {name: threading.Thread(target=look, args=(name,), daemon=True) for name in names}
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join()
        yield Report(boxes[name], found[name])


def _checks(place: config.Profile, settings: config.Settings, box: Mailbox, now: float) -> Iterator[Checked]:
    try:
        state = mailboxes.session(place, settings, box.id).describe()
        session = session_check(state, now)
        yield session
        if not session.ok:
            return
        if box.provider == "imap":
            yield from _servers(place, settings, box)
        else:
            yield _access(place, settings, box)
    except CrmMailError as error:
        yield trouble(Part.SESSION, error)
    except Exception as error:  # noqa: BLE001 - the edge: one mailbox's defect must not hide what is known of the others
        yield Checked(
            "", Part.ACCESS, _("Something unexpected happened: {kind}.").format(kind=type(error).__name__), False
        )


def session_check(state: SessionState, now: float) -> Checked:
    """Whether there is a session, where it lies, and how old it is."""
    if state.problem and not state.place:
        return Checked("", Part.SESSION, state.problem, False, _("Sign in again."), code=AuthRequired.exit_code)
    where = _("a private file") if state.place == "file" else state.place
    if str(state.state) == "expired":
        return Checked("", Part.SESSION, state.problem, False, _("Sign in again."), code=AuthRequired.exit_code)
    text = _("Signed in; kept in {where}; last renewed {age}.")
    return Checked("", Part.SESSION, text.format(where=where, age=age(now - state.renewed_at)))


def age(seconds: float) -> str:
    """How long ago, in words."""
    hours = int(max(0.0, seconds) // HOUR)
    if hours < 1:
        return _("less than an hour ago")
    if hours < 48:
        return ngettext("{count} hour ago", "{count} hours ago", hours).format(count=hours)
    return ngettext("{count} day ago", "{count} days ago", hours // 24).format(count=hours // 24)


def _servers(place: config.Profile, settings: config.Settings, box: Mailbox) -> Iterator[Checked]:
    from crmmail.auth.password import PasswordSession
    from crmmail.remotes import probe

    session = mailboxes.session(place, settings, box.id)
    assert isinstance(session, PasswordSession)
    for step in probe.tried(settings.mailboxes[box.id], session.login()):
        yield setup.checked(step)


def _access(place: config.Profile, settings: config.Settings, box: Mailbox) -> Checked:
    """One call to the provider's API, renewing the session where that is due: whose mailbox is it?"""
    remote: Gmail | Graph = mailboxes.connector(place, settings)(box)  # type: ignore[assignment]
    with closing(remote):
        try:
            told = remote.address()
        except CrmMailError as error:
            return trouble(Part.ACCESS, error)
    if told and box.address and told.casefold() != box.address.casefold():
        sentence = _("The session belongs to {other}, not to {address}.").format(other=told, address=box.address)
        return Checked("", Part.ACCESS, sentence, False, _("Sign in again."), code=AuthRequired.exit_code)
    return Checked("", Part.ACCESS, _("The provider answers and knows {address}.").format(address=told))


def trouble(part: Part, error: CrmMailError) -> Checked:
    """What went wrong, without secrets: errors hold none."""
    return Checked("", part, error.sentence, False, error.next_step, code=error.exit_code)

"""Trying the settings of an IMAP mailbox, step by step, before anything is saved and whenever the user asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmmail.errors import CrmMailError, SettingsError
from crmmail.i18n import _
from crmmail.remotes import refusals_mail
from crmmail.remotes.dial import Reached, Server, Stage

if TYPE_CHECKING:
    from crmmail.auth.password import Login
    from crmmail.config import MailboxSettings


@dataclass(frozen=True, slots=True)
class Tried:
    """One step of one server: passed, or the error that ended the attempt there. `server` is what was tried."""

    server: Server
    stage: Stage
    error: CrmMailError | None = None


def reading(box: MailboxSettings) -> Server:
    """The server a mailbox is read from."""
    return Server("imap", box.imap_host, box.imap_port, box.imap_security, box.ca_file)


def writing(box: MailboxSettings) -> Server | None:
    """The server a mailbox sends by; None where it only reads."""
    return Server("smtp", box.smtp_host, box.smtp_port, box.smtp_security, box.ca_file) if box.smtp_host else None


def tried(box: MailboxSettings, login: Login) -> Iterator[Tried]:
    """Every step of reading, then of sending, as it happens; a server's steps end at its first error."""
    if not box.imap_host:
        raise SettingsError(_("No server is named."), next_step=_("Name the IMAP server: --imap-host."))
    yield from _steps(reading(box), Stage.FOLDERS, lambda reached: _read(reading(box), login, reached))
    if server := writing(box):
        yield from _steps(server, Stage.SENDING, lambda reached: _write(server, login, box.address, reached))


_ORDER = (Stage.NAME, Stage.PORT, Stage.TLS, Stage.LOGIN)


def _steps(server: Server, last: Stage, attempt: Callable[[Reached], None]) -> Iterator[Tried]:
    """The attempt runs beside, so that each step is told the moment it is passed."""
    told: queue.SimpleQueue[Stage | CrmMailError | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            attempt(told.put)
            told.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever iterates
            told.put(error)

    threading.Thread(target=run, name=f"probe-{server.protocol}", daemon=True).start()
    order = iter((*_ORDER, last))
    stage = next(order)
    while (event := told.get()) is not None:
        if isinstance(event, CrmMailError):
            yield Tried(server, stage, event)
            return
        if isinstance(event, BaseException):
            raise event
        yield Tried(server, event)
        stage = next(order, last)


def _read(server: Server, login: Login, reached: Reached) -> None:
    from crmmail.remotes import imap_connection

    client = imap_connection.connect(server, login, reached)
    try:
        with imap_connection.said(server):
            client.list_folders()
            client.select_folder("INBOX", readonly=True)
    finally:
        imap_connection.hang_up(client)
    reached(Stage.FOLDERS)


def _write(server: Server, login: Login, address: str, reached: Reached) -> None:
    """May mail go out from `address`? Asked, then taken back: nothing is sent."""
    from crmmail.remotes import smtp_connection

    client = smtp_connection.connect(server, login, reached)
    try:
        with smtp_connection.said(server):
            code, text = client.mail(address)
            if code != 250:
                raise refusals_mail.smtp(server, code, text)
            client.rset()
    finally:
        smtp_connection.hang_up(client)
    reached(Stage.SENDING)

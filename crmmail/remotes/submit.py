"""Handing one message to a server that takes mail (RFC 6409): the envelope, the limits, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import getaddresses
from typing import TYPE_CHECKING

from crmmail.errors import AuthRequired, Offline, Rejected, RemoteError, Transient
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.remotes import refusals_mail, smtp_connection
from crmmail.remotes.dial import Server, lost, odd
from crmmail.remotes.outbound import check_size, headers_of

if TYPE_CHECKING:
    from crmmail.auth.password import Login
    from crmmail.remotes.smtp_connection import Client

AT_THE_DOOR = 429
"""The status of errors that were met before anything of the message was said: it has not gone out."""


class Submission:
    """Sends by one server. Each message has a connection of its own: it may be minutes until the next."""

    def __init__(self, server: Server, login: Login) -> None:
        self._server = server
        self._login = login
        self.size = 0  # bytes; 0: not said or not asked yet

    def learn(self) -> int:
        """The largest message it takes, in bytes; 0 when it does not say."""
        client = self._connected()
        smtp_connection.hang_up(client)
        return self.size

    def send(self, mime: bytes, begins: Callable[[], None]) -> None:
        """Deliver `mime` once. `begins` is called before the content is said: from then on there may be doubt.

        Raises Rejected when the server refused it for good, or Transient with the status AT_THE_DOOR when nothing of
        it was said or it was clearly not taken; Offline after `begins` means that nobody knows.
        """
        sender, recipients = envelope(mime)
        client = self._connected()
        try:
            check_size(mime, self.size or len(mime))
            with smtp_connection.said(self._server):
                self._address(client, mime, sender, recipients)
            begins()
            self._open(client)
            self._tell(client, without_bcc(mime))
        finally:
            smtp_connection.hang_up(client)

    def _connected(self) -> Client:
        try:
            client = smtp_connection.connect(self._server, self._login)
        except (AuthRequired, Rejected):
            raise
        except Transient as error:
            raise _at_the_door(error) from None
        told = smtp_connection.features(client)["size"]
        self.size = told if told > 0 else self.size
        return client

    def _address(self, client: Client, mime: bytes, sender: str, recipients: list[str]) -> None:
        """Say from whom and to whom. One recipient that is refused refuses the message: no part of it is sent."""
        options = self._options(client, mime, sender, recipients)
        self._door(*client.mail(sender, options))
        for recipient in recipients:
            code, text = client.rcpt(recipient)
            if code not in (250, 251):
                client.rset()
                raise _recipient(self._server, recipient, code, text)

    def _options(self, client: Client, mime: bytes, sender: str, recipients: list[str]) -> list[str]:
        offers = smtp_connection.features(client)
        options = [f"SIZE={len(mime)}"] if client.has_extn("size") else []
        if not all(address.isascii() for address in (sender, *recipients)):
            if not offers["smtputf8"]:
                raise Rejected(
                    _("{host} does not take addresses with letters beyond ASCII before the @.").format(
                        host=self._server.host
                    ),
                    next_step=_("Use another address of this person, or another mailbox to send from."),
                    reason="smtputf8",
                )
            client.command_encoding = "utf-8"
            options.append("SMTPUTF8")
        if not mime.isascii():
            if not offers["8bitmime"]:
                raise Rejected(
                    _("{host} takes only 7-bit messages, and this one holds a file that is not.").format(
                        host=self._server.host
                    ),
                    next_step=_("Attach the forwarded message as a file."),
                    reason="8bitmime",
                )
            options.append("BODY=8BITMIME")
        return options

    def _open(self, client: Client) -> None:
        """Ask to begin. Until the server agrees nothing of the content is said: trouble here leaves no doubt."""
        try:
            with smtp_connection.said(self._server):
                code, text = client.docmd("DATA")
        except Transient as error:
            raise _at_the_door(error) from None
        if code != 354:
            raise self._refusal(code, text)

    def _tell(self, client: Client, mime: bytes) -> None:
        """The content, and the answer that makes it sent. One that makes no sense says as little as a lost one."""
        try:
            with smtp_connection.said(self._server):
                line = client.sock
                if line is None:
                    raise lost(self._server, ConnectionResetError())
                line.sendall(dotted(mime))
                code, text = client.getreply()
                if not (200 <= code <= 299 or 400 <= code <= 599):
                    raise odd(self._server, str(code))
        except RemoteError as error:
            raise Offline(error.sentence, next_step=error.next_step, reason=error.reason) from None
        if code >= 400:
            raise self._refusal(code, text)

    def _door(self, code: int, text: bytes) -> None:
        if code != 250:
            raise self._refusal(code, text)

    def _refusal(self, code: int, text: bytes) -> RemoteError:
        """A clear no: nothing went out. Only a line that breaks after the content leaves doubt."""
        error = refusals_mail.smtp(self._server, code, text)
        return _at_the_door(error) if isinstance(error, Transient) else error


def envelope(mime: bytes) -> tuple[str, list[str]]:
    """(sender, recipients) of our own message: To, Cc and Bcc, each once."""
    told = [
        (name.lower(), str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        for name, value in headers_of(mime).raw_items()
    ]
    senders = getaddresses([value for name, value in told if name == "from"])
    sender = next((address for _name, address in senders), "")
    found: dict[str, str] = {}
    for _name, address in getaddresses([value for name, value in told if name in ("to", "cc", "bcc")]):
        if "@" in address:
            found.setdefault(address.lower(), address)
    recipients = list(found.values())
    if not sender or not recipients:
        raise Rejected(_("The message names no sender or no recipient."), reason="envelope")
    return sender, recipients


def without_bcc(mime: bytes) -> bytes:
    """The message as its recipients get it: Bcc is in the envelope only."""
    head, mark, body = mime.partition(b"\r\n\r\n")
    return re.sub(rb"(?im)^bcc:(?:[^\r\n]|\r\n[ \t])*(?:\r\n|\Z)", b"", head) + mark + body


def dotted(mime: bytes) -> bytes:
    """The content as it is said (RFC 5321 §4.5.2), with the line that ends it."""
    told = re.sub(rb"(?m)^\.", b"..", re.sub(rb"\r\n|\r|\n", b"\r\n", mime))
    return told + (b"" if told.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _recipient(server: Server, recipient: str, code: int, text: bytes) -> RemoteError:
    told = refusals_mail.smtp(server, code, text)
    if isinstance(told, Transient):
        return _at_the_door(told)
    reason = refusals_mail.spoken(text.decode("utf-8", "replace"))
    return Rejected(
        _("{address} was refused: {reason}.").format(address=clean_line(recipient, 100), reason=reason),
        next_step=_("Nothing was sent to anybody. Correct the address, or take it out."),
        status=code,
        reason="recipient",
    )


def _at_the_door(error: Transient) -> Transient:
    """The same trouble, told as one that came before anything was said. Not Offline: reading may go on all the same."""
    reason = error.reason if isinstance(error, Offline) else error.reason or "busy"
    return Transient(
        error.sentence, next_step=error.next_step, status=AT_THE_DOOR, reason=reason, retry_after=error.retry_after
    )

"""One IMAP connection: opened, protected, logged in, with limits on what a server may say. IMAPClient does the talking.

`said` is the one place where what went wrong on the line becomes an error of ours.
"""

from __future__ import annotations

import contextlib
import imaplib
import ssl
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import imapclient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

import crmmail
from crmmail.errors import AuthRequired, Offline, RemoteError
from crmmail.i18n import _
from crmmail.remotes import refusals_mail
from crmmail.remotes.dial import ANSWER_SECONDS, Reached, Server, Stage, dial, lost, odd, unheard
from crmmail.remotes.sasl import bearer, no_way, xoauth2

if TYPE_CHECKING:
    from crmmail.auth.password import Login

LINE_BYTES = 16 << 20  # two million UIDs of a server without ESEARCH
LITERAL_BYTES = 64 << 20
ALLOWANCE = 32 << 20  # bytes one command may bring unless its caller expects more
GREETING_BYTES = 1 << 20  # before the login
COMMAND_SECONDS = 600.0
PIECE_BYTES = 256 << 10  # of an upload


class TooMuch(imaplib.IMAP4.abort):
    """The server says more than it was asked for, or takes for ever to say it."""


class _Wire(imaplib.IMAP4):
    """imaplib on a line that is already protected, with a limit to every line, literal and answer."""

    def __init__(self, line: ssl.SSLSocket, greeting: bytes) -> None:
        self._line = line
        self._greeting = greeting
        self.progress: Callable[[int, int], None] | None = None  # of what is uploaded in pieces
        self.allow(GREETING_BYTES)
        super().__init__()

    def allow(self, size: int) -> None:
        """A command begins that may bring `size` bytes."""
        self._left = size
        self._until = time.monotonic() + COMMAND_SECONDS

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port, self.sock = host, port, self._line
        self._reader = self._line.makefile("rb", buffering=1 << 17)

    def read(self, size: int) -> bytes:
        if size > min(LITERAL_BYTES, self._left):
            raise TooMuch("literal")
        told: bytes = self._reader.read(size)
        if len(told) < size:
            raise self.abort("EOF in a literal")
        self._count(size)
        return told

    def readline(self) -> bytes:
        if self._greeting:
            greeting, self._greeting = self._greeting, b""
            return greeting
        most = min(LINE_BYTES, max(self._left, 0))
        told: bytes = self._reader.readline(most + 1)
        if len(told) > most:
            raise TooMuch("line")
        self._count(len(told))
        return told

    def send(self, data: Any) -> None:
        if len(data) <= PIECE_BYTES:
            self._line.sendall(data)
            return
        for start in range(0, len(data), PIECE_BYTES):
            self._line.sendall(data[start : start + PIECE_BYTES])
            self._until = time.monotonic() + COMMAND_SECONDS
            if self.progress is not None:
                self.progress(min(start + PIECE_BYTES, len(data)), len(data))

    def shutdown(self) -> None:
        self._reader.close()
        self._line.close()

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0 or time.monotonic() > self._until:
            raise TooMuch("answer")


class Client(imapclient.IMAPClient):  # type: ignore[misc]
    """IMAPClient on a line of ours. Dates keep their zone."""

    def __init__(self, line: ssl.SSLSocket, greeting: bytes, server: Server) -> None:
        self._made = _Wire(line, greeting)
        super().__init__(server.host, server.door, ssl=True, timeout=ANSWER_SECONDS)
        self.normalise_times = False
        self._made.debug = 0  # IMAPClient sets 5, which formats every line for a log nobody reads

    def _create_IMAP4(self) -> _Wire:
        return self._made

    def allow(self, size: int) -> None:
        """The next command may bring `size` bytes."""
        self._made.allow(size)

    @property
    def wire(self) -> _Wire:
        """imaplib's side, for what IMAPClient has no words for."""
        return self._made


def connect(server: Server, login: Login, reached: Reached = unheard) -> Client:
    """A connection that is logged in. Raises as `dial` does, and AuthRequired (wrong_password, ...) or Transient."""
    line, greeting = dial(server, reached)
    try:
        with said(server):
            client = _met(line, greeting, server)
            _log_in(client, server, login)
            client.allow(ALLOWANCE)
            client._cached_capabilities = None  # those from before the login
            if client.has_capability("ID"):
                client.id_({"name": "crmmail", "version": crmmail.__version__})
    except BaseException:
        line.close()
        raise
    reached(Stage.LOGIN)
    return client


def _met(line: ssl.SSLSocket, greeting: bytes, server: Server) -> Client:
    try:
        return Client(line, greeting, server)
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:  # no IMAP, or one that is in trouble already
        raise odd(server, str(error)) from None


def hang_up(client: Client) -> None:
    """End the connection without waiting for a farewell."""
    with contextlib.suppress(OSError, ValueError):
        client.wire.shutdown()


@contextlib.contextmanager
def said(server: Server) -> Iterator[None]:
    """What a conversation with `server` raises, as an error of ours."""
    try:
        yield
    except RemoteError:
        raise
    except TooMuch as error:
        raise odd(server, str(error)) from None
    except IMAPClientAbortError as error:
        raise _aborted(server, str(error)) from None
    except IMAPClientError as error:
        raise refusals_mail.imap(server, str(error)) from None
    except (TimeoutError, ssl.SSLError, OSError) as error:
        raise lost(server, error) from None
    except (ValueError, TypeError, KeyError, IndexError, AssertionError, AttributeError, RecursionError) as error:
        # IMAPClient and imaplib stumble over answers that are none, each in its own way.
        raise odd(server, type(error).__name__) from None


def _aborted(server: Server, text: str) -> RemoteError:
    """imaplib's `abort`: the line is gone, the server said BYE, or what it said is no IMAP."""
    if "EOF" in text or "socket error" in text:
        return lost(server, ConnectionResetError())
    if "unexpected" in text or "unterminated" in text:
        return odd(server, text)
    bye = refusals_mail.spoken(text.partition("BYE")[2] or text)
    return Offline(
        _("{host} ended the connection: {reason}.").format(host=server.host, reason=bye),
        next_step=_("It is tried again by itself."),
        reason="closed",
    )


# Logging in


def _log_in(client: Client, server: Server, login: Login) -> None:
    if client.wire.state == "AUTH":
        raise odd(server, "PREAUTH")  # somebody else's session: a password was never asked for
    if not login.bearer:
        _with_password(client, server, login)
        return
    token = login.secret("")
    try:
        _with_token(client, server, login.user, token)
    except AuthRequired:
        _with_token(client, server, login.user, login.secret(token))


def _with_password(client: Client, server: Server, login: Login) -> None:
    offered = client.capabilities()
    password = login.secret("")
    try:
        if b"AUTH=PLAIN" in offered:
            client.sasl_login("PLAIN", lambda _asked: f"\0{login.user}\0{password!s}".encode())
        elif b"LOGINDISABLED" not in offered and (login.user + password).isascii():
            client.login(login.user, str(password))
        elif b"AUTH=LOGIN" in offered:
            answers = iter((login.user, str(password)))
            client.sasl_login("LOGIN", lambda _asked: next(answers, "").encode())
        else:
            raise no_way(server)
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        raise refusals_mail.login(server, str(error)) from None


def _with_token(client: Client, server: Server, user: str, token: str) -> None:
    offered = client.capabilities()
    if b"AUTH=OAUTHBEARER" in offered:
        name, answer = "OAUTHBEARER", bearer(user, token)
    elif b"AUTH=XOAUTH2" in offered:
        name, answer = "XOAUTH2", xoauth2(user, token)
    else:
        raise no_way(server)
    answers = iter((answer,))
    # After a refusal the server asks once more, with the reason as JSON; an empty answer brings its final NO.
    nothing = b"\x01" if name == "OAUTHBEARER" else b""
    try:
        client.sasl_login(name, lambda _asked: next(answers, nothing))
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        raise refusals_mail.login(server, str(error), bearer=True) from None

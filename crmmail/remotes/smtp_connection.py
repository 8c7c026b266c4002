"""One connection to a server that takes mail: opened, protected, logged in, with limits on what it may say."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import ssl
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from crmmail.errors import AuthRequired, RemoteError
from crmmail.remotes import refusals_mail
from crmmail.remotes.dial import ANSWER_SECONDS, Reached, Server, Stage, dial, lost, odd, unheard
from crmmail.remotes.sasl import bearer, no_way, xoauth2

if TYPE_CHECKING:
    from crmmail.auth.password import Login

MOST_LINES, COMMAND_SECONDS = 200, 300.0


class _Lines:
    """What the server says, up to a number of lines and seconds a command."""

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines = lines
        self.begin()

    def begin(self) -> None:
        self._left, self._until = MOST_LINES, time.monotonic() + COMMAND_SECONDS

    def readline(self, limit: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0 or time.monotonic() > self._until:
            raise ValueError("too many lines")
        return self._lines.readline(limit)

    def close(self) -> None:
        self._lines.close()


class Client(smtplib.SMTP):
    """smtplib on a line that is already protected."""

    def __init__(self, line: ssl.SSLSocket, server: Server) -> None:
        super().__init__(local_hostname="[127.0.0.1]", timeout=ANSWER_SECONDS)
        self._lines = _Lines(line.makefile("rb"))
        self.sock, self.file = line, self._lines
        self._host = server.host

    def putcmd(self, cmd: str, args: str = "") -> None:
        self._lines.begin()
        super().putcmd(cmd, args)


def connect(server: Server, login: Login, reached: Reached = unheard) -> Client:
    """A connection that is logged in. Raises as `dial` does, and AuthRequired (wrong_password, ...) or Transient."""
    line, greeting = dial(server, reached)
    try:
        with said(server):
            client = Client(line, server)
            if not greeting:
                code, text = client.getreply()
                if code != 220:
                    raise _greeted(server, code, text)
            _hello(client, server)
            _log_in(client, server, login)
    except BaseException:
        line.close()
        raise
    reached(Stage.LOGIN)
    return client


def hang_up(client: Client) -> None:
    """End the connection without waiting for a farewell."""
    with contextlib.suppress(OSError, ValueError):
        client.close()


@contextlib.contextmanager
def said(server: Server) -> Iterator[None]:
    """What a conversation with `server` raises, as an error of ours."""
    try:
        yield
    except RemoteError:
        raise
    except smtplib.SMTPServerDisconnected as error:
        raise lost(server, error) from None
    except smtplib.SMTPResponseException as error:
        raise _greeted(server, error.smtp_code, error.smtp_error) from None
    except (TimeoutError, ssl.SSLError, OSError) as error:
        raise lost(server, error) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise odd(server, type(error).__name__) from None


def _greeted(server: Server, code: int, text: bytes | str) -> RemoteError:
    if code < 400 or code > 599:
        return odd(server, str(code))
    return refusals_mail.smtp(server, code, text)


def _hello(client: Client, server: Server) -> None:
    code, text = client.ehlo()
    if not 200 <= code <= 299:
        raise _greeted(server, code, text)


def _log_in(client: Client, server: Server, login: Login) -> None:
    if not login.bearer:
        _answered(server, _with_password(client, server, login))
        return
    token = login.secret("")
    try:
        _answered(server, _with_token(client, server, login.user, token), bearer=True)
    except AuthRequired:
        _answered(server, _with_token(client, server, login.user, login.secret(token)), bearer=True)


def _answered(server: Server, answer: tuple[int, bytes], *, bearer: bool = False) -> None:
    code, text = answer
    if code in (235, 503):  # 503: already logged in
        return
    told = text.decode("utf-8", "replace")
    if code == 421 or (400 <= code <= 499 and code != 432):
        raise refusals_mail.busy(server, told)
    raise refusals_mail.login(server, told, bearer=bearer)


def _offered(client: Client) -> list[str]:
    return str(client.esmtp_features.get("auth", "")).upper().split()


def _with_password(client: Client, server: Server, login: Login) -> tuple[int, bytes]:
    offered, password = _offered(client), login.secret("")
    if "PLAIN" in offered:
        return client.docmd("AUTH", "PLAIN " + _coded(f"\0{login.user}\0{password!s}".encode()))
    if "LOGIN" in offered:
        code, text = client.docmd("AUTH", "LOGIN")
        for answer in (login.user, str(password)):
            if code != 334:
                break
            code, text = client.docmd(_coded(answer.encode()))
        return code, text
    raise no_way(server)


def _with_token(client: Client, server: Server, user: str, token: str) -> tuple[int, bytes]:
    offered = _offered(client)
    if "OAUTHBEARER" in offered:
        name, answer, nothing = "OAUTHBEARER", bearer(user, token), _coded(b"\x01")
    elif "XOAUTH2" in offered:
        name, answer, nothing = "XOAUTH2", xoauth2(user, token), ""
    else:
        raise no_way(server)
    code, text = client.docmd("AUTH", f"{name} {_coded(answer)}")
    return client.docmd(nothing) if code == 334 else (code, text)  # 334: the reason of a refusal, as JSON


def _coded(answer: bytes) -> str:
    return base64.b64encode(answer).decode()


def features(client: Client) -> dict[str, Any]:
    """What the server offers beyond the basics: size (bytes, 0: not said), smtputf8, 8bitmime."""
    told = client.esmtp_features
    size = str(told.get("size", "")).strip()
    return {"size": int(size) if size.isdigit() else 0, "smtputf8": "smtputf8" in told, "8bitmime": "8bitmime" in told}

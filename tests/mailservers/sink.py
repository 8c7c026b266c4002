"""A server that takes mail and delivers nothing: aiosmtpd with a login, TLS and refusals by command."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import socket
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

from crmmail.sandbox import tls


@dataclass(frozen=True, slots=True)
class Received:
    """One message it accepted."""

    sender: str
    recipients: list[str]
    raw: bytes
    options: list[str]
    user: str | None
    protected: bool


@dataclass(slots=True)
class Sink:
    """`mode`: starttls (as on port 587), tls (465), behind (a proxy that does the TLS) or plain.

    `reject`: command → answer, e.g. RCPT: "550 5.1.1 no".

    `tokens`: user → access token for XOAUTH2. `slow`: seconds before the answer to DATA.
    """

    mode: str = "tls"
    users: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    reject: dict[str, str] = field(default_factory=dict)
    reject_addresses: set[str] = field(default_factory=set)
    slow: float = 0.0
    size_limit: int = 35_000_000
    smtputf8: bool = True
    messages: list[Received] = field(default_factory=list)
    port: int = 0
    folder: Path = Path()
    _controller: Any = None

    def __enter__(self) -> Sink:
        self.folder = Path(tempfile.mkdtemp(prefix="sink"))
        context, _ca_file = tls.context(self.folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options: dict[str, Any] = {
            "authenticator": self._authenticate,
            "data_size_limit": self.size_limit,
            "enable_SMTPUTF8": self.smtputf8,
            "server_hostname": "localhost",
            "auth_required": self.mode != "plain",
        }
        if self.mode == "starttls":
            options |= {"tls_context": context, "require_starttls": True, "auth_require_tls": True}
        else:  # aiosmtpd does not see the outer TLS: logging in must be allowed "without" it
            options |= {"auth_require_tls": False}
        outer = context if self.mode == "tls" else None
        self._controller = _Controller(
            _Handler(self), hostname="127.0.0.1", port=self.port, ssl_context=outer, **options
        )
        self._controller.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._controller.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def ca_file(self) -> str:
        """The authority clients trust."""
        return str(self.folder / "ca.pem")

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        if "AUTH" not in self.reject and isinstance(data, LoginPassword):
            user = data.login.decode()
            if self.users.get(user) == data.password.decode():
                return AuthResult(success=True, auth_data=user)
        return AuthResult(success=False, handled=False)


class _Handler:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self._sink.reject:
            return self._sink.reject["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" in self._sink.reject and address in (self._sink.reject_addresses or {address}):
            return self._sink.reject["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._sink.slow:
            await asyncio.sleep(self._sink.slow)
        if "DATA" in self._sink.reject:
            return self._sink.reject["DATA"]
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        protected = session.ssl is not None or self._sink.mode == "tls"
        taken = Received(
            envelope.mail_from or "",
            list(envelope.rcpt_tos),
            content,
            list(envelope.mail_options),
            session.auth_data,
            protected,
        )
        self._sink.messages.append(taken)
        return "250 2.0.0 queued"

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> Any:
        told = args[1] if len(args) > 1 else await server.challenge_auth("")
        if told is MISSING:
            return AuthResult(success=False)
        text = base64.b64decode(told).decode() if isinstance(told, str) else told.decode()
        fields = dict(piece.split("=", 1) for piece in text.split("\x01") if "=" in piece)
        user, token = fields.get("user", ""), fields.get("auth", "").removeprefix("Bearer ")
        if "AUTH" not in self._sink.reject and self._sink.tokens.get(user) == token:
            return AuthResult(success=True, auth_data=user)
        # As Gmail and Outlook do: 334 and the reason as JSON first, then, after an empty line, the 535.
        await server.push("334 " + base64.b64encode(b'{"status":"400","schemes":"Bearer"}').decode())
        await server._reader.readline()
        await server.push("535 5.7.8 Username and Password not accepted")
        return AuthResult(success=False, handled=True)


class _Server(SMTP):
    @syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str) -> None:
        # A relay in front (Dovecot) adds RFC 4954's AUTH= parameter, which aiosmtpd answers with 555.
        await super().smtp_MAIL(re.sub(r"\s+AUTH=\S*", "", arg or "", flags=re.I))


class _Controller(Controller):
    def factory(self) -> SMTP:
        with warnings.catch_warnings():  # "Requiring AUTH while not requiring TLS": TLS is around it
            warnings.simplefilter("ignore", UserWarning)
            return _Server(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:  # the usual one would have to trust our certificate
        with socket.create_connection((self.hostname, self.port), 5) as line:
            if not self.ssl_context:
                line.recv(4)

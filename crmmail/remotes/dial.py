"""Reaching a mail server: its name, its port, its certificate, in steps that fail with a sentence of their own.

TLS is always verified. With STARTTLS, which is only used when named, a server that does not offer it ends the
attempt: nothing but EHLO or CAPABILITY is ever said in the open (RFC 8314 §4).
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crmmail.auth import net
from crmmail.errors import Offline, Rejected, Transient, Untrusted
from crmmail.i18n import N_, _
from crmmail.mail.text import clean_line

CONNECT_SECONDS, ANSWER_SECONDS = 15.0, 60.0
LONGEST_LINE, MOST_LINES = 8192, 100  # before anything is known of a server
_PORTS = {("imap", "tls"): 993, ("imap", "starttls"): 143, ("smtp", "tls"): 465, ("smtp", "starttls"): 587}

# OpenSSL's X509_V_ERR_* numbers.
_WHY = {
    9: N_("it is not valid yet"),
    10: N_("it has expired"),
    18: N_("it is self-signed"),
    19: N_("it is signed by an authority nobody knows"),
    20: N_("it is signed by an authority nobody knows"),
    21: N_("it is signed by an authority nobody knows"),
    23: N_("it was revoked"),
    62: N_("it belongs to another name"),
    64: N_("it belongs to another address"),
}


class Stage(enum.StrEnum):
    """How far an attempt to reach a server got."""

    NAME = "name"
    PORT = "port"
    TLS = "tls"
    LOGIN = "login"
    FOLDERS = "folders"  # IMAP
    SENDING = "sending"  # SMTP: our address may be a sender


Reached = Callable[[Stage], None]
"""Told of each stage when it is passed."""


def unheard(stage: Stage) -> None:
    """A `Reached` for those who do not care."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is and how its line is protected. `protocol`: imap or smtp; `security`: tls or starttls."""

    protocol: str
    host: str
    port: int = 0
    security: str = "tls"
    ca_file: str = ""

    @property
    def door(self) -> int:
        """The port, the usual one where none is set."""
        return self.port or _PORTS[self.protocol, self.security]

    @property
    def place(self) -> str:
        """host:port, for sentences."""
        return f"{self.host}:{self.door}"


def dial(server: Server, reached: Reached = unheard) -> tuple[ssl.SSLSocket, bytes]:
    """A protected line to `server`, and its greeting where that was read before the protection began ('' else).

    Raises Offline (reason name_not_found, port_closed, no_answer, unreachable, tls), Untrusted (certificate),
    Rejected (no_starttls), Transient (odd_answer), SettingsError (the certificate file).
    """
    trusted = _trusted(server.ca_file)
    addresses = _found(server)
    reached(Stage.NAME)
    line = _connected(server, addresses)
    reached(Stage.PORT)
    try:
        greeting = _opened(server, line)
        protected = trusted.wrap_socket(line, server_hostname=server.host)
    except ssl.SSLCertVerificationError as error:
        line.close()
        raise _untrusted(server, error, _certificate(server, addresses)) from None
    except OSError as error:
        line.close()
        raise _unprotected(server, error) from None
    except BaseException:
        line.close()
        raise
    reached(Stage.TLS)
    protected.settimeout(ANSWER_SECONDS)
    return protected, greeting


def _trusted(ca_file: str) -> ssl.SSLContext:
    """Read once: taking in all authorities takes 30 ms, and lines are made anew often."""
    try:
        changed = Path(ca_file).stat().st_mtime_ns if ca_file else 0
    except OSError:
        changed = -1
    return _context(ca_file, changed)


@lru_cache(4)
def _context(ca_file: str, _changed: int) -> ssl.SSLContext:
    return net.context(ca_file)


def lost(server: Server, error: BaseException) -> Offline:
    """The line broke while something was said on it."""
    return Offline(
        _("The connection to {host} was lost.").format(host=server.host),
        next_step=_("It is tried again by itself."),
        reason="no_answer" if isinstance(error, TimeoutError) else "closed",
    )


def odd(server: Server, detail: str = "") -> Transient:
    """The server says what no server should. The connection is given up; what is here stays."""
    told = f" ({clean_line(detail, 120)})" if detail else ""
    return Transient(
        _("The answer of {host} makes no sense{detail}.").format(host=server.host, detail=told),
        next_step=_("Check that this is a mail server and the port is right. It is tried again by itself."),
        reason="odd_answer",
    )


# The steps


def _found(server: Server) -> list[Any]:
    try:
        host = server.host.encode("idna") if not server.host.isascii() else server.host
        return socket.getaddrinfo(host, server.door, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Offline(
            _("The name {host} is not known.").format(host=server.host),
            next_step=_("Check how it is written, and the network."),
            reason="name_not_found",
        ) from None


def _connected(server: Server, addresses: list[Any]) -> socket.socket:
    trouble: OSError = OSError()
    for family, kind, protocol, _name, address in addresses:
        line = socket.socket(family, kind, protocol)
        line.settimeout(CONNECT_SECONDS)
        try:
            line.connect(address)
            # A server that vanishes (a laptop that slept) is noticed within minutes even while nothing is said.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # Commands are small and wait for their answers: the next piece goes out at once, not after 40 ms.
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line
        except OSError as error:
            line.close()
            trouble = error
    raise _unreachable(server, trouble) from None


def _unreachable(server: Server, error: OSError) -> Offline:
    if isinstance(error, ConnectionRefusedError):
        sentence, reason = _("{place} does not accept connections."), "port_closed"
        step = _("Check the port; the usual ones are 993 (IMAP) and 465 (SMTP).")
    elif isinstance(error, TimeoutError):
        sentence, reason = _("{place} does not answer."), "no_answer"
        step = _("Check the network and the port; a firewall may be in between.")
    else:
        sentence, reason = _("{place} cannot be reached."), "unreachable"
        step = _("Check the network.")
    return Offline(sentence.format(place=server.place), next_step=step, reason=reason)


def _unprotected(server: Server, error: OSError) -> Offline:
    if isinstance(error, TimeoutError):
        told = _unreachable(server, error)
        if server.security == "starttls":
            told.next_step = _("Check the port: this one may want TLS from the first byte.")
        return told
    if isinstance(error, ssl.SSLError):
        return Offline(
            _("{place} does not speak TLS as it should ({reason}).").format(
                place=server.place, reason=(error.reason or "TLS").replace("_", " ").lower()
            ),
            next_step=_("Check the port, and whether it wants STARTTLS."),
            reason="tls",
        )
    return Offline(
        _("{place} ended the connection at once.").format(place=server.place),
        next_step=_("Check the port, and whether it wants STARTTLS."),
        reason="closed",
    )


def _untrusted(server: Server, error: ssl.SSLCertVerificationError, certificate: bytes) -> Untrusted:
    why = _(_WHY[error.verify_code]) if error.verify_code in _WHY else clean_line(error.verify_message, 80)
    digest = hashlib.sha256(certificate).hexdigest().upper()
    fingerprint = ":".join(digest[start : start + 2] for start in range(0, len(digest), 2)) if certificate else "?"
    return Untrusted(
        _("The certificate of {host} was refused: {why}. Its SHA-256 fingerprint is {fingerprint}.").format(
            host=server.host, why=why, fingerprint=fingerprint
        ),
        next_step=_(
            "If the server is your own and the fingerprint is right, name its certificate (ca_file, --ca-file); "
            "else do not trust this network."
        ),
        reason="certificate",
        fingerprint=fingerprint,
    )


def _certificate(server: Server, addresses: list[Any]) -> bytes:
    """The refused certificate (DER), only to be shown: read on a second line on which nothing else is said."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, Transient, Rejected):
        line = _connected(server, addresses)
        with line:
            _opened(server, line)
            with blind.wrap_socket(line, server_hostname=server.host) as shown:
                return shown.getpeercert(binary_form=True) or b""
    return b""


# STARTTLS (RFC 9051 §6.2.1, RFC 3207)


def _opened(server: Server, line: socket.socket) -> bytes:
    """The greeting, after the server agreed to STARTTLS; b'' without a word where TLS comes first."""
    if server.security != "starttls":
        return b""
    line.settimeout(CONNECT_SECONDS)
    with line.makefile("rb") as lines:
        if server.protocol == "imap":
            greeting = _line(server, lines)
            if not greeting.upper().startswith(b"* OK"):
                raise odd(server, greeting.decode("utf-8", "replace"))
            line.sendall(b"a STARTTLS\r\n")
            answer = _until(server, lines, lambda told: told.startswith(b"a "))
            agreed = answer.upper().startswith(b"A OK")
        else:
            greeting = _reply(server, lines)
            line.sendall(b"EHLO [127.0.0.1]\r\n")
            _reply(server, lines)
            line.sendall(b"STARTTLS\r\n")
            agreed = _reply(server, lines).startswith(b"220")
        if not agreed:
            raise Rejected(
                _("{place} does not offer STARTTLS.").format(place=server.place),
                next_step=_("Nothing was told to it. Check the port, or choose TLS from the first byte."),
                reason="no_starttls",
            )
        # What came in the open after that answer would be taken for protected; there may be nothing.
        line.settimeout(0)
        with contextlib.suppress(OSError, ValueError):
            if lines.peek(1):
                raise odd(server, "STARTTLS")
    line.settimeout(CONNECT_SECONDS)
    return greeting


def _line(server: Server, lines: Any) -> bytes:
    told: bytes = lines.readline(LONGEST_LINE)
    if not told:
        raise ConnectionResetError
    if not told.endswith(b"\n"):
        raise odd(server, told[:80].decode("utf-8", "replace"))
    return told


def _until(server: Server, lines: Any, last: Callable[[bytes], bool]) -> bytes:
    for _count in range(MOST_LINES):
        told = _line(server, lines)
        if last(told):
            return told
    raise odd(server)


def _reply(server: Server, lines: Any) -> bytes:
    """The last line of an SMTP answer."""
    return _until(server, lines, lambda told: told[3:4] != b"-")

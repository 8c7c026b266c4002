"""Hearing at once of new mail: a second connection that stays in IDLE on the inbox (RFC 2177) and only rings."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crmmail.errors import AuthRequired, CrmMailError, Rejected
from crmmail.remotes import imap_connection
from crmmail.remotes.dial import Server
from crmmail.remotes.imap_connection import GREETING_BYTES, Client

if TYPE_CHECKING:
    from crmmail.auth.password import Login

AGAIN = 540.0  # seconds of one IDLE: a router may forget a silent connection after ten minutes
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds until a broken connection is made again
_NEWS = (b" EXISTS", b" EXPUNGE", b" FETCH ", b"VANISHED ")

log = logging.getLogger("crmmail.sync")


class Bell(threading.Thread):
    """Rings `news` when the inbox changes, until `stop`. Trouble of its own is nobody else's: mail is polled too."""

    def __init__(
        self, mailbox: str, server: Server, login: Login, news: Callable[[], None], *, again: float = AGAIN
    ) -> None:
        super().__init__(name=f"idle-{mailbox}", daemon=True)
        self._server = server
        self._login = login
        self._news = news
        self._again = again
        self._stopping = threading.Event()
        self._client: Client | None = None
        self._lock = threading.Lock()
        self.idling = threading.Event()  # the server would say now

    def stop(self) -> None:
        """End the thread and its connection."""
        with self._lock:
            self._stopping.set()
            client = self._client
        if client is not None:
            with contextlib.suppress(OSError, ValueError):
                socket.socket.shutdown(client.socket(), socket.SHUT_RDWR)

    def run(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._stopping.is_set():
            try:
                if not self._listen():
                    return
                pause = SHORTEST_PAUSE
            except (AuthRequired, Rejected) as error:
                log.info("%s: %s", self.name, type(error).__name__)
                return  # the sync says so to the user, and connects anew afterwards
            except CrmMailError as error:
                log.info("%s: %s, again in %.0f s", self.name, type(error).__name__, pause)
            finally:
                self._hang_up()
            self._stopping.wait(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _listen(self) -> bool:
        """One connection for as long as it lasts; False when the server has no IDLE."""
        client = imap_connection.connect(self._server, self._login)
        with self._lock:
            self._client = client
        if self._stopping.is_set():
            return False
        with imap_connection.said(self._server):
            if not client.has_capability("IDLE"):
                return False
            client.select_folder("INBOX", readonly=True)
            while not self._stopping.is_set():
                self._idle(client)
        return True

    def _idle(self, client: Client) -> None:
        """One IDLE."""
        client.allow(GREETING_BYTES)
        client.idle()
        self.idling.set()
        while not self._stopping.is_set() and self._waited(client.socket()):
            client.allow(GREETING_BYTES)
            line: bytes = client.wire._get_line()
            if any(word in line for word in _NEWS):
                self._news()
        self.idling.clear()
        if not self._stopping.is_set():
            client.allow(GREETING_BYTES)
            client.idle_done()

    def _waited(self, line: Any) -> bool:
        """Whether the server says something before this IDLE is over."""
        return bool(line.pending()) or bool(select.select([line], [], [], self._again)[0])

    def _hang_up(self) -> None:
        self.idling.clear()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            imap_connection.hang_up(client)

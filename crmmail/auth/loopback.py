"""The listener a browser comes back to (RFC 8252 §7.3): 127.0.0.1, a random port, one good answer.

Browsers also ask for icons and open connections they never use; neither ends the waiting. A name that was made to
point at 127.0.0.1 (DNS rebinding) is refused by its Host header.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from crmmail.i18n import _

_LONGEST_BODY = 64 * 1024
_PAGE = """<!doctype html><meta charset="utf-8"><title>crmmail</title>
<style>body{{font:18px system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em}}</style><h1>crmmail</h1>
<p>{text}</p>"""


class Listener:
    """`with Listener(received) as listener`: `received` gets the fields of each redirect; True accepts it for good."""

    def __init__(self, received: Callable[[dict[str, str]], bool]) -> None:
        self._received = received
        self._accepted = False
        self._lock = threading.Lock()
        listener = self

        class Handler(_Handler):
            def offer(self, fields: dict[str, str]) -> str | None:
                return listener._offer(fields)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self) -> int:
        """The port the system gave."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        threading.Thread(target=self._close, daemon=True).start()  # a cancel does not wait for the last connection

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _offer(self, fields: dict[str, str]) -> str | None:
        """None when accepted, else why not."""
        with self._lock:
            if self._accepted:
                return _("This sign-in is over already.")
            self._accepted = self._received(fields)
        return None if self._accepted else _("This page belongs to another sign-in. Finish the one opened last.")


class _Handler(BaseHTTPRequestHandler):
    timeout = 10.0
    server_version = "crmmail"
    sys_version = ""

    def offer(self, fields: dict[str, str]) -> str | None:
        raise NotImplementedError

    def do_GET(self) -> None:  # the name http.server calls
        """The redirect: code and state in the query."""
        self._answer(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:  # the name http.server calls
        """The redirect of response_mode=form_post: code and state in the body."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LONGEST_BODY:
            self._page(413, _("Too large."))
            return
        self._answer(dict(parse_qsl(self.rfile.read(length).decode("ascii", "replace"))))

    def _answer(self, fields: dict[str, str]) -> None:
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self._page(403, _("This address is not for you."))
        elif urlsplit(self.path).path not in ("", "/") or not fields:
            self._page(404, _("There is nothing here."))
        elif (refusal := self.offer(fields)) is not None:
            self._page(400, refusal)
        elif "error" in fields:
            self._page(200, _("The provider did not sign you in. The terminal says more; you can close this page."))
        else:
            self._page(200, _("Go back to the terminal; you can close this page."))

    def _page(self, status: int, text: str) -> None:
        body = _PAGE.format(text=escape(text)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the request line holds the code."""

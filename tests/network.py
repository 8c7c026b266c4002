"""A DNS server and a web server on 127.0.0.1 that say what a test wants, for finding out who keeps a domain's mail."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from crmmail.sandbox import tls

Zone = Mapping[tuple[str, str], Sequence[str]]
"""(name, type) → records as a zone file writes them."""


class Nameserver:
    """Answers from `zone` over UDP; names that are not in it do not exist. `asked` holds every question."""

    def __init__(self, zone: Zone, *, silent: bool = False) -> None:
        self.zone = zone
        self.silent = silent
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                query, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(dns.message.from_wire(query))
            if not self.silent:
                self._socket.sendto(answer, sender)

    def _answer(self, query: dns.message.Message) -> bytes:
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        records = self.zone.get((name, kind))
        if records:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    def close(self) -> None:
        self._socket.close()


@contextmanager
def nameserver(zone: Zone, *, silent: bool = False) -> Iterator[Nameserver]:
    server = Nameserver(zone, silent=silent)
    try:
        yield server
    finally:
        server.close()


class Pages:
    """A web server over TLS. `pages`: path → (status, headers, content). `asked`: (path, Host header)."""

    def __init__(self, directory: Path) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        context, ca_file = tls.context(directory)
        self.ca_file = str(ca_file)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Host", "")))
                status, headers, content = outer.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_told: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def pages(directory: Path) -> Iterator[Pages]:
    server = Pages(directory)
    try:
        yield server
    finally:
        server.close()

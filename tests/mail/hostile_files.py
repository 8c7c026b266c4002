"""The hostile messages with their invariants. Those too big to keep are made again, byte for byte, by a few lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent / "hostile"

_HEAD = (
    "From: Mallory <mallory@evil.example>\r\nTo: Me <me@ourco.example>\r\nSubject: Hello\r\n"
    "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{name}@evil.example>\r\nMIME-Version: 1.0\r\n"
)
_PLAIN = "Content-Type: text/plain; charset=utf-8\r\n"
_HTML = "Content-Type: text/html; charset=utf-8\r\n"
_MIXED = 'Content-Type: multipart/mixed; boundary="BOUND"\r\n\r\n--BOUND\r\n'


@dataclass(frozen=True, slots=True)
class Hostile:
    """One message: its sidecar and where its bytes come from."""

    id: str
    category: str
    sidecar: dict[str, Any]

    def raw(self) -> bytes:
        """The message."""
        path = DIRECTORY / f"{self.id}.eml"
        return path.read_bytes() if path.exists() else _MADE[self.id]().encode("latin-1")

    def checks(self, name: str) -> list[dict[str, Any]]:
        """The invariants called `name`."""
        return [invariant for invariant in self.sidecar["invariants"] if invariant["check"] == name]


def everything() -> list[Hostile]:
    """All hostile messages in the order of their names."""
    sidecars = [json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))]
    return [Hostile(sidecar["id"], sidecar["category"], sidecar) for sidecar in sidecars if "invariants" in sidecar]


def is_original(message: Hostile) -> bool:
    """Whether the bytes are those the sidecar was written for."""
    return hashlib.sha256(message.raw()).hexdigest() == message.sidecar["sha256"]


def _message(name: str, rest: str) -> str:
    return _HEAD.format(name=name) + rest


def _plain(name: str, body: str) -> str:
    return _message(name, f"{_PLAIN}\r\n{body}")


def _replaced(name: str, old: str, new: str) -> str:
    return _plain(name, "Hello.\r\n").replace(old, new)


def _idna() -> str:
    text = _replaced("charset-idna-quadratic", "Mallory <mallory@evil.example>", f"x <a@xn--{'a' * 20_000}.example>")
    return text.replace("utf-8", "idna").replace("Hello.", f"xn--{'a' * 50_000}")


def _attachments() -> str:
    head = _MIXED + "Content-Type: text/plain\r\n\r\nhi\r\n"
    part = "--BOUND\r\nContent-Type: application/x\r\nContent-Disposition: attachment; filename=f{}.bin\r\n\r\nx\r\n"
    return _message("dos-attachments-2000", head + "".join(part.format(n) for n in range(2_000)) + "--BOUND--\r\n")


def _continuations() -> str:
    names = "; ".join(f"filename*{number}=b" for number in range(20_000))
    return _message(
        "dos-rfc2231-20k",
        f"{_MIXED}{_PLAIN}\r\nSee attachment.\r\n\r\n--BOUND\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Disposition: attachment; {names}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "ZGF0YQ==\n\r\n--BOUND--\r\n",
    )


def _linkify() -> str:
    lines = ("http://" * 15_000, f"{'a' * 60_000}@", "a.a" * 20_000, f"{'(' * 20_000}http://x{')' * 20_000}", "")
    return _plain("dos-linkify", "\r\n".join(lines))


_MADE: dict[str, Callable[[], str]] = {
    "charset-idna-quadratic": _idna,
    "db-msgid-long": lambda: _replaced("db-msgid-long", "<db-msgid-long", f"<{'m' * 100_000}"),
    "dos-attachments-2000": _attachments,
    "dos-base64-5mb": lambda: _message(
        "dos-base64-5mb", f"{_PLAIN}Content-Transfer-Encoding: base64\r\n\r\n" + "QUFB*!\r\n" * 620_000
    ),
    "dos-headers-100k": lambda: _message(
        "dos-headers-100k", _PLAIN + "".join(f"X-{n}: y\r\n" for n in range(100_000)) + "\r\nHello.\r\n"
    ),
    "dos-html-flat-5mb": lambda: _message(
        "dos-html-flat-5mb", _HTML + "\r\n<html><body>" + "<p>hello world</p>\n" * 260_000 + "</body></html>\r\n"
    ),
    "dos-html-lt-1m": lambda: _message("dos-html-lt-1m", f"{_HTML}\r\n<html><body>{'<' * 1_000_000}</body></html>\r\n"),
    "dos-linkify": _linkify,
    "dos-one-line-3mb": lambda: _plain("dos-one-line-3mb", "word " * 600_000),
    "dos-qp-soft": lambda: _message(
        "dos-qp-soft", _PLAIN + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + "=\r\n" * 400_000 + "end\r\n"
    ),
    "dos-quote-depth": lambda: _plain(
        "dos-quote-depth", ">" * 50_000 + " deep\r\n" + "-- \r\n" * 20_000 + "On Mon, x wrote:\r\n" * 5_000
    ),
    "dos-rfc2231-20k": _continuations,
    "dos-subject-2mb": lambda: _replaced("dos-subject-2mb", "Subject: Hello", f"Subject: {'A' * 2_000_000}"),
    "dos-subject-ew-20k": lambda: _replaced(
        "dos-subject-ew-20k", "Subject: Hello", f"Subject: {'=?utf-8?q?a?= ' * 20_000}"
    ),
    "dos-to-20k": lambda: _replaced(
        "dos-to-20k", "To: Me <me@ourco.example>", "To: " + ", ".join(f"u{n}@e.example" for n in range(20_000))
    ),
}

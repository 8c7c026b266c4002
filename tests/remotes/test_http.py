"""HTTP as the remotes use it: bounded in time and size, the token kept home (faults N01 to N09)."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from crmmail.errors import Offline, Rejected, SettingsError, Transient
from crmmail.remotes import http
from crmmail.remotes.http import TooLarge, Wire
from crmmail.sandbox import Sandbox, User
from tests.remotes.world import Bearer

PROFILE = "/gmail/v1/users/me/profile"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox([User("me@example.com")]) as sandbox:
        yield sandbox


@pytest.fixture
def wire(box: Sandbox) -> Iterator[Callable[..., Wire]]:
    made: list[Wire] = []

    def make(base_url: str = "", **options: object) -> Wire:
        token = box.grants.issue("me@example.com", "https://mail.google.com/")
        made.append(Wire(base_url or box.http_url, Bearer(token), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_nothing_of_httpx_is_imported_until_the_first_call() -> None:
    code = (
        "import sys, crmmail.remotes.gmail, crmmail.remotes.graph as g; "
        "g.Graph('m', auth=None); print('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_call_answers_with_json_and_the_connection_is_kept(box: Sandbox, wire: Callable[..., Wire]) -> None:
    one = wire()
    for _ in range(3):
        assert one.json("GET", PROFILE)["emailAddress"] == "me@example.com"
    assert len({asked.connection for asked in box.ledger.requests}) == 1


def test_an_answer_that_drips_ends_with_the_deadline(box: Sandbox, wire: Callable[..., Wire]) -> None:
    box.faults.add("drip", seconds=0.2)
    begun = time.monotonic()
    with pytest.raises(Offline, match="too long"):
        wire(seconds=1.0).json("GET", PROFILE)
    assert 0.9 <= time.monotonic() - begun < 3.0


def test_headers_that_drip_end_with_the_deadline_too() -> None:
    """A read timeout never fires here: every read brings a byte."""
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        line, _address = server.accept()
        with line:
            try:
                for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1000:
                    line.sendall(bytes([byte]))
                    time.sleep(0.1)
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    one = Wire(f"http://127.0.0.1:{server.getsockname()[1]}", None, seconds=0.8)
    begun = time.monotonic()
    with pytest.raises(Offline, match="too long"):
        one.json("GET", "/")
    assert time.monotonic() - begun < 3.0
    one.close()
    server.close()
    thread.join(5)


def test_a_server_that_never_answers_is_offline_after_the_read_limit(box: Sandbox, wire: Callable[..., Wire]) -> None:
    box.faults.add("silent")
    with pytest.raises(Offline, match="did not answer in time"):
        wire(read=0.3).json("GET", PROFILE)


def test_the_limits_are_ten_thirty_and_sixty_seconds() -> None:
    assert (http.CONNECT_SECONDS, http.READ_SECONDS, http.CALL_SECONDS) == (10, 30, 60)
    client = http.client("https://gmail.googleapis.com", None)
    assert client.timeout == httpx.Timeout(30, connect=10)
    assert not client.follow_redirects


def test_an_endless_answer_is_dropped_at_the_cap(box: Sandbox, wire: Callable[..., Wire]) -> None:
    box.faults.add("endless", rate=400_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLarge):
        wire().json("GET", PROFILE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_an_announced_giant_is_not_even_read() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Length": str(1 << 40)}, content=iter([b"{}"]))

    with pytest.raises(TooLarge):
        Wire("http://127.0.0.1", None, transport=httpx.MockTransport(answer)).json("GET", "/")


def test_a_bomb_is_measured_unpacked() -> None:
    import gzip

    bomb = gzip.compress(b"0" * (http.JSON_LIMIT + 10))

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=bomb)

    with pytest.raises(TooLarge):
        Wire("http://127.0.0.1", None, transport=httpx.MockTransport(answer)).json("GET", "/")


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": 1', b"<html>Sign in</html>", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_json_object_is_transient(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=body))
    wire = Wire("http://127.0.0.1", None, transport=transport)
    if not body:
        assert wire.json("GET", "/") == {}
        return
    with pytest.raises(Transient):
        wire.json("GET", "/")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://127.0.0.1:1/x",
        "http://127.0.0.2/x",
        "https://127.0.0.1/x",
        "http://user@127.0.0.1/x",
        "http://127.0.0.1@evil.example/x",
        "ftp://127.0.0.1/",
    ],
)
def test_a_link_to_another_place_is_not_followed(url: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={})

    with pytest.raises(Transient):
        Wire("http://127.0.0.1", Bearer("secret"), transport=httpx.MockTransport(answer)).json("GET", url)
    assert not asked


def test_a_redirect_is_not_followed(box: Sandbox, wire: Callable[..., Wire]) -> None:
    with Sandbox([User("other@example.com")]) as other:
        box.faults.add("redirect", location=f"{other.http_url}{PROFILE}")
        with pytest.raises(Transient):
            wire().json("GET", PROFILE)
        assert not other.ledger.requests


@pytest.mark.parametrize("url", ["http://gmail.googleapis.com", "ftp://127.0.0.1", "http://127.0.0.1.evil.example"])
def test_an_unprotected_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        http.client(url, None)


def test_tls_is_verified_with_the_named_authority(box: Sandbox, wire: Callable[..., Wire]) -> None:
    assert wire(box.https_url, ca_file=box.ca_file).json("GET", PROFILE)["emailAddress"] == "me@example.com"


@pytest.mark.parametrize("kind", ["good", "expired", "wrong_host", "untrusted"])
def test_a_certificate_that_proves_nothing_gets_no_token(kind: str) -> None:
    with Sandbox([User("me@example.com")], tls=kind) as box:
        wire = Wire(box.https_url, Bearer("secret"), None if kind == "good" else box.ca_file)
        with pytest.raises(Transient, match="certificate"):
            wire.json("GET", PROFILE)
        wire.close()
        assert not box.ledger.requests


def test_an_unusable_authority_file_is_a_matter_of_settings(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("nonsense")
    for path in (bad, tmp_path / "absent.pem"):
        with pytest.raises(SettingsError):
            http.client("https://127.0.0.1", None, path)


def test_a_connection_that_died_while_idle_costs_a_read_nothing(box: Sandbox, wire: Callable[..., Wire]) -> None:
    one = wire()
    one.json("GET", PROFILE)
    box.faults.add("reset_before", times=1)
    assert one.json("GET", PROFILE)["emailAddress"] == "me@example.com"


def test_a_write_is_not_repeated_unasked(box: Sandbox, wire: Callable[..., Wire]) -> None:
    one = wire()
    one.json("GET", PROFILE)
    box.faults.add("reset_before", times=1)
    with pytest.raises(Offline):
        one.call("POST", "/gmail/v1/users/me/messages/send", json={})
    assert not box.ledger.asked("send")


def test_a_name_that_does_not_exist_is_offline() -> None:
    with pytest.raises(Offline):
        Wire("https://mail.crmmail.invalid", None).json("GET", "/")


def test_a_closed_wire_says_so_and_stays_closed(box: Sandbox, wire: Callable[..., Wire]) -> None:
    one = wire()
    one.json("GET", PROFILE)
    one.close()
    with pytest.raises(Offline):
        one.json("GET", PROFILE)


def test_no_error_shows_the_token(box: Sandbox) -> None:
    secret = "ya29.CANARY-" + "x" * 40
    told = {"error": {"code": 400, "message": f"Bad token {secret} given", "errors": [{"reason": "badRequest"}]}}
    box.faults.add("status", status=400, body=told)
    with pytest.raises(Rejected) as caught:
        Wire(box.http_url, Bearer(secret)).json("GET", PROFILE)
    assert "CANARY" not in f"{caught.value} {caught.value!r} {caught.value.__dict__}"

"""The sandbox as a server: both listeners, keep-alive, gzip, going down and coming back, its own levers, its ledger."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from crmmail.sandbox import Sandbox, User
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import ANA, BRUNO, EVERYTHING, MAIL, MODIFY, fill, letter


def plain(sandbox: Sandbox) -> http.client.HTTPConnection:
    """A connection of the standard library's own client."""
    return http.client.HTTPConnection(urlsplit(sandbox.http_url).netloc, timeout=5)


def bearer(sandbox: Sandbox, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {sandbox.grants.issue(ANA, MODIFY)}", **headers}


def test_both_listeners_serve_the_same_routes(sandbox: Sandbox) -> None:
    trusted = ssl.create_default_context(cafile=str(sandbox.ca_file))
    for url in (sandbox.http_url, sandbox.https_url, sandbox.https_url.replace("127.0.0.1", "localhost")):
        answer = httpx.get(f"{url}/gmail/v1/users/me/profile", headers=bearer(sandbox), verify=trusted)
        assert answer.json()["emailAddress"] == ANA
    assert {one.scheme for one in sandbox.ledger.requests} == {"http", "https"}


def test_nobody_trusts_the_certificate_by_accident(sandbox: Sandbox) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{sandbox.https_url}/v1.0/me")


@pytest.mark.parametrize("kind", ["expired", "wrong_host", "untrusted"])
def test_bad_certificates_can_be_had(kind: str) -> None:
    with Sandbox([(ANA, "gmail")], tls=kind) as sandbox:
        trusted = ssl.create_default_context(cafile=str(sandbox.ca_file))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{sandbox.https_url}/gmail/v1/users/me/profile", verify=trusted)
        assert sandbox.ledger.requests == []


def test_one_connection_serves_many_requests(sandbox: Sandbox) -> None:
    connection = plain(sandbox)
    for _ in range(3):
        connection.request("GET", "/gmail/v1/users/me/profile", headers=bearer(sandbox))
        assert connection.getresponse().read()
    assert [one.connection for one in sandbox.ledger.requests] == [1, 1, 1]


def test_a_body_in_chunks_is_read(sandbox: Sandbox, ana: Mailbox) -> None:
    ident = fill(ana, 1)[0]

    def chunks() -> object:
        yield b'{"addLabel'
        yield b'Ids":["STARRED"]}'

    answer = httpx.post(
        f"{sandbox.http_url}/gmail/v1/users/me/messages/{ident}/modify",
        content=chunks(),  # type: ignore[arg-type]
        headers=bearer(sandbox, **{"Content-Type": "application/json"}),
    )
    assert answer.json()["labelIds"] == ["INBOX", "STARRED"]


@pytest.mark.parametrize(("agent", "packed"), [("client (gzip)", True), ("client", False)])
def test_google_packs_only_for_agents_that_say_gzip(sandbox: Sandbox, agent: str, packed: bool) -> None:
    connection = plain(sandbox)
    headers = bearer(sandbox, **{"Accept-Encoding": "gzip", "User-Agent": agent})
    connection.request("GET", "/gmail/v1/users/me/labels", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    assert (answer.headers["Content-Encoding"] == "gzip") is packed
    assert json.loads(gzip.decompress(body) if packed else body)["labels"]


def test_graph_packs_for_everybody_who_asks_and_nobody_else(sandbox: Sandbox) -> None:
    for asked in ("gzip", "identity"):
        connection = plain(sandbox)
        token = sandbox.grants.issue(BRUNO, MAIL)
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": asked}
        connection.request("GET", "/v1.0/me/mailFolders", headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert (answer.headers["Content-Encoding"] == "gzip") is (asked == "gzip")


def test_the_server_goes_down_and_comes_back_on_the_same_ports(sandbox: Sandbox, gmail: httpx.Client) -> None:
    before = (sandbox.http_url, sandbox.https_url)
    assert gmail.get("/profile").status_code == 200
    sandbox.pause()
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            gmail.get("/profile")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(before[0].rpartition(":")[2])), timeout=2)
    sandbox.resume()
    assert gmail.get("/profile").status_code == 200
    assert (sandbox.http_url, sandbox.https_url) == before


def test_ports_can_be_chosen() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Sandbox([(ANA, "gmail")], port=port) as sandbox:
        assert sandbox.http_url == f"http://127.0.0.1:{port}"


def test_what_is_no_http_and_what_is_no_route(sandbox: Sandbox) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(sandbox.http_url).port or 0), timeout=2) as sock:
        sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert sock.recv(100) == b""
    assert httpx.get(sandbox.http_url + "/nowhere").status_code == 404
    assert httpx.put(sandbox.http_url + "/gmail/v1/users/me/profile").status_code == 405


def test_the_clock_can_be_moved_and_the_date_header_with_it(sandbox: Sandbox) -> None:
    sandbox.clock.advance(-86_400 * 365 * 20)
    assert "2006" in httpx.get(sandbox.http_url + "/x").headers["Date"]


def test_the_ledger_holds_requests_without_their_tokens(sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox) -> None:
    ident = fill(ana, 1)[0]
    gmail.post(f"/messages/{ident}/trash")
    httpx.get(sandbox.http_url + "/v1.0/me?x=1")
    first, second = sandbox.ledger.requests
    assert (first.method, first.user, first.authorized, first.status) == ("POST", ANA, True, 200)
    assert (second.path, second.target, second.authorized, second.status) == ("/v1.0/me", "/v1.0/me?x=1", False, 401)
    (entry,) = sandbox.ledger.accepted(ANA)
    assert (entry.effect, entry.id, entry.detail["added"]) == ("modify", ident, ["TRASH"])
    assert "sandbox." not in json.dumps(sandbox.ledger.plain())


def test_two_users_who_write_to_each_other_at_once_do_not_lock_up() -> None:
    other = "outra@example.com"
    with Sandbox([(ANA, "gmail"), (other, "gmail")]) as sandbox:

        def write(sender: str, to: str) -> None:
            token = sandbox.grants.issue(sender, EVERYTHING)
            with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=10) as client:
                for number in range(15):
                    raw = letter(f"{sender} {number}", From=sender, To=to)
                    url = sandbox.http_url + "/upload/gmail/v1/users/me/messages/send?uploadType=media"
                    assert client.post(url, content=raw).status_code == 200

        threads = [threading.Thread(target=write, args=pair) for pair in ((ANA, other), (other, ANA))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(sandbox.ledger.sends()) == 30
        assert [len(user.mailbox.messages) for user in sandbox.users.values()] == [30, 30]


def test_the_same_id_may_exist_for_two_users() -> None:
    other = User("outra@example.com", "gmail", name="Outra")
    with Sandbox([User(ANA), other]) as sandbox:
        for user in sandbox.users.values():
            user.mailbox.add(letter(user.address), key=0xABC)
        subjects = []
        for address in (ANA, other.address):
            headers = {"Authorization": f"Bearer {sandbox.grants.issue(address, MODIFY)}"}
            shown = httpx.get(f"{sandbox.http_url}/gmail/v1/users/me/messages/abc", headers=headers).json()
            subjects += [h["value"] for h in shown["payload"]["headers"] if h["name"] == "Subject"]
        assert subjects == [ANA, other.address]


# ---- its own levers ----------------------------------------------------------------------------------------------


def lever(sandbox: Sandbox, path: str, body: object = None, method: str = "POST") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.request(method, f"{sandbox.http_url}/__sandbox/{path}", content=content)


def test_another_process_can_drive_it(sandbox: Sandbox, ana: Mailbox) -> None:
    ident = lever(sandbox, f"deliver?address={ANA}", letter("nova")).json()["id"]
    token = lever(sandbox, "token", {"address": ANA, "scopes": MODIFY}).json()["token"]
    with httpx.Client(base_url=sandbox.http_url + "/gmail/v1/users/me") as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/messages").json()["messages"][0]["id"] == ident
        lever(sandbox, "fault", {"kind": "status", "status": 503, "path": "profile"})
        lever(sandbox, "refuse", {"address": ANA, "id": ident, "sentence": "No."})
        assert client.get("/profile").status_code == 503
        assert client.post(f"/messages/{ident}/trash").json()["error"]["message"] == "No."
        lever(sandbox, "fault", method="DELETE")
        assert client.get("/profile").status_code == 200
        assert lever(sandbox, "fault", {"preset": "R01"}).json() == {"faults": 1}
        assert client.get("/profile").status_code == 429
        history = client.get("/profile").json()["historyId"]
        lever(sandbox, "cursors", {"address": ANA})
        assert client.get("/history", params={"startHistoryId": history}).status_code == 404
        lever(sandbox, "expire", {"address": ANA})
        assert client.get("/profile").status_code == 401
    assert lever(sandbox, f"state/{ANA}", method="GET").json() == ana.state()
    assert [user["address"] for user in lever(sandbox, "state", method="GET").json()["users"]] == [ANA, BRUNO]
    assert lever(sandbox, "ledger", method="GET").json()["entries"][0]["effect"] == "deliver"
    assert lever(sandbox, "limits", {"send_lag": 5}).json()["send_lag"] == 5
    assert lever(sandbox, "clock", {"advance": 60}).json()["clock"] > 0


def test_the_levers_are_never_faulty_nor_on_record(sandbox: Sandbox) -> None:
    sandbox.faults.add("status", status=500)
    assert lever(sandbox, "state", method="GET").status_code == 200
    assert sandbox.ledger.requests == []


@pytest.mark.parametrize(
    ("path", "body"),
    [("deliver?address=nobody@x", b"x"), ("fault", {"kind": "gremlins"}), ("limits", {"none": 1}), ("token", [])],
)
def test_a_wrong_lever_says_what_is_wrong(sandbox: Sandbox, path: str, body: object) -> None:
    answer = lever(sandbox, path, body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_web_page_cannot_pull_the_levers(sandbox: Sandbox) -> None:
    answer = httpx.post(f"{sandbox.http_url}/__sandbox/pause", json={}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_it_can_be_told_to_be_down_for_a_moment(sandbox: Sandbox) -> None:
    assert lever(sandbox, "pause", {"seconds": 0.3}).status_code == 200
    refused = 0
    for _ in range(200):
        try:
            httpx.get(sandbox.http_url + "/__sandbox/state", timeout=1)
        except httpx.TransportError:
            refused += 1
        else:
            if refused:
                break
    assert refused
    assert lever(sandbox, "state", method="GET").status_code == 200

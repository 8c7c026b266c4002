"""Reaching mail servers: whatever is wrong has a sentence of its own, and nothing secret is told too early."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.auth import password as passwords
from crmmail.auth.password import Login, PasswordSession
from crmmail.auth.secrets import Secret
from crmmail.auth.standing import Standing
from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings
from crmmail.errors import AuthRequired, Offline, Rejected, RemoteError, SettingsError, Transient, Untrusted
from crmmail.remotes import dial, imap_connection, probe, smtp_connection
from crmmail.remotes.dial import Server, Stage
from tests.mailservers.dovecot import PASSWORD, Dovecot, free_port
from tests.mailservers.proxy import Proxy
from tests.mailservers.scripted import Scripted, answering, saying
from tests.mailservers.sink import Sink

ANA = "ana@mail.example"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink(mode="plain") as running:
        yield running


@pytest.fixture(scope="module")
def dovecot(sink: Sink) -> Iterator[Dovecot]:
    with Dovecot({ANA: PASSWORD}, relay_port=sink.port) as running:
        yield running


@pytest.fixture(scope="module", params=["tls", "starttls"])
def door(request: pytest.FixtureRequest, dovecot: Dovecot) -> Server:
    port = dovecot.imaps_port if request.param == "tls" else dovecot.imap_port
    return Server("imap", "127.0.0.1", port, request.param, dovecot.ca_file)


def known(word: str = PASSWORD, user: str = ANA) -> Login:
    return Login(user, lambda _refused: Secret(word))


def bearing(*tokens: str) -> Login:
    """A session whose tokens come one after the other, a new one for each that is refused."""
    held = list(tokens)

    def secret(refused: str) -> Secret:
        if refused and len(held) > 1:
            held.pop(0)
        return Secret(held[0])

    return Login(ANA, secret, bearer=True)


def untold() -> Login:
    """Fails the test when anybody asks for the password."""

    def asked(_refused: str) -> Secret:
        raise AssertionError("the password was asked for")

    return Login(ANA, asked)


# Reaching a server


def test_a_password_opens_the_mailbox_with_tls_from_the_first_byte_or_after_starttls(door: Server) -> None:
    stages: list[Stage] = []
    client = imap_connection.connect(door, known(), stages.append)
    assert stages == [Stage.NAME, Stage.PORT, Stage.TLS, Stage.LOGIN]
    assert client.select_folder("INBOX")[b"EXISTS"] == 0
    assert isinstance(client.socket(), ssl.SSLSocket)
    imap_connection.hang_up(client)


def test_a_small_command_goes_out_at_once_and_is_not_kept_for_an_acknowledgement(door: Server) -> None:
    line, _greeting = dial.dial(door)
    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    line.close()


def test_another_authority_under_the_same_name_is_believed_at_once(dovecot: Dovecot, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    server = Server("imap", "127.0.0.1", dovecot.imaps_port, "tls", str(trusted))
    with Sink(mode="tls") as other:
        trusted.write_bytes(Path(other.ca_file).read_bytes())
    with pytest.raises(Untrusted):
        dial.dial(server)
    trusted.write_bytes(Path(dovecot.ca_file).read_bytes())
    os.utime(trusted, (1, 1))
    line, _greeting = dial.dial(server)
    line.close()


@pytest.mark.parametrize("mode", ["tls", "starttls"])
def test_a_password_opens_the_door_for_mail(mode: str) -> None:
    with Sink(mode=mode, users={ANA: PASSWORD}) as server:
        client = smtp_connection.connect(Server("smtp", "127.0.0.1", server.port, mode, server.ca_file), known())
        client.sendmail(ANA, ["b@mail.example"], b"Subject: x\r\n\r\nx\r\n")
        smtp_connection.hang_up(client)
        (taken,) = server.messages
        assert (taken.user, taken.protected) == (ANA, True)


def test_dovecots_submission_takes_a_password_and_a_token(dovecot: Dovecot, sink: Sink) -> None:
    door = Server("smtp", "127.0.0.1", dovecot.submission_port, "starttls", dovecot.ca_file)
    for login in (known(), bearing(dovecot.token(ANA)), bearing(dovecot.token(ANA, -10), dovecot.token(ANA))):
        client = smtp_connection.connect(door, login)
        client.sendmail(ANA, ["b@mail.example"], b"Subject: x\r\n\r\nx\r\n")
        smtp_connection.hang_up(client)
    assert len(sink.messages) == 3


def test_xoauth2_opens_the_door_for_mail_and_a_refused_token_is_renewed_once() -> None:
    with Sink(mode="tls", tokens={ANA: "good"}) as server:
        door = Server("smtp", "127.0.0.1", server.port, "tls", server.ca_file)
        smtp_connection.hang_up(smtp_connection.connect(door, bearing("good")))
        smtp_connection.hang_up(smtp_connection.connect(door, bearing("old", "good")))
        with pytest.raises(AuthRequired) as told:
            smtp_connection.connect(door, bearing("old", "older"))
        assert told.value.reason == "token"


def test_an_oauth_token_opens_the_mailbox_and_a_refused_one_is_renewed_once(dovecot: Dovecot) -> None:
    door = Server("imap", "127.0.0.1", dovecot.imaps_port, "tls", dovecot.ca_file)
    good, old = dovecot.token(ANA), dovecot.token(ANA, -10)
    imap_connection.hang_up(imap_connection.connect(door, bearing(good)))
    imap_connection.hang_up(imap_connection.connect(door, bearing(old, good)))
    with pytest.raises(AuthRequired) as told:
        imap_connection.connect(door, bearing(old, old))
    assert told.value.reason == "token"


@pytest.mark.parametrize("mechanism", ["AUTH=PLAIN", "AUTH=XOAUTH2", "AUTH=OAUTHBEARER", "LOGIN"])
def test_whichever_way_to_log_in_a_server_offers_is_used(dovecot: Dovecot, mechanism: str) -> None:
    others = {b"AUTH=PLAIN", b"AUTH=LOGIN", b"AUTH=XOAUTH2", b"AUTH=OAUTHBEARER"} - {mechanism.encode()}
    word = "plain ascii"
    with Dovecot({ANA: word}) as server, Proxy(server.imap_port) as between:

        def only(told: bytes) -> bytes:
            for name in others if b"CAPABILITY" in told and b"IDLE" in told else ():
                told = told.replace(b" " + name, b"")
            return told

        between.rewrite = only
        login = bearing(server.token(ANA)) if "OAUTH" in mechanism else known(word)
        door = Server("imap", "127.0.0.1", between.port, "tls", between.ca_file)
        imap_connection.hang_up(imap_connection.connect(door, login))
        used = next(command for command in between.commands if "LOGIN" in command or "AUTHENTICATE" in command)
        assert used == mechanism.replace("AUTH=", "AUTHENTICATE ")


# What is wrong with a server, each told apart


def test_a_wrong_password_is_told_as_one_and_the_answer_names_no_secret(door: Server) -> None:
    with pytest.raises(AuthRequired) as told:
        imap_connection.connect(door, known("wrong-canary"))
    assert told.value.reason == "wrong_password"
    assert "canary" not in str(told.value)


@pytest.mark.parametrize("mode", ["tls", "starttls"])
def test_a_wrong_password_for_sending_is_told_as_one(mode: str) -> None:
    with Sink(mode=mode, users={ANA: PASSWORD}) as server, pytest.raises(AuthRequired) as told:
        smtp_connection.connect(Server("smtp", "127.0.0.1", server.port, mode, server.ca_file), known("wrong"))
    assert told.value.reason == "wrong_password"


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_a_name_nobody_knows_and_a_closed_port_are_told_apart(protocol: str) -> None:
    connect = imap_connection.connect if protocol == "imap" else smtp_connection.connect
    with pytest.raises(Offline) as told:
        connect(Server(protocol, "mail.invalid"), untold())
    assert told.value.reason == "name_not_found"
    with pytest.raises(Offline) as told:
        connect(Server(protocol, "127.0.0.1", free_port()), untold())
    assert told.value.reason == "port_closed"


@pytest.mark.parametrize("name", ["mail..example", "a" * 80 + ".example", "mäil.invalid", " ", "mail\x00.example"])
def test_an_impossible_name_is_a_sentence_too(name: str) -> None:
    with pytest.raises(Offline):
        imap_connection.connect(Server("imap", name), untold())


@pytest.mark.parametrize(
    ("kind", "word"), [("untrusted", "authority"), ("expired", "expired"), ("wrong_host", "another")]
)
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_a_certificate_that_is_not_good_is_refused_with_its_fingerprint_and_the_reason(
    kind: str, word: str, protocol: str, dovecot: Dovecot
) -> None:
    connect = imap_connection.connect if protocol == "imap" else smtp_connection.connect
    with Proxy(dovecot.imap_port, kind=kind) as between, pytest.raises(Untrusted) as told:
        connect(Server(protocol, "127.0.0.1", between.port, "tls", between.ca_file), untold())
    assert told.value.reason == "certificate"
    assert word in told.value.sentence
    assert re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}", told.value.fingerprint)
    assert told.value.fingerprint in told.value.sentence
    assert between.commands == []


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_an_unknown_authority_behind_starttls_is_refused_with_the_fingerprint(dovecot: Dovecot, protocol: str) -> None:
    connect = imap_connection.connect if protocol == "imap" else smtp_connection.connect
    port = dovecot.imap_port if protocol == "imap" else dovecot.submission_port
    with pytest.raises(Untrusted) as told:
        connect(Server(protocol, "127.0.0.1", port, "starttls"), untold())
    pem = Path(dovecot.ca_file).with_name("server.pem").read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") :])
    import hashlib

    assert told.value.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_a_server_without_starttls_is_told_nothing(protocol: str) -> None:
    connect = imap_connection.connect if protocol == "imap" else smtp_connection.connect
    heard: list[bytes] = []

    def script(line: socket.socket) -> None:
        line.sendall(b"* OK hello\r\n" if protocol == "imap" else b"220 hello\r\n")
        for command in line.makefile("rb"):
            heard.append(command)
            known = b"EHLO" in command
            refused = command.split()[0] + b" BAD what?\r\n" if protocol == "imap" else b"502 what?\r\n"
            line.sendall(b"250-hello\r\n250 SIZE 1000\r\n" if known else refused)

    with Scripted(script, protected=False) as server, pytest.raises(Rejected) as told:
        connect(Server(protocol, "127.0.0.1", server.port, "starttls"), untold())
    assert told.value.reason == "no_starttls"
    assert [command for command in heard if b"STARTTLS" not in command and b"EHLO" not in command] == []


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_words_slipped_in_before_the_protection_are_not_believed(protocol: str) -> None:
    connect = imap_connection.connect if protocol == "imap" else smtp_connection.connect

    def script(line: socket.socket) -> None:
        line.sendall(b"* OK hello\r\n" if protocol == "imap" else b"220 hello\r\n")
        for command in line.makefile("rb"):
            yes = b"a OK go\r\n* OK believe me\r\n" if protocol == "imap" else b"220 go\r\n250 believe me\r\n"
            line.sendall(yes if b"STARTTLS" in command else b"250 hello\r\n")

    with Scripted(script, protected=False) as server, pytest.raises(Transient) as told:
        connect(Server(protocol, "127.0.0.1", server.port, "starttls"), untold())
    assert told.value.reason == "odd_answer"


def test_a_port_without_tls_is_told_from_a_closed_one(dovecot: Dovecot) -> None:
    with pytest.raises(Offline) as told:
        imap_connection.connect(Server("imap", "127.0.0.1", dovecot.imap_port, "tls", dovecot.ca_file), untold())
    assert told.value.reason == "tls"


GARBAGE = {
    "noise": bytes(range(256)) * 50,
    "http": b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
    "nothing": b"",
    "a line without an end": b"* OK " + b"x" * 3_000_000,
    "lines without an end": b"* OK hi\r\n" + b"* NOISE\r\n" * 5_000_000,
    "a literal without an end": b"* OK hi\r\n* X {99999999999999999999}\r\n",
    "a large literal": b"* OK hi\r\n* X {70000000}\r\n" + bytes(100),
    "a goodbye": b"* BYE go away\r\n",
    "somebody else's session": b"* PREAUTH welcome\r\n* CAPABILITY IMAP4rev1\r\na OK\r\n",
    "no imap": b"* OK hi\r\n* CAPABILITY FTP\r\n",
    "smtp lines": b"220-x\r\n" * 100_000,
    "smtp garbage": b"99 x\r\n",
    "smtp refusal": b"554 no\r\n",
    "smtp busy": b"421 later\r\n",
}


@pytest.mark.parametrize("said", GARBAGE)
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_server_too_odd_is_a_sentence_and_never_told_the_password(said: str, protocol: str, security: str) -> None:
    connect = imap_connection.connect if protocol == "imap" else smtp_connection.connect
    script = saying(GARBAGE[said])
    with Scripted(script, protected=security == "tls") as server, pytest.raises(RemoteError) as told:
        connect(Server(protocol, "127.0.0.1", server.port, security, server.ca_file), untold())
    assert told.value.sentence
    assert len(told.value.sentence) < 400
    assert told.value.sentence.isprintable()


LOGIN_REFUSALS = [
    (b"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", "wrong_password"),
    (
        b"NO [ALERT] Application-specific password required: https://x (Failure)",
        "app_password_needed",
    ),
    (b"NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page", "imap_disabled"),
    (b"NO [ALERT] Please log in via your web browser: https://x (Failure)", "web_login"),
    (b"NO [EXPIRED] That password no longer works", "password_expired"),
    (b"NO [UNAVAILABLE] Backend is down", "busy"),
    (b"NO [ALERT] Too many simultaneous connections. (Failure)", "busy"),
    (b"NO [LIMIT] Slow down", "busy"),
    (b"NO LOGIN failed", "wrong_password"),
    (b"BAD what", "wrong_password"),
]


@pytest.mark.parametrize(("answer", "reason"), LOGIN_REFUSALS, ids=[reason for _told, reason in LOGIN_REFUSALS])
def test_a_refused_login_says_what_to_do(answer: bytes, reason: str) -> None:
    script = answering(
        b"* OK hi\r\n",
        {
            b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n",
            b"LOGIN": b"{tag} " + answer + b"\r\n",
        },
    )
    with Scripted(script) as server, pytest.raises(RemoteError) as told:
        imap_connection.connect(Server("imap", "127.0.0.1", server.port, "tls", server.ca_file), known("ascii"))
    assert told.value.reason == reason
    assert isinstance(told.value, Transient if reason == "busy" else AuthRequired)
    assert told.value.next_step


def test_a_server_that_offers_no_login_we_know_is_told_so() -> None:
    told_of = b"* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI\r\n{tag} OK done\r\n"
    with (
        Scripted(answering(b"* OK hi\r\n", {b"CAPABILITY": told_of})) as server,
        pytest.raises(Rejected) as told,
    ):
        imap_connection.connect(Server("imap", "127.0.0.1", server.port, "tls", server.ca_file), known())
    assert told.value.reason == "no_login"


def test_an_unusable_certificate_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"missing\.pem"):
        imap_connection.connect(Server("imap", "127.0.0.1", 1, "tls", "/missing.pem"), untold())


# Trying settings


def box(dovecot: Dovecot, **changes: object) -> MailboxSettings:
    made = MailboxSettings(
        "imap", ANA, imap_host="localhost", imap_port=dovecot.imaps_port, smtp_host="127.0.0.1",
        smtp_port=dovecot.submission_port, smtp_security="starttls", ca_file=dovecot.ca_file,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def stages(box: MailboxSettings, login: Login) -> list[tuple[str, str, str]]:
    return [
        (one.server.protocol, one.stage.value, str(getattr(one.error, "reason", "") or ""))
        for one in probe.tried(box, login)
    ]


READ = [("imap", stage, "") for stage in ("name", "port", "tls", "login", "folders")]
WRITE = [("smtp", stage, "") for stage in ("name", "port", "tls", "login", "sending")]


def test_good_settings_pass_every_step_and_nothing_is_sent(dovecot: Dovecot, sink: Sink) -> None:
    before = len(sink.messages)
    assert stages(box(dovecot), known()) == READ + WRITE
    assert stages(box(dovecot, smtp_host=""), known()) == READ
    assert len(sink.messages) == before


def test_each_wrong_setting_stops_at_its_own_step_and_the_other_server_is_tried_all_the_same(dovecot: Dovecot) -> None:
    assert stages(box(dovecot, imap_host="mail.invalid"), known()) == [("imap", "name", "name_not_found"), *WRITE]
    closed = box(dovecot, imap_port=free_port())
    assert stages(closed, known()) == [*READ[:1], ("imap", "port", "port_closed"), *WRITE]
    plain = box(dovecot, imap_port=dovecot.imap_port)
    assert stages(plain, known()) == [*READ[:2], ("imap", "tls", "tls"), *WRITE]
    wrong = stages(box(dovecot), known("wrong"))
    assert wrong == [*READ[:3], ("imap", "login", "wrong_password"), *WRITE[:3], ("smtp", "login", "wrong_password")]
    assert stages(box(dovecot, ca_file=""), known())[2] == ("imap", "tls", "certificate")


# Where the password lies


@pytest.fixture
def tokens(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path, allow_file=True, use_keyring=False)


def test_a_kept_password_is_given_to_servers_and_shown_to_nobody(tokens: TokenStore, tmp_path: Path) -> None:
    settings = MailboxSettings("imap", ANA, imap_host="mail.example")
    assert passwords.keep("work", settings, tokens, "pass word-canary") == "file"
    session = PasswordSession("work", passwords.user_of(settings), tokens)
    login = session.login()
    assert (login.user, str(login.secret(""))) == (ANA, "pass word-canary")
    assert session.describe().state is Standing.ACTIVE
    assert "canary" not in repr([session, login, login.secret(""), tokens.get("work")])
    kept = next((tmp_path / "sessions").glob("work.json"))
    assert kept.stat().st_mode & 0o077 == 0


def test_without_a_password_the_mailbox_asks_for_one(tokens: TokenStore) -> None:
    session = PasswordSession("work", ANA, tokens)
    assert session.describe().state is Standing.EXPIRED
    with pytest.raises(AuthRequired):
        session.login().secret("")


def test_an_app_password_of_googles_is_taken_with_or_without_its_spaces() -> None:
    assert passwords.spoken("abcd efgh ijkl mnop", "imap.gmail.com") == "abcdefghijklmnop"
    assert passwords.spoken("abcd efgh ijkl mnop", "mail.example") == "abcd efgh ijkl mnop"
    assert passwords.spoken("my own words", "imap.gmail.com") == "my own words"

"""Gmail by IMAP with an app password: labels, conversations and ids as its own API has them, on a server of others."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail import ops
from crmmail.auth.password import Login
from crmmail.auth.secrets import Secret
from crmmail.model import Role, State, Wish
from crmmail.ops import Verb
from crmmail.remotes import imap_text
from crmmail.remotes.dial import Server
from crmmail.remotes.imap import GMAIL, Imap
from tests.faults.posting import letter
from tests.mailservers.gmail import PASSWORD, USER, GmailServer, installed
from tests.mailservers.sink import Sink
from tests.remotes.mirror import Mirror

FIRST = 1278455344230334865 + 1
ALL = "[Gmail]/Todos os e-mails"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("hoodiecrow"))


@pytest.fixture
def server(package: Path) -> Iterator[GmailServer]:
    with GmailServer(package) as running:
        yield running


@pytest.fixture
def remote(server: GmailServer) -> Iterator[Imap]:
    made = Imap(
        "work",
        login=Login(USER, lambda _refused: Secret(PASSWORD)),
        server=Server("imap", "127.0.0.1", server.port, "tls", server.ca_file),
        labels=True,
    )
    yield made
    made.close()


def labels(server: GmailServer, number: int, folder: str = ALL) -> set[str]:
    """The labels the server itself tells of a message."""
    context = ssl.create_default_context(cafile=server.ca_file)
    line = imaplib.IMAP4_SSL("127.0.0.1", server.port, ssl_context=context)
    line.login(USER, PASSWORD)
    line.select(f'"{folder}"')
    _ok, data = line.uid("FETCH", "1:*", "(UID FLAGS X-GM-MSGID X-GM-LABELS)")
    line.shutdown()
    found = imap_text.fetched(data)
    marks = next((one.marks for one in found.values() if one.gmail_id == FIRST - 1 + number), None)
    assert marks is not None
    return set(__import__("json").loads(marks.partition(" ")[2]))


def name(number: int) -> str:
    return format(FIRST - 1 + number, "x")


def test_each_message_is_there_once_under_gmails_own_id_with_its_labels(remote: Imap) -> None:
    mirror = Mirror().fill(remote)
    assert sorted(mirror.messages) == sorted(name(number) for number in range(1, 6))
    states = mirror.states()
    assert states[name(1)] == State(frozenset({"inbox", "x:CRM"}))
    assert states[name(2)] == State(frozenset({"inbox"}), starred=True)
    assert states[name(3)] == State(frozenset({"inbox"}), unread=True)
    assert states[name(4)] == states[name(5)] == State(frozenset())
    assert all(message.raw for message in mirror.messages.values())


def test_conversations_are_gmails_own(remote: Imap) -> None:
    mirror = Mirror().fill(remote)
    threads = {one: message.remote_thread for one, message in mirror.messages.items()}
    assert threads[name(2)] == threads[name(3)] != threads[name(1)]
    assert threads[name(2)] == name(2)


def test_folders_have_their_roles_whatever_their_language_and_views_are_left_out(remote: Imap) -> None:
    folders = Mirror().fill(remote).folders
    roles = {folder.remote_id: folder.role for folder in folders}
    assert roles["INBOX"] is Role.INBOX
    assert roles["[Gmail]/Rascunhos"] is Role.DRAFTS
    assert roles["[Gmail]/E-mails enviados"] is Role.SENT
    assert roles["[Gmail]/Lixeira"] is Role.TRASH
    assert roles["[Gmail]/Spam"] is Role.SPAM
    assert roles["CRM"] is Role.OTHER
    assert ALL not in roles
    assert "[Gmail]/Com estrela" not in roles


def act(mirror: Mirror, remote: Imap, verb: Verb, number: int) -> None:
    state = mirror.messages[name(number)].state
    assert state is not None
    delta = ops.delta_for(verb, state, GMAIL)
    acks = mirror.push(remote, [Wish(name(number), delta, state)])
    assert acks[name(number)].state == ops.apply(state, delta)


def test_archiving_takes_a_label_off_and_undoing_it_puts_it_back(remote: Imap, server: GmailServer) -> None:
    mirror = Mirror().fill(remote)
    before = mirror.messages[name(1)].state
    act(mirror, remote, Verb.ARCHIVE, 1)
    assert labels(server, 1) == {"CRM"}
    now = mirror.messages[name(1)].state
    assert now is not None
    wish = Wish(name(1), ops.delta_for(Verb.RESTORE, now, GMAIL, before), now)
    mirror.push(remote, [wish])
    assert labels(server, 1) == {"CRM", "\\Inbox"}
    assert mirror.messages[name(1)].state == before


def test_favorites_and_reading_are_flags(remote: Imap) -> None:
    mirror = Mirror().fill(remote)
    for verb in (Verb.FAVORITE, Verb.READ):
        act(mirror, remote, verb, 3)
    assert Mirror().fill(remote).states()[name(3)] == State(frozenset({"inbox"}), unread=False, starred=True)


def test_trash_is_a_place_messages_are_moved_to(remote: Imap, server: GmailServer) -> None:
    mirror = Mirror().fill(remote)
    act(mirror, remote, Verb.TRASH, 4)
    context = ssl.create_default_context(cafile=server.ca_file)
    line = imaplib.IMAP4_SSL("127.0.0.1", server.port, ssl_context=context)
    line.login(USER, PASSWORD)
    found = {}
    for folder in ("[Gmail]/Lixeira", ALL):
        line.select(f'"{folder}"')
        found[folder] = line.uid("SEARCH", "HEADER", "Message-ID", "<m4@ex.example>")[1][0] or b""
    line.shutdown()
    assert found["[Gmail]/Lixeira"]
    assert not found[ALL]


def test_a_label_another_client_puts_on_is_seen(remote: Imap, server: GmailServer) -> None:
    mirror = Mirror().fill(remote)
    context = ssl.create_default_context(cafile=server.ca_file)
    line = imaplib.IMAP4_SSL("127.0.0.1", server.port, ssl_context=context)
    line.login(USER, PASSWORD)
    line.select(f'"{ALL}"')
    line.uid("STORE", "5", "+X-GM-LABELS", "(Clientes)")
    line.shutdown()
    remote._clock = lambda: __import__("time").time() + 400  # labels are compared every five minutes
    mirror.fill(remote)
    assert "x:Clientes" in (mirror.states()[name(5)] or State()).folders


def test_what_is_sent_is_filed_by_gmail_and_by_nobody_else(server: GmailServer, tmp_path: Path) -> None:
    with Sink(mode="tls", users={USER: PASSWORD}) as sink:
        remote = Imap(
            "work",
            login=Login(USER, lambda _refused: Secret(PASSWORD)),
            server=Server("imap", "127.0.0.1", server.port, "tls", server.ca_file),
            smtp=Server("smtp", "127.0.0.1", sink.port, "tls", sink.ca_file),
            address=USER,
            labels=True,
            index=tmp_path / "imap.db",
        )
        kept = remote.save_draft(letter(USER, 1))
        remote.send_draft(kept.remote_draft)
        assert [one.recipients for one in sink.messages] == [["friend1@example.net"]]
        for folder in ("[Gmail]/E-mails enviados", "[Gmail]/Rascunhos", "[Gmail]/Lixeira"):
            remote._line.select(folder, fresh=True)
            assert remote._line.search("ALL") == [], folder
        remote.close()

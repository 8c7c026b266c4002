"""What is handed to a server that takes mail is what was written, to exactly those it was written to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crmmail.auth.password import Login
from crmmail.auth.secrets import Secret
from crmmail.errors import Rejected
from crmmail.remotes import Where
from crmmail.remotes.dial import Server
from crmmail.remotes.imap import Imap
from crmmail.remotes.submit import Submission, dotted, envelope, without_bcc
from tests.faults.posting import letter
from tests.mailservers.dovecot import PASSWORD, Dovecot
from tests.mailservers.sink import Sink
from tests.remotes.test_send import outgoing

ANA = "ana@mail.example"


def login() -> Login:
    return Login(ANA, lambda _refused: Secret(PASSWORD))


@pytest.fixture(params=["tls", "starttls"])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    with Sink(mode=request.param, users={ANA: PASSWORD}) as running:
        yield running


def submission(sink: Sink) -> Submission:
    return Submission(Server("smtp", "127.0.0.1", sink.port, sink.mode, sink.ca_file), login())


def message(to: str = "b@mail.example", body: str = "x\r\n", more: str = "") -> bytes:
    return f"From: Ana <{ANA}>\r\nTo: {to}\r\n{more}Subject: x\r\n\r\n{body}".encode()


ODD_BODIES = [
    ".\r\n",
    "..\r\n.\r\n...\r\n",
    "a\r\n.\r\n.b\r\nc\r\n",
    "no end",
    "",
    "\r\n\r\n.\r\n",
    ("." * 900 + "\r\n") * 3,
]


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_dots_and_ends_of_lines_arrive_as_they_were_written(sink: Sink, body: str) -> None:
    raw = message(body=body)
    submission(sink).send(raw, lambda: None)
    assert sink.messages[0].raw.removesuffix(b"\r\n") == raw.removesuffix(b"\r\n")
    assert sink.messages[0].protected


def test_lone_ends_of_lines_cannot_end_a_message_early() -> None:
    told = dotted(b"a\n.\nb\r.\rc\r\n.\r\n")
    assert told == b"a\r\n..\r\nb\r\n..\r\nc\r\n..\r\n.\r\n"


def test_the_envelope_names_everybody_once_and_bcc_is_only_there() -> None:
    raw = message(
        "B <b@mail.example>, c@mail.example", more="Cc: B@mail.example\r\nBcc: d@mail.example,\r\n e@mail.example\r\n"
    )
    assert envelope(raw) == (ANA, ["b@mail.example", "c@mail.example", "d@mail.example", "e@mail.example"])
    assert b"d@mail" not in without_bcc(raw)
    assert b"e@mail" not in without_bcc(raw)
    assert without_bcc(raw).endswith(b"Subject: x\r\n\r\nx\r\n")
    body = message(body="Bcc: kept@mail.example\r\n")
    assert without_bcc(body) == body


@pytest.mark.parametrize("raw", [b"Subject: x\r\n\r\n", b"From: a@b.example\r\n\r\n", b"To: a@b.example\r\n\r\n"])
def test_a_message_from_or_to_nobody_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected):
        envelope(raw)


def test_addresses_beyond_ascii_need_a_server_that_takes_them() -> None:
    raw = message("joão@mail.example")
    with Sink(mode="tls", users={ANA: PASSWORD}) as able:
        submission(able).send(raw, lambda: None)
        assert able.messages[0].recipients == ["joão@mail.example"]
        assert "SMTPUTF8" in able.messages[0].options
    with Sink(mode="tls", users={ANA: PASSWORD}, smtputf8=False) as unable, pytest.raises(Rejected) as told:
        submission(unable).send(raw, lambda: None)
    assert told.value.reason == "smtputf8"


def test_the_size_is_known_before_and_said_with_the_sender() -> None:
    with Sink(mode="tls", users={ANA: PASSWORD}, size_limit=10_000) as sink:
        assert submission(sink).learn() == 10_000
        begun: list[bool] = []
        with pytest.raises(Rejected, match="too large"):
            submission(sink).send(message(body="x" * 20_000), lambda: begun.append(True))
        assert begun == []


@pytest.mark.parametrize("size", [0, 2_000_000])
def test_dovecots_submission_takes_it_once_and_the_copy_lies_in_sent(size: int) -> None:
    with Sink(mode="plain") as sink, Dovecot({ANA: PASSWORD}, relay_port=sink.port) as server:
        remote = Imap(
            "work",
            login=login(),
            server=Server("imap", "127.0.0.1", server.imaps_port, "tls", server.ca_file),
            smtp=Server("smtp", "127.0.0.1", server.submission_port, "starttls", server.ca_file),
            address=ANA,
        )
        raw = letter(ANA, 1, size=size, to="one@example.net\r\nBcc: two@example.net")
        kept = remote.save_draft(raw)
        assert remote.send_draft(kept.remote_draft).seen
        (taken,) = sink.messages
        assert taken.recipients == ["one@example.net", "two@example.net"]
        assert taken.raw.rstrip().endswith(without_bcc(raw).rstrip())
        assert remote.look(outgoing(raw)).kind is Where.SENT
        remote.close()

"""What was built is what goes out: new mail, replies and forwards, with files from 1 B to 25 MB, on both providers."""

from __future__ import annotations

import contextlib
import email
import email.policy
import hashlib
import random
import re
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from typing import Any

import pytest

from crmmail.errors import Offline, Rejected, Transient
from crmmail.mail import compose, reply
from crmmail.mail.parse import parse
from crmmail.mail.reply import Kind
from crmmail.model import Address, Draft, Enclosure, Identity, Message, Outgoing, Row, SendState, State
from crmmail.remotes import Where, gmail_send, graph_send
from crmmail.sandbox import mime
from tests.remotes.imap_world import ImapWorld
from tests.remotes.world import GmailWorld, GraphWorld, World

NOW = 1_795_348_800.0
NAMES = ("relatório final.pdf", "宛先.bin", "a b 'c'.txt", "x" * 120 + ".dat", "emoji 🎉.bin")
TEXT = "Olá, Bruno!\n\nSegue a proposta. 你好 🎉\n\n> citação\n> com duas linhas\n\n-- \nAna\n"


@pytest.fixture(params=[GmailWorld, GraphWorld, ImapWorld], ids=["gmail", "outlook", "imap"])
def world(request: pytest.FixtureRequest, worlds: Callable[[type[World]], World]) -> Iterator[World]:
    world = worlds(request.param)
    world.scopes += " Mail.Send"
    yield world


def built(
    world: World,
    *sizes: int,
    files: tuple[tuple[str, str, bytes], ...] = (),
    token: str = "token-one",
    **changes: Any,
) -> tuple[Draft, bytes]:
    """A draft with files of these sizes, and the message it is."""
    contents: dict[str, bytes] = {}
    enclosures = []
    made = [
        (NAMES[number % len(NAMES)], "application/octet-stream", random.Random(size).randbytes(size))
        for number, size in enumerate(sizes)
    ]
    for name, kind, content in (*made, *files):
        digest = hashlib.sha256(content).hexdigest()
        contents[digest] = content
        enclosures.append(Enclosure(name, kind, len(content), digest))
    options: dict[str, Any] = {
        "to": (Address("José Silva, Júnior", "jose@example.net"), Address("", "b@example.org")),
        "cc": (Address("宛先", "cc@example.net"),),
        "bcc": (Address("", "hidden@example.net"),),
        "subject": "Proposta comercial – versão 2 🎉 com um assunto comprido o bastante para ser dobrado em linhas",
        "text": TEXT,
    }
    draft = Draft(1, "work", world.user.address, enclosures=tuple(enclosures), **(options | changes))
    identity = Identity("work", Address("Ana Souza", world.user.address))
    raw = compose.build(
        draft, identity, contents.__getitem__, message_id=f"<{token}@example.com>", token=token, now=NOW, keep_bcc=True
    )
    return draft, raw


def sent(world: World, raw: bytes, thread: str = "", progress: list[tuple[int, int]] | None = None) -> bytes:
    """Send it, and the copy in the server's Sent."""
    remote = world.connect()
    told = progress if progress is not None else []
    kept = remote.save_draft(raw, "", thread, lambda done, total: told.append((done, total)))
    found = remote.send_draft(kept.remote_draft)
    where = remote.look(outgoing(raw, remote_id=found.remote_id, remote_draft=kept.remote_draft))
    assert where.kind is Where.SENT
    assert where.sent.seen
    stored = world.mailbox.get(world.key(where.sent.remote_id))
    assert where.sent.message_id == header(stored.raw, "Message-ID")
    return stored.raw


def outgoing(raw: bytes, **changes: Any) -> Outgoing:
    token = header(raw, "X-Crmmail-Id")
    options: dict[str, Any] = {"message_id": header(raw, "Message-ID"), "digest": "", "token": token}
    return Outgoing(1, 1, "work", SendState.SENDING, "", (), **(options | changes))


def header(raw: bytes, name: str) -> str:
    head = raw.partition(b"\r\n\r\n")[0]  # the rest may be 25 MB
    return str(email.message_from_bytes(head, policy=email.policy.compat32)[name] or "").strip()


def parts(raw: bytes) -> list[tuple[str, str, bytes]]:
    """Every leaf: content type, file name, decoded bytes."""
    return [(leaf.content_type, leaf.name, leaf.content) for leaf in mime.leaves(mime.parse(raw))]


def same(accepted: bytes, raw: bytes) -> None:
    """Header by header, and byte by byte after them; only Message-ID may be another one."""
    rewritten = re.compile(rb"(?im)^Message-ID:[^\r\n]*\r\n")
    heads, bodies = zip(*(one.split(b"\r\n\r\n", 1) for one in (accepted, raw)), strict=True)
    lines = [sorted(re.split(rb"\r\n(?![ \t])", rewritten.sub(b"", head + b"\r\n").rstrip())) for head in heads]
    assert lines[0] == lines[1]
    assert bodies[0] == bodies[1]


def alike(accepted: bytes, raw: bytes) -> None:
    """As `same`, for what Graph takes as fields and files: every field a reader sees, every text and every file."""
    for name in ("Subject", "X-Crmmail-Id", "In-Reply-To", "References"):
        told = [" ".join(str(make_header(decode_header(header(one, name)))).split()) for one in (accepted, raw)]
        assert told[0] == told[1], name
    for name in ("From", "To", "Cc", "Bcc"):
        people = [mime.raw_addresses(one, name) for one in (accepted, raw)]
        assert [one[1] for one in people[0]] == [one[1] for one in people[1]], name
        assert [one[0] or one[1] for one in people[0]] == [one[0] or one[1] for one in people[1]], name
    texts = [[kind for kind in parts(one) if not kind[1]] for one in (accepted, raw)]
    assert texts[0][-1][2].decode().split() == texts[1][-1][2].decode().split()
    files = [[(name, content) for _kind, name, content in parts(one) if name] for one in (accepted, raw)]
    assert [name for name, _content in files[0]] == [name for name, _content in files[1]]
    assert files[0] == files[1]


def fits(world: World, raw: bytes) -> bool:
    """Whether it goes as it is: always but with Graph, which takes up to about 2 MB."""
    return world.provider != "outlook" or len(raw) <= graph_send.MIME_LIMIT


@pytest.mark.parametrize("markdown", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [(), (1,), (1, 1000, 70_000), (1_600_000,), (2_000_000, 1), (3_600_000,), (7_000_000, 1, 2_500_000), (25_000_000,)],
    ids=str,
)
def test_what_was_built_is_what_goes_out(world: World, sizes: tuple[int, ...], markdown: bool) -> None:
    if markdown and sum(sizes) > 8_000_000:
        pytest.skip("the same as without Markdown")
    _draft, raw = built(world, *sizes, markdown=markdown)
    progress: list[tuple[int, int]] = []
    accepted = sent(world, raw, progress=progress)
    if fits(world, raw):
        same(accepted, raw)
    else:
        alike(accepted, raw)
    assert progress
    assert progress[-1][0] == progress[-1][1]
    assert progress == sorted(progress)
    entry = world.box.ledger.sends(world.user.address)[0]
    assert entry.detail["recipients"] == ["jose@example.net", "b@example.org", "cc@example.net", "hidden@example.net"]
    assert [message for message in world.mailbox.messages.values() if "DRAFT" in message.labels] == []


@pytest.mark.parametrize("size", [0, 4_000_000])
def test_a_reply_joins_the_conversation(world: World, size: int) -> None:
    parent = world.add()[0]
    key = world.key(parent)
    identity = header(world.mailbox.get(key).raw, "Message-ID")
    thread = parent if world.provider == "gmail" else ""
    _draft, raw = built(
        world,
        *([size] if size else []),
        subject="Re: Proposta 0",
        kind="reply",
        in_reply_to=identity,
        references=("<first.message.of.a.long.thread@mail.example.org>", identity),
    )
    accepted = sent(world, raw, thread)
    (same if fits(world, raw) else alike)(accepted, raw)
    copy = next(message for message in world.mailbox.messages.values() if message.raw == accepted)
    assert world.mailbox.thread_of(copy.key) == world.mailbox.thread_of(key)


def test_a_reply_to_a_thread_that_is_gone_goes_out_all_the_same(world: World) -> None:
    parent = world.add()[0]
    world.mailbox.delete(world.key(parent))
    _draft, raw = built(world, subject="Re: Proposta 0", in_reply_to="<0@example.org>", references=("<0@example.org>",))
    same(sent(world, raw, parent), raw)


@pytest.mark.parametrize("size", [0, 5_000_000])
def test_a_message_forwarded_whole_arrives_whole(world: World, size: int) -> None:
    inner = (
        b"From: x@example.net\r\nSubject: =?utf-8?q?Ol=C3=A1?=\r\nMessage-ID: <inner@example.net>\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nT2zDoSE=\r\n"
    )
    carried = compose.carried_whole(inner)
    _draft, raw = built(world, *([size] if size else []), files=((carried.name, carried.content_type, inner),))
    accepted = sent(world, raw)
    if fits(world, raw):
        same(accepted, raw)
    else:
        assert [content for _kind, name, content in parts(accepted) if name.endswith(".eml")] == [inner]


PARENT = (
    b"From: =?utf-8?q?Jo=C3=A3o?= <joao@example.net>\r\nTo: me@example.com, b@example.org\r\nCc: cc@example.net\r\n"
    b"Subject: =?utf-8?b?UHJvcG9zdGEg5o+Q5qGIIPCfjok=?=\r\nMessage-ID: <parent@example.net>\r\n"
    b"References: <root@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n\r\n"
    b"--edge\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"T2zDoSDkvaDlpb0h\r\n"
    b"--edge\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename*0*=utf-8''relat%C3%B3rio%20; filename*1*=final.pdf\r\n\r\nAAECAw==\r\n"
    b"--edge--\r\n"
)


@pytest.mark.parametrize("size", [0, 4_000_000])
@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.REPLY_ALL, Kind.FORWARD])
def test_answers_and_forwards_arrive_as_they_were_begun(world: World, kind: Kind, size: int) -> None:
    read = parse(PARENT)
    row = Row(7, "work", "r", 1, 1, read.headers.subject, "", "", "", 0, False, False, True)
    identity = Identity("work", Address("Ana Souza", world.user.address), default=True)
    begun = reply.begin(kind, Message(row, read.headers, read.body, State()), (identity,), hints=reply.hints(PARENT))
    files = tuple((one.name, one.content_type, one.content) for one in compose.carried(PARENT))
    carried = files if kind is Kind.FORWARD else ()
    people = {"to": begun.to or (Address("", "new@example.net"),), "cc": begun.cc, "bcc": ()}
    told = {"subject": begun.subject, "text": begun.text, "references": begun.references}
    draft, raw = built(world, *([size] if size else []), files=carried, in_reply_to=begun.in_reply_to, **people, **told)
    accepted = sent(world, raw)
    (same if fits(world, raw) else alike)(accepted, raw)
    arrived = parse(accepted)
    assert arrived.headers.subject == begun.subject
    assert [one.email for one in arrived.headers.to] == [one.email for one in draft.to]
    assert [one.email for one in arrived.headers.cc] == [one.email for one in draft.cc]
    assert bool(draft.cc) is (kind is Kind.REPLY_ALL)
    assert arrived.headers.references == ("<root@example.net>", "<parent@example.net>")
    assert "Olá 你好!" in arrived.body.text
    names = [one.name for one in arrived.body.attachments]
    assert names.count("relatório final.pdf") == (kind is Kind.FORWARD) + bool(size)


def test_identities_are_told_with_what_may_be_used(world: World) -> None:
    if world.provider == "imap":
        pytest.skip("IMAP knows no address but the one that was named")
    if world.provider == "gmail":
        world.mailbox.aliases += [
            {"sendAsEmail": "sales@example.com", "displayName": "Vendas", "verificationStatus": "accepted"},
            {"sendAsEmail": "odd@example.com", "verificationStatus": "pending", "signature": "<b>Ana</b><br>Rua 1"},
        ]
    else:
        world.mailbox.aliases += [{"address": "sales@example.com"}]
    found = {one.address.email: one for one in world.connect().identities()}
    own = found[world.user.address]
    assert own.default
    assert own.verified
    assert found["sales@example.com"].verified
    if world.provider == "gmail":
        assert not found["odd@example.com"].verified
        assert found["odd@example.com"].signature.split("\n") == ["Ana", "Rua 1"]


# Drafts


def test_a_draft_saved_again_takes_the_place_of_the_one_before(world: World) -> None:
    remote = world.connect()
    kept = remote.save_draft(built(world, text="one", token="version-1")[1])
    again = remote.save_draft(built(world, text="two", token="version-2")[1], kept.remote_draft)
    assert not again.conflict
    left = [message for message in world.mailbox.messages.values() if "DRAFT" in message.labels]
    if world.provider == "outlook":
        left = [message for message in left if message.folder == world.mailbox.place("drafts").id]
    assert [header(message.raw, "X-Crmmail-Id") for message in left] == ["version-2"]
    assert world.mailbox.id_of(left[0].key) == again.remote_id
    assert remote.delete_draft(again.remote_draft)
    assert remote.delete_draft(again.remote_draft)
    assert [message for message in world.mailbox.messages.values() if "DRAFT" in message.labels] == []


def test_a_draft_begun_elsewhere_is_found_by_its_message_replaced_and_removed(world: World) -> None:
    theirs = world.connect().save_draft(built(world, text="begun elsewhere", token="another-client")[1])
    remote = world.connect()
    found = remote.draft_at(theirs.remote_id)
    assert found == theirs
    ours = remote.save_draft(built(world, text="and ended here", token="version-2")[1], found.remote_draft)
    assert not ours.conflict
    assert remote.draft_at(theirs.remote_id) is None
    assert remote.delete_draft(remote.draft_at(ours.remote_id).remote_draft)
    assert remote.draft_at(ours.remote_id) is None


def test_what_is_sent_thrown_away_or_no_draft_is_found_as_none(world: World) -> None:
    remote = world.connect()
    kept = remote.save_draft(built(world)[1])
    assert remote.draft_at(world.add()[0]) is None
    assert remote.draft_at("no-such-id") is None
    remote.send_draft(kept.remote_draft)
    assert remote.draft_at(kept.remote_id) is None
    if world.provider == "outlook":
        thrown = remote.save_draft(built(world, token="version-2")[1])
        world.move(thrown.remote_id, "deleteditems")
        assert remote.draft_at(thrown.remote_id) is None


def test_a_draft_is_found_behind_the_first_page(
    worlds: Callable[[type[World]], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gmail_send, "LISTED", 2)
    world = worlds(GmailWorld)
    remote = world.connect()
    kept = remote.save_draft(built(world)[1])
    for number in range(4):
        remote.save_draft(built(world, token=f"another-{number}")[1])
    assert remote.draft_at(kept.remote_id) == kept
    assert len(world.box.ledger.asked("pageToken")) == 2


def test_a_draft_whose_version_is_not_told_is_doubtful(worlds: Callable[[type[World]], World]) -> None:
    """Without the version that is there, a later change by another client would be overwritten."""
    world = worlds(GraphWorld)
    remote = world.connect()
    raw = built(world)[1]
    world.box.faults.add("status", method="GET", path=r"/me/messages/[^/]+\?", status=503, times=9)
    with pytest.raises(Transient):
        remote.save_draft(raw)
    world.box.faults.clear()
    kept = remote.save_draft(raw, doubtful=True)
    assert "#" in kept.remote_draft
    drafts = [message.key for message in world.mailbox.messages.values() if "DRAFT" in message.labels]
    assert [world.mailbox.id_of(key) for key in drafts] == [kept.remote_id]


def test_a_draft_changed_by_another_client_is_kept_beside_ours(world: World) -> None:
    remote = world.connect()
    kept = remote.save_draft(built(world, text="one", token="version-1")[1])
    theirs = built(world, subject="changed elsewhere", token="theirs-too")[1]
    if world.provider == "gmail":
        world.connect().save_draft(theirs, kept.remote_draft.partition("#")[0])
    else:
        world.mailbox.update(world.key(kept.remote_id), source=theirs)
    assert remote.delete_draft(kept.remote_draft) is False
    ours = remote.save_draft(built(world, text="two", token="version-2")[1], kept.remote_draft)
    assert ours.conflict
    tokens = {header(message.raw, "X-Crmmail-Id") for message in world.mailbox.messages.values()}
    assert {"theirs-too", "version-2"} <= tokens


def test_reading_or_marking_a_draft_elsewhere_is_no_conflict(world: World) -> None:
    remote = world.connect()
    kept = remote.save_draft(built(world, text="one", token="version-1")[1])
    world.mailbox.modify(world.key(kept.remote_id), ("UNREAD",))
    assert not remote.save_draft(built(world, text="two", token="version-2")[1], kept.remote_draft).conflict


@pytest.mark.parametrize("size", [0, 8_000_000])
@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_a_draft_whose_answer_was_lost_is_found_and_not_made_twice(world: World, size: int, kind: str) -> None:
    remote = world.connect()
    _draft, raw = built(world, *([size] if size else []))
    fault = world.box.faults.add(kind, path=r"(drafts|/me/messages)(\?|$)", times=1)
    with contextlib.suppress(Transient):  # the answer that opens an upload has no body to be cut
        remote.save_draft(raw)
    assert fault.fired
    kept = remote.save_draft(raw, doubtful=True)
    drafts = [message for message in world.mailbox.messages.values() if "DRAFT" in message.labels]
    assert [world.mailbox.id_of(message.key) for message in drafts] == [kept.remote_id]
    (same if fits(world, raw) else alike)(drafts[0].raw, raw)


def test_an_upload_that_broke_off_for_good_goes_on_with_the_next_try(world: World) -> None:
    remote = world.connect()
    _draft, raw = built(world, 1000, 6_000_000, 7_000_000)
    broken = world.box.faults.add("reset_before", method="PUT", nth=range(4, 40))
    with pytest.raises(Transient):
        remote.save_draft(raw)
    world.box.faults.active.remove(broken)
    kept = remote.save_draft(raw, doubtful=True)
    drafts = [message for message in world.mailbox.messages.values() if "DRAFT" in message.labels]
    assert [world.mailbox.id_of(message.key) for message in drafts] == [kept.remote_id]
    (same if fits(world, raw) else alike)(drafts[0].raw, raw)


def test_the_token_stays_away_from_the_upload_address(worlds: Callable[[type[World]], World]) -> None:
    world = worlds(GraphWorld)
    world.connect().save_draft(built(world, 5_000_000)[1])
    ranges = world.box.ledger.asked("AttachmentSessions", "PUT")
    assert len(ranges) == 2
    assert not any(one.authorized for one in ranges)
    assert all(one.authorized for one in world.box.ledger.asked("/v1.0/me"))


@pytest.mark.parametrize("place", ["http://example.net/x", "https://user@example.net/x", "ftp://example.net", "::", ""])
def test_an_upload_address_without_protection_is_not_used(worlds: Callable[[type[World]], World], place: str) -> None:
    world = worlds(GraphWorld)
    world.box.faults.add(
        "status", path="createUploadSession", status=200, body={"uploadUrl": place, "nextExpectedRanges": ["0-"]}
    )
    with pytest.raises(Rejected):
        world.connect().save_draft(built(world, 5_000_000)[1])


def test_pieces_of_an_upload_are_of_the_sizes_the_providers_want(world: World) -> None:
    if world.provider == "imap":
        pytest.skip("a literal is one piece to the server")
    world.connect().save_draft(built(world, 9_000_000)[1])
    sizes = [
        one.received for one in world.box.ledger.asked("upload", "PUT") + world.box.ledger.asked("Sessions", "PUT")
    ]
    unit = 256 * 1024 if world.provider == "gmail" else 320 * 1024
    assert len(sizes) > 2
    assert all(size % unit == 0 and size <= 4_194_304 for size in sizes[:-1])


def test_what_is_too_large_is_refused_without_a_call(world: World) -> None:
    remote = world.connect()
    with pytest.raises(Rejected, match="too large"):
        remote.save_draft(b"Subject: x\r\n\r\n" + bytes(remote.limit_bytes))
    assert world.box.ledger.requests == []


# Finding out


def test_looking_tells_a_draft_a_sent_message_and_nothing_apart(world: World) -> None:
    remote = world.connect()
    _draft, raw = built(world)
    assert remote.look(outgoing(raw)).kind is Where.NOWHERE
    kept = remote.save_draft(raw)
    for handle in (kept.remote_draft, ""):
        found = remote.look(outgoing(raw, remote_draft=handle))
        assert found.kind is Where.DRAFT
        assert found.draft.remote_id == kept.remote_id
    other = built(world, token="another-one")[1]
    assert not remote.look(outgoing(other, remote_draft=kept.remote_draft)).ready
    remote.send_draft(kept.remote_draft)
    for handle in (kept.remote_draft, ""):
        assert remote.look(outgoing(raw, remote_draft=handle)).kind is Where.SENT


def test_sending_the_same_draft_twice_delivers_once(world: World) -> None:
    remote = world.connect()
    kept = remote.save_draft(built(world)[1])
    remote.send_draft(kept.remote_draft)
    with pytest.raises(Rejected):
        remote.send_draft(kept.remote_draft)
    assert len(world.box.ledger.sends(world.user.address)) == 1


def test_a_send_is_never_repeated_by_itself(world: World) -> None:
    remote = world.connect()
    kept = remote.save_draft(built(world)[1])
    world.box.faults.add("reset_after", path=r"/send(\?|$)")
    with pytest.raises(Offline):
        remote.send_draft(kept.remote_draft)
    assert len(world.box.ledger.asked("/send")) == 1

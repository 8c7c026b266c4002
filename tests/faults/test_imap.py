"""Rows N08, C03, S08-S11 and M01-M04 over IMAP and SMTP: nothing lost, nothing doubled, nothing of others' removed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crmmail.errors import AuthRequired, Offline, Rejected
from crmmail.model import Phase, SendState
from crmmail.ops import Verb
from crmmail.remotes.dial import Server
from crmmail.remotes.imap_idle import Bell
from crmmail.sync import Engine
from tests.faults.imap_home import NAME, Home
from tests.faults.posting import letter
from tests.mailservers.dovecot import PASSWORD
from tests.mailservers.proxy import Proxy
from tests.mailservers.scripted import Scripted, answering
from tests.remotes.imap_world import Bare, Empty, ImapWorld, WithoutResync
from tests.remotes.mirror import Mirror


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Callable[..., Home]]:
    with ExitStack() as stack:

        def make(kind: type[ImapWorld] = ImapWorld, **options: object) -> Home:
            world = stack.enter_context(kind())
            home = Home(world, tmp_path / world.address, options)
            stack.callback(home.close)
            return home

        yield make


@pytest.fixture
def home(homes: Callable[..., Home]) -> Home:
    return homes()


@pytest.fixture(params=[ImapWorld, WithoutResync, Bare], ids=["qresync", "condstore", "plain"])
def any_home(request: pytest.FixtureRequest, homes: Callable[..., Home]) -> Home:
    return homes(request.param)


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


# N08: certificates; the rest of the row is in tests/remotes/test_mail_connections.py


@pytest.mark.parametrize("kind", ["expired", "wrong_host", "untrusted"])
def test_n08_a_certificate_that_goes_bad_keeps_acts_and_mail_and_tells_why(home: Home, kind: str) -> None:
    home.world.add(3)
    home.settle()
    home.perform(Verb.TRASH, home.here())
    with Proxy(home.world.dovecot.imap_port, kind=kind) as false:
        home.remote._line._server = Server("imap", "127.0.0.1", false.port, "tls", false.ca_file)
        home.remote._line.drop()
        outcome = home.step()
        assert outcome.phase is Phase.OFFLINE
        assert "fingerprint" in outcome.sentence
        assert false.commands == []
    assert len(home.pending()) == 3
    home.remote._line._server = home.world.server
    home.settle()
    home.agree()


# C03: UIDVALIDITY


def test_c03_another_uidvalidity_reads_again_and_keeps_what_is_ours(any_home: Home) -> None:
    home = any_home
    ids = home.world.add(30)
    home.settle()
    home.perform(Verb.TRASH, ids[:3])
    numbers = {one: home.store.find(NAME, one) for one in ids}
    home.world.mailbox.expire_cursors()
    home.world.between.commands.clear()
    home.settle()
    home.agree()
    assert {one: home.store.find(NAME, one) for one in ids} == numbers
    assert [command for command in home.world.between.commands if "BODY.PEEK[]" in command] == []
    home.store.undo()
    home.settle()
    assert {home.world.state(home.world.key(one)).folders for one in ids[:3]} == {frozenset({"inbox"})}


def test_a_server_put_back_from_a_backup_that_says_nothing_changed_is_not_believed(home: Home) -> None:
    """The same UIDVALIDITY, other UIDs, and a change count that did not move."""
    ids = home.world.add(25)
    home.settle()
    seen = home.remote._index.folders()["INBOX"]
    spots = list(home.remote._index.spots("INBOX", range(1, 26)).values())
    home.remote._index.take("INBOX", [spot.uid for spot in spots], lost=False)
    from dataclasses import replace

    home.remote._index.put(replace(spot, uid=spot.uid + 100) for spot in spots)
    home.remote._index.saw(replace(seen, next=126))
    home.remote._index.settle()
    home.settle()
    home.agree()
    home.perform(Verb.TRASH, ids)
    home.settle()
    home.agree()


# Sending


def test_mail_goes_out_once_and_the_draft_becomes_the_copy_in_sent(home: Home) -> None:
    queued = [home.queue(number) for number in range(3)]
    home.post()
    assert home.delivered() == [f"friend{number}@example.net" for number in range(3)]
    assert [home.state(one).state for one in queued] == [SendState.SEEN] * 3
    assert len(home.in_sent()) == 3
    assert home.in_drafts() == []
    home.settle()
    home.agree()


def test_what_was_replied_to_is_marked_as_answered(home: Home) -> None:
    (parent,) = home.world.add(1)
    remote = home.world.connect()
    mime = letter(home.world.address, 1).replace(b"MIME-Version", b"In-Reply-To: <0@example.org>\r\nMIME-Version")
    remote.send_draft(remote.save_draft(mime).remote_draft)
    name, uid = home.world.admin.find(home.world.key(parent))
    (held,) = [one for one in home.world.admin.fetch(name, "BODY.PEEK[]") if one["uid"] == uid]
    assert "A" in held["marks"]


def test_folders_every_mailbox_needs_are_made_when_they_are_missing(homes: Callable[..., Home]) -> None:
    home = homes(Empty)
    ids = home.world.add(3)
    home.settle()
    assert [folder.key for folder in home.store.folders(NAME) if folder.remote_id] == ["inbox"]
    home.perform(Verb.TRASH, ids[:1])
    home.perform(Verb.ARCHIVE, ids[1:2])
    queued = home.queue(1)
    home.post()
    home.settle()
    assert home.state(queued).state is SendState.SEEN
    assert sorted(home.world.admin.names()) == ["Archive", "Drafts", "INBOX", "Sent", "Trash"]
    home.agree()


def test_bcc_is_in_the_envelope_and_in_our_copy_and_nowhere_else(home: Home) -> None:
    mime_to = "one@example.net\r\nBcc: hidden@example.net"
    home.queue(1, to=mime_to)
    home.post()
    (taken,) = home.world.sink.messages
    assert taken.recipients == ["one@example.net", "hidden@example.net"]
    assert b"hidden" not in taken.raw
    assert b"Bcc: hidden@example.net" in home.in_sent()[0]


def test_s08_one_refused_recipient_of_three_fails_the_whole_message_and_is_named(home: Home) -> None:
    home.world.sink.reject["RCPT"] = "550 5.1.1 No such user here"
    home.world.sink.reject_addresses = {"nobody@example.net"}
    queued = home.queue(1, to="one@example.net, nobody@example.net, two@example.net")
    home.post()
    failed = home.state(queued)
    assert failed.state is SendState.FAILED
    assert "nobody@example.net" in failed.error
    assert "No such user" in failed.error
    assert home.delivered() == []
    assert home.in_sent() == []


def test_s09_after_a_lost_final_answer_it_is_unknown_and_not_sent_again_by_itself(home: Home) -> None:
    home.world.post.cut("^DATA$", "after")
    queued = home.queue(1)
    home.post(until=(SendState.QUEUED, SendState.SENDING, SendState.HELD))
    for _ in range(8):
        home.clock.advance(200.0)
        home.step()
    assert home.state(queued).state is SendState.UNKNOWN
    assert "may have been sent" in home.state(queued).error
    assert home.delivered() == ["friend1@example.net"]
    assert len(home.in_drafts()) == 1
    home.reopen()
    for _ in range(3):
        home.clock.advance(1000.0)
        home.step()
    assert home.state(queued).state is SendState.UNKNOWN
    assert len(home.world.sink.messages) == 1


def test_s09_sent_answers_whether_it_went_and_the_draft_is_cleared_away(home: Home) -> None:
    home.world.post.cut("^DATA$", "after")
    queued = home.queue(1)
    home.post(until=(SendState.QUEUED, SendState.SENDING, SendState.HELD))
    home.world.admin.append("Sent", home.world.sink.messages[0].raw)  # the server files what it took
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert home.in_drafts() == []
    assert len(home.in_sent()) == len(home.world.sink.messages) == 1


def test_s09_the_user_may_decide_to_send_it_again(home: Home) -> None:
    home.world.post.cut(r"^\.$", "before")  # it never arrived whole, and nobody can know that
    queued = home.queue(1)
    home.post(until=(SendState.QUEUED, SendState.SENDING, SendState.HELD))
    assert home.state(queued).state is SendState.UNKNOWN
    home.store.resend(queued.id)
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert home.delivered() == ["friend1@example.net"]
    assert len(home.in_sent()) == 1


@pytest.mark.parametrize("command", ["^MAIL", "^RCPT", "^EHLO", "^AUTH", "^DATA"])
def test_s10_told_to_go_away_before_the_content_it_is_tried_again_and_delivered_once(home: Home, command: str) -> None:
    home.world.add(2)
    home.world.post.cut(command, "answer", told=b"421 4.3.0 Try again later\r\n")
    queued = home.queue(1)
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert home.delivered() == ["friend1@example.net"]
    assert len(home.in_sent()) == 1


@pytest.mark.parametrize("command", ["^MAIL", "^RCPT", "^EHLO", "^AUTH"])
@pytest.mark.parametrize("how", ["before", "after"])
def test_a_line_cut_before_the_content_delivers_once(home: Home, command: str, how: str) -> None:
    home.world.post.cut(command, how)
    queued = home.queue(1)
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert home.delivered() == ["friend1@example.net"]


def test_mail_is_read_while_the_sending_server_is_away(home: Home) -> None:
    home.world.post.refusing = True
    queued = home.queue(1)
    home.world.add(3)
    home.clock.advance(5)
    outcome = home.step()
    assert outcome.error is None
    assert len([one for one, state in home.here().items() if state.folders == {"inbox"}]) == 3
    assert home.state(queued).state is SendState.QUEUED
    home.world.post.refusing = False
    home.post()
    assert home.delivered() == ["friend1@example.net"]


def test_a_refused_message_fails_with_its_reason_and_stays_a_draft(home: Home) -> None:
    home.world.sink.reject["DATA"] = "554 5.7.1 This looks like spam"
    queued = home.queue(1)
    home.post()
    assert home.state(queued).state is SendState.FAILED
    assert "looks like spam" in home.state(queued).error
    home.world.sink.reject.clear()
    home.store.resend(queued.id)
    home.post()
    assert home.delivered() == ["friend1@example.net"]
    assert len(home.in_sent()) == 1
    assert home.in_drafts() == []


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("command", ["UID MOVE", "UID SEARCH.*HEADER Message-ID", r"UID STORE.*Submitted"])
def test_s11_trouble_with_the_copy_never_makes_it_unsent_and_leaves_one_copy(
    home: Home, command: str, how: str
) -> None:
    queued = home.queue(1)
    home.world.between.cut(f"^{command}", how)
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert home.delivered() == ["friend1@example.net"]
    assert len(home.in_sent()) == 1
    assert home.in_drafts() == []


def test_s11_a_refused_copy_is_filed_later(home: Home) -> None:
    queued = home.queue(1)
    home.world.between.cut("^UID MOVE", "answer", told=b"{tag} NO [OVERQUOTA] Full\r\n", times=2)
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert home.delivered() == ["friend1@example.net"]
    assert len(home.in_sent()) == 1


def test_a_server_that_files_the_copy_itself_is_not_given_a_second_one(homes: Callable[..., Home]) -> None:
    home = homes(sent_copy="server")
    queued = home.queue(1)
    home.post(until=(SendState.QUEUED, SendState.SENDING, SendState.HELD))
    assert home.in_sent() == []
    assert home.in_drafts() == []
    home.world.admin.append("Sent", home.world.sink.messages[0].raw)
    home.post()
    assert home.state(queued).state is SendState.SEEN
    assert len(home.in_sent()) == 1


def test_a_message_beyond_the_servers_size_is_refused_before_it_is_uploaded(home: Home) -> None:
    home.world.sink._controller.SMTP_kwargs["data_size_limit"] = 5_500_000
    queued = home.queue(1, size=6_000_000)
    home.post()
    assert home.state(queued).state is SendState.FAILED
    assert "too large" in home.state(queued).error
    assert not any(command.startswith("APPEND") for command in home.world.between.commands)


# Other clients


def test_m01_what_another_client_did_meanwhile_stands_beside_what_we_did(any_home: Home) -> None:
    home = any_home
    ids = home.world.add(6, unread=True)
    home.settle()
    home.world._pause()
    home.perform(Verb.READ, ids[:3])
    home.perform(Verb.TRASH, [ids[3]])
    home.step()
    home.world.move(ids[0], "archive")
    home.world.admin.store(*home.world.admin.find(home.world.key(ids[1])), "+FLAGS", r"\Flagged")
    home.world.mailbox.delete(home.world.key(ids[2]))
    home.world.move(ids[3], "spam")
    home.world._resume()
    home.settle()
    home.agree()
    there = home.there()
    assert ids[2] not in there
    assert there[ids[0]].folders == {"archive"}
    assert not there[ids[0]].unread
    assert there[ids[1]].starred
    assert not there[ids[1]].unread
    assert there[ids[3]].folders == {"trash"}


def test_m04_of_twenty_acts_offline_five_vanished_targets_are_told_and_fifteen_are_done(any_home: Home) -> None:
    home = any_home
    ids = home.world.add(20)
    home.settle()
    home.world._pause()
    home.step()
    home.perform(Verb.TRASH, ids[:10])
    home.perform(Verb.UNREAD, ids[10:])
    for one in ids[3:6] + ids[17:19]:
        home.world.mailbox.delete(home.world.key(one))
    home.world._resume()
    home.settle()
    home.agree()
    assert home.pending() == []
    assert len(home.rejected()) == 5
    there = home.there()
    assert len(there) == 15
    assert sum(state.folders == {"trash"} for state in there.values()) == 7
    assert sum(state.unread for state in there.values()) == 8


def test_m02_the_mail_replied_to_may_vanish(home: Home) -> None:
    ids = home.world.add(1)
    home.settle()
    queued = home.queue(1)
    home.world.mailbox.delete(home.world.key(ids[0]))
    home.post()
    assert home.state(queued).state is SendState.SEEN


def test_m03_a_draft_another_client_sent_or_removed_is_not_sent_by_us(home: Home) -> None:
    remote = home.world.connect()
    kept = remote.save_draft(letter(home.world.address, 1))
    (draft,) = [held for held in home.world.side.messages.values() if held.folder == "Drafts"]
    home.world.admin.expunge("Drafts", draft.uid)
    with pytest.raises(Rejected):
        remote.send_draft(kept.remote_draft)
    assert home.delivered() == []


def test_two_of_us_sending_the_same_draft_deliver_once(home: Home) -> None:
    first = home.world.connect()
    kept = first.save_draft(letter(home.world.address, 1))
    second = home.world.connect()
    first.send_draft(kept.remote_draft)
    with pytest.raises(Rejected):
        second.send_draft(kept.remote_draft)
    assert home.delivered() == ["friend1@example.net"]


def test_what_another_client_marked_as_deleted_is_never_expunged_by_us(any_home: Home) -> None:
    home = any_home
    ids = home.world.add(6)
    gone = home.world.add(2, folder="trash")
    home.settle()
    theirs = [home.world.admin.find(home.world.key(one)) for one in (ids[0], gone[0])]
    for name, uid in theirs:
        home.world.admin.store(name, uid, "+FLAGS", r"\Deleted")
    home.perform(Verb.TRASH, ids[1:4])
    home.perform(Verb.DELETE, [gone[1]])
    home.step()
    home.clock.advance(400.0)
    home.step()
    for name, uid in theirs:
        assert uid in {one["uid"] for one in home.world.admin.fetch(name, "BODY.PEEK[]")}
    assert not any(command.upper() in ("EXPUNGE", "CLOSE") for command in home.world.between.commands)
    assert ids[0] not in home.here()
    home.world.admin.store(*theirs[0], "-FLAGS", r"\Deleted")
    home.clock.advance(400.0)
    home.settle()
    assert ids[0] in home.here()


# The file that remembers where messages lie


@pytest.mark.parametrize("damage", ["gone", "noise at start", "noise while running", "a directory's rest"])
def test_losing_what_lies_where_costs_a_reading_and_no_download(home: Home, damage: str) -> None:
    ids = home.world.add(30)
    home.settle()
    home.perform(Verb.TRASH, ids[:2])
    path = home.directory / "imap.db"
    numbers = {one: home.store.find(NAME, one) for one in ids}
    if damage != "noise while running":
        home.close()
        path.with_name("imap.db-wal").unlink(missing_ok=True)
        path.with_name("imap.db-shm").unlink(missing_ok=True)
    if damage == "gone":
        path.unlink()
    elif damage == "a directory's rest":
        path.write_bytes(b"")
    else:
        path.write_bytes(b"\x00nonsense" * 20_000)
        if damage == "noise while running":
            path.with_name("imap.db-wal").write_bytes(b"\x00nonsense" * 2_000)
    if damage != "noise while running":
        home.open()
    home.world.between.commands.clear()
    home.settle()
    home.agree()
    assert {one: home.store.find(NAME, one) for one in ids} == numbers
    assert not any("BODY.PEEK[]" in command for command in home.world.between.commands)


# Lines that break


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("command", ["MOVE", "COPY", "STORE", "EXPUNGE"])
def test_a_server_that_dies_during_a_move_loses_and_doubles_nothing(any_home: Home, command: str, how: str) -> None:
    home = any_home
    ids = home.world.add(12)
    home.settle()
    home.perform(Verb.TRASH, ids[:6])
    home.world.between.cut(f"^UID {command}", how, times=2)
    home.settle()
    home.agree()
    there = home.there()
    assert len(there) == 12
    assert sum(state.folders == {"trash"} for state in there.values()) == 6
    home.store.undo()
    home.settle()
    home.agree()
    assert all(state.folders == {"inbox"} for state in home.there().values())


def test_a_move_of_ours_is_recognised_without_being_told_where_it_went(homes: Callable[..., Home]) -> None:
    home = homes(Bare)
    ids = home.world.add(4)
    home.settle()
    numbers = {one: home.store.find(NAME, one) for one in ids}
    for verb in (Verb.TRASH, Verb.RECOVER, Verb.ARCHIVE):
        home.perform(verb, ids)
        home.settle()
        home.agree()
    assert {one: home.store.find(NAME, one) for one in ids} == numbers


def test_a_copy_in_another_folder_is_a_message_of_its_own(any_home: Home) -> None:
    home = any_home
    (one,) = home.world.add(1)
    home.settle()
    home.world.admin.copy(home.world.key(one), "Archive")
    home.settle()
    folders = sorted(min(state.folders) for state in home.here().values())
    assert folders == ["archive", "inbox"]
    home.world.mailbox.delete(home.world.key(one))
    home.settle()
    assert len(home.here()) == 1


def test_a_message_that_goes_between_its_header_and_its_body_is_left_out(home: Home) -> None:
    ids = home.world.add(20)
    mirror = Mirror().pull(home.world.connect())
    home.world.mailbox.delete(home.world.key(ids[4]))
    bodies = {one.remote_id for one in home.world.connect().bodies(list(mirror.messages))}
    assert bodies == set(ids) - {ids[4]}


# Hearing at once


def test_new_mail_is_heard_of_at_once_and_a_broken_ear_is_mended(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crmmail.remotes.imap_idle.SHORTEST_PAUSE", 0.1)
    rung = threading.Event()
    bell = Bell("work", home.world.server, home.world.login(), rung.set)
    bell.start()
    for _round in range(2):
        until(bell.idling.is_set)
        rung.clear()
        home.world.deliver()
        assert rung.wait(10)
        home.world.between.drop()
        until(lambda: not bell.idling.is_set())
    until(bell.idling.is_set)
    bell.stop()
    bell.join(5)
    assert not bell.is_alive()


def test_an_idle_that_lasts_is_begun_again(home: Home) -> None:
    bell = Bell("work", home.world.server, home.world.login(), lambda: None, again=0.1)
    bell.start()
    until(lambda: home.world.between.commands.count("IDLE") >= 3)
    bell.stop()
    bell.join(5)
    assert not bell.is_alive()


def test_the_engine_shows_new_mail_long_before_its_next_question(home: Home) -> None:
    home.world.add(2)
    engine = Engine(home.store, lambda _mailbox: home.remote)
    engine.add(home.store.mailboxes()[0])
    try:
        until(lambda: len(home.here()) == 2 and home.remote._bell is not None and home.remote._bell.idling.is_set())
        new = home.world.deliver()
        until(lambda: new in home.here(), 10)
    finally:
        engine.stop()


# What it costs


def test_nothing_new_costs_one_round_trip_and_at_most_two_a_folder(any_home: Home) -> None:
    home = any_home
    for place in ("inbox", "archive", "sent", "trash"):
        home.world.add(5, folder=place)
    home.settle()
    home.clock.advance(30.0)
    with home.world.between.counted() as commands:
        home.step()
    folders = len(home.world.admin.names())
    most = {ImapWorld: 1, WithoutResync: folders + 1, Bare: 2 * folders + 1}[type(home.world)]
    assert len(commands) <= most, commands


def test_a_break_every_ten_commands_costs_logins_and_no_message_twice(home: Home) -> None:
    home.world.add(100)
    home.world.box.faults.add("reset_before", every=12)
    home.settle(300)
    home.agree()
    bodies = [command for command in home.world.between.commands if "BODY.PEEK[]" in command]
    assert len(bodies) <= 25  # ten when nothing breaks


def test_a_large_message_comes_in_pieces_and_whole(home: Home) -> None:
    big = b"Message-ID: <big@example.org>\r\nSubject: big\r\n\r\n" + b"0123456789abcdef" * 200_000 + b"\r\n"
    home.world.admin.append("INBOX", big)
    home.settle()
    home.agree()
    assert any("BODY.PEEK[]<1048576.1048576>" in command for command in home.world.between.commands)


# Servers that lie


def liar(fetched: bytes, heard: list[bytes]) -> Scripted:
    """A server with three messages in its inbox that answers every FETCH with `fetched`."""
    answers = {
        b"UID FETCH": fetched,
        b"UID SEARCH": b"* SEARCH 1 2 3\r\n{tag} OK done\r\n",
        b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n",
        b" LOGIN ": b"{tag} OK done\r\n",
        b"STATUS": b'* STATUS "INBOX" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1 UNSEEN 0)\r\n{tag} OK done\r\n',
        b"LIST": b'* LIST () "/" "INBOX"\r\n{tag} OK done\r\n',
        b"SELECT": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 4] x\r\n{tag} OK done\r\n",
    }
    return Scripted(answering(b"* OK hi\r\n", answers, heard))


LIES = {
    "a literal longer than it is": b"* 1 FETCH (UID 1 FLAGS () BODY[] {900000}\r\nshort)\r\n{tag} OK done\r\n",
    "a literal of a gigabyte": b"* 1 FETCH (UID 1 BODY[] {1000000000}\r\n",
    "a negative literal": b"* 1 FETCH (UID 1 BODY[] {-5}\r\nxx)\r\n{tag} OK done\r\n",
    "more than was asked for": b"* 1 FETCH (UID 1 FLAGS ())\r\n" * 3_000_000,
    "no end of a list": b"* 1 FETCH (UID 1 FLAGS (\\Seen\r\n{tag} OK done\r\n",
    "html": b"<html>Sign in to the hotel</html>\r\n",
    "nothing for many": b"{tag} OK done\r\n",
    "other messages": b'* 7 FETCH (UID 7777 FLAGS () INTERNALDATE "x")\r\n{tag} OK done\r\n',
    "uids beyond reason": b"* 1 FETCH (UID 99999999999999999999 FLAGS ())\r\n{tag} OK done\r\n",
    "a tag of another": b"zz99 OK done\r\n",
    "goodbye": b"* BYE no more\r\n",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_is_a_sentence_and_costs_nothing_that_is_here(
    home: Home, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = home.world.add(3)
    home.settle()
    home.perform(Verb.READ, ids)
    before = home.here()
    heard: list[bytes] = []
    home.world.password = "ascii"  # this server has no other way than LOGIN
    with liar(LIES[lie], heard) as server, monkeypatch.context() as hasty:
        for module in ("dial", "imap_connection"):
            hasty.setattr(f"crmmail.remotes.{module}.ANSWER_SECONDS", 0.3)  # some lies end in silence
        home.remote._line._server = Server("imap", "127.0.0.1", server.port, "tls", server.ca_file)
        home.remote._line.drop()
        for _ in range(3):
            outcome = home.step()
            assert outcome.error is None or outcome.sentence
            home.clock.advance(max(outcome.wait, 1.0))
    assert any(b"UID FETCH" in command for command in heard)
    home.world.password = PASSWORD
    home.remote._line._server = home.world.server
    home.remote._line.drop()
    home.settle()
    assert home.here().keys() == before.keys()
    home.agree()


FOLDERS = {
    "controls": (b'"bad\x07name"', None),
    "bad utf-7": (b'"&AAA"', "\ufffd"),
    "worse utf-7": (b'"&zzzz-&&-"', "&zzzz-&&-"),
    "a literal with a line break": (b"{7}\r\nab\r\ncde", None),
    "eight bits": (b'"caf\xe9"', None),
    "quotes": (b'"a\\"b"', 'a"b'),
    "a number": (b"2024", "2024"),
    "markup": (b'"[red]x"', "[red]x"),
    "escape": (b'"&ABs-[31m"', "\ufffd[31m"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_odd_folder_names_are_shown_harmless_or_left_out(name: str) -> None:
    from crmmail.remotes import imap_text

    raw, shown = FOLDERS[name]
    if raw.startswith(b"{"):
        data = [(b'() "/" {7}', b"ab\r\ncde"), b""]
    else:
        data = [b'() "/" ' + raw]
    found = [imap_text.shown(one.name, one.delimiter) for one in imap_text.listed(data)]
    assert found == ([] if shown is None else [shown])


def test_a_password_that_ends_asks_for_another_and_keeps_the_queue(home: Home) -> None:
    ids = home.world.add(3)
    home.settle()
    home.world._revoke()
    home.perform(Verb.TRASH, ids)
    outcome = home.step()
    if isinstance(outcome.error, Offline):  # the line broke first
        home.clock.advance(outcome.wait)
        outcome = home.step()
    assert isinstance(outcome.error, AuthRequired)
    assert outcome.phase is Phase.SIGN_IN
    assert len(home.pending()) == 3
    logins = sum("AUTHENTICATE" in command for command in home.world.between.commands)
    home.step()
    assert sum("AUTHENTICATE" in command for command in home.world.between.commands) == logins
    home.world.password = PASSWORD
    home.sync.resume()
    home.settle()
    home.agree()

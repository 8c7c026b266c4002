"""Nothing typed is ever lost, and nothing altered is ever taken for what was typed."""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmmail.errors import DraftError, StoreError
from crmmail.model import Address, Change, Draft, Identity, Incoming, SendState
from crmmail.ops import Verb
from crmmail.store import Store, blobs, schema
from tests.store.test_files import limit_pages
from tests.store.told import GMAIL, Clock, filled, page, rows, state

KILLS = int(os.environ.get("CRMMAIL_DRAFT_KILLS", "100"))
FULL = Draft(
    0,
    "work",
    "ana@acme.example",
    to=(Address("Rui Sá", "rui@acme.example"), Address("isto não é", "")),
    cc=(Address("", "x@y.example"),),
    bcc=(Address("Cega", "c@y.example"),),
    subject="Proposta – 報告 🙂",
    text="Olá,\n\n> citação\nmeio surrogate \ud83d aqui\n" * 20,
    cursor=17,
    markdown=True,
    kind="reply",
    parent=42,
    in_reply_to="<1@acme.example>",
    references=("<0@acme.example>", "<1@acme.example>"),
    remote_thread="t1",
    account="7",
)


def written(draft: Draft) -> Draft:
    """What the user wrote, without counters."""
    return replace(draft, id=0, revision=0, saved_ms=0)


def test_a_draft_comes_back_whole_after_a_restart(store: Store, directory: Path, clock: Clock) -> None:
    saved = store.new_draft(FULL)
    assert written(saved) == FULL
    more = store.save_draft(replace(saved, text="outro", cursor=3))
    assert (more.id, more.revision) == (saved.id, saved.revision + 1)
    store.close()
    with Store.open(directory, clock=clock) as again:
        assert again.draft(saved.id) == more
        assert again.drafts("work") == again.drafts() == [more]
        assert again.drafts("home") == []


def test_a_draft_of_no_mailbox_is_listed_among_all(store: Store) -> None:
    saved = store.new_draft(Draft(0, text="ainda sem caixa"))
    assert store.drafts() == [saved]
    assert store.drafts("work") == []


def test_several_drafts_stand_side_by_side_the_latest_first(store: Store, clock: Clock) -> None:
    saved = []
    for number in range(5):
        clock.now += 1
        saved.append(store.new_draft(replace(FULL, subject=f"{number}")))
    assert store.drafts("work") == saved[::-1]


def test_every_save_tells_that_the_list_of_drafts_differs(store: Store, heard: Callable[[], Change]) -> None:
    saved = store.new_draft(FULL)
    assert ("work", "drafts") in heard().folders
    store.save_draft(saved)
    assert ("work", "drafts") in heard().folders
    store.discard_draft(saved.id)
    assert ("work", "drafts") in heard().folders
    store.undo()
    assert ("work", "drafts") in heard().folders


def _bare(path: Path) -> float:
    """Milliseconds the disk takes for nothing but writing a page for good, just now."""
    taken = []
    for _turn in range(30):
        began = time.perf_counter()
        with path.open("ab", buffering=0) as file:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def test_saving_is_quick_enough_for_every_second(store: Store, tmp_path: Path) -> None:
    draft = store.new_draft(FULL)
    taken = []
    bare = _bare(tmp_path / "bare")
    for _turn in range(60):
        began = time.perf_counter()
        draft = store.save_draft(draft)
        taken.append((time.perf_counter() - began) * 1000)
    print(f"saving a draft: median {statistics.median(taken):.1f} ms, the disk alone {bare:.1f} ms")
    assert statistics.median(taken) < 8 + bare
    assert rows(store, "PRAGMA main.journal_mode") == [("wal",)]
    assert store._connections.writer is not None
    assert store._connections.writer.execute("PRAGMA main.synchronous").fetchone() == (2,)


# acts


def test_discarding_is_undone_and_redone_like_any_other_act(store: Store, tmp_path: Path) -> None:
    ids = filled(store, 2)
    draft = store.enclose(store.new_draft(FULL).id, "a.txt", "text/plain", b"conteudo")
    store.perform(Verb.TRASH, ids[:1])
    act = store.discard_draft(draft.id)
    assert act is not None and (act.kind, act.count, act.subject) == ("discard", 1, FULL.subject)
    assert store.draft_of(act.id) == draft.id
    assert (store.draft(draft.id), store.drafts()) == (None, [])
    assert store.discard_draft(draft.id) is None
    undone = store.undo()
    assert undone is not None and undone.id == act.id
    assert store.draft(draft.id) == draft
    assert store.enclosure(draft.enclosures[0].digest) == b"conteudo"
    assert store.redo() is not None and store.drafts() == []
    assert store.undo() is not None and store.drafts() == [draft]
    trashed = store.undo()
    assert trashed is not None and trashed.kind == "trash"


def test_clearing_the_fields_is_undone_and_redone(store: Store) -> None:
    draft = store.new_draft(FULL)
    assert store.clear_draft(draft.id) is not None
    empty = store.draft(draft.id)
    assert empty is not None
    assert written(empty) == Draft(0, "work", FULL.sender, markdown=True, account="7")
    store.undo()
    back = store.draft(draft.id)
    assert back is not None and written(back) == FULL
    store.redo()
    again = store.draft(draft.id)
    assert again is not None and written(again) == written(empty)


def test_what_was_typed_after_clearing_is_not_lost_by_undo(store: Store) -> None:
    draft = store.new_draft(FULL)
    store.clear_draft(draft.id)
    store.save_draft(replace(draft, text="novo"))
    store.undo()
    store.redo()
    back = store.draft(draft.id)
    assert back is not None and back.text == "novo"


def test_a_save_that_comes_after_the_discard_is_brought_back_by_undo(store: Store) -> None:
    draft = store.new_draft(FULL)
    store.discard_draft(draft.id)
    late = store.save_draft(replace(draft, text="a última letra"))
    assert store.drafts() == []
    store.undo()
    assert store.draft(draft.id) == late


def test_a_save_that_comes_after_queueing_is_a_draft_of_its_own(store: Store) -> None:
    draft = store.new_draft(FULL)
    queued = store.queue(draft, b"mime", "<1@x>", "token-1", 0)
    assert store.save_draft(draft).id == draft.id  # the same again: nothing new was typed
    assert store.drafts() == []
    later = store.save_draft(replace(draft, text="mais"))
    assert later.id != draft.id
    assert store.drafts() == [later]
    assert store.mime(queued.id) == b"mime"


# files


def test_files_are_kept_once_by_their_digest_and_found_again(store: Store, directory: Path, tmp_path: Path) -> None:
    first, second = store.new_draft(FULL), store.new_draft(FULL)
    picture = random.Random(1).randbytes(3_000_000)
    (tmp_path / "relatório.txt").write_bytes(b"linha\n" * 100_000)
    store.enclose(first.id, "foto.png", "image/png", picture)
    draft = store.enclose(first.id, "relatório.txt", "text/plain", tmp_path / "relatório.txt")
    other = store.enclose(second.id, "mesma.png", "image/png", picture)
    assert [(one.name, one.size) for one in draft.enclosures] == [("foto.png", 3_000_000), ("relatório.txt", 600_000)]
    assert draft.enclosures[0].digest == other.enclosures[0].digest
    assert rows(store, "SELECT count(*), sum(length(content)) < 3100000 FROM blob") == [(2, 1)]
    (tmp_path / "relatório.txt").unlink()
    assert store.enclosure(draft.enclosures[0].digest) == picture
    assert store.enclosure(draft.enclosures[1].digest) == b"linha\n" * 100_000


def test_typing_while_a_file_is_attached_does_not_detach_it(store: Store) -> None:
    draft = store.new_draft(FULL)
    store.enclose(draft.id, "a.txt", "text/plain", b"a")
    typed = store.save_draft(replace(draft, text="digitado enquanto isso"))
    assert [one.name for one in typed.enclosures] == ["a.txt"]
    removed = store.save_draft(replace(typed, enclosures=()))
    assert removed.enclosures == ()


def test_a_file_that_cannot_be_read_whole_is_a_sentence_and_the_draft_intact(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = store.new_draft(FULL)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "sumiu.pdf", tmp_path, tmp_path / "pipe", Path("/proc/self/mem"), Path("a\0b")):
        with pytest.raises(DraftError) as told:
            store.enclose(draft.id, "x", "text/plain", path)
        assert str(told.value)
    monkeypatch.setattr(blobs, "LARGEST", 10)
    (tmp_path / "grande").write_bytes(b"x" * 11)
    with pytest.raises(DraftError, match="larger"):
        store.enclose(draft.id, "x", "text/plain", tmp_path / "grande")
    assert store.draft(draft.id) == draft


def test_a_file_that_grows_while_it_is_read_is_a_sentence(store: Store, tmp_path: Path) -> None:
    draft = store.new_draft(FULL)
    path = tmp_path / "log"
    path.write_bytes(b"x" * 20_000_000)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"y" * 1000)
                time.sleep(0.0002)  # the file is to change at any moment of the reading

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(DraftError, match="changing"):
            store.enclose(draft.id, "log", "text/plain", path)
    finally:
        stop.set()
        writer.join()
    assert store.draft(draft.id) == draft


def test_files_nobody_needs_any_more_go_and_those_an_undo_needs_stay(
    store: Store, directory: Path, clock: Clock
) -> None:
    kept = store.enclose(store.new_draft(FULL).id, "a", "text/plain", b"kept")
    discarded = store.enclose(store.new_draft(FULL).id, "b", "text/plain", b"discarded")
    cleared = store.enclose(store.new_draft(FULL).id, "c", "text/plain", b"cleared")
    removed = store.enclose(store.new_draft(FULL).id, "d", "text/plain", b"removed")
    queued = store.enclose(store.new_draft(FULL).id, "e", "text/plain", b"queued")
    store.queue(queued, b"mime", "<1@x>", "token-1", 0)
    store.save_draft(replace(removed, enclosures=()))
    store.discard_draft(discarded.id)
    store.clear_draft(cleared.id)
    store.close()
    with Store.open(directory, clock=clock) as again:
        for draft in (kept, discarded, cleared, queued):
            assert again.enclosure(draft.enclosures[0].digest)
        with pytest.raises(StoreError):
            again.enclosure(removed.enclosures[0].digest)
    clock.now += 40 * 86_400
    with Store.open(directory, clock=clock) as again:
        assert again.enclosure(kept.enclosures[0].digest) == b"kept"
        assert again.enclosure(queued.enclosures[0].digest) == b"queued"
        for draft in (discarded, cleared):
            with pytest.raises(StoreError):
                again.enclosure(draft.enclosures[0].digest)
        assert again.undo() is None


# damage


@pytest.fixture
def desk(store: Store, directory: Path) -> Iterator[Callable[..., None]]:
    """Close the store and alter its desk behind its back."""

    def alter(*statements: str) -> None:
        store.close()
        connection = sqlite3.connect(directory / "desk.db")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    yield alter


def test_an_altered_draft_is_set_aside_and_its_text_kept_for_nobody(
    store: Store, directory: Path, desk: Callable[..., None]
) -> None:
    sound = store.new_draft(replace(FULL, subject="intacto"))
    altered = store.enclose(store.new_draft(FULL).id, "a", "text/plain", b"a")
    desk(f"UPDATE draft SET content = replace(content, 'rui@acme', 'eve@acme') WHERE id = {altered.id}")
    with Store.open(directory) as again:
        assert again.notices
        assert again.draft(sound.id) == sound
        assert again.draft(altered.id) is None
        (rescued,) = [one for one in again.drafts() if one.id != sound.id]
        assert (rescued.to, rescued.cc, rescued.bcc, rescued.sender) == ((), (), (), "")
        assert (rescued.subject, rescued.text, rescued.enclosures) == (FULL.subject, FULL.text, altered.enclosures)
        assert rows(again, "SELECT source FROM quarantine") == [("draft",)]


def test_an_altered_file_is_told_and_the_mirror_is_left_alone(
    store: Store, directory: Path, desk: Callable[..., None]
) -> None:
    ids = filled(store, 3)
    draft = store.enclose(store.new_draft(FULL).id, "a", "text/plain", b"texto " * 1000)
    desk("UPDATE blob SET content = substr(content, 1, 20) || x'00' || substr(content, 22)")
    with Store.open(directory) as again:
        again.register(GMAIL)
        with pytest.raises(StoreError, match="disk"):
            again.enclosure(draft.enclosures[0].digest)
        assert len(again.drafts()) == 1
        assert list(again.states(ids)) == ids


def test_a_damaged_desk_gives_back_drafts_and_never_sends_by_itself(store: Store, directory: Path) -> None:
    saved = [store.new_draft(replace(FULL, subject=f"{number}")) for number in range(30)]
    queued = store.queue(store.new_draft(FULL), b"mime", "<1@x>", "token-1", 0)
    store.set_identities("work", [Identity("work", Address("Ana", "ana@acme.example"))])
    store.close()
    content = bytearray((directory / "desk.db").read_bytes())
    content[:4096] = b"\xff" * 4096
    (directory / "desk.db").write_bytes(content)
    for path in directory.glob("desk.db-*"):
        path.unlink()
    with Store.open(directory) as again:
        assert again.notices
        assert {one.id for one in again.drafts()} == {one.id for one in saved}
        assert again.drafts()[0].text == FULL.text
        assert again.outgoing() == [replace(queued, state=SendState.UNKNOWN)]
        assert again.claim_outgoing("work", 4e9) is None


def test_a_desk_of_the_first_version_is_led_up(tmp_path: Path) -> None:
    Store.open(tmp_path / "profile").close()
    connection = sqlite3.connect(tmp_path / "profile" / "desk.db")
    for table in ("draft", "draft_turn", "blob", "outgoing", "identity", "forgotten", "record", "edit", "crm_op"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("INSERT INTO quarantine(source, content) VALUES ('x', 'kept')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with Store.open(tmp_path / "profile") as store:
        assert store.new_draft(FULL).id == 1
        assert rows(store, "SELECT content FROM quarantine") == [("kept",)]
        assert rows(store, "PRAGMA main.user_version") == [(schema.DESK_VERSION,)]


def test_a_full_disk_refuses_a_save_with_a_sentence_and_keeps_what_was_saved(store: Store) -> None:
    draft = store.new_draft(FULL)
    limit_pages(store, "main", 2)
    with pytest.raises(StoreError, match="full"):
        store.enclose(draft.id, "a", "image/png", random.Random(1).randbytes(400_000))
    with pytest.raises(StoreError, match="full"):
        store.queue(draft, random.Random(2).randbytes(400_000), "<1@x>", "token-1", 0)
    assert store.drafts() == [draft]
    assert store.outgoing() == []
    limit_pages(store, "main", 1000)
    assert store.enclose(draft.id, "a", "text/plain", b"a").enclosures


# kill -9


def killed(directory: Path, seed: int, after: float) -> list[list[str]]:
    """Run the writer, kill it `after` seconds; what it had told by then."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", str(directory), str(seed)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    time.sleep(after)  # the moment is what is random here
    writer.kill()
    told = [line.split() for line in writer.stdout.read().splitlines()]
    writer.wait()
    writer.stdout.close()
    return told


def test_no_draft_is_lost_by_a_kill_while_typing_attaching_discarding_or_queueing(directory: Path) -> None:
    seed = int(os.environ.get("CRMMAIL_KILL_SEED", str(random.randrange(1 << 30))))
    print(f"CRMMAIL_KILL_SEED={seed}")
    random_ = random.Random(seed)
    promised = 0
    for _turn in range(KILLS):
        told = killed(directory, random_.randrange(1 << 30), random_.random() * 0.2)
        with Store.open(directory) as store:
            assert not store.notices
            assert rows(store, "PRAGMA main.quick_check") == [("ok",)]
            promised += _kept(store, told)
    print(f"{promised} promises kept over {KILLS} kills")
    assert promised > KILLS


def _kept(store: Store, told: list[list[str]]) -> int:
    """Whatever was told is so, or is one step further: the deed that was on the disk before it could be told."""
    drafts = {words[1]: words for words in told if words[:1] == ["draft"] and len(words) == 4}
    queued = {words[2]: words[1] for words in told if words[:1] == ["queued"] and len(words) == 3}
    claimed = {words[1] for words in told if words[:1] == ["claimed"] and len(words) == 3}
    here = {str(row[0]): row for row in rows(store, "SELECT id, revision, state, content FROM draft")}
    further = 0
    for number, words in drafts.items():
        revision, state_told = int(words[2]), words[3]
        assert int(str(here[number][1])) >= revision
        expected = "queued" if number in queued else state_told
        further += here[number][2] != expected
        if here[number][2] == "open":
            draft = store.draft(int(number))
            assert draft is not None
            assert all(len(store.enclosure(one.digest)) == one.size for one in draft.enclosures)
    assert further <= 1
    outgoing = {str(one.id): one for one in store.outgoing()}
    for number in queued.values():
        assert store.mime(int(number))
    assert all(outgoing[number].attempts >= 1 for number in claimed)
    return len(drafts) + len(queued)


# the server's drafts

RAW = (
    b"From: Ana <ana@acme.example>\r\nTo: Rui <rui@acme.example>\r\nBcc: c@y.example\r\nSubject: Contrato\r\n"
    b"In-Reply-To: <9@acme.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nsegue\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n"
    b"Content-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF-\r\n--b--\r\n"
)


def told_draft(store: Store, raw: bytes, name: str = "d1") -> int:
    store.ingest("work", page(Incoming(name, state("drafts"), 1_700_000_000_000, raw=raw)))
    found = store.find("work", name)
    assert found is not None
    return found


def test_a_draft_begun_elsewhere_is_continued_here_and_listed_once(store: Store) -> None:
    message = told_draft(store, RAW)
    assert store.drafted("work") == {}
    draft = store.adopt_draft(message)
    assert (draft.subject, draft.text.strip(), draft.in_reply_to) == ("Contrato", "segue", "<9@acme.example>")
    assert [one.email for one in (*draft.to, *draft.bcc)] == ["rui@acme.example", "c@y.example"]
    assert draft.sender == "ana@acme.example"
    assert store.enclosure(draft.enclosures[0].digest).startswith(b"%PDF-")
    assert store.drafted("work") == {message: draft.id}
    typed = store.save_draft(replace(draft, text="segue assinado"))
    assert store.adopt_draft(message) == typed
    assert [one.draft.id for one in store.drafts_to_push("work")] == [draft.id]
    store.note_draft(draft.id, typed.revision, remote_draft="r1", remote_message="d1")
    assert store.drafts_to_push("work") == []


def test_a_change_on_the_server_is_taken_over_when_nothing_was_typed_here(store: Store) -> None:
    draft = store.adopt_draft(told_draft(store, RAW))
    again = store.adopt_draft(told_draft(store, RAW.replace(b"segue", b"mudou")))
    assert (again.id, again.text.strip()) == (draft.id, "mudou")
    assert len(store.drafts()) == 1


def test_changed_on_both_sides_both_are_kept_and_ours_says_so_until_it_is_opened(store: Store) -> None:
    draft = store.adopt_draft(told_draft(store, RAW))
    ours = store.save_draft(replace(draft, text="nosso"))
    assert store.drafts_parted() == frozenset()
    changes: list[Change] = []
    store.subscribe(changes.append)
    theirs = store.adopt_draft(told_draft(store, RAW.replace(b"segue", b"deles")))
    assert store.drafts_parted() == {ours.id}
    assert any(ours.id in change.parted for change in changes)
    assert not store.draft_opened(theirs)
    assert store.draft_opened(ours)
    assert not store.draft_opened(ours)
    assert store.drafts_parted() == frozenset()
    assert theirs.id != ours.id
    assert {one.text.strip() for one in store.drafts()} == {"nosso", "deles"}
    assert [(one.draft.id, one.remote_message) for one in store.drafts_to_push("work")] == [(ours.id, "")]


def test_a_discarded_draft_is_still_to_be_removed_from_the_server(store: Store) -> None:
    draft = store.adopt_draft(told_draft(store, RAW))
    store.discard_draft(draft.id)
    (standing,) = store.drafts_to_push("work")
    assert (standing.discarded, standing.remote_message) == (True, "d1")
    store.note_draft(draft.id, 0)
    assert store.drafts_to_push("work") == []
    store.undo()
    assert [one.remote_message for one in store.drafts_to_push("work")] == [""]


def test_identities_are_the_mailbox_itself_until_the_server_tells_them(store: Store) -> None:
    assert [one.address.email for one in store.identities()] == ["ana@acme.example", "ana@casa.example"]
    told = [
        Identity("work", Address("Vendas", "vendas@acme.example"), verified=False),
        Identity("work", Address("Ana", "ana@acme.example"), default=True, signature="Ana"),
    ]
    store.set_identities("work", told)
    assert store.identities("work") == told[::-1]
    assert len(store.identities()) == 3

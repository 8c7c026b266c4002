"""The two files: who may read them, who may write them, and what becomes of damaged ones."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail import ops
from crmmail.errors import CrmMailError, ProfileBusy, StoreError
from crmmail.model import Ack, Delta, OpState, Page
from crmmail.ops import Verb
from crmmail.store import Store, connections, schema
from tests.store.told import GMAIL, INBOX, OUTLOOK, TRASH, Clock, check, filled, mail, page, rows, shown

FLIPPED_FILES = int(os.environ.get("CRMMAIL_FLIPPED_FILES", "40"))


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that other users can enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="crmmail-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_only_the_user_can_enter_or_read_whatever_the_umask(directory: Path, loose_umask: None) -> None:
    with Store.open(directory) as store:
        store.register(GMAIL)
        store.perform(Verb.TRASH, filled(store, 3))
        found = modes(directory)
        assert {"desk.db", "cache.db", "desk.db-wal", "cache.db-wal", "lock"} <= set(found)
        assert set(found.values()) == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_modes_opened_wide_by_others_are_closed_again(directory: Path) -> None:
    Store.open(directory).close()
    directory.chmod(0o755)
    (directory / "desk.db").chmod(0o644)
    with Store.open(directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert set(modes(directory).values()) == {0o600}


def test_a_second_instance_is_told_so_and_can_still_read_and_see_updates(store: Store, directory: Path) -> None:
    ids = filled(store, 3)
    with pytest.raises(ProfileBusy):
        Store.open(directory)
    code = f"""
import sys
import tempfile
from pathlib import Path
from crmmail.errors import ProfileBusy, StoreError
from crmmail.model import Query
from crmmail.ops import Verb
from crmmail.store import Store
inbox = Query("work", "inbox")
try:
    Store.open(Path({str(directory)!r}))
except ProfileBusy as busy:
    print("busy:", busy, flush=True)
store = Store.open(Path({str(directory)!r}), readonly=True)
print(store.count(inbox), flush=True)
sys.stdin.readline()
print(store.count(inbox), len(store.window(inbox, 0, 9)), flush=True)
try:
    store.perform(Verb.TRASH, store.ids(inbox))
except StoreError as error:
    print("refused:", error, flush=True)
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None and other.stdout is not None
    assert other.stdout.readline().startswith("busy: Another crmmail is using this profile.")
    assert other.stdout.readline() == "3\n"
    store.perform(Verb.TRASH, ids[:1])
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "2 2\n"
    assert other.stdout.readline().startswith("refused: This profile is open for reading only.")
    assert other.wait(20) == 0
    other.stdin.close()
    other.stdout.close()


def test_a_profile_is_free_again_when_its_store_is_closed(directory: Path) -> None:
    Store.open(directory).close()
    Store.open(directory).close()


def test_reading_works_with_no_other_instance_and_before_there_is_anything_it_says_so(directory: Path) -> None:
    with pytest.raises(StoreError, match="no local copy"):
        Store.open(directory, readonly=True)
    assert not directory.exists()
    with Store.open(directory) as store:
        store.register(GMAIL)
        filled(store, 2)
    with Store.open(directory, readonly=True) as store:
        assert store.count(INBOX) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be refused")
def test_a_directory_of_another_user_is_one_sentence(reachable: Path) -> None:
    directory = reachable / "profile"
    Store.open(directory).close()
    directory.chmod(0o755)
    code = f"""
import os
from pathlib import Path
from crmmail.errors import StoreError
from crmmail.store import Store
os.setuid(65534)
try:
    Store.open(Path({str(directory)!r}))
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("The local copy cannot be opened or written")


def test_importing_the_store_imports_neither_migrations_nor_network() -> None:
    code = "import sys, crmmail.store; print({'sqlite_utils', 'httpx', 'textual', 'msal'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"


# the cache can be lost at any moment


def test_a_lost_cache_loses_nothing_the_user_did(store: Store, directory: Path) -> None:
    ids = filled(store, 4)
    store.perform(Verb.TRASH, ids[:2])
    before = shown(store)
    store.close()
    for path in directory.glob("cache.db*"):
        path.unlink()
    with Store.open(directory) as again:
        again.register(GMAIL)
        assert filled(again, 4) == ids[2:]
        assert shown(again) == before
        assert again.undo() is not None
        assert again.ids(INBOX) == ids
        check(again)


DAMAGES = {
    "zero": lambda path: path.write_bytes(b""),
    "not a database": lambda path: path.write_bytes(b"hello " * 5000),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "truncated to a header": lambda path: os.truncate(path, 100),
    "header gone": lambda path: path.write_bytes(b"\0" * 512 + path.read_bytes()[512:]),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_cache_is_put_aside_rebuilt_empty_and_told(store: Store, directory: Path, how: str) -> None:
    ids = filled(store, 200)
    store.perform(Verb.TRASH, ids[:2])
    store.close()
    DAMAGES[how](directory / "cache.db")
    for path in directory.glob("cache.db-*"):
        path.unlink()
    with Store.open(directory) as again:
        again.register(GMAIL)
        list(again.window(INBOX, 0, 60))
        again.ingest("work", page(*(mail(number) for number in range(200)), complete=True))
        assert again.ids(INBOX) == ids[2:]
        check(again)
        if how != "zero":
            assert again.notices
            assert list(directory.glob("cache.db.damaged-*"))
        assert len(again.acts(9)) == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_desk_is_salvaged_or_put_aside_and_told(store: Store, directory: Path, how: str) -> None:
    ids = filled(store, 3)
    for _turn in range(200):  # enough that half of the file is more than the tables' first pages
        store.perform(Verb.FAVORITE, ids)
        store.perform(Verb.UNFAVORITE, ids)
    store.close()
    size = (directory / "desk.db").stat().st_size
    assert size > 50_000
    DAMAGES[how](directory / "desk.db")
    for path in directory.glob("desk.db-*"):
        path.unlink()
    with Store.open(directory) as again:
        if how != "zero":
            assert again.notices
            assert list(directory.glob("desk.db.damaged-*"))
        if how in {"truncated", "header gone"}:
            assert len(rows(again, "SELECT id FROM op")) > 20
        check(again)
        again.perform(Verb.TRASH, ids)
        assert again.ids(TRASH) == ids
        check(again)


def flipped(content: bytes, random_: random.Random) -> bytes:
    changed = bytearray(content)
    for _bit in range(random_.randint(1, 64)):
        place = random_.randrange(len(changed))
        changed[place] ^= 1 << random_.randrange(8)
    return bytes(changed)


def use(store: Store) -> None:
    """Everything the interface would do at once."""
    store.window(INBOX, 0, 60)
    for folder in store.folders("work"):
        store.count(INBOX)
        assert folder.key
    for number in store.ids(INBOX)[:20]:
        store.message(number)
        store.raw(number)
    store.outbox()
    store.acts(10)
    store.perform(Verb.UNREAD, store.ids(INBOX)[:3])
    store.ingest("work", Page("c2", upserts=(mail(900),)))
    store.undo()


@pytest.mark.parametrize("name", ["cache.db", "desk.db"])
def test_flipped_bits_end_in_words_or_in_a_repair_never_in_a_traceback(
    store: Store, directory: Path, tmp_path: Path, name: str
) -> None:
    raw = b"From: Rui <rui@acme.example>\r\nSubject: Contrato\r\n\r\n" + b"segue o contrato\r\n" * 30
    ids = []
    store.ingest("work", page(*(mail(number, raw=raw) for number in range(60)), complete=True))
    ids = store.ids(INBOX)
    for number in ids[:20]:
        store.perform(Verb.TRASH, [number])
    store.close()
    asked = set(_ops(directory))
    content = (directory / name).read_bytes()
    random_ = random.Random(11)
    repaired = 0
    for number in range(FLIPPED_FILES):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(directory, copy)
        (copy / name).write_bytes(flipped(content, random_))
        try:
            with Store.open(copy) as again:
                again.register(GMAIL)
                for _attempt in range(2):
                    try:
                        use(again)
                    except CrmMailError:
                        repaired += 1
                for wish in again.claim("work", 1000):  # whatever is sent was asked for exactly so
                    assert wish.remote_id.startswith("m")
                repaired += bool(again.notices)
                sent = {(op.act, op.remote_id, op.kind, op.delta) for op in again.outbox()}
                assert {op for op in sent if op[0] <= 20} <= asked
        except CrmMailError:
            repaired += 1
        shutil.rmtree(copy)
    assert repaired > 0


def _ops(directory: Path) -> list[tuple[int, str, str, Delta]]:
    connection = sqlite3.connect(directory / "desk.db")
    try:
        found = connection.execute("SELECT act, remote_id, kind, delta FROM op").fetchall()
        return [(act, remote_id, kind, ops.load_delta(delta)) for act, remote_id, kind, delta in found]
    finally:
        connection.close()


def test_an_altered_op_goes_to_quarantine_and_is_never_sent(store: Store, directory: Path) -> None:
    store.perform(Verb.TRASH, filled(store, 3))
    store.close()
    connection = sqlite3.connect(directory / "desk.db")
    connection.execute("UPDATE op SET remote_id = 'm2' WHERE remote_id = 'm1'")
    connection.execute("""UPDATE op SET delta = '{"gone":true}' WHERE remote_id = 'm0'""")
    connection.commit()
    connection.close()
    with Store.open(directory) as again:
        wishes = again.claim("work", 10)
        assert [wish.remote_id for wish in wishes] == ["m2"]
        assert not any(wish.delta.gone for wish in wishes)
        assert len(rows(again, "SELECT id FROM quarantine")) == 2
        assert again.notices
        assert [row.remote_id for row in again.window(INBOX, 0, 9)] == ["m1", "m0"]


def test_damage_met_while_running_is_repaired_and_reading_goes_on(store: Store, directory: Path) -> None:
    ids = filled(store, 200)
    store.perform(Verb.TRASH, ids[:1])
    rows(store, "PRAGMA cache.wal_checkpoint(TRUNCATE)")
    path = directory / "cache.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    for _attempt in range(3):
        store.window(INBOX, 0, 60)
        store.ingest("work", page(*(mail(number) for number in range(200)), complete=True))
    assert store.ids(INBOX) == ids[1:]
    check(store)


def test_a_deleted_wal_leaves_a_store_that_opens(store: Store, directory: Path, tmp_path: Path) -> None:
    filled(store, 30)
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    for path in copy.glob("*-wal"):
        path.unlink()
    with Store.open(copy) as again:
        again.register(GMAIL)
        use(again)
        check(again)


@pytest.mark.parametrize("name", ["desk.db", "cache.db"])
def test_a_file_of_a_newer_version_is_refused_and_not_touched(store: Store, directory: Path, name: str) -> None:
    filled(store, 3)
    store.close()
    connection = sqlite3.connect(directory / name)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = (directory / name).read_bytes()
    for readonly in (False, True):
        with pytest.raises(StoreError, match="newer version"):
            Store.open(directory, readonly=readonly)
    assert (directory / name).read_bytes() == before


def test_a_file_of_an_older_version_is_led_up_step_by_step_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = connections.connect(path, create=True)
    connection.executescript("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); PRAGMA user_version = 1")
    connection.execute("INSERT INTO note(text) VALUES ('kept')")

    def fails(database: object) -> None:
        raise sqlite3.OperationalError("no")

    steps = {
        1: lambda database: database["note"].add_column("color", str, not_null_default="red"),
        2: lambda database: database["note"].transform(rename={"text": "words"}),
    }
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, 3, {**steps, 2: fails})
    assert schema.version(connection, "main") == 1
    assert connection.execute("SELECT * FROM note").fetchall() == [(1, "kept")]
    schema.migrate(connection, 3, steps)
    assert schema.version(connection, "main") == 3
    assert connection.execute("SELECT words, color FROM note").fetchall() == [("kept", "red")]
    connection.close()


# full disks and other programs


def limit_pages(store: Store, name: str, more: int) -> None:
    writer = store._connections.writer
    assert writer is not None
    pages = writer.execute(f"PRAGMA {name}.page_count").fetchone()[0]
    writer.execute(f"PRAGMA {name}.max_page_count = {pages + more}")


def test_a_full_disk_during_a_page_is_said_loses_nothing_and_goes_on_after(store: Store) -> None:
    filled(store, 20)
    limit_pages(store, "cache", 5)
    told = page(
        *(mail(number, raw=b"From: Rui <r@x>\r\n\r\n" + os.urandom(9000).hex().encode()) for number in range(20, 60))
    )
    with pytest.raises(StoreError, match="disk is full"):
        store.ingest("work", told)
    assert store.count(INBOX) == 20
    assert store.cursor("work") == "c"
    check(store)
    limit_pages(store, "cache", 100_000)
    store.ingest("work", told)
    assert store.count(INBOX) == 60


def test_a_full_disk_refuses_an_act_whole(store: Store) -> None:
    ids = filled(store, 500)
    limit_pages(store, "main", 0)
    with pytest.raises(StoreError, match="disk is full"):
        store.perform(Verb.TRASH, ids)
    assert store.ids(INBOX) == ids
    assert store.acts(9) == []
    check(store)


def test_an_act_whose_projection_met_a_full_disk_is_shown_by_the_next_deed(store: Store) -> None:
    ids = filled(store, 500)
    limit_pages(store, "cache", 0)
    with pytest.raises(StoreError, match="disk is full"):
        store.perform(Verb.TRASH, ids)
    limit_pages(store, "cache", 100_000)
    store.register(OUTLOOK)
    assert store.ids(INBOX) == []
    check(store)
    assert len(store.acts(9)) == 1


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk")
def test_a_small_disk_that_fills_up_pauses_and_resumes(tmp_path: Path, clock: Clock) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        _fill_up(disk, clock)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill_up(disk: Path, clock: Clock) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 3_000_000)
    with Store.open(disk / "profile", clock=clock) as store:
        store.register(GMAIL)
        store.perform(Verb.TRASH, filled(store, 3)[:1])
        done = 0
        with pytest.raises(StoreError, match="disk is full"):
            for start in range(10, 10_000, 20):
                text = os.urandom(6000).hex().encode()
                told = (mail(number, raw=b"From: Rui <r@x>\r\n\r\n" + text) for number in range(start, start + 20))
                store.ingest("work", page(*told, cursor=f"c{start}"))
                done = start
        assert store.cursor("work") == f"c{done}"
        assert len(store.window(INBOX, 0, 60)) > 2
        ballast.unlink()
        store.ingest("work", page(mail(5), cursor="on"))
        store.perform(Verb.TRASH, [store.find("work", "m5") or 0])
        assert store.count(TRASH) == 2
        check(store)


def test_a_lock_held_by_another_program_is_said_after_a_while(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = filled(store, 2)
    writer = store._connections.writer
    assert writer is not None
    writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(directory / "desk.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.perform(Verb.TRASH, ids)
    assert store.ids(INBOX) == ids
    other.execute("ROLLBACK")
    other.close()
    store.perform(Verb.TRASH, ids)
    store.claim("work", 9)
    store.acknowledge("work", [Ack("m0"), Ack("m1")])
    assert {op.state for op in store.outbox()} <= {OpState.PENDING}
    assert store.ids(TRASH) == ids

"""Where the secrets lie: a keyring that really keeps them, or a private file after an explicit choice."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from crmmail.auth import tokens as module
from crmmail.auth.secrets import Secret, Tokens, load
from crmmail.auth.tokens import TokenStore
from crmmail.errors import AuthRequired, SignInError
from tests.conftest import part

SCRIPT = Path(__file__).with_name("with-secret-service.sh")


def session(secret: str = "canary-refresh", **fields: str) -> Tokens:
    return Tokens("gmail", "id", Secret("canary-access"), 5.0, 1.0, 2.0, Secret(secret), scopes=("a", "b"), **fields)


class Memory(KeyringBackend):
    """A keyring in memory, which can be locked or refuse long secrets."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, str] = {}
        self.locked = False
        self.longest = 10**9

    def _check(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("canary in the message of a library")

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.held.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        if len(password) > self.longest:
            raise keyring.errors.PasswordSetError("too long")
        self.held[username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.held[username]


def test_a_session_comes_back_as_it_was_put(tokens: TokenStore) -> None:
    tokens.put("work", session())
    assert tokens.get("work") == session()
    assert tokens.get("other") is None
    tokens.forget("work")
    assert tokens.get("work") is None


def test_the_file_is_the_users_alone(tokens: TokenStore, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        tokens.put("work", session())
    finally:
        os.umask(old)
    directory = tmp_path / "profile" / "sessions"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()] == [0o600]


def test_a_file_somebody_opened_to_others_is_closed_again(tokens: TokenStore, tmp_path: Path) -> None:
    tokens.put("work", session())
    path = tmp_path / "profile" / "sessions" / "work.json"
    path.chmod(0o644)
    assert tokens.get("work") == session()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_is_made_unasked(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, use_keyring=False)
    with pytest.raises(SignInError) as raised:
        store.put("work", session())
    assert raised.value.code == "no_keyring"
    assert "--token-store file" in raised.value.next_step
    assert not (tmp_path / "sessions").exists()


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_whole(
    tokens: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    tokens.put("work", session())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os if failing == "fsync" else Path, failing, full)
        with pytest.raises(SignInError, match="No space left"):
            tokens.put("work", session("another"))
    assert tokens.get("work") == session()
    assert [path.name for path in (tmp_path / "profile" / "sessions").iterdir()] == ["work.json"]


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"null", b"[]", b'{"backend": 7}', b'{"backend": "file"}', b"\xff\x00", b"[" * 100_000,
     b'{"backend": "file", "session": {"provider": "canary"}}'],
    ids=["empty", "cut", "null", "list", "number", "no session", "binary", "deep", "incomplete"],
)  # fmt: skip
def test_garbage_asks_to_sign_in_and_is_kept_beside_the_new_one(
    tokens: TokenStore, tmp_path: Path, garbage: bytes
) -> None:
    tokens.put("work", session())
    path = tmp_path / "profile" / "sessions" / "work.json"
    path.write_bytes(garbage)
    with pytest.raises(AuthRequired) as raised:
        tokens.get("work")
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    tokens.sign_in("work", session())
    assert tokens.get("work") == session()


def test_what_is_not_a_session_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"^not a session$"):
        load('{"access_token": "canary", "expires_at": "soon"}')
    assert load(json.dumps({**json.loads(session().dumps()), "from_the_future": 1})) == session()


def test_a_keyring_is_probed_by_writing_reading_and_deleting(tmp_path: Path) -> None:
    backend = Memory()
    store = TokenStore(tmp_path, backend=backend)
    assert store.ready().endswith("Memory")
    assert backend.held == {}
    store.put("work", session())
    assert store.get("work") == session()
    assert "canary" not in (tmp_path / "sessions" / "work.json").read_text()
    assert store.where("work").endswith("Memory")
    store.forget("work")
    assert backend.held == {}


def test_a_locked_keyring_is_a_sentence_and_opens_again(tmp_path: Path) -> None:
    backend = Memory()
    store = TokenStore(tmp_path, backend=backend)
    store.put("work", session())
    backend.locked = True
    with pytest.raises(AuthRequired, match="locked") as raised:
        store.get("work")
    assert "canary" not in str(raised.value)
    with pytest.raises(SignInError, match="locked"):
        store.ready()
    backend.locked = False
    assert store.get("work") == session()


def test_another_keyring_than_at_sign_in_is_named_and_nothing_is_deleted(tmp_path: Path) -> None:
    first = Memory()
    TokenStore(tmp_path, backend=first).put("work", session())

    class Other(Memory):
        pass

    changed = TokenStore(tmp_path, backend=Other())
    with pytest.raises(AuthRequired) as raised:
        changed.get("work")
    assert "Memory" in raised.value.sentence
    assert "Other" in raised.value.sentence
    assert TokenStore(tmp_path, backend=first).get("work") == session()
    changed.sign_in("work", session("new"))
    assert changed.get("work") == session("new")


def test_a_long_session_is_kept_in_pieces_where_the_store_takes_only_short_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.PIECE, __name__, 1200)
    backend = Memory()
    backend.longest = 1200
    store = TokenStore(tmp_path, backend=backend)
    for length in (5000, 9000, 10):
        store.put("work", session("x" * length))
        assert store.get("work") == session("x" * length)
    assert len(backend.held) == 1
    store.forget("work")
    assert backend.held == {}


def test_a_keyring_that_stores_nothing_or_in_the_clear_is_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in ("keyring.backends.null.Keyring", "keyring.backends.fail.Keyring"):
        code = (
            "from pathlib import Path; from crmmail.auth.tokens import TokenStore\n"
            f"try: print(TokenStore(Path({str(tmp_path)!r})).ready())\n"
            "except Exception as error: print(type(error).__name__, error.code)"
        )
        environment = {**os.environ, "PYTHON_KEYRING_BACKEND": backend}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.strip() == "SignInError no_keyring"


def test_the_lock_lets_one_in_at_a_time_and_does_not_wait_for_ever(tokens: TokenStore) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(5):
            with tokens.lock("work"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert max(most) == 1
    with tokens.lock("work"), pytest.raises(SignInError), tokens.lock("work", seconds=0.05):
        pass


PROBE = """
from pathlib import Path
from crmmail.auth.secrets import Secret, Tokens
from crmmail.auth.tokens import TokenStore
from crmmail.errors import CrmMailError
import sys
store = TokenStore(Path(sys.argv[1]))
try:
    store.ready()
    store.sign_in("work", Tokens("gmail", "id", Secret("canary" * 3000), 0, 0, 0))
    print("kept in", store.where("work"), len(store.get("work").access_token))
    store.forget("work")
    print(store.get("work"))
except CrmMailError as error:
    print(getattr(error, "code", ""), error.sentence)
"""


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("unlocked", "kept in keyring.backends.SecretService.Keyring 18000\nNone"),
        ("nobus", "no_keyring"),
        ("absent", "no_keyring"),
        ("new", "no_keyring"),
        ("locked", "no_keyring"),
    ],
)
def test_the_five_situations_of_a_real_secret_service(tmp_path: Path, mode: str, said: str) -> None:
    part("gnome-keyring-daemon")
    part("dbus-run-session")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"}
    done = subprocess.run(
        ["bash", str(SCRIPT), sys.executable, "-c", PROBE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**environment, "KEYRING_MODE": mode},
    )
    assert done.stdout.startswith(said), (done.stdout, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stdout + done.stderr

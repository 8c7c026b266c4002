"""Where the secrets lie: the system's keyring, or a 0600 file after an explicit choice. Never anywhere else.

For each mailbox one small file in `sessions/` says which of the two holds its session; it holds the session itself
only when the user chose files. A keyring that is another one today than at sign-in is an error with a sentence, not
an empty answer: switching desktops must not look like a lost session (Signal Desktop, 2024).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets as random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmmail.auth.secrets import Secret, Tokens, load
from crmmail.errors import AuthRequired, SignInError
from crmmail.i18n import _

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "crmmail"
FILE = "file"
# Backends that keep secrets encrypted and really keep them. Not null (stores nothing), not keyrings.alt's plain files.
ACCEPTED = frozenset(
    f"keyring.backends.{name}" for name in ("SecretService", "kwallet", "libsecret", "macOS", "Windows")
)
# The Windows credential store takes 2560 bytes, UTF-16, an entry (CRED_MAX_CREDENTIAL_BLOB_SIZE).
PIECE = {"keyring.backends.Windows": 1200}
LOCK_SECONDS = 30.0


class TokenStore:
    """Keeps one session per mailbox. Nothing is read, and keyring not imported, before it is needed."""

    def __init__(
        self,
        directory: Path,
        *,
        profile: str = "default",
        allow_file: bool = False,
        use_keyring: bool = True,
        backend: KeyringBackend | None = None,
    ) -> None:
        """`allow_file`: the user chose a 0600 file where no keyring works. `backend` is for tests."""
        self._directory = directory / "sessions"
        self._profile = profile
        self._allow_file = allow_file
        self._use_keyring = use_keyring
        self._backend = backend

    @classmethod
    def open(cls, directory: Path, *, profile: str = "default", choice: str = "") -> TokenStore:
        """The store as chosen in the settings: 'file', 'keyring', or '' (keyring, and never a file unasked)."""
        return cls(directory, profile=profile, allow_file=choice == FILE, use_keyring=choice != FILE)

    def __repr__(self) -> str:
        return f"TokenStore({str(self._directory)!r}, ***)"

    # what callers use

    def ready(self) -> str:
        """Where a new session would be kept: the keyring's name or 'file', found by writing, reading and deleting.

        Raises SignInError before anybody has signed in for nothing.
        """
        backend = self._keyring() if self._use_keyring else None
        reason = _("this machine offers none") if backend is None else self._probe(backend)
        if backend is not None and not reason:
            return _name(backend)
        if not self._allow_file:
            raise SignInError(
                _("The system's keyring cannot keep your session: {reason}.").format(reason=reason),
                next_step=_("Unlock or install a keyring, or choose a private file: --token-store file."),
                code="no_keyring",
            )
        self._make_directory()
        return FILE

    def get(self, name: str) -> Tokens | None:
        """The session of the mailbox `name`, None when nobody signed in. Raises AuthRequired when it cannot be read."""
        place = self._place(name)
        if place is None:
            return None
        text = self._read_keyring(name, place) if place.get("backend") != FILE else json.dumps(place.get("session"))
        try:
            return load(text)
        except ValueError:
            raise _unreadable(name) from None

    def put(self, name: str, tokens: Tokens) -> None:
        """Keep the session of `name`, whole or not at all. SignInError when it cannot be written; the old one stays."""
        try:
            place = self._place(name)
        except AuthRequired:
            self._set_aside(name)
            place = None
        kept_in = str(place["backend"]) if place else self.ready()
        if kept_in == FILE:
            self._write_place(name, {"backend": FILE, "session": json.loads(tokens.dumps())})
        else:
            self._write_keyring(name, tokens, place or {}, kept_in)

    def sign_in(self, name: str, tokens: Tokens) -> None:
        """Keep a new session of `name`, in the place that works today, whatever held the one before."""
        kept_in = self.ready()
        with contextlib.suppress(AuthRequired, SignInError):
            if (self._place(name) or {}).get("backend") not in (None, kept_in):
                self.forget(name)
        self.put(name, tokens)

    def forget(self, name: str) -> None:
        """Delete the session of `name` everywhere it lies."""
        with contextlib.suppress(AuthRequired):
            place = self._place(name)
            backend = self._keyring()
            if place and place.get("backend") != FILE and backend is not None and _name(backend) == place["backend"]:
                self._delete_entries(backend, name, place)
        for path in (self._path(name), self._path(name).with_suffix(".damaged")):
            path.unlink(missing_ok=True)

    def where(self, name: str) -> str:
        """What holds the session of `name`: a keyring's name, 'file', or '' when there is none."""
        with contextlib.suppress(AuthRequired):
            return str((self._place(name) or {}).get("backend", ""))
        return FILE

    @contextlib.contextmanager
    def lock(self, name: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Held by one process at a time while it renews the session of `name`. SignInError after `seconds`."""
        self._make_directory()
        path = self._path(name).with_suffix(".lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _acquire(handle, seconds)
            yield
        finally:
            os.close(handle)  # which also releases it

    # the keyring

    def _keyring(self) -> KeyringBackend | None:
        """The backend python-keyring would use, when it is one we accept; of a chain, the first we accept."""
        if self._backend is not None:
            return self._backend
        import keyring

        chosen: Any = keyring.get_keyring()
        chain = chosen.backends if type(chosen).__module__ == "keyring.backends.chainer" else [chosen]
        return next((backend for backend in chain if type(backend).__module__ in ACCEPTED), None)

    def _probe(self, backend: KeyringBackend) -> str:
        """Write, read and delete a made-up secret: '' when that works, else why not. A name proves nothing."""
        entry, made_up = f"{self._profile}/probe", random.token_urlsafe(16)
        try:
            backend.set_password(SERVICE, entry, made_up)
            back = backend.get_password(SERVICE, entry)
            backend.delete_password(SERVICE, entry)
        except Exception as error:  # noqa: BLE001 - backends raise what their library raises (D-Bus, COM, ...)
            return _reason(error)
        return "" if back == made_up else _("it does not give back what it was given")

    def _read_keyring(self, name: str, place: dict[str, Any]) -> str:
        backend = self._keyring()
        found = _("none") if backend is None else _name(backend)
        if backend is None or found != place.get("backend"):
            raise AuthRequired(
                _("The session of {name} lies in {recorded}; this machine now offers {found}.").format(
                    name=name, recorded=place.get("backend"), found=found
                ),
                next_step=_("Start that keyring again, or sign in again. Your mail and what is queued are kept."),
                reason="keyring_changed",
            )
        try:
            texts = [backend.get_password(SERVICE, entry) for entry in self._entries(name, place)]
        except Exception as error:  # noqa: BLE001 - as in _probe
            raise AuthRequired(
                _("The keyring does not give the session of {name}: {reason}.").format(
                    name=name, reason=_reason(error)
                ),
                next_step=_("Unlock the keyring, or sign in again. Your mail and what is queued are kept."),
                reason="keyring_locked",
            ) from None
        if any(text is None for text in texts):
            raise _unreadable(name)
        return Secret("".join(text or "" for text in texts))

    def _write_keyring(self, name: str, tokens: Tokens, old: dict[str, Any], kept_in: str) -> None:
        backend = self._keyring()
        if backend is None or _name(backend) != kept_in:
            raise SignInError(_("The keyring {name} is gone.").format(name=kept_in), code="keyring_changed")
        text = Secret(tokens.dumps())
        size = PIECE.get(type(backend).__module__, len(text))
        pieces = [str(text)[start : start + size] for start in range(0, len(text), size)]
        place = {"backend": kept_in, "pieces": len(pieces), "generation": random.token_hex(4)}
        if len(pieces) == 1:
            place["generation"] = ""
        try:
            for entry, piece in zip(self._entries(name, place), pieces, strict=True):
                backend.set_password(SERVICE, entry, piece)
        except Exception as error:  # noqa: BLE001 - as in _probe
            raise SignInError(
                _("The keyring did not take the session of {name}: {reason}.").format(name=name, reason=_reason(error)),
                next_step=_("Unlock the keyring and try again."),
                code="keyring_locked",
            ) from None
        self._write_place(name, place)
        if old.get("backend") == kept_in:
            stale = set(self._entries(name, old)) - set(self._entries(name, place))
            self._delete_entries(backend, name, old, stale)

    def _entries(self, name: str, place: dict[str, Any]) -> list[str]:
        """The keyring's entry names for a session: one, or one for each piece of a generation."""
        base = f"{self._profile}/{name}"
        if not place.get("generation"):
            return [base]
        return [f"{base}/{place['generation']}/{index}" for index in range(int(place.get("pieces", 0)))]

    def _delete_entries(
        self, backend: KeyringBackend, name: str, place: dict[str, Any], only: set[str] | None = None
    ) -> None:
        for entry in self._entries(name, place) if only is None else only:
            with contextlib.suppress(Exception):  # an entry that cannot be deleted holds a session that is over
                backend.delete_password(SERVICE, entry)

    # the files

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _place(self, name: str) -> dict[str, Any] | None:
        """What the mailbox's file says, None where there is none. AuthRequired for garbage."""
        path = self._path(name)
        try:
            if path.stat().st_mode & 0o077 and os.name == "posix":
                path.chmod(0o600)
            place = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            raise _unreadable(name) from None
        if not isinstance(place, dict) or not isinstance(place.get("backend"), str):
            raise _unreadable(name)
        return place

    def _set_aside(self, name: str) -> None:
        """A file nobody can read is kept beside the new one, not overwritten."""
        with contextlib.suppress(OSError):
            self._path(name).replace(self._path(name).with_suffix(".damaged"))

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._directory.chmod(0o700)
        except OSError as error:
            raise _unwritable(self._directory, error) from None

    def _write_place(self, name: str, place: dict[str, Any]) -> None:
        """Temp file, fsync, rename: on a full disk the old file stays as it was."""
        self._make_directory()
        temporary = ""
        try:
            handle, temporary = tempfile.mkstemp(dir=self._directory, prefix=f".{name}.")  # 0600 from the start
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(place, separators=(",", ":")).encode())
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path(name))
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            raise _unwritable(self._path(name), error) from None


def _name(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _reason(error: Exception) -> str:
    """A library's complaint as words: its type says more than its text, which may hold anything."""
    words = {
        "KeyringLocked": _("it is locked"),
        "InitError": _("it was never set up"),
        "NoKeyringError": _("this machine offers none"),
        "PasswordSetError": _("it refuses to store"),
        "PasswordDeleteError": _("it does not delete"),
    }
    return words.get(type(error).__name__, type(error).__name__)


def _unreadable(name: str) -> AuthRequired:
    return AuthRequired(
        _("The kept session of {name} cannot be read.").format(name=name),
        next_step=_("Sign in again. Your mail and what is queued are kept."),
        reason="token_store",
    )


def _unwritable(path: Path, error: OSError) -> SignInError:
    return SignInError(
        _("{path} cannot be written: {reason}.").format(path=path, reason=error.strerror),
        next_step=_("Free some space or check the permissions, then try again. The session before is kept."),
        code="token_store",
    )


def _acquire(handle: int, seconds: float) -> None:
    """Take the lock on an open file, waiting at most `seconds`. The kernel frees it when a process dies."""
    deadline = time.monotonic() + seconds
    while not _try_lock(handle):
        if time.monotonic() > deadline:
            raise SignInError(
                _("Another crmmail has been renewing this session for too long."),
                next_step=_("Close the other one and try again."),
                code="locked",
            )
        time.sleep(0.02)


if sys.platform == "win32":

    def _try_lock(handle: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _try_lock(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

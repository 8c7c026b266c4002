"""Everything that can go wrong, as one tree.

    CrmMailError            title, sentence, what to do next
    ├── SettingsError       a setting or a file of the user's is not usable
    ├── DraftError          a message being written cannot go out as it stands (address, file, identity)
    ├── ProfileBusy         another crmmail holds this profile
    ├── StoreError          the local copy cannot be read or written (disk full, damaged, newer schema)
    ├── SignInError         a sign-in that did not succeed (declined, expired, wrong state, ...)
    └── RemoteError         a server said no, or nothing
        ├── Transient       try again later; carries the server's wish (`retry_after`)
        │   └── Offline     no answer at all: name, connection, time
        │       └── Untrusted   somebody answers, with a certificate nobody vouches for; nothing was told to them
        ├── AuthRequired    the session is over: only the user can sign in again
        ├── ScopeRequired   signed in, but this act needs a wider permission
        ├── CursorExpired   the server forgot our place: read everything again
        └── Rejected        the server understood and refuses; trying again changes nothing

`title`, `sentence` and `next_step` are for the human and already translated when raised at an edge; they never
hold secrets or mail text. `str(error)` joins them. Only the edges (`cli.main`, `tui.app`, the sync thread) catch
`CrmMailError` broadly; anything else that reaches them is a defect and is logged as one.
"""

from __future__ import annotations


class CrmMailError(Exception):
    """Base of the tree. `title` in a few words, `sentence` what happened, `next_step` what the user can do."""

    title = "Something went wrong"
    exit_code = 1

    def __init__(self, sentence: str, *, next_step: str = "", title: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next_step = next_step
        if title:
            self.title = title

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step}".strip()


class SettingsError(CrmMailError):
    """A setting, an argument or a file the user named cannot be used."""

    title = "Settings"
    exit_code = 2


class DraftError(CrmMailError):
    """A message being written cannot be made into mail as it stands: an address, a file, an identity. It is kept."""

    title = "Message"
    exit_code = 2


class ProfileBusy(CrmMailError):
    """Another crmmail is running on this profile and holds its write lock."""

    title = "Profile in use"
    exit_code = 3


class StoreError(CrmMailError):
    """The local copy cannot be read or written: full disk, damaged file, schema of a newer version."""

    title = "Local copy"
    exit_code = 4


class SignInError(CrmMailError):
    """A sign-in ended without a session. `code` is the provider's own error code, for the record."""

    title = "Sign-in"
    exit_code = 5

    def __init__(self, sentence: str, *, next_step: str = "", title: str = "", code: str = "") -> None:
        super().__init__(sentence, next_step=next_step, title=title)
        self.code = code


class RemoteError(CrmMailError):
    """A server's answer, or its silence. `status` is the HTTP status (0: none), `reason` the provider's code."""

    title = "Server"
    exit_code = 6

    def __init__(
        self,
        sentence: str,
        *,
        next_step: str = "",
        title: str = "",
        status: int = 0,
        reason: str = "",
    ) -> None:
        super().__init__(sentence, next_step=next_step, title=title)
        self.status = status
        self.reason = reason


class Transient(RemoteError):
    """Worth trying again. `retry_after`: seconds the server asked for, None where it named none."""

    def __init__(
        self,
        sentence: str,
        *,
        next_step: str = "",
        title: str = "",
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence, next_step=next_step, title=title, status=status, reason=reason)
        self.retry_after = retry_after


class Offline(Transient):
    """Nothing answered: no network, no name, no connection, no answer in time."""

    title = "Offline"


class Untrusted(Offline):
    """The server's certificate was refused before anything was said. `fingerprint`: SHA-256, in pairs of hex digits."""

    title = "Certificate"

    def __init__(self, sentence: str, *, next_step: str = "", reason: str = "", fingerprint: str = "") -> None:
        super().__init__(sentence, next_step=next_step, reason=reason)
        self.fingerprint = fingerprint


class AuthRequired(RemoteError):
    """The session has ended for good (revoked, expired, password changed): the user must sign in again."""

    title = "Session expired"
    exit_code = 5


class ScopeRequired(RemoteError):
    """The session is good but lacks a permission; `scope` names it and a new consent can grant it."""

    title = "Permission needed"
    exit_code = 5

    def __init__(self, sentence: str, *, scope: str, next_step: str = "", status: int = 0, reason: str = "") -> None:
        super().__init__(sentence, next_step=next_step, status=status, reason=reason)
        self.scope = scope


class CursorExpired(RemoteError):
    """The server no longer knows our cursor (Gmail 404, Graph 410, UIDVALIDITY): a full resync is due."""


class Rejected(RemoteError):
    """A refusal that trying again will not change. `gone`: the message no longer exists there."""

    title = "Refused by the server"

    def __init__(
        self,
        sentence: str,
        *,
        next_step: str = "",
        title: str = "",
        status: int = 0,
        reason: str = "",
        gone: bool = False,
    ) -> None:
        super().__init__(sentence, next_step=next_step, title=title, status=status, reason=reason)
        self.gone = gone


def places(error: BaseException, depth: int = 3) -> str:
    """Where `error` came from, for the log: file and line, never the text, which may hold mail or a secret."""
    import traceback
    from pathlib import Path

    frames = traceback.extract_tb(error.__traceback__)[-depth:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))

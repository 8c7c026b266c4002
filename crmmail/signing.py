"""What happens while somebody signs in, as values: the command line prints them, the app shows them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from crmmail.errors import CrmMailError, SignInError


@dataclass(frozen=True, slots=True)
class ShowCode:
    """Open `url`, type `code` there, before `expires_at` (seconds since the epoch)."""

    url: str
    code: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class ShowUrl:
    """Open `url` in a browser, before `expires_at`. `why` says why it is the browser ('' when it was chosen)."""

    url: str
    why: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something was refused, and the sign-in goes on: an address of another sign-in, an incomplete one."""

    error: SignInError


@dataclass(frozen=True, slots=True)
class Working:
    """Nothing to do for the user just now."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Done:
    """The mailbox `name` is signed in as `address`; the tokens are kept in `place`, a keyring's name or 'file'."""

    address: str
    place: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """No session. The error says why and what to do; what was there before is untouched."""

    error: CrmMailError


Event = ShowCode | ShowUrl | Notice | Working | Done | Failed


class Flow(Protocol):
    """One attempt. Iterate `events` in a thread of its own; the other three may be called from any thread."""

    def events(self) -> Iterator[Event]:
        """What happens, in order; blocks between events; the last one is Done or Failed."""
        ...

    def cancel(self) -> None:
        """Stop now."""
        ...

    def paste(self, address: str) -> None:
        """The address a browser on another machine ended at."""
        ...

    def use_browser(self) -> None:
        """Leave the device code and go on in the browser."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants connected. `name` of a mailbox there is: sign in to it again."""

    provider: str = ""  # gmail | outlook
    name: str = ""
    client_id: str = ""
    client_file: str = ""
    tenant: str = ""
    token_store: str = ""  # '' as set before, keyring, file
    browser: bool = False
    widen: bool = False  # Gmail: ask for permanent deletion too


class Guide(Protocol):
    """Begins sign-ins for a profile and knows what they lack."""

    def lacks_client(self, wish: Wish) -> bool:
        """Whether the user has to name an OAuth client first."""
        ...

    def wish_for(self, name: str) -> Wish:
        """The wish to sign in again to the mailbox `name`."""
        ...

    def begin(self, wish: Wish) -> Flow:
        """A sign-in, not started yet. Raises CrmMailError."""
        ...


def can_open_browser() -> bool:
    """Whether a browser of the user's can be started here: not over SSH, and never a text browser in this terminal."""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

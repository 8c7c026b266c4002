"""A sign-in as a series of events, without a screen: the command line prints them, the app shows them.

    sign_in = auth.sign_in("work", settings, tokens)
    for event in sign_in.events():      # blocks between events: run it in a thread of its own
        ...                             # ShowCode, ShowUrl, Notice, Working; then Done or Failed, always last

`cancel()`, `paste()` and `use_browser()` may be called from any thread, and take effect at once.
"""

from __future__ import annotations

import queue
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from crmmail.auth import problems
from crmmail.auth.net import is_loopback
from crmmail.auth.secrets import Tokens, veil
from crmmail.errors import CrmMailError, SignInError
from crmmail.i18n import _
from crmmail.signing import Done, Event, Failed, Notice, ShowUrl, Working

if TYPE_CHECKING:
    from crmmail.auth.tokens import TokenStore
    from crmmail.config import MailboxSettings

BROWSER_SECONDS = 300.0


class SignIn(ABC):
    """One attempt to sign in. Use it once."""

    provider = ""
    loopback_host = "127.0.0.1"
    loopback_path = "/"

    def __init__(self, name: str, settings: MailboxSettings, tokens: TokenStore, *, browser: bool = False) -> None:
        self.name = name
        self.settings = settings
        self._tokens = tokens
        self._wants_browser = browser
        self._cancelled = False
        self._state = secrets.token_urlsafe(24)
        # What ends a waiting: ("answer", the redirect's fields), ("notice", code), ("cancel", ""), ("browser", "")
        self._wishes: queue.SimpleQueue[tuple[str, dict[str, str] | str]] = queue.SimpleQueue()

    def events(self) -> Iterator[Event]:
        """What happens, in order; the last one is Done or Failed. Never raises for what can go wrong outside."""
        try:
            self._tokens.ready()
            yield from self._steps()
        except CrmMailError as error:
            yield Failed(problems.common("cancelled") if self._cancelled else error)

    def cancel(self) -> None:
        """Stop. An answer that still arrives is thrown away."""
        self._cancelled = True
        self._wishes.put(("cancel", ""))

    def use_browser(self) -> None:
        """Leave the device code and go on in the browser."""
        self._wishes.put(("browser", ""))

    def paste(self, address: str) -> None:
        """The address the browser ended at, copied by the user because the browser runs on another machine."""
        parts = urlsplit(address.strip())
        self._received(veil(dict(parse_qsl(parts.query or parts.path.lstrip("?")))))

    @abstractmethod
    def _steps(self) -> Iterator[Event]:
        """The provider's own steps, ending with `_finish`. Raises CrmMailError."""

    @abstractmethod
    def _begin(self, redirect: str) -> str:
        """The address of the consent page, for a browser that comes back to `redirect` with `self._state`."""

    @abstractmethod
    def _exchange(self, answer: dict[str, str]) -> Tokens:
        """The tokens for the redirect's fields. Raises SignInError, Offline."""

    @abstractmethod
    def _read_address(self, tokens: Tokens) -> str:
        """The mailbox's own address, as the provider says it."""

    def _received(self, fields: dict[str, str]) -> bool:
        """Take a redirect's fields from the listener or the user; False when they are not the answer waited for."""
        if not secrets.compare_digest(fields.get("state", "").encode(), self._state.encode()):
            code = "state_mismatch" if fields.get("state") else "no_code"
            self._wishes.put(("notice", code))
            return False
        if not fields.get("code") and not fields.get("error"):
            self._wishes.put(("notice", "no_code"))
            return False
        self._wishes.put(("answer", veil(fields)))
        return True

    def _browser(self, why: str) -> Iterator[Event]:
        """Consent in a browser that comes back to a listener of ours, or to the user's clipboard."""
        from crmmail.auth.loopback import Listener

        deadline = time.monotonic() + BROWSER_SECONDS
        with Listener(self._received) as listener:
            url = self._begin(f"http://{self.loopback_host}:{listener.port}{self.loopback_path}")
            yield ShowUrl(shown(url), why, time.time() + BROWSER_SECONDS)
            while True:
                kind, value = self._wait(deadline - time.monotonic())
                if isinstance(value, dict):
                    break
                if kind == "notice":
                    yield Notice(problems.common(value))
                elif kind == "timeout":
                    raise problems.common("timeout")
        yield Working(_("Asking for the session…"))
        yield from self._finish(self._exchange(value))

    def _finish(self, tokens: Tokens) -> Iterator[Event]:
        """Read the address, keep the tokens."""
        yield Working(_("Reading the mailbox's address…"))
        address = self._read_address(tokens)
        if self._cancelled:
            raise problems.common("cancelled")
        mine = self.settings.address
        if mine and mine.lower() != address.lower():
            raise _somebody_else(mine, address)
        self._tokens.sign_in(self.name, replace(tokens, address=address))
        yield Done(address, self._tokens.where(self.name), self.name)

    def _wait(self, seconds: float) -> tuple[str, dict[str, str] | str]:
        """The next wish, or ("timeout", ""). Raises the cancelled SignInError."""
        try:
            wish = self._wishes.get(timeout=max(0.0, seconds))
        except queue.Empty:
            wish = ("timeout", "")
        if self._cancelled:
            raise problems.common("cancelled")
        return wish


def _somebody_else(expected: str, found: str) -> SignInError:
    """Another mailbox's mail must not be mixed into this one's."""
    return SignInError(
        _("You signed in as {found}, but this mailbox is {expected}.").format(found=found, expected=expected),
        next_step=_("Sign in as {expected}, or connect {found} as a mailbox of its own.").format(
            found=found, expected=expected
        ),
        code="other_account",
    )


def shown(url: str) -> str:
    """A server's address, fit to be shown and opened: https (or this machine), printable ASCII, no spaces."""
    fine = url.startswith("https://") or (url.startswith("http://") and is_loopback(url))
    if not fine or len(url) > 4000 or not all("!" <= letter <= "~" for letter in url):
        raise SignInError(_("The provider sent an address that cannot be shown."), code="bad_address")
    return url


def plain(text: str) -> str:
    """A server's code, fit to be shown."""
    return "".join(letter for letter in text if letter.isprintable())[:64]

"""Mailboxes whose server takes a password: the one of the mailbox, or an app password made for crmmail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmmail.auth import problems
from crmmail.auth.secrets import NONE, Secret, Tokens
from crmmail.auth.standing import SessionState, Standing
from crmmail.errors import AuthRequired

if TYPE_CHECKING:
    from crmmail.auth.tokens import TokenStore
    from crmmail.config import MailboxSettings


@dataclass(frozen=True, slots=True)
class Login:
    """What a mail server is told: `secret(refused)` gives the password, or with `bearer` an access token.

    A token the server just refused is handed back as `refused`, to be renewed; a password is what it is.
    """

    user: str
    secret: Callable[[str], Secret]
    bearer: bool = False


class PasswordSession:
    """The kept password of one mailbox."""

    def __init__(self, name: str, user: str, tokens: TokenStore) -> None:
        self._name = name
        self._user = user
        self._store = tokens

    def __repr__(self) -> str:
        return f"PasswordSession({self._name!r}, ***)"

    def login(self) -> Login:
        """For the servers; reads the password when it is asked for, so that a new one counts at once."""
        return Login(self._user, self._secret)

    def describe(self) -> SessionState:
        """How it stands: a password has no end of its own that anybody could know."""
        try:
            held = self._store.get(self._name)
        except AuthRequired as error:
            return SessionState(Standing.EXPIRED, place=self._store.where(self._name), problem=error.sentence)
        if held is None:
            return SessionState(Standing.EXPIRED, problem=problems.not_signed_in(self._name).sentence)
        place = self._store.where(self._name)
        return SessionState(Standing.ACTIVE, held.address, held.signed_in_at, held.renewed_at, place=place)

    def _secret(self, refused: str = "") -> Secret:
        held = self._store.get(self._name)
        if held is None or not held.password:
            raise problems.not_signed_in(self._name)
        return held.password


def user_of(box: MailboxSettings) -> str:
    """The name a mailbox logs in with."""
    return box.user or box.address


def spoken(password: str, host: str) -> Secret:
    """The password as it is meant: Google shows app passwords in groups of four with spaces that are not part of it."""
    bare = "".join(password.split())
    is_google = host.endswith((".gmail.com", ".googlemail.com")) and len(bare) == 16 and bare.isalpha()
    return Secret(bare if is_google else password)


def keep(name: str, box: MailboxSettings, tokens: TokenStore, password: str) -> str:
    """Keep a password, in the place that works today; says where ('file' or a keyring's name). Raises SignInError."""
    now = time.time()
    secret = spoken(password, box.imap_host)
    tokens.sign_in(name, Tokens("imap", "", NONE, 0.0, now, now, password=secret, address=box.address))
    return tokens.where(name)

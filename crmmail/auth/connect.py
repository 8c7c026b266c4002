"""From a wish to a connected mailbox: which client, which name, where the session is kept, and what the settings learn.

The command line and the interface both sign in through `ProfileGuide`.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator

from crmmail import auth, config
from crmmail.auth import clients
from crmmail.auth.tokens import FILE, TokenStore
from crmmail.errors import CrmMailError, SettingsError
from crmmail.i18n import _
from crmmail.signing import Done, Event, Failed, Flow, Wish

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class ProfileGuide:
    """Begins sign-ins for one profile."""

    def __init__(self, place: config.Profile, settings: config.Settings) -> None:
        """`settings` learns of the new mailbox as the settings file does."""
        self._place = place
        self._settings = settings

    def lacks_client(self, wish: Wish) -> bool:
        """Whether the user has to name an OAuth client first."""
        return not clients.is_set(self._box(wish))

    def wish_for(self, name: str) -> Wish:
        """The wish to sign in again to the mailbox `name`. Raises SettingsError when there is none."""
        box = self._settings.mailboxes.get(name)
        if box is None:
            raise SettingsError(_("There is no mailbox called “{name}”.").format(name=name))
        return Wish(box.provider, name)

    def begin(self, wish: Wish) -> Flow:
        """A sign-in, not started yet. Raises SignInError (no client id), SettingsError (a name, a client file)."""
        name = wish.name or self._free_name(wish.provider)
        if not _NAME.fullmatch(name):
            raise SettingsError(
                _("“{name}” cannot be the short name of a mailbox").format(name=name[:64]),
                next_step=_("Use letters, digits, - and _ only."),
            )
        box = self._box(wish)
        choice = wish.token_store or self._settings.token_store
        tokens = TokenStore.open(self._place.data_dir, profile=self._place.name, choice=choice)
        signing = auth.sign_in(name, box, tokens, browser=wish.browser, widen=wish.widen)
        return _Connecting(self, signing, tokens, name, box)

    def _box(self, wish: Wish) -> config.MailboxSettings:
        """The settings the sign-in goes by: those of the mailbox, where there is one, and what the wish names."""
        known = self._settings.mailboxes.get(wish.name)
        if known is not None and wish.provider and known.provider != wish.provider:
            raise SettingsError(
                _("The mailbox “{name}” is already connected to {provider}.").format(
                    name=wish.name, provider=known.provider
                ),
                next_step=_("Choose another name for the new one."),
            )
        box = known or self._like_the_others(wish.provider)
        named = {key: getattr(wish, key) for key in ("client_id", "client_file", "tenant") if getattr(wish, key)}
        if "client_file" in named and "client_id" not in named:
            named |= {"client_id": "", "client_secret": ""}
        return dataclasses.replace(box, **named)

    def _like_the_others(self, provider: str) -> config.MailboxSettings:
        """A second mailbox of a provider goes through the same client and servers as the first."""
        first = next((box for box in self._settings.mailboxes.values() if box.provider == provider), None)
        return dataclasses.replace(
            first or config.MailboxSettings(provider), address="", name="", color="", paused=False
        )

    def _free_name(self, provider: str) -> str:
        names = itertools.chain([provider], (f"{provider}{count}" for count in itertools.count(2)))
        return next(name for name in names if name not in self._settings.mailboxes)

    def remember(self, name: str, box: config.MailboxSettings, place: str) -> None:
        """Put a connected mailbox into the settings, in memory and in the file."""
        keeper = FILE if place == FILE else "keyring"
        with config.update(self._place) as settings:
            settings.mailboxes[name] = box
            settings.token_store = keeper
        self._settings.mailboxes[name] = box
        self._settings.token_store = keeper

    def other_name(self, name: str, box: config.MailboxSettings) -> str:
        """The name under which this very mailbox is connected already, '' when it is not."""
        same = (
            other
            for other, known in self._settings.mailboxes.items()
            if other != name and (known.provider, known.address.lower()) == (box.provider, box.address.lower())
        )
        return next(same, "")


class _Connecting:
    """A sign-in whose Done is in the settings by the time it is told."""

    def __init__(
        self, guide: ProfileGuide, signing: Flow, tokens: TokenStore, name: str, box: config.MailboxSettings
    ) -> None:
        self._guide = guide
        self._signing = signing
        self._tokens = tokens
        self._name = name
        self._box = box
        self.cancel = signing.cancel
        self.paste = signing.paste
        self.use_browser = signing.use_browser

    def events(self) -> Iterator[Event]:
        """As `signing.Flow` says."""
        for event in self._signing.events():
            yield self._settle(event) if isinstance(event, Done) else event

    def _settle(self, done: Done) -> Event:
        """A mailbox that is connected already under another name keeps that name, and its mail."""
        box = dataclasses.replace(self._box, address=done.address)
        name = self._guide.other_name(self._name, box)
        try:
            if name and (session := self._tokens.get(self._name)):
                self._tokens.sign_in(name, session)
                self._tokens.forget(self._name)
            self._guide.remember(name or self._name, box, done.place)
        except CrmMailError as error:
            return Failed(error)
        return dataclasses.replace(done, name=name or self._name)


def sign_out(name: str, settings: config.MailboxSettings, tokens: TokenStore) -> None:
    """Forget the session of `name`, and tell Google so; a server that cannot be told does not keep it here."""
    from crmmail.auth import google

    try:
        held = tokens.get(name)
        if held is not None and settings.provider == "gmail":
            google.revoke(settings, held)
    except CrmMailError:
        held = None  # offline or unreadable: the session ends here all the same
    tokens.forget(name)

"""From the CRM in the settings to a live connection, and connecting one. Used by the command line and the interface.

There is one CRM a profile; everything of it but the secret lies in the settings, the secret where sessions lie.
Nothing heavy is imported until a connection is really made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from crmmail import config, mailboxes
from crmmail.crm.connection import BCC, LOCAL, SHARPSPRING, CrmConnected, CrmWish
from crmmail.errors import AuthRequired, SettingsError, SignInError
from crmmail.i18n import _
from crmmail.model import SendState

if TYPE_CHECKING:
    from crmmail.remotes.crm import Crm
    from crmmail.store import Store
    from crmmail.sync.crm_thread import CrmLink


ANSWERS = frozenset({"user", "url", "database", "relation", "author", "address", "ca_file"})


def token_name(kind: str) -> str:
    """The name the secret is kept under; no mailbox can have one with a dot in it."""
    return f"crm.{kind}"


def connector(place: config.Profile, settings: config.Settings, store: Store | None = None) -> Callable[[], Crm]:
    """What the sync engine calls to reach the CRM. Raises AuthRequired where its keys are missing."""

    def connect() -> Crm:
        chosen = settings.crm
        if chosen.kind in (BCC, LOCAL):
            return _made(settings, chosen, "", store)
        held = mailboxes.tokens(place, settings).get(token_name(chosen.kind))
        if held is None or not held.client_secret:
            raise AuthRequired(
                _("The CRM's keys are not on this computer."),
                next_step=_("Connect it again: `crmmail crm connect`. What waits to be logged is kept."),
            )
        return _made(settings, chosen, held.client_secret, store)

    return connect


def link(place: config.Profile, settings: config.Settings, store: Store) -> CrmLink | None:
    """The CRM for the engine, None where none is connected or it is paused."""
    from crmmail.sync.crm_thread import CrmLink

    chosen = settings.crm
    if not chosen.kind or chosen.paused:
        return None
    return CrmLink(chosen.kind, connector(place, settings, store), float(chosen.poll_seconds))


def _made(settings: config.Settings, chosen: config.CrmSettings, secret: str, store: Store | None = None) -> Crm:
    """The connector. Raises SettingsError for one that cannot be."""
    if chosen.kind == SHARPSPRING:
        from crmmail.remotes.sharpspring import SharpSpring

        ours = [box.address for box in settings.mailboxes.values() if box.address]
        return SharpSpring(
            chosen.kind,
            (chosen.user, secret),
            url=chosen.url,
            ca_file=chosen.ca_file or None,
            authors=[chosen.author] if chosen.author else ours,
        )
    if chosen.kind == LOCAL:
        from crmmail.remotes.local import Local

        return Local(chosen.kind, store)
    if chosen.kind == BCC:
        from crmmail.remotes.dropbox import Dropbox

        return Dropbox(
            chosen.kind, chosen.address, lambda key, address: store is not None and went(store, key, address)
        )
    from crmmail.remotes.tryton import Tryton

    return Tryton(
        chosen.kind,
        (chosen.user, secret),
        url=chosen.url,
        database=chosen.database,
        relation=chosen.relation,
        ca_file=chosen.ca_file or None,
    )


def went(store: Store, message_id: str, address: str) -> bool:
    """Whether a message of ours, known by this Message-ID, was sent with `address` among its recipients."""
    return any(
        message_id in (one.message_id, one.sent_message_id) and address.lower() in map(str.lower, one.recipients)
        for one in store.outgoing([SendState.ACCEPTED, SendState.SEEN])
    )


class ProfileCrmGuide:
    """As `connection.CrmGuide` says. `settings` learns of the CRM as the settings file does."""

    def __init__(self, place: config.Profile, settings: config.Settings) -> None:
        self._place = place
        self._settings = settings

    def connect(self, wish: CrmWish, wanted: Callable[[], bool] = lambda: True) -> CrmConnected:
        """Ask the CRM who we are; only when it answers, and nobody left meanwhile, is anything kept."""
        chosen, who = self._asked(wish)
        if not wanted():
            raise SignInError(_("Connecting was cancelled."), code="cancelled")
        return CrmConnected(wish.kind, who, self._keep(chosen, wish))

    def tried(self, wish: CrmWish) -> str:
        """Who we are there, as `connect` would ask; nothing is kept. Raises what it raises."""
        return self._asked(wish)[1]

    def _asked(self, wish: CrmWish) -> tuple[config.CrmSettings, str]:
        there = self._settings.crm.kind
        if there and there not in (wish.kind, LOCAL):
            raise SettingsError(
                _("{name} is connected already, and there is one CRM at a time.").format(name=there),
                next_step=_("Disconnect it first: `crmmail crm disconnect`."),
            )
        if lacking := wish.lacks():
            raise SettingsError(
                _("“{label}” is missing.").format(label=_(lacking[0].label)),
                next_step=_("It must be given to connect this CRM."),
            )
        chosen = config.CrmSettings(wish.kind)
        for name in ANSWERS.intersection(wish.answers):
            setattr(chosen, name, wish.answers[name].strip())
        crm = _made(self._settings, chosen, wish.secret.strip())
        try:
            who = crm.check()
        finally:
            crm.close()
        return chosen, who

    def _keep(self, chosen: config.CrmSettings, wish: CrmWish) -> str:
        """The secret first: settings without it would only ask for it."""
        from crmmail.auth.secrets import NONE, Secret, Tokens
        from crmmail.auth.tokens import TokenStore

        where, choice = "", wish.token_store or self._settings.token_store
        if wish.secret:
            tokens = TokenStore.open(self._place.data_dir, profile=self._place.name, choice=choice)
            now, name = time.time(), token_name(chosen.kind)
            held = Tokens(chosen.kind, chosen.user, NONE, 0.0, now, now, client_secret=Secret(wish.secret.strip()))
            tokens.sign_in(name, held)
            where = tokens.where(name)
        with config.update(self._place) as settings:
            settings.crm = chosen
            settings.token_store = choice
        self._settings.crm, self._settings.token_store = chosen, choice
        return where


def connected(settings: config.Settings) -> str:
    """The CRM's name. Raises SettingsError where there is none."""
    if not settings.crm.kind:
        raise SettingsError(_("No CRM is connected."), next_step=_("`crmmail crm connect` connects one."))
    return settings.crm.kind


def disconnect(place: config.Profile, settings: config.Settings) -> str:
    """Forget the CRM and its secret; its name. Accounts and links stay; nothing is changed in the CRM itself."""
    name = connected(settings)
    mailboxes.tokens(place, settings).forget(token_name(name))
    with config.update(place) as changed:
        changed.crm = config.CrmSettings()
    settings.crm = config.CrmSettings()
    return name

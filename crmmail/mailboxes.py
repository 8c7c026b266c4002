"""From a mailbox in the settings to a live connection. Used by the command line and the interface, nobody else.

Nothing heavy is imported until a connection is really made: httpx alone costs 200 ms.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crmmail import config
from crmmail.errors import CrmMailError, SettingsError
from crmmail.i18n import _
from crmmail.model import Address, Capabilities, Identity, Mailbox

if TYPE_CHECKING:
    from crmmail.auth.password import PasswordSession
    from crmmail.auth.session import Session
    from crmmail.auth.tokens import TokenStore
    from crmmail.remotes import Remote
    from crmmail.store import Store
    from crmmail.sync.terms import Terms

log = logging.getLogger(__name__)

CAPABILITIES = {
    "gmail": Capabilities(labels=True, favorites=True, archive=True, trash=True, delete_forever=True, send=True),
    # No favorites on Outlook: the product this one replaces has none there, and Outlook's flag is a task, not a star.
    "imap": Capabilities(labels=False, favorites=True, archive=True, trash=True, delete_forever=True, send=True),
    "outlook": Capabilities(labels=False, favorites=False, archive=True, trash=True, delete_forever=True, send=True),
}


def capabilities(box: config.MailboxSettings) -> Capabilities:
    """What a mailbox can do, as far as its settings tell: the interface asks before any server was."""
    can = CAPABILITIES[box.provider]
    if box.provider != "imap":
        return can
    gmail = box.imap_host.lower().endswith((".gmail.com", ".googlemail.com")) or box.imap_labels
    return replace(can, labels=gmail, send=bool(box.smtp_host))


def listed(settings: config.Settings) -> list[Mailbox]:
    """The connected mailboxes, in the order of the settings file."""
    return [
        Mailbox(name, box.provider, box.address, box.name or box.address, box.color, capabilities(box), index)
        for index, (name, box) in enumerate(settings.mailboxes.items())
    ]


def register(store: Store, settings: config.Settings) -> None:
    """Tell the store which mailboxes there are; those no longer in the settings leave it."""
    wanted = listed(settings)
    for known in store.mailboxes():
        if known.id not in settings.mailboxes:
            store.unregister(known.id)
    for mailbox in wanted:
        store.register(mailbox)
        store.use_identities(mailbox.id, own_identities(mailbox, settings.mailboxes[mailbox.id]))


def own_identities(mailbox: Mailbox, box: config.MailboxSettings) -> list[Identity]:
    """What the settings say of who sends from a mailbox; nothing where they say nothing.

    Gmail replaces an address it has not verified without a word, so there a further one counts as not verified
    until Gmail itself tells of it.
    """
    if not (box.sender_name or box.signature or box.identities):
        return []
    from crmmail.mail.recipients import parse_recipients

    own = Identity(mailbox.id, Address(box.sender_name, box.address), default=True, signature=box.signature)
    further = [person for text in box.identities for person in parse_recipients(text) if person.email]
    verified = box.provider != "gmail"
    return [own, *(Identity(mailbox.id, one, verified=verified, signature=box.signature) for one in further)]


def tokens(place: config.Profile, settings: config.Settings) -> TokenStore:
    """Where this profile keeps its secrets, as chosen at the first sign-in."""
    from crmmail.auth.tokens import TokenStore

    return TokenStore.open(place.data_dir, profile=place.name, choice=settings.token_store)


def session(place: config.Profile, settings: config.Settings, name: str) -> Session | PasswordSession:
    """The session of the mailbox `name`. Raises AuthRequired when nobody has signed in."""
    box = settings.mailboxes.get(name)
    if box is None:
        raise SettingsError(
            _("There is no mailbox called “{name}”.").format(name=name),
            next_step=_("`crmmail mailboxes` lists those there are."),
        )
    if box.provider == "imap":
        from crmmail.auth.password import PasswordSession, user_of

        return PasswordSession(name, user_of(box), tokens(place, settings))
    from crmmail.auth import session_for

    return session_for(name, box, tokens(place, settings))


def months(box: config.MailboxSettings) -> int | None:
    """How old a message may be whose text is downloaded unasked: None any, 0 none."""
    return {"all": None, "headers": 0}[box.download] if box.download in ("all", "headers") else int(box.download)


def terms(settings: config.Settings) -> Callable[[str], Terms]:
    """How each mailbox wants to be synchronised, as the settings say at the moment of asking."""
    from crmmail.sync.pace import Pace
    from crmmail.sync.terms import Terms

    def of(name: str) -> Terms:
        box = settings.mailboxes.get(name)
        shortest = float(box.poll_seconds if box is not None and box.poll_seconds else settings.poll_seconds)
        longest = max(shortest, float(settings.poll_idle_seconds))
        pace = Pace(shortest, longest, shortest)
        return Terms(pace) if box is None else Terms(pace, box.paused, months(box))

    return of


def renewed(place: config.Profile, settings: config.Settings) -> dict[str, float]:
    """Mailbox → when its access was last renewed (seconds since the epoch); those with a password, or no session, lack.

    Reads what is kept, which may be a slow keyring: not for the event loop.
    """
    found = {}
    for name, box in settings.mailboxes.items():
        if box.provider == "imap":
            continue
        try:
            found[name] = session(place, settings, name).describe().renewed_at
        except CrmMailError as error:
            log.info("%s: no session to tell of: %s", name, error.title)
    return {name: moment for name, moment in found.items() if moment}


def connector(place: config.Profile, settings: config.Settings) -> Callable[[Mailbox], Remote]:
    """What the sync engine calls to reach a mailbox's server."""

    def connect(mailbox: Mailbox) -> Remote:
        from crmmail.auth import session_for

        box = settings.mailboxes[mailbox.id]
        if box.provider == "imap":
            return _imap(place, settings, mailbox.id)
        ticket = session_for(mailbox.id, box, tokens(place, settings))
        if box.provider == "gmail":
            from crmmail.remotes.gmail import Gmail

            return Gmail(
                mailbox.id,
                auth=ticket,
                base_url=box.api_url,
                ca_file=box.ca_file or None,
                units_per_second=box.quota_per_second,
                headers_first=months(box) is not None,
            )
        from crmmail.remotes.graph import Graph

        return Graph(mailbox.id, auth=ticket, base_url=box.api_url, ca_file=box.ca_file or None)

    return connect


def index_of(place: config.Profile, name: str) -> Path:
    """Where an IMAP mailbox keeps which number is which message; may be deleted at any time."""
    return place.cache_dir / f"imap-{name}.db"


def forget(place: config.Profile, settings: config.Settings, name: str) -> None:
    """End the session of a mailbox and delete what lies of it outside the store."""
    from crmmail.auth.connect import sign_out

    sign_out(name, settings.mailboxes[name], tokens(place, settings))
    index = index_of(place, name)
    for path in (index, *(index.with_name(index.name + end) for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)


def _imap(place: config.Profile, settings: config.Settings, name: str) -> Remote:
    from crmmail.auth.password import PasswordSession, user_of
    from crmmail.remotes import probe
    from crmmail.remotes.imap import Imap

    box = settings.mailboxes[name]
    return Imap(
        name,
        login=PasswordSession(name, user_of(box), tokens(place, settings)).login(),
        server=probe.reading(box),
        index=index_of(place, name),
        smtp=probe.writing(box),
        address=box.address,
        sent_copy=box.sent_copy,
        labels=capabilities(box).labels,
    )

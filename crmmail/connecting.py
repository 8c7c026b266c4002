"""What is found out and tried before a mailbox is connected, as values: the shell prints them, the guide shows them.

`signing` is the same for what happens while somebody signs in with a provider.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from crmmail.signing import Done

TLS, STARTTLS = "tls", "starttls"
IMAP_PORT = {TLS: 993, STARTTLS: 143}
SMTP_PORT = {TLS: 465, STARTTLS: 587}


class Kind(enum.StrEnum):
    """Who keeps a mailbox, as far as that decides how to connect."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"
    IMAP = "imap"  # servers are known or told
    UNKNOWN = "unknown"  # they have to be asked for


class Source(enum.StrEnum):
    """Where it is known from."""

    DOMAIN = "domain"  # the address's own domain is one of the provider's
    MX = "mx"
    SRV = "srv"
    AUTOCONFIG = "autoconfig"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A host and how to speak to it: TLS from the first byte, or STARTTLS, and then never without."""

    host: str = ""
    port: int = 0
    security: str = TLS


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of an address. `user` is what to log in with, `page` where its provider explains how."""

    address: str
    kind: Kind = Kind.UNKNOWN
    name: str = ""  # the provider's
    imap: Server = Server()
    smtp: Server = Server()
    user: str = ""
    app_password: bool = False  # the account's own password does not work
    page: str = ""
    ca_file: str = ""  # where its servers have a certificate of their own
    source: Source = Source.NOTHING

    @property
    def domain(self) -> str:
        """The part behind the @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Form:
    """A mailbox as it was typed in, to be tried and then kept. The password never shows in a repr.

    `name`: of a mailbox there is, whose settings and password are replaced. `gmail`: through Gmail's own servers.
    """

    address: str
    user: str = ""
    password: str = field(default="", repr=False)
    imap: Server = Server()
    smtp: Server = Server()
    ca_file: str = ""
    name: str = ""
    title: str = ""  # what the sidebar calls it
    token_store: str = ""  # '' as set before, keyring, file
    gmail: bool = False


def draft(found: Found) -> Form:
    """The form to begin with: what is known is filled in."""
    gmail = found.kind is Kind.GOOGLE
    return Form(found.address, found.user or found.address, "", found.imap, found.smtp, found.ca_file, gmail=gmail)


class Part(enum.StrEnum):
    """What is tried, in this order; each needs the ones before it."""

    FORM = "form"  # what was typed can be tried at all
    NAME = "name"  # the server's name leads to an address
    PORT = "port"  # something answers there
    TLS = "tls"  # it proves who it is
    LOGIN = "login"
    FOLDERS = "folders"
    SENDING = "sending"
    # of a mailbox that signs in with its provider
    SESSION = "session"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was tried, of the server `side` (imap, smtp, '' for neither).

    `field`: the Form's field to mend, '' when it is none; `code`: the exit code a failure asks for.
    """

    side: str
    part: Part
    sentence: str
    ok: bool = True
    next_step: str = ""
    field: str = ""
    code: int = 0


class Setup(Protocol):
    """Finds out, tries and keeps, for one profile. Every method may take seconds: call it in a thread."""

    def recognise(self, address: str) -> Found:
        """Who keeps the mailbox `address`. Raises SettingsError for what is no address."""
        ...

    def form_of(self, name: str) -> Form:
        """The form of the mailbox `name`, without its password. Raises SettingsError when there is none."""
        ...

    def tried(self, form: Form) -> Iterator[Checked]:
        """Try the form, one step after the other; each is told when it is done. Keeps nothing."""
        ...

    def keep(self, form: Form) -> Done:
        """Put the mailbox into the settings and its password where secrets are kept. Raises CrmMailError."""
        ...

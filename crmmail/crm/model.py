"""The nouns of the CRM side. Frozen values without behaviour beyond small properties; standard library only.

An account is a customer (a company or a person), a contact a person of it, a link what binds a message to an account.
`id` is ours and stable; `crm` and `remote_id` say where an account or contact is mirrored from ('' : only here).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from crmmail.model import Address, Draft, Row

LOCAL = ""
"""`crm` of what exists only here."""


class Visibility(enum.StrEnum):
    """How much of a message a CRM is told."""

    METADATA = "metadata"  # who, when, direction
    SUBJECT = "subject"
    FULL = "full"  # and the text


@dataclass(frozen=True, slots=True)
class Account:
    """A customer. `domains` are lower-case and ASCII; `tax_id` holds digits and capitals only (`crm.tax` formats it).

    `fields` are the custom ones, (name, value). `visibility` None: as the mailbox's setting says.
    """

    id: str
    name: str
    domains: tuple[str, ...] = ()
    tax_id: str = ""
    website: str = ""
    phone: str = ""
    owner: str = ""
    notes: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    visibility: Visibility | None = None
    crm: str = LOCAL
    remote_id: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person of an account ('' : of none yet). `addresses` are lower-case, the first is the preferred one."""

    id: str
    account: str
    name: str
    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    role: str = ""
    crm: str = LOCAL
    remote_id: str = ""


class Reason(enum.IntEnum):
    """Why a message belongs to an account; the greater one is the stronger one."""

    DOMAIN = 1
    ADDRESS = 2
    THREAD = 3
    MANUAL = 4


@dataclass(frozen=True, slots=True)
class Link:
    """A message's bond to an account. `detail` says by what: the address, the domain, or the scope of a choice."""

    message: int
    account: str
    name: str
    reason: Reason
    detail: str = ""


class Ignored(enum.StrEnum):
    """Why a message needs no account."""

    INTERNAL = "internal"  # everybody on it is of one of our own domains
    NO_COUNTERPART = "no_counterpart"  # nobody but the user
    LIST = "list"  # a mailing list nobody known writes to
    NO_REPLY = "no_reply"  # a machine nobody knows
    BULK = "bulk"  # a newsletter, a notice, an automatic answer of nobody known
    NEVER = "never"  # the user said: never for this sender, domain or subject tag
    INVALID_SENDER = "invalid_sender"  # no valid, or a forged, sender: it proves nothing
    CROWD = "crowd"  # so many recipients that it says nothing of who knows whom
    SPAM = "spam"
    TRASH = "trash"
    DRAFT = "draft"


class Bound(enum.StrEnum):
    """The three kinds of verdict: linked + ignored + queued = all."""

    LINKED = "linked"
    IGNORED = "ignored"
    QUEUED = "queued"  # stands in the To-classify queue


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a message's account: linked (`links`), ignored (`why`), or queued (`candidates`, maybe none)."""

    bound: Bound
    links: tuple[Link, ...] = ()
    why: Ignored | None = None
    candidates: tuple[Link, ...] = ()


class Scope(enum.StrEnum):
    """How far a correction reaches: exactly this, and nothing else."""

    MESSAGE = "message"
    THREAD = "thread"
    SENDER = "sender"
    DOMAIN = "domain"


class NeverBy(enum.StrEnum):
    """What a never-rule names."""

    ADDRESS = "address"
    DOMAIN = "domain"  # with its subdomains
    TAG = "tag"  # these words in the subject


@dataclass(frozen=True, slots=True)
class Never:
    """Mail of this sender, domain or subject tag is bound to nothing and never logged."""

    by: NeverBy
    value: str


# what screens show


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One line of the accounts list. `waiting`: conversations whose last word is the customer's."""

    id: str
    name: str
    domain: str
    tax_id: str
    total: int
    unread: int
    waiting: int
    crm: str = LOCAL


class Owes(enum.StrEnum):
    """Who owes whom an answer."""

    NOBODY = "nobody"
    WE = "we"
    THEY = "they"


@dataclass(frozen=True, slots=True)
class FileSeen:
    """An attachment exchanged with an account."""

    message: int
    name: str
    size: int
    when_ms: int
    sent: bool


class LogStatus(enum.StrEnum):
    """Where a message stands with the CRM."""

    NOT_LOGGED = "not_logged"
    ASK = "ask"  # it belongs to several accounts, or was bound anew while it waited: the user decides
    QUEUED = "queued"
    SENDING = "sending"
    LOGGED = "logged"
    FAILED = "failed"


class Unlogged(enum.StrEnum):
    """Why a message is not logged."""

    NO_CRM = "no_crm"  # none is connected
    NOT_CHOSEN = "not_chosen"  # the user has not chosen to log: the default
    OFF = "off"  # the user chose not to
    NO_ACCOUNT = "no_account"
    NOT_IN_CRM = "not_in_crm"  # the account exists only here
    RECEIVED = "received"  # a CRM reached by a dropbox address takes only what we send
    INTERNAL = "internal"
    PRIVATE = "private"
    NEVER = "never"
    INVALID_SENDER = "invalid_sender"
    AUTOMATIC = "automatic"  # lists and machines
    NOT_MAIL = "not_mail"  # a draft, spam, or in the trash
    NO_KEY = "no_key"  # without a Message-ID nothing tells it from its copies
    NOT_HERE = "not_here"  # not downloaded yet
    SEVERAL = "several"  # several accounts: asks


@dataclass(frozen=True, slots=True)
class LogState:
    """What became of logging a message. `op` is 0 when nothing was ever queued."""

    message: int
    status: LogStatus
    why: Unlogged | None = None
    account: str = ""
    crm: str = ""
    op: int = 0
    remote_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogSetting:
    """What the user chose to log, for a mailbox or an account; None: not chosen here, the wider setting counts."""

    on: bool | None = None
    visibility: Visibility | None = None
    attachments: bool | None = None  # their names and contents go along


@dataclass(frozen=True, slots=True)
class Briefing:
    """Everything the panel beside a message shows, from local data."""

    message: int
    verdict: Verdict
    log: LogState
    account: Account | None = None
    contacts: tuple[Contact, ...] = ()  # those of the account who take part in this conversation
    strangers: tuple[Address, ...] = ()  # who takes part and is nobody's contact
    received: Row | None = None  # the last message from the account
    sent: Row | None = None  # the last one to it, by whomever of our side
    owes: Owes = Owes.NOBODY
    since_ms: int = 0  # since when
    drafts: tuple[Draft, ...] = ()
    files: tuple[FileSeen, ...] = ()  # the last ones, both ways, newest first
    identities: tuple[str, ...] = ()  # the user's own addresses used with this account, the latest first
    total: int = 0
    unread: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Week:
    """Mail exchanged in the week that begins at `start_ms` (Monday, UTC)."""

    start_ms: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Figures:
    """An account in numbers. Response times in seconds, the median; None: no answer yet."""

    weeks: tuple[Week, ...]
    our_response: float | None = None
    their_response: float | None = None
    our_answers: int = 0
    their_answers: int = 0


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened with an account: a message of ours (`message` > 0) or an entry of the CRM."""

    when_ms: int
    who: str
    title: str
    text: str = ""
    message_id: str = ""
    remote_id: str = ""
    message: int = 0
    sent: bool = False


# between the store and a CRM's connector


@dataclass(frozen=True, slots=True)
class CrmCapabilities:
    """What a CRM can do. The interface hides what it lacks."""

    create_account: bool = False
    create_contact: bool = False
    log: bool = False
    attachments: bool = False
    timeline: bool = False
    search: bool = False


@dataclass(frozen=True, slots=True)
class RemoteAccount:
    """An account as a CRM tells it."""

    remote_id: str
    name: str
    domains: tuple[str, ...] = ()
    tax_id: str = ""
    website: str = ""
    phone: str = ""
    owner: str = ""
    notes: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()  # the company's own mail addresses, where the CRM keeps such


@dataclass(frozen=True, slots=True)
class RemoteContact:
    """A contact as a CRM tells it; `account` is its account's remote id, '' when it has none."""

    remote_id: str
    account: str
    name: str
    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    role: str = ""


@dataclass(frozen=True, slots=True)
class CrmPage:
    """What a CRM says since the cursor, a page of it; stored with `cursor` in one transaction.

    `complete`: after this page the mirror has seen everything up to the cursor. `progress`: (done, total) of the
    first fill.
    """

    cursor: str
    accounts: tuple[RemoteAccount, ...] = ()
    contacts: tuple[RemoteContact, ...] = ()
    gone_accounts: tuple[str, ...] = ()
    gone_contacts: tuple[str, ...] = ()
    complete: bool = False
    progress: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class LogFile:
    """An attachment that goes along with a log entry."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A message as a CRM is to be told it: exactly this, nothing beside it.

    `key` is its Message-ID. `subject`, `text` and `attachments` are empty where the visibility leaves them out;
    `recipients` hold To and Cc, never Bcc.
    """

    key: str
    account: str  # remote id
    contacts: tuple[str, ...]  # remote ids
    sent: bool  # by our side
    when_ms: int
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    attachments: tuple[LogFile, ...]
    visibility: Visibility


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be created in the CRM."""

    account: Account

    @property
    def key(self) -> str:
        """What makes creating it idempotent: our own id."""
        return self.account.id


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact to be created in the CRM; `account` is the remote id of its account ('' : none)."""

    contact: Contact
    account: str = ""

    @property
    def key(self) -> str:
        """What makes creating it idempotent: our own id."""
        return self.contact.id


CrmOp = LogEntry | NewAccount | NewContact


@dataclass(frozen=True, slots=True)
class CrmAck:
    """The CRM's answer to one op: what it calls the thing now, or why not."""

    key: str
    remote_id: str = ""
    error: Exception | None = None

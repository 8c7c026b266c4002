"""The nouns. Frozen values without behaviour beyond small properties; standard library only.

`account` always means a customer in the CRM, `mailbox` a connected e-mail account. A message's local id is an
integer that sorts by the time it was received, so every list is a range scan (see `message_id`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

# Bits below the received milliseconds: 41 + 12 = 53, so an id survives JSON readers that use doubles (RFC 8259 §6).
ID_SEQUENCE_BITS = 12
MAX_RECEIVED_MS = (1 << 41) - 1


class Role(enum.StrEnum):
    """What a folder is for, whatever its name in whatever language."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    TRASH = "trash"
    SPAM = "spam"
    ARCHIVE = "archive"
    ALL = "all"  # every message outside trash and spam: a view where the server has no such folder
    FAVORITES = "favorites"  # the starred messages: always a view
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a remote can do. The interface hides what it lacks; contract tests skip by it."""

    labels: bool = False  # a message may be in several folders at once (Gmail); else a move replaces
    favorites: bool = False
    archive: bool = False
    trash: bool = True
    delete_forever: bool = False
    send: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """One person as a header names them. `email` is '' when the header held no valid addr-spec."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A connected e-mail account. `id` is a short slug, unique in the profile and stable."""

    id: str
    provider: str  # gmail | outlook | imap
    address: str
    name: str = ""
    color: str = ""
    capabilities: Capabilities = Capabilities()
    position: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """A place in a mailbox.

    `key` names it inside `State.folders`: the role's value for the system folders (`inbox`, `trash`, ...), and
    `x:` + the server's id for all others, so that the pure code never needs a table. `server_total` is what the
    server says it holds (None: not said), `total`/`unread` what the local copy holds.
    """

    mailbox: str
    key: str
    role: Role
    name: str
    remote_id: str
    parent: str = ""
    hidden: bool = False
    total: int = 0
    unread: int = 0
    server_total: int | None = None
    server_unread: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The changeable part of a message: what operations act on."""

    folders: frozenset[str] = frozenset()  # folder keys
    unread: bool = False
    starred: bool = False
    gone: bool = False  # deleted permanently


@dataclass(frozen=True, slots=True)
class Delta:
    """A change of State. `move` replaces all folders; else `add`/`remove` act on the set. None leaves a flag alone."""

    move: str | None = None
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()
    unread: bool | None = None
    starred: bool | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the message list: exactly what it paints."""

    id: int
    mailbox: str
    remote_id: str
    thread: int
    thread_count: int
    subject: str
    sender: str  # display text: name, else address; recipients in sent and drafts folders
    sender_email: str
    snippet: str
    received_ms: int  # server time, ms since the epoch, UTC
    unread: bool
    starred: bool
    has_attachments: bool
    pending: bool = False  # an op on it waits for the server
    account: str = ""  # name of the CRM account it is linked to


@dataclass(frozen=True, slots=True)
class Attachment:
    """A leaf part that is not the body. `name` is safe to show and to save under; `part` its index in the message."""

    part: int
    name: str
    content_type: str
    size: int  # bytes, decoded
    inline: bool = False
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A numbered link of a body. `host` is where it really goes; `mismatch` when its text claims another host."""

    number: int
    text: str
    url: str
    host: str
    mismatch: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A message made readable. `text` is clean (no controls but newline), ready for lines to be cut from it."""

    text: str
    links: tuple[Link, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    blocked_images: int = 0
    from_html: bool = False
    flags: tuple[str, ...] = ()  # warnings: "invalid_sender", "ambiguous_structure", "truncated", ...
    html_text: str = ""  # the HTML alternative as text, where both exist and differ
    too_complex: bool = False


@dataclass(frozen=True, slots=True)
class Headers:
    """The decoded headers a reader shows; every value clean, one line, capped."""

    subject: str = ""
    sender: Address = Address("", "")
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    date_ms: int | None = None  # what the Date header claims, ms UTC; lists sort by server time instead
    message_id: str = ""  # with angle brackets, '' when missing or malformed
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    list_id: str = ""
    bulk: bool = False  # goes to many, or a program wrote it: a newsletter, a notice, an automatic answer


@dataclass(frozen=True, slots=True)
class Parsed:
    """What `mail.parse` reads from raw bytes."""

    headers: Headers
    body: Body
    snippet: str
    size: int


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message as the reader needs it."""

    row: Row
    headers: Headers
    body: Body | None  # None: not downloaded yet
    state: State
    size: int = 0


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as a remote tells it. `raw` None: only the metadata is known yet.

    `state` None in an update: the server said nothing of it; `raw` wins over `headers` where both are there.
    """

    remote_id: str
    state: State | None
    received_ms: int
    raw: bytes | None = None
    headers: Headers | None = None
    snippet: str = ""
    size: int = 0
    remote_thread: str = ""
    has_attachments: bool = False


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of a message the remote did not send whole. None: unchanged."""

    remote_id: str
    state: State | None = None
    delta: Delta | None = None  # applied to the base where only the difference was told (Gmail history)


@dataclass(frozen=True, slots=True)
class Page:
    """What a remote says since the cursor, a page of it.

    `cursor` is stored in the same transaction as the page. `complete` says that after this page the local copy
    has seen everything up to the cursor. `keep`: in a full resync, the remote ids that exist in `scope` (None: the
    whole mailbox; else a folder key); what is not among them is removed, behind the fuse.
    """

    cursor: str
    upserts: tuple[Incoming, ...] = ()
    patches: tuple[Patch, ...] = ()
    removals: tuple[str, ...] = ()  # remote ids
    folders: tuple[Folder, ...] | None = None  # the complete folder list, when it was read
    keep: frozenset[str] | None = None
    scope: str | None = None
    complete: bool = False
    progress: tuple[int, int] | None = None  # (done, total) messages of a first fill


@dataclass(frozen=True, slots=True)
class Wish:
    """What one message should become on the server: the compacted fold of its pending ops."""

    remote_id: str
    delta: Delta
    base: State
    message_id: str = ""  # its Message-ID header, to find it again where ids move


@dataclass(frozen=True, slots=True)
class Ack:
    """The server's answer to one Wish: its new truth, or why not. `remote_id_now` where the id changed."""

    remote_id: str
    state: State | None = None
    error: Exception | None = None
    remote_id_now: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What a list shows: a folder of one mailbox, of all (`mailbox` ''), or a search in them."""

    mailbox: str = ""
    folder: str = Role.INBOX.value
    text: str = ""
    unread: bool | None = None
    starred: bool | None = None
    account: str = ""


class OpState(enum.StrEnum):
    """Where an op stands."""

    PENDING = "pending"
    SENDING = "sending"  # claimed by the sync thread
    DONE = "done"
    REJECTED = "rejected"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Op:
    """One message's share of an act the server has not confirmed yet (or has, when `state` is done)."""

    id: int
    act: int
    mailbox: str
    remote_id: str
    kind: str
    delta: Delta
    before: State
    state: OpState
    attempts: int = 0
    not_before: float = 0.0  # seconds since the epoch
    error: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """What the user did, in one go: the unit of undo. `count` messages; `subject` of the one when it is one."""

    id: int
    kind: str
    count: int
    created_ms: int
    state: str  # done | undone | dead (no longer redoable) | final (cannot be undone)
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What moved in the store; carries no rows. Merge with `|`."""

    folders: frozenset[tuple[str, str]] = frozenset()  # (mailbox, folder key) whose lists changed
    messages: frozenset[int] = frozenset()  # ids whose row or body changed
    mailboxes: frozenset[str] = frozenset()  # whose status or folder list changed
    arrived: frozenset[int] = frozenset()  # new unread mail in an inbox
    rejected: tuple[tuple[int, str], ...] = ()  # (act id, sentence)
    outbox: bool = False
    accounts: frozenset[str] = frozenset()  # ids of CRM accounts whose record, links or log states changed
    crm: bool = False  # the accounts list, the rules or the log queue differ
    parted: frozenset[int] = frozenset()  # drafts that another client has changed too: both versions are kept

    def __or__(self, other: Change) -> Change:
        return Change(
            self.folders | other.folders,
            self.messages | other.messages,
            self.mailboxes | other.mailboxes,
            self.arrived | other.arrived,
            self.rejected + other.rejected,
            self.outbox or other.outbox,
            self.accounts | other.accounts,
            self.crm or other.crm,
            self.parted | other.parted,
        )

    def __bool__(self) -> bool:
        parts = (self.folders, self.messages, self.mailboxes, self.arrived, self.rejected, self.accounts, self.parted)
        return any(parts) or self.outbox or self.crm


class Phase(enum.StrEnum):
    """What a mailbox's sync is doing. `synced` is only ever said when local and server counts agree."""

    IDLE = "idle"
    FILLING = "filling"
    SYNCING = "syncing"
    SYNCED = "synced"
    OFFLINE = "offline"
    WAITING = "waiting"  # told to come back later
    SIGN_IN = "sign_in"
    PAUSED = "paused"  # the fuse, or a full disk: needs the user
    HELD = "held"  # the user wants it not to be synchronised
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Status:
    """A mailbox's sync status as it is said, not guessed."""

    mailbox: str
    phase: Phase
    sentence: str = ""
    next_step: str = ""
    done: int = 0
    total: int = 0
    at: float = 0.0  # seconds since the epoch: last time the server was fully heard
    retry_at: float = 0.0
    missing: Mapping[str, int] = field(default_factory=dict)  # folder key → server count minus local count


@dataclass(frozen=True, slots=True)
class Identity:
    """An address of ours that mail can be sent from. Gmail replaces an unverified one silently, so it is told apart."""

    mailbox: str
    address: Address
    default: bool = False
    verified: bool = True
    signature: str = ""  # plain text
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file attached to a draft; its content is kept in the store under `digest` (SHA-256, hex)."""

    name: str
    content_type: str
    size: int  # bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A message being written. An address with an empty `email` holds in `name` what was typed and is not valid."""

    id: int
    mailbox: str = ""  # '' while no mailbox is connected
    sender: str = ""  # the identity's address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    cursor: int = 0  # characters into `text`
    markdown: bool = False
    kind: str = "new"  # mail.reply.Kind
    parent: int = 0  # local id of the message replied to or forwarded, 0: none
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    remote_thread: str = ""
    enclosures: tuple[Enclosure, ...] = ()
    account: str = ""  # id of the CRM account it is written for
    remote_id: str = ""  # the server's draft, '' when it has none yet
    saved_ms: int = 0
    revision: int = 0


class SendState(enum.StrEnum):
    """Where an outgoing message stands, as a person tells the states apart."""

    HELD = "held"  # within the undo window, or for a later time
    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"  # by the server
    SEEN = "seen"  # found in Sent
    FAILED = "failed"
    UNKNOWN = "unknown"  # whether it went out must be looked up, or asked
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way out. `mime` lies in the store; its digest proves that what goes is what was queued."""

    id: int
    draft: int
    mailbox: str
    state: SendState
    subject: str
    recipients: tuple[str, ...]
    message_id: str  # ours, as queued; the server may replace it
    digest: str
    token: str  # our own header X-Crmmail-Id
    not_before: float = 0.0  # seconds since the epoch
    attempts: int = 0
    remote_draft: str = ""
    remote_id: str = ""  # the sent copy
    sent_message_id: str = ""  # as read back from the server
    remote_thread: str = ""
    error: str = ""


def message_id(received_ms: int, sequence: int) -> int:
    """The local id for a message received at `received_ms` (clamped to 1970..2039), `sequence` telling twins apart."""
    clamped = min(max(received_ms, 0), MAX_RECEIVED_MS)
    return (clamped << ID_SEQUENCE_BITS) | (sequence & ((1 << ID_SEQUENCE_BITS) - 1))

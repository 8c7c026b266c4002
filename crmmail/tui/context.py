"""What a command may ask of the screen: which pane has the keys, and what stands in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from crmmail.ops import Verb

LIST, READER, SIDEBAR, OUTBOX, COMPOSE = "list", "reader", "sidebar", "outbox", "compose"
MAILBOXES, PANEL, ACCOUNTS, LOGGING = "mailboxes", "panel", "accounts", "logging"
MAIL = frozenset({LIST, READER})
MAIN = frozenset({LIST, READER, SIDEBAR, PANEL})
ANYWHERE = MAIN | {OUTBOX, MAILBOXES, ACCOUNTS, LOGGING}
NOWHERE = "nowhere"  # the terminal is too small to show what a key would act on


@dataclass(frozen=True, slots=True)
class Context:
    """What the screen shows at this moment, as far as commands care."""

    pane: str = LIST
    folder: str = "inbox"
    rows: int = 0  # lines in the list
    targets: int = 0  # messages an act would touch
    selected: int = 0
    verbs: frozenset[Verb] = frozenset()  # what at least one target allows
    reading: bool = False  # the reader is open
    thread: int = 0  # messages in the open message's thread
    links: int = 0
    attachments: int = 0
    quotes: bool = False  # the open message has quoted text to fold
    cut: bool = False  # only its beginning is shown
    searching: bool = False
    undoable: bool = False
    redoable: bool = False
    favorites: bool = False  # some mailbox has them
    mailboxes: int = 1
    box: str = ""  # provider of the mailbox under the cursor of the Mailboxes screen
    held: bool = False  # it is paused by the user
    trouble: str = ""  # sign_in | paused: what a mailbox needs the user for
    outbox: int = 0
    sending: str = ""  # state of the outgoing message under the outbox's cursor
    acts: int = 0  # changes of messages there
    sends: bool = False  # a mailbox can send, or there is none yet
    draft: bool = False  # the cursor is on a draft that only this computer has
    cleared: bool = False  # the composer's fields were cleared a moment ago
    unsendable: bool = False  # what was sent last may still be brought back
    account: bool = False  # what is shown belongs to an account
    candidates: int = 0  # accounts the message to classify may belong to
    narrowed: bool = False  # the list holds one account's mail only
    detail: bool = False  # the account's own view is open
    logging: str = ""  # state of what is under the cursor of the list of what a CRM is told
    logs_mail: bool = False  # it is a message, and it is here

"""The tables of both files, and how an older file becomes a current one.

`desk.db` is the connection's main database and `cache.db` is attached as `cache`; no table name occurs in both, so
only statements that create things need the prefix. A new file is made by one script; an older one is led up by
`STEPS`, each a function of a `sqlite_utils.Database` (imported only then: it costs 0.17 s).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from crmmail.errors import StoreError
from crmmail.i18n import _

DESK_VERSION = 5
CACHE_VERSION = 8

Step = Callable[[Any], None]
"""One migration: takes a sqlite_utils.Database on the file, within a transaction."""

DESK = """
CREATE TABLE main.act (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    subject TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX main.act_state ON act(state, id);
-- One message's share of an act. `back` 0 leads to what the act wanted, 1 to what was before it (undo).
CREATE TABLE main.op (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    act INTEGER NOT NULL,
    mailbox TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    delta TEXT NOT NULL,
    before TEXT NOT NULL,
    message_id TEXT NOT NULL,
    back INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    hash BLOB NOT NULL
);
CREATE INDEX main.op_act ON op(act);
CREATE INDEX main.op_message ON op(mailbox, remote_id, id);
CREATE INDEX main.op_open ON op(mailbox, remote_id, id) WHERE state IN ('pending', 'sending');
CREATE INDEX main.op_queue ON op(mailbox, id) WHERE state IN ('pending', 'sending');
CREATE INDEX main.op_rejected ON op(id) WHERE state = 'rejected';
-- Rows whose content no longer fits its hash: kept to be looked at, never sent.
CREATE TABLE main.quarantine (id INTEGER PRIMARY KEY, source TEXT NOT NULL, content TEXT NOT NULL, at INTEGER);
"""

# What the user writes. Statements of their own, so that a migration can run them within its transaction; terse, so that
# the schema stays on the file's first page, which `salvage` knows how to replace.
# A draft's `content` is all of it but what the columns say; `enclosed`: the revision in which a file was attached last;
# `pushed`: the revision the server has; `attempt`: a save there without an answer;
# `parted`: another client has changed it too, and both stay. A `draft_turn` belongs to an act:
# `other` is the content that undo, or redo, puts in the place of the draft's. A blob is a file or a whole message,
# found by its SHA-256.
WRITING = (
    """CREATE TABLE main.draft (
id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox TEXT, state TEXT, content TEXT, revision INT, saved_ms INT, enclosed INT,
remote_draft TEXT, remote_message TEXT, remote_digest TEXT, pushed INT, attempt TEXT DEFAULT '', parted INT DEFAULT 0,
hash BLOB)""",
    "CREATE INDEX main.draft_state ON draft(state, mailbox)",
    "CREATE TABLE main.draft_turn (act INTEGER PRIMARY KEY, draft INT, other TEXT, hash BLOB)",
    "CREATE TABLE main.blob (id INTEGER PRIMARY KEY, digest TEXT UNIQUE, packed INT, content BLOB)",
    """CREATE TABLE main.outgoing (
id INTEGER PRIMARY KEY AUTOINCREMENT, draft INT, mailbox TEXT, subject TEXT, recipients TEXT, message_id TEXT,
digest TEXT, token TEXT UNIQUE, hash BLOB, state TEXT, not_before REAL, attempts INT, remote_draft TEXT,
remote_id TEXT, sent_message_id TEXT, remote_thread TEXT, error TEXT, changed_ms INT)""",
    "CREATE INDEX main.outgoing_state ON outgoing(state, mailbox)",
    "CREATE TABLE main.identity (mailbox TEXT PRIMARY KEY, content TEXT)",
    "CREATE TABLE main.forgotten (email TEXT PRIMARY KEY, at_ms INT)",
)
DESK += ";\n".join(WRITING) + ";\n"


# The CRM side: every record (account, contact, choice, setting) as a sealed text under its kind and key, so that one
# journal of edits (what was before, what is after; `act` 0: nothing to undo) serves undo, import, merge and mirror.
# `crm_op` is the outbox to the CRMs; its `key` makes an entry unique whatever is asked how often.
CUSTOMERS = (
    """CREATE TABLE main.record (
id INTEGER PRIMARY KEY, kind TEXT, key TEXT, content TEXT, hash BLOB, UNIQUE(kind, key))""",
    "CREATE TABLE main.edit (id INTEGER PRIMARY KEY AUTOINCREMENT, act INT, content BLOB, hash BLOB)",
    "CREATE INDEX main.edit_act ON edit(act)",
    """CREATE TABLE main.crm_op (id INTEGER PRIMARY KEY AUTOINCREMENT, crm TEXT, key TEXT, state TEXT, content TEXT,
hash BLOB, attempts INT, not_before REAL, remote TEXT, error TEXT, UNIQUE(crm, key))""",
    "CREATE INDEX main.crm_op_state ON crm_op(state, crm)",
)
DESK += ";\n".join(CUSTOMERS) + ";\n"


def _add_writing(database: Any) -> None:
    for statement in WRITING:
        database.conn.execute(statement.replace(", attempt TEXT DEFAULT '', parted INT DEFAULT 0", ""))


def _add_attempt(database: Any) -> None:
    database.conn.execute("ALTER TABLE draft ADD COLUMN attempt TEXT DEFAULT ''")


def _add_parted(database: Any) -> None:
    database.conn.execute("ALTER TABLE draft ADD COLUMN parted INT DEFAULT 0")


def _add_customers(database: Any) -> None:
    for statement in CUSTOMERS:
        database.conn.execute(statement)


# The people of all mailboxes, by address without case; every column is derived from messages.
PEOPLE = (
    """CREATE TABLE cache.person (
    email TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    words TEXT NOT NULL,                     -- what they are found by
    score REAL NOT NULL,
    sent_ms INTEGER NOT NULL,                -- when they were written to last, 0: never
    heard_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) WITHOUT ROWID""",
    "CREATE INDEX cache.person_rank ON person(score DESC, words)",
    "CREATE INDEX cache.person_lately ON person(last_ms)",
    "CREATE TABLE cache.person_word (word TEXT, email TEXT, PRIMARY KEY (word, email)) WITHOUT ROWID",
)
# Who is written to together with whom, both ways.
PAIRS = "CREATE TABLE cache.person_pair (email TEXT, other TEXT, score REAL, PRIMARY KEY (email, other)) WITHOUT ROWID"


# All derived: from the desk's records (accounts, contacts, what they are found by), and from these and the mail
# (`bond`: whose each message is; `party`: who takes part in it).
DIRECTORY = (
    """CREATE TABLE cache.account (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, sort TEXT NOT NULL, domain TEXT NOT NULL,
    tax_id TEXT NOT NULL, crm TEXT NOT NULL, remote TEXT NOT NULL)""",
    "CREATE INDEX cache.account_remote ON account(crm, remote) WHERE crm != ''",
    """CREATE TABLE cache.account_line (sort TEXT, account INTEGER, words TEXT, PRIMARY KEY (sort, account))
    WITHOUT ROWID""",
    "CREATE TABLE cache.account_word (word TEXT, account INTEGER, PRIMARY KEY (word, account)) WITHOUT ROWID",
    # How many accounts a beginning of one to three letters finds, while one types.
    "CREATE TABLE cache.account_start (start TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE cache.contact (
    uid TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, crm TEXT NOT NULL, remote TEXT NOT NULL)
    WITHOUT ROWID""",
    "CREATE INDEX cache.contact_account ON contact(account)",
    "CREATE INDEX cache.contact_remote ON contact(crm, remote) WHERE crm != ''",
    # `key`: an address, or @ and a domain. `contact` '' where the account itself has it.
    """CREATE TABLE cache.handle (key TEXT, account TEXT, contact TEXT, PRIMARY KEY (key, account, contact))
    WITHOUT ROWID""",
    "CREATE INDEX cache.handle_owner ON handle(contact, account)",
    """CREATE TABLE cache.bond (
    message INTEGER PRIMARY KEY,
    twin INTEGER NOT NULL,                   -- the same for every copy of one Message-ID from one sender
    people TEXT NOT NULL,                    -- who takes part (crm.match.People)
    evidence TEXT NOT NULL,                  -- what they say (crm.match.Evidence)
    bound TEXT NOT NULL,
    accounts TEXT NOT NULL,                  -- ids, linked or candidates, comma between
    verdict TEXT NOT NULL,                   -- all of it
    placed TEXT NOT NULL,                    -- the lists over all mailboxes it stands in: their keys
    flags INTEGER NOT NULL,
    weighed INTEGER NOT NULL)                -- the edit of the desk up to which the evidence is known
    """,
    "CREATE INDEX cache.bond_twin ON bond(twin)",
    # `reversed`: com.example.acme@rui for rui@acme.example, so that a domain with all below it is one range.
    "CREATE TABLE cache.party_address (id INTEGER PRIMARY KEY, reversed TEXT NOT NULL UNIQUE)",
    "CREATE TABLE cache.party (address INTEGER, message INTEGER, PRIMARY KEY (address, message)) WITHOUT ROWID",
    # Linked mail that is to be looked at for logging.
    "CREATE TABLE cache.log_wanted (message INTEGER PRIMARY KEY)",
    # What a CRM's timeline of an account held when it was read last.
    "CREATE TABLE cache.timeline (account TEXT PRIMARY KEY, read_ms INTEGER NOT NULL, content TEXT NOT NULL)",
    # `seen`: the last edit of the desk the tables above know of. `rematch`: whose mail is to be looked at again, and
    # down to which message that is done; `asked`: another for each time it is asked for.
    "CREATE TABLE cache.known (seen INTEGER NOT NULL)",
    """CREATE TABLE cache.rematch (
    key TEXT PRIMARY KEY, asked TEXT NOT NULL, message INTEGER NOT NULL, done INTEGER NOT NULL,
    total INTEGER NOT NULL, edit INTEGER NOT NULL) WITHOUT ROWID""",
)


def _add_directory(database: Any) -> None:
    for statement in DIRECTORY:
        database.conn.execute(statement.replace("cache.", "main."))


def _add_people(database: Any) -> None:
    database.conn.execute("ALTER TABLE message ADD COLUMN counted INTEGER NOT NULL DEFAULT 0")
    for statement in PEOPLE:
        database.conn.execute(statement.replace("cache.", "main."))


def _add_pairs(database: Any) -> None:
    database.conn.execute(PAIRS.replace("cache.", "main."))
    database.conn.execute("DELETE FROM person")  # counted anew, with other weights, at the start that follows


def _add_remote_thread(database: Any) -> None:
    database.conn.execute("ALTER TABLE message ADD COLUMN remote_thread TEXT NOT NULL DEFAULT ''")


def _look_from_the_newest(database: Any) -> None:
    """Mail is looked at again from the newest on, not address by address: what was under way begins anew."""
    if "address" in database["rematch"].columns_dict:  # not where the step before has just made the table
        database.conn.execute("ALTER TABLE rematch RENAME COLUMN address TO asked")
    database.conn.execute("UPDATE rematch SET asked = key, message = -1, done = 0")


def _read_people_again(database: Any) -> None:
    """What a colleague wrote to a customer was noted as the customer's: who takes part is read anew, bit by bit."""
    database.conn.execute(
        "INSERT OR REPLACE INTO rematch(key, asked, message, done, total, edit) "
        "SELECT '*own', lower(hex(randomblob(8))), -1, 0, count(*), 0 FROM message HAVING count(*) > 0"
    )


def _add_spellings(database: Any) -> None:
    """Mail is found by its people's addresses without tags and Gmail's dots too, and contacts are without the dots."""
    from crmmail.store import ties

    run = database.conn.execute
    run(
        "INSERT OR IGNORE INTO handle(key, account, contact) "
        "SELECT replace(substr(key, 1, instr(key, '@') - 1), '.', '') || '@gmail.com', account, contact "
        "FROM handle WHERE contact != '' AND (key LIKE '%@gmail.com' OR key LIKE '%@googlemail.com')"
    )
    for number, turned in run("SELECT id, reversed FROM party_address").fetchall():
        for spelt in ties.spellings(turned):
            run("INSERT OR IGNORE INTO party_address(id, reversed) VALUES (?, ?)", spelt)
            run("INSERT OR IGNORE INTO party SELECT ?, message FROM party WHERE address = ?", (spelt[0], number))
    _read_people_again(database)


# Version it starts from → the step that leads to the next one.
DESK_STEPS: Mapping[int, Step] = {1: _add_writing, 2: _add_customers, 3: _add_attempt, 4: _add_parted}
CACHE_STEPS: Mapping[int, Step] = {
    1: _add_people,
    2: _add_remote_thread,
    3: _add_directory,
    4: _add_pairs,
    5: _look_from_the_newest,
    6: _read_people_again,
    7: _add_spellings,
}

CACHE = """
CREATE TABLE cache.mailbox (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    color TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    position INTEGER NOT NULL,
    cursor TEXT NOT NULL DEFAULT '',
    filled INTEGER NOT NULL DEFAULT 0,       -- a page said `complete` once
    heard_ms INTEGER NOT NULL DEFAULT 0,     -- when the server was last fully heard
    allow_removal INTEGER NOT NULL DEFAULT 0 -- the user's answer to the fuse, until the next complete page
);
CREATE TABLE cache.folder (
    id INTEGER PRIMARY KEY,
    mailbox TEXT NOT NULL,
    key TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    remote_id TEXT NOT NULL DEFAULT '',
    parent TEXT NOT NULL DEFAULT '',
    hidden INTEGER NOT NULL DEFAULT 0,
    listed INTEGER NOT NULL DEFAULT 0,       -- the server named it in its last folder list
    total INTEGER NOT NULL DEFAULT 0,        -- of the projected membership, as `place` holds it
    unread INTEGER NOT NULL DEFAULT 0,
    server_total INTEGER,
    server_unread INTEGER,
    removed INTEGER NOT NULL DEFAULT 0,      -- taken out by pages since the last complete one: the fuse counts them
    UNIQUE (mailbox, key)
);
-- `id` sorts by the time received. `base`: what the server last said; `shown`: base with the open ops folded over
-- it (NULL: not placed yet). The flags beside them are those of `shown`.
CREATE TABLE cache.message (
    id INTEGER PRIMARY KEY,
    mailbox TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    thread INTEGER NOT NULL,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,
    sender_email TEXT NOT NULL,
    recipients TEXT NOT NULL,
    snippet TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    has_attachments INTEGER NOT NULL,
    size INTEGER NOT NULL,
    unread INTEGER NOT NULL DEFAULT 0,
    starred INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    whole INTEGER NOT NULL DEFAULT 0,        -- 1: the raw message is here; 2: the server has none to give
    base TEXT NOT NULL,
    shown TEXT,
    message_id TEXT NOT NULL,
    counted INTEGER NOT NULL DEFAULT 0,      -- for the completion of recipients
    remote_thread TEXT NOT NULL DEFAULT '',  -- the server's own id of its conversation: a reply must name it
    UNIQUE (mailbox, remote_id)
);
CREATE INDEX cache.message_thread ON message(thread, id);
CREATE INDEX cache.message_unfetched ON message(mailbox, id) WHERE whole = 0;
CREATE INDEX cache.message_pending ON message(id) WHERE pending = 1;
-- The projected membership, views included: every list is a range of this. flags: 1 unread, 2 starred.
CREATE TABLE cache.place (
    folder INTEGER NOT NULL,
    message INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (folder, message)
) WITHOUT ROWID;
CREATE TABLE cache.thread (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE cache.thread_key (key INTEGER PRIMARY KEY, thread INTEGER NOT NULL);
CREATE TABLE cache.raw (message INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE cache.body (message INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE cache.wanted (mailbox TEXT NOT NULL, remote_id TEXT NOT NULL, PRIMARY KEY (mailbox, remote_id))
    WITHOUT ROWID;
-- detail=column halves the index (reference: 116 → 63 MB at 100,000); phrases become "all of these words".
CREATE VIRTUAL TABLE cache.search USING fts5(
    subject, sender, recipients, text,
    content='', detail=column, columnsize=0, tokenize="unicode61 remove_diacritics 2"
);
"""

CACHE += ";\n".join((*PEOPLE, PAIRS, *DIRECTORY)) + ";\n"


def version(connection: sqlite3.Connection, name: str) -> int:
    """The schema version of the database attached as `name`; 0 for a new file."""
    return int(connection.execute(f"PRAGMA {name}.user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, name: str, current: int) -> None:
    """Raise StoreError when the file was written by a newer crmmail: nothing may be written to it."""
    if version(connection, name) > current:
        raise StoreError(
            _("The local copy was written by a newer version of crmmail."),
            next_step=_("Update crmmail; nothing was changed."),
        )


def create(connection: sqlite3.Connection, name: str, script: str, current: int) -> None:
    """Make the tables of a new file, in one transaction."""
    connection.executescript(f"BEGIN IMMEDIATE;{script}PRAGMA {name}.user_version = {current};COMMIT;")


def migrate(connection: sqlite3.Connection, current: int, steps: Mapping[int, Step]) -> None:
    """Lead the main database of `connection` up to version `current`, all steps in one transaction."""
    import sqlite_utils

    database = sqlite_utils.Database(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for before in range(version(connection, "main"), current):
            steps[before](database)
        connection.execute(f"PRAGMA main.user_version = {current}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()

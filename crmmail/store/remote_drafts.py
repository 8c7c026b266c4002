"""The server's copies of what the user writes: what it must hear of, what was tried and not answered, what it changed.

A draft and its copy are one while `remote_digest` is what the copy says (its people, its text, its files: servers write
the same message anew with other boundaries). Each try to save is written down before it is made (`attempt`: the words
and the token they went under), so that after a lost answer the same try is made again and finds what it left.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crmmail.model import Address, Draft, Enclosure, Role
from crmmail.store import blobs, codec, drafts
from crmmail.store.blobs import Blob
from crmmail.store.drafts import ELSEWHERE, OPEN, Kept
from crmmail.store.faults import Damaged


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try to save a draft: what it held and the token it carried."""

    token: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Standing:
    """A local draft and the server's copy of it.

    `remote_draft`: the remote's handle ('' when it has none, or it is not known yet), `remote_message`: the message
    that stands for it in the Drafts folder, `pushed`: the revision the server has, `attempt`: a try without an answer.
    """

    draft: Draft
    remote_draft: str
    remote_message: str
    pushed: int
    discarded: bool = False
    queued: bool = False
    remote_digest: str = ""
    attempt: Attempt | None = None


def _standing(kept: Kept) -> Standing:
    return Standing(
        kept.draft,
        kept.remote_draft,
        kept.remote_message,
        kept.pushed,
        kept.state == drafts.DISCARDED,
        kept.state == drafts.QUEUED,
        kept.remote_digest,
        _attempt(kept),
    )


def _attempt(kept: Kept) -> Attempt | None:
    """The try that was not answered; None also where it can no longer be read."""
    try:
        token, revision, content = json.loads(kept.attempt)
        return Attempt(str(token), codec.text_draft(content, id=kept.id, mailbox=kept.mailbox, revision=int(revision)))
    except (ValueError, TypeError, Damaged):
        return None


def standings(connection: sqlite3.Connection, mailbox: str) -> list[Standing]:
    """What the server's Drafts folder must still hear: drafts it lacks, discarded ones it still has, open tries."""
    found = drafts.rows(
        connection,
        "mailbox = ? AND (state IN ('open', 'queued') AND attempt != '' OR state = 'open' AND pushed != revision "
        "OR state = 'queued' AND remote_message != '' AND remote_draft = '' "
        "OR state = 'discarded' AND (remote_draft != '' OR remote_message != '' OR attempt != ''))",
        (mailbox,),
    )
    return [_standing(one) for one in found]


def note_attempt(connection: sqlite3.Connection, number: int, attempt: Attempt | None) -> None:
    """Write a try down before it is made, or that none is open."""
    text = ""
    if attempt is not None:
        text = json.dumps([attempt.token, attempt.draft.revision, codec.draft_text(attempt.draft)])
    connection.execute("UPDATE draft SET attempt = ? WHERE id = ?", (text, number))


def note(connection: sqlite3.Connection, number: int, pushed: int, *, parted: bool = False, **remote: str) -> None:
    """What the server calls a draft now, and the revision it has: no try is open. What is queued goes in its place.

    `parted`: another client has changed it too; both stay, and the user is told.
    """
    connection.execute(
        "UPDATE draft SET remote_draft = ?, remote_message = ?, remote_digest = ?, pushed = ?, attempt = '', "
        "parted = max(parted, ?) WHERE id = ?",
        (remote["draft"], remote["message"], remote["digest"], pushed, parted, number),
    )
    connection.execute(
        "UPDATE outgoing SET remote_draft = ? WHERE draft = ? AND attempts = 0 AND state IN ('held', 'queued')",
        (remote["draft"], number),
    )


# What the server did


@dataclass(frozen=True, slots=True)
class Followed:
    """An open draft in which nothing was typed since the server got it. `here`: its copy is in the Drafts folder of the
    local copy; None: the local copy does not have that message (yet, or any more).
    """

    standing: Standing
    message: int
    here: bool | None


def followed(connection: sqlite3.Connection, mailbox: str) -> list[Followed]:
    """The drafts whose copy may have gone another way."""
    where = "mailbox = ? AND state = 'open' AND pushed = revision AND attempt = '' AND remote_message != ''"
    found = []
    for one in drafts.rows(connection, where, (mailbox,)):
        row = connection.execute(
            "SELECT id, base FROM message WHERE mailbox = ? AND remote_id = ?", (mailbox, one.remote_message)
        ).fetchone()
        here = Role.DRAFTS.value in codec.text_state(row[1]).folders if row else None
        found.append(Followed(_standing(one), row[0] if row else 0, here))
    return found


def note_digest(connection: sqlite3.Connection, number: int, message: str, digest: str) -> None:
    """What the copy `message` says, seen for the first time."""
    connection.execute(
        "UPDATE draft SET remote_digest = ? WHERE id = ? AND remote_message = ? AND remote_digest = ''",
        (digest, number, message),
    )


def step_aside(connection: sqlite3.Connection, number: int, revision: int) -> bool:
    """Out of the lists with a draft whose copy was removed, sent or changed elsewhere, unless it was typed in since."""
    changed = connection.execute(
        "UPDATE draft SET state = ?, remote_draft = '', remote_message = '', remote_digest = '', pushed = 0 "
        "WHERE id = ? AND state = ? AND revision = ? AND pushed = revision",
        (ELSEWHERE, number, OPEN, revision),
    )
    return changed.rowcount == 1


def listed(connection: sqlite3.Connection, mailbox: str) -> dict[int, int]:
    """Local id of a message in the Drafts folder → the draft of ours it is the server's copy of."""
    return dict(
        connection.execute(
            "SELECT m.id, d.id FROM draft d CROSS JOIN message m ON m.mailbox = d.mailbox "
            "AND m.remote_id = d.remote_message "
            "WHERE d.state = 'open' AND d.remote_message != '' AND (d.mailbox = ? OR ? = '')",
            (mailbox, mailbox),
        ).fetchall()
    )


def parted(connection: sqlite3.Connection) -> frozenset[int]:
    """The open drafts another client has changed too, as long as they were not opened since."""
    return frozenset(row[0] for row in connection.execute("SELECT id FROM draft WHERE state = 'open' AND parted"))


# A draft begun elsewhere


def digest_of(raw: bytes) -> str:
    """What a draft on the server says: whom it is for, subject, words and files, not how it is written down."""
    draft, _files = from_message("", raw, ())
    people = [[one.email.casefold() for one in some] for some in (draft.to, draft.cc, draft.bcc)]
    said = [draft.subject.split(), people, draft.text.split(), sorted(one.digest for one in draft.enclosures)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def from_message(mailbox: str, raw: bytes, own: Sequence[str]) -> tuple[Draft, list[tuple[Enclosure, Blob]]]:
    """A message of the server's Drafts folder as a draft to go on with, and its files."""
    from crmmail.mail import attachments
    from crmmail.mail.parse import parse

    parsed = parse(raw)
    files = []
    for item in parsed.body.attachments:
        blob = blobs.make(attachments.content(raw, item.part))
        files.append((Enclosure(item.name, item.content_type, blob.size, blob.digest), blob))
    told = parsed.headers
    draft = Draft(
        0,
        mailbox=mailbox,
        sender=next((one for one in own if one.casefold() == told.sender.email.casefold()), told.sender.email),
        to=_plain(told.to),
        cc=_plain(told.cc),
        bcc=_plain(told.bcc),
        subject=told.subject,
        text=parsed.body.text,
        kind="reply" if told.in_reply_to else "new",
        in_reply_to=told.in_reply_to,
        references=told.references,
        enclosures=tuple(enclosure for enclosure, _blob in files),
    )
    return draft, files


def _plain(people: Sequence[Address]) -> tuple[Address, ...]:
    return tuple(one for one in people if one.email or one.name)


def ours(connection: sqlite3.Connection, mailbox: str, message: str) -> Draft | None:
    """The open draft whose copy `message` is."""
    found = drafts.rows(connection, "mailbox = ? AND remote_message = ? AND state = 'open'", (mailbox, message))
    return found[0].draft if found else None


def adopt(
    connection: sqlite3.Connection,
    message: str,
    fresh: Draft,
    files: Sequence[tuple[Enclosure, Blob]],
    digest: str,
    now_ms: int,
) -> Draft:
    """Go on with the server's draft `message`.

    Where it is ours and unchanged there, ours goes on. Where it was changed there: ours, when nothing was typed here
    since, takes that over; otherwise both stay, and ours lets go of the server's.
    """
    for _enclosure, blob in files:
        blobs.put(connection, blob)
    query = "SELECT remote_thread FROM message WHERE mailbox = ? AND remote_id = ?"
    thread = connection.execute(query, (fresh.mailbox, message)).fetchone()
    fresh = replace(fresh, remote_thread=thread[0] if thread else "")
    found = drafts.rows(connection, "mailbox = ? AND remote_message = ? AND state = 'open'", (fresh.mailbox, message))
    mine = found[0] if found else None
    if mine is not None and mine.remote_digest in ("", digest):
        return mine.draft
    if mine is not None and mine.pushed == mine.revision:
        taken = replace(fresh, id=mine.id, remote_id="", revision=mine.revision)
        saved = drafts.write(connection, taken, now_ms)
        # The handle names the version that was there before: which one is there now, the next push finds out.
        note(connection, mine.id, saved.revision, draft="", message=message, digest=digest)
        return saved
    if mine is not None:
        note(connection, mine.id, 0, parted=True, draft="", message="", digest="")
    begun = drafts.insert(connection, replace(fresh, remote_id=""), now_ms, message=message, digest=digest)
    connection.execute("UPDATE draft SET pushed = revision WHERE id = ?", (begun.id,))
    return begun

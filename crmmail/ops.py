"""The verbs, as pure functions: what the lists show is `project(base, pending)`.

Nothing here knows a clock, a database or a server. A verb is turned into a `Delta` for each message when the key is
pressed; from then on showing, pushing, compacting and undoing are the same fold.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Sequence

from crmmail.model import Capabilities, Delta, Role, State

INBOX, TRASH, SPAM, ARCHIVE = (role.value for role in (Role.INBOX, Role.TRASH, Role.SPAM, Role.ARCHIVE))
DRAFTS, SENT = Role.DRAFTS.value, Role.SENT.value


class Verb(enum.StrEnum):
    """What the user can do to a message."""

    READ = "read"
    UNREAD = "unread"
    FAVORITE = "favorite"
    UNFAVORITE = "unfavorite"
    TRASH = "trash"
    RECOVER = "recover"
    ARCHIVE = "archive"
    DELETE = "delete"
    RESTORE = "restore"  # undo and redo: back to an exact earlier state


REVERSIBLE = frozenset(Verb) - {Verb.DELETE}


def apply(state: State, delta: Delta) -> State:
    """`state` after `delta`. Adding the folder it is in, or removing one it is not in, changes nothing."""
    folders = frozenset({delta.move}) if delta.move is not None else (state.folders - delta.remove) | delta.add
    return State(
        folders,
        state.unread if delta.unread is None else delta.unread,
        state.starred if delta.starred is None else delta.starred,
        state.gone or delta.gone,
    )


def project(base: State, pending: Iterable[Delta]) -> State:
    """What the lists show: the server's word with everything the user did since folded over it."""
    for delta in pending:
        base = apply(base, delta)
    return base


def allowed(verb: Verb, state: State, can: Capabilities) -> bool:
    """Whether `verb` makes sense for a message in `state` of a mailbox that `can` do these things."""
    in_trash = TRASH in state.folders
    match verb:
        case Verb.READ:
            return state.unread
        case Verb.UNREAD:
            return not state.unread
        case Verb.FAVORITE:
            return can.favorites and not state.starred
        case Verb.UNFAVORITE:
            return can.favorites and state.starred
        case Verb.TRASH:
            return can.trash and not in_trash
        case Verb.RECOVER:
            return in_trash
        case Verb.ARCHIVE:
            return can.archive and INBOX in state.folders and not in_trash
        case Verb.DELETE:
            return can.delete_forever and in_trash
        case Verb.RESTORE:
            return True


def delta_for(verb: Verb, state: State, can: Capabilities, origin: State | None = None) -> Delta:
    """The change `verb` makes to a message now in `state`.

    `origin` is, for RECOVER, what the message was before it was trashed (None: unknown, it goes to the inbox, as
    Gmail's own untrash does not, reference: Gmail API users.messages.untrash) and, for RESTORE, the exact goal.
    """
    match verb:
        case Verb.READ:
            return Delta(unread=False)
        case Verb.UNREAD:
            return Delta(unread=True)
        case Verb.FAVORITE:
            return Delta(starred=True)
        case Verb.UNFAVORITE:
            return Delta(starred=False)
        case Verb.TRASH if can.labels:
            return Delta(add=frozenset({TRASH}), remove=frozenset({INBOX, SPAM}))
        case Verb.TRASH:
            return Delta(move=TRASH)
        case Verb.ARCHIVE if can.labels:
            return Delta(remove=frozenset({INBOX}))
        case Verb.ARCHIVE:
            return Delta(move=ARCHIVE)
        case Verb.RECOVER:
            home = origin or State(_home(state, can), state.unread, state.starred)
            return difference(state, home)
        case Verb.RESTORE:
            return difference(state, origin or state)
        case Verb.DELETE:
            return Delta(gone=True)


def _home(state: State, can: Capabilities) -> frozenset[str]:
    """Where a trashed message of unknown origin belongs: drafts and sent mail keep their place, the rest is inbox."""
    kept = state.folders - {TRASH}
    if can.labels:
        return kept if kept & {DRAFTS, SENT} else kept | {INBOX}
    return frozenset({INBOX})


def difference(before: State, after: State) -> Delta:
    """The delta that leads from `before` to `after`."""
    return Delta(
        add=after.folders - before.folders,
        remove=before.folders - after.folders,
        unread=None if before.unread == after.unread else after.unread,
        starred=None if before.starred == after.starred else after.starred,
        gone=after.gone and not before.gone,
    )


def compact(base: State, pending: Iterable[Delta]) -> Delta | None:
    """One delta with the effect of all `pending` on `base`, or None when they cancel out: nothing to send."""
    after = project(base, pending)
    return None if after == base else difference(base, after)


def certain(base: State, pending: Sequence[Delta], tried: int) -> Delta | None:
    """Like `compact`, for a server that may have made some of the first `tried` of `pending`: the answer was lost.

    The delta leads to the same end from every state the server may be in. None: nothing to send.
    """
    after = project(base, pending)
    ways = [difference(project(base, pending[:count]), after) for count in range(tried + 1)]
    whole = Delta(
        add=frozenset().union(*(way.add for way in ways)),
        remove=frozenset().union(*(way.remove for way in ways)),
        unread=after.unread if any(way.unread is not None for way in ways) else None,
        starred=after.starred if any(way.starred is not None for way in ways) else None,
        gone=after.gone and not base.gone,
    )
    return None if whole == Delta() else whole


def dumps(value: State | Delta) -> str:
    """`value` as compact JSON with sorted keys, for the journal."""
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
    plain = {name: sorted(item) if isinstance(item, frozenset) else item for name, item in fields.items()}
    kept = {name: item for name, item in plain.items() if item is not None and item != []}
    return json.dumps(kept, separators=(",", ":"), sort_keys=True)


def load_state(text: str) -> State:
    """The State that `dumps` wrote."""
    plain = json.loads(text)
    return State(
        frozenset(plain.get("folders", ())),
        plain.get("unread", False),
        plain.get("starred", False),
        plain.get("gone", False),
    )


def load_delta(text: str) -> Delta:
    """The Delta that `dumps` wrote. A flag set to False is kept apart from one left alone."""
    plain = json.loads(text)
    return Delta(
        plain.get("move"),
        frozenset(plain.get("add", ())),
        frozenset(plain.get("remove", ())),
        plain.get("unread"),
        plain.get("starred"),
        plain.get("gone", False),
    )

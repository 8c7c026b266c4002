"""Mail on its way, in words a person can tell apart. Pure."""

from __future__ import annotations

import math

from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Outgoing, SendState
from crmmail.tui import format, words

NEEDS_USER = frozenset({SendState.FAILED, SendState.UNKNOWN})
WAITING = frozenset({SendState.HELD, SendState.QUEUED})
OVER = frozenset({SendState.SEEN, SendState.CANCELLED})
SHOWN_OVER = 20  # messages that have arrived, for orientation: the newest


def shown(everything: list[Outgoing]) -> list[Outgoing]:
    """What the outbox lists: first what needs the user, then what waits, then what went lately."""
    current = [one for one in everything if one.state not in OVER]
    over = [one for one in everything if one.state is SendState.SEEN][-SHOWN_OVER:]
    return sorted([*current, *over], key=lambda one: (_rank(one.state), -one.id))


def _rank(state: SendState) -> int:
    if state in NEEDS_USER:
        return 0
    return {SendState.SENDING: 1, SendState.HELD: 2, SendState.QUEUED: 3, SendState.ACCEPTED: 4}.get(state, 5)


LARGE = 1_000_000  # bytes: what is smaller is through before anybody reads how far it is

Upload = tuple[int, int]  # bytes done, bytes in all


def progress(upload: Upload | None) -> str:
    """How far a large upload is, '' for anything else."""
    if upload is None or upload[1] < LARGE:
        return ""
    done, total = upload
    return _("{done} of {total} ({percent} %)").format(
        done=format.size(done), total=format.size(total), percent=min(100, done * 100 // total)
    )


def state(one: Outgoing, now: float, upload: Upload | None = None) -> str:
    """Where it stands; `upload`: how far it is on its way to the server."""
    match one.state:
        case SendState.HELD | SendState.QUEUED if one.not_before > now:
            if one.not_before - now < 90:
                return _("sends in {seconds} s").format(seconds=math.ceil(one.not_before - now))
            return _("sends {time}").format(time=words.moment(one.not_before))
        case SendState.HELD | SendState.QUEUED:
            return _("queued")
        case SendState.SENDING:
            return f"{_('being sent')}  {progress(upload)}".rstrip()
        case SendState.ACCEPTED:
            return _("accepted by the server")
        case SendState.SEEN:
            return _("sent: seen in Sent")
        case SendState.FAILED:
            return _("not sent")
        case SendState.UNKNOWN:
            return _("unknown whether it went out")
    return _("cancelled")


def line(one: Outgoing, now: float, upload: Upload | None = None) -> tuple[str, str]:
    """What the outbox shows of it: subject and people at the left, its state at the right."""
    people = ", ".join(one.recipients[:2]) + (" …" if len(one.recipients) > 2 else "")
    subject = clean_line(one.subject) or _("(no subject)")
    return f"{subject}  →  {clean_line(people)}", state(one, now, upload)


def explanation(one: Outgoing) -> str:
    """What there is to know, and to decide."""
    if one.state is SendState.UNKNOWN:
        ask = _("The connection broke while it was being sent. Looking again is safe; sending again may send it twice.")
        return f"{one.error} {ask}".strip()
    if one.error:
        return one.error
    if one.state is SendState.ACCEPTED:
        return _("The server has accepted it; it has not shown up in Sent yet.")
    return ""

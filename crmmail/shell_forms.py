"""How the shell shows things: a line for pipes, or JSON (docs/using.md describes it). Nothing is read or written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crmmail import model
from crmmail.i18n import _


def status_json(box: model.Mailbox, status: model.Status | None) -> dict[str, Any]:
    """What a mailbox's sync does, as `crmmail sync --json` documents it."""
    return {
        "id": box.id,
        "state": str(status.phase) if status else str(model.Phase.IDLE),
        "sentence": status.sentence if status else "",
        "next_step": status.next_step if status else "",
        "missing": dict(status.missing) if status else {},
    }


def row_line(row: model.Row) -> str:
    """A message in a list, as one line."""
    from crmmail.tui.format import cells

    marks = ("●" if row.unread else " ") + ("★" if row.starred else " ")
    return f"{row.id}  {marks} {moment(row.received_ms)[:16]}  {cells(row.sender, 24)}  {row.subject}"


def fitting(text: str, width: int) -> str:
    """`text` in exactly `width` cells."""
    from crmmail.tui.format import cells

    return cells(text, width)


def row_json(row: model.Row) -> dict[str, Any]:
    """A message in a list, as `crmmail list --json` documents it."""
    return {
        "id": row.id,
        "mailbox": row.mailbox,
        "thread": row.thread,
        "from": {"name": row.sender, "email": row.sender_email},
        "subject": row.subject,
        "snippet": row.snippet,
        "received": moment(row.received_ms),
        "unread": row.unread,
        "favorite": row.starred,
        "attachments": row.has_attachments,
        "waiting": row.pending,
        "account": row.account or None,
    }


def message_json(message: model.Message) -> dict[str, Any]:
    """A whole message, as `crmmail show --json` documents it."""
    headers, body = message.headers, message.body
    people = {name: [vars_of(one) for one in getattr(headers, name)] for name in ("to", "cc", "bcc", "reply_to")}
    return {
        **row_json(message.row),
        "from": vars_of(headers.sender),
        **people,
        "message_id": headers.message_id,
        "in_reply_to": headers.in_reply_to,
        "references": list(headers.references),
        "folders": sorted(message.state.folders),
        "size": message.size,
        "downloaded": body is not None,
        "text": body.text if body else None,
        "links": [{"number": link.number, "url": link.url, "host": link.host} for link in body.links] if body else [],
        "attachment_list": [
            {"part": item.part, "name": item.name, "type": item.content_type, "size": item.size}
            for item in (body.attachments if body else ())
        ],
        "warnings": list(body.flags) if body else [],
    }


def vars_of(address: model.Address) -> dict[str, str]:
    """An address as JSON."""
    return {"name": address.name, "email": address.email}


def as_text(message: model.Message) -> str:
    """A whole message to read."""
    headers = message.headers
    lines = [(_("From"), [headers.sender]), (_("To"), headers.to), (_("Cc"), headers.cc)]
    shown = [f"{label}: " + ", ".join(_person(one) for one in people) for label, people in lines if people]
    shown.append(f"{_('Date')}: {moment(message.row.received_ms)}")
    shown.append(f"{_('Subject')}: {headers.subject}")
    text = message.body.text if message.body else _("(not downloaded yet)")
    return "\n".join([*shown, "", text])


def _person(address: model.Address) -> str:
    if not address.email:
        return address.name or _("(invalid address)")
    return f"{address.name} <{address.email}>" if address.name else address.email


def op_line(op: model.Op, subject: str) -> str:
    """What waits for a server in a line: act, mailbox, verb, state, subject (of an act on one message), error."""
    from crmmail.mail.text import clean_line

    return "\t".join(clean_line(str(field)) for field in (op.act, op.mailbox, op.kind, op.state, subject, op.error))


def op_json(op: model.Op, subject: str) -> dict[str, Any]:
    """What waits for a server, as `crmmail outbox --json` documents it; `subject`: of an act on one message."""
    return {
        "act": op.act,
        "mailbox": op.mailbox,
        "message": op.remote_id,
        "verb": op.kind,
        "state": str(op.state),
        "subject": subject or None,
        "attempts": op.attempts,
        "error": op.error or None,
    }


def moment(milliseconds: float) -> str:
    """A moment (ms since the epoch) in ISO 8601, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

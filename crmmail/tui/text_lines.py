"""A message as lines ready to paint: headers, warnings, body with quotes folded, links. Pure, linear in its size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from crmmail.i18n import _, date_time, ngettext
from crmmail.model import Address, Body, Message
from crmmail.tui import format, words

CAP = 64 * 1024  # characters painted before "show the whole message": wrapping them takes about 10 ms
LABEL = 9  # cells of the header labels
PEOPLE = 12  # addresses of a header shown before "and n more"
_QUOTED = re.compile(r" {0,3}(?:> ?)+")
_MARKER = re.compile(r"\[(\d{1,4})\]")


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line: spans of (text, part), and the command a click on it runs."""

    spans: tuple[tuple[str, str], ...]
    command: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """How to lay a message out."""

    width: int
    quotes: bool = False  # quoted text unfolded
    whole: bool = False  # beyond CAP
    headers: bool = False  # every address
    key: tuple[tuple[str, str], ...] = ()  # command id → its key, for the hints in the text

    def hint(self, command: str) -> str:
        """The key of a command."""
        return dict(self.key).get(command, "")


def has_quotes(body: Body) -> bool:
    """Whether there is quoted text worth folding."""
    return "\n>" in body.text and any(block.folded for block in format.fold_quotes(body.text[:CAP].split("\n")))


def layout(message: Message, shape: Shape, thread: tuple[int, int] = (1, 1)) -> list[TextLine]:
    """Everything the reader shows of a message. `thread`: its place in its conversation, and how many there are."""
    out = list(_head(message, shape, thread))
    if message.body is None:
        out += [_plain(""), TextLine(((_("Fetching the message…"), "quiet"),))]
        return out
    out += _notes(message.body, shape)
    out.append(TextLine((("─" * shape.width, "rule"),)))
    out += _body(message.body, shape)
    out += _links(message.body, shape)
    return out


def _plain(text: str, part: str = "text", command: str = "") -> TextLine:
    return TextLine(((text, part),) if text else (), command)


def _head(message: Message, shape: Shape, thread: tuple[int, int]) -> Iterator[TextLine]:
    headers = message.headers
    subject = format.clean(headers.subject) or _("(no subject)")
    yield _plain("")
    for line in format.wrap(subject, shape.width)[:3]:
        yield _plain(line, "subject")
    yield _plain("")
    yield from _people(_("From"), (headers.sender,), shape)
    if headers.reply_to and {one.email for one in headers.reply_to} != {headers.sender.email}:
        yield from _people(_("Reply to"), headers.reply_to, shape)
    for label, people in ((_("To"), headers.to), (_("Cc"), headers.cc), (_("Bcc"), headers.bcc)):
        if people:
            yield from _people(label, people, shape)
    yield _labelled(_("Date"), _date(message), shape)
    if thread[1] > 1:
        place = _("{place} of {count} in this conversation").format(place=thread[0], count=thread[1])
        keys = f"{shape.hint('thread_next')} {shape.hint('thread_previous')}"
        yield TextLine(((_("Thread").ljust(LABEL), "label"), (place, "value"), (f"  {keys}", "quiet")))


def _labelled(label: str, text: str, shape: Shape, part: str = "value") -> TextLine:
    return TextLine(((format.cells(label, LABEL), "label"), (format.cells(text, shape.width - LABEL).rstrip(), part)))


def _people(label: str, people: tuple[Address, ...], shape: Shape) -> Iterator[TextLine]:
    """The name, and always the address beside it: a name alone proves nothing."""
    shown = people if shape.headers else people[:PEOPLE]
    names = [_person(one) for one in shown]
    if len(people) > len(shown):
        more = len(people) - len(shown)
        names.append(ngettext("and {count} more", "and {count} more", more).format(count=more))
    for index, line in enumerate(
        format.wrap(", ".join(names), max(10, shape.width - LABEL))[: 40 if shape.headers else 4]
    ):
        yield _labelled(label if index == 0 else "", line, shape)


def _person(one: Address) -> str:
    name, email = format.clean(one.name), format.clean(one.email)
    if not email:
        return name or _("(no valid address)")
    return f"{name} <{email}>" if name and name != email else email


def _date(message: Message) -> str:
    moment = datetime.fromtimestamp(message.row.received_ms / 1000, UTC).astimezone()
    text = date_time(moment, "long")
    claimed = message.headers.date_ms
    if claimed is not None and abs(claimed - message.row.received_ms) > 86_400_000:
        text += "  " + _("(the sender claims another date)")
    return text


_FLAGS = {
    "invalid_sender": "bad",
    "multiple_from": "bad",
    "name_contains_other_address": "bad",
    "ambiguous_structure": "warn",
    "truncated": "warn",
}


def _flag_words(flag: str) -> str:
    return {
        "invalid_sender": _("The sender's address is not valid: do not trust who this claims to be from."),
        "multiple_from": _("The message names several senders: do not trust who this claims to be from."),
        "name_contains_other_address": _("The sender's name shows an address that is not the sender's own."),
        "ambiguous_attachment_name": _(
            "An attachment is named in two ways; the name shown is the one it is saved under."
        ),
        "ambiguous_structure": _("The message is built so that different programs may show different things."),
        "truncated": _("The message was cut: it is too long to show whole."),
        "hidden_text": _("The message holds text made invisible in other programs."),
    }.get(flag) or _("Unusual: {flag}").format(flag=format.clean(flag.replace("_", " ")))


def _notes(body: Body, shape: Shape) -> Iterator[TextLine]:
    """What to know before reading: warnings, attachments, blocked images."""
    for flag in body.flags:
        for index, line in enumerate(format.wrap(_flag_words(flag), shape.width - 2)):
            yield _plain(("▲ " if index == 0 else "  ") + line, _FLAGS.get(flag, "warn"))
    if body.too_complex:
        yield _plain(
            "▲ " + _("Too complex: part of it was left out. {key} shows the source.").format(key=shape.hint("raw")),
            "warn",
        )
    shown = [item for item in body.attachments if not item.inline] or list(body.attachments)
    for item in shown[:8]:
        size = f"{format.size(item.size)}  {format.clean(item.content_type)}"
        name = format.cut(format.clean(item.name), max(12, shape.width - format.width(size) - 14))
        key = f"  {shape.hint('attachments')}" if item is shown[0] else ""
        yield TextLine(
            (("⊕ ", "attachment"), (name, "attachment"), (f"  {size}", "quiet"), (key, "host")), "attachments"
        )
    if len(shown) > 8:
        more = ngettext("and {count} more", "and {count} more", len(shown) - 8).format(count=len(shown) - 8)
        yield _plain("  " + more, "quiet", "attachments")
    if body.blocked_images:
        text = ngettext("{count} image blocked", "{count} images blocked", body.blocked_images)
        yield _plain("⊘ " + text.format(count=words.number(body.blocked_images)), "quiet")


def _body(body: Body, shape: Shape) -> Iterator[TextLine]:
    text = format.clean(body.text if shape.whole else body.text[:CAP], lines=True)
    if not text.strip() and not body.too_complex:
        yield _plain(_("(no text)"), "quiet")
    for block in format.fold_quotes(text.rstrip().split("\n")):
        if block.folded and not shape.quotes:
            yield TextLine(((format.folded_line(block), "fold"), (f"  {shape.hint('quotes')}", "host")), "quotes")
            continue
        for line in block.lines:
            yield from _wrapped(line, shape.width)
    if len(body.text) > CAP and not shape.whole:
        rest = format.size(len(body.text) - CAP)
        sentence = _("{size} more. {key} shows the whole message.").format(size=rest, key=shape.hint("show_all"))
        yield _plain("")
        yield _plain("▾ " + sentence, "fold", "show_all")


def _wrapped(line: str, width: int) -> Iterator[TextLine]:
    if line.startswith(">"):
        mark = _QUOTED.match(line)
        depth, end = (mark.group().count(">"), mark.end()) if mark else (1, 1)
        bar = "▏" * min(depth, 6) + " "
        for piece in format.wrap(line[end:], max(10, width - len(bar))):
            yield _plain(bar + piece, "quote")
        return
    for piece in format.wrap(line, width):
        yield TextLine(_marked(piece)) if "[" in piece else _plain(piece)


def _marked(text: str) -> tuple[tuple[str, str], ...]:
    """Link numbers stand out."""
    spans: list[tuple[str, str]] = []
    at = 0
    for found in _MARKER.finditer(text):
        spans += [(text[at : found.start()], "text"), (found.group(), "host")]
        at = found.end()
    return (*spans, (text[at:], "text"))


def _links(body: Body, shape: Shape) -> Iterator[TextLine]:
    """Numbered, each with the host it really goes to."""
    if not body.links:
        return
    yield _plain("")
    title = ngettext("{count} link", "{count} links", len(body.links)).format(count=len(body.links))
    yield TextLine(((title, "label"), (f"  {shape.hint('links')}", "host")), "links")
    for link in body.links[:50]:
        number, host = f"[{link.number}] ", format.clean(link.host) or format.clean(link.url)[:60]
        label = format.clean(link.text)
        room = shape.width - format.width(number) - format.width(host) - 2
        spans = [(number, "host"), (host, "link")]
        if label and room > 8:
            spans.append(("  " + format.cut(label, room), "quiet"))
        if link.mismatch:
            spans.append(("  ▲ " + _("not what it claims"), "bad"))
        yield TextLine(tuple(spans), "links")

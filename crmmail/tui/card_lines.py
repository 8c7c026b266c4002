"""The lines of an account's card: who they are, how much they write, how fast both sides answer, their people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crmmail.crm import tax
from crmmail.crm.model import Account, Contact, Figures
from crmmail.i18n import _, ngettext
from crmmail.tui import charts, format, words
from crmmail.tui.account_words import crm_name
from crmmail.tui.text_lines import TextLine

PARTS = ("name", "head", "text", "quiet", "key", "received", "sent")
PEOPLE = 40  # contacts shown; the list of contacts has them all
NOTES = 30  # lines


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of an account."""

    account: Account
    contacts: tuple[Contact, ...] = ()
    figures: Figures | None = None  # None: still being counted
    similar: tuple[str, ...] = ()  # names of accounts that may be the same customer


def layout(card: Card, width: int, keys: Mapping[str, str]) -> list[TextLine]:
    """Everything the card shows in `width` cells. `keys`: command id → its key."""
    return [
        *_who(card.account, width),
        *_similar(card.similar, width, keys),
        *_figures(card.figures, width),
        *_contacts(card.contacts, width, keys),
        *_notes(card.account, width),
        TextLine(()),
        *_keys(width, keys),
    ]


def _line(text: str, part: str, width: int, command: str = "") -> TextLine:
    return TextLine(((format.cut(format.clean(text), width), part),), command)


def _head(text: str, width: int, count: str = "", key: str = "", command: str = "") -> Iterator[TextLine]:
    yield TextLine(())
    title = format.cells(text, max(1, width - format.width(count) - format.width(key) - 2))
    yield TextLine(((title, "head"), (f"{count} ", "quiet"), (key, "key")), command)


def _who(account: Account, width: int) -> Iterator[TextLine]:
    for line in format.wrap(format.clean(account.name), width)[:3]:
        yield TextLine(((line, "name"),), "account_edit")
    for text in (
        ", ".join(account.domains),
        tax.shown(account.tax_id) if account.tax_id else "",
        account.phone,
        account.website,
        account.owner and _("Owner: {name}").format(name=account.owner),
        account.crm and _("In {crm}").format(crm=crm_name(account.crm)),
    ):
        if text:
            yield _line(text, "quiet", width)


def _similar(names: tuple[str, ...], width: int, keys: Mapping[str, str]) -> Iterator[TextLine]:
    if not names:
        return
    yield from _head(_("The same customer?"), width, key=keys.get("account_merge", ""), command="account_merge")
    for name in names:
        yield _line(name, "text", width, "account_merge")


def _figures(figures: Figures | None, width: int) -> Iterator[TextLine]:
    if figures is None:
        yield from _head(_("Mail per week"), width)
        yield _line(_("Counting…"), "quiet", width)
        return
    weeks = figures.weeks[-(width - 10) :]
    received, sent = [week.received for week in weeks], [week.sent for week in weeks]
    most = max([*received, *sent], default=0)
    span = ngettext("{count} week", "{count} weeks", len(weeks)).format(count=len(weeks))
    yield from _head(_("Mail per week"), width, span)
    for sign, values, part in (("←", received, "received"), ("→", sent, "sent")):
        total = format.right(words.number(sum(values)), 6)
        chart = charts.spark(values, width - 10, most)
        yield TextLine(((f"{sign} ", "key"), (format.cells(chart, width - 10), part), (f" {total}", "quiet")))
    yield from _head(_("Time to answer"), width)
    for label, seconds, count in (
        (_("You"), figures.our_response, figures.our_answers),
        (_("They"), figures.their_response, figures.their_answers),
    ):
        yield _response(label, seconds, count, width)


def _response(label: str, seconds: float | None, count: int, width: int) -> TextLine:
    name = format.cells(label, 5)
    if seconds is None:
        return TextLine(((name, "text"), (_("no answer yet"), "quiet")))
    told = ngettext("{count} answer", "{count} answers", count).format(count=words.number(count))
    bar = charts.scale(seconds, max(4, min(12, width - 30)))
    span = charts.span(seconds)
    rest = format.cut(f" · {told}", max(0, width - 6 - len(bar) - format.width(span)))
    return TextLine(((name, "text"), (f"{bar} ", "sent"), (span, "text"), (rest, "quiet")))


def _contacts(contacts: tuple[Contact, ...], width: int, keys: Mapping[str, str]) -> Iterator[TextLine]:
    count = words.number(len(contacts))
    yield from _head(_("Contacts"), width, count, keys.get("account_contacts", ""), "account_contacts")
    if not contacts:
        yield _line(_("Nobody yet"), "quiet", width, "account_contacts")
    for contact in contacts[:PEOPLE]:
        name = contact.name or next(iter(contact.addresses), _("(no name)"))
        role = f"  {format.clean(contact.role)}" if contact.role else ""
        shown = format.cut(format.clean(name), width)
        left = width - format.width(shown)
        yield TextLine(((shown, "text"), (format.cut(role, left), "quiet")), "account_contacts")
        for address in contact.addresses[:2] if contact.name else contact.addresses[1:2]:
            yield _line(f"  {address}", "quiet", width)
    if len(contacts) > PEOPLE:
        yield _line(_("and {count} more").format(count=len(contacts) - PEOPLE), "quiet", width, "account_contacts")


def _notes(account: Account, width: int) -> Iterator[TextLine]:
    if account.notes:
        yield from _head(_("Notes"), width)
        for line in format.wrap(format.clean(account.notes, lines=True), width)[:NOTES]:
            yield TextLine(((line, "text"),), "account_edit")
    if account.fields:
        yield from _head(_("More"), width)
        for name, value in account.fields[:NOTES]:
            yield _line(f"{name}: {value}", "text", width)


def _keys(width: int, keys: Mapping[str, str]) -> Iterator[TextLine]:
    for command, label in (
        ("account_write", _("write to them")),
        ("account_edit", _("change")),
        ("account_timeline", _("timeline")),
    ):
        if key := keys.get(command, ""):
            yield TextLine(((key, "key"), (format.cut(f" {label}", width - len(key)), "quiet")), command)

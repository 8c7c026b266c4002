"""The lines of the account panel: whose mail this is, why, and how things stand with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crmmail.crm import tax
from crmmail.crm.model import Account, Bound, Briefing, Contact, Link, Owes, Verdict
from crmmail.i18n import _, ngettext
from crmmail.model import Row
from crmmail.tui import account_words, charts, format, words
from crmmail.tui.text_lines import TextLine

PARTS = ("name", "head", "text", "quiet", "key", "reason", "fresh", words.OK, words.BUSY, words.WARN, words.BAD)
CANDIDATES = 9
KEY = 7  # cells of a key and the gap behind it
MOST = 6  # people, drafts, files: of each


@dataclass(frozen=True, slots=True)
class Frame:
    """What the lines depend on beside the briefing. `keys`: command id → its key."""

    width: int
    now: float
    keys: Mapping[str, str]
    classify: bool = False  # the list is the To-classify queue: candidates are answered by one key

    def key(self, command: str) -> str:
        """The key of a command."""
        return self.keys.get(command, "")


def layout(briefing: Briefing, frame: Frame) -> list[TextLine]:
    """Everything the panel shows of a message."""
    out: list[TextLine] = []
    if briefing.account is not None:
        out += _account(briefing.account, briefing, frame)
    out += _verdict(briefing.verdict, frame)
    out += _log(briefing, frame)
    if briefing.account is not None:
        out += _exchange(briefing, frame)
    out += _people(briefing, frame)
    out += _work(briefing, frame)
    return out


def _line(text: str, part: str, frame: Frame, command: str = "") -> TextLine:
    return TextLine(((format.cut(text, frame.width), part),), command)


def _wrapped(text: str, part: str, frame: Frame, command: str = "", most: int = 3) -> Iterator[TextLine]:
    for line in format.wrap(text, frame.width)[:most]:
        yield TextLine(((line, part),), command)


def _head(text: str, frame: Frame) -> Iterator[TextLine]:
    yield TextLine(())
    yield _line(text, "head", frame)


def _hint(frame: Frame, command: str, text: str) -> Iterator[TextLine]:
    key = frame.key(command)
    if key:
        rest = format.cut(text, max(4, frame.width - KEY))
        yield TextLine(((format.cells(key, KEY), "key"), (rest, "quiet")), command)


def _account(account: Account, briefing: Briefing, frame: Frame) -> Iterator[TextLine]:
    yield from _wrapped(format.clean(account.name), "name", frame, "account_open", most=2)
    facts = [*account.domains[:1], tax.shown(account.tax_id) if account.tax_id else ""]
    if any(facts):
        yield from _wrapped(" · ".join(format.clean(fact) for fact in facts if fact), "quiet", frame, most=2)
    reach = [format.clean(account.phone), format.clean(account.owner)]
    if any(reach):
        yield _line(" · ".join(fact for fact in reach if fact), "quiet", frame)
    counts = ngettext("{count} message", "{count} messages", briefing.total).format(count=words.number(briefing.total))
    if briefing.unread:
        counts += " · " + ngettext("{count} unread", "{count} unread", briefing.unread).format(
            count=words.number(briefing.unread)
        )
    if briefing.waiting:
        counts += " · " + ngettext("{count} waiting", "{count} waiting", briefing.waiting).format(
            count=words.number(briefing.waiting)
        )
    yield from _wrapped(counts, "text", frame, "account_open", most=2)


def _verdict(verdict: Verdict, frame: Frame) -> Iterator[TextLine]:
    match verdict.bound:
        case Bound.LINKED:
            for link in verdict.links[:MOST]:
                name = f"{format.clean(link.name)}: " if len(verdict.links) > 1 else ""
                text = f"{name}{account_words.reason(link)}"
                yield from _wrapped(format.clean(text), "reason", frame, "link_account", most=2)
        case Bound.IGNORED:
            yield _line(_("No account"), "name", frame)
            yield from _wrapped(account_words.ignored(verdict.why), "quiet", frame)
            yield from _hint(frame, "link_account", _("links it"))
        case Bound.QUEUED:
            yield from _queued(verdict.candidates, frame)


def _queued(candidates: tuple[Link, ...], frame: Frame) -> Iterator[TextLine]:
    yield _line(_("Whose is it?"), "name", frame)
    if not candidates:
        yield from _wrapped(_("Its people are in no account yet."), "quiet", frame)
    for number, link in enumerate(candidates[:CANDIDATES], 1):
        key = f" {number} " if frame.classify else " · "
        text = format.cut(f"{format.clean(link.name)}", frame.width - 3)
        yield TextLine(((key, "key"), (text, "text")), f"classify_{number}" if frame.classify else "link_account")
        yield TextLine((("   ", ""), (format.cut(account_words.reason(link), frame.width - 3), "reason")))
    if frame.classify:
        for command, text in (
            ("classify_new", _("a new account")),
            ("link_account", _("another account")),
            ("never_sender", _("never for this sender")),
            ("never_domain", _("never for this domain")),
            ("classify_skip", _("later")),
        ):
            yield from _hint(frame, command, text)
    else:
        yield from _hint(frame, "link_account", _("links it"))


def _log(briefing: Briefing, frame: Frame) -> Iterator[TextLine]:
    sentence, tone = account_words.log_state(briefing.log)
    yield from _wrapped(format.clean(sentence), tone, frame, "log_preview", most=2)


def _exchange(briefing: Briefing, frame: Frame) -> Iterator[TextLine]:
    yield from _head(_("Last exchange"), frame)
    for row, sign in ((briefing.received, "←"), (briefing.sent, "→")):
        if row is not None:
            yield _mail(row, sign, frame)
    if not briefing.received and not briefing.sent:
        yield _line(_("None yet"), "quiet", frame)
        return
    waited = charts.span(max(0.0, frame.now - briefing.since_ms / 1000))
    tone = words.WARN if briefing.owes is Owes.WE else "quiet"
    yield _line(account_words.owes(briefing.owes, waited), tone, frame)


def _mail(row: Row, sign: str, frame: Frame) -> TextLine:
    when = format.right(format.when(row.received_ms, frame.now), 8)
    subject = format.clean(row.subject) or _("(no subject)")
    text = format.cells(subject, max(4, frame.width - 11))
    return TextLine(((f"{sign} ", "key"), (text, "text"), (f" {when}", "quiet")))


def _people(briefing: Briefing, frame: Frame) -> Iterator[TextLine]:
    if not briefing.contacts and not briefing.strangers:
        return
    yield from _head(_("In this conversation"), frame)
    for contact in briefing.contacts[:MOST]:
        yield _contact(contact, frame)
    for address in briefing.strangers[:MOST]:
        text = format.clean(address.name or address.email)
        yield TextLine((("? ", "key"), (format.cut(text, frame.width - 2), "quiet")))
    hidden = len(briefing.contacts[MOST:]) + len(briefing.strangers[MOST:])
    if hidden:
        yield _line(_("and {count} more").format(count=hidden), "quiet", frame)


def _contact(contact: Contact, frame: Frame) -> TextLine:
    name = format.clean(contact.name) or format.clean(next(iter(contact.addresses), ""))
    role = f"  {format.clean(contact.role)}" if contact.role else ""
    shown = format.cut(name, frame.width - 2)
    room = frame.width - 2 - format.width(shown)
    return TextLine((("● ", "ok"), (shown, "text"), (format.cut(role, room) if room > 4 else "", "quiet")))


def _work(briefing: Briefing, frame: Frame) -> Iterator[TextLine]:
    """Open drafts, files both ways, our identities."""
    if briefing.drafts:
        yield from _head(_("Open drafts"), frame)
        for draft in briefing.drafts[:MOST]:
            yield _line(f"✎ {format.clean(draft.subject) or _('(no subject)')}", "text", frame, "go_drafts")
    if briefing.files:
        yield from _head(_("Files"), frame)
        for file in briefing.files[:MOST]:
            sign = "→" if file.sent else "←"
            when = format.right(format.when(file.when_ms, frame.now), 8)
            name = format.cells(format.clean(file.name), max(4, frame.width - 11))
            yield TextLine(((f"{sign} ", "key"), (name, "text"), (f" {when}", "quiet")))
    if briefing.identities:
        yield from _head(_("You wrote from"), frame)
        for address in briefing.identities[:3]:
            yield _line(format.clean(address), "text", frame)

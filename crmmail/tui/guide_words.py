"""What the guide says: who keeps a mailbox, the ways that lead in, the steps before an app password. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from crmmail.connecting import Checked, Found, Kind, Part, Source
from crmmail.i18n import N_, _
from crmmail.tui import format

GOOGLE, MICROSOFT, APP_PASSWORD, SERVERS = "gmail", "outlook", "app_password", "servers"
Way = tuple[str, str, str]
"""(id, what it is called, a word about it)."""

_PARTS = {
    Part.NAME: N_("name"),
    Part.PORT: N_("port"),
    Part.TLS: N_("encryption"),
    Part.LOGIN: N_("login"),
    Part.FOLDERS: N_("folders"),
    Part.SENDING: N_("sending"),
}
READING = (Part.NAME, Part.PORT, Part.TLS, Part.LOGIN, Part.FOLDERS)
WRITING = (Part.NAME, Part.PORT, Part.TLS, Part.LOGIN, Part.SENDING)


def recognised(found: Found) -> str:
    """Who keeps the mailbox, and how that is known."""
    names = {"name": found.name, "domain": found.domain, "address": found.address}
    match found.kind, found.source:
        case Kind.UNKNOWN, _any:
            return _("Nobody could tell who keeps the mail of {domain}.").format(**names)
        case _any, Source.DOMAIN:
            return _("{address} is a {name} mailbox.").format(**names)
        case _any, Source.MX:
            return _("The mail of {domain} is kept by {name} (its MX record says so).").format(**names)
        case _any, Source.SRV:
            return _("{domain} names its mail servers in the DNS.").format(**names)
        case _any, Source.AUTOCONFIG:
            return _("{name}: the servers of {domain} are published.").format(**names)
    return found.address


def ways(found: Found) -> list[Way]:
    """The ways into this mailbox, the best first."""
    google = (GOOGLE, _("Sign in with Google"), _("recommended") if found.kind is Kind.GOOGLE else "")
    microsoft = (MICROSOFT, _("Sign in with Microsoft"), _("recommended") if found.kind is Kind.MICROSOFT else "")
    app_password = (APP_PASSWORD, _("Gmail with an app password"), "IMAP")
    servers = (SERVERS, _("Password and servers"), "IMAP")
    match found.kind:
        case Kind.GOOGLE:
            return [google, app_password, servers]
        case Kind.MICROSOFT:
            return [microsoft, servers]
        case Kind.IMAP:
            host = found.imap.host
            return [(SERVERS, _("App password") if found.app_password else _("Password"), host), google, microsoft]
    return [servers, google, microsoft]


def gmail_steps() -> Sequence[str]:
    """What has to be done before Gmail takes an app password, in order. The pages are Google's and may move."""
    return (
        _("Only for work or school addresses, the administrator first (admin.google.com, with administrator rights):")
        + "\n"
        + _("Security → Authentication → 2-Step Verification: tick “Allow users to turn on 2-Step Verification”, save;")
        + "\n"
        + _("Apps → Google Workspace → Gmail → End User Access: IMAP access on for everybody."),
        _("Gmail in the browser: the gear → See all settings → Forwarding and POP/IMAP → Enable IMAP → Save Changes.")
        + "\n"
        + _("Personal mailboxes have it on since 2025; the switch may be gone."),
        _("myaccount.google.com → Security → 2-Step Verification: turn it on if it is not."),
        _("myaccount.google.com/apppasswords: type your password, name the app password “crmmail”, Create.")
        + "\n"
        + _("No such page? The administrator forbids it, or only security keys are allowed: then sign in by browser."),
        _("Google shows 16 letters, once. Type or paste them below; the spaces do not matter."),
    )


def numbered(steps: Sequence[str], columns: int) -> str:
    """Steps as text of at most `columns` cells, everything after a number set in."""
    lines: list[str] = []
    for number, step in enumerate(steps, 1):
        wrapped = format.wrap(step, columns - 3)
        lines += [f"{number}. {wrapped[0]}", *(f"   {line}" for line in wrapped[1:])]
    return "\n".join(lines)


def password_hint(found: Found) -> str:
    """What password is meant, and where it comes from."""
    if found.app_password:
        text = _("{name} wants an app password, not your usual one. Make one here:").format(name=found.name)
        return f"{text} {found.page}".strip()
    if found.kind is Kind.UNKNOWN:
        return _("Your provider's help names the servers, often under “IMAP”; what is proposed is a guess.")
    return _("Look at the servers before you type the password: it is sent to them.")


def trial(told: Sequence[Checked], *, ended: bool) -> list[tuple[str, str]]:
    """(tone, line) for every step: done, failed, running, or still to come while that is open."""
    done = {(one.side, one.part): one for one in told}
    lines: list[tuple[str, str]] = []
    running = not ended
    for side, title, parts in (("imap", _("Reading (IMAP)"), READING), ("smtp", _("Sending (SMTP)"), WRITING)):
        if not ended or any(one.side == side for one in told):
            lines.append(("title", title))
        for part in parts:
            one = done.get((side, part))
            if one is not None:
                lines.append(("ok" if one.ok else "bad", f"{'✓' if one.ok else '✗'} {one.sentence}"))
                running = running and one.ok
            elif not ended:
                lines.append(("busy" if running else "quiet", f"{'…' if running else '·'} {_(_PARTS[part])}"))
                running = False
    return lines

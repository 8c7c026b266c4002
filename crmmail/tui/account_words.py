"""What is said of accounts, links and logging: reasons, refusals, states, each with what to do next. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from crmmail.crm.connection import LABELS, LOCAL
from crmmail.crm.model import Ignored, Link, LogState, LogStatus, Owes, Reason, Scope, Unlogged, Visibility
from crmmail.i18n import _
from crmmail.tui import words

VISIBILITIES = (Visibility.METADATA, Visibility.SUBJECT, Visibility.FULL)


def reason(link: Link) -> str:
    """Why a message belongs to its account, and by what."""
    detail = link.detail
    match link.reason:
        case Reason.MANUAL:
            return _("You linked it")
        case Reason.THREAD:
            return _("By its conversation")
        case Reason.ADDRESS:
            return _("By the address {detail}").format(detail=detail) if detail else _("By an address")
        case Reason.DOMAIN:
            return _("By the domain {detail}").format(detail=detail) if detail else _("By a domain")


def ignored(why: Ignored | None) -> str:
    """Why a message needs no account."""
    match why:
        case Ignored.INTERNAL:
            return _("Internal: everybody is of your own domains.")
        case Ignored.NO_COUNTERPART:
            return _("Nobody but you takes part.")
        case Ignored.LIST:
            return _("A mailing list.")
        case Ignored.NO_REPLY:
            return _("A machine that nobody can answer.")
        case Ignored.BULK:
            return _("A newsletter, or what a program wrote.")
        case Ignored.NEVER:
            return _("You said: never for this sender, domain or subject.")
        case Ignored.INVALID_SENDER:
            return _("Its sender's address is not valid and proves nothing.")
        case Ignored.CROWD:
            return _("Too many recipients to tell whose it is.")
        case Ignored.SPAM | Ignored.TRASH | Ignored.DRAFT:
            return _("Spam, trash and drafts are not linked by themselves.")
        case None:
            return _("It belongs to no account.")


def owes(side: Owes, span: str) -> str:
    """Who owes whom an answer."""
    match side:
        case Owes.WE:
            return _("You owe an answer, for {span}").format(span=span)
        case Owes.THEY:
            return _("They owe an answer, for {span}").format(span=span)
        case Owes.NOBODY:
            return _("Nobody owes an answer")


def scope(reach: Scope, *, sender: str, domain: str) -> str:
    """How far a correction reaches."""
    match reach:
        case Scope.MESSAGE:
            return _("Only this message")
        case Scope.THREAD:
            return _("The whole conversation")
        case Scope.SENDER:
            return _("Everything of {sender}").format(sender=sender)
        case Scope.DOMAIN:
            return _("Everything of @{domain}").format(domain=domain)


def visibility(wish: Visibility) -> str:
    """How much a CRM is told."""
    match wish:
        case Visibility.METADATA:
            return _("who, when, direction")
        case Visibility.SUBJECT:
            return _("with the subject")
        case Visibility.FULL:
            return _("with subject and text")


def unlogged(why: Unlogged | None) -> str:
    """Why a message is not logged."""
    sentences: Mapping[Unlogged, str] = {
        Unlogged.NO_CRM: _("no CRM is connected"),
        Unlogged.NOT_CHOSEN: _("you have not chosen to log"),
        Unlogged.OFF: _("you chose not to log"),
        Unlogged.NO_ACCOUNT: _("it belongs to no account"),
        Unlogged.NOT_IN_CRM: _("the account exists only here"),
        Unlogged.RECEIVED: _("a dropbox address takes only mail you send"),
        Unlogged.INTERNAL: _("internal mail stays here"),
        Unlogged.PRIVATE: _("private"),
        Unlogged.NEVER: _("never for this sender, domain or subject"),
        Unlogged.INVALID_SENDER: _("its sender's address is not valid"),
        Unlogged.AUTOMATIC: _("lists and machines are not logged"),
        Unlogged.NOT_MAIL: _("drafts, spam and trash are not logged"),
        Unlogged.NO_KEY: _("it has no Message-ID to know it by"),
        Unlogged.NOT_HERE: _("it is not downloaded yet"),
        Unlogged.SEVERAL: _("it belongs to several accounts"),
    }
    return sentences[why] if why is not None else ""


def crm_name(kind: str) -> str:
    """A connected CRM as it calls itself."""
    return _(LABELS[kind]).partition(" (")[0] if kind in LABELS else kind


def log_state(state: LogState) -> tuple[str, str]:
    """Where a message stands with the CRM, and its tone."""
    match state.status:
        case LogStatus.NOT_LOGGED:
            why = unlogged(state.why)
            return (_("Not logged: {why}").format(why=why) if why else _("Not logged")), words.QUIET
        case LogStatus.ASK:
            return _("To be logged? You decide"), words.WARN
        case LogStatus.QUEUED:
            return _("Will be logged"), words.BUSY
        case LogStatus.SENDING:
            return _("Being logged"), words.BUSY
        case LogStatus.LOGGED:
            if state.crm == LOCAL:
                return _("Logged on this computer"), words.OK
            return (_("Logged in {crm}").format(crm=crm_name(state.crm)) if state.crm else _("Logged")), words.OK
        case LogStatus.FAILED:
            return _("Not logged: {why}").format(why=state.error or _("refused")), words.BAD


def meaning(column: str) -> str:
    """What a column of a file is taken for; '' for nothing."""
    said: Mapping[str, str] = {
        "company": _("Account"),
        "alias": _("Account, its other name"),
        "name": _("Contact"),
        "first": _("Contact, first name"),
        "last": _("Contact, last name"),
        "email": _("Contact, e-mail"),
        "account_email": _("Account, e-mail"),
        "domain": _("Domains"),
        "website": _("Website"),
        "tax_id": "CNPJ / CPF",
        "phone": _("Phone"),
        "contact_phone": _("Contact, phone"),
        "role": _("Contact, role"),
        "owner": _("Owner"),
        "notes": _("Notes"),
        "is_company": _("Account or contact"),
    }
    return said.get(column, "")

"""The blind copy a CRM with a dropbox address gets of mail we send, only where all of it may be told. Pure."""

from __future__ import annotations

from dataclasses import replace

from crmmail.crm.fence import Chosen
from crmmail.crm.model import Visibility
from crmmail.model import Address, Draft, Headers

NAME = "bcc"
"""The short name of such a CRM. It mirrors nothing, so it takes any account of ours."""
NO_KEY_YET = "<unsent@invalid>"


def allowed(choice: Chosen, draft: Draft) -> bool:
    """Whether what was chosen allows a copy: it holds everything, so metadata or a subject alone cannot be told so."""
    return bool(choice.on) and choice.visibility is Visibility.FULL and (choice.attachments or not draft.enclosures)


def headers(draft: Draft) -> Headers:
    """A draft as the fence looks at mail; what has not been sent has no Message-ID yet."""
    sender = Address("", draft.sender)
    return Headers(draft.subject, sender, (), draft.to, draft.cc, draft.bcc, message_id=NO_KEY_YET)


def copied(draft: Draft, address: str) -> Draft:
    """`draft` with the dropbox address among its blind copies, once."""
    known = {one.email.lower() for one in (*draft.to, *draft.cc, *draft.bcc)}
    if not address or address.lower() in known:
        return draft
    return replace(draft, bcc=(*draft.bcc, Address("", address)))

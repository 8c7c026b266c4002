"""Graph: editing messages (`PATCH`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmmail.sandbox.graph import USER, WRITE, applied, json_body, method, patch_state, show, the_message
from crmmail.sandbox.http import Request
from crmmail.sandbox.mailbox import Mailbox

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox


@method(WRITE)
def update(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    patch_state(mailbox, message, json_body(request))
    return applied(request, show(request, mailbox, message))


ROUTES: list[Route] = [
    ("PATCH", USER + r"/messages/(?P<id>[^/]+)", update),
    ("PATCH", USER + r"/mailFolders/(?P<folder>[^/]+)/messages/(?P<id>[^/]+)", update),
]

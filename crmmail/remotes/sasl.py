"""What logging in with an OAuth token says, the same in IMAP and SMTP."""

from __future__ import annotations

from crmmail.errors import Rejected
from crmmail.i18n import _
from crmmail.remotes.dial import Server


def xoauth2(user: str, token: str) -> bytes:
    """Google's and Microsoft's XOAUTH2 answer."""
    return f"user={user}\x01auth=Bearer {token!s}\x01\x01".encode()


def bearer(user: str, token: str) -> bytes:
    """RFC 7628's OAUTHBEARER answer."""
    name = user.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\x01auth=Bearer {token!s}\x01\x01".encode()


def no_way(server: Server) -> Rejected:
    """No login we know is offered."""
    return Rejected(
        _("{host} offers no way to log in that crmmail knows.").format(host=server.host),
        next_step=_("Check the port and the security setting, or ask who runs the server."),
        reason="no_login",
    )

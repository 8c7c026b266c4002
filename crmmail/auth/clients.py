"""Whose OAuth client a sign-in uses: the user's own, from the settings, the environment or Google's JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crmmail.auth import problems
from crmmail.auth.secrets import NONE, Secret
from crmmail.errors import SettingsError
from crmmail.i18n import _

if TYPE_CHECKING:
    from crmmail.config import MailboxSettings

ENVIRONMENT = {
    "gmail": ("CRMMAIL_GOOGLE_CLIENT_ID", "CRMMAIL_GOOGLE_CLIENT_SECRET", "CRMMAIL_GOOGLE_CLIENT_FILE"),
    "outlook": ("CRMMAIL_MICROSOFT_CLIENT_ID", "", ""),
}


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. Google's desktop clients have a secret that is not confidential; Microsoft's have none."""

    id: str
    secret: Secret = NONE


def find(settings: MailboxSettings, environ: Mapping[str, str] | None = None) -> Client:
    """The client of a mailbox: setting before file before environment.

    Raises SignInError when there is none, SettingsError for a file that is not what Google offers for download.
    """
    environment = os.environ if environ is None else environ
    id_name, secret_name, file_name = ENVIRONMENT[settings.provider]
    if settings.client_id:
        return Client(settings.client_id.strip(), Secret(settings.client_secret.strip()))
    if settings.client_file and settings.provider == "gmail":
        return read(Path(settings.client_file).expanduser())
    if environment.get(id_name):
        return Client(environment[id_name].strip(), Secret(environment.get(secret_name, "").strip()))
    if file_name and environment.get(file_name):
        return read(Path(environment[file_name]).expanduser())
    missing = problems.common("missing_client")
    how = _("Set “client_id”, use --client-id, or set {variable}; docs/connecting.md shows how to get one.")
    missing.next_step = how.format(variable=id_name)
    raise missing


def is_set(settings: MailboxSettings) -> bool:
    """Whether a sign-in would find a client id at all."""
    names = [name for name in ENVIRONMENT[settings.provider] if name and not name.endswith("SECRET")]
    return bool(settings.client_id or settings.client_file or any(os.environ.get(name) for name in names))


def read(path: Path) -> Client:
    """The client in the JSON file Google's console offers for download ("installed": a Desktop app)."""
    try:
        if path.stat().st_size > 100_000:
            raise _unusable(path, _("it is too large"))
        held = json.loads(path.read_bytes())
    except OSError as error:
        raise _unusable(path, error.strerror or "") from None
    except (ValueError, RecursionError):
        raise _unusable(path, _("it is not JSON")) from None
    if isinstance(held, dict) and "web" in held:
        raise _unusable(path, _("it is for a web application; create a client of the type “Desktop app”"))
    inner = held.get("installed") if isinstance(held, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("client_id"), str):
        raise _unusable(path, _("it holds no client of the type “Desktop app”"))
    return Client(inner["client_id"], Secret(inner.get("client_secret") or ""))


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        _("The client file {path} cannot be used: {reason}.").format(path=path, reason=reason),
        next_step=_("Download it again from the Google Cloud console; docs/connecting.md shows where."),
    )

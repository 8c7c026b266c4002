"""Settings: one documented dataclass, kept as TOML; and the folders a profile writes to.

Everything the program writes goes below `Profile`'s folders (platformdirs; 0700, files 0600). `CRMMAIL_HOME` puts
all of them under one directory instead, which is how the demo and the tests stay out of the user's own.
Reading uses the standard library; tomlkit, which keeps the user's comments, is only imported to write.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import tomllib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from crmmail.errors import SettingsError
from crmmail.i18n import LANGUAGES, _

PROVIDERS = ("gmail", "outlook", "imap")
KEY_PRESETS = ("gmail", "mutt", "aerc", "outlook")
CRMS = ("sharpspring", "tryton", "bcc", "local")
SECURITIES = ("tls", "starttls")
SENT_COPIES = ("auto", "server", "append")
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(slots=True)
class MailboxSettings:
    """One connected mailbox, `[mailboxes.<id>]`. Empty addresses mean the provider's public ones.

    National clouds, proxies and test servers need every address to be settable; docs/connecting.md lists them.
    """

    provider: str = ""
    """gmail, outlook or imap."""
    address: str = ""
    """The mailbox's own e-mail address, read from the provider at sign-in."""
    name: str = ""
    """What the sidebar calls it; the address when empty."""
    color: str = ""
    """Its stripe in "All inboxes": a colour name of the theme or #rrggbb."""
    client_id: str = ""
    """Your own OAuth client id."""
    client_secret: str = ""
    """The secret Google gives to desktop clients; not confidential (RFC 8252 §8.5). Outlook needs none."""
    client_file: str = ""
    """Path of the JSON file Google offers for download, instead of the two above."""
    tenant: str = "common"
    """Outlook: common, organizations, consumers, or a tenant's id or domain."""
    api_url: str = ""
    """Where the mail API is, e.g. https://graph.microsoft.us/v1.0."""
    auth_url: str = ""
    """Google: the address of the consent page."""
    token_url: str = ""
    """Google: the address that exchanges and renews tokens."""
    device_url: str = ""
    """Google: the address that gives device codes."""
    revoke_url: str = ""
    """Google: the address that revokes a grant."""
    authority_url: str = ""
    """Outlook: the sign-in authority, e.g. https://login.microsoftonline.us; the tenant is appended."""
    user: str = ""
    """IMAP: the name to log in with; the address when empty."""
    imap_host: str = ""
    """IMAP: the server the mail lies on."""
    imap_port: int = 0
    """IMAP: its port; 0 means 993 with tls and 143 with starttls."""
    imap_security: str = "tls"
    """IMAP: tls (from the first byte) or starttls (begins in the open; ends there when the server cannot)."""
    smtp_host: str = ""
    """IMAP: the server that takes mail to be sent; empty means that this mailbox only reads."""
    smtp_port: int = 0
    """IMAP: its port; 0 means 465 with tls and 587 with starttls."""
    smtp_security: str = "tls"
    """IMAP: tls or starttls, as above."""
    sent_copy: str = "auto"
    """IMAP: who files the copy in Sent. auto: we look, and file it where the server did not; server; append: we do."""
    imap_labels: bool = False
    """IMAP: use Gmail's labels on a server that is not Gmail's and has them (X-GM-EXT-1)."""
    ca_file: str = ""
    """A PEM file with an additional certificate authority (company proxies, test servers)."""
    quota_per_second: float = 0.0
    """Gmail quota units a second to stay below; 0 means the default of 80."""
    paused: bool = False
    """Not synchronised while true."""
    poll_seconds: int = 0
    """How often to ask its server while you are active; 0 follows the general `poll_seconds`."""
    download: str = "all"
    """Whose texts are downloaded by themselves: all, headers (none until opened), or those of so many months: 12."""
    sender_name: str = ""
    """The name your mail from this mailbox carries."""
    signature: str = ""
    """Put below what you write from this mailbox. A signature kept at the provider counts where this is empty."""
    identities: list[str] = field(default_factory=list)
    """Further addresses to send from: "Sales <sales@cliente.example>". The server must allow them."""


@dataclass(slots=True)
class CrmSettings:
    """The connected CRM, `[crm]`; `crmmail crm connect` writes it. Its secret lies where sessions are kept."""

    kind: str = ""
    """sharpspring, tryton or bcc; empty: none is connected, accounts are kept here alone."""
    user: str = ""
    """SharpSpring: the account id. Tryton: the user's name."""
    url: str = ""
    """The server's address; empty means SharpSpring's public one."""
    database: str = ""
    """Tryton: the name of the database."""
    relation: str = ""
    """Tryton: the type of relation that binds a person to a company; empty means the only one there is."""
    author: str = ""
    """SharpSpring: the e-mail of the user who signs the entries; empty means the one with an address of yours."""
    address: str = ""
    """bcc: the CRM's dropbox address."""
    ca_file: str = ""
    """A PEM file with an additional certificate authority."""
    poll_seconds: int = 300
    """How often to ask the CRM what changed there."""
    paused: bool = False
    """Neither read nor written while true; what is to be logged waits."""


@dataclass(slots=True)
class Settings:
    """Everything a user can set. Each field is documented by the text below it."""

    language: str = ""
    """en or pt_BR; empty follows the locale."""
    theme: str = "textual-dark"
    """Any theme Textual knows."""
    key_preset: str = "gmail"
    """The default keys: gmail, mutt, aerc or outlook."""
    keys: dict[str, str] = field(default_factory=dict)
    """Your own keys: command id = "key,other key". `crmmail keys` lists the ids."""
    mark_read: str = "at_once"
    """When opening marks a message as read: at_once, never, or a number of seconds."""
    poll_seconds: int = 15
    """How often to ask the server while you are active; it asks less often when nothing happens."""
    poll_idle_seconds: int = 300
    """The longest pause between two questions to the server."""
    token_store: str = ""
    """keyring or file; chosen at the first sign-in. file means a 0600 file in the data folder."""
    download_folder: str = ""
    """Where attachments are saved; empty means the desktop's download folder."""
    undo_send_seconds: int = 10
    """How long a message that was sent can be brought back: 0 to 60 seconds."""
    reply_below: bool = False
    """Whether an answer is written below what it quotes; else above it."""
    look_up: bool = True
    """Whether connecting a mailbox may ask the network about its domain: DNS, and where servers are published."""
    dns_server: str = ""
    """The DNS server asked then, host or host:port; empty means the system's."""
    autoconfig_url: str = ""
    """Where the servers of a domain are looked up, {domain} in it; empty means the domain itself and Mozilla's list."""
    autoconfig_ca_file: str = ""
    """A PEM file with an additional certificate authority for that."""
    providers_file: str = ""
    """A TOML file like crmmail's own providers.toml: mail providers it does not know, or other servers for one."""
    mouse: bool = True
    """Whether the mouse works."""
    mailboxes: dict[str, MailboxSettings] = field(default_factory=dict)
    """The connected mailboxes by their short name."""
    crm: CrmSettings = field(default_factory=CrmSettings)
    """The connected CRM."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The folders of one profile. Made on first use, 0700."""

    config_dir: Path
    data_dir: Path
    cache_dir: Path
    state_dir: Path
    name: str = "default"

    @property
    def config_file(self) -> Path:
        """The settings file."""
        return self.config_dir / "config.toml"

    def make(self) -> Profile:
        """Create the folders, private to the user. Raises SettingsError when that cannot be done."""
        for directory in {self.config_dir, self.data_dir, self.cache_dir, self.state_dir}:
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                directory.chmod(0o700)
            except OSError as error:
                raise SettingsError(
                    _("The folder {path} cannot be used: {reason}.").format(path=directory, reason=error.strerror),
                    next_step=_("Check who owns it and whether the disk is writable, or choose another --profile."),
                ) from error
        return self


def profile(name: str = "default") -> Profile:
    """The profile called `name`: below CRMMAIL_HOME when that is set, else in the platform's own folders."""
    if not _PROFILE_NAME.fullmatch(name):
        raise SettingsError(
            _("“{name}” cannot be the name of a profile.").format(name=name[:64]),
            next_step=_("Use letters, digits, - and _ only."),
        )
    home = os.environ.get("CRMMAIL_HOME")
    if home:
        root = Path(home).expanduser().absolute() / name
        return Profile(root / "config", root / "data", root / "cache", root / "state", name)
    import platformdirs

    paths = platformdirs.PlatformDirs("crmmail", appauthor=False)
    folders = (paths.user_config_path, paths.user_data_path, paths.user_cache_path, paths.user_state_path)
    config, data, cache, state = (folder if name == "default" else folder / "profiles" / name for folder in folders)
    return Profile(config, data, cache, state, name)


def load(place: Profile) -> Settings:
    """The settings of a profile; defaults where there is no file. Raises SettingsError for an unusable one."""
    try:
        text = place.config_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(place.config_file, str(error)) from error
    try:
        return _checked(_build(Settings, tomllib.loads(text), ""))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise _unusable(place.config_file, str(error)) from error


@contextlib.contextmanager
def update(place: Profile) -> Iterator[Settings]:
    """Change settings: `with update(profile) as settings: settings.theme = "nord"`. Written whole or not at all."""
    settings = load(place)
    yield settings
    _checked(settings)
    _write(place, settings)


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        _("The settings file {path} cannot be used: {reason}").format(path=path, reason=reason.rstrip(".") + "."),
        next_step=_("Correct it in an editor, or move it away to start with the defaults."),
    )


def _build(kind: type[Any], table: dict[str, Any], where: str) -> Any:
    """A dataclass from a TOML table. ValueError names the key that is unknown or of the wrong type."""
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(table) - {item.name for item in fields(kind)})
    if unknown:
        raise ValueError(_("unknown setting “{key}”").format(key=where + unknown[0]))
    return kind(**{key: _value(hints[key], item, where + key) for key, item in table.items()})


def _value(hint: Any, item: Any, where: str) -> Any:
    if isinstance(hint, types.GenericAlias) and typing.get_origin(hint) is list:
        _expect(list, item, where)
        for entry in item:
            _expect(str, entry, where)
        return [str(entry) for entry in item]
    if isinstance(hint, types.GenericAlias):
        inner = typing.get_args(hint)[1]
        _expect(dict, item, where)
        return {str(key): _value(inner, value, f"{where}.{key}") for key, value in item.items()}
    if is_dataclass(hint):
        _expect(dict, item, where)
        return _build(typing.cast(type[Any], hint), item, where + ".")
    if hint is float and isinstance(item, int) and not isinstance(item, bool):
        return float(item)
    _expect(hint, item, where)
    return item


def _expect(kind: type, item: Any, where: str) -> None:
    if not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
        words = {
            str: _("a text"),
            int: _("a whole number"),
            bool: _("true or false"),
            float: _("a number"),
            list: _("a list of texts"),
        }
        raise ValueError(_("“{key}” must be {kind}").format(key=where, kind=words.get(kind, _("a table"))))


def _checked(settings: Settings) -> Settings:
    """The rules types cannot say. Raises ValueError."""
    if settings.language and settings.language not in LANGUAGES:
        raise ValueError(_("“language” must be one of {choices}").format(choices=", ".join(LANGUAGES)))
    if settings.key_preset not in KEY_PRESETS:
        raise ValueError(_("“{key}” must be one of {choices}").format(key="key_preset", choices=", ".join(KEY_PRESETS)))
    if settings.token_store not in ("", "keyring", "file"):
        raise ValueError(_("“{key}” must be one of {choices}").format(key="token_store", choices="keyring, file"))
    if settings.mark_read not in ("at_once", "never") and not re.fullmatch(r"\d{1,4}(\.\d+)?", settings.mark_read):
        raise ValueError(_("“mark_read” must be at_once, never or a number of seconds"))
    if settings.poll_seconds < 5 or settings.poll_idle_seconds < settings.poll_seconds:
        raise ValueError(_("“poll_seconds” must be at least 5 and “poll_idle_seconds” not less than it"))
    if not 0 <= settings.undo_send_seconds <= 60:
        raise ValueError(_("“undo_send_seconds” must be between 0 and 60"))
    for name, box in settings.mailboxes.items():
        _check_box(name, box)
    _check_crm(settings.crm)
    return settings


def check_mailbox(name: str, box: MailboxSettings) -> None:
    """Whether a mailbox could be kept like this. Raises SettingsError with what is wrong."""
    try:
        _check_box(name, box)
    except ValueError as error:
        raise SettingsError(f"{error}.", next_step=_("Nothing was changed.")) from None


def _check_box(name: str, box: MailboxSettings) -> None:
    if not _PROFILE_NAME.fullmatch(name):
        raise ValueError(_("“{name}” cannot be the short name of a mailbox").format(name=name[:64]))
    if box.provider not in PROVIDERS:
        choices = ", ".join(PROVIDERS)
        raise ValueError(
            _("“{key}” must be one of {choices}").format(key=f"mailboxes.{name}.provider", choices=choices)
        )
    _check_servers(name, box)
    _check_person(name, box)


def _check_person(name: str, box: MailboxSettings) -> None:
    """What a mailbox says of its owner and its pace. Raises ValueError."""
    if box.poll_seconds and box.poll_seconds < 5:
        raise ValueError(_("“{key}” must be 0, or at least 5").format(key=f"mailboxes.{name}.poll_seconds"))
    if not re.fullmatch(r"all|headers|[1-9]\d{0,2}", box.download):
        raise ValueError(
            _("“{key}” must be all, headers or a number of months").format(key=f"mailboxes.{name}.download")
        )
    if box.identities:
        from crmmail.mail.recipients import parse_recipients

        for text in box.identities:
            found = parse_recipients(text)
            if len(found) != 1 or not found[0].email:
                key = f"mailboxes.{name}.identities"
                raise ValueError(_("“{key}”: “{text}” is not one address").format(key=key, text=text[:80]))


def _check_crm(crm: CrmSettings) -> None:
    """Raises ValueError."""
    if crm.kind and crm.kind not in CRMS:
        raise ValueError(_("“{key}” must be one of {choices}").format(key="crm.kind", choices=", ".join(CRMS)))
    if crm.poll_seconds < 30:
        raise ValueError(_("“{key}” must be at least {least}").format(key="crm.poll_seconds", least=30))


def _check_servers(name: str, box: MailboxSettings) -> None:
    """What the addresses of an IMAP mailbox must be. Raises ValueError."""
    choices = {"imap_security": SECURITIES, "smtp_security": SECURITIES, "sent_copy": SENT_COPIES}
    for key, allowed in choices.items():
        if getattr(box, key) not in allowed:
            where = f"mailboxes.{name}.{key}"
            raise ValueError(_("“{key}” must be one of {choices}").format(key=where, choices=", ".join(allowed)))
    for key in ("imap_port", "smtp_port"):
        if not 0 <= getattr(box, key) <= 65535:
            raise ValueError(_("“{key}” must be between 0 and 65535").format(key=f"mailboxes.{name}.{key}"))
    if box.provider == "imap" and not box.imap_host:
        raise ValueError(_("“{key}” must name a server").format(key=f"mailboxes.{name}.imap_host"))


def _write(place: Profile, settings: Settings) -> None:
    """Merge into the file that is there, so that comments stay; temp file, fsync, rename."""
    import tomlkit

    try:
        document = tomlkit.parse(place.config_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = tomlkit.document()
    _merge(document, settings)
    place.make()
    write_private(place.config_file, tomlkit.dumps(document).encode())


def _merge(table: Any, settings: Any) -> None:
    """Put every field that differs from its default into the table, and take out what is back to its default."""
    defaults = type(settings)()
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value == getattr(defaults, item.name):
            table.pop(item.name, None)
        elif isinstance(value, list):
            if list(table.get(item.name, ())) != value:
                table[item.name] = value
        elif isinstance(value, dict):
            _merge_table(table, item.name, value)
        elif is_dataclass(value):
            if item.name not in table:
                table[item.name] = _table()
            _merge(table[item.name], value)
        else:
            table[item.name] = value


def _table() -> Any:
    import tomlkit

    return tomlkit.table()


def _merge_table(table: Any, name: str, entries: dict[str, Any]) -> None:
    import tomlkit

    if name not in table:
        table[name] = tomlkit.table(is_super_table=any(is_dataclass(entry) for entry in entries.values()))
    inner = table[name]
    for gone in [key for key in inner if key not in entries]:
        inner.remove(gone)
    for key, entry in entries.items():
        if is_dataclass(entry):
            if key not in inner:
                inner[key] = tomlkit.table()
            _merge(inner[key], entry)
        elif inner.get(key) != entry:
            inner[key] = entry
    if list(inner) != list(entries):  # the order is the user's: that of the mailboxes in the interface
        kept = {key: inner[key] for key in entries}
        for key in entries:
            inner.remove(key)
        for key, item in kept.items():
            inner[key] = item


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, 0600, whole or not at all. Raises SettingsError (full disk, no permission)."""
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise SettingsError(
            _("{path} cannot be written: {reason}.").format(path=path, reason=error.strerror),
            next_step=_("Nothing was changed. Free some space or check the permissions, then try again."),
        ) from error

"""Connecting a mailbox for one profile: who keeps it, whether the settings work, and where they are kept.

The guide and `crmmail connect imap` both go through `ProfileSetup`. Nothing is saved before everything was tried.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from crmmail import config, providers
from crmmail.connecting import IMAP_PORT, SMTP_PORT, STARTTLS, TLS, Checked, Form, Found, Part, Server
from crmmail.errors import AuthRequired, CrmMailError, RemoteError, SettingsError, Untrusted
from crmmail.i18n import _
from crmmail.signing import Done

if TYPE_CHECKING:
    from crmmail.remotes.probe import Tried

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class ProfileSetup:
    """As `connecting.Setup` says."""

    def __init__(self, place: config.Profile, settings: config.Settings) -> None:
        """`settings` learns of a new mailbox as the settings file does."""
        self._place = place
        self._settings = settings

    def recognise(self, address: str) -> Found:
        """Who keeps the mailbox `address`; asks the network unless the setting `look_up` forbids it."""
        checked = providers.address(address)
        settings = self._settings
        if not settings.look_up:
            return providers.known(checked, settings.providers_file) or providers.unknown(checked)
        from crmmail.remotes import discovery

        return discovery.find(
            checked,
            discovery.Places(
                settings.dns_server, settings.autoconfig_url, settings.autoconfig_ca_file, settings.providers_file
            ),
        )

    def form_of(self, name: str) -> Form:
        """The form of the mailbox `name`, to try it again or to mend it."""
        box = self._settings.mailboxes.get(name)
        if box is None or box.provider != "imap":
            raise SettingsError(
                _("There is no mailbox called “{name}”.").format(name=name),
                next_step=_("`crmmail mailboxes` lists those there are."),
            )
        imap = Server(box.imap_host, box.imap_port or IMAP_PORT[box.imap_security], box.imap_security)
        smtp = Server(box.smtp_host, box.smtp_port or SMTP_PORT[box.smtp_security], box.smtp_security)
        return Form(box.address, box.user or box.address, "", imap, smtp, box.ca_file, name, box.name)

    def tried(self, form: Form) -> Iterator[Checked]:
        """Try the form; ends at the first failure of reading, and tells of sending too when reading works."""
        from crmmail.auth.password import Login, spoken
        from crmmail.remotes import probe

        wrong = unusable(form)
        if wrong is not None:
            yield wrong
            return
        password = spoken(bare(form), form.imap.host)
        for step in probe.tried(self._box(form), Login(form.user or form.address, lambda _refused: password)):
            told = checked(step)
            if isinstance(step.error, AuthRequired) and step.error.reason == "wrong_password":
                again = _("Type both again; some servers want only the part before the @ as user name.")
                told = dataclasses.replace(told, next_step=again)
            yield told
            if not told.ok:
                return

    def keep(self, form: Form) -> Done:
        """Settings and password of a form that was tried; the same mailbox connected again keeps its name."""
        from crmmail.auth import password
        from crmmail.auth.tokens import FILE, TokenStore

        box = self._box(form)
        name = form.name or self._same(box) or self._free_name(box)
        choice = form.token_store or self._settings.token_store
        store = TokenStore.open(self._place.data_dir, profile=self._place.name, choice=choice)
        place = password.keep(name, box, store, bare(form))
        keeper = FILE if place == FILE else "keyring"
        with config.update(self._place) as settings:
            settings.mailboxes[name] = box
            settings.token_store = keeper
        self._settings.mailboxes[name] = box
        self._settings.token_store = keeper
        return Done(box.address, place, name)

    def _box(self, form: Form) -> config.MailboxSettings:
        known = self._settings.mailboxes.get(form.name)
        if form.name and not _NAME.fullmatch(form.name):
            raise SettingsError(
                _("“{name}” cannot be the short name of a mailbox").format(name=form.name[:64]),
                next_step=_("Use letters, digits, - and _ only."),
            )
        if known is not None and known.provider != "imap":
            raise SettingsError(
                _("The mailbox “{name}” is already connected to {provider}.").format(
                    name=form.name, provider=known.provider
                ),
                next_step=_("Choose another name for the new one."),
            )
        return dataclasses.replace(
            known or config.MailboxSettings("imap"),
            address=form.address,
            name=form.title or (known.name if known else ""),
            user="" if form.user == form.address else form.user,
            imap_host=form.imap.host,
            imap_port=form.imap.port,
            imap_security=form.imap.security,
            smtp_host=form.smtp.host,
            smtp_port=form.smtp.port,
            smtp_security=form.smtp.security,
            ca_file=form.ca_file,
        )

    def _same(self, box: config.MailboxSettings) -> str:
        wanted = (box.address.casefold(), box.imap_host)
        boxes = self._settings.mailboxes.items()
        return next((name for name, one in boxes if (one.address.casefold(), one.imap_host) == wanted), "")

    def _free_name(self, box: config.MailboxSettings) -> str:
        """A short name made of the domain: cliente.example → cliente."""
        label = re.sub(r"[^a-z0-9-]", "", box.address.rpartition("@")[2].partition(".")[0]).strip("-") or "mail"
        names = itertools.chain([label], (f"{label}{count}" for count in itertools.count(2)))
        return next(name for name in names if name not in self._settings.mailboxes)


def bare(form: Form) -> str:
    """The password as it is meant: Google shows app passwords in four groups whose spaces are no part of them."""
    return "".join(form.password.split()) if form.gmail else form.password


def unusable(form: Form) -> Checked | None:
    """What cannot even be tried, as the first failed check; None when it can."""
    missing = (
        ("password", not form.password, _("The password is missing.")),
        ("imap_host", not form.imap.host, _("The server that mail is read from is missing.")),
        ("imap_port", not 0 < form.imap.port < 65536, _("The port must be a number from 1 to 65535.")),
        ("smtp_host", not form.smtp.host, _("The server that mail is sent by is missing.")),
        ("smtp_port", not 0 < form.smtp.port < 65536, _("The port must be a number from 1 to 65535.")),
    )
    for field, wrong, sentence in missing:
        if wrong:
            side = field.partition("_")[0] if field != "password" else ""
            return Checked(side, Part.FORM, sentence, False, _("Fill it in and try again."), field, 2)
    if not {form.imap.security, form.smtp.security} <= {TLS, STARTTLS}:
        return Checked("", Part.FORM, _("Only tls and starttls are possible."), False, "", "imap_security", 2)
    return None


def checked(step: Tried) -> Checked:
    """A step of `probe` with the sentence and the field that belong to it."""
    side, part = step.server.protocol, Part(step.stage.value)
    if step.error is None:
        return Checked(side, part, passed(side, part, step.server.place))
    return Checked(
        side,
        part,
        step.error.sentence,
        False,
        step.error.next_step,
        field_of(side, part, step.error),
        step.error.exit_code,
    )


def passed(side: str, part: Part, place: str) -> str:
    """What stands when a step went well. `place`: host:port."""
    host = place.rpartition(":")[0]
    match part:
        case Part.NAME:
            return _("The name {host} is known.").format(host=host)
        case Part.PORT:
            return _("{place} answers.").format(place=place)
        case Part.TLS:
            return _("The connection is encrypted and the certificate is {host}'s.").format(host=host)
        case Part.LOGIN:
            return _("User name and password are right.")
        case Part.FOLDERS:
            return _("The folders can be read.")
        case _:
            return _("Mail can be sent from this address.") if side == "smtp" else ""


def field_of(side: str, part: Part, error: CrmMailError) -> str:
    """The field of the form that most likely has to be mended."""
    reason = error.reason if isinstance(error, RemoteError) else ""
    if isinstance(error, Untrusted | SettingsError):
        return "ca_file"
    if isinstance(error, AuthRequired):
        return "password"
    if reason in ("tls", "no_starttls", "closed"):
        return f"{side}_security"
    return {Part.NAME: f"{side}_host", Part.PORT: f"{side}_port", Part.LOGIN: "password"}.get(part, f"{side}_host")

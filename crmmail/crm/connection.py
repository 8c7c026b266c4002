"""Which CRMs can be connected and what each must be told, as values: the shell asks for it, the guide shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crmmail.i18n import N_

SHARPSPRING, TRYTON, BCC, LOCAL = "sharpspring", "tryton", "bcc", "local"
MIRRORED = frozenset({SHARPSPRING, TRYTON})
"""Those with accounts of their own, copied here."""
LABELS = {
    SHARPSPRING: "SharpSpring (Lead Gen & CRM)",
    TRYTON: "Tryton 8",
    BCC: N_("Any CRM with a dropbox address (Bcc)"),
    LOCAL: N_("This computer (no CRM is needed)"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing a CRM must be told. `label` and `hint` are English and marked; translate when showing."""

    name: str
    label: str
    hint: str = ""
    secret: bool = False
    needed: bool = True


QUESTIONS: dict[str, tuple[Question, ...]] = {
    SHARPSPRING: (
        Question("user", N_("Account ID"), N_("Settings › API Settings")),
        Question("secret", N_("Secret key"), N_("shown beside it"), secret=True),
        Question("author", N_("Signed by"), N_("e-mail of the SharpSpring user; yours when empty"), needed=False),
        Question("url", N_("Address"), N_("only for another than the public one"), needed=False),
    ),
    TRYTON: (
        Question("url", N_("Address"), "https://tryton.example.com"),
        Question("database", N_("Database")),
        Question("user", N_("User name")),
        Question("secret", N_("Password"), secret=True),
        Question("relation", N_("Relation"), N_("the type that binds a person to a company"), needed=False),
        Question(
            "ca_file", N_("Certificate file"), N_("only for a server with a certificate of its own"), needed=False
        ),
    ),
    BCC: (Question("address", N_("Dropbox address"), N_("your CRM shows it where it explains logging by e-mail")),),
    LOCAL: (),
}


@dataclass(frozen=True, slots=True)
class CrmWish:
    """A CRM as the user wants it connected. `answers` by a question's name; the secret is kept apart from them."""

    kind: str
    answers: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    token_store: str = ""  # '' as set before, keyring, file

    def lacks(self) -> list[Question]:
        """The questions without an answer that need one."""
        given = {**self.answers, "secret": self.secret}
        return [one for one in QUESTIONS[self.kind] if one.needed and not given.get(one.name, "").strip()]


@dataclass(frozen=True, slots=True)
class CrmConnected:
    """It stands: `name` of the CRM, whom we are there as, and what keeps the secret ('file', a keyring's name, '')."""

    name: str
    who: str
    place: str = ""


class CrmGuide(Protocol):
    """Connects CRMs for a profile."""

    def connect(self, wish: CrmWish, wanted: Callable[[], bool] = lambda: True) -> CrmConnected:
        """Try it and, when it answers and is still `wanted`, keep it. Blocks.

        Raises CrmMailError; what was there before is untouched then.
        """
        ...

"""Folders have their roles in five languages, whether the server tells them or only names them."""

from __future__ import annotations

import pytest

from crmmail.model import Role
from crmmail.remotes import imap_roles
from crmmail.remotes.imap_text import Listed

WANTED = (Role.DRAFTS, Role.SENT, Role.TRASH, Role.SPAM)
# As Gmail names them: drafts, sent, trash, spam, everything, favorites.
GMAIL = {
    "en": ("Drafts", "Sent Mail", "Bin", "Spam", "All Mail", "Starred"),
    "pt": ("Rascunhos", "E-mails enviados", "Lixeira", "Spam", "Todos os e-mails", "Com estrela"),
    "es": ("Borradores", "Enviados", "Papelera", "Spam", "Todos", "Destacados"),
    "fr": ("Brouillons", "Messages envoy&AOk-s", "Corbeille", "Spam", "Tous les messages", "Suivis"),
    "de": ("Entw&APw-rfe", "Gesendet", "Papierkorb", "Spam", "Alle Nachrichten", "Markiert"),
}
# As other servers and clients do: drafts, sent, trash, spam, archive.
OTHERS = {
    "dovecot": ("Drafts", "Sent", "Trash", "Junk", "Archive"),
    "outlook-en": ("Drafts", "Sent Items", "Deleted Items", "Junk Email", "Archive"),
    "outlook-pt": ("Rascunhos", "Itens Enviados", "Itens Exclu&AO0-dos", "Lixo Eletr&APQ-nico", "Arquivo Morto"),
    "outlook-es": ("Borradores", "Elementos enviados", "Elementos eliminados", "Correo no deseado", "Archivo"),
    "outlook-fr": (
        "Brouillons",
        "&AMk-l&AOk-ments envoy&AOk-s",
        "&AMk-l&AOk-ments supprim&AOk-s",
        "Courrier ind&AOk-sirable",
        "Archives",
    ),
    "outlook-de": (
        "Entw&APw-rfe",
        "Gesendete Elemente",
        "Gel&APY-schte Elemente",
        "Junk-E-Mail",
        "Archiv",
    ),
    "apple": ("Drafts", "Sent Messages", "Deleted Messages", "Junk", "Archive"),
    "small": ("drafts", "sent", "trash", "spam", "archive"),
}


def plain(*names: str, delimiter: str = "/") -> list[Listed]:
    return [Listed(name, delimiter, frozenset()) for name in ("INBOX", *names)]


@pytest.mark.parametrize("prefix", ["", "INBOX."])
@pytest.mark.parametrize("names", OTHERS.values(), ids=OTHERS)
def test_known_names_have_their_roles(names: tuple[str, ...], prefix: str) -> None:
    delimiter = "." if prefix else "/"
    folders = plain(*(prefix + name for name in names), prefix + "Clientes", delimiter=delimiter)
    roles = imap_roles.roles_of(folders)
    assert [roles.get(prefix + name) for name in names] == [*WANTED, Role.ARCHIVE]
    assert roles["INBOX"] is Role.INBOX
    assert prefix + "Clientes" not in roles


@pytest.mark.parametrize("names", GMAIL.values(), ids=GMAIL)
@pytest.mark.parametrize("root", ["[Gmail]", "[Google Mail]"])
def test_gmails_folders_have_their_roles_in_every_language_even_untold(names: tuple[str, ...], root: str) -> None:
    folders = plain(*(f"{root}/{name}" for name in names))
    roles = imap_roles.roles_of(folders)
    assert [roles.get(f"{root}/{name}") for name in names] == [*WANTED, Role.ALL, Role.FAVORITES]


@pytest.mark.parametrize("names", GMAIL.values(), ids=GMAIL)
def test_what_the_server_tells_is_believed_before_any_name(names: tuple[str, ...]) -> None:
    flags = ("\\drafts", "\\sent", "\\trash", "\\junk", "\\all", "\\flagged")
    told = [
        Listed(f"[Gmail]/{name}", "/", frozenset({flag})) for name, flag in zip(names, reversed(flags), strict=True)
    ]
    roles = imap_roles.roles_of([*plain("Sent", "Trash"), *told])
    assert roles[f"[Gmail]/{names[0]}"] is Role.FAVORITES
    assert roles[f"[Gmail]/{names[3]}"] is Role.TRASH
    assert "Trash" not in roles
    assert "Sent" not in roles


def test_a_role_belongs_to_one_folder_and_a_deep_folder_of_that_name_is_just_a_folder() -> None:
    folders = plain("Sent", "Sent Items", "Projects/Trash", "Starred", "All Mail")
    roles = imap_roles.roles_of(folders)
    assert roles == {"INBOX": Role.INBOX, "Sent": Role.SENT}


def test_the_five_languages_show_the_same_folders_in_the_same_order() -> None:
    seen = set()
    for names in GMAIL.values():
        folders = plain(*(f"[Gmail]/{name}" for name in names), "Clientes")
        roles = imap_roles.roles_of(folders)
        listed = imap_roles.folders_of(folders, roles, {}, "work")
        seen.add(tuple((folder.key, folder.role) for folder in listed))
    assert len(seen) == 1
    assert [key for key, _role in seen.pop()] == ["inbox", "drafts", "sent", "trash", "spam", "x:Clientes"]

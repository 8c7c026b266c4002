"""Which folder is for what: by SPECIAL-USE (RFC 6154), else by the names servers and clients have given them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from crmmail.model import Folder, Role
from crmmail.remotes import imap_text
from crmmail.remotes.imap_text import Listed

_FLAGS = {
    "\\drafts": Role.DRAFTS,
    "\\sent": Role.SENT,
    "\\trash": Role.TRASH,
    "\\junk": Role.SPAM,
    "\\archive": Role.ARCHIVE,
    "\\all": Role.ALL,
    "\\flagged": Role.FAVORITES,
    # XLIST, from before RFC 6154
    "\\spam": Role.SPAM,
    "\\allmail": Role.ALL,
    "\\starred": Role.FAVORITES,
}
ORDER = (Role.INBOX, Role.DRAFTS, Role.SENT, Role.TRASH, Role.SPAM, Role.ARCHIVE, Role.ALL, Role.FAVORITES)

# English, Portuguese, Spanish, French, German, as Gmail, Outlook, Dovecot's examples, Roundcube, Thunderbird and Apple
# name them; without accents, in small letters. The first name that is there wins.
_NAMES: dict[Role, Sequence[str]] = {
    Role.DRAFTS: (
        "drafts", "draft", "rascunhos", "rascunho", "borradores", "borrador", "brouillons", "brouillon", "entwurfe",
        "entwurf",
    ),
    Role.SENT: (
        "sent", "sent messages", "sent items", "sent mail", "sent-mail", "enviados", "itens enviados", "enviadas",
        "e-mails enviados", "emails enviados", "mensagens enviadas", "elementos enviados", "mensajes enviados",
        "correo enviado", "messages envoyes", "elements envoyes", "envoyes", "courrier envoye", "gesendet",
        "gesendete objekte", "gesendete elemente", "gesendete nachrichten",
    ),
    Role.TRASH: (
        "trash", "deleted items", "deleted messages", "deleted", "bin", "wastebasket", "lixeira", "lixo",
        "itens excluidos", "itens eliminados", "excluidos", "mensagens excluidas", "papelera", "elementos eliminados",
        "eliminados", "correo eliminado", "corbeille", "elements supprimes", "messages supprimes", "papierkorb",
        "geloschte objekte", "geloschte elemente", "geloscht",
    ),
    Role.SPAM: (
        "junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "lixo eletronico", "lixo electronico",
        "correo no deseado", "correo basura", "no deseado", "courrier indesirable", "indesirables", "pourriel",
        "junk-e-mail", "unerwunscht", "spamverdacht", "werbung",
    ),
    Role.ARCHIVE: (
        "archive", "archives", "archiv", "arquivo", "arquivo morto", "arquivados", "arquivadas", "arquivo de mensagens",
        "archivo", "archivados", "archivo de mensajes",
    ),
    Role.ALL: ("all mail", "todos os e-mails", "todos os emails", "todo el correo", "todo o correio", "todos",
               "tous les messages", "alle nachrichten"),
    Role.FAVORITES: ("starred", "com estrela", "destacados", "con estrella", "suivis", "messages suivis", "markiert"),
}  # fmt: skip
_GMAIL = re.compile(r"(?i)^\[(gmail|google mail)\]$")


def roles_of(folders: Sequence[Listed]) -> dict[str, Role]:
    """Wire name → role. A role belongs to one folder: what a server says is believed before any name."""
    found: dict[str, Role] = {}
    for one in folders:
        if one.name.upper() == "INBOX":
            found[one.name] = Role.INBOX
    for one in folders:
        told = [_FLAGS[flag] for flag in one.flags if flag in _FLAGS]
        if one.name not in found and told and told[0] not in found.values():
            found[one.name] = told[0]
    for role, names in _NAMES.items():
        if role not in found.values() and (name := _named(folders, names, role, found)):
            found[name] = role
    return found


def _named(folders: Sequence[Listed], names: Sequence[str], role: Role, taken: dict[str, Role]) -> str:
    ranked = sorted(
        (names.index(plain), one.name)
        for one in folders
        if one.name not in taken and (plain := _plain(one)) in names and _may(one, role)
    )
    return ranked[0][1] if ranked else ""


def _may(one: Listed, role: Role) -> bool:
    """Only where servers put such folders: at the top, in the inbox, or in Gmail's own.

    Everything and favorites are only what Gmail calls so: elsewhere a folder of that name is just a folder.
    """
    above = imap_text.parent(one.name, one.delimiter)
    in_gmail = bool(_GMAIL.match(above))
    return in_gmail if imap_text.is_view(role) else in_gmail or above == "" or above.upper() == "INBOX"


def _plain(one: Listed) -> str:
    text = unicodedata.normalize("NFKD", imap_text.shown(one.name, one.delimiter).casefold())
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def key_of(name: str, roles: dict[str, Role]) -> str:
    """The folder key of a wire name."""
    role = roles.get(name)
    return role.value if role else f"x:{name}"


def folders_of(
    folders: Sequence[Listed], roles: dict[str, Role], counts: dict[str, tuple[int, int]], mailbox: str
) -> tuple[Folder, ...]:
    """The folder list: those with a role in the interface's order, then the others by name.

    `counts`: wire name → (messages, unread). Views of what other folders hold are left out.
    """
    shown = [one for one in folders if not imap_text.is_view(roles.get(one.name, Role.OTHER))]
    names = {one.name for one in shown}
    shown.sort(key=lambda one: (ORDER.index(roles[one.name]) if one.name in roles else len(ORDER), one.name))
    made = []
    for one in shown:
        above = imap_text.parent(one.name, one.delimiter)
        total, unread = counts.get(one.name, (None, None))
        made.append(
            Folder(
                mailbox,
                key_of(one.name, roles),
                roles.get(one.name, Role.OTHER),
                imap_text.shown(one.name, one.delimiter),
                one.name,
                key_of(above, roles) if above in names and roles.get(above) is not Role.INBOX else "",
                server_total=total,
                server_unread=unread,
            )
        )
    return tuple(made)

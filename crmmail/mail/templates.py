"""Templates and snippets: texts with places to fill, such as {first_name} or {account}.

A file of the profile's `templates` folder is one template: TOML with `text` and, as wanted, `name`, `subject` and
`markdown`; or plain text (.txt, .md), whose first line may be 'Subject: ...'. One without a subject is a snippet, to be
put in where the cursor stands. Portuguese names of the places are as good as English ones.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crmmail.errors import SettingsError
from crmmail.i18n import N_, _
from crmmail.mail import encode
from crmmail.mail.text import clean_line
from crmmail.model import Address

FILE_LIMIT = 256 * 1024  # bytes
FILES_LIMIT = 200
ENDINGS = (".toml", ".txt", ".md")

PLACES = {
    "first_name": N_("first name of the first recipient"),
    "name": N_("name of the first recipient"),
    "email": N_("address of the first recipient"),
    "account": N_("account the message is written for"),
    "my_name": N_("your name, as the identity has it"),
    "my_email": N_("your address, as the identity has it"),
    "date": N_("today's date"),
    "subject": N_("subject of the message"),
}
_PORTUGUESE = {
    "primeiro_nome": "first_name",
    "nome": "name",
    "conta": "account",
    "meu_nome": "my_name",
    "meu_email": "my_email",
    "data": "date",
    "assunto": "subject",
}
# Two letters at least, and no quotes or spaces: `{a}` and JSON are what they are.
_PLACE = re.compile(r"\{([^\W\d]\w{1,40})\}")
_SUBJECT = re.compile(r"(?:subject|assunto):[ \t]*(.*)\Z", re.IGNORECASE)
_TITLES = ("dr", "dra", "sr", "sra", "srta", "prof", "profa", "eng", "mr", "mrs", "ms", "miss", "d", "dona")


@dataclass(frozen=True, slots=True)
class Problem:
    """A place in a template that nothing can fill."""

    place: str
    line: int
    column: int

    def sentence(self, file: str) -> str:
        """What to tell the user about it."""
        return _("{file}, line {line}, column {column}: there is no placeholder {{{place}}}.").format(
            file=file, line=self.line, column=self.column, place=self.place
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A template, or without a subject a snippet. `problems` name places that are not known."""

    name: str
    text: str
    subject: str = ""
    markdown: bool = False
    file: str = ""
    problems: tuple[Problem, ...] = ()


def fill(text: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """(`text` with its places filled from `values`, those that stay open, each once).

    A place whose value is empty stays as it is, to be seen. What is filled in is not looked at again.
    """
    unresolved: dict[str, None] = {}

    def value(found: re.Match[str]) -> str:
        filled = values.get(_canonical(found[1]), "")
        if not filled:
            unresolved[found[1]] = None
        return filled or found[0]

    return _PLACE.sub(value, text), tuple(unresolved)


def places(text: str) -> tuple[str, ...]:
    """The places in `text`, known or not, each once."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


def values(
    *, recipient: Address | None = None, me: Address | None = None, account: str = "", date: str = "", subject: str = ""
) -> dict[str, str]:
    """What `fill` puts into the places; `date` as it shall be read."""
    to, own = recipient or Address("", ""), me or Address("", "")
    found = {
        "first_name": first_name(to.name),
        "name": _person_name(to.name),
        "email": to.email,
        "account": account,
        "my_name": _person_name(own.name),
        "my_email": own.email,
        "date": date,
        "subject": subject,
    }
    return {name: encode.one_line(value) for name, value in found.items()}


def _canonical(name: str) -> str:
    name = name.lower()
    return _PORTUGUESE.get(name, name)


def _person_name(name: str) -> str:
    return "" if "@" in name else name


def first_name(name: str) -> str:
    """What to call a person: 'José' of 'José da Silva', 'Silva, José' and 'Dr. JOSÉ SILVA'; '' where unknown."""
    last, comma, first = _person_name(name).partition(",")
    words = (first if comma and first.strip() else last).split()
    while len(words) > 1 and words[0].rstrip(".").casefold() in _TITLES:
        words = words[1:]
    word = words[0].strip("\"'()<>") if words else ""
    return word.capitalize() if len(word) > 2 and (word.isupper() or word.islower()) else word


def parse(file: str, content: str) -> Template:
    """The template in `content`, a file called `file`. Raises SettingsError, naming the place, for broken TOML."""
    stem = file.rpartition(".")[0] or file
    content = encode.lines(content) if content else ""
    problems = _problems(content)
    if file.lower().endswith(".toml"):
        return _from_toml(file, stem, content, problems)
    first, _break, rest = content.partition("\n")
    if match := _SUBJECT.match(first.strip()):
        return Template(stem, rest.lstrip("\n"), clean_line(match[1]), file=file, problems=problems)
    return Template(stem, content, file=file, problems=problems)


def _from_toml(file: str, stem: str, content: str, problems: tuple[Problem, ...]) -> Template:
    try:
        table = tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(
            _("{file} is not a valid template: {reason}").format(file=file, reason=clean_line(str(error), 200)),
            next_step=_("Correct the file, then open the templates again."),
        ) from error
    text = table.get("text", table.get("body"))
    wrong = [name for name in ("name", "subject") if not isinstance(table.get(name, ""), str)]
    wrong += [] if isinstance(text, str) else ["text"]
    wrong += [] if isinstance(table.get("markdown", False), bool) else ["markdown"]
    if wrong or not isinstance(text, str):
        raise SettingsError(
            _("{file} is not a valid template: {name} is missing or of the wrong kind.").format(
                file=file, name=wrong[0]
            ),
            next_step=_('A template needs text = "..." and may have name, subject and markdown.'),
        )
    name, subject = clean_line(table.get("name", "") or stem, 100), clean_line(table.get("subject", ""))
    return Template(name, encode.lines(text), subject, table.get("markdown", False), file, problems)


def _problems(content: str) -> tuple[Problem, ...]:
    found = []
    for number, line in enumerate(content.split("\n"), 1):
        for match in _PLACE.finditer(line):
            if _canonical(match[1]) not in PLACES:
                found.append(Problem(match[1], number, match.start() + 1))
    return tuple(found)


def read(folder: Path) -> tuple[list[Template], list[SettingsError]]:
    """(the templates in `folder` by name, what is wrong with files that are none). No folder: no templates."""
    found: list[Template] = []
    faults: list[SettingsError] = []
    if not folder.is_dir():
        return found, faults
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    for path in files[:FILES_LIMIT]:
        try:
            found.append(parse(path.name, _content(path)))
        except SettingsError as error:
            faults.append(error)
    return sorted(found, key=lambda template: template.name.casefold()), faults


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_LIMIT + 1)
        if len(octets) <= FILE_LIMIT:
            return octets.decode("utf-8-sig")
        reason = _("it is larger than {limit} kB").format(limit=FILE_LIMIT // 1024)
    except UnicodeDecodeError:
        reason = _("it is not UTF-8 text")
    except OSError as error:
        reason = clean_line(error.strerror or str(error))
    raise SettingsError(_("{file} cannot be read: {reason}.").format(file=clean_line(path.name), reason=reason))

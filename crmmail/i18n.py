"""Words in the user's language: gettext catalogues in `locale/`, dates and plurals by Babel.

Msgids are English. Mark class-level texts with `N_` and translate them with `_` at the moment of showing, so that a
switch of language while the program runs changes everything on the next paint.
"""

from __future__ import annotations

import gettext as _gettext
import os
from datetime import datetime
from pathlib import Path

LANGUAGES = {"en": "English", "pt_BR": "Português (Brasil)"}
_DIRECTORY = Path(__file__).parent / "locale"
_current: _gettext.NullTranslations = _gettext.NullTranslations()
_language = "en"


def N_(text: str) -> str:  # gettext's customary name, which the extraction tools look for
    """Mark `text` for translation without translating it yet."""
    return text


def _(text: str) -> str:
    """`text` in the current language."""
    return _current.gettext(text) if text else ""


def ngettext(singular: str, plural: str, count: int) -> str:
    """The form of the current language for `count`; the caller fills the placeholders."""
    return _current.ngettext(singular, plural, count)


def pgettext(context: str, text: str) -> str:
    """`text` where one English word has two meanings, told apart by `context`."""
    return _current.pgettext(context, text)


def language() -> str:
    """The current language: 'en' or 'pt_BR'."""
    return _language


def match(wish: str) -> str:
    """The language we have that serves a locale name such as 'pt_PT.UTF-8' best; English when none does."""
    code = _code(wish)
    if code in LANGUAGES:
        return code
    return next((known for known in LANGUAGES if known.split("_")[0] == code.split("_")[0]), "en")


def served(wish: str) -> bool:
    """Whether we speak the language of a locale name, if perhaps another country's."""
    return _code(wish).split("_")[0] in {known.split("_")[0] for known in LANGUAGES}


def _code(wish: str) -> str:
    return wish.partition(".")[0].partition("@")[0].replace("-", "_")


def from_environment() -> str:
    """The language the user's locale asks for (POSIX order: LANGUAGE, LC_ALL, LC_MESSAGES, LANG)."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        wish = os.environ.get(name, "").partition(":")[0]
        if wish:
            return match(wish)
    return "en"


def use(wish: str = "") -> str:
    """Switch to the language `wish` asks for ('' : the environment's); returns the one chosen."""
    global _current, _language
    _language = match(wish) if wish else from_environment()
    _current = _gettext.translation("crmmail", _DIRECTORY, [_language], fallback=True)
    return _language


def date_time(moment: datetime, pattern: str = "medium") -> str:
    """Date and time of `moment` in the current language, e.g. '22 de nov. de 2026 14:32:00'."""
    from babel.dates import format_datetime

    return str(format_datetime(moment, pattern, locale=_language))

"""Every word the user reads exists in both languages."""

from __future__ import annotations

import re

from crmmail import i18n
from tests import words

PLACEHOLDER = re.compile(r"\{(\w+)")


def forms(text: object) -> list[str]:
    return [str(one) for one in (text if isinstance(text, (tuple, list)) else (text,))]


def test_every_text_of_the_code_is_translated() -> None:
    assert words.missing(words.translated()) == []


def test_translations_keep_the_placeholders() -> None:
    wrong = []
    for message in words.translated():
        expected = {name for form in forms(message.id) for name in PLACEHOLDER.findall(form)}
        found = [set(PLACEHOLDER.findall(form)) for form in forms(message.string)]
        wrong += [message.id for names in found if message.id and not names <= expected]
        wrong += [message.id for names in found[-1:] if message.id and message.string and names != expected]
    assert wrong == []


def test_the_compiled_catalogue_is_fresh() -> None:
    assert words.PO.with_suffix(".mo").read_bytes() == words.compiled(words.translated())


def test_the_language_switches_while_the_program_runs() -> None:
    marked = i18n.N_("Inbox")
    i18n.use("pt_BR.UTF-8")
    assert i18n._(marked) == "Caixa de Entrada"
    i18n.use("en")
    assert i18n._(marked) == "Inbox"


def test_a_locale_without_a_catalogue_reads_english() -> None:
    assert i18n.use("de_DE.UTF-8") == "en"
    assert i18n.use("pt_PT") == "pt_BR"

"""Templates are filled, what stays open is named, and a wrong place in a file is told with where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmmail import i18n
from crmmail.errors import SettingsError
from crmmail.mail import templates
from crmmail.mail.templates import Problem, Template
from crmmail.model import Address

VALUES = templates.values(
    recipient=Address("José da Silva", "jose@acme.example"),
    me=Address("Ana Souza", "ana@ourco.example"),
    account="Acme",
    date="22/11/2026",
    subject="Oi",
)


@pytest.mark.parametrize(
    ("text", "filled", "unresolved"),
    [
        ("Olá {first_name},", "Olá José,", ()),
        ("{name} <{email}>, {account}", "José da Silva <jose@acme.example>, Acme", ()),
        ("{my_name} {my_email} {date} {subject}", "Ana Souza ana@ourco.example 22/11/2026 Oi", ()),
        ("{primeiro_nome} {nome} {conta} {meu_nome} {data}", "José José da Silva Acme Ana Souza 22/11/2026", ()),
        ("{First_Name}", "José", ()),
        ("{fist_name} {account} {fist_name}", "{fist_name} Acme {fist_name}", ("fist_name",)),
        ("{a} {1} {} { name } {{name}}", "{a} {1} {} { name } {José da Silva}", ()),
        ('{"name": 1}', '{"name": 1}', ()),
        ("no places", "no places", ()),
        ("", "", ()),
    ],
)
def test_places_are_filled(text: str, filled: str, unresolved: tuple[str, ...]) -> None:
    assert templates.fill(text, VALUES) == (filled, unresolved)


def test_a_place_without_a_value_stays_to_be_seen() -> None:
    values = templates.values(recipient=Address("", "jose@acme.example"))
    assert templates.fill("Olá {first_name} de {conta}, {email}", values) == (
        "Olá {first_name} de {conta}, jose@acme.example",
        ("first_name", "conta"),
    )


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert templates.fill("{name}", {"name": "{email} {0.__class__}", "email": "x"}) == ("{email} {0.__class__}", ())


def test_a_value_cannot_bring_a_line_with_it() -> None:
    values = templates.values(recipient=Address("José\r\nBcc: z", "a@x.org"), account="A\0\x1b[2J")
    assert templates.fill("{name}|{account}", values)[0] == "José Bcc: z|A[2J"


@given(st.text())
def test_any_text_without_places_is_left_alone(text: str) -> None:
    if not templates.places(text):
        assert templates.fill(text, VALUES) == (text, ())


@pytest.mark.parametrize(
    ("name", "first"),
    [("José da Silva", "José"), ("Silva, José", "José"), ("Dr. José Silva", "José"), ("Sra. Ana", "Ana"),
     ("JOSÉ SILVA", "José"),
     ("ana", "Ana"), ("Ana-Maria Souza", "Ana-Maria"), ("McDonald", "McDonald"), ("jose@acme.example", ""), ("", ""),
      ("Dr.", "Dr."),
     ('"Zé" Silva', "Zé"), ("Silva,", "Silva"), ("李 明", "李"), ("JP", "JP")],
)  # fmt: skip
def test_a_person_is_called_by_the_first_name(name: str, first: str) -> None:
    assert templates.first_name(name) == first


def test_a_text_file_is_a_template_when_it_begins_with_a_subject() -> None:
    found = templates.parse("proposta.txt", "Subject: Proposta para {account}\n\nOlá {first_name},\r\nsegue.\n")
    assert found == Template("proposta", "Olá {first_name},\nsegue.\n", "Proposta para {account}", file="proposta.txt")


def test_a_text_file_is_a_snippet_without_one() -> None:
    assert templates.parse("oi.md", "Assuntos gerais\n") == Template("oi", "Assuntos gerais\n", file="oi.md")
    assert templates.parse("oi.txt", "Assunto: Oi\nTudo bem?\n") == Template("oi", "Tudo bem?\n", "Oi", file="oi.txt")
    assert templates.parse("nada.txt", "").text == ""


def test_a_toml_file_may_have_a_name_and_markdown() -> None:
    content = (
        'name = "Cobrança"\nsubject = "Fatura de {data}"\nmarkdown = true\ntext = """\nOlá {nome},\n**hoje**\n"""\n'
    )
    assert templates.parse("cobranca.toml", content) == Template(
        "Cobrança", "Olá {nome},\n**hoje**\n", "Fatura de {data}", True, "cobranca.toml"
    )


@pytest.mark.parametrize("file", ["a.txt", "a.md"])
def test_a_wrong_place_is_named_with_where_it_stands(file: str) -> None:
    found = templates.parse(file, "Olá {first_name},\n  e {fist_name} de {Conta}, {acount}.\n")
    assert found.problems == (Problem("fist_name", 2, 5), Problem("acount", 2, 29))
    assert found.problems[0].sentence(file) == f"{file}, line 2, column 5: there is no placeholder {{fist_name}}."


def test_a_wrong_place_in_toml_is_named_with_the_line_of_the_file() -> None:
    found = templates.parse("a.toml", 'subject = "{acount}"\ntext = """\nOlá {fist_name}\n"""\n')
    assert found.problems == (Problem("acount", 1, 12), Problem("fist_name", 3, 5))


@pytest.mark.parametrize(
    ("content", "said"),
    [("text = ", "line 1"), ("x = 1\n[[[", "line 2"), ("subject = 'x'", "text is missing"), ("text = 3",
     "text is missing"),
     ("text = 'x'\nname = 1", "name is missing"), ("text = 'x'\nmarkdown = 'yes'", "markdown is missing")],
)  # fmt: skip
def test_a_broken_file_is_refused_with_its_name_and_place(content: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r"a\.toml") as told:
        templates.parse("a.toml", content)
    assert said in told.value.sentence
    assert told.value.next_step


@pytest.mark.parametrize("language", ["en", "pt_BR"])
def test_every_place_is_explained(language: str) -> None:
    i18n.use(language)
    assert all(i18n._(explained) for explained in templates.PLACES.values())
    assert templates.fill(" ".join(f"{{{place}}}" for place in templates.PLACES), VALUES)[1] == ()


def test_a_folder_is_read_by_name_and_broken_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("Olá", encoding="utf-8")
    (tmp_path / "a.toml").write_text('name = "zebra"\ntext = "x"', encoding="utf-8")
    (tmp_path / "bom.md").write_bytes(b"\xef\xbb\xbfbom")
    (tmp_path / "broken.toml").write_text("text", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("ação".encode("latin-1"))
    (tmp_path / "huge.txt").write_bytes(b"x" * (templates.FILE_LIMIT + 1))
    (tmp_path / "other.pdf").write_bytes(b"%PDF")
    (tmp_path / "folder.txt").mkdir()
    found, faults = templates.read(tmp_path)
    assert [(one.name, one.text) for one in found] == [("b", "Olá\n"), ("bom", "bom\n"), ("zebra", "x\n")]
    assert [error.sentence.split()[0] for error in faults] == ["broken.toml", "huge.txt", "latin.txt"]


def test_no_folder_has_no_templates(tmp_path: Path) -> None:
    assert templates.read(tmp_path / "absent") == ([], [])

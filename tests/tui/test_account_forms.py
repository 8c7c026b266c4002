"""The forms of accounts and contacts, the charts and the lines of panel and card: pure."""

from __future__ import annotations

import pytest

from crmmail.crm.model import (
    Account,
    Bound,
    Briefing,
    Contact,
    Figures,
    Ignored,
    Link,
    LogState,
    LogStatus,
    Owes,
    Reason,
    Unlogged,
    Verdict,
    Week,
)
from crmmail.model import Address
from crmmail.tui import account_forms, account_words, card_lines, charts, format, panel_lines
from crmmail.tui.card_lines import Card
from crmmail.tui.panel_lines import Frame

ACME = Account(
    "a1", "ACME Ltda", ("acme.example",), "11222333000181", "https://acme.example", "+55 11 5555-0101", "Ana"
)
KEYS = dict.fromkeys(("link_account", "classify_new", "never_sender", "never_domain", "account_edit"), "k")
NOT_LOGGED = LogState(1, LogStatus.NOT_LOGGED, Unlogged.NOT_CHOSEN)


def test_a_form_makes_the_account_it_was_made_of():
    account = Account(
        "a1", "ACME", ("acme.example", "acme.test"), "11222333000181", notes="first\nsecond", fields=(("SLA", "24 h"),)
    )
    values = {field.name: field.value for field in account_forms.account_fields(account)}
    assert values["tax_id"] == "11.222.333/0001-81"
    assert account_forms.account_of(values, account) == account
    assert all(field.problem(field.value) == "" for field in account_forms.account_fields(account))


def test_a_form_makes_the_contact_it_was_made_of():
    contact = Contact("c1", "a1", "Ana Souza", ("ana@acme.example", "ana@acme.test"), ("+55 11 5555", "9"), "Compras")
    values = {field.name: field.value for field in account_forms.contact_fields(contact)}
    assert account_forms.contact_of(values, contact) == contact


@pytest.mark.parametrize(
    ("check", "text", "wrong"),
    [
        (account_forms.name_problem, "  ", "name"),
        (account_forms.domains_problem, "acme.example, no domain", "no"),
        (account_forms.domains_problem, "gmail.com", "Anybody"),
        (account_forms.domains_problem, "com.br", "Anybody"),
        (account_forms.tax_problem, "11.222.333/0001-82", "digit"),
        (account_forms.tax_problem, "1234", "11"),
        (account_forms.addresses_problem, "ana@acme.example, ana", "valid"),
        (account_forms.fields_problem, "no colon", "name: value"),
        (account_forms.fields_problem, ": value", "name: value"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_as_it_is_typed(check, text, wrong):
    assert wrong in check(text)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (account_forms.domains_problem, "ACME.example; sub.acme.test"),
        (account_forms.tax_problem, "11.222.333/0001-81"),
        (account_forms.tax_problem, "529.982.247-25"),
        (account_forms.tax_problem, ""),
        (account_forms.addresses_problem, "ana@acme.example; b@acme.example"),
        (account_forms.fields_problem, "SLA: 24 h\n\nGrupo: Sul: 2"),
    ],
)
def test_nothing_is_said_of_what_is_right(check, text):
    assert check(text) == ""


def test_text_from_outside_is_cleaned_in_what_a_form_makes():
    values = {field.name: field.value for field in account_forms.account_fields(Account("", ""))}
    made = account_forms.account_of(values | {"name": "AC\x1b[31mME\u202e", "notes": "a\x07b"}, Account("", ""))
    assert "\x1b" not in made.name
    assert "\u202e" not in made.name
    assert "\x07" not in made.notes


def test_a_twin_is_known_by_tax_id_domain_or_name_but_is_never_the_account_itself():
    new = Account("", "Outra", ("acme.example",))
    assert account_forms.same_named(new, [ACME]) is ACME
    assert account_forms.same_named(Account("", "acme ltda"), [ACME]) is ACME
    assert account_forms.same_named(Account("", "X", (), "11222333000181"), [ACME]) is ACME
    assert account_forms.same_named(Account("", "X"), [ACME]) is None
    assert account_forms.same_named(ACME, [ACME]) is None


def test_charts_tell_little_from_nothing_and_keep_to_their_width():
    assert charts.spark([0, 1, 4, 8], 10) == "·▂▅█"
    assert charts.spark([0, 0], 10) == "··"
    assert charts.spark(range(100), 5, 200) == "▄▄▄▄▄"
    assert charts.spark([1], 0) == ""
    assert [charts.span(seconds) for seconds in (5, 3000, 7200, 200_000, 2_000_000)] == [
        "1 min",
        "50 min",
        "2 h",
        "2 d",
        "3 weeks",
    ]
    assert len(charts.scale(3600, 8)) == 8
    assert charts.scale(60, 8).count("▰") < charts.scale(86_400, 8).count("▰")


def lines(found) -> list[str]:
    return ["".join(text for text, _part in line.spans) for line in found]


@pytest.mark.parametrize("width", [20, 36, 60])
def test_no_line_of_panel_or_card_is_wider_than_its_place(width):
    long = Account("a1", "Indústria e Comércio de 株式会社 " * 4, ("a" * 60 + ".example",), notes="x" * 300)
    people = tuple(Contact(str(n), "a1", "José " * 12, ("j" * 70 + "@acme.example",), role="Compras") for n in range(9))
    briefing = Briefing(
        1,
        Verdict(Bound.LINKED, (Link(1, "a1", "ACME", Reason.ADDRESS, "j" * 80 + "@acme.example"),)),
        NOT_LOGGED,
        long,
        people,
        strangers=(Address("Z" * 90, "z@z.example"),),
        identities=("me" * 40 + "@example.com",),
    )
    weeks = tuple(Week(n, n % 5, n % 3) for n in range(80))
    card = Card(long, people, Figures(weeks, 3600.0, None, 12, 0))
    shown = [
        *panel_lines.layout(briefing, Frame(width, 0.0, KEYS)),
        *card_lines.layout(card, width, KEYS),
    ]
    assert all(format.width(line) <= width for line in lines(shown)), max(lines(shown), key=format.width)


def test_a_contact_and_its_role_are_told_apart_in_the_card():
    person = Contact("c1", "a1", "Ana Souza", ("ana@acme.example",), role="Compras")
    assert "Ana Souza  Compras" in lines(card_lines.layout(Card(ACME, (person,)), 40, KEYS))


def test_the_panel_says_why_mail_is_linked_and_who_owes_an_answer():
    verdict = Verdict(Bound.LINKED, (Link(1, "a1", "ACME Ltda", Reason.DOMAIN, "acme.example"),))
    text = "\n".join(
        lines(panel_lines.layout(Briefing(1, verdict, NOT_LOGGED, ACME, owes=Owes.NOBODY), Frame(60, 0.0, KEYS)))
    )
    assert "By the domain acme.example" in text
    assert "11.222.333/0001-81" in text
    assert "Not logged: you have not chosen to log" in text
    assert "None yet" in text


def test_mail_without_an_account_says_why_and_which_key_links_it():
    found = panel_lines.layout(
        Briefing(1, Verdict(Bound.IGNORED, why=Ignored.INTERNAL), NOT_LOGGED), Frame(40, 0.0, KEYS)
    )
    assert "Internal" in "\n".join(lines(found))
    assert any(line.command == "link_account" for line in found)


def test_in_the_queue_candidates_have_the_numbers_that_answer():
    candidates = tuple(Link(1, f"a{n}", f"Conta {n}", Reason.ADDRESS, "x@y.example") for n in range(1, 12))
    verdict = Verdict(Bound.QUEUED, candidates=candidates)
    found = panel_lines.layout(Briefing(1, verdict, NOT_LOGGED), Frame(40, 0.0, KEYS, classify=True))
    answers = [line.command for line in found if line.command.startswith("classify_") and line.command[-1].isdigit()]
    assert answers == [f"classify_{n}" for n in range(1, 10)]
    assert " 1 Conta 1" in lines(found)[1]


@pytest.mark.parametrize("why", Ignored)
def test_every_reason_to_ignore_has_words(why):
    assert account_words.ignored(why)


@pytest.mark.parametrize("why", Unlogged)
def test_every_reason_not_to_log_has_words(why):
    assert account_words.unlogged(why)
    assert account_words.unlogged(why) in account_words.log_state(LogState(1, LogStatus.NOT_LOGGED, why))[0]

"""What a draft is asked before it is sent, as a table of drafts and verdicts."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from crmmail import i18n
from crmmail.mail import checks, reply
from crmmail.mail.checks import Circumstances, Code, Severity
from crmmail.mail.parse import headers_of
from crmmail.mail.reply import Kind
from crmmail.model import Address, Draft, Enclosure, Headers, Identity
from tests.mail.hostile_files import everything

ME = Identity("work", Address("Me", "me@ourco.example"), signature="Eu\nAnexo IV, sala 2")
ANA, BEA = Address("Ana", "ana@x.org"), Address("Bea", "bea@x.org")
FILE = Enclosure("a.pdf", "application/pdf", 3, "d")
GOOD = Draft(0, "work", "me@ourco.example", (ANA,), subject="Oi", text="Hello.\n", kind="new")
FINE = Circumstances(ME, own=("me@ourco.example", "vendas@ourco.example"))
TO_ME = Headers(sender=ANA, to=(Address("", "me@ourco.example"), BEA))
BLIND = Headers(sender=ANA, to=(BEA,))
CROWD = tuple(Address("", f"u{number}@x.org") for number in range(30))
QUOTE = "\n\nOn Sun, Ana wrote:\n> see attached {first_name}\n"

# (case, what differs in the draft, what differs around it, the codes that are found)
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("good", {}, {}, ""),
    ("good, copies", {"cc": (BEA,), "bcc": (Address("", "c@x.org"),)}, {}, ""),
    ("good reply", {"kind": "reply", "text": f"Yes.{QUOTE}"}, {"parent": TO_ME}, ""),
    ("good reply to all", {"kind": "reply_all", "cc": (BEA,)}, {"parent": TO_ME}, ""),
    ("good forward", {"kind": "forward", "text": "\n\n---------- Forwarded message ----------\nattached"}, {}, ""),
    ("good with a file", {"text": "Segue em anexo.", "enclosures": (FILE,)}, {}, ""),
    # recipients
    ("nobody", {"to": ()}, {}, "no_recipient"),
    ("only blind copies", {"to": (), "bcc": (ANA,)}, {}, ""),
    ("typed, not valid", {"to": (Address("ana@", ""),)}, {}, "invalid_recipient"),
    ("one of two not valid", {"cc": (Address("nobody", ""),)}, {}, "invalid_recipient"),
    ("valid only at first sight", {"to": (Address("", "a@x.org\r\nBcc: z@x.org"),)}, {}, "invalid_recipient"),
    ("letters few servers carry", {"to": (Address("", "joão@x.org"),)}, {}, "invalid_recipient"),
    ("two addresses in one", {"bcc": (Address("", "a@x.org,b@x.org"),)}, {}, "invalid_recipient"),
    # who sends
    ("no identity", {"sender": ""}, {"identity": None}, "no_identity"),
    ("alias not verified", {}, {"identity": replace(ME, verified=False)}, "unverified_sender"),
    ("same sender as before", {}, {"last_sender": "ME@ourco.example"}, ""),
    ("other sender than before", {}, {"last_sender": "vendas@ourco.example"}, "other_sender"),
    ("never written before", {}, {"last_sender": ""}, ""),
    # the account it is written for
    ("another account's contact", {}, {"account": "ACME", "others": {"ana@x.org": "Lima"}}, "other_account"),
    ("another account's, copied", {"to": (BEA,), "cc": (Address("", "ANA@X.org"),)},
     {"account": "ACME", "others": {"ana@x.org": "Lima"}}, "other_account"),
    ("another account's, none chosen", {}, {"others": {"ana@x.org": "Lima"}}, ""),
    ("its own contact", {}, {"account": "ACME", "contacts": frozenset({"ana@x.org"})}, ""),
    ("its own contact, hidden", {"bcc": (BEA,)}, {"account": "ACME", "contacts": frozenset({"bea@x.org"})},
     "blind_contact"),
    ("a stranger hidden", {"bcc": (BEA,)}, {"account": "ACME", "contacts": frozenset({"ana@x.org"})}, ""),
    ("same identity as with the account", {}, {"account": "ACME", "account_sender": "Me@ourco.example"}, ""),
    ("other identity than with the account", {}, {"account": "ACME", "account_sender": "vendas@ourco.example"},
     "other_identity"),
    ("other identity, but the person knows it", {},
     {"account": "ACME", "account_sender": "vendas@ourco.example", "last_sender": "me@ourco.example"}, ""),
    ("other identity, said once", {},
     {"account": "ACME", "account_sender": "vendas@ourco.example", "last_sender": "vendas@ourco.example"},
     "other_sender"),
    # size
    ("as large as allowed", {"enclosures": (FILE,)}, {"size": 1_000, "limit": 1_000}, ""),
    ("too large", {"enclosures": (FILE,)}, {"size": 1_001, "limit": 1_000}, "too_large"),
    ("limit not known", {"enclosures": (FILE,)}, {"size": 10**9}, ""),
    # replies to all
    ("was blind copied", {"kind": "reply_all"}, {"parent": BLIND}, "was_blind_copied"),
    ("was blind copied, one answer", {"kind": "reply"}, {"parent": BLIND}, ""),
    ("named by an alias", {"kind": "reply_all"}, {"parent": replace(BLIND, cc=(Address("",
     "Vendas@ourco.example"),))}, ""),
    ("named by a plus tag", {"kind": "reply_all"}, {"parent": replace(BLIND, to=(Address("",
     "me+a@ourco.example"),))}, ""),
    ("wrote it oneself", {"kind": "reply_all"}, {"parent": Headers(sender=ME.address, to=(ANA,))}, ""),
    ("on a list", {"kind": "reply_all"}, {"parent": replace(BLIND, list_id="l.org")}, ""),
    ("many people", {"kind": "reply_all", "cc": CROWD}, {"parent": TO_ME}, "many_recipients"),
    ("many people, more allowed", {"kind": "reply_all", "cc": CROWD}, {"parent": TO_ME, "many": 31}, ""),
    ("one more than allowed", {"kind": "reply_all", "cc": CROWD}, {"parent": TO_ME, "many": 30}, "many_recipients"),
    ("many people, chosen oneself", {"cc": CROWD}, {}, ""),
    ("the same person many times", {"kind": "reply_all", "cc": (BEA,) * 30}, {"parent": TO_ME}, ""),
    # subject and text
    ("no subject", {"subject": ""}, {}, "empty_subject"),
    ("subject of spaces", {"subject": "  "}, {}, "empty_subject"),
    ("no text", {"text": " \n"}, {}, "empty_text"),
    ("only a quote", {"kind": "reply", "text": QUOTE}, {"parent": TO_ME}, "empty_text"),
    ("only a signature", {"text": "\n\n-- \nEu\nAnexo IV, sala 2\n"}, {}, "empty_text"),
    ("no text, but a file", {"text": "", "enclosures": (FILE,)}, {}, ""),
    # places
    ("place in the text", {"text": "Olá {first_name},"}, {}, "unresolved_place"),
    ("Portuguese place", {"text": "Olá {primeiro_nome},"}, {}, "unresolved_place"),
    ("misspelt place", {"text": "Olá {fist_name},"}, {}, "unresolved_place"),
    ("place in the subject", {"subject": "Para {conta}"}, {}, "unresolved_place"),
    ("place in the subject answered", {"kind": "reply", "subject": "Re: {conta}"}, {"parent": TO_ME}, ""),
    ("place in the quote", {"kind": "reply", "text": f"Sim.{QUOTE}"}, {"parent": TO_ME}, ""),
    ("braces that are none", {"text": 'set {a}, {"b": 1}, {}, {1}, { name }'}, {}, ""),
    # attachments
    ("promised in Portuguese", {"text": "Segue em anexo a proposta."}, {}, "missing_attachment"),
    ("promised in English", {"text": "Please find attached the offer."}, {}, "missing_attachment"),
    ("promised in the quote", {"kind": "reply", "text": f"Thanks!{QUOTE}"}, {"parent": TO_ME}, ""),
    ("promised in the signature", {"text": "Oi.\n\n-- \nEu\nAnexo IV, sala 2\n"}, {}, ""),
    ("promised in the subject", {"subject": "Proposta em anexo"}, {}, "missing_attachment"),
    ("promised in the subject answered", {"kind": "reply", "subject": "Re: Proposta em anexo"}, {"parent": TO_ME}, ""),
    ("promised above a forward", {"kind": "forward", "text": "Em anexo.\n\n----- Forwarded message -----\nx"}, {},
     "missing_attachment"),
    # several at once, what blocks first
    ("everything wrong", {"to": (), "subject": "", "text": "{name}: em anexo"}, {"identity": None,
     "last_sender": "x@x.org"},
     "no_identity no_recipient other_sender empty_subject missing_attachment unresolved_place"),
    ("empty draft", {"to": (), "subject": "", "text": ""}, {}, "no_recipient empty_subject empty_text"),
]  # fmt: skip


@pytest.mark.parametrize(("draft", "around", "codes"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_a_draft_is_asked_what_the_table_says(draft: dict[str, Any], around: dict[str, Any], codes: str) -> None:
    found = checks.check(replace(GOOD, **draft), replace(FINE, **around))
    assert " ".join(finding.code for finding in found) == codes


def test_the_table_is_as_long_as_promised_and_finds_everything() -> None:
    assert len(TABLE) >= 40
    assert {code for case in TABLE for code in case[3].split()} == {code.value for code in Code}


def test_only_what_no_server_takes_blocks() -> None:
    found = {
        finding.code: finding.severity
        for _, draft, around, _ in TABLE
        for finding in checks.check(replace(GOOD, **draft), replace(FINE, **around))
    }
    blocking = {code for code, severity in found.items() if severity is Severity.BLOCK}
    assert blocking == {Code.NO_IDENTITY, Code.NO_RECIPIENT, Code.INVALID_RECIPIENT, Code.TOO_LARGE}


@pytest.mark.parametrize("language", ["en", "pt_BR"])
def test_every_finding_has_a_sentence_and_a_field(language: str) -> None:
    i18n.use(language)
    fields = {"to", "cc", "bcc", "sender", "subject", "text", "enclosures"}
    for case, draft, around, _codes in TABLE:
        for finding in checks.check(replace(GOOD, **draft), replace(FINE, **around)):
            assert finding.sentence[-1] in ".", case
            assert finding.fields, case
            assert set(finding.fields) <= fields, case


def test_of_several_people_of_other_customers_each_is_named() -> None:
    bruno, eva = Address("", "bruno@lima.test"), Address("", "eva@acme.example")
    others = {"ana@x.org": "Lima", "bruno@lima.test": "Lima & Filhos"}
    around = replace(FINE, account="ACME", others=others, contacts=frozenset({"eva@acme.example", "rui@acme.example"}))
    hidden = (bruno, eva, Address("", "rui@acme.example"))
    told = [finding.sentence for finding in checks.check(replace(GOOD, bcc=hidden), around)]
    assert told == [
        "ana@x.org (Lima), bruno@lima.test (Lima & Filhos) are contacts of other accounts, "
        "and this is written for ACME.",
        "eva@acme.example, rui@acme.example of ACME stand in blind copy.",
    ]
    many = tuple(Address("", f"p{number}@lima.test") for number in range(9))
    others = {one.email: "Lima" for one in many}
    (told,) = [one.sentence for one in checks.check(replace(GOOD, to=many), replace(around, others=others))]
    assert ("p3@lima.test" in told, "p4@lima.test" in told, "5 more" in told) == (True, False, True)


def test_sentences_name_what_they_are_about() -> None:
    def sentence(**draft: Any) -> str:
        return checks.check(replace(GOOD, **draft), FINE)[0].sentence

    assert sentence(to=(Address("ana@", ""),)) == "“ana@” is not a valid address."
    assert sentence(to=(Address("a", ""), Address("b", ""))) == "2 addresses are not valid, “a” first."
    assert sentence(text="Olá {primeiro_nome}") == "{primeiro_nome} has not been filled in."
    assert sentence(text="Please find attached it") == "The text says “Please find attached”, but nothing is attached."
    large = checks.check(GOOD, replace(FINE, size=40_000_000, limit=checks.LIMITS["gmail"]))[0]
    assert large.sentence == "The message is about 40.0 MB; the server accepts up to 36.7 MB."


@pytest.mark.parametrize(
    "text",
    ["Segue anexo.", "segue em anexo o contrato", "Seguem anexos os documentos", "Seguem os arquivos anexos",
     "Em anexo, a proposta",
     "A planilha está em anexo", "Anexei o relatório", "anexo: nota fiscal", "Estou anexando a fatura",
      "o boleto anexo",
     "Envio anexo o orçamento", "conforme anexo", "Veja o anexo", "vide anexo", "Segue a nota fiscal em anexo",
     "Please see attached.", "I've attached the file", "I have attached it", "The report is attached",
      "Attached is the invoice",
     "Attached please find", "see the attachment", "in the attachment you will find", "I am attaching the slides",
     "Enclosed please find our offer", "Attachment: offer.pdf", "I attach the contract", "find enclosed the contract"],
)  # fmt: skip
def test_a_promise_of_a_file_is_heard(text: str) -> None:
    assert checks.mentions_attachment(text)


@pytest.mark.parametrize(
    "text",
    ["Olá, tudo bem?", "The file is not attached", "Não recebi o contrato anexo", "Não recebi o anexo",
     "Veio sem anexo", "Não consegui abrir o anexo", "o seu anexo chegou",
     "teu anexo abriu",
     "O anexo que você mandou", "no prédio anexo ao nosso", "There was no attachment", "Your attachment did not open",
     "without attachments", "I am very attached to this idea", "the attachment you sent", "strings attached",
      "It isn't attached",
     "", "unattached", "a sala anexa ao lobby"],
)  # fmt: skip
def test_what_promises_no_file_is_let_by(text: str) -> None:
    assert checks.mentions_attachment(text) == ""


def test_a_denial_does_not_hide_a_promise_in_the_next_sentence() -> None:
    assert checks.mentions_attachment("Não recebi o anexo. Segue em anexo o meu.")


def test_a_text_made_to_hang_takes_no_time() -> None:
    started = time.perf_counter()
    for text in (
        "segue o " * 6_000,
        "não " * 12_000,
        "\n" * 50_000,
        "I have my " * 5_000,
        "a" * 1_000_000,
        "{" * 100_000,
    ):
        checks.check(replace(GOOD, text=text), FINE)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("one", [one for one in everything() if one.checks("reply_all_guard")], ids=lambda one: one.id)
def test_a_reply_to_a_hostile_crowd_is_asked_about(one: Any) -> None:
    parent = headers_of(one.raw())
    whom = reply.recipients(Kind.REPLY_ALL, parent, FINE.own)
    limit = one.checks("reply_all_guard")[0]["max_recipients"]
    draft = replace(GOOD, kind="reply_all", to=whom.to, cc=whom.cc)
    found = checks.check(draft, replace(FINE, parent=parent, many=limit))
    assert Code.MANY_RECIPIENTS in [finding.code for finding in found]
    assert limit >= checks.MANY

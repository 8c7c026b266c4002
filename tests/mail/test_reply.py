"""Whom an answer goes to, as a golden table, and what its headers and its text are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from itertools import chain

import pytest

from crmmail import i18n
from crmmail.mail import compose, quote, reply
from crmmail.mail.parse import headers_of, parse
from crmmail.mail.reply import Hints, Kind
from crmmail.model import Address, Body, Enclosure, Headers, Identity, Message, Row, State
from tests.mail.hostile_files import Hostile, everything

ME = ("me@ourco.example", "vendas@ourco.example", "m.e@gmail.com")
BRASILIA = timezone(timedelta(hours=-3))

# (case, headers of the message answered, To of a reply, To of a reply to all, its Cc)
TABLE = [
    ("one sender", "From: a@x.org|To: me@ourco.example", "a@x.org", "a@x.org", ""),
    ("others in To", "From: a@x.org|To: me@ourco.example, b@x.org", "a@x.org", "a@x.org", "b@x.org"),
    ("others in Cc", "From: a@x.org|To: me@ourco.example|Cc: c@x.org", "a@x.org", "a@x.org", "c@x.org"),
    ("To before Cc", "From: a@x.org|To: b@x.org, me@ourco.example|Cc: c@x.org",
     "a@x.org", "a@x.org", "b@x.org c@x.org"),
    ("I am in Cc", "From: a@x.org|To: b@x.org|Cc: me@ourco.example", "a@x.org", "a@x.org", "b@x.org"),
    ("I was blind copied", "From: a@x.org|To: b@x.org|Cc: c@x.org", "a@x.org", "a@x.org", "b@x.org c@x.org"),
    ("nobody named", "From: a@x.org", "a@x.org", "a@x.org", ""),
    ("undisclosed", "From: a@x.org|To: undisclosed-recipients:;", "a@x.org", "a@x.org", ""),
    ("sender in To too", "From: a@x.org|To: a@x.org, me@ourco.example", "a@x.org", "a@x.org", ""),
    ("sender in Cc too", "From: a@x.org|To: me@ourco.example|Cc: A@X.org, b@x.org", "a@x.org", "a@x.org", "b@x.org"),
    # our own addresses
    ("my alias in Cc", "From: a@x.org|To: me@ourco.example|Cc: vendas@ourco.example", "a@x.org", "a@x.org", ""),
    ("alias in other case", "From: a@x.org|To: ME@OurCo.Example|Cc: Vendas@ourco.example", "a@x.org", "a@x.org", ""),
    ("my plus tag", "From: a@x.org|To: me+shop@ourco.example, b@x.org", "a@x.org", "a@x.org", "b@x.org"),
    ("my alias with a tag", "From: a@x.org|To: vendas+2026@ourco.example", "a@x.org", "a@x.org", ""),
    ("my Gmail without dots", "From: a@x.org|To: me@gmail.com, b@x.org", "a@x.org", "a@x.org", "b@x.org"),
    ("my Gmail, dots and tag", "From: a@x.org|To: m.E+a+b@gmail.com", "a@x.org", "a@x.org", ""),
    ("dots count elsewhere", "From: a@x.org|To: v.endas@ourco.example", "a@x.org", "a@x.org", "v.endas@ourco.example"),
    ("a colleague is not me", "From: a@x.org|To: you@ourco.example", "a@x.org", "a@x.org", "you@ourco.example"),
    ("my name, not my address", "From: a@x.org|To: Me <me@other.example>", "a@x.org", "a@x.org", "me@other.example"),
    ("a longer local part", "From: a@x.org|To: some@ourco.example", "a@x.org", "a@x.org", "some@ourco.example"),
    ("their plus tag stays", "From: a@x.org|To: b+list@x.org, b@x.org", "a@x.org", "a@x.org", "b+list@x.org b@x.org"),
    ("sender with a tag", "From: a+crm@x.org|To: me@ourco.example", "a+crm@x.org", "a+crm@x.org", ""),
    ("only a plus as local part", "From: +@x.org|To: me@ourco.example", "+@x.org", "+@x.org", ""),
    # my own sent mail
    ("I wrote it", "From: me@ourco.example|To: a@x.org", "a@x.org", "a@x.org", ""),
    ("I wrote to two", "From: me@ourco.example|To: a@x.org, b@x.org", "a@x.org b@x.org", "a@x.org b@x.org", ""),
    ("I wrote with Cc", "From: me@ourco.example|To: a@x.org|Cc: c@x.org", "a@x.org", "a@x.org", "c@x.org"),
    ("I wrote as an alias", "From: vendas@ourco.example|To: a@x.org", "a@x.org", "a@x.org", ""),
    ("I wrote with a tag", "From: me+x@ourco.example|To: a@x.org", "a@x.org", "a@x.org", ""),
    ("I copied myself", "From: me@ourco.example|To: a@x.org|Cc: vendas@ourco.example", "a@x.org", "a@x.org", ""),
    ("I wrote to myself and one", "From: me@ourco.example|To: me@ourco.example, a@x.org", "a@x.org", "a@x.org", ""),
    ("a note to myself", "From: me@ourco.example|To: me@ourco.example", "me@ourco.example", "me@ourco.example", ""),
    ("a note from alias", "From: vendas@ourco.example|To: me@ourco.example",
     "me@ourco.example", "me@ourco.example", ""),
    ("I wrote blind copies only", "From: me@ourco.example", "me@ourco.example", "me@ourco.example", ""),
    ("I wrote in Cc only", "From: me@ourco.example|Cc: a@x.org", "me@ourco.example", "me@ourco.example", "a@x.org"),
    ("I wrote, answers elsewhere", "From: me@ourco.example|Reply-To: desk@x.org|To: a@x.org",
     "desk@x.org", "desk@x.org", "a@x.org"),
    ("I wrote, answers to my alias", "From: me@ourco.example|Reply-To: vendas@ourco.example|To: a@x.org",
     "a@x.org", "a@x.org", ""),
    # Reply-To
    ("Reply-To", "From: a@x.org|Reply-To: r@x.org|To: me@ourco.example", "r@x.org", "r@x.org", ""),
    ("Reply-To, all", "From: a@x.org|Reply-To: r@x.org|To: me@ourco.example, b@x.org", "r@x.org", "r@x.org", "b@x.org"),
    ("Reply-To equals From", "From: a@x.org|Reply-To: A <a@x.org>|To: me@ourco.example", "a@x.org", "a@x.org", ""),
    ("several Reply-To", "From: a@x.org|Reply-To: r@x.org, s@x.org|To: me@ourco.example",
     "r@x.org s@x.org", "r@x.org s@x.org", ""),
    ("Reply-To twice the same", "From: a@x.org|Reply-To: r@x.org, R@x.org", "r@x.org", "r@x.org", ""),
    ("Reply-To is me", "From: a@x.org|Reply-To: me@ourco.example|To: me@ourco.example", "a@x.org", "a@x.org", ""),
    ("Reply-To is me and them", "From: a@x.org|Reply-To: me@ourco.example, r@x.org", "r@x.org", "r@x.org", ""),
    ("Reply-To is my tag", "From: a@x.org|Reply-To: me+1@ourco.example|To: b@x.org", "a@x.org", "a@x.org", "b@x.org"),
    ("Reply-To is not valid", "From: a@x.org|Reply-To: nobody|To: me@ourco.example", "a@x.org", "a@x.org", ""),
    ("Reply-To empty", "From: a@x.org|Reply-To: |To: me@ourco.example", "a@x.org", "a@x.org", ""),
    ("Reply-To partly valid", "From: a@x.org|Reply-To: nobody, r@x.org", "r@x.org", "r@x.org", ""),
    ("Reply-To of no From", "Reply-To: r@x.org|To: me@ourco.example, b@x.org", "r@x.org", "r@x.org", "b@x.org"),
    ("Reply-To also in Cc", "From: a@x.org|Reply-To: r@x.org|Cc: R@x.org, c@x.org", "r@x.org", "r@x.org", "c@x.org"),
    ("Reply-To group", "From: a@x.org|Reply-To: Desk: r@x.org, s@x.org;", "r@x.org s@x.org", "r@x.org s@x.org", ""),
    ("no-reply with Reply-To", "From: no-reply@x.org|Reply-To: help@x.org", "help@x.org", "help@x.org", ""),
    # lists
    ("list, answers to the author", "From: a@x.org|To: list@l.org|List-Id: <l.org>",
     "a@x.org", "a@x.org", "list@l.org"),
    ("list that sets Reply-To", "From: a@x.org|Reply-To: list@l.org|To: list@l.org|List-Id: <l.org>",
     "list@l.org", "list@l.org", ""),
    ("list with Reply-To and Cc", "From: a@x.org|Reply-To: list@l.org|To: list@l.org|Cc: c@x.org",
     "list@l.org", "list@l.org", "c@x.org"),
    ("list wrapped by DMARC", "From: A via L <list@l.org>|Reply-To: a@x.org|To: list@l.org",
     "a@x.org", "a@x.org", "list@l.org"),
    ("Mail-Followup-To", "From: a@x.org|Mail-Followup-To: list@l.org|To: list@l.org, b@x.org",
     "a@x.org", "list@l.org", ""),
    ("Mail-Followup-To with people",
     "From: a@x.org|Mail-Followup-To: list@l.org, a@x.org, me@ourco.example|To: list@l.org",
     "a@x.org", "list@l.org a@x.org", ""),
    ("Mail-Followup-To is me", "From: a@x.org|Mail-Followup-To: me@ourco.example|To: list@l.org",
     "a@x.org", "a@x.org", "list@l.org"),
    ("Mail-Followup-To not valid", "From: a@x.org|Mail-Followup-To: nobody|To: list@l.org",
     "a@x.org", "a@x.org", "list@l.org"),
    # groups, duplicates, case
    ("group in To", "From: a@x.org|To: Team: b@x.org, c@x.org;, d@x.org",
     "a@x.org", "a@x.org", "b@x.org c@x.org d@x.org"),
    ("group with me", "From: a@x.org|To: Team: me@ourco.example, b@x.org;", "a@x.org", "a@x.org", "b@x.org"),
    ("twice in To", "From: a@x.org|To: b@x.org, b@x.org, B@X.ORG", "a@x.org", "a@x.org", "b@x.org"),
    ("in To and Cc", "From: a@x.org|To: b@x.org|Cc: b@x.org, c@x.org", "a@x.org", "a@x.org", "b@x.org c@x.org"),
    ("first spelling wins", "From: a@x.org|To: Bea@x.org, bea@x.org", "a@x.org", "a@x.org", "Bea@x.org"),
    ("sender in capitals", "From: A@X.ORG|To: me@ourco.example", "A@x.org", "A@x.org", ""),
    ("two To fields", "From: a@x.org|To: b@x.org|To: c@x.org", "a@x.org", "a@x.org", "b@x.org c@x.org"),
    ("names with commas", 'From: a@x.org|To: "Silva, Ana" <b@x.org>, Souza, Bia <c@x.org>',
     "a@x.org", "a@x.org", "b@x.org c@x.org"),
    ("domain in other letters", "From: a@exämple.org|To: me@ourco.example, A@xn--exmple-cua.org",
     "a@xn--exmple-cua.org", "a@xn--exmple-cua.org", ""),
    ("encoded name with a comma", "From: =?utf-8?Q?Silva=2C_Jos=C3=A9?= <a@x.org>|To: me@ourco.example",
     "a@x.org", "a@x.org", ""),
    # not valid
    ("sender not valid", "From: Somebody|To: me@ourco.example", "", "", ""),
    ("sender not valid, others", "From: Somebody|To: me@ourco.example, b@x.org", "", "", "b@x.org"),
    ("no sender at all", "To: me@ourco.example", "", "", ""),
    ("Sender instead of From", "Sender: s@x.org|To: me@ourco.example", "s@x.org", "s@x.org", ""),
    ("one in To not valid", "From: a@x.org|To: nobody, b@x.org", "a@x.org", "a@x.org", "b@x.org"),
    ("address in the name only", 'From: "boss@ourco.example" <a@evil.example>', "a@evil.example", "a@evil.example", ""),
    ("two angle brackets", "From: a@x.org|To: <b@x.org> <c@x.org>", "a@x.org", "a@x.org", ""),
    ("quoted trick", 'From: a@x.org|To: "b@x.org>\r\n Bcc: <z@evil.example"@y.org', "a@x.org", "a@x.org", ""),
    ("two From", "From: a@x.org, b@x.org|To: me@ourco.example", "a@x.org", "a@x.org", ""),
    ("nothing at all", "Subject: x", "", "", ""),
    ("only myself in Reply-To, no From", "Reply-To: me@ourco.example", "me@ourco.example", "me@ourco.example", ""),
]  # fmt: skip


def raw(fields: str) -> bytes:
    return "".join(f"{field}\r\n" for field in fields.split("|")).encode() + b"\r\nHello.\r\n"


def emails(people: tuple[Address, ...]) -> str:
    return " ".join(person.email for person in people)


@pytest.mark.parametrize(("fields", "to"), [case[1:3] for case in TABLE], ids=[case[0] for case in TABLE])
def test_a_reply_goes_to_whom_the_table_says(fields: str, to: str) -> None:
    found = reply.recipients(Kind.REPLY, headers_of(raw(fields)), ME, reply.hints(raw(fields)))
    assert (emails(found.to), emails(found.cc)) == (to, "")


@pytest.mark.parametrize(
    ("fields", "to", "cc"), [(case[1], *case[3:]) for case in TABLE], ids=[case[0] for case in TABLE]
)
def test_a_reply_to_all_goes_to_whom_the_table_says(fields: str, to: str, cc: str) -> None:
    found = reply.recipients(Kind.REPLY_ALL, headers_of(raw(fields)), ME, reply.hints(raw(fields)))
    assert (emails(found.to), emails(found.cc)) == (to, cc)


def test_the_table_is_as_long_as_promised() -> None:
    assert len(TABLE) >= 60
    assert len({case[0] for case in TABLE}) == len(TABLE)


@pytest.mark.parametrize("kind", [Kind.NEW, Kind.FORWARD])
def test_a_forward_and_a_new_message_have_no_recipients_yet(kind: Kind) -> None:
    assert reply.recipients(kind, headers_of(raw(TABLE[3][1])), ME) == reply.Recipients()


def test_names_are_kept_with_the_addresses() -> None:
    parent = headers_of(raw("From: José Silva <a@x.org>|To: me@ourco.example, Bea <b@x.org>"))
    found = reply.recipients(Kind.REPLY_ALL, parent, ME)
    assert (found.to, found.cc) == ((Address("José Silva", "a@x.org"),), (Address("Bea", "b@x.org"),))


def test_no_more_people_than_a_server_takes() -> None:
    crowd = tuple(Address("", f"u{number}@x.org") for number in range(2_000))
    parent = Headers(sender=Address("", "a@x.org"), reply_to=crowd[:700], to=crowd, cc=crowd)
    found = reply.recipients(Kind.REPLY_ALL, parent, ME)
    assert len(found.to) + len(found.cc) == reply.RECIPIENTS_LIMIT


def test_without_any_address_of_our_own_everybody_is_somebody_else() -> None:
    found = reply.recipients(Kind.REPLY_ALL, headers_of(raw(TABLE[1][1])), ())
    assert (emails(found.to), emails(found.cc)) == ("a@x.org", "me@ourco.example b@x.org")


@pytest.mark.parametrize(
    ("parent", "answer", "forward"),
    [
        ("Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("Re: Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("RES: Re: ENC: Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("Re[2]: Re(3): re*4: Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("Fwd: Fw: Encaminhada: Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("AW: WG: SV: VS: Antw: Odp: Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("回复：转发: Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("re :Proposta", "Re: Proposta", "Fwd: Proposta"),
        ("Resultado: 3 x 1", "Re: Resultado: 3 x 1", "Fwd: Resultado: 3 x 1"),
        ("Reunião: terça", "Re: Reunião: terça", "Fwd: Reunião: terça"),
        ("R: 200", "Re: R: 200", "Fwd: R: 200"),
        ("[EXTERNAL] Re: Proposta", "Re: [EXTERNAL] Re: Proposta", "Fwd: [EXTERNAL] Re: Proposta"),
        ("Re: [EXTERNAL] Re: Proposta", "Re: [EXTERNAL] Re: Proposta", "Fwd: [EXTERNAL] Re: Proposta"),
        ("", "Re:", "Fwd:"),
        ("Re: ", "Re:", "Fwd:"),
    ],
)
def test_prefixes_do_not_stack(parent: str, answer: str, forward: str) -> None:
    assert (reply.subject(Kind.REPLY, parent), reply.subject(Kind.FORWARD, parent)) == (answer, forward)
    assert reply.subject(Kind.REPLY_ALL, answer) == answer
    assert reply.subject(Kind.FORWARD, forward) == forward


def test_a_new_message_keeps_the_subject_it_was_given() -> None:
    assert reply.subject(Kind.NEW, "Re: as it is") == "Re: as it is"


@pytest.mark.parametrize(
    "spelling",
    ["Proposta  nova", "re: PROPOSTA nova", "[EXTERNAL] Re: Proposta nova", "RE: [ext] RES: Proposta nova",
     "R: proposta nova", "[lista] [EXTERNAL] ENC: Proposta nova", "***SPAM*** Proposta nova"],
)  # fmt: skip
def test_spellings_of_one_subject_have_one_topic(spelling: str) -> None:
    assert reply.topic(spelling) == "proposta nova"


def test_a_subject_of_nothing_but_a_tag_is_its_topic() -> None:
    assert reply.topic("[Pedido 42]") == "[pedido 42]"
    assert reply.topic("") == ""


def test_references_end_with_the_message_answered() -> None:
    parent = Headers(message_id="<c@x>", references=("<a@x>", "<b@x>"), in_reply_to="<b@x>")
    assert reply.references(parent) == ("<a@x>", "<b@x>", "<c@x>")


def test_references_begin_with_in_reply_to_where_there_are_none() -> None:
    assert reply.references(Headers(message_id="<c@x>", in_reply_to="<b@x>")) == ("<b@x>", "<c@x>")


def test_references_name_nothing_twice() -> None:
    assert reply.references(Headers(message_id="<a@x>", references=("<a@x>", "<b@x>", "<b@x>"))) == ("<b@x>", "<a@x>")


def test_long_references_keep_the_first_and_the_latest() -> None:
    many = tuple(f"<{number}@x>" for number in range(100))
    kept = reply.references(Headers(message_id="<last@x>", references=many))
    assert (len(kept), kept[0], kept[1], kept[-1]) == (reply.KEPT_REFERENCES, "<0@x>", "<82@x>", "<last@x>")


def test_a_message_without_an_id_still_leaves_its_thread() -> None:
    assert reply.references(Headers(references=("<a@x>",))) == ("<a@x>",)
    assert reply.references(Headers()) == ()


def known(mailbox: str, email: str, **more: object) -> Identity:
    return Identity(mailbox, Address("", email), **more)  # type: ignore[arg-type]


OURS = (
    known("work", "me@ourco.example", default=True),
    known("work", "vendas@ourco.example"),
    known("work", "old@ourco.example", verified=False),
    known("home", "me@gmail.com", default=True),
)


@pytest.mark.parametrize(
    ("fields", "mailbox", "delivered", "chosen"),
    [
        ("To: vendas@ourco.example", "work", (), "vendas@ourco.example"),
        ("To: VENDAS@ourco.example", "work", (), "vendas@ourco.example"),
        ("To: vendas+site@ourco.example", "work", (), "vendas@ourco.example"),
        ("To: a@x.org|Cc: vendas@ourco.example", "work", (), "vendas@ourco.example"),
        ("To: vendas@ourco.example|Cc: me@ourco.example", "work", (), "vendas@ourco.example"),
        ("To: list@l.org", "work", ("vendas@ourco.example",), "vendas@ourco.example"),
        ("To: list@l.org", "work", (), "me@ourco.example"),
        ("To: list@l.org", "home", (), "me@gmail.com"),
        ("From: vendas@ourco.example|To: a@x.org", "work", (), "vendas@ourco.example"),
        ("From: a@x.org|To: me@gmail.com", "work", (), "me@gmail.com"),
        ("From: a@x.org|To: me@gmail.com, vendas@ourco.example", "work", (), "vendas@ourco.example"),
        ("From: a@x.org|To: me@gmail.com, vendas@ourco.example", "home", (), "me@gmail.com"),
        ("From: a@x.org|To: old@ourco.example", "work", (), "old@ourco.example"),
        ("From: a@x.org|To: nobody", "elsewhere", (), "me@ourco.example"),
        ("From: nobody|To: ", "work", ("",), "me@ourco.example"),
    ],
)
def test_the_answer_comes_from_where_the_message_went(
    fields: str, mailbox: str, delivered: tuple[str, ...], chosen: str
) -> None:
    found = reply.identity(headers_of(raw(fields)), OURS, mailbox, delivered)
    assert found is not None
    assert found.address.email == chosen


def test_without_identities_there_is_none() -> None:
    assert reply.identity(Headers(), (), "work") is None


def test_hints_are_read_from_the_bytes() -> None:
    found = reply.hints(
        raw("Delivered-To: me@a.org|X-Original-To: <v@a.org>|Delivered-To: bad|Mail-Followup-To: l@l.org")
    )
    assert found == Hints(("me@a.org", "v@a.org"), (Address("", "l@l.org"),))


def message(fields: str, text: str = "Hello.\n\nBye.") -> Message:
    row = Row(7, "work", "r7", 7, 1, "", "", "", "", 0, False, False, False)
    return Message(row, headers_of(raw(fields)), Body(text), State())


DATED = (
    "From: Ana Silva <ana@x.org>|To: vendas@ourco.example|Subject: Oi|Date: Sun, 22 Nov 2026 14:32:10 -0300"
    "|Message-ID: <p@x>"
)


def test_a_reply_begins_whole() -> None:
    made = reply.begin(Kind.REPLY, message(DATED), OURS, zone=BRASILIA, remote_thread="t1", account="acc-A")
    assert (made.mailbox, made.sender, emails(made.to)) == ("work", "vendas@ourco.example", "ana@x.org")
    assert (made.subject, made.kind, made.parent, made.cursor) == ("Re: Oi", "reply", 7, 0)
    assert (made.in_reply_to, made.references) == ("<p@x>", ("<p@x>",))
    assert (made.remote_thread, made.account) == ("t1", "acc-A")
    assert made.text == "\n\nOn Nov 22, 2026 at 2:32 PM, Ana Silva wrote:\n> Hello.\n>\n> Bye.\n"


def test_a_selection_is_quoted_instead_of_the_whole() -> None:
    made = reply.begin(Kind.REPLY, message(DATED), OURS, selection="Bye.", zone=BRASILIA)
    assert made.text.endswith("wrote:\n> Bye.\n")
    assert "Hello" not in made.text


def test_the_signature_stands_above_the_quote() -> None:
    mine = (known("work", "me@ourco.example", signature="Eu\nEmpresa"),)
    made = reply.begin(Kind.REPLY, message(DATED), mine, zone=BRASILIA)
    assert made.text.startswith("\n\n-- \nEu\nEmpresa\n\nOn Nov 22")


def test_a_forward_says_who_wrote_what_to_whom_and_keeps_the_text() -> None:
    made = reply.begin(Kind.FORWARD, message(DATED + "|Bcc: secret@x.org", "> old\n-- \nAna"), OURS, zone=BRASILIA)
    assert (made.to, made.cc, made.subject) == ((), (), "Fwd: Oi")
    assert made.text == (
        "\n\n---------- Forwarded message ----------\nFrom: Ana Silva <ana@x.org>\nDate: Nov 22, 2026 at 2:32 PM\n"
        "Subject: Oi\nTo: vendas@ourco.example\n\n> old\n-- \nAna\n"
    )


def test_a_body_that_is_not_here_yet_leaves_room_to_write() -> None:
    parent = Message(message(DATED).row, message(DATED).headers, None, State())
    assert reply.begin(Kind.REPLY, parent, OURS).text == ""


def test_without_an_identity_the_draft_waits_for_one() -> None:
    made = reply.begin(Kind.REPLY, message(DATED), (), own=("vendas@ourco.example",))
    assert (made.mailbox, made.sender, emails(made.to)) == ("work", "", "ana@x.org")


def test_an_answer_speaks_the_language_of_the_interface() -> None:
    i18n.use("pt_BR")
    answer = reply.begin(Kind.REPLY, message(DATED), OURS, zone=BRASILIA)
    assert answer.subject == "Re: Oi"
    assert answer.text == "\n\nEm 22 de nov. de 2026 às 14:32, Ana Silva escreveu:\n> Hello.\n>\n> Bye.\n"
    assert quote.own_words(answer.text).strip() == ""


def test_a_forward_speaks_the_language_of_the_interface() -> None:
    i18n.use("pt_BR")
    carried = reply.begin(Kind.FORWARD, message(DATED), OURS, zone=BRASILIA)
    assert carried.subject == "Enc: Oi"
    assert reply.subject(Kind.FORWARD, carried.subject) == "Enc: Oi"
    assert carried.text.startswith(
        "\n\n---------- Mensagem encaminhada ----------\nDe: Ana Silva <ana@x.org>\nData: 22 de nov."
    )
    assert quote.own_words(f"Veja:{carried.text}").strip() == "Veja:"


def test_what_has_no_date_or_no_name_is_attributed_all_the_same() -> None:
    assert quote.attribution(Headers(sender=Address("", "a@x.org"))) == "a@x.org wrote:"
    assert quote.attribution(Headers()) == "? wrote:"
    far = Headers(sender=Address("A", "a@x.org"), date_ms=253_402_300_799_000)
    assert "A wrote:" in quote.attribution(far, timezone(timedelta(hours=14)))


def test_quotes_of_quotes_grow_without_spaces() -> None:
    assert quote.quoted("\n\na\n\n> b\n>> c\n\n") == "> a\n>\n>> b\n>>> c\n"


def test_a_huge_text_is_quoted_in_part() -> None:
    text = quote.answered(Headers(), "line\n" * 100_000)
    assert len(text) < 2 * quote.QUOTE_LIMIT
    assert text.endswith("> […]\n")


@pytest.mark.parametrize(
    "text", ["", "Hi.", "\n\nOn Sun, Ana wrote:\n> Hi.\n", "Hi.\n\n---------- Forwarded message ----------\nx\n"]
)
def test_a_signature_is_put_in_changed_and_taken_out(text: str) -> None:
    signed = quote.signed(text, "Eu")
    other = quote.resigned(signed, "Eu", "Nós\nLtda")
    assert signed.count("-- \nEu\n") == 1
    assert other == quote.signed(text, "Nós\nLtda")
    assert quote.resigned(other, "Nós\nLtda", "").strip() == text.strip()
    assert quote.resigned(quote.resigned(text, "", "Eu"), "Eu", "Eu") == signed


def test_a_signature_that_was_edited_stays() -> None:
    assert quote.resigned("Hi.\n\n-- \nEu mesmo\n", "Eu", "Nós") == "Hi.\n\n-- \nEu mesmo\n"


def test_own_words_are_neither_quotes_nor_signature() -> None:
    carried = "---------- Forwarded message ----------\nattached"
    text = f"Yes.\n\n-- \nEu\n\nOn Sun, Ana wrote:\n> attached\n\nAnd no.\n{carried}"
    assert quote.own_words(text, "Eu").split() == ["Yes.", "And", "no."]
    assert text[quote.begins(text) :].startswith("On Sun")


# The hostile messages, answered.

HOSTILE = everything()
ANSWERED = [one for one in HOSTILE if one.checks("reply_no_injection")]
ALLOWED = ("mime-version", "date", "from", "to", "cc", "subject", "message-id", "in-reply-to", "references",
           "x-crmmail-id", "content-type", "content-transfer-encoding")  # fmt: skip
IDENTITY = Identity("work", Address("Me", "me@ourco.example"))


def sent(one: Hostile, kind: Kind, but: str = "") -> bytes:
    """The answer to a hostile message as it goes out; a forward carries its files, `but` those of one type."""
    original = one.raw()
    read = parse(original)
    row = Row(7, "work", "r7", 7, 1, "", "", "", "", 0, False, False, False)
    draft = reply.begin(kind, Message(row, read.headers, read.body, State()), (IDENTITY,), hints=reply.hints(original))
    files = [file for file in compose.carried(original)[:50] if kind is Kind.FORWARD and file.content_type != but]
    enclosed = [Enclosure(file.name, file.content_type, len(file.content), str(n)) for n, file in enumerate(files)]
    contents = {str(number): file.content for number, file in enumerate(files)}
    return compose.build(
        replace(draft, enclosures=tuple(enclosed)),
        IDENTITY,
        contents.__getitem__,
        message_id="<1@ourco.example>",
        token="t" * 32,
        now=0,
        keep_bcc=True,
    )


def injected(written: bytes) -> list[bytes]:
    """Header lines that begin neither with a known name nor with white space, and names there twice."""
    lines = written.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = [line.partition(b":")[0].decode().lower() for line in lines if line[:1] not in b" \t"]
    strange = [name.encode() for name in names if name not in ALLOWED]
    return strange + [name.encode() for name in set(names) if names.count(name) > 1]


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.REPLY_ALL, Kind.FORWARD])
def test_no_hostile_message_writes_a_header_of_its_answer(kind: Kind) -> None:
    found = {one.id: injected(sent(one, kind)) for one in HOSTILE}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert len(ANSWERED) >= 8


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.REPLY_ALL, Kind.FORWARD])
def test_no_control_character_goes_out(kind: Kind) -> None:
    """But inside a message that is carried along whole, which is evidence and stays as it came."""
    for one in HOSTILE:
        written = sent(one, kind, but="message/rfc822")
        assert not set(written.replace(b"\r\n", b"")) & set(range(32)) - {9}, one.id
        assert written.isascii(), one.id
        assert max(map(len, written.split(b"\r\n"))) <= 998, one.id


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.REPLY_ALL])
def test_every_hostile_envelope_is_clean(kind: Kind) -> None:
    for one in HOSTILE:
        headers = headers_of(one.raw())
        whom = reply.recipients(kind, headers, ("me@ourco.example",))
        for person in chain(whom.to, whom.cc):
            assert person.email, one.id
            assert not set(person.email) & set("\r\n\0 <>"), one.id


HELD_HERE = {"reply_no_injection", "outgoing_no_control"}
HELD_BY_OTHERS = {"reply_all_guard": "test_checks", "mailto": "test_mailto"}


def test_every_invariant_about_answers_is_held_by_a_test() -> None:
    """A corpus that grows by, say, a `reply_to` must not go by unseen."""
    names = {invariant["check"] for one in HOSTILE for invariant in one.sidecar["invariants"]}
    about_answers = {name for name in names if name.startswith(("reply", "envelope", "outgoing", "mailto"))}
    assert about_answers == HELD_HERE | set(HELD_BY_OTHERS)


def test_the_hostile_file_name_is_among_what_is_forwarded() -> None:
    one = next(one for one in HOSTILE if one.id == "inject-filename-forward")
    assert len(compose.carried(one.raw())) == 1
    assert b"filename" in sent(one, Kind.FORWARD)

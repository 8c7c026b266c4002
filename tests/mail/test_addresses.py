"""Who a message is from: the address in the header as it was sent, or none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.mail.addresses import addr_spec, parse, sender
from crmmail.mail.headers import split
from crmmail.mail.parse import headers_from
from crmmail.model import Address
from tests.mail.surfaces import CONTROL


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ("Ana <ana@Example.COM>", [("Ana", "ana@example.com")]),
        ("ana@x.org (Ana (the boss) Silva)", [("Ana (the boss) Silva", "ana@x.org")]),
        ('"Silva, Ana" <a@x.org>, b@y.org', [("Silva, Ana", "a@x.org"), ("", "b@y.org")]),
        ("Silva, Ana <a@x.org>", [("Silva, Ana", "a@x.org")]),
        ("[EXT] Ana <a@x.org>", [("[EXT] Ana", "a@x.org")]),
        ("=?utf-8?Q?Silva=2C_Jos=C3=A9?= <j@x.org>", [("Silva, José", "j@x.org")]),
        ("José <j@x.org>", [("José", "j@x.org")]),
        ("a@x.org <b@y.org>", [("a@x.org", "b@y.org")]),
        ("Team: a@x.org, B <b@y.org>;, c@z.org", [("", "a@x.org"), ("B", "b@y.org"), ("", "c@z.org")]),
        ("undisclosed-recipients:;", []),
        ("ana@exämple.org", [("", "ana@xn--exmple-cua.org")]),
        ("ana@straße.de", [("", "ana@xn--strae-oqa.de")]),
        ('"a..b"@docomo.ne.jp', [("", '"a..b"@docomo.ne.jp')]),
        ('"ana"@x.org', [("", "ana@x.org")]),
        ("<@relay.org:ana@x.org>", [("", "ana@x.org")]),
        ("<ana @ x.org>", [("", "ana@x.org")]),
        ("<'ana@x.org'>", [("", "ana@x.org")]),
        ("ana@[192.0.2.1]", [("", "ana@[192.0.2.1]")]),
        ("MAILER-DAEMON", [("MAILER-DAEMON", "")]),
        ("Ana ana@x.org", [("Ana ana@x.org", "")]),
        ("<a@x.org> <b@y.org>", [("a@x.org b@y.org", "")]),
        ("<>", [("", "")]),
        ("", []),
    ],
)
def test_addresses_are_read(value: str, people: list[tuple[str, str]]) -> None:
    assert [(one.name, one.email) for one in parse(value.encode())] == people


@pytest.mark.parametrize(
    "spec",
    [
        "=?utf-8?b?Y2Vv?=@x.org", "a b@x.org", "a@b@x.org", "a@x..org", "a@-x.org", "a@x org", "a\x00@x.org", "@x.org",
        "a@", "a@x.org\r\nBcc: b@y.org", '"a b"@x.org', '"a@b"@x.org', "a@" + "x" * 64 + ".org", "a" * 129 + "@x.org",
        "a＠x.org", "a@xn--" + "a" * 20_000,
    ],
)  # fmt: skip
def test_what_is_not_plainly_one_address_is_none(spec: str) -> None:
    assert addr_spec(spec) == ""


def test_a_sender_is_flagged_when_it_is_not_what_it_seems() -> None:
    def flags(header: str) -> tuple[str, ...]:
        return sender(split(header.encode() + b"\n\n"))[1]

    assert flags("From: Ana <a@x.org>") == ()
    assert flags("From: a@x.org <a@x.org>") == ()
    assert flags('From: "ceo@our.org" <m@evil.org>') == ("name_contains_other_address",)
    assert flags("From: a@x.org, b@y.org") == ("multiple_from",)
    assert flags("From: a@x.org\nFrom: b@y.org") == ("multiple_from",)
    assert flags("From: nobody") == ("invalid_sender",)
    assert flags("Subject: no sender at all") == ("invalid_sender",)


def test_an_invalid_sender_is_shown_as_it_was_sent() -> None:
    person, _flags = sender(split(b"From: =?utf-8?q?ceo=40our.org?=@evil.org\n\n"))
    assert person == Address("=?utf-8?q?ceo=40our.org?=@evil.org", "")


def test_a_providers_json_is_read_the_same_way() -> None:
    headers = headers_from(
        [("From", "José <j@x.org>"), ("TO", "a@x.org, b@y.org"), ("Subject", "=?utf-8?q?Ol=C3=A1?=")]
    )
    assert headers.sender == Address("José", "j@x.org")
    assert [one.email for one in headers.to] == ["a@x.org", "b@y.org"]
    assert headers.subject == "Olá"


def test_at_most_five_hundred_recipients_are_read() -> None:
    assert len(parse(", ".join(f"u{number}@x.org" for number in range(4_000)).encode())) == 500


@pytest.mark.parametrize("piece", ["(", '"', "<", "a:", "a,", "a@", "<a@b>", ",;", "\\", '"\\', "=?utf-8?q?a?= "])
def test_reading_is_linear(piece: str) -> None:
    value = (piece * (500_000 // len(piece))).encode()
    start = time.process_time()
    parse(value)
    assert time.process_time() - start < 0.5


pieces = st.lists(
    st.sampled_from(
        ["<", ">", "(", ")", '"', "\\", ",", ";", ":", "@", " ", "=?utf-8?q?a=40b?=", "a", "x.org", "\0", "\r\n", "é"]
    )
    | st.text(max_size=4),
    max_size=30,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(pieces)
def test_any_value_gives_clean_names_and_addresses_fit_for_an_envelope(value: str) -> None:
    for person in parse(value.encode("utf-8", "replace")):
        assert not CONTROL.search(person.name + person.email)
        if person.email:
            local, _at, domain = person.email.rpartition("@")
            assert not set(person.email) & set("\r\n\0 <>")
            assert (domain.isascii() and domain == domain.lower()) or domain.startswith("[")
            assert "@" not in local
            assert addr_spec(person.email) == person.email

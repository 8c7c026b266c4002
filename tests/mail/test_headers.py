"""Header fields are split, decoded and capped without ever raising."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.mail import headers
from tests.mail.surfaces import CONTROL


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc]


def test_fields_end_at_the_empty_line_and_folds_are_undone() -> None:
    raw = b"Subject: a\r\n long\r\n\tone\r\nX: y\r\n\r\nSubject: body\r\n"
    fields = headers.split(raw)
    assert fields.text("subject") == "a long one"
    assert raw[fields.body :] == b"Subject: body\r\n"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"From x Mon\nSubject: s\n\nbody", b"body"),
        (b"\r\n\r\nSubject: s\r\n\r\nbody", b"body"),
        (b"Subject : s\rX: y\r\rbody", b"body"),
        (b"Subject: s\nno field here\nnor here\n\nmore", b"no field here\nnor here\n\nmore"),
        (b"Subject: s\na stray line\nX: y\n\nbody", b"body"),
        (b"Subject: s", b""),
    ],
)
def test_sloppy_headers_are_read(raw: bytes, body: bytes) -> None:
    fields = headers.split(raw)
    assert fields.text("subject") == "s"
    assert raw[fields.body :] == body


def test_text_without_a_header_is_all_body() -> None:
    assert headers.split(b"just text\nand more\n\nend").body == 0


def test_what_follows_a_giant_field_is_still_read() -> None:
    fields = headers.split(b"Subject: " + b"A" * 2_000_000 + b"\nFrom: a@b.c\n\nx")
    assert fields.first("from").strip() == b"a@b.c"
    assert len(fields.text("subject")) == 2_000


def test_no_more_than_a_thousand_fields_are_kept() -> None:
    fields = headers.split(b"".join(b"X-%d: y\n" % number for number in range(5_000)) + b"\nbody")
    assert len(fields.values) == headers.FIELDS_LIMIT
    assert fields.truncated


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?Ol=C3=A1?= mundo", "Olá mundo"),
        (b"=?utf-8?q?Ol=C3?= =?utf-8?q?=A1?=", "Olá"),
        (b"=?iso-2022-jp?b?GyRCRnw=?= =?iso-2022-jp?b?S1wbKEI=?=", "日本"),
        (b"=?UTF-8*pt?B?T2zDoQ?=", "Olá"),
        (b"=?utf-8?q?a_b?= =?utf-8?q?c?=", "a bc"),
        (b"x =?utf-8?q?a?= y =?utf-8?q?b?= z", "x a y b z"),
        (b"=?x-unknown?q?caf=E9?=", "café"),
        (b"=?rot13?q?uryyb?=", "uryyb"),
        (b"caf\xe9", "café"),
        (b"=?utf-8?q?broken", "=?utf-8?q?broken"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        (b"=?utf-8?b?ZWU=?=\r\n =?utf-8?q?=1B[2J?=", "ee\ufffd[2J"),
    ],
)
def test_encoded_words_are_read(value: bytes, text: str) -> None:
    assert headers.decode(value) == text


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        (b'Text/HTML; charset="utf-8"', "text/html", {"charset": "utf-8"}),
        (b"multipart/mixed\n\tboundary=x", "multipart/mixed", {"boundary": "x"}),
        (b"attachment; filename=My File.pdf", "attachment", {"filename": "My File.pdf"}),
        (b'attachment; filename="a\\"b;c.txt"', "attachment", {"filename": 'a"b;c.txt'}),
        (b"attachment; filename=A__o; filename*=UTF-8''A%C3%A7%C3%A3o", "attachment", {"filename": "Ação"}),
        (b"a; filename*0*=utf-8''A%C3; filename*1*=%A7; filename*2=.txt", "a", {"filename": "Aç.txt"}),
        (b"a; filename*1=b; filename*0=a", "a", {"filename": "ab"}),
        (b'a; filename="=?utf-8?b?T2zDoQ==?=.txt"', "a", {"filename": "Olá.txt"}),
        (b"a; name=first; name=second", "a", {"name": "first"}),
        (b"", "", {}),
    ],
)
def test_parameters_are_read(value: bytes, kind: str, parameters: dict[str, str]) -> None:
    assert headers.parameters(value) == (kind, parameters)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"Sat, 1 Nov 2025 10:00:00 -0300", ms(2025, 11, 1, 13, 0, 0)),
        (b"1 Nov 2025 10:00 GMT", ms(2025, 11, 1, 10, 0)),
        (b"Fri, 31 Dec 99 23:59:60 EST", ms(2000, 1, 1, 4, 59, 59)),
        (b"Thu Jan  6 10:00:01 2005", ms(2005, 1, 6, 10, 0, 1)),
        (b"2025-11-01T10:00:00Z", ms(2025, 11, 1, 10)),
        (b"Mon, 1 Jan 10000 00:00:00 +0000", None),
        (b"Mon, 99999999999999999999 Nov 2026 10:00:00 +0000", None),
        (b"Mon, 31 Feb 2026 10:00:00 +0000", None),
        (b"Mon, 1 Jan 1900 00:00:00 +0000", None),
        (b"Mon, 2 Nov 2026 10:00:00 +9999", ms(2026, 11, 2, 10)),
        (b"yesterday", None),
    ],
)
def test_dates_are_read(value: bytes, found: int | None) -> None:
    assert headers.date_ms(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b" <a@b>", "<a@b>"),
        (b"<a\r\n b@c>", "<ab@c>"),
        (b"a@b", "<a@b>"),
        (b"<>", ""),
        (b"<a =?utf-8?b?eA0KQmNjOiB4?=@b>", ""),
        (b"<caf\xc3\xa9@b>", ""),
        (b"<" + b"m" * 100_000 + b"@b>", ""),
        (b"<[x]@[y]>", "<[x]@[y]>"),
    ],
)
def test_a_message_id_is_one_clean_token_or_nothing(value: bytes, found: str) -> None:
    assert headers.message_id(value) == found


def test_a_long_row_of_references_keeps_its_root_and_its_end() -> None:
    ids = headers.message_ids(b" ".join(b"<%d@x>" % number for number in range(3_000)))
    assert (ids[0], ids[-1], len(ids)) == ("<0@x>", "<2999@x>", 100)


@pytest.mark.parametrize(
    "piece", [b"=?utf-8?q?a?= ", b"=?utf-8?q?", b'; a="', b"; a*0*=%41", b"<", b"(", b"\\", b"=?" * 3]
)
def test_decoding_is_linear(piece: bytes) -> None:
    value = piece * (1_000_000 // len(piece))
    start = time.process_time()
    headers.decode(value)
    headers.parameters(value)
    headers.message_ids(value)
    assert time.process_time() - start < 0.5


fragments = st.lists(
    st.sampled_from([b"=?utf-8?", b"q?", b"b?", b"?=", b"=00", b"=0A", b" ", b"\r\n", b"\t", b";", b'"', b"*0*=", b"'"])
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(fragments)
def test_any_value_decodes_to_one_clean_line(value: bytes) -> None:
    assert not CONTROL.search(headers.decode(value))
    headers.parameters(value)
    headers.date_ms(value)
    assert all(one.isascii() and one.isprintable() and " " not in one for one in headers.message_ids(value))


@settings(max_examples=200, deadline=None)
@given(fragments)
def test_any_bytes_split_into_fields(raw: bytes) -> None:
    assert 0 <= headers.split(raw).body <= len(raw)

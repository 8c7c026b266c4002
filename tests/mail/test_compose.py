"""What is sent is valid by the letter and comes back as it was written, whatever was written."""

from __future__ import annotations

import email
import email.policy
import re
import time
from dataclasses import replace
from datetime import timedelta, timezone
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.errors import DraftError
from crmmail.mail import addresses, attachments, compose, encode, headers, markdown, mime
from crmmail.mail.compose import File
from crmmail.mail.parse import parse
from crmmail.mail.text import clean_line, clean_text
from crmmail.model import Address, Draft, Enclosure, Identity

ME = Identity("work", Address("João Açaí", "joao@ourco.example"))
ANA = Address("Ana", "ana@x.org")
TOKEN = "0f8fad5bd9cb469fa16570867728950e"
BRASILIA = timezone(timedelta(hours=-3))
NOW = 1_795_368_730.0  # 22 Nov 2026, 14:32:10 in Brasília
DRAFT = Draft(0, to=(ANA,), subject="Oi", text="Hello.\n")

_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?[^?\s]*\?=", re.IGNORECASE)
_UNFOLDABLE = re.compile(r"[^ ]* ?[^ ]+\Z")


def made(draft: Draft = DRAFT, *files: File, identity: Identity = ME, keep_bcc: bool = True) -> bytes:
    """`draft` with `files` attached, as it goes out."""
    contents = {str(number): file.content for number, file in enumerate(files)}
    enclosed = tuple(
        Enclosure(file.name, file.content_type, len(file.content), str(number)) for number, file in enumerate(files)
    )
    return compose.build(
        replace(draft, enclosures=enclosed),
        identity,
        contents.__getitem__,
        message_id=compose.new_message_id(identity.address.email, TOKEN),
        token=TOKEN,
        now=NOW,
        keep_bcc=keep_bcc,
        zone=BRASILIA,
    )


def strictly(raw: bytes) -> EmailMessage:
    """`raw` as Python's own parser reads it, which must find nothing to complain of."""
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(raw, policy=email.policy.strict)
    for part in message.walk():
        assert part.defects == []
        for name, value in part.items():
            assert list(value.defects) == [], name
    block = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    for line in block.split("\r\n"):
        assert len(line) <= 78 or _UNFOLDABLE.match(line), line
        assert all(len(word) <= 75 for word in _ENCODED_WORD.findall(line))
        assert len(line) <= 76 or "=?" not in line
    assert isinstance(message, EmailMessage)
    return message


def text_of(raw: bytes) -> str:
    """The text part, decoded by Python's parser."""
    part = strictly(raw)
    while part.is_multipart():
        part = part.get_payload(0)  # type: ignore[assignment]
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets.decode("utf-8").replace("\r\n", "\n")


def test_a_short_message_byte_by_byte() -> None:
    draft = replace(DRAFT, cc=(Address("", "b@x.org"),), in_reply_to="<p@x.org>", references=("<o@x.org>", "<p@x.org>"))
    assert made(draft) == (
        b"MIME-Version: 1.0\r\n"
        b"Date: Sun, 22 Nov 2026 14:32:10 -0300\r\n"
        b"From: =?utf-8?b?Sm/Do28gQcOnYcOt?= <joao@ourco.example>\r\n"
        b"To: Ana <ana@x.org>\r\n"
        b"Cc: b@x.org\r\n"
        b"Subject: Oi\r\n"
        b"Message-ID: <0f8fad5bd9cb469fa16570867728950e@ourco.example>\r\n"
        b"In-Reply-To: <p@x.org>\r\n"
        b"References: <o@x.org>\r\n <p@x.org>\r\n"
        b"X-Crmmail-Id: 0f8fad5bd9cb469fa16570867728950e\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hello.\r\n"
    )


WRITTEN = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=300)
TYPED = st.lists(
    st.one_of(
        WRITTEN,
        st.sampled_from(
            [
                "From me",
                ".",
                "..",
                "> q",
                ">From",
                " x",
                "x  ",
                "\tx\t",
                "-- ",
                "--=_mix",
                "=",
                "=3D",
                "a" * 2_000,
                "ção " * 60,
                "漢字" * 120,
                "👩‍👩‍👧‍👦❤️🇧🇷" * 9,
                "é" * 999,
                "--",
                "a\u00a0b",
                "\u200f\u202e",
            ]
        ),
    ),
    max_size=12,
).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(TYPED)
def test_the_text_comes_back_letter_by_letter(text: str) -> None:
    assert text_of(made(replace(DRAFT, text=text))) == (text if text.endswith("\n") else text + "\n")


@settings(max_examples=100, deadline=None)
@given(TYPED)
def test_our_own_reader_shows_what_was_written(text: str) -> None:
    shown = parse(made(replace(DRAFT, text=text))).body.text
    assert shown == clean_text(text).strip("\n") or not clean_text(text).strip()


@settings(max_examples=200, deadline=None)
@given(TYPED)
def test_no_line_of_a_text_can_be_taken_for_something_else(text: str) -> None:
    body = made(replace(DRAFT, text=text)).partition(b"\r\n\r\n")[2]
    for line in body.split(b"\r\n"):
        assert len(line) <= 78
        assert not line.startswith((b"From ", b"."))
        assert not line.endswith((b" ", b"\t"))


@settings(max_examples=300, deadline=None)
@given(WRITTEN)
def test_the_subject_comes_back(subject: str) -> None:
    raw = made(replace(DRAFT, subject=subject))
    assert (strictly(raw)["subject"] or "") == encode.one_line(subject)
    assert parse(raw).headers.subject == clean_line(encode.one_line(subject))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(WRITTEN, st.sampled_from(["a@x.org", "b.c+d@sub.x.org", "o'neil@x.org", "x@[192.0.2.1]"])), max_size=6
    )
)
def test_people_come_back_in_their_order(people: list[tuple[str, str]]) -> None:
    addressed = tuple(Address(name, email) for name, email in people)
    raw = made(replace(DRAFT, to=addressed, bcc=()))
    expected = tuple(Address(clean_line(encode.one_line(person.name), 300), person.email) for person in addressed)
    assert parse(raw).headers.to == expected
    theirs = strictly(raw)["to"]
    assert [one.addr_spec for one in theirs.addresses] == [email for _, email in people] if people else theirs is None


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=200))
def test_no_letter_at_all_can_write_a_header(anything: str) -> None:
    draft = replace(DRAFT, subject=anything, text=anything, to=(Address(anything, "ana@x.org"),))
    raw = made(
        draft, File(anything, anything, b"x"), identity=replace(ME, address=Address(anything, "me@ourco.example"))
    )
    names = [name.lower() for name in strictly(raw)]
    assert names == ["mime-version", "date", "from", "to", *(["subject"] if encode.one_line(anything) else []),
                     "message-id", "x-crmmail-id", "content-type"]  # fmt: skip


@pytest.mark.parametrize(
    "wicked",
    ["a\r\nBcc: z@evil.example", "a\nBcc: z@evil.example", "a\rBcc: z", "a\0b", "a\x0bBcc: z", "a\x1cBcc: z",
     "a\u2028Bcc: z",
     "a\x85Bcc: z", "=?utf-8?q?a=0D=0ABcc=3A_z?=", "a\x1b[2J", "\ud800x", "a\x9b2J"],
)  # fmt: skip
def test_known_tricks_write_no_header_and_no_control(wicked: str) -> None:
    raw = made(replace(DRAFT, subject=wicked, to=(Address(wicked, "ana@x.org"),)), File(wicked, "text/plain", b""))
    assert strictly(raw)["bcc"] is None
    shown = parse(raw)
    assert not set(shown.headers.subject + shown.headers.to[0].name) & set("\0\r\n\x0b\x1b\x1c\x85\x9b\u2028\ufffd")


def test_an_encoded_word_that_was_typed_arrives_as_typed() -> None:
    raw = made(replace(DRAFT, subject="=?utf-8?q?Ol=C3=A1?=", to=(Address("=?utf-8?q?Ol=C3=A1?=", "ana@x.org"),)))
    assert strictly(raw)["subject"] == "=?utf-8?q?Ol=C3=A1?="
    assert parse(raw).headers.to[0].name == "=?utf-8?q?Ol=C3=A1?="


@pytest.mark.parametrize(
    "name", ["Silva, José", "Silva, Jose", 'Jose "Zé" Silva', "back\\slash", "J. Silva", "a@b.c", "Ana (x)", "<x>"]
)
def test_a_name_stays_one_name(name: str) -> None:
    raw = made(replace(DRAFT, to=(Address(name, "ana@x.org"), ANA)))
    assert parse(raw).headers.to == (Address(name, "ana@x.org"), ANA)
    assert [(one.display_name, one.addr_spec) for one in strictly(raw)["to"].addresses] == [
        (name, "ana@x.org"),
        ("Ana", "ana@x.org"),
    ]


OUTLOOK_ID = f"<{'PH0PR12MB5417A1B2C3D4E5F60718293A4B5C6D7E8F90' * 2}@PH0PR12MB5417.namprd12.prod.outlook.com>"


def test_ids_are_never_encoded_however_long() -> None:
    chain = tuple(OUTLOOK_ID.replace("A1", f"{number:02}") for number in range(20))
    raw = made(replace(DRAFT, in_reply_to=OUTLOOK_ID, references=chain))
    assert strictly(raw)["in-reply-to"] == OUTLOOK_ID
    assert f"In-Reply-To: {OUTLOOK_ID}\r\n".encode() in raw
    assert parse(raw).headers.references == chain


def test_what_is_no_message_id_is_left_out() -> None:
    raw = made(replace(DRAFT, in_reply_to="<é@b\r\nBcc: z>", references=("nonsense", "<a@b>", "<é@b>")))
    assert strictly(raw)["in-reply-to"] is None
    assert strictly(raw)["references"] == "<a@b>"


def test_a_domain_in_other_letters_is_written_as_dns_knows_it() -> None:
    raw = made(replace(DRAFT, to=(Address("Ana", "ana@exämple.org"),)))
    assert parse(raw).headers.to == (Address("Ana", "ana@xn--exmple-cua.org"),)


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b@c", "a b@x.org", "a@x.org\r\nBcc: z@x.org", "<a@x.org>", "a@x.org, b@x.org", "a@"]
)
def test_an_address_that_is_none_is_refused_with_a_sentence(email: str) -> None:
    with pytest.raises(DraftError, match="is not a valid address"):
        made(replace(DRAFT, bcc=(Address("typed", email),)))
    with pytest.raises(DraftError, match="is not a valid address"):
        compose.envelope(replace(DRAFT, cc=(Address("typed", email),)))


def test_letters_before_the_at_that_few_servers_carry_are_refused_with_a_sentence() -> None:
    with pytest.raises(DraftError, match="not every mail server can carry"):
        made(replace(DRAFT, to=(Address("", "joão@x.org"),)))


def test_a_sender_that_is_no_address_is_refused() -> None:
    with pytest.raises(DraftError):
        made(identity=Identity("work", Address("Me", "")))


def test_the_envelope_names_everybody_once() -> None:
    draft = replace(
        DRAFT, to=(ANA, Address("", "B@x.org")), cc=(Address("", "b@X.org"),), bcc=(Address("", "c@exämple.org"),)
    )
    assert compose.envelope(draft) == ["ana@x.org", "B@x.org", "c@xn--exmple-cua.org"]
    assert compose.envelope(Draft(0)) == []


def test_blind_copies_are_written_only_for_those_who_read_them_there() -> None:
    draft = replace(DRAFT, bcc=(Address("Secret", "secret@x.org"),))
    assert strictly(made(draft))["bcc"] == "Secret <secret@x.org>"
    assert b"secret" not in made(draft, keep_bcc=False)


def test_an_identity_may_ask_for_answers_elsewhere() -> None:
    raw = made(identity=replace(ME, reply_to="desk@ourco.example"))
    assert strictly(raw)["reply-to"] == "desk@ourco.example"


def test_nothing_says_which_computer_wrote_it() -> None:
    assert compose.new_message_id("a@x.org", TOKEN) == f"<{TOKEN}@x.org>"
    assert compose.new_message_id("a@[192.0.2.1]", TOKEN) == f"<{TOKEN}@crmmail.invalid>"
    assert headers.message_id(compose.new_message_id("a@x.org", TOKEN).encode()) == f"<{TOKEN}@x.org>"


@pytest.mark.parametrize(("token", "message_id"), [("x\r\ny" * 4, "<a@b>"), (TOKEN, "a@b\r\nBcc: z"), (TOKEN, "")])
def test_ids_that_are_none_are_a_defect(token: str, message_id: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        compose.build(DRAFT, ME, {}.__getitem__, message_id=message_id, token=token, now=0, keep_bcc=True)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("plain\n", "7bit"), ("uma reunião amanhã\n", "quoted-printable"), ("漢字かな\n", "base64"), ("trailing \n",
     "quoted-printable"),
     ("From x\n", "quoted-printable"), (".x\n", "quoted-printable"), ("x" * 79, "quoted-printable"), ("x" * 78,
     "7bit"), ("", "7bit"),
     ("tab\there\n", "7bit")],
)  # fmt: skip
def test_the_plainest_encoding_that_holds_is_taken(text: str, encoding: str) -> None:
    assert strictly(made(replace(DRAFT, text=text)))["content-transfer-encoding"] == encoding


# Files.

NAMES = ["a.txt", "Orçamento final – ção.pdf", "com espaço.doc", "日本語の書類.pdf", "🎉 party 🎉.png", "quote\"d'.txt",
     "x" * 170 + ".pdf",
         "é" * 80 + ".pdf", "50%.txt", "a;b=c.txt", "=?utf-8?q?x?=.txt", "noextension",
     "Relatório (2).xlsx"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_keeps_its_name(name: str) -> None:
    raw = made(DRAFT, File(name, "application/pdf", b"%PDF-"))
    part = next(strictly(raw).iter_attachments())
    assert part.get_filename() == attachments.safe_name(name)
    assert [found.name for found in parse(raw).body.attachments] == [attachments.safe_name(name)]


@pytest.mark.parametrize("name", [name for name in NAMES if not set(name) & set("\"';=?")])
def test_names_that_are_harmless_are_not_changed(name: str) -> None:
    assert attachments.safe_name(name) == name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WRITTEN, st.binary(max_size=5_000)), min_size=1, max_size=5), TYPED)
def test_files_come_back_byte_by_byte(files: list[tuple[str, bytes]], text: str) -> None:
    raw = made(replace(DRAFT, text=text), *(File(name, "application/octet-stream", content) for name, content in files))
    assert text_of(raw) == encode.lines(text)
    assert [part.get_content() for part in strictly(raw).iter_attachments()] == [content for _, content in files]
    leaves = mime.walk(raw).leaves
    assert [mime.decoded(raw, leaf) for leaf in leaves[1:]] == [content for _, content in files]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 1_000, 1_000_000, 25_000_000])
def test_files_of_any_size_come_back(size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    started = time.perf_counter()
    raw = made(DRAFT, File("a.bin", "application/octet-stream", content))
    assert time.perf_counter() - started < 10
    leaf = mime.walk(raw).leaves[1]
    assert mime.decoded(raw, leaf) == content
    assert max(map(len, raw.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("size", [0, 1, 57, 100_000, 5_000_000])
@pytest.mark.parametrize(
    "text",
    ["Hi.", "ção " * 500, "漢字" * 2_000, "a = b\n" * 40_000, "uma ação, " * 40_000],
    ids=["short", "Latin", "Chinese", "lines", "one line"],
)
def test_the_size_is_known_before_it_is_made(size: int, text: str) -> None:
    draft = replace(DRAFT, text=text, cc=tuple(Address("José", f"u{number}@x.org") for number in range(20)))
    raw = made(draft, File("a.bin", "image/png", bytes(size)))
    estimate = compose.estimated_size(replace(draft, enclosures=(Enclosure("a.bin", "image/png", size, "0"),)))
    assert abs(estimate - len(raw)) < 3_000 + len(raw) // 50


@pytest.mark.parametrize(
    "kind", ["", "nonsense", "text/plain\r\nBcc: z", "multipart/mixed", "message/partial", "a/b; c=d", "é/x"]
)
def test_a_type_that_cannot_be_is_sent_as_unknown(kind: str) -> None:
    part = next(strictly(made(DRAFT, File("a", kind, b"x"))).iter_attachments())
    assert part.get_content_type() == "application/octet-stream"


def test_a_text_file_goes_unchanged_and_says_its_charset() -> None:
    content = "olá\r\nmundo\n \n".encode()
    part = next(strictly(made(DRAFT, File("a.txt", "text/plain", content))).iter_attachments())
    assert (part.get_payload(decode=True), part.get_content_charset()) == (content, "utf-8")
    part = next(strictly(made(DRAFT, File("a.txt", "text/plain", b"\xe1"))).iter_attachments())
    assert (part.get_payload(decode=True), part.get_content_charset()) == (b"\xe1", None)


@pytest.mark.parametrize("error", [KeyError("gone"), FileNotFoundError("gone")])
def test_a_file_that_vanished_is_told_by_its_name(error: Exception) -> None:
    def vanished(digest: str) -> bytes:
        raise error

    draft = replace(DRAFT, enclosures=(Enclosure("contrato.pdf", "application/pdf", 3, "d"),))
    with pytest.raises(DraftError, match=r"contrato\.pdf"):
        compose.build(draft, ME, vanished, message_id="<a@b>", token=TOKEN, now=0, keep_bcc=True)


def test_a_file_that_is_not_as_long_as_it_was_is_told_by_its_name() -> None:
    draft = replace(DRAFT, enclosures=(Enclosure("contrato.pdf", "application/pdf", 3, "d"),))
    with pytest.raises(DraftError, match=r"contrato\.pdf"):
        compose.build(draft, ME, {"d": b"four"}.__getitem__, message_id="<a@b>", token=TOKEN, now=0, keep_bcc=True)


def test_a_text_that_holds_the_boundary_breaks_nothing() -> None:
    text = f"--=_mix_{TOKEN[:36]}\n--=_mix_{TOKEN[:36]}--\n"
    raw = made(replace(DRAFT, text=text), File("a.bin", "image/png", b"x"))
    assert text_of(raw) == text
    assert len(mime.walk(raw).leaves) == 2


# Forwards.

PARENT = (
    b"From: a@x.org\r\nSubject: Or\xc3\xa7amento / 2026\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nHi\r\n--B\r\n'
    b'Content-Type: image/png; name="logo.png"\r\nContent-Transfer-Encoding: base64\r\n\r\nAQID\r\n--B\r\n'
    b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF-\r\n--B--\r\n"
)


def test_a_forward_carries_the_files_of_the_message() -> None:
    files = compose.carried(PARENT)
    assert files == [File("logo.png", "image/png", b"\1\2\3"), File("a.pdf", "application/pdf", b"%PDF-")]
    raw = made(DRAFT, *files)
    assert [part.get_content() for part in strictly(raw).iter_attachments()] == [b"\1\2\3", b"%PDF-"]


def carried_back(raw: bytes) -> bytes:
    leaf = mime.walk(raw).leaves[1]
    assert leaf.kind == "message/rfc822"
    return mime.decoded(raw, leaf)


def test_a_message_is_carried_whole_byte_by_byte() -> None:
    whole = compose.carried_whole(PARENT)
    assert (whole.name, whole.content_type) == ("2026.eml", "message/rfc822")
    raw = made(DRAFT, whole)
    assert carried_back(raw) == PARENT
    assert strictly_eight_bit(raw).get_content_type() == "multipart/mixed"


def strictly_eight_bit(raw: bytes) -> EmailMessage:
    """A message with 8-bit parts: all that hold one must say so (RFC 2045 §6.4)."""
    message = email.message_from_bytes(raw, policy=email.policy.strict)
    assert message["content-transfer-encoding"] == "8bit"
    assert isinstance(message, EmailMessage)
    return message


def test_a_plain_message_is_carried_as_seven_bit() -> None:
    parent = PARENT.replace(b"Or\xc3\xa7amento", b"Orcamento")
    raw = made(DRAFT, compose.carried_whole(parent))
    assert carried_back(raw) == parent
    assert strictly(raw)["content-transfer-encoding"] is None


def test_a_message_with_unix_lines_is_carried_with_those_of_mail() -> None:
    raw = made(DRAFT, compose.carried_whole(PARENT.replace(b"\r\n", b"\n")))
    assert carried_back(raw) == PARENT


@pytest.mark.parametrize("odd", [b"\0", b"\r", b"\n", b"x" * 999])
def test_a_message_no_server_would_carry_goes_as_a_file(odd: bytes) -> None:
    parent = PARENT + odd
    raw = made(DRAFT, compose.carried_whole(parent))
    part = next(strictly(raw).iter_attachments())
    assert (part.get_content_type(), part.get_content()) == ("application/octet-stream", parent)
    assert part.get_filename() == "2026.eml"


def test_a_forward_of_a_forward_of_our_own_keeps_them_apart() -> None:
    inner = made(DRAFT, compose.carried_whole(made(DRAFT, File("a.bin", "image/png", b"x"))))
    raw = made(DRAFT, compose.carried_whole(inner))
    assert carried_back(raw) == inner


# Markdown.


def html_of(text: str) -> str:
    raw = made(replace(DRAFT, text=text, markdown=True))
    message = strictly(raw)
    assert message.get_content_type() == "multipart/alternative"
    plain, rich = message.iter_parts()
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert plain.get_payload(decode=True) == encode.lines(text).replace("\n", "\r\n").encode()
    return str(rich.get_content()).replace("\r\n", "\n")


def test_markdown_is_sent_as_written_and_as_html() -> None:
    found = html_of("# Olá\n\n**forte** e ~~fraco~~\nduas linhas\n\n- um\n- dois\n\n[site](https://x.org/?a=1&b=2)\n")
    for piece in ("<h1>Olá</h1>", "<strong>forte</strong>", "<s>fraco</s><br>\nduas linhas", "<li>um</li>",
                  '<a href="https://x.org/?a=1&amp;b=2">site</a>'):  # fmt: skip
        assert piece in found


@pytest.mark.parametrize(
    "wicked",
    ["<script>x</script>", "<b onclick=x>", "a <img src=https://t.example/p.png> b", "![x](https://t.example/p.png)",
     "[x](javascript:alert(1))", "[x](data:text/html,x)", "[x](file:///etc/passwd)", "[x](JaVaScRiPt:x)",
     "<javascript:x>",
     "[x]: javascript:x\n\n[x]", "<iframe src=x>", "&lt;script>", "[a](vbscript:x)", "[x](//t.example)",
     "> ![x](https://t.example)"],
)  # fmt: skip
def test_nothing_in_the_html_runs_or_loads(wicked: str) -> None:
    body = html_of(wicked).partition("<body>")[2]
    tags = set(re.findall(r"<(/?[a-z0-9]+)", body))
    assert tags <= {"p", "/p", "a", "/a", "blockquote", "/blockquote", "/body", "/html"}
    assert re.findall(r"\s(?:src|on\w+|style)=", re.sub(r">[^<]*<", "><", body)) == []
    assert all(url.startswith("https://") for url in re.findall(r'href="([^"]*)"', body))


def test_a_signature_makes_no_heading_of_what_stands_above() -> None:
    found = html_of("Até logo\n-- \nJoão & Cia\n*vendas*\n")
    assert "<h2>" not in found
    assert "<p>-- <br>\nJoão &amp; Cia<br>\n*vendas*</p>" in found


def test_a_quote_below_the_signature_is_still_a_quote() -> None:
    found = html_of("Sim.\n\n-- \nJoão\n\nOn Sun, Ana wrote:\n> **oi**\n")
    assert "<blockquote>\n<p><strong>oi</strong></p>\n</blockquote>" in found


HANGS = {
    "quotes": ">" * 20_000 + " x",
    "brackets": "[" * 20_000,
    "stars": "*a " * 20_000,
    "one word": "a" * 300_000,
    "lists": "- " * 5_000,
    "ticks": "`" * 20_000 + "x",
    "nested links": "[a](" * 10_000,
    "tables": "|a|b|\n|-|-|\n" * 5_000,
}


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS.keys())
def test_markdown_made_to_hang_takes_no_time(text: str) -> None:
    started = time.perf_counter()
    assert markdown.html(text).endswith("</body></html>\n")
    assert time.perf_counter() - started < 5


def test_every_written_address_is_one_our_reader_accepts() -> None:
    for address in ("a@x.org", "a+b@x.org", "o'neil@x.org", "x_y=z@x.org"):
        assert addresses.addr_spec(address) == address
        assert parse(made(replace(DRAFT, to=(Address("", address),)))).headers.to == (Address("", address),)

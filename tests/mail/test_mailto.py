"""A mailto: link sets who, subject and text, and nothing else, whatever it asks for."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.errors import SettingsError
from crmmail.mail import mailto
from crmmail.mail.mailto import Mailto
from crmmail.model import Address
from tests.mail.hostile_files import everything


def emails(people: tuple[Address, ...]) -> list[str]:
    return [person.email for person in people]


@pytest.mark.parametrize(
    ("url", "to", "subject", "text"),
    [
        ("mailto:chris@example.com", ["chris@example.com"], "", ""),
        ("MAILTO:chris@example.com", ["chris@example.com"], "", ""),
        ("mailto:infobot@example.com?subject=current-issue", ["infobot@example.com"], "current-issue", ""),
        ("mailto:infobot@example.com?body=send%20current-issue", ["infobot@example.com"], "", "send current-issue"),
        ("mailto:a@x.org?body=one%0D%0Atwo", ["a@x.org"], "", "one\ntwo"),
        ("mailto:addr1@an.example,addr2@an.example", ["addr1@an.example", "addr2@an.example"], "", ""),
        ("mailto:?to=addr1@an.example%2Caddr2@an.example", ["addr1@an.example", "addr2@an.example"], "", ""),
        ("mailto:addr1@an.example?to=addr2@an.example", ["addr1@an.example", "addr2@an.example"], "", ""),
        ("mailto:a@x.org?to=A@X.org", ["a@x.org"], "", ""),
        ("mailto:gorby%25kremvax@example.com", ["gorby%kremvax@example.com"], "", ""),
        ("mailto:user+tag@example.org?subject=a+b", ["user+tag@example.org"], "a+b", ""),
        ("mailto:user@example.org?subject=caf%C3%A9", ["user@example.org"], "café", ""),
        ("mailto:user@example.org?subject=%3D%3Futf-8%3FQ%3Fcaf%3DC3%3DA9%3F%3D", ["user@example.org"], "café", ""),
        ("mailto:user@example.org?subject=%3D%3Fiso-8859-1%3FQ%3Fcaf%3DE9%3F%3D", ["user@example.org"], "café", ""),
        ("mailto:user@%E7%B4%8D%E8%B1%86.example.org", ["user@xn--99zt52a.example.org"], "", ""),
        ("mailto:a@x.org?Subject=One&SUBJECT=Two", ["a@x.org"], "One", ""),
        ("mailto:a@x.org?subject=Tom%26Ann&amp;body=x", ["a@x.org"], "Tom&Ann", "x"),
        ("mailto:a@x.org?subject=100%", ["a@x.org"], "100%", ""),
        ("mailto:a@x.org?subject=%E9", ["a@x.org"], "é", ""),
        ("mailto:a@x.org#part", ["a@x.org"], "", ""),
        ("mailto:", [], "", ""),
        ("mailto:?subject=x", [], "x", ""),
        ("mailto:%22Silva%2C%20Ana%22%20%3Cana@x.org%3E", ["ana@x.org"], "", ""),
    ],
)
def test_a_link_sets_who_subject_and_text(url: str, to: list[str], subject: str, text: str) -> None:
    found = mailto.parse(url)
    assert (emails(found.to), found.subject, found.text) == (to, subject, text)


def test_copies_and_the_message_answered_are_taken_over() -> None:
    found = mailto.parse("mailto:a@x.org?cc=c@x.org&bcc=d@x.org&cc=e@x.org&in-reply-to=%3C1@x.org%3E")
    assert found == Mailto(
        to=(Address("", "a@x.org"),),
        cc=(Address("", "c@x.org"), Address("", "e@x.org")),
        bcc=(Address("", "d@x.org"),),
        in_reply_to="<1@x.org>",
    )
    assert found.notice() == ""


@pytest.mark.parametrize(
    "field",
    ["attach=/etc/passwd", "attachment=/etc/passwd", "insert=/etc/passwd", "Attach=file:///etc/passwd",
     "from=boss@x.org",
     "reply-to=z@x.org", "x-priority=1", "content-type=text/html", "references=%3C1@x%3E", "message-id=x", "date=x",
      "body-file=/x",
     "ATTACH=%2Fetc%2Fpasswd", "att%61ch=/etc/passwd"],
)  # fmt: skip
def test_anything_else_is_ignored_and_named(field: str) -> None:
    found = mailto.parse(f"mailto:a@x.org?{field}&subject=x")
    assert found.draft() == mailto.parse("mailto:a@x.org?subject=x").draft()
    assert len(found.ignored) == 1
    assert found.ignored[0] in found.notice()


def test_the_draft_has_all_it_set_and_no_file() -> None:
    draft = mailto.parse("mailto:a@x.org?cc=b@x.org&subject=Oi&body=Hello&in-reply-to=%3C1@x%3E").draft(
        "work", "me@x.org"
    )
    assert (draft.mailbox, draft.sender, draft.subject, draft.text, draft.cursor) == (
        "work",
        "me@x.org",
        "Oi",
        "Hello",
        5,
    )
    assert (emails(draft.to), emails(draft.cc), draft.bcc, draft.enclosures) == (["a@x.org"], ["b@x.org"], (), ())
    assert (draft.in_reply_to, draft.references) == ("<1@x>", ("<1@x>",))


@pytest.mark.parametrize(
    "url", ["", "http://x.org", "a@x.org", "javascript:alert(1)", " mailto:a@x.org", "mailto:" + "x" * 300_000]
)
def test_what_is_no_mailto_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(SettingsError, match="is not a mailto: address"):
        mailto.parse(url)


def test_a_line_break_in_an_address_writes_no_header() -> None:
    found = mailto.parse("mailto:a@x.org%0D%0ABcc:z@x.org?cc=b@x.org%0Abcc=z@x.org&subject=a%0D%0ABcc:%20z@x.org")
    assert (found.to, found.cc, found.bcc, found.ignored) == ((), (), (), ("to", "cc"))
    assert found.subject == "a Bcc: z@x.org"


def test_an_address_that_is_none_is_kept_to_be_seen() -> None:
    assert mailto.parse("mailto:nobody").to == (Address("nobody", ""),)


def test_a_link_cannot_fill_the_screen() -> None:
    many = ",".join(f"u{number}@x.org" for number in range(5_000))
    found = mailto.parse(f"mailto:{many}?subject={'s' * 9_000}&body={'b' * 150_000}")
    assert len(found.to) == mailto.RECIPIENTS_LIMIT
    assert len(found.subject) == mailto.SUBJECT_LIMIT
    assert len(found.text) == mailto.TEXT_LIMIT
    assert len(mailto.parse("mailto:?" + "&".join(f"x{number}=1" for number in range(900))).ignored) == 20


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.binary(max_size=200).map(lambda octets: "".join(f"%{o:02x}" for o in octets)))
)
def test_whatever_stands_in_a_link_comes_out_clean(rest: str) -> None:
    found = mailto.parse(f"mailto:{rest}?subject={rest}&body={rest}&cc={rest}")
    shown = [
        found.subject,
        *found.ignored,
        *(person.name + person.email for person in (*found.to, *found.cc, *found.bcc)),
    ]
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for line in shown for letter in line)
    assert not any(ord(letter) < 32 for letter in found.text.replace("\n", ""))
    assert found.draft().enclosures == ()


@pytest.mark.parametrize("one", [one for one in everything() if one.checks("mailto")], ids=lambda one: one.id)
def test_hostile_links_fill_in_only_what_they_may(one: object) -> None:
    sidecar = one.checks("mailto")[0]  # type: ignore[attr-defined]
    url = html.unescape(re.findall(r"href='(mailto:[^']*)'", one.raw().decode())[0])  # type: ignore[attr-defined]
    draft = mailto.parse(url).draft()
    assert emails(draft.to) == sidecar["to"]
    assert (draft.cc, draft.bcc) == ((), ())
    assert len(draft.enclosures) == sidecar["attachments"]

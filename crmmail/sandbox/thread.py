"""A generated conversation, and the bytes of each of its messages, written when somebody asks.

Everything is derived from the thread's own facts and its seed, so a message can be written alone and at any time.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from crmmail.sandbox import bulk_phrases, phrases
from crmmail.sandbox.compose import (
    Envelope,
    Part,
    attachment,
    date_header,
    message,
    multipart,
    newsletter_html,
    reply_html,
    text_part,
)
from crmmail.sandbox.people import Person, World, cities, world
from crmmail.sandbox.phrases import Topic

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation: everything its messages' bytes are made from."""

    seed: int
    number: int
    kind: str  # customer, internal, news, notice, list, stranger, spam, draft
    language: str
    topic: Topic
    us: tuple[Person, ...]  # the owner first
    them: tuple[Person, ...]
    sent: tuple[int, ...]  # seconds since the epoch, one per message
    senders: tuple[Person, ...]
    company: str = ""  # theirs
    call: str = ""  # the button of a newsletter

    @property
    def key(self) -> str:
        return f"{self.seed}-{self.number}"

    def random(self, *what: object) -> random.Random:
        """A random source of its own for each use, so that one use does not shift another."""
        return random.Random(f"{self.seed}:{self.us[0].email}:{self.number}:{what}")


def _slots(rng: random.Random, thread: Thread, people: World) -> dict[str, str]:
    """One value for each placeholder of a conversation: the same in all its messages."""
    language = thread.language
    portuguese = language == "pt"
    moment = time.gmtime(thread.sent[0] + rng.randint(2, 25) * DAY)
    amount = f"{rng.randint(180, 98_000):,}.{rng.randint(0, 99):02d}"
    return {
        "n": str(rng.randint(1000, 98_999)),
        "money": "R$ " + amount.translate(str.maketrans(",.", ".,")) if portuguese else f"USD {amount}",
        "percent": f"{rng.randint(2, 38)}{',' if portuguese else '.'}{rng.randint(0, 9)} %",
        "quantity": str(rng.randint(2, 48)),
        "hour": f"{rng.randint(7, 17):02d}:{rng.choice(('00', '15', '30', '45'))}",
        "day": rng.choice(phrases.DAYS[language]),
        "date": time.strftime("%d/%m/%Y" if portuguese else "%d %B %Y", moment),
        "product": " ".join(rng.choice(phrases.PRODUCTS[language].split(";")).split()),
        "city": rng.choice(cities(language)),
        "first": rng.choice(people.staff).first,
        "company": rng.choice(people.accounts).name,
    }


def write(thread: Thread, position: int) -> bytes:
    """The bytes of one message of a conversation."""
    people = world(thread.seed, thread.us[0])
    slots = _slots(thread.random("slots"), thread, people)
    rng, sender = thread.random(position, "text"), thread.senders[position]
    subject = thread.topic.subject.format(**slots)
    to, cc = _recipients(thread, sender)
    ids = _message_ids(thread)
    envelope = Envelope(
        sender=sender,
        to=to,
        cc=cc,
        subject=_subject(thread, subject, position),
        sent=thread.sent[position],
        message_id=ids[position],
        references=ids[max(0, position - 10) : position],
        extra=_bulk_headers(rng, thread),
        arrived=sender != thread.us[0],
    )
    return message(rng, envelope, _body(rng, thread, position, slots, people))


def _subject(thread: Thread, subject: str, position: int) -> str:
    prefix = "Re: " if position else ""
    return f"{prefix}[{thread.them[0].name}] {subject}" if thread.kind == "list" else f"{prefix}{subject}"


def _recipients(thread: Thread, sender: Person) -> tuple[tuple[Person, ...], tuple[Person, ...]]:
    """(to, cc): the other side is written to, one's own side copied."""
    if thread.kind == "list":
        return thread.them, ()
    mine, theirs = (thread.us, thread.them) if sender in thread.us else (thread.them, thread.us)
    return theirs, tuple(person for person in mine if person != sender)


def _message_ids(thread: Thread) -> tuple[str, ...]:
    rng = thread.random("ids")
    return tuple(f"<{rng.getrandbits(80):020x}@{sender.domain}>" for sender in thread.senders)


def _bulk_headers(rng: random.Random, thread: Thread) -> tuple[str, ...]:
    sender = thread.them[0]
    match thread.kind:
        case "news":
            return (f"List-Unsubscribe: <https://{sender.domain}/sair/{rng.getrandbits(64):x}>", "Precedence: bulk")
        case "list":
            return (f"List-Id: {sender.name} <{sender.name}.{sender.domain}>", f"List-Post: <mailto:{sender.email}>")
        case "notice":
            return ("Auto-Submitted: auto-generated",)
        case _:
            return ()


def _paragraphs(thread: Thread, position: int, slots: dict[str, str]) -> list[str]:
    rng = thread.random(position, "paragraphs")
    if thread.kind == "news":
        texts = bulk_phrases.NEWS_TEXT[thread.language]
        return [
            line.format(**slots) for line in (*thread.topic.opening, *rng.sample(texts, rng.randint(2, len(texts))))
        ]
    if thread.kind in ("notice", "spam", "draft"):
        return [line.format(**slots) for line in thread.topic.opening]
    said = list(thread.topic.opening) if not position else rng.sample(thread.topic.answers, 1)
    said += rng.sample(phrases.FILLER[thread.language], rng.randint(0, 3))
    return [line.format(**slots) for line in said]


def _text(thread: Thread, position: int, slots: dict[str, str], company: str) -> tuple[list[str], list[str]]:
    """(paragraphs, signature) of one message, greeting included."""
    paragraphs = _paragraphs(thread, position, slots)
    if thread.kind in ("news", "notice", "spam", "draft"):
        return paragraphs, []
    rng, sender = thread.random(position, "manners"), thread.senders[position]
    addressee = _recipients(thread, sender)[0][0]
    first = "pessoal" if thread.kind == "list" else addressee.first
    greeting = rng.choice(phrases.GREETING[thread.language]).format(first=first)
    closing = rng.choice(phrases.CLOSING[thread.language])
    home = company if sender in thread.us else thread.company
    signature = [sender.name, *filter(None, [sender.title, home]), f"+55 11 5550-{rng.randint(1000, 9999)}"]
    return [greeting, *paragraphs, closing], signature


def _quoted(thread: Thread, position: int, slots: dict[str, str], company: str) -> str:
    """The message before, as a reply carries it; '' for the first."""
    if not position:
        return ""
    paragraphs, signature = _text(thread, position - 1, slots, company)
    who, when = thread.senders[position - 1], date_header(thread.sent[position - 1])
    line = f"Em {when}, {who.name} escreveu:" if thread.language == "pt" else f"On {when}, {who.name} wrote:"
    before = "\n\n".join(paragraphs) + "\n\n" + "\n".join(signature)
    return line + "\n" + "\n".join(f"> {text}".rstrip() for text in before.split("\n"))


def _body(rng: random.Random, thread: Thread, position: int, slots: dict[str, str], people: World) -> Part:
    paragraphs, signature = _text(thread, position, slots, people.company)
    quoted = _quoted(thread, position, slots, people.company)
    blocks = ["\n\n".join(paragraphs), "-- \n" + "\n".join(signature) if signature else "", quoted]
    plain = text_part("\n\n".join(filter(None, blocks)) + "\n")
    boundary = f"b_{rng.getrandbits(60):015x}"
    if thread.kind == "news":
        html = newsletter_html(
            thread.them[0], paragraphs[0], paragraphs[1:], thread.call, f"{rng.getrandbits(128):032x}"
        )
        rich = text_part(html, "html")
        body = rich if rng.random() < 0.35 else multipart("alternative", boundary, (plain, rich))
    elif signature and rng.random() < 0.55:
        body = multipart("alternative", boundary, (plain, text_part(reply_html(paragraphs, signature, quoted), "html")))
    else:
        body = plain
    if thread.kind in ("customer", "internal", "stranger") and rng.random() < 0.14:
        return multipart("mixed", f"m_{boundary}", (body, attachment(rng, rng.randint(100, 9999))))
    return body

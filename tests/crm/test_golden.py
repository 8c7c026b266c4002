"""The golden set: messages by hand, each with the account and the reason it must get, or why it gets none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from crmmail.crm.model import Account, Bound, Contact, NeverBy, Scope
from crmmail.model import Address, Headers, Identity, Incoming, Page, State
from crmmail.store import Store
from tests.store.told import BORN_MS

ME, ALIAS, COLLEAGUE = "ana@acme.example", "vendas@acme.example", "rui@acme.example"
FREE = ("gmail.com", "uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "r7.com", "oi.com.br",
        "zipmail.com.br", "yahoo.com.br", "hotmail.com.br", "outlook.com.br", "hotmail.com", "outlook.com", "live.com",
        "yahoo.com", "icloud.com", "proton.me", "gmx.de", "mail.ru", "qq.com", "sapo.pt")  # fmt: skip
MACHINES = ("no-reply", "noreply", "nao-responda", "naoresponda", "do-not-reply", "donotreply", "mailer-daemon",
            "postmaster", "bounce", "notifications")  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A message and its verdict: `account reason`, `ignored why` or `queued [candidates]`."""

    name: str
    verdict: str
    sender: str = "bea@beta.example"
    to: str = ME
    cc: str = ""
    bcc: str = ""
    thread: str = ""
    folder: str = "inbox"
    subject: str = "Oi"
    reply_to: str = ""
    list_id: str = ""
    bulk: bool = False
    more: dict[str, str] = field(default_factory=dict)


def sent(name: str, verdict: str, to: str, **more: str) -> Case:
    return Case(name, verdict, ME, to, folder="sent", **more)  # type: ignore[arg-type]


def cases() -> Iterator[Case]:
    yield from _known_people()
    yield from _shared_and_free()
    yield from _conversations()
    yield from _machines_and_lists()
    yield from _ourselves()
    yield from _forged()
    yield from _corrected()


def _known_people() -> Iterator[Case]:
    for local in ("bea", "BEA", "Bea"):
        yield Case(f"contact {local}", "Beta ADDRESS", f"{local}@Beta.Example")
    for local in ("new", "finance", "a.b", "x_y", "compras"):
        yield Case(f"domain {local}", "Beta DOMAIN", f"{local}@beta.example")
        yield Case(f"below {local}", "Beta DOMAIN", f"{local}@mail.sp.beta.example")
        yield sent(f"sent {local}", "Beta DOMAIN", f"{local}@beta.example")
        yield Case(f"website {local}", "Zeta DOMAIN", f"{local}@zeta.example")
        yield Case(f"br {local}", "Delta DOMAIN", f"{local}@delta.com.br")
        yield Case(f"other br {local}", "queued", f"{local}@outra.com.br")
        yield Case(f"unknown {local}", "queued", f"{local}@nobody.example")
        yield Case(f"lookalike {local}", "queued", f"{local}@beta.example.evil.test")
        yield Case(f"prefix {local}", "queued", f"{local}@xbeta.example")
    yield Case("tagged contact", "Beta ADDRESS", "bea+news@beta.example")
    yield Case("contact elsewhere", "Beta ADDRESS", "bea@consulting.test")
    yield Case("exact beats domain", "Gama ADDRESS", "guest@beta.example")
    yield Case("stranger in copy", "Beta ADDRESS", cc="x@nobody.example")
    yield Case("colleague in copy", "Beta ADDRESS", cc=COLLEAGUE)
    yield Case("two of one account", "Beta ADDRESS", cc="new@beta.example")
    yield Case("two accounts", "queued Beta,Gama", cc="gil@gmail.com")
    yield Case("two accounts, one by domain", "queued Beta,Zeta", cc="x@zeta.example")
    yield sent("sent to two accounts", "queued Beta,Gama", "bea@beta.example", cc="gil@gmail.com")
    yield sent("sent with a hidden copy", "Beta ADDRESS", "bea@beta.example", bcc="gil@gmail.com")
    yield sent("sent in secret only", "ignored no_counterpart", "", bcc="gil@gmail.com")
    yield sent("sent to a stranger", "queued", "x@nobody.example")
    yield sent("sent to a contact and a colleague", "Beta ADDRESS", "bea@beta.example", cc=COLLEAGUE)


def _shared_and_free() -> Iterator[Case]:
    for host in FREE:
        yield Case(f"free {host}", "queued", f"estranho@{host}")
        yield sent(f"sent free {host}", "queued", f"estranho@{host}")
    yield Case("free contact", "Gama ADDRESS", "gil@gmail.com")
    yield Case("free contact with dots", "Gama ADDRESS", "g.i.l@gmail.com")
    yield Case("free contact with tag", "Gama ADDRESS", "gil+x@googlemail.com")
    yield Case("brazilian contact", "Gama ADDRESS", "gama.compras@uol.com.br")
    yield Case("shared domain", "queued Holding A,Holding B", "x@holding.example")
    yield Case("shared domain, contact of one", "Holding A ADDRESS", "dee@holding.example")
    yield Case("shared domain, contact of the other", "Holding B ADDRESS", "eve@holding.example")
    yield Case("shared domain, below", "queued Holding A,Holding B", "x@rio.holding.example")


def _conversations() -> Iterator[Case]:
    for turn in range(8):
        talk = f"talk{turn}"
        yield Case(f"{talk} opens", "Beta ADDRESS", thread=talk)
        yield Case(f"{talk} stranger", "Beta THREAD", f"s{turn}@nobody.example", thread=talk)
        yield sent(f"{talk} answer", "Beta THREAD", f"s{turn}@nobody.example", thread=talk)
        yield Case(f"{talk} contact again", "Beta THREAD", thread=talk)
    yield Case("stranger begins", "Beta THREAD", "first@nobody.example", thread="late")
    yield Case("contact joins", "Beta ADDRESS", thread="late")
    yield Case("domain opens", "Beta DOMAIN", "new@beta.example", thread="dom")
    yield Case("domain goes on", "Beta THREAD", "new@beta.example", thread="dom")
    yield Case("A opens", "Beta ADDRESS", thread="ab")
    yield sent("forwarded to B", "Gama ADDRESS", "gil@gmail.com", thread="ab")
    yield Case("stranger between A and B", "queued Beta,Gama", "z@nobody.example", thread="ab")
    yield Case("A opens with C", "Beta ADDRESS", thread="ac")
    yield Case("C by domain only asks", "queued Beta,Zeta", "x@zeta.example", thread="ac")
    yield Case("settled", "Beta ADDRESS", thread="both")
    yield Case("both in copy, conversation settles", "Beta THREAD", cc="gil@gmail.com", thread="both")
    yield Case("colleagues within a talk", "ignored internal", COLLEAGUE, thread="both")
    yield Case("spam in a talk", "ignored spam", "z@nobody.example", thread="both", folder="spam")
    yield Case("same subject, other talk", "queued", "z@nobody.example", subject="Oi")


def _machines_and_lists() -> Iterator[Case]:
    for machine in MACHINES:
        yield Case(f"machine {machine}", "ignored no_reply", f"{machine}@shop.example")
    yield Case("machine of an account", "Beta DOMAIN", "no-reply@beta.example")
    yield Case(
        "ticket system with a customer to answer", "Beta ADDRESS", "no-reply@tickets.test", reply_to="bea@beta.example"
    )
    for number in range(6):
        yield Case(f"list {number}", "ignored list", f"m{number}@members.example", list_id="<l.lists.example>")
    yield Case("list of an account's domain", "ignored list", "x@beta.example", list_id="<l.beta.example>")
    yield Case("contact on a list", "Beta ADDRESS", list_id="<l.lists.example>")
    yield Case("newsletter of a stranger", "ignored bulk", "editor@weekly.example", bulk=True)
    yield Case("newsletter of an account", "Beta DOMAIN", "news@beta.example", bulk=True)
    yield Case("newsletter a contact sends", "Beta ADDRESS", bulk=True)
    yield Case("newsletter of free mail", "ignored bulk", "clube@uol.com.br", bulk=True)
    yield sent("newsletter of ours to a stranger", "ignored bulk", "x@nobody.example", bulk=True)
    crowd = " ".join(f"p{number}@crowd{number}.example" for number in range(60))
    yield Case("crowd", "Beta ADDRESS", cc=crowd)
    yield sent("sent to a crowd", "ignored crowd", crowd)


def _ourselves() -> Iterator[Case]:
    for name in ("rui", "lia", "max", "eva"):
        yield Case(f"internal {name}", "ignored internal", f"{name}@acme.example")
        yield sent(f"internal sent {name}", "ignored internal", f"{name}@acme.example")
        yield Case(f"internal below {name}", "ignored internal", f"{name}@rio.acme.example")
    yield Case("to myself", "ignored no_counterpart", ME)
    yield Case("to my alias", "ignored no_counterpart", ME, ALIAS)
    yield Case("to my tag", "ignored no_counterpart", ME, "ana+x@acme.example")
    yield Case("my other mailbox", "ignored no_counterpart", "ana@casa.example")
    yield Case("to an alias of ours", "Beta ADDRESS", to=ALIAS)
    yield Case("from an alias", "Beta ADDRESS", ALIAS, "bea@beta.example", folder="sent")
    yield Case("colleague writes to a customer", "Beta ADDRESS", COLLEAGUE, "bea@beta.example", cc=ME)
    yield Case("form on our site", "Beta ADDRESS", "site@acme.example", reply_to="bea@beta.example")
    yield Case("draft", "ignored draft", ME, "x@nobody.example", folder="drafts")
    yield Case("draft to a contact", "Beta ADDRESS", ME, "bea@beta.example", folder="drafts")
    yield Case("trash", "ignored trash", "x@nobody.example", folder="trash")
    yield Case("trash of a contact", "Beta ADDRESS", folder="trash")


def _forged() -> Iterator[Case]:
    yield Case("nobody", "ignored invalid_sender", "")
    yield Case("white space", "ignored invalid_sender", "bea@beta.example x@evil.test")
    yield Case("nobody in a talk", "ignored invalid_sender", "", thread="talk0")
    yield Case("spoof in spam", "ignored spam", folder="spam")
    yield Case("homograph", "queued", "bea@xn--bta-9ma.example")
    yield Case("at the end of the local part", "queued", "bea@beta.example.@evil.test".replace(".@", "@", 1))


def _corrected() -> Iterator[Case]:
    for number in range(4):
        yield Case(f"linked {number}", "Gama MANUAL", f"l{number}@nobody.example", more={"link": "message"})
        yield Case(f"unlinked {number}", "queued", thread=f"gone{number}", more={"unlink": "message"})
        yield Case(f"beside the unlinked {number}", "Beta THREAD", thread=f"gone{number}")
    yield Case("linked talk", "Gama MANUAL", "k@nobody.example", thread="kept", more={"link": "thread"})
    yield Case("in the linked talk", "Gama MANUAL", "j@nobody.example", thread="kept")
    yield Case("contact in the linked talk", "Gama MANUAL", thread="kept")
    yield Case("linked sender", "Gama MANUAL", "boss@omega.example", more={"link": "sender"})
    yield Case("linked sender again", "Gama MANUAL", "boss@omega.example")
    yield Case("another of that domain", "queued", "other@omega.example")
    yield Case("linked domain", "Gama MANUAL", "a@sigma.com.br", more={"link": "domain"})
    yield Case("of the linked domain", "Gama MANUAL", "b@rh.sigma.com.br")
    yield sent("to the linked domain", "Gama MANUAL", "c@sigma.com.br")
    yield Case("never sender", "ignored never", "never@nobody.example")
    yield Case("never domain", "ignored never", "x@never.test")
    yield Case("below a never domain", "ignored never", "x@mail.never.test")
    yield Case("never in copy", "Beta ADDRESS", cc="never@nobody.example")
    yield Case("never tag", "ignored never", subject="Re: [PRIVATE] salary")


CASES = list(cases())


def accounts(store: Store) -> dict[str, str]:
    told = {
        "Beta": (("beta.example",), "", ("bea@beta.example", "bea@consulting.test")),
        "Gama": ((), "", ("gil@gmail.com", "gama.compras@uol.com.br", "guest@beta.example")),
        "Zeta": ((), "https://www.zeta.example/contato", ()),
        "Delta": (("delta.com.br",), "", ()),
        "Holding A": (("holding.example",), "", ("dee@holding.example",)),
        "Holding B": (("holding.example",), "", ("eve@holding.example",)),
    }
    found = {}
    for name, (domains, website, people) in told.items():
        found[name] = store.save_account(Account("", name, domains=domains, website=website)).id
        for address in people:
            store.save_contact(Contact("", found[name], address.partition("@")[0], addresses=(address,)))
    store.never(NeverBy.ADDRESS, "never@nobody.example")
    store.never(NeverBy.DOMAIN, "never.test")
    store.never(NeverBy.TAG, "[private]")
    store.set_identities("work", [Identity("work", Address("", one)) for one in (ME, ALIAS)])
    return found


def incoming(number: int, case: Case) -> Incoming:
    def people(text: str) -> tuple[Address, ...]:
        return tuple(Address("", one) for one in text.split())

    told = Headers(
        case.subject, Address("", case.sender), people(case.reply_to), people(case.to), people(case.cc),
        people(case.bcc), message_id=f"<{number}@golden.example>", list_id=case.list_id,
        bulk=case.bulk,
    )  # fmt: skip
    when = BORN_MS + number * 1000
    return Incoming(
        f"m{number}", State(frozenset({case.folder})), when, headers=told, remote_thread=case.thread or f"t{number}"
    )


def verdict(store: Store, message: int) -> str:
    found = store.verdict(message)
    if found.bound is Bound.LINKED:
        return " ".join((",".join(link.name for link in found.links), found.links[0].reason.name))
    names = ",".join(sorted(link.name for link in found.candidates))
    return f"ignored {found.why}" if found.bound is Bound.IGNORED else f"queued {names}".strip()


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_every_message_of_the_golden_set_gets_its_account_and_reason(store: Store, order: str) -> None:
    assert len(CASES) >= 200
    known = accounts(store)
    letters = [incoming(number, case) for number, case in enumerate(CASES)]
    if order == "newest first":
        letters.reverse()
    for start in range(0, len(letters), 17):
        store.ingest("work", Page(str(start), tuple(letters[start : start + 17])))
    ids = {number: store.find("work", f"m{number}") or 0 for number in range(len(CASES))}
    for number, case in enumerate(CASES):
        if "link" in case.more:
            store.link([ids[number]], known["Gama"], Scope(case.more["link"]))
        if "unlink" in case.more:
            store.unlink([ids[number]], known["Beta"], Scope(case.more["unlink"]))
    while store.rematch_step():
        pass
    found = {case.name: verdict(store, ids[number]) for number, case in enumerate(CASES)}
    assert found == {case.name: case.verdict for case in CASES}
    assert sum(store.bound_counts().values()) == len(CASES)

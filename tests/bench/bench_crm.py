"""What the CRM side costs: `python -m tests.bench.bench_crm [messages accounts]` (100,000 and 20,000 unless told).

Account search over five times as many accounts, the panel beside a message, linking inside ingestion, and looking at
all mail again after a domain is added, while keys are pressed. p50 and p95 in milliseconds.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from crmmail.crm.model import Account, Contact
from crmmail.model import Address, Change, Headers, Incoming, Mailbox, Page, Query, State
from crmmail.ops import Verb
from crmmail.store import Store, binding, cards, records
from tests.bench.bench_store import CAN, START_MS, messages, show, timed, word

PAGE = 200
ME = "eu@casa.example"
TYPED = ("p", "pa", "padar", "empresa 77", "bace", "emp", "contato1234", "empresa19999.example", "0", "zzz")


def fill_accounts(store: Store, count: int) -> None:
    """Accounts with two contacts each, as an import would bring them."""
    wanted: dict[records.Key, str | None] = {}
    for number in range(count):
        uid = f"a{number:07}"
        name = f"{word(number % 5000).title()} {word(number // 7)} {number}"
        domain = f"empresa{number}.example"
        account = Account(uid, name, domains=(domain,), tax_id=f"{number:014}")
        wanted[records.ACCOUNT, uid] = cards.account_text(account)
        for turn in range(2):
            person = Contact(f"c{number:07}{turn}", uid, f"Contato{number} {word(turn)}", (f"p{turn}@{domain}",))
            wanted[records.CONTACT, person.id] = cards.contact_text(person)
    store._records_deed(records.IMPORT, count, "bench", wanted)


def headers_only(total: int, accounts: int) -> Iterator[Incoming]:
    """Mail of many accounts, and of one domain that is not known yet (all messages have somebody of it in copy)."""
    random_ = random.Random(3)
    for number in range(total):
        domain = f"empresa{int(random_.paretovariate(1.1)) % accounts}.example"
        them = Address("Alguém", f"p{number % 3}@{domain}")
        sent = number % 4 == 0
        told = Headers(
            f"Assunto {number}", Address("Eu", ME) if sent else them, to=(them if sent else Address("Eu", ME),),
            cc=(), message_id=f"<{number}@bench.example>",
        )  # fmt: skip
        state = State(frozenset({"sent" if sent else "inbox"}), unread=number % 3 == 0)
        yield Incoming(
            f"r{number:07}", state, START_MS + number * 60_000, headers=told, remote_thread=f"t{number // 3}"
        )


def of_one_domain(total: int) -> Iterator[Incoming]:
    """Mail of one company that no account names yet."""
    for number in range(total):
        them = Address("Alguém", f"p{number % 50}@tardia.example")
        told = Headers(f"Assunto {number}", them, to=(Address("Eu", ME),), message_id=f"<l{number}@bench.example>")
        yield Incoming(
            f"l{number:07}", State(frozenset({"inbox"})), START_MS + number * 60_000, headers=told,
            remote_thread=f"l{number // 3}",
        )  # fmt: skip


def pour(store: Store, mailbox: str, mail: Iterator[Incoming]) -> float:
    """Ingest in pages; the seconds it took."""
    page: list[Incoming] = []
    taken = 0.0
    for number, one in enumerate(mail):
        page.append(one)
        if len(page) == PAGE:
            begun = time.perf_counter()
            store.ingest(mailbox, Page(str(number), tuple(page)))
            taken += time.perf_counter() - begun
            page = []
    begun = time.perf_counter()
    store.ingest(mailbox, Page("end", tuple(page), complete=True))
    return taken + time.perf_counter() - begun


def opened(directory: Path) -> Store:
    store = Store.open(directory)
    store.register(Mailbox("box", "gmail", ME, capabilities=CAN))
    return store


def measure_linking(total: int) -> None:
    """What binding adds to ingesting whole messages: the same pages with and without, turn about."""
    taken = {True: 0.0, False: 0.0}
    for _turn in range(3):
        for linked in (True, False):
            with tempfile.TemporaryDirectory() as place, opened(Path(place) / "p") as store:
                fill_accounts(store, 500)
                if linked:
                    taken[linked] += pour(store, "box", messages(total))
                else:
                    with mock.patch.object(binding.Binding, "run", lambda *_arguments, **_named: Change()):
                        taken[linked] += pour(store, "box", messages(total))
    more = (taken[True] / taken[False] - 1) * 100
    print(
        f"{total:>7}  linking adds to ingestion {more:5.1f} %  ({taken[False]:.2f} → {taken[True]:.2f} s)", flush=True
    )


def measure_search(store: Store, size: int) -> None:
    for text in TYPED:
        show(
            size,
            f"accounts “{text}” and count",
            timed(15, lambda _turn, text=text: (store.accounts(text, 0, 60), store.account_count(text))),
        )


def measure_panel(store: Store, size: int) -> None:
    numbers = store.ids(Query("box", "inbox"), 0, 4000)[::10]
    show(size, "briefing", timed(300, lambda turn: store.briefing(numbers[turn % len(numbers)])))
    account = store.accounts("empresa1.example", 0, 1)[0].id
    show(
        size,
        f"figures of {store.count(Query(account=account))} messages",
        timed(5, lambda _turn: store.account_figures(account)),
    )
    show(size, "window of an account", timed(50, lambda _turn: store.window(Query(account=account), 0, 60)))


def measure_rematch(store: Store, size: int) -> None:
    """Keys are pressed in one thread while another looks at all mail of a domain again."""
    numbers = store.ids(Query("box", "inbox"), 0, 500)
    begun = time.perf_counter()
    late = store.save_account(Account("", "Tardia", domains=("tardia.example",)))
    asked = time.perf_counter() - begun
    done = threading.Event()

    def work() -> None:
        while store.rematch_step():
            pass
        done.set()

    thread = threading.Thread(target=work)
    begun = time.perf_counter()
    thread.start()
    pressed = []
    while not done.is_set():
        at = time.perf_counter()
        store.perform(Verb.FAVORITE, [numbers[len(pressed) % len(numbers)]])
        store.window(Query("box", "inbox"), 0, 60)
        pressed.append((time.perf_counter() - at) * 1000)
        done.wait(0.03)
    thread.join()
    taken = time.perf_counter() - begun
    pressed.sort()
    print(
        f"{size:>7}  looked at {store.count(Query(account=late.id))} messages again in {taken:.2f} s "
        f"(asked in {asked:.2f}); keys meanwhile p50 {pressed[len(pressed) // 2]:.1f} "
        f"p95 {pressed[int(len(pressed) * 0.95)]:.1f} max {pressed[-1]:.1f} ms", flush=True,
    )  # fmt: skip


def main() -> None:
    """Measure everything and print it."""
    size, accounts = [int(one) for one in sys.argv[1:3]] or [100_000, 20_000]
    measure_linking(min(size, 3_000))
    with tempfile.TemporaryDirectory() as place, opened(Path(place) / "p") as store:
        begun = time.perf_counter()
        fill_accounts(store, accounts)
        print(f"{accounts:>7}  accounts kept in {time.perf_counter() - begun:.1f} s", flush=True)
        print(f"{size:>7}  messages heard in {pour(store, 'box', headers_only(size, accounts)):.1f} s", flush=True)
        measure_panel(store, size)
        pour(store, "box", of_one_domain(size))
        measure_rematch(store, size)
    with tempfile.TemporaryDirectory() as place, opened(Path(place) / "p") as store:
        fill_accounts(store, accounts * 5)
        measure_search(store, accounts * 5)


if __name__ == "__main__":
    main()

"""What the CRM side costs: `python -m tests.bench.bench_crm [messages accounts]` (100,000 and 20,000 unless told).

Account search over five times as many accounts, the panel beside a message, linking inside ingestion; looking at all
mail again after a domain is added, and an import with its undo and redo, while keys are pressed: each marks a message,
on the disk, and reads the list anew. With the interface's switch interval, in one process as there.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row
from crmmail.errors import SettingsError
from crmmail.model import Address, Change, Headers, Incoming, Mailbox, Page, Query, State
from crmmail.ops import Verb
from crmmail.sandbox.generate import OWNER
from crmmail.sandbox.generate import accounts as generated_accounts
from crmmail.store import Store, binding, cards, records
from crmmail.tui.app import SWITCH_INTERVAL
from tests.bench import profiles
from tests.bench.bench_store import CAN, START_MS, timed, word

PAGE = 200
ME = "eu@casa.example"
KEY_EVERY = 0.03  # seconds: a held key repeats so
TYPED = ("p", "pa", "padar", "empresa 77", "bace", "emp", "contato1234", "empresa19999.example", "0", "zzz", "emp 1")


class Figure(NamedTuple):
    """A line of the table: what, how much, and what it should be."""

    what: str
    measured: str
    goal: str = ""


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


def opened(directory: Path, address: str = ME) -> Store:
    store = Store.open(directory)
    store.register(Mailbox("box", "gmail", address, capabilities=CAN))
    return store


def linking(total: int) -> list[Figure]:
    """What binding adds to ingesting whole messages: the same pages with and without, turn about. CPU alone counts."""
    pages = list(profiles.pages(profiles.letters(total)))
    taken = {True: 0.0, False: 0.0}
    for _turn in range(3):
        for linked in (True, False):
            with tempfile.TemporaryDirectory() as place, opened(Path(place) / "p", OWNER.email) as store:
                fill_accounts(store, 500)
                known = _know_who_writes(store)
                if linked:
                    taken[linked] += _ingested(store, pages)
                else:
                    with mock.patch.object(binding.Binding, "run", lambda *_arguments, **_named: Change()):
                        taken[linked] += _ingested(store, pages)
    more = (taken[True] / taken[False] - 1) * 100
    cost = (taken[True] - taken[False]) / total / 3 * 1e6
    what = (
        f"linking {total:,} messages to {known + 500} accounts adds to their ingestion (parsing, store, index), of CPU"
    )
    return [Figure(what, f"{more:.1f} % ({cost:.0f} µs a message)", "10 %")]


def _know_who_writes(store: Store) -> int:
    """The accounts the generated mail is from and to."""
    count = 0
    for one in generated_accounts():
        try:
            store.save_account(Account("", one.name, domains=(one.domain,)))
        except SettingsError:
            continue  # a company with addresses at free mail
        count += 1
    return count


def _ingested(store: Store, pages: list[Page]) -> float:
    begun = time.thread_time()
    for page in pages:
        store.ingest("box", page)
    return time.thread_time() - begun


def search(store: Store, size: int) -> list[Figure]:
    """The slowest of what is typed: the rows of a screen and how many there are."""
    found = {
        text: timed(40, lambda _turn, text=text: (store.accounts(text, 0, 60), store.account_count(text)))
        for text in TYPED
    }
    text = max(found, key=lambda text: found[text][1])
    what = f"account search over {size:,}, the slowest of {len(TYPED)} texts (“{text}”), ms (p50 / p95)"
    return [Figure(what, f"{found[text][0]:.1f} / {found[text][1]:.1f}", "30")]


def panel(store: Store) -> list[Figure]:
    """What stands beside a message, and an account's own view."""
    numbers = store.ids(Query("box", "inbox"), 0, 4000)[::10]
    beside = timed(300, lambda turn: store.briefing(numbers[turn % len(numbers)]))
    account = store.accounts("empresa1.example", 0, 1)[0].id
    rows = timed(50, lambda _turn: store.window(Query(account=account), 0, 60))
    count = store.count(Query(account=account))
    return [
        Figure("account panel beside a message, ms (p50 / p95)", f"{beside[0]:.1f} / {beside[1]:.1f}", "50"),
        Figure(f"first rows of an account with {count:,} messages, ms (p50 / p95)", f"{rows[0]:.1f} / {rows[1]:.1f}"),
    ]


def beside_keys(store: Store, work: Callable[[], object]) -> tuple[float, str]:
    """Press keys while `work` runs in another thread: its seconds, and what the keys took."""
    numbers = store.ids(Query("box", "inbox"), 0, 500)
    thread = threading.Thread(target=work)
    pressed = []
    begun = time.perf_counter()
    thread.start()
    while thread.is_alive():
        at = time.perf_counter()
        verb = Verb.FAVORITE if len(pressed) // len(numbers) % 2 == 0 else Verb.UNFAVORITE
        store.perform(verb, [numbers[len(pressed) % len(numbers)]], quiet=True)  # undo is left to what is measured
        store.window(Query("box", "inbox"), 0, 60)
        pressed.append((time.perf_counter() - at) * 1000)
        thread.join(KEY_EVERY)
    seconds = time.perf_counter() - begun
    pressed.sort()
    return seconds, f"{pressed[len(pressed) // 2]:.1f} / {pressed[int(len(pressed) * 0.95)]:.1f}"


def alone(store: Store) -> list[Figure]:
    """The same keys while nothing else runs."""
    return [
        Figure("a key (mark a message, read the list), ms (p50 / p95)", beside_keys(store, lambda: time.sleep(5))[1])
    ]


def work_off(store: Store) -> None:
    while store.rematch_step():
        pass


def rematch(store: Store) -> list[Figure]:
    """All mail of a domain is looked at again after an account gets it."""
    late = store.save_account(Account("", "Tardia", domains=("tardia.example",)))
    seconds, keys = beside_keys(store, lambda: work_off(store))
    count = store.count(Query(account=late.id))
    return [
        Figure(f"{count:,} messages looked at again after a domain is added, s", f"{seconds:.1f}", "5"),
        Figure("… a key meanwhile", keys, "16"),
    ]


def importing(store: Store, count: int) -> list[Figure]:
    """Accounts with a contact each, in a file of `count` rows."""

    def rows() -> Iterator[Row]:
        for number in range(count):
            domain = f"firma{number}.example"
            firm = Account("", f"Firma {word(number % 5000)} {number}", domains=(domain,))
            yield Row(number + 2, firm, Contact("", "", f"Pessoa {number}", (f"p@{domain}",)))

    works = {
        f"import of {count:,} rows, s": lambda: store.import_rows(rows(), "bench"),
        "its undo, s": store.undo,
        "its redo, s": store.redo,
    }
    found = []
    for what, begin in works.items():
        seconds, keys = beside_keys(store, lambda begin=begin: (begin(), work_off(store)))  # type: ignore[misc]
        found += [Figure(what, f"{seconds:.1f}"), Figure("… a key meanwhile", keys, "16")]
    return found


def figures(size: int, accounts: int) -> Iterator[Figure]:
    """Everything, at `size` messages and `accounts` accounts."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        yield from linking(min(size, 3_000))
        with tempfile.TemporaryDirectory() as place, opened(Path(place) / "p") as store:
            fill_accounts(store, accounts)
            pour(store, "box", headers_only(size, accounts))
            yield from panel(store)
            pour(store, "box", of_one_domain(size))
            yield from alone(store)
            yield from rematch(store)
            yield from importing(store, size // 2)
        with tempfile.TemporaryDirectory() as place, opened(Path(place) / "p") as store:
            fill_accounts(store, accounts * 5)
            yield from search(store, accounts * 5)
    finally:
        sys.setswitchinterval(before)


def main() -> None:
    """Measure everything and print it."""
    size, accounts = [int(one) for one in sys.argv[1:3]] or [100_000, 20_000]
    for one in figures(size, accounts):
        print(f"{one.what}: {one.measured}" + (f" (goal {one.goal})" if one.goal else ""), flush=True)


if __name__ == "__main__":
    main()

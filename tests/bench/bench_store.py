"""What the store costs: `python -m tests.bench.bench_store [1000 10000 100000]`.

Prints one line for each measure and size, p50 and p95 in milliseconds. Messages are synthetic, about 4 kB of text
each from a vocabulary with a common tail, so that searches meet rare and frequent words.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from crmmail.model import Address, Capabilities, Incoming, Mailbox, Page, Query, State
from crmmail.ops import Verb
from crmmail.store import Store

PAGE = 50
START_MS = 1_600_000_000_000
CAN = Capabilities(labels=True, favorites=True, archive=True, delete_forever=True)
INBOX = Query("box", "inbox")


SYLLABLES = [consonant + vowel for consonant in "bcdfglmnprstv" for vowel in "aeiou"]


def word(rank: int) -> str:
    """The word of this rank: the more frequent, the shorter."""
    found = ""
    while rank or not found:
        rank, place = divmod(rank, len(SYLLABLES))
        found += SYLLABLES[place]
    return found + "s"


SEARCHES = (
    f"{word(1)} x",
    f"{word(3)} {word(40)} -zz",
    word(4999),
    "ba",
    "bace",
    "from:pessoa",
    "from:empresa7",
    "is:unread de:p5",
)


def words(random_: random.Random, count: int) -> str:
    return " ".join(word(min(int(random_.paretovariate(0.7)), 200_000)) for _ in range(count))


def messages(total: int) -> Iterator[Incoming]:
    random_ = random.Random(7)
    for number in range(total):
        people = Address(f"Pessoa {number % 997}", f"p{number % 997}@empresa{number % 89}.example")
        text = words(random_, 300)
        raw = (
            f"From: {people.name} <{people.email}>\r\nTo: eu@casa.example\r\nMessage-ID: <{number}@bench.example>\r\n"
            f"Subject: {text[:40]}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        ).encode()
        state = State(frozenset({"inbox"}), unread=number % 3 == 0, starred=number % 50 == 0)
        yield Incoming(f"r{number:07}", state, START_MS + number * 60_000, raw, remote_thread=f"t{number // 3}")


def timed(times: int, work: Callable[[int], object]) -> tuple[float, float, float]:
    """p50, p95 and the maximum of `times` runs, in milliseconds."""
    taken = []
    for turn in range(times):
        start = time.perf_counter()
        work(turn)
        taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)], taken[-1]


def show(size: int, name: str, figures: tuple[float, float, float]) -> None:
    print(f"{size:>7}  {name:<34} p50 {figures[0]:8.2f}  p95 {figures[1]:8.2f}  max {figures[2]:8.2f} ms", flush=True)


def fill(store: Store, size: int) -> tuple[float, float, float]:
    from crmmail.store import ingest

    held: list[float] = []
    run = ingest.Ingest.run

    def measured(self: ingest.Ingest, *arguments: object) -> object:
        start = time.perf_counter()
        try:
            return run(self, *arguments)  # type: ignore[arg-type]
        finally:
            held.append((time.perf_counter() - start) * 1000)

    ingest.Ingest.run = measured  # type: ignore[method-assign,assignment]
    batch: list[Incoming] = []
    start, cpu = time.perf_counter(), time.process_time()
    for number, incoming in enumerate(messages(size), 1):
        batch.append(incoming)
        if len(batch) == PAGE or number == size:
            store.ingest("box", Page(f"c{number}", upserts=tuple(batch), complete=number == size))
            batch.clear()
    took, used = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"{size:>7}  ingest with parse and index: {took * 1000 / size:.2f} ms a message, CPU {used * 1000 / size:.2f}"
    )
    ingest.Ingest.run = run  # type: ignore[method-assign]
    held.sort()
    return held[len(held) // 2], held[int(len(held) * 0.95)], held[-1]


def bench(size: int, directory: Path) -> None:
    with Store.open(directory) as store:
        store.register(Mailbox("box", "gmail", "eu@casa.example", capabilities=CAN))
        show(size, f"statements of a page of {PAGE}", fill(store, size))
    show(size, "open", timed(7, lambda _turn: Store.open(directory).close()))
    with Store.open(directory) as store:
        step = max(size - 60, 1)
        show(size, "window of 60 at the top", timed(200, lambda _turn: store.window(INBOX, 0, 60)))
        show(size, "window of 60 in the middle", timed(200, lambda turn: store.window(INBOX, size // 2 - turn, 60)))
        show(size, "window of 60 at the end", timed(200, lambda _turn: store.window(INBOX, step, 60)))
        show(size, "window of unread", timed(50, lambda _turn: store.window(Query("box", "inbox", unread=True), 0, 60)))
        show(size, "count", timed(200, lambda _turn: store.count(INBOX)))
        show(size, "folders", timed(200, lambda _turn: store.folders("box")))
        ids = store.ids(INBOX)
        show(size, "position", timed(100, lambda turn: store.position(INBOX, ids[turn * 7919 % size])))
        show(size, "message", timed(200, lambda turn: store.message(ids[turn * 7919 % size])))
        for text in SEARCHES:
            query = Query("box", "all", text=text)
            found = store.count(query)
            show(size, f"search {text!r}", timed(9, lambda _turn, query=query: store.window(query, 0, 50)))
            show(size, f"count  {text!r} = {found}", timed(3, lambda _turn, query=query: store.count(query)))
        show(size, "trash, one", timed(100, lambda turn: store.perform(Verb.TRASH, [ids[turn]])))
        show(size, "undo, one", timed(100, lambda _turn: store.undo()))
        many = ids[:1000]
        show(size, f"trash {len(many)}", timed(1, lambda _turn: store.perform(Verb.TRASH, many)))
        show(size, f"undo {len(many)}", timed(1, lambda _turn: store.undo()))
        show(size, f"trash {len(many)} again", timed(1, lambda _turn: store.perform(Verb.TRASH, many)))
        show(size, "window of 60 beside the open ops", timed(50, lambda _turn: store.window(INBOX, 0, 60)))
        show(size, "claim 1000", timed(1, lambda _turn: store.claim("box", 1000)))
    show(size, "open with 1000 open ops", timed(3, lambda _turn: Store.open(directory).close()))
    bytes_ = sum(path.stat().st_size for path in directory.iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{size:>7}  on disk {bytes_ / 1e6:.0f} MB, most memory {memory:.0f} MB")


def main() -> None:
    for size in [int(text) for text in sys.argv[1:]] or [1000, 10_000, 100_000]:
        with tempfile.TemporaryDirectory() as directory:
            bench(size, Path(directory) / "profile")


if __name__ == "__main__":
    main()

"""The process that `test_crm_kills` ends: mail arrives while the CRM's thread mirrors and logs, as in the program.

    python -m tests.faults.teller DIRECTORY MESSAGES KIND [PLACE…]      (the secret in CRMMAIL_TEST_KEY)

It goes on where an earlier one was ended. `DIRECTORY/arrived` gets a line for every message once the store has taken
it: that is the promise. Two messages are given to another account between being queued and being told, and so ask.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crmmail.crm.model import LogSetting, LogStatus, Scope, Visibility
from crmmail.model import Incoming, Page, Phase
from crmmail.remotes.crm import Crm
from crmmail.remotes.local import Local
from crmmail.remotes.pace import Bucket
from crmmail.remotes.sharpspring import SharpSpring
from crmmail.remotes.tryton import Tryton
from crmmail.store import Store
from crmmail.sync.crm import status_name
from crmmail.sync.crm_thread import CrmWorker
from tests.faults.crm_faults import letter
from tests.remotes.tryton_server import USER
from tests.store.told import GMAIL, state

CRM = "crm"
MOVED = (1, 2)  # given to Beta while they wait
TOGETHER = 3  # messages that arrive at once
BORN_MS = 1_900_000_000_000
SETTLED = (LogStatus.LOGGED, LogStatus.ASK)


def main(directory: Path, messages: int, kind: str, *place: str) -> None:
    store = Store.open(directory / "store")
    store.register(GMAIL)
    if store.log_setting(mailbox=GMAIL.id).on is None:
        store.set_log_setting(LogSetting(on=True, visibility=Visibility.FULL), mailbox=GMAIL.id)

    def connect() -> Crm:
        return connected(store, kind, *place)

    name = connect().name
    worker = begun(store, name, connect)
    until(lambda: (said := store.said(status_name(name))) is not None and said.phase is Phase.SYNCED)
    worker.end()
    worker.join(10)
    arrives(store, directory, MOVED)
    move(store)
    worker = begun(store, name, connect)
    rest = range(MOVED[-1] + 1, messages + 1)
    for start in range(0, len(rest), TOGETHER):
        arrives(store, directory, rest[start : start + TOGETHER])
        time.sleep(0.01)
    until(lambda: all(status in SETTLED for status in stand(store, messages).values()))
    worker.end()
    worker.join(10)
    store.close()
    (directory / "done").write_text("done")


def connected(store: Store, kind: str, url: str = "", more: str = "") -> Crm:
    """`more`: SharpSpring's account id, Tryton's database."""
    if kind == "local":
        return Local(kind, store)
    secret = os.environ["CRMMAIL_TEST_KEY"]
    if kind == "tryton":
        return Tryton(CRM, (USER, secret), url=url, database=more)
    return SharpSpring(CRM, (more, secret), url=url, pace=Bucket(1e6, 1e6))


def begun(store: Store, name: str, connect: Callable[[], Crm]) -> CrmWorker:
    worker = CrmWorker(store, name, connect, poll=0.1)
    worker.start()
    return worker


def arrives(store: Store, directory: Path, numbers: Sequence[int]) -> None:
    """Mail from Cedro, unless an earlier process took it."""
    fresh = [number for number in numbers if store.find(GMAIL.id, f"m{number}") is None]
    upserts = tuple(
        Incoming(
            f"m{number}",
            state("inbox"),
            BORN_MS + number * 1000,
            raw=letter(number, "Bia <bia@cedro.example>"),
            remote_thread=f"t{number}",
        )
        for number in fresh
    )
    if upserts:
        store.ingest(GMAIL.id, Page(f"c{numbers[-1]}", upserts=upserts, complete=True))
    with (directory / "arrived").open("a") as book:
        book.writelines(f"{number}\n" for number in numbers)


def move(store: Store) -> None:
    """Queue what arrived, and give it to Beta before it is told; what an earlier process moved or told stays so."""
    while store.log_step():
        pass
    beta = store.accounts("beta")[0].id
    for number in MOVED:
        message = store.find(GMAIL.id, f"m{number}") or 0
        if store.log_states([message])[message].status is LogStatus.QUEUED:
            store.link([message], beta, scope=Scope.MESSAGE)


def stand(store: Store, messages: int) -> dict[int, LogStatus]:
    """Where each of so many messages stands with the CRM."""
    numbers = {store.find(GMAIL.id, f"m{number}") or 0: number for number in range(1, messages + 1)}
    return {numbers[message]: found.status for message, found in store.log_states(numbers).items()}


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise SystemExit("it never came to that")
        time.sleep(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])

"""The one lock of all who write: who works in short steps learns whether anybody waits."""

from __future__ import annotations

import threading

from crmmail.store.connections import WriteLock
from tests.sync.test_engine import until


def test_it_is_wanted_while_another_thread_waits_and_not_before_or_after() -> None:
    lock = WriteLock()
    entered = threading.Event()

    def work() -> None:
        with lock:
            entered.set()

    other = threading.Thread(target=work)
    with lock, lock:  # its holder may take it again
        assert not lock.wanted
        other.start()
        until(lambda: lock.wanted)
        assert not entered.is_set()
    other.join(5)
    assert entered.is_set()
    assert not lock.wanted

"""Mail is bound anew in the background: until nothing is left, again when told, and it never dies of a defect."""

from __future__ import annotations

import threading
from collections.abc import Callable

from crmmail.model import Change
from crmmail.sync.rematch import Rematcher
from tests.sync.test_crm import until


class Work:
    """A store with so many steps left."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.done = 0
        self.trouble: Exception | None = None
        self.threads: set[str] = set()
        self.callback: Callable[[Change], None] = lambda _change: None
        self.listening = False

    def rematch_step(self) -> bool:
        self.threads.add(threading.current_thread().name)
        if self.trouble:
            raise self.trouble
        if not self.left:
            return False
        self.left -= 1
        self.done += 1
        return True

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        self.callback, self.listening = callback, True

        def forget() -> None:
            self.listening = False

        return forget


def test_it_works_until_nothing_is_left_and_again_when_something_changed() -> None:
    work = Work(5)
    rematcher = Rematcher(work)
    rematcher.start()
    until(lambda: work.done == 5)
    work.left = 3
    work.callback(Change())
    work.callback(Change(crm=True))
    until(lambda: work.done == 8)
    assert work.threads == {"sync-rematch"}
    rematcher.end()
    rematcher.join(5)
    assert not rematcher.is_alive()
    assert not work.listening


def test_a_defect_is_no_end() -> None:
    work = Work(2)
    work.trouble = ZeroDivisionError("a defect")
    rematcher = Rematcher(work)
    rematcher.start()
    until(lambda: bool(work.threads))
    work.trouble = None
    work.callback(Change(crm=True))
    until(lambda: work.done == 2)
    rematcher.end()
    rematcher.join(5)

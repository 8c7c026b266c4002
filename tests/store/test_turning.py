"""Undo and redo of an import: short steps that leave the store to others, one undo all the same, no crash ends it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.crm.model import Account, Bound, Contact
from crmmail.crm.rows import Row
from crmmail.errors import SettingsError
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.store.importing import CHUNK
from crmmail.store.turning import AT_ONCE
from tests.store.told import Clock, filled, headers, mail, page

FIRMS = CHUNK * (AT_ONCE + 4)
_UNDO = (
    "import sys; from pathlib import Path; from crmmail.store import Store\n"
    "store = Store.open(Path(sys.argv[1])); store.undo()\n"
    "while store.rematch_step(): pass"
)


def imported(store: Store) -> None:
    firms = (
        Row(number, Account("", f"Firma {number}"), Contact("", "", f"Ana {number}", (f"ana@firma{number}.example",)))
        for number in range(FIRMS)
    )
    store.import_rows(firms, "firms.csv")
    work_off(store)
    assert store.account_count() == FIRMS


def work_off(store: Store) -> int:
    steps = 0
    while store.rematch_step():
        steps += 1
    return steps


def test_a_large_undo_answers_at_once_and_goes_on_in_steps(store: Store) -> None:
    imported(store)
    act = store.undo()
    assert act is not None
    assert (act.kind, act.count, act.state) == ("import", FIRMS * 2, "undone")
    assert store.account_count() == FIRMS
    left = [FIRMS]
    while store.rematch_step():
        left.append(store.account_count())
    assert left[-1] == 0
    assert max(before - after for before, after in itertools.pairwise(left)) == CHUNK
    assert store.redo() is not None
    work_off(store)
    assert store.account_count() == FIRMS
    assert store.contact_of(f"ana@firma{FIRMS - 1}.example") is not None
    assert [one.state for one in store.acts()] == ["done"]


def test_a_message_goes_to_the_trash_between_two_steps_and_the_undone_import_stays_undone(store: Store) -> None:
    numbers = filled(store, 3)
    imported(store)
    store.undo()
    assert store.rematch_step()
    assert store.perform(Verb.TRASH, numbers[:1]) is not None
    work_off(store)
    assert store.account_count() == 0
    assert store.redo() is None  # something new was done since
    undone = store.undo()
    assert undone is not None
    assert undone.kind == Verb.TRASH


def test_what_was_changed_since_stays_as_it_is(store: Store) -> None:
    imported(store)
    kept = store.accounts("Firma 7")[0].id
    store.undo()
    store.save_account(Account(kept, "Firma Sete"))
    work_off(store)
    assert [row.name for row in store.accounts()] == ["Firma Sete"]


def test_a_second_undo_waits_until_the_first_is_through(store: Store) -> None:
    store.save_account(Account("", "Acme"))
    imported_beside = FIRMS + 1
    store.import_rows((Row(number, Account("", f"Firma {number}")) for number in range(FIRMS)), "firms.csv")
    assert store.account_count() == imported_beside
    store.undo()
    with pytest.raises(SettingsError, match="still under way"):
        store.undo()
    with pytest.raises(SettingsError, match="still under way"):
        store.redo()
    work_off(store)
    store.undo()
    assert store.account_count() == 0


def test_a_kill_in_the_middle_of_an_undo_loses_nothing_of_it(store: Store, directory: Path, clock: Clock) -> None:
    imported(store)
    store.close()
    armed = os.environ | {"CRMMAIL_FAULT_AT": "store.turned:4"}
    killed = subprocess.run([sys.executable, "-c", _UNDO, str(directory)], env=armed, check=False)
    assert killed.returncode == -9
    with Store.open(directory, clock=clock) as again:
        assert 0 < again.account_count() < FIRMS
        work_off(again)
        assert again.account_count() == 0
        redone = again.redo()
        assert redone is not None
        assert redone.kind == "import"
        work_off(again)
        assert again.account_count() == FIRMS


def test_many_new_accounts_with_mail_ask_for_one_look_at_all_mail_and_not_for_one_each(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmmail.store.rematch.MANY", 30)
    monkeypatch.setattr("crmmail.store.rematch.STEP", 20)
    letters = [
        mail(number, headers=headers(sender=f"Ana <ana@firma{number}.example>", message_id=f"<f{number}@x>"))
        for number in range(60)
    ]
    store.ingest("work", page(*letters))
    imported(store)
    assert store.bound_counts()[Bound.LINKED] == 60
    store.undo()
    work_off(store)
    assert store.bound_counts()[Bound.LINKED] == 0
    assert store.rematching().total == 0


_IMPORT = (
    "import sys; from pathlib import Path; from crmmail.store import Store\n"
    "from crmmail.crm.model import Account; from crmmail.crm.rows import Row\n"
    "store = Store.open(Path(sys.argv[1]))\n"
    "store.import_rows((Row(n, Account('', f'Firma {n}')) for n in range(int(sys.argv[2]))), 'firms.csv')"
)


def broken_off(store: Store, directory: Path) -> None:
    """An import that was killed when most of it was written."""
    store.close()
    armed = os.environ | {"CRMMAIL_FAULT_AT": f"store.imported:{FIRMS // CHUNK - 1}"}
    killed = subprocess.run([sys.executable, "-c", _IMPORT, str(directory), str(FIRMS)], env=armed, check=False)
    assert killed.returncode == -9


def test_what_a_killed_import_left_is_turned_back_in_steps_that_keep_nobody_waiting(
    store: Store, directory: Path, clock: Clock
) -> None:
    broken_off(store, directory)
    with Store.open(directory, clock=clock) as again:
        left = [again.account_count()]
        assert left[0] > CHUNK, "the start did not wait for it"
        assert again.notices == ["An import that broke off is taken back: nothing of it stays."]
        while again.rematch_step():
            left.append(again.account_count())
        assert left[-1] == 0
        assert max(before - after for before, after in itertools.pairwise(left)) == CHUNK
        assert [act.state for act in again.acts()] == ["dead"]
        assert again.undo() is None and again.redo() is None


def test_a_start_that_is_killed_while_it_turns_an_import_back_goes_on_at_the_next(
    store: Store, directory: Path, clock: Clock
) -> None:
    broken_off(store, directory)
    armed = os.environ | {"CRMMAIL_FAULT_AT": "store.turned:3"}
    start = _UNDO.replace("store.undo()", "pass")
    killed = subprocess.run([sys.executable, "-c", start, str(directory)], env=armed, check=False)
    assert killed.returncode == -9
    with Store.open(directory, clock=clock) as again:
        assert again.account_count() > 0
        work_off(again)
        assert again.account_count() == 0
        assert [act.state for act in again.acts()] == ["dead"]


def test_the_same_file_taken_in_at_once_after_a_kill_is_there_whole(
    store: Store, directory: Path, clock: Clock
) -> None:
    broken_off(store, directory)
    with Store.open(directory, clock=clock) as again:
        done = again.import_rows((Row(number, Account("", f"Firma {number}")) for number in range(FIRMS)), "firms.csv")
        assert done.tally.accounts_new == FIRMS
        work_off(again)
        assert again.account_count() == FIRMS


def test_an_import_that_breaks_off_lets_a_key_through_between_its_steps_back(store: Store) -> None:
    numbers = filled(store, 1)
    between: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(FIRMS):
            yield Row(number, Account("", f"Firma {number}"))
        raise OSError("the disk is gone")

    store.subscribe(lambda _change: between.append(store.account_count()))
    with pytest.raises(OSError, match="disk"):
        store.import_rows(rows(), "firms.csv")
    assert store.account_count() == 0
    falling = between[between.index(max(between)) :]
    assert max(before - after for before, after in itertools.pairwise(falling)) <= CHUNK
    assert store.perform(Verb.TRASH, numbers) is not None

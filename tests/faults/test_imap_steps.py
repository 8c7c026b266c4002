"""Row K01 for IMAP and SMTP: ended at every step of sending, and cut at every command, each message leaves once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail import faultpoint
from crmmail.model import SendState
from crmmail.ops import Verb
from tests.faults.imap_home import Home
from tests.faults.posting import OPEN
from tests.remotes.imap_world import ImapWorld

DOUBTFUL = ("smtp.marked", "smtp.accepted")  # between these nobody can know, and that is said


class Ended(BaseException):
    """The process was ended here."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with ImapWorld() as world:
        made = Home(world, tmp_path / "home")
        yield made
        made.close()


def test_ended_at_any_step_of_sending_it_goes_out_once_or_is_told_as_unknown(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_at, passed = 0, 0

    def passing(name: str) -> None:
        nonlocal passed
        if not name.startswith(("send.", "smtp.", "imap.")):
            return  # the other points have their own tests
        passed += 1
        if passed == ends_at:
            raise Ended(name)

    monkeypatch.setattr(faultpoint, "_log", "x")
    monkeypatch.setattr(faultpoint, "_pass", passing)
    met: Counter[str] = Counter()
    for number in itertools.count(1):
        queued = home.queue(number)
        ends_at, passed, name = number, 0, ""
        for _round in range(12):
            try:
                outcome = home.step()
            except Ended as ended:
                name = str(ended)
                met[name] += 1
                home.reopen()
                continue
            home.clock.advance(max(outcome.wait, 0.01))
            if not home.store.outgoing(OPEN):
                break
        sent = Counter(home.delivered())[f"friend{number}@example.net"]
        assert sent <= 1, name
        if home.state(queued).state is SendState.SEEN:
            assert sent == 1, name
        else:
            assert home.state(queued).state is SendState.UNKNOWN, (name, home.state(queued).state)
            assert name in DOUBTFUL
            home.store.mark_sent(queued.id)
        if not name:
            break
    assert met["smtp.marked"] and met["smtp.accepted"] and met["imap.filed"] and met["send.draft_saved"]
    assert len(met) > 10
    assert Counter(home.delivered()).most_common(1)[0][1] == 1


@pytest.mark.parametrize("how", ["before", "after"])
def test_cut_at_any_command_mail_goes_out_once_and_acts_are_made_once(home: Home, how: str) -> None:
    ids = home.world.add(40)
    home.settle()
    for number in range(1, 26):
        queued = home.queue(number)
        home.perform(Verb.TRASH, [ids[number]])
        home.world.between.cuts.clear()
        home.world.between.cut(".", how, nth=number)
        home.post()
        assert home.state(queued).state is SendState.SEEN, number
    home.world.between.cuts.clear()
    home.settle()
    home.agree()
    assert sorted(Counter(home.delivered()).values()) == [1] * 25
    assert len(home.in_sent()) == 25
    assert home.in_drafts() == []
    assert sum(state.folders == {"trash"} for state in home.there().values() if state) == 25
    assert len(home.there()) == 65

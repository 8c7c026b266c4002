"""What follows from each kind of trouble."""

from __future__ import annotations

import errno
import math

import pytest

from crmmail.errors import (
    AuthRequired,
    CursorExpired,
    Offline,
    Rejected,
    RemoteError,
    ScopeRequired,
    SettingsError,
    SignInError,
    StoreError,
    Transient,
)
from crmmail.model import Phase
from crmmail.store.faults import FuseBlown
from crmmail.sync.decide import Move, backoff, decide, told

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("error", "move", "phase", "held"),
    [
        (Offline("No network."), Move.RETRY, Phase.OFFLINE, False),
        (Transient("Busy.", status=503), Move.RETRY, Phase.WAITING, True),
        (Transient("Slow down.", status=429, retry_after=30), Move.RETRY, Phase.WAITING, True),
        (AuthRequired("The session has ended."), Move.SIGN_IN, Phase.SIGN_IN, True),
        (ScopeRequired("A permission is missing.", scope="full"), Move.CONSENT, Phase.SIGN_IN, True),
        (CursorExpired("Forgotten."), Move.RESYNC, Phase.SYNCING, True),
        (Rejected("Not allowed."), Move.REJECT, Phase.ERROR, True),
        (RemoteError("Strange answer."), Move.RETRY, Phase.ERROR, True),
        (FuseBlown("a", "inbox", 60, 100), Move.PAUSE, Phase.PAUSED, False),
        (StoreError("The disk is full."), Move.PAUSE, Phase.PAUSED, False),
        (OSError(errno.ENOSPC, "No space left on device"), Move.PAUSE, Phase.PAUSED, False),
        (SettingsError("No such file."), Move.PAUSE, Phase.ERROR, False),
        (SignInError("Declined."), Move.PAUSE, Phase.ERROR, False),
        (OSError(errno.EIO, "I/O error"), Move.RETRY, Phase.ERROR, True),
        (KeyError("from"), Move.RETRY, Phase.ERROR, True),
    ],
)
def test_each_error_has_its_answer(error: Exception, move: Move, phase: Phase, held: bool) -> None:
    decision = decide(error, 0, NOW)
    assert (decision.move, decision.phase, decision.held) == (move, phase, held)
    assert decision.wait >= 1
    assert decision.at == NOW + decision.wait
    assert decision.sentence


def test_the_sentence_and_the_way_out_are_those_of_the_error() -> None:
    decision = decide(AuthRequired("The session has ended.", next_step="Press ! to sign in."), 0, NOW)
    assert (decision.sentence, decision.next_step) == ("The session has ended.", "Press ! to sign in.")


def test_a_defect_is_told_without_its_text_which_may_hold_mail() -> None:
    decision = decide(ValueError("Dear Ana, the password is 1234"), 0, NOW)
    assert not decision.expected
    assert "Ana" not in decision.sentence + decision.next_step


def test_backoff_doubles_from_one_second_to_sixty_four_and_stays_there() -> None:
    assert [backoff(attempts, 0.0) for attempts in range(9)] == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert backoff(10_000, 0.0) == 64


@pytest.mark.parametrize("attempts", [0, 1, 5, 20])
def test_jitter_takes_up_to_a_half_and_never_goes_below_a_second(attempts: int) -> None:
    waits = [backoff(attempts, step / 100) for step in range(100)]
    assert all(1 <= wait <= 64 for wait in waits)
    assert min(waits) >= backoff(attempts, 0.0) / 2


@pytest.mark.parametrize(
    ("retry_after", "shortest", "longest"),
    [
        (30, 30, 31),
        (0, 1, 2),
        (-5, 1, 2),
        (0.2, 1, 2),
        (1e9, 3600, 3600),
        (math.inf, 3600, 3600),
        (-math.inf, 1, 2),
        (math.nan, 1, 1),
        (None, 1, 1),
    ],
)
def test_a_told_wait_is_kept_between_a_second_and_an_hour(
    retry_after: float | None, shortest: float, longest: float
) -> None:
    for jitter in (0.0, 0.5, 0.999):
        assert shortest <= told(retry_after, 0, jitter) <= longest


def test_without_a_told_wait_throttling_backs_off_like_any_failure() -> None:
    waits = [decide(Transient("Slow down.", status=429), attempts, NOW, 0.0).wait for attempts in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64]

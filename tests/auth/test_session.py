"""A session renews itself without the user and ends with one clear request to sign in: rows A01 to A06, D09."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from crmmail import auth
from crmmail.auth.secrets import Secret, Tokens
from crmmail.auth.session import RENEWAL_WINDOW, Session, Standing, renewer
from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings
from crmmail.errors import AuthRequired, Offline, Transient
from crmmail.sandbox import consent, person
from crmmail.sandbox.server import Sandbox
from crmmail.signing import Done
from tests.auth.conftest import ANA, BRUNO

PROFILE = {"gmail": "/gmail/v1/users/me/profile", "outlook": "/v1.0/me"}
USER = {"gmail": ANA, "outlook": BRUNO}


class Time:
    """Both clocks of a session, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.mono = time.time(), time.monotonic()

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


class World:
    """One mailbox signed in, its session on a clock of its own, and a client that uses it."""

    def __init__(self, sandbox: Sandbox, provider: str, tokens: TokenStore) -> None:
        self.sandbox, self.provider, self.tokens = sandbox, provider, tokens
        self.box = person.settings(sandbox, provider)
        self.user = USER[provider]
        assert isinstance(person.sign_in(sandbox, "work", self.box, tokens, self.user), Done)
        self.time = Time()
        self.session = self.another()
        self.trust = ssl.create_default_context(cafile=str(sandbox.ca_file))

    def another(self) -> Session:
        """A session as another process would have it: the same store, nothing in memory."""
        return Session(
            "work",
            self.tokens,
            renewer(self.box),
            clock=lambda: self.time.wall,
            monotonic=lambda: self.time.mono,
        )

    def get(self, session: Session | None = None) -> int:
        with httpx.Client(auth=session or self.session, verify=self.trust, trust_env=False) as client:
            return client.get(self.sandbox.https_url + PROFILE[self.provider]).status_code

    @property
    def renewals(self) -> int:
        return len(consent.of(self.sandbox).renewals)

    def asked_for_tokens(self) -> int:
        return sum(asked.target.endswith("/token") for asked in self.sandbox.ledger.requests)

    def revoke(self) -> None:
        consent.of(self.sandbox).revoke(self.user)
        self.sandbox.grants.revoke_all(self.user)


@pytest.fixture(params=["gmail", "outlook"])
def world(request: pytest.FixtureRequest, sandbox: Sandbox, tokens: TokenStore) -> Iterator[World]:
    yield World(sandbox, request.param, tokens)


def test_a_new_session_asks_for_nothing_more(world: World) -> None:
    assert world.get() == 200
    assert world.renewals == 0
    state = world.session.describe()
    assert (state.state, state.address, state.place) == (Standing.ACTIVE, world.user, "file")
    assert state.signed_in_at == state.renewed_at
    assert state.expires_at == state.renewed_at + RENEWAL_WINDOW


def test_access_is_renewed_about_hourly_without_the_user(world: World) -> None:
    for hours in range(1, 31):
        world.time.pass_by(3600)
        world.sandbox.clock.advance(3600)
        assert world.get() == 200
        assert world.renewals == hours
    state = world.session.describe()
    assert state.state is Standing.ACTIVE
    assert world.tokens.get("work") is not None


def test_a_token_is_renewed_five_minutes_before_its_end_and_not_before(world: World) -> None:
    world.time.pass_by(3600 - 310)
    assert world.get() == 200
    assert world.renewals == 0
    world.time.pass_by(20)
    assert world.get() == 200
    assert world.renewals == 1


def test_a01_one_401_is_one_renewal_and_one_retry(world: World) -> None:
    assert world.get() == 200
    world.sandbox.grants.expire(world.user)
    assert world.get() == 200
    assert world.renewals == 1
    assert world.session.describe().renewed_at > world.session.describe().signed_in_at


def test_a01_parallel_calls_share_one_renewal(world: World) -> None:
    assert world.get() == 200
    world.sandbox.grants.expire(world.user)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(world.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 8
    assert world.renewals == 1


def test_a02_a_401_after_the_renewal_stops_and_asks_to_sign_in(world: World) -> None:
    world.sandbox.faults.add("status", path=PROFILE[world.provider], status=401)
    with pytest.raises(AuthRequired) as raised:
        world.get()
    assert "Sign in again" in raised.value.next_step
    asked = len(world.sandbox.ledger.requests)
    for _ in range(3):
        with pytest.raises(AuthRequired):
            world.get()
    assert len(world.sandbox.ledger.requests) == asked
    assert world.session.describe().state is Standing.EXPIRED


def test_a03_a_revoked_grant_ends_the_session_once_and_for_the_next_start_too(world: World) -> None:
    assert world.get() == 200
    world.revoke()
    with pytest.raises(AuthRequired) as raised:
        world.get()
    assert world.user in raised.value.sentence
    asked = len(world.sandbox.ledger.requests)
    with pytest.raises(AuthRequired):
        world.get()
    with pytest.raises(AuthRequired):
        world.get(world.another())
    assert len(world.sandbox.ledger.requests) == asked
    assert world.another().describe().state is Standing.EXPIRED


def test_a03_another_mailbox_is_unaffected(sandbox: Sandbox, tokens: TokenStore) -> None:
    world = World(sandbox, "gmail", tokens)
    box = person.settings(sandbox, "outlook")
    assert isinstance(person.sign_in(sandbox, "other", box, tokens, BRUNO), Done)
    world.revoke()
    with pytest.raises(AuthRequired):
        world.get()
    with httpx.Client(auth=auth.session_for("other", box, tokens), verify=world.trust, trust_env=False) as client:
        assert client.get(sandbox.https_url + PROFILE["outlook"]).status_code == 200


def test_after_signing_in_again_the_same_session_goes_on(world: World) -> None:
    world.revoke()
    with pytest.raises(AuthRequired):
        world.get()
    assert isinstance(person.sign_in(world.sandbox, "work", world.box, world.tokens, world.user), Done)
    assert world.get() == 200
    assert world.session.describe().state is Standing.ACTIVE


def test_a04_a_lost_answer_is_asked_for_again_and_at_most_one_sign_in_follows(world: World) -> None:
    assert world.get() == 200
    world.sandbox.grants.expire(world.user)
    world.sandbox.faults.add("reset_after", path="/token", times=1)
    with pytest.raises(Offline):
        world.get()
    world.time.pass_by(120)
    if world.provider == "gmail":  # its refresh token stays: the next question is simply answered
        assert world.get() == 200
        return
    with pytest.raises(AuthRequired):  # Microsoft's was replaced, and the new one is lost
        world.get()
    asked = world.asked_for_tokens()
    for _ in range(5):
        world.time.pass_by(120)
        with pytest.raises(AuthRequired):
            world.get()
    assert world.asked_for_tokens() == asked


@pytest.mark.parametrize("lifetime", [0, -5, 30])
def test_a05_a_nonsense_lifetime_makes_no_storm(world: World, lifetime: int) -> None:
    held = world.tokens.get("work")
    assert held is not None
    world.tokens.put("work", replace(held, expires_at=held.renewed_at + lifetime))
    for _ in range(60):
        world.time.pass_by(10)
        assert world.get() == 200
    assert world.renewals <= 10


@pytest.mark.parametrize("said", [0, -3600, None, "soon"])
def test_a05_what_a_server_says_of_expires_in_is_not_believed_blindly(said: object) -> None:
    from crmmail.auth.google import expiry

    assert expiry(1000.0, {"expires_in": said}) == 0.0
    assert expiry(1000.0, {}) == 0.0
    assert expiry(1000.0, {"expires_in": "3599"}) == 4599.0


@pytest.mark.parametrize("hours", [2, -2])
def test_a05_a_clock_two_hours_off_makes_no_storm(world: World, hours: int) -> None:
    world.time.wall += hours * 3600
    for _ in range(30):
        world.time.pass_by(60)
        assert world.get() == 200
    assert world.renewals <= 1
    assert world.session.describe().state is Standing.ACTIVE


def test_a06_another_process_that_was_faster_is_believed(world: World) -> None:
    first, second = world.session, world.another()
    assert (world.get(first), world.get(second)) == (200, 200)
    world.sandbox.grants.expire(world.user)
    assert (world.get(first), world.get(second)) == (200, 200)
    assert world.renewals == 1


PROCESS = """
import sys
from pathlib import Path
from crmmail import config
from crmmail.auth.session import Session, renewer
from crmmail.auth.tokens import TokenStore
provider, home, ca, base, stale = sys.argv[1:]
box = config.MailboxSettings(provider, ca_file=ca, token_url=base + "/token", authority_url=base)
session = Session("work", TokenStore(Path(home), allow_file=True, use_keyring=False), renewer(box))
session._current()
print("ready", flush=True)
sys.stdin.readline()
print(session.token(refused=session._tokens.access_token) != "")
"""


def test_a06_two_real_processes_end_with_valid_tokens(world: World, tmp_path: pytest.TempPathFactory) -> None:
    arguments = [
        world.provider,
        str(world.tokens._directory.parent),
        str(world.sandbox.ca_file),
        world.sandbox.https_url,
        "",
    ]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ended = []
    for process in running:  # all hold the same old token before the first one renews it
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        out, err = process.communicate(timeout=60)
        ended.append((process.returncode, out.strip(), err))
    assert ended == [(0, "True", "")] * 3
    assert world.renewals == 1
    assert world.get(world.another()) == 200


def test_24_hours_without_renewal_ask_to_sign_in_again(world: World) -> None:
    asked = world.asked_for_tokens()
    world.time.pass_by(RENEWAL_WINDOW + 1)
    assert world.session.describe().state is Standing.EXPIRED
    with pytest.raises(AuthRequired):
        world.get()
    assert world.asked_for_tokens() == asked
    assert world.renewals == 0


def test_offline_is_not_the_end_and_a_token_that_still_lives_is_used(world: World) -> None:
    assert world.get() == 200
    world.time.pass_by(3600 - 200)
    world.sandbox.faults.add("reset_before", path="/token|openid-configuration", times=1)
    assert world.get() == 200
    assert world.session.describe().problem
    world.time.pass_by(61)
    assert world.get() == 200
    assert world.renewals == 1
    assert world.session.describe().problem == ""


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_tried_again_later(world: World, status: int) -> None:
    world.sandbox.grants.expire(world.user)
    world.sandbox.faults.add("status", method="POST", path="/token", status=status, times=1)
    with pytest.raises(Transient):
        world.get()
    assert world.session.describe().state is Standing.ACTIVE
    world.time.pass_by(61)
    assert world.get() == 200


def test_the_token_is_shown_to_the_mail_api_only(world: World) -> None:
    careful = auth.session_for("work", world.box, world.tokens)
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(200)

    with httpx.Client(auth=careful, transport=httpx.MockTransport(answer)) as client:
        client.get("https://upload.example/session/1")
        client.get(world.box.api_url + "/x")
    assert seen[0] is None
    assert (seen[1] or "").startswith("Bearer ")


def test_a_full_disk_at_renewal_does_not_stop_the_mail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert world.get() == 200
    before = world.tokens.get("work")
    world.sandbox.grants.expire(world.user)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        assert world.get() == 200
    assert world.tokens.get("work") == before
    assert "No space left" in world.session.describe().problem
    world.sandbox.grants.expire(world.user)
    world.time.pass_by(61)
    assert world.get() == 200
    assert world.tokens.get("work") != before


def test_d09_a_garbage_file_asks_to_sign_in_and_signing_in_helps(world: World) -> None:
    path = next(world.tokens._directory.glob("work.json"))
    path.write_bytes(b"\x00\xff garbage sandbox.secret")
    fresh = world.another()
    with pytest.raises(AuthRequired) as raised:
        world.get(fresh)
    assert "cannot be read" in raised.value.sentence
    assert "secret" not in str(raised.value)
    assert fresh.describe().state is Standing.EXPIRED
    assert isinstance(person.sign_in(world.sandbox, "work", world.box, world.tokens, world.user), Done)
    assert world.get(fresh) == 200


def test_nobody_signed_in_is_said_so(tokens: TokenStore) -> None:
    session = auth.session_for("work", MailboxSettings("gmail"), tokens)
    with pytest.raises(AuthRequired, match="Nobody has signed in"):
        session.token()
    assert session.describe().state is Standing.EXPIRED


def test_nothing_of_a_session_shows_its_secrets() -> None:
    held = Tokens("gmail", "id", Secret("canary-access"), 0, 0, 0, Secret("canary-refresh"), Secret("canary-secret"))
    for shown in (repr(held), repr(held.access_token), repr([held]), repr(held.access_token[:12]), f"{held}"):
        assert "canary" not in shown

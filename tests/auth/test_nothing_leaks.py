"""No token in any file but the store, in no log, argument, repr or traceback: canaries through every flow."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from rich.traceback import Traceback

from crmmail import auth
from crmmail.auth import connect, console
from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings, Settings, load, profile
from crmmail.errors import AuthRequired, CrmMailError, SignInError
from crmmail.sandbox import consent, person
from crmmail.sandbox.consent import Answer
from crmmail.sandbox.server import Sandbox
from crmmail.signing import Done, Wish
from tests.auth.conftest import ANA, BRUNO


def canaries(sandbox: Sandbox, signins: consent.SignIns) -> list[str]:
    """Every secret the servers ever gave out, in the part nobody could know by chance."""
    given = [*sandbox.grants._grants, *signins.refreshes]
    codes = [key for key in signins.attempts if key.startswith("4/")]
    return [secret.partition(".")[2][:24] or secret[:24] for secret in given] + codes


def found_in(directory: Path, secrets: list[str]) -> list[str]:
    return [
        str(path.relative_to(directory))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def use(sandbox: Sandbox, box: MailboxSettings, tokens: TokenStore) -> None:
    """Sign in, use, renew, be refused."""
    user = ANA if box.provider == "gmail" else BRUNO
    assert isinstance(person.sign_in(sandbox, "work", box, tokens, user), Done)
    sandbox.grants.expire(user)
    session = auth.session_for("work", box, tokens)
    url = box.api_url + ("/gmail/v1/users/me/profile" if box.provider == "gmail" else "/me")
    with person._browser(sandbox) as client:
        assert client.get(url, auth=session).status_code == 200
        consent.of(sandbox).revoke(user)
        sandbox.grants.revoke_all(user)
        with pytest.raises(AuthRequired):
            auth.session_for("work", box, tokens).token(refused=session.token())


@pytest.mark.parametrize("provider", ["gmail", "outlook"])
def test_secrets_lie_in_the_store_and_nowhere_else(
    sandbox: Sandbox,
    signins: consent.SignIns,
    provider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tokens = TokenStore(tmp_path / "data", allow_file=True, use_keyring=False)
    use(sandbox, person.settings(sandbox, provider), tokens)
    secrets = canaries(sandbox, signins)
    assert len(secrets) >= 4
    assert found_in(tmp_path, secrets) == ["data/sessions/work.json"]
    said = capfd.readouterr()
    for place, text in (
        ("log", everything_logged.text),
        ("screen", said.out + said.err),
        ("arguments", " ".join(sys.argv)),
        ("environment", " ".join(os.environ.values())),
        ("repr", repr([tokens, tokens.get("work")])),
    ):
        assert [secret for secret in secrets if secret in text] == [], place


def shown_with_locals(act: Callable[[], object]) -> str:
    """The traceback of what `act` raises as a crash screen would paint it, local variables included."""
    screen = io.StringIO()
    try:
        act()
    except CrmMailError as error:
        Console(file=screen, width=300).print(
            Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, locals_max_string=400)
        )
        screen.write("".join(traceback.format_exception(error)))
    return screen.getvalue()


def test_a_traceback_of_ours_shows_no_token_even_with_its_locals(
    sandbox: Sandbox, signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    assert isinstance(person.sign_in(sandbox, "work", gmail, tokens, ANA), Done)
    signins.revoke(ANA)
    session = auth.session_for("work", gmail, tokens)
    held = tokens.get("work")
    assert held is not None
    shown = shown_with_locals(lambda: session.token(refused=held.access_token))
    assert "has ended" in shown
    assert [secret for secret in canaries(sandbox, signins) if secret in shown] == []


def test_signing_out_forgets_here_and_tells_google(
    sandbox: Sandbox, signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore, tmp_path: Path
) -> None:
    assert isinstance(person.sign_in(sandbox, "work", gmail, tokens, ANA), Done)
    connect.sign_out("work", gmail, tokens)
    assert tokens.get("work") is None
    assert all(held.dead for held in signins.refreshes.values())
    assert found_in(tmp_path, canaries(sandbox, signins)) == []


def options(**said: object) -> argparse.Namespace:
    usual = {
        "provider": "gmail", "name": "", "client_id": "", "client_file": "", "tenant": "", "browser": False,
        "paste": False, "token_store": "file",
    }  # fmt: skip
    return argparse.Namespace(**{**usual, **said})


class Person(io.StringIO):
    """What the terminal shows, read by somebody who then does it."""

    def __init__(self, sandbox: Sandbox, user: str) -> None:
        super().__init__()
        self.sandbox, self.user, self.done = sandbox, user, False

    def write(self, text: str) -> int:
        for line in text.splitlines():
            word = line.strip()
            if (word.startswith("https://") and "authorize" in word) or "/auth?" in word:
                person.browse(self.sandbox, word, self.user)
            elif len(word) == 9 and word[4] == "-":
                person.type_code(self.sandbox, word, self.user)
        return super().write(text)


@pytest.mark.parametrize(("provider", "user"), [("gmail", ANA), ("outlook", BRUNO)])
def test_the_command_line_connects_remembers_and_shows_no_secret(
    sandbox: Sandbox, signins: consent.SignIns, provider: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, settings = profile().make(), Settings()
    settings.mailboxes[provider] = person.settings(sandbox, provider)
    terminal = Person(sandbox, user)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert console.connect(place, settings, options(provider=provider, name=provider)) == provider
    assert f"Signed in as {user}" in terminal.getvalue()
    kept = load(place)
    assert (kept.mailboxes[provider].address, kept.token_store) == (user, "file")
    secrets = [secret for secret in canaries(sandbox, signins) if not secret.startswith("4/")]
    assert found_in(place.config_dir.parent, secrets) == [f"data/sessions/{provider}.json"]
    assert [secret for secret in secrets if secret in terminal.getvalue()] == []


def test_over_ssh_the_command_line_takes_the_pasted_address(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    place, settings = profile().make(), Settings()
    settings.mailboxes["work"] = person.settings(sandbox, "gmail")
    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reader))

    class Far(Person):
        def write(self, text: str) -> int:
            for word in text.split():
                if "/auth?" in word:
                    os.write(writer, b"https://nothing.example/\n")
                    os.write(writer, person.browse(sandbox, word, ANA, follow=False).encode() + b"\n")
            return io.StringIO.write(self, text)

    terminal = Far(sandbox, ANA)
    monkeypatch.setattr(sys, "stderr", terminal)
    try:
        assert console.connect(place, settings, options(name="work", paste=True)) == "work"
    finally:
        os.close(writer)
    assert "holds no answer" in terminal.getvalue()


def test_a_mailbox_connected_twice_stays_one(sandbox: Sandbox) -> None:
    place, settings = profile().make(), Settings(token_store="file")
    settings.mailboxes["mine"] = person.settings(sandbox, "gmail", ANA)
    guide = connect.ProfileGuide(place, settings)
    assert person.answer(sandbox, guide.begin(Wish("gmail")), ANA) == Done(ANA, "file", "mine")
    assert list(load(place).mailboxes) == ["mine"]
    second = person.answer(sandbox, guide.begin(Wish("gmail")), "eva@lumen.example")
    assert second == Done("eva@lumen.example", "file", "gmail")
    assert sorted(load(place).mailboxes) == ["gmail", "mine"]


def test_no_keyring_and_nobody_to_ask_is_an_error_before_any_browser_opens(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backends import fail

    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    place, settings = profile().make(), Settings()
    settings.mailboxes["work"] = person.settings(sandbox, "gmail")
    with pytest.raises(SignInError) as raised:
        console.connect(place, settings, options(name="work", token_store=""))
    assert raised.value.code == "no_keyring"
    assert sandbox.ledger.requests == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/favicon.ico", {}, 404),
        ("/", {}, 404),
        ("/?state=STATE&code=1", {"Host": "evil.example"}, 403),
        ("/elsewhere?state=STATE&code=1", {}, 404),
        ("/?state=wrong&code=1", {}, 400),
    ],
    ids=["icon", "empty", "another host", "another path", "another state"],
)
def test_the_listener_refuses_what_is_not_the_answer_and_goes_on_listening(
    path: str, headers: dict[str, str], status: int
) -> None:
    from crmmail.auth.loopback import Listener

    received: list[dict[str, str]] = []

    def take(fields: dict[str, str]) -> bool:
        received.append(fields)
        return fields.get("state") == "STATE"

    with Listener(take) as listener:
        base = f"http://127.0.0.1:{listener.port}"
        assert httpx.get(base + path, headers=headers).status_code == status
        good = httpx.get(base + "/?state=STATE&code=2")
        assert good.status_code == 200
        assert good.headers["Referrer-Policy"] == "no-referrer"
        assert httpx.get(base + "/?state=STATE&code=3").status_code == 400
    assert received[-1] == {"state": "STATE", "code": "2"}


def test_a_plan_of_the_sandbox_is_used_once(signins: consent.SignIns) -> None:
    signins.plan(Answer("decline"))
    assert signins.next_answer("gmail").decision == "decline"
    assert signins.next_answer("gmail").decision == "ask"

"""Connecting a CRM: tried before anything is kept, its secret where sessions lie, a sentence for what does not work."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.traceback import Traceback

from crmmail import config, crms
from crmmail.cli import main
from crmmail.config import Profile, Settings, profile
from crmmail.crm.connection import CrmWish
from crmmail.errors import AuthRequired, CrmMailError, SettingsError, SignInError
from crmmail.sandbox import sharpspring
from tests.remotes.crm_world import SharpSpringWorld


@pytest.fixture
def world() -> Iterator[SharpSpringWorld]:
    made = SharpSpringWorld()
    yield made
    made.close()


@pytest.fixture
def place() -> Profile:
    return profile().make()


def wish(world: SharpSpringWorld, **changes: str) -> CrmWish:
    account, secret = world.keys
    answers = {"user": account, "url": f"{world.sandbox.http_url}{sharpspring.PATH}", **changes}
    return CrmWish("sharpspring", answers, answers.pop("secret", secret), "file")


def connected(world: SharpSpringWorld, place: Profile) -> Settings:
    settings = config.load(place)
    crms.ProfileCrmGuide(place, settings).connect(wish(world))
    return settings


def files(place: Profile) -> dict[str, bytes]:
    root = place.data_dir.parent
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_good_keys_are_kept_and_used_from_then_on(world: SharpSpringWorld, place: Profile) -> None:
    done = crms.ProfileCrmGuide(place, config.load(place)).connect(wish(world))
    assert (done.name, done.who, done.place) == ("sharpspring", "Ana Souza", "file")
    settings = config.load(place)
    assert (settings.crm.kind, settings.crm.user) == ("sharpspring", world.keys[0])
    crm = crms.connector(place, settings)()
    assert crm.check() == "Ana Souza"
    crm.close()


def test_the_secret_lies_in_the_private_file_and_nowhere_else(
    world: SharpSpringWorld, place: Profile, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = connected(world, place)
    crm = crms.connector(place, settings)()
    crm.check()
    crm.close()
    secret = world.keys[1].encode()
    assert [name for name, content in files(place).items() if secret in content] == [
        "data/sessions/crm.sharpspring.json"
    ]
    assert (place.data_dir / "sessions" / "crm.sharpspring.json").stat().st_mode & 0o077 == 0
    said = capfd.readouterr()
    everywhere = [caplog.text, said.out, said.err, " ".join(sys.argv), " ".join(os.environ.values()), repr(settings)]
    assert [text for text in everywhere if world.keys[1] in text] == []


@pytest.mark.parametrize("kind", ["", "reset_after", "bad_json"])
def test_no_traceback_shows_the_secret_even_with_its_locals(world: SharpSpringWorld, place: Profile, kind: str) -> None:
    settings = connected(world, place)
    if kind:
        world.fault(kind)
    else:
        world.revoke()
    screen = io.StringIO()
    try:
        crms.connector(place, settings)().check()
    except CrmMailError as error:
        parts = type(error), error, error.__traceback__
        trace = Traceback.from_exception(*parts, show_locals=True, locals_max_string=400)
        Console(file=screen, width=300).print(trace)
        screen.write("".join(traceback.format_exception(error)))
    assert "sharpspring.py" in screen.getvalue()
    assert world.keys[1] not in screen.getvalue()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"secret": "wrong"}, AuthRequired, "does not accept these keys"),
        ({"user": "nobody"}, AuthRequired, "does not accept these keys"),
        ({"user": ""}, SettingsError, "“Account ID” is missing."),
        ({"url": "http://crm.example/pubapi/v1.2/"}, SettingsError, "not protected"),
        ({"url": "http://127.0.0.1:9/"}, CrmMailError, "cannot be reached"),
    ],
)
def test_what_does_not_work_is_said_and_nothing_is_kept(
    world: SharpSpringWorld, place: Profile, changes: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        crms.ProfileCrmGuide(place, config.load(place)).connect(wish(world, **changes))
    assert words in str(raised.value)
    assert files(place) == {}


def test_a_crm_that_answers_200_with_an_error_inside_is_not_connected(world: SharpSpringWorld, place: Profile) -> None:
    body = {"result": None, "error": {"code": 105, "message": "User authentication failed.", "data": []}}
    world.fault("status", status=200, body=body)
    with pytest.raises(AuthRequired):
        crms.ProfileCrmGuide(place, config.load(place)).connect(wish(world))
    assert files(place) == {}


def test_new_keys_replace_the_old_ones_and_bad_ones_do_not(world: SharpSpringWorld, place: Profile) -> None:
    settings = connected(world, place)
    before = files(place)
    with pytest.raises(AuthRequired):
        crms.ProfileCrmGuide(place, settings).connect(wish(world, secret="wrong"))
    assert files(place) == before
    world.company.secret_key = "NEWKEY"
    crms.ProfileCrmGuide(place, settings).connect(wish(world))
    crm = crms.connector(place, settings)()
    assert crm.check()
    crm.close()


def test_what_was_cancelled_while_the_crm_was_asked_is_not_kept(world: SharpSpringWorld, place: Profile) -> None:
    with pytest.raises(SignInError):
        crms.ProfileCrmGuide(place, config.load(place)).connect(wish(world), lambda: False)
    assert files(place) == {}


def test_there_is_one_crm_at_a_time(world: SharpSpringWorld, place: Profile) -> None:
    settings = connected(world, place)
    with pytest.raises(SettingsError) as refused:
        crms.ProfileCrmGuide(place, settings).connect(CrmWish("bcc", {"address": "a@bcc.example"}))
    assert "crmmail crm disconnect" in refused.value.next_step


def test_disconnecting_forgets_the_secret(world: SharpSpringWorld, place: Profile) -> None:
    settings = connected(world, place)
    assert crms.disconnect(place, settings) == "sharpspring"
    assert config.load(place).crm.kind == ""
    assert not any(world.keys[1].encode() in content for content in files(place).values())
    with pytest.raises(SettingsError):
        crms.disconnect(place, settings)


def test_a_dropbox_address_needs_no_secret(place: Profile) -> None:
    done = crms.ProfileCrmGuide(place, config.load(place)).connect(CrmWish("bcc", {"address": "1@bcc.crm.example"}))
    assert (done.who, done.place) == ("1@bcc.crm.example", "")
    crm = crms.connector(place, config.load(place))()
    assert crm.check() == "1@bcc.crm.example"


def test_this_computer_needs_nothing_and_makes_room_for_another_crm(world: SharpSpringWorld, place: Profile) -> None:
    settings = config.load(place)
    done = crms.ProfileCrmGuide(place, settings).connect(CrmWish("local"))
    assert (done.name, done.place) == ("local", "")
    assert crms.connector(place, config.load(place))().check() == done.who
    crms.ProfileCrmGuide(place, settings).connect(wish(world))
    assert config.load(place).crm.kind == "sharpspring"


def test_keys_that_were_taken_away_from_this_computer_are_asked_for(world: SharpSpringWorld, place: Profile) -> None:
    settings = connected(world, place)
    (place.data_dir / "sessions" / "crm.sharpspring.json").unlink()
    with pytest.raises(AuthRequired) as asked:
        crms.connector(place, settings)()
    assert "crmmail crm connect" in asked.value.next_step


# The shell


def shell(monkeypatch: pytest.MonkeyPatch, *arguments: str, given: str = "") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    return main(list(arguments))


def connect(world: SharpSpringWorld) -> tuple[str, ...]:
    url = f"{world.sandbox.http_url}{sharpspring.PATH}"
    return "crm", "connect", "sharpspring", "--user", world.keys[0], "--url", url, "--token-store", "file", "--json"


def test_the_shell_reads_the_secret_from_its_input(
    world: SharpSpringWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell(monkeypatch, *connect(world), given=f"{world.keys[1]}\n") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"crm": "sharpspring", "as": "Ana Souza", "kept_in": "file"}
    assert world.keys[1] not in told.out + told.err


def test_the_shell_takes_no_secret_as_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["crm", "connect", "--help"])
    assert "--secret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "code", "words"), [("wrong\n", 5, "does not accept these keys"), ("", 2, "“Secret key” is missing.")]
)
def test_the_shell_says_what_is_wrong(
    world: SharpSpringWorld,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: str,
    code: int,
    words: str,
) -> None:
    assert shell(monkeypatch, *connect(world), given=given) == code
    assert words in capsys.readouterr().err


def test_the_shell_tells_how_the_crm_stands_and_forgets_it(
    world: SharpSpringWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell(monkeypatch, "crm", "status", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"crm": None}
    shell(monkeypatch, *connect(world), given=world.keys[1])
    capsys.readouterr()
    assert shell(monkeypatch, "crm", "status", "--json", "--check") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["crm"], told["accounts"], told["waiting"], told["works"], told["as"]) == (
        "sharpspring",
        0,
        0,
        True,
        "Ana Souza",
    )
    world.revoke()
    assert shell(monkeypatch, "crm", "status", "--json", "--check") == 1
    assert "does not accept these keys" in json.loads(capsys.readouterr().out)["sentence"]
    assert shell(monkeypatch, "crm", "disconnect", "--json") == 0
    assert Path(profile().data_dir / "sessions" / "crm.sharpspring.json").exists() is False


def test_a_dry_run_in_the_shell_asks_the_crm_and_keeps_nothing(
    world: SharpSpringWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Profile
) -> None:
    assert shell(monkeypatch, *connect(world), "--dry-run", given="wrong") == 5
    capsys.readouterr()
    before = files(place)
    assert shell(monkeypatch, *connect(world), "--dry-run", given=world.keys[1]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"crm": "sharpspring", "as": "Ana Souza", "kept_in": None, "dry_run": True}
    assert files(place) == before
    assert shell(monkeypatch, "crm", "disconnect", "--dry-run") == 2
    assert "No CRM is connected" in capsys.readouterr().err
    shell(monkeypatch, *connect(world), given=world.keys[1])
    capsys.readouterr()
    assert shell(monkeypatch, "crm", "disconnect", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"forgotten": "sharpspring", "dry_run": True}
    assert config.load(place).crm.kind == "sharpspring"
    assert Path(profile().data_dir / "sessions" / "crm.sharpspring.json").exists()


def test_the_shell_counts_no_mirrored_accounts_where_nothing_is_mirrored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell(monkeypatch, "crm", "connect", "local") == 0
    capsys.readouterr()
    assert shell(monkeypatch, "crm", "status", "--json", "--check") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["crm"], told["waiting"], told["works"]) == ("local", 0, True)
    assert not {"accounts", "contacts", "filled"} & told.keys()


def test_a_round_of_the_shell_mirrors_and_says_how_it_ended(world: SharpSpringWorld, place: Profile) -> None:
    from crmmail import shell_crm
    from crmmail.store import Store

    settings = connected(world, place)
    world.company.fill(3, 7)
    with Store.open(place.data_dir) as store:
        (told,) = shell_crm.sync_once(store, place, settings)
        assert (told["id"], told["state"]) == ("crm.sharpspring", "synced")
        assert [len(kind) for kind in store.mirrored("sharpspring")] == [3, 7]
        world.revoke()
        (told,) = shell_crm.sync_once(store, place, settings)
        assert told["state"] == "sign_in" and "does not accept these keys" in told["sentence"]
        settings.crm.paused = True
        assert shell_crm.sync_once(store, place, settings) == []

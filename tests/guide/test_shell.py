"""`crmmail connect imap`, `connect gmail --app-password` and `doctor`, against real servers, in a shell."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crmmail import config, mailboxes
from crmmail.cli import main
from crmmail.sandbox import consent, person
from crmmail.sandbox.server import Sandbox, User
from tests.guide.conftest import ANA, APP_PASSWORD, GMAIL, PASSWORD, Servers
from tests.mailservers.dovecot import free_port

Run = Callable[..., tuple[int, str, str]]
EVA, RUI = "eva@lumen.example", "rui@contoso.example"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def _secrets_in_a_file(place: config.Profile) -> None:
    with config.update(place) as settings:
        settings.token_store = "file"
        settings.look_up = False


def named(servers: Servers, **other: str) -> list[str]:
    """The options that connect to the servers of the test."""
    options = {
        "address": ANA,
        "imap-host": "127.0.0.1",
        "imap-port": str(servers.dovecot.imaps_port),
        "smtp-host": "127.0.0.1",
        "smtp-port": str(servers.sink.port),
        "user": ANA,
        "ca-file": servers.ca_file,
    } | {name.replace("_", "-"): value for name, value in other.items()}
    return [text for name, value in options.items() if value for text in (f"--{name}", value)]


def test_a_mailbox_is_connected_after_every_step_went_well(run: Run, place, servers: Servers) -> None:
    code, out, err = run("connect", "imap", *named(servers), "--password-stdin", typed=PASSWORD + "\n")
    assert (code, out) == (0, "cliente\n")
    for said in ("IMAP: User name and password", "IMAP: The folders", "SMTP: Mail can be sent"):
        assert said in err
    assert PASSWORD not in err
    assert config.load(place).mailboxes["cliente"].imap_port == servers.dovecot.imaps_port


def test_starttls_is_named_for_both_and_ports_follow(run: Run, place, servers: Servers) -> None:
    ports = {"imap_port": str(servers.dovecot.imap_port), "smtp_port": str(servers.dovecot.submission_port)}
    code, _out, err = run("connect", "imap", *named(servers, **ports), "--starttls", "--password-stdin", typed=PASSWORD)
    assert code == 0, err
    box = config.load(place).mailboxes["cliente"]
    assert (box.imap_security, box.smtp_security) == ("starttls", "starttls")


@pytest.mark.parametrize(
    ("change", "password", "code", "said"),
    [
        ({}, "wrong", 5, "refused the name or the password"),
        ({"imap_port": "closed"}, PASSWORD, 6, "does not accept connections"),
        ({"ca_file": ""}, PASSWORD, 6, "SHA-256 fingerprint"),
        ({"imap_host": "no-such-host.invalid"}, PASSWORD, 6, "is not known"),
        ({"ca_file": "/no/such/file.pem"}, PASSWORD, 2, "certificate file"),
        ({"address": "ana"}, PASSWORD, 2, "no domain"),
        ({"name": "two words"}, PASSWORD, 2, "short name"),
        ({"imap_host": "", "smtp_host": ""}, PASSWORD, 2, "Name the servers"),
        ({}, "", 2, "held no password"),
    ],
    ids=["password", "port", "certificate", "name", "file", "address", "short name", "unknown", "empty"],
)
def test_what_does_not_work_is_said_and_nothing_is_saved(
    run: Run, place, servers: Servers, change: dict[str, str], password: str, code: int, said: str
) -> None:
    change = {name: str(free_port()) if value == "closed" else value for name, value in change.items()}
    got, out, err = run("connect", "imap", *named(servers, **change), "--password-stdin", typed=password)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert config.load(place).mailboxes == {}
    assert list(place.data_dir.rglob("*.json")) == []


def test_gmail_with_an_app_password_strips_the_spaces_google_shows(
    run: Run, place, servers: Servers, tmp_path: Path
) -> None:
    own = tmp_path / "providers.toml"
    imap, smtp = servers.dovecot.imaps_port, servers.sink.port
    own.write_text(
        f'[google]\nname = "Gmail"\ndomains = ["gmail.com"]\nimap = ["127.0.0.1", {imap}, "tls"]\n'
        f'smtp = ["127.0.0.1", {smtp}, "tls"]\nca_file = "{servers.ca_file}"\n',
        encoding="utf-8",
    )
    with config.update(place) as settings:
        settings.providers_file = str(own)
    spaced = " ".join(APP_PASSWORD[start : start + 4] for start in range(0, 16, 4))
    arguments = ("connect", "gmail", "--app-password", "--address", GMAIL, "--password-stdin")
    code, out, err = run(*arguments, typed=spaced + "\n")
    assert (code, out) == (0, "lumen\n"), err
    assert mailboxes.session(place, config.load(place), "lumen").login().secret("") == APP_PASSWORD  # type: ignore[union-attr]


def test_a_file_of_providers_that_cannot_be_used_is_named(run: Run, place) -> None:
    with config.update(place) as settings:
        settings.providers_file = "/no/such/providers.toml"
    code, _out, err = run("connect", "imap", "--address", ANA, "--password-stdin", typed="x")
    assert code == 2
    assert "/no/such/providers.toml" in err


def test_connecting_the_same_mailbox_again_keeps_its_name(run: Run, place, servers: Servers) -> None:
    for _count in range(2):
        assert run("connect", "imap", *named(servers), "--password-stdin", typed=PASSWORD)[0] == 0
    assert list(config.load(place).mailboxes) == ["cliente"]


def test_a_password_for_microsoft_is_refused_with_the_way_that_works(run: Run) -> None:
    code, _out, err = run("connect", "imap", "--address", "bruno@outlook.com", "--password-stdin", typed="x")
    assert code == 2
    assert "crmmail connect outlook" in err


# doctor


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([User(EVA), User(RUI, "outlook")]) as running:
        consent.of(running).interval = 0
        yield running


@pytest.fixture
def three(place, run: Run, servers: Servers, sandbox: Sandbox) -> config.Profile:
    """A mailbox of each kind, all of them well."""
    with config.update(place) as settings:
        settings.mailboxes["google"] = person.settings(sandbox, "gmail", EVA)
        settings.mailboxes["corp"] = person.settings(sandbox, "outlook", RUI)
    settings = config.load(place)
    for name in ("google", "corp"):
        box = settings.mailboxes[name]
        person.sign_in(sandbox, name, box, mailboxes.tokens(place, settings), box.address)
    assert run("connect", "imap", *named(servers), "--password-stdin", typed=PASSWORD)[0] == 0
    return place


def doctor(run: Run, *arguments: str) -> tuple[int, dict[str, dict]]:  # type: ignore[type-arg]
    code, out, err = run("doctor", "--json", *arguments)
    assert "Traceback" not in err
    return code, {report["id"]: report for report in json.loads(out)}


def test_the_doctor_finds_three_kinds_of_mailboxes_well(run: Run, three) -> None:
    code, reports = doctor(run)
    assert code == 0
    assert {name: report["ok"] for name, report in reports.items()} == {"google": True, "corp": True, "cliente": True}
    assert [check["part"] for check in reports["google"]["checks"]] == ["session", "access"]
    assert "a private file" in reports["corp"]["checks"][0]["sentence"]
    assert "less than an hour ago" in reports["corp"]["checks"][0]["sentence"]
    assert [(check["server"], check["part"]) for check in reports["cliente"]["checks"]][1:3] == [
        ("imap", "name"),
        ("imap", "port"),
    ]


def test_the_doctor_says_what_is_to_be_mended_each_for_itself(run: Run, three, sandbox: Sandbox) -> None:
    mailboxes.tokens(three, config.load(three)).forget("corp")
    with config.update(three) as settings:
        box = settings.mailboxes["cliente"]
        settings.mailboxes["cliente"] = dataclasses.replace(box, imap_port=free_port())
    code, reports = doctor(run)
    assert code == 5
    assert [name for name, report in reports.items() if report["ok"]] == ["google"]
    assert "Sign in" in reports["corp"]["checks"][-1]["next_step"]
    assert [check["part"] for check in reports["cliente"]["checks"] if not check["ok"]] == ["port"]
    assert doctor(run, "--mailbox", "cliente")[0] == 6
    assert doctor(run, "--mailbox", "google")[0] == 0
    code, out, _err = run("doctor")
    assert code == 5
    assert out.count("✗") == 2
    assert "corp\toutlook\trui@contoso.example\tto mend" in out


def test_a_session_that_was_revoked_is_found_by_asking(run: Run, three, sandbox: Sandbox) -> None:
    consent.of(sandbox).revoke(EVA)
    sandbox.grants.revoke_all(EVA)
    code, reports = doctor(run, "--mailbox", "google")
    assert code == 5
    assert reports["google"]["checks"][-1]["part"] in ("access", "session")


def test_the_doctor_tells_no_secret(run: Run, three) -> None:
    _code, out, err = run("doctor")
    secrets = [PASSWORD]
    for path in three.data_dir.rglob("sessions/*.json"):
        held = json.loads(path.read_text(encoding="utf-8"))["session"]
        secrets += [held[key] for key in ("access_token", "refresh_token", "password") if held.get(key)]
    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret in out + err] == []


def test_without_a_mailbox_or_with_an_unknown_one_it_says_so(run: Run) -> None:
    assert run("doctor")[0] == 1
    code, _out, err = run("doctor", "--mailbox", "nope")
    assert code == 2
    assert "nope" in err


def test_the_password_is_in_no_argument_environment_log_or_file_but_its_own(place, servers: Servers) -> None:
    canary = PASSWORD
    command = [sys.executable, "-m", "crmmail", "connect", "imap", *named(servers), "--password-stdin"]
    done = subprocess.run(command, input=canary, capture_output=True, text=True, check=True, env={**os.environ})
    assert canary not in done.stdout + done.stderr
    found = [
        path
        for path in Path(os.environ["CRMMAIL_HOME"]).rglob("*")
        if path.is_file()
        and any(form in path.read_bytes() for form in (canary.encode(), json.dumps(canary)[1:-1].encode()))
    ]
    assert [path.parent.name for path in found] == ["sessions"]
    assert found[0].stat().st_mode & 0o777 == 0o600


# sync, until it is interrupted


def subjects(run: Run) -> list[str]:
    code, out, err = run("list", "--json", "--limit", "500")
    assert code == 0, err
    return [row["subject"] for row in json.loads(out)]


def comes(run: Run, subject: str, process: subprocess.Popen[str]) -> None:
    """The message is listed, while the process goes on."""
    deadline = time.monotonic() + 20
    while subject not in subjects(run):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{subject} did not come"
        time.sleep(0.05)


@contextmanager
def syncing() -> Iterator[subprocess.Popen[str]]:
    """`crmmail sync`, which would go on for ever."""
    command = [sys.executable, "-m", "crmmail", "sync", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def connected(place: config.Profile, process: subprocess.Popen[str]) -> None:
    """It holds the profile, which a reader would take from it for a moment while it starts, and asks the server."""
    deadline = time.monotonic() + 20
    while not list(place.data_dir.parent.rglob("*imap*.db")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, [path.name for path in place.data_dir.parent.rglob("*")]
        time.sleep(0.05)


def deliver(servers: Servers, subject: str) -> None:
    head = f"From: Bia <bia@cliente.test>\r\nTo: {ANA}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n"
    servers.dovecot.drop(ANA, [(f"{head}\r\nOi\r\n".encode(), "")])


def test_sync_goes_on_and_shows_new_mail_until_it_is_interrupted(run: Run, place, servers: Servers) -> None:
    assert run("connect", "imap", *named(servers), "--password-stdin", typed=PASSWORD)[0] == 0
    with syncing() as process:
        connected(place, process)
        for subject in ("there-before", "came-meanwhile", "came-later"):
            deliver(servers, subject)
            comes(run, subject, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert err == ""
    (told,) = json.loads(out)
    assert (process.returncode, told["id"]) == (0, "cliente"), told
    assert told["state"] in ("synced", "syncing"), told  # it may have been interrupted in the middle of a look
    assert run("sync", "--once")[0] == 0  # the profile is free again

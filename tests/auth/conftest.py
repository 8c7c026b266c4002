"""What the sign-in tests stand on: a sandbox with one user of each provider, and a token store in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings
from crmmail.sandbox import consent, person
from crmmail.sandbox.server import Sandbox, User

ANA, BRUNO = "ana@lumen.example", "bruno@contoso.example"


@pytest.fixture(autouse=True)
def _nobody_waits_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that never comes back fails a test instead of holding it up."""
    monkeypatch.setattr("crmmail.auth.flow.BROWSER_SECONDS", 20.0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([User(ANA), User("eva@lumen.example"), User(BRUNO, "outlook")]) as running:
        consent.of(running).interval = 0
        yield running


@pytest.fixture
def signins(sandbox: Sandbox) -> consent.SignIns:
    return consent.of(sandbox)


@pytest.fixture
def gmail(sandbox: Sandbox) -> MailboxSettings:
    return person.settings(sandbox, "gmail")


@pytest.fixture
def outlook(sandbox: Sandbox) -> MailboxSettings:
    return person.settings(sandbox, "outlook")


@pytest.fixture
def tokens(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "profile", allow_file=True, use_keyring=False)

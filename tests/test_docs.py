"""What the documents say is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crmmail import cli, config
from crmmail.tui import commands

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_page_of_keys_is_fresh() -> None:
    """After a change of keys: `crmmail keys --lang en > docs/keys.md`."""
    assert (ROOT / "docs" / "keys.md").read_text(encoding="utf-8") == commands.keys_table("en") + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_command_of_the_shell_is_documented() -> None:
    text = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    commands = next(action for action in cli.build_parser()._actions if action.dest == "command").choices or {}
    assert [name for name in commands if not re.search(rf"\b{name}\b", text)] == []


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    assert [name for name in config.Settings.__dataclass_fields__ if name not in text] == []
    crm = (ROOT / "docs" / "crm.md").read_text(encoding="utf-8")
    assert [name for name in config.CrmSettings.__dataclass_fields__ if f"`{name}`" not in crm] == []
    connecting = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")
    plain = {"provider", "address", "name", "color", "paused", "quota_per_second"}
    fields = set(config.MailboxSettings.__dataclass_fields__) - plain
    assert sorted(name for name in fields if name not in connecting) == []


def test_the_two_commands_of_the_readme_stand_as_promised() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python3 -m venv .venv && .venv/bin/pip install '.[demo]' && .venv/bin/crmmail demo" in text
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in text

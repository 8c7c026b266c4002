"""Whatever a server calls its folders, in five languages: the screens are the same, letter by letter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crmmail import i18n
from crmmail.model import Mailbox, Phase, Role, Status
from tests.faults.imap_home import NAME, Home
from tests.remotes.imap_world import Empty
from tests.remotes.test_imap_roles import GMAIL, OTHERS
from tests.tui.conftest import NOW, app_on, shown, until

FILLING = (1, 2, 2, 1, 3, 1)  # drafts, sent, trash, spam; then archive, or Gmail's two views
TREES = {
    "gmail": {language: [f"[Gmail]/{name}" for name in names] for language, names in GMAIL.items()},
    "own": {language: list(OTHERS[f"outlook-{language}"]) for language in GMAIL},
}
THEIRS = ("Papierkorb", "Corbeille", "Papelera", "Entw", "Brouillons", "Borradores", "Gesendet", "Elementos")
ROLES = [Role.INBOX, Role.DRAFTS, Role.SENT, Role.TRASH, Role.SPAM]

Opener = Callable[[list[str]], Home]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Fills a real server's folders of these names, and fetches them all."""
    with ExitStack() as stack:

        def fetch(names: list[str]) -> Home:
            world = stack.enter_context(Empty())
            world.add(4, unread=True)
            for name, count in zip((*names, "Clientes"), (*FILLING[: len(names)], 2), strict=True):
                world.new_folder(name)
                world.add(count, folder=name)
            home = Home(world, tmp_path / world.address)
            stack.callback(home.close)
            home.settle()
            capabilities = home.remote.capabilities
            home.store.register(Mailbox(NAME, "imap", "me@own.example", "Work", capabilities=capabilities))
            home.store.say(Status(NAME, Phase.SYNCED, at=NOW))
            return home

        yield fetch


def screens(home: Home, language: str) -> dict[str, str]:
    """The whole screen, folder by folder."""
    i18n.use(language)
    seen: dict[str, str] = {}

    async def run() -> None:
        app = app_on(home.store, language=language)
        async with app.run_test(size=(120, 40)) as pilot:
            for folder in home.store.folders(NAME):
                app.main.show_folder(NAME, folder.key)
                await until(pilot, lambda key=folder.key: app.main.messages.query_shown.folder == key)  # type: ignore[misc]
                await pilot.pause()
                seen[folder.key] = shown(app)

    asyncio.run(run())
    return seen


@pytest.mark.parametrize("kind", TREES)
def test_a_server_in_any_of_five_languages_shows_the_very_same_screens(opened: Opener, kind: str) -> None:
    trees = TREES[kind]
    homes = {language: opened(names) for language, names in trees.items()}
    for interface, words in (("en", ("Inbox", "Trash", "Sent")), ("pt_BR", ("Entrada", "Lixeira", "Enviad"))):
        told = {language: screens(home, interface) for language, home in homes.items()}
        for language, seen in told.items():
            assert seen == told["en"], f"{kind} {language} in {interface}"
        first = told["en"]
        assert set(first) >= {role.value for role in ROLES} | {"x:Clientes"}
        for text in first.values():
            assert all(word in text for word in (*words, "Clientes"))
            assert not any(name in text for name in THEIRS)
        assert len(set(first.values())) == len(first)


def test_gmail_in_portuguese_shows_its_starred_view_as_no_folder_and_each_message_once(opened: Opener) -> None:
    home = opened(TREES["gmail"]["pt"])
    wire = {folder.remote_id: folder.role for folder in home.store.folders(NAME) if folder.remote_id}
    assert wire["[Gmail]/Lixeira"] is Role.TRASH
    assert "[Gmail]/Com estrela" not in wire
    seen = screens(home, "en")
    assert "Com estrela" not in "".join(seen.values())
    assert "Favorites" in seen["inbox"]

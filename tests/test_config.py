"""Settings survive being written, keep the user's comments, and say in a sentence what is wrong with them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crmmail import config
from crmmail.errors import SettingsError


@pytest.fixture
def place() -> config.Profile:
    return config.profile().make()


def test_what_was_changed_is_read_back(place: config.Profile) -> None:
    with config.update(place) as settings:
        settings.theme = "nord"
        settings.keys["trash"] = "t"
        settings.mailboxes["work"] = config.MailboxSettings(provider="outlook", address="a@b.example")
    again = config.load(place)
    assert (again.theme, again.keys, again.mailboxes["work"].address) == ("nord", {"trash": "t"}, "a@b.example")


def test_comments_of_the_user_stay(place: config.Profile) -> None:
    place.config_file.write_text('# mine\ntheme = "nord"  # dark\n')
    with config.update(place) as settings:
        settings.language = "pt_BR"
    text = place.config_file.read_text()
    assert "# mine" in text
    assert "# dark" in text
    assert config.load(place).language == "pt_BR"


def test_a_setting_back_at_its_default_leaves_the_file(place: config.Profile) -> None:
    with config.update(place) as settings:
        settings.theme = "nord"
    with config.update(place) as settings:
        settings.theme = "textual-dark"
    assert "theme" not in place.config_file.read_text()


def test_a_removed_mailbox_leaves_the_file(place: config.Profile) -> None:
    with config.update(place) as settings:
        settings.mailboxes = {name: config.MailboxSettings(provider="gmail") for name in ("a", "b")}
    with config.update(place) as settings:
        del settings.mailboxes["a"]
    assert list(config.load(place).mailboxes) == ["b"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("theme = 3", "theme"),
        ("them = 'x'", "them"),
        ("theme = = 3", "line 1"),
        ("[mailboxes.a]\nprovider = 'aol'", "mailboxes.a.provider"),
        ("[mailboxes.a]\nprovidr = 'gmail'", "mailboxes.a.providr"),
        ("mailboxes = 4", "mailboxes"),
        ("language = 'tlh'", "language"),
        ("poll_seconds = 1", "poll_seconds"),
        ("mark_read = 'soon'", "mark_read"),
        ("mouse = 1", "mouse"),
        ("key_preset = 'emacs'", "key_preset"),
        ("\xff\xfe", "config.toml"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(place: config.Profile, text: str, word: str) -> None:
    place.config_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        config.load(place)
    assert word in caught.value.sentence
    assert str(place.config_file) in caught.value.sentence
    assert caught.value.next_step


def test_a_bad_change_is_not_written(place: config.Profile) -> None:
    with config.update(place) as settings:
        settings.theme = "nord"
    with pytest.raises(ValueError), config.update(place) as settings:
        settings.poll_seconds = 0
    assert config.load(place).poll_seconds == 15


def test_files_and_folders_are_private_whatever_the_umask(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    old = os.umask(0)
    try:
        place = config.profile("other").make()
        with config.update(place) as settings:
            settings.theme = "nord"
    finally:
        os.umask(old)
    assert stat.S_IMODE(place.config_file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(one.stat().st_mode) for one in (place.config_dir, place.data_dir, place.state_dir)} == {0o700}


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 65])
def test_a_profile_name_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(SettingsError):
        config.profile(name)


def test_every_setting_is_documented() -> None:
    source = Path(config.__file__).read_text(encoding="utf-8").splitlines()
    fields = [
        number for number, line in enumerate(source) if line.startswith("    ") and ": " in line and " = " in line
    ]
    settings = [n for n in fields if source[n].split(":")[0].strip() in config.Settings.__dataclass_fields__]
    assert settings
    assert [source[n] for n in settings if not source[n + 1].strip().startswith('"""')] == []

"""What the settings of a mailbox promise is kept: names, signatures, order, pace and pauses."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmmail import config, mailboxes
from crmmail.config import MailboxSettings
from crmmail.errors import SettingsError
from crmmail.model import Address, Identity
from crmmail.store import Store
from crmmail.store.identities import overlaid


@pytest.fixture
def place() -> config.Profile:
    place = config.profile().make()
    with config.update(place) as settings:
        settings.mailboxes["work"] = MailboxSettings("gmail", "ana@cliente.example")
        settings.mailboxes["home"] = MailboxSettings("imap", "ana@casa.example", imap_host="imap.casa.example")
    return place


def test_a_name_and_a_signature_of_the_users_stand_in_every_identity(place, tmp_path: Path) -> None:
    with config.update(place) as settings:
        settings.mailboxes["home"].sender_name = "Ana Souza"
        settings.mailboxes["home"].signature = "Ana\nCasa"
        settings.mailboxes["home"].identities = ["Vendas <vendas@casa.example>"]
    with Store.open(tmp_path) as store:
        mailboxes.register(store, config.load(place))
        assert store.identities("home") == [
            Identity("home", Address("Ana Souza", "ana@casa.example"), default=True, signature="Ana\nCasa"),
            Identity("home", Address("Vendas", "vendas@casa.example"), signature="Ana\nCasa"),
        ]
        store.set_identities("home", [Identity("home", Address("", "ana@casa.example"), default=True)])
        assert [one.address.name for one in store.identities("home")] == ["Ana Souza", "Vendas"]


def test_a_further_address_of_gmail_counts_as_unverified_until_gmail_tells_of_it(place, tmp_path: Path) -> None:
    with config.update(place) as settings:
        settings.mailboxes["work"].identities = ["vendas@cliente.example"]
    with Store.open(tmp_path) as store:
        mailboxes.register(store, config.load(place))
        assert [one.verified for one in store.identities("work")] == [True, False]
        told = [
            Identity("work", Address("", f"{name}@cliente.example"), default=name == "ana")
            for name in ("ana", "vendas")
        ]
        store.set_identities("work", told)
        assert [one.verified for one in store.identities("work")] == [True, True]


def test_taking_the_settings_back_leaves_what_the_server_told(place, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        settings = config.load(place)
        settings.mailboxes["work"].signature = "Ana"
        mailboxes.register(store, settings)
        store.set_identities(
            "work", [Identity("work", Address("A.", "ana@cliente.example"), default=True, signature="S")]
        )
        assert store.identities("work")[0].signature == "Ana"
        settings.mailboxes["work"].signature = ""
        mailboxes.register(store, settings)
        assert store.identities("work") == [
            Identity("work", Address("A.", "ana@cliente.example"), default=True, signature="S")
        ]


def test_an_address_is_the_same_in_any_case() -> None:
    told = [Identity("work", Address("", "Ana@cliente.example"), default=True)]
    own = [Identity("work", Address("Ana", "ana@CLIENTE.example"), default=True)]
    assert [one.address for one in overlaid(told, own)] == [Address("Ana", "Ana@cliente.example")]


@pytest.mark.parametrize("wrong", ["vendas", "a@b.example, c@d.example", ""])
def test_what_is_not_one_address_is_no_identity(place, wrong: str) -> None:
    with pytest.raises(ValueError, match="identities"), config.update(place) as settings:
        settings.mailboxes["work"].identities = [wrong]


@pytest.mark.parametrize("wrong", ["", "some", "0", "-1", "1.5", "9999"])
def test_what_is_no_amount_to_download_is_refused(place, wrong: str) -> None:
    with pytest.raises(ValueError, match="download"), config.update(place) as settings:
        settings.mailboxes["work"].download = wrong


@pytest.mark.parametrize(("download", "months"), [("all", None), ("headers", 0), ("12", 12)])
def test_how_much_to_download_reaches_the_sync(place, download: str, months: int | None) -> None:
    settings = config.load(place)
    settings.mailboxes["work"].download = download
    assert mailboxes.terms(settings)("work").months == months


def test_a_list_in_the_file_must_hold_texts(place) -> None:
    text = place.config_file.read_text(encoding="utf-8")
    place.config_file.write_text(
        text.replace('provider = "gmail"', 'provider = "gmail"\nidentities = [1]'), encoding="utf-8"
    )
    with pytest.raises(SettingsError, match="identities"):
        config.load(place)


def test_the_order_of_mailboxes_is_kept_in_the_file_with_its_comments(place) -> None:
    text = place.config_file.read_text(encoding="utf-8")
    place.config_file.write_text(text.replace("[mailboxes.work]", "[mailboxes.work]\n# mine"), encoding="utf-8")
    with config.update(place) as settings:
        settings.mailboxes = dict(reversed(settings.mailboxes.items()))
        settings.mailboxes["home"].identities = ["a@b.example"]
    assert list(config.load(place).mailboxes) == ["home", "work"]
    assert "# mine" in place.config_file.read_text(encoding="utf-8")
    assert [box.id for box in mailboxes.listed(config.load(place))] == ["home", "work"]


def test_how_often_to_ask_and_whether_at_all_are_read_when_a_mailbox_connects(place) -> None:
    settings = config.load(place)
    settings.poll_seconds, settings.poll_idle_seconds = 20, 100
    settings.mailboxes["home"].poll_seconds = 200
    terms = mailboxes.terms(settings)
    assert (terms("work").pace.shortest, terms("work").pace.longest) == (20.0, 100.0)
    assert (terms("home").pace.shortest, terms("home").pace.longest) == (200.0, 200.0)
    assert not terms("home").paused
    settings.mailboxes["home"].paused = True
    assert terms("home").paused

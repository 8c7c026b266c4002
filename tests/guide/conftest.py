"""Real servers for the guide: Dovecot and a place to send to, one set for all of its tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crmmail import config
from crmmail.store import Store
from tests.mailservers.dovecot import Dovecot
from tests.mailservers.sink import Sink

ANA, PASSWORD = "ana@cliente.example", "pão com queijo"
APP_PASSWORD = "abcdefghijklmnop"
GMAIL = "ana@lumen.example"


@dataclass(frozen=True, slots=True)
class Servers:
    """`dovecot` reads (TLS and STARTTLS) and submits by STARTTLS; `sink` takes mail with TLS from the first byte."""

    dovecot: Dovecot
    sink: Sink
    ca_file: str


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    users = {ANA: PASSWORD, GMAIL: APP_PASSWORD}
    authorities = tmp_path_factory.mktemp("ca") / "both.pem"
    with (
        Sink(mode="plain") as relay,
        Sink(mode="tls", users=users) as sink,
        Dovecot(users, relay_port=relay.port) as dovecot,
    ):
        authorities.write_bytes(Path(dovecot.ca_file).read_bytes() + Path(sink.ca_file).read_bytes())
        yield Servers(dovecot, sink, str(authorities))


@pytest.fixture
def place() -> config.Profile:
    return config.profile().make()


@pytest.fixture
def store(place: config.Profile) -> Iterator[Store]:
    opened = Store.open(place.data_dir)
    yield opened
    opened.close()

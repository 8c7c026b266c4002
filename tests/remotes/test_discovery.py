"""Finding out who keeps a domain's mail, against a DNS server and a web server on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.connecting import STARTTLS, TLS, Kind, Server, Source
from crmmail.remotes import discovery
from crmmail.remotes.discovery import Places, Refused, fetch, find
from tests.network import Pages, nameserver, pages
from tests.test_providers import ANA, CONFIG

CLOSED = "https://localhost:1/{domain}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Pages]:
    with pages(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def _the_public_pages_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "OWN_PAGES", ())
    monkeypatch.setattr(discovery, "LIST_PAGE", CLOSED)


def test_a_known_domain_asks_nobody() -> None:
    with nameserver({}) as dns:
        assert find("ana@gmail.com", Places(dns.place)).kind is Kind.GOOGLE
        assert dns.asked == []


@pytest.mark.parametrize(
    ("exchange", "kind"),
    [
        ("cliente-example.mail.protection.outlook.com.", Kind.MICROSOFT),
        ("aspmx.l.google.com.", Kind.GOOGLE),
        ("mx.core.locaweb.com.br.", Kind.IMAP),
    ],
)
def test_a_domain_of_ones_own_is_recognised_by_its_mail_exchanger(exchange: str, kind: Kind) -> None:
    zone = {("cliente.example", "MX"): [f"20 backup.cliente.example.", f"10 {exchange}"]}  # noqa: F541
    with nameserver(zone) as dns:
        found = find(ANA, Places(dns.place))
    assert (found.kind, found.source) == (kind, Source.MX)


def test_only_the_domain_is_told_to_anybody(web: Pages) -> None:
    web.pages["/cliente.example"] = (200, {}, CONFIG.encode())
    with nameserver({}) as dns:
        find(ANA, Places(dns.place, web.url + "/{domain}", web.ca_file))
        assert dns.asked
        assert all(name.endswith("cliente.example") for name, _kind in dns.asked)
    assert web.asked == [("/cliente.example", web.url.removeprefix("https://"))]
    assert "ana" not in repr(dns.asked) + repr(web.asked)


def test_srv_records_of_rfc_6186_are_followed() -> None:
    zone = {
        ("_imaps._tcp.cliente.example", "SRV"): ["0 1 993 mail.cliente.example."],
        ("_submission._tcp.cliente.example", "SRV"): ["0 1 587 out.cliente.example."],
    }
    with nameserver(zone) as dns:
        found = find(ANA, Places(dns.place))
    assert found.source is Source.SRV
    assert found.imap == Server("mail.cliente.example", 993, TLS)
    assert found.smtp == Server("out.cliente.example", 587, STARTTLS)


def test_an_autoconfig_page_is_read_over_verified_tls(web: Pages) -> None:
    web.pages["/cliente.example"] = (200, {}, CONFIG.encode())
    with nameserver({}) as dns:
        found = find(ANA, Places(dns.place, web.url + "/{domain}", web.ca_file))
        untrusted = find(ANA, Places(dns.place, web.url + "/{domain}"))
    assert (found.source, found.imap.host) == (Source.AUTOCONFIG, "imap.cliente.example")
    assert untrusted.kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1:1/x",
        "https://169.254.169.254/latest",
        "https://[::1]/x",
        "https://10.0.0.8/",
        "http://example.org/",
        "file:///etc/passwd",
        "",
    ],
)
def test_no_redirect_leads_into_a_private_network_or_off_https(web: Pages, location: str) -> None:
    web.pages["/x"] = (302, {"Location": location}, b"")
    with pytest.raises(Refused):
        fetch(web.url + "/x", web.ca_file, anywhere=True)
    assert len(web.asked) == 1


def test_a_page_nobody_named_is_not_fetched_from_a_private_address(web: Pages) -> None:
    with pytest.raises(Refused):
        fetch(web.url + "/cliente.example", web.ca_file)
    assert web.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False), ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False), ("fe80::1%eth0", False),
        ("fd00::1", False), ("::ffff:127.0.0.1", False), ("2002:7f00:1::", False),
    ],
)  # fmt: skip
def test_private_addresses_are_told_from_public_ones(address: str, public: bool) -> None:
    assert discovery.is_public(address) is public


@pytest.mark.parametrize(
    "page",
    [
        (200, {}, b"x" * 200_000),
        (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"),
        (500, {}, b""),
        (200, {}, b"<html>no</html>"),
    ],
    ids=["large", "packed", "error", "html"],
)
def test_an_answer_of_no_use_leads_to_the_question(web: Pages, page: tuple[int, dict[str, str], bytes]) -> None:
    web.pages["/cliente.example"] = page
    with nameserver({}) as dns:
        found = find(ANA, Places(dns.place, web.url + "/{domain}", web.ca_file))
    assert found.kind is Kind.UNKNOWN
    assert found.imap == Server("imap.cliente.example", 993, TLS)  # a guess, to be corrected


def test_a_network_that_does_not_answer_costs_seconds_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "DNS_SECONDS", 0.3)
    monkeypatch.setattr(discovery, "PAGE_SECONDS", 0.3)
    with nameserver({}, silent=True) as dns:
        started = time.monotonic()
        assert find(ANA, Places(dns.place, CLOSED)).kind is Kind.UNKNOWN
        assert time.monotonic() - started < 2.0


def test_garbage_from_the_dns_is_no_answer() -> None:
    zone = {("_imaps._tcp.cliente.example", "SRV"): ["0 1 993 127.0.0.1."], ("cliente.example", "MX"): ["0 ."]}
    with nameserver(zone) as dns:
        assert find(ANA, Places(dns.place, CLOSED)).kind is Kind.UNKNOWN

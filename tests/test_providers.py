"""Who keeps whose mail: by domain, by MX, by SRV, by autoconfig, and what is said of an address that is none."""

from __future__ import annotations

import pytest

from crmmail import providers
from crmmail.connecting import STARTTLS, TLS, Kind, Server, Source
from crmmail.errors import SettingsError
from crmmail.mail.addresses import domain_name
from crmmail.providers import Record

ANA = "ana@cliente.example"


@pytest.mark.parametrize(
    ("address", "kind", "name"),
    [
        ("ana@gmail.com", Kind.GOOGLE, "Gmail"),
        ("ana@hotmail.com.br", Kind.MICROSOFT, "Microsoft"),
        ("ana@uol.com.br", Kind.IMAP, "UOL"),
        ("ana@terra.com.br", Kind.IMAP, "Terra"),
        ("ana@icloud.com", Kind.IMAP, "iCloud"),
    ],
)
def test_a_providers_own_domain_is_enough(address: str, kind: Kind, name: str) -> None:
    found = providers.known(address)
    assert found is not None
    assert (found.kind, found.name, found.source) == (kind, name, Source.DOMAIN)


def test_a_domain_that_only_looks_like_one_is_not_taken_for_it() -> None:
    assert providers.known("ana@gmail.com.evil.example") is None
    assert providers.known("ana@notgmail.com") is None


def test_microsoft_offers_no_server_because_passwords_are_refused_there() -> None:
    found = providers.known("ana@outlook.com")
    assert found is not None
    assert not found.imap.host


@pytest.mark.parametrize(
    ("exchange", "kind", "name"),
    [
        ("aspmx.l.google.com.", Kind.GOOGLE, "Google Workspace"),
        ("smtp.google.com", Kind.GOOGLE, "Google Workspace"),
        ("cliente-example.mail.protection.outlook.com.", Kind.MICROSOFT, "Microsoft 365"),
        ("cliente-example.r-v1.mx.microsoft", Kind.MICROSOFT, "Microsoft 365"),
        ("MX.CORE.LOCAWEB.COM.BR", Kind.IMAP, "Locaweb"),
        ("mx1.hostinger.com", Kind.IMAP, "Hostinger"),
    ],
)
def test_the_mail_exchanger_tells_who_keeps_a_domain_of_ones_own(exchange: str, kind: Kind, name: str) -> None:
    found = providers.by_mx(ANA, [exchange])
    assert found is not None
    assert (found.kind, found.name, found.source, found.address) == (kind, name, Source.MX, ANA)


def test_an_exchanger_that_only_ends_alike_is_not_taken_for_it() -> None:
    assert providers.by_mx(ANA, ["mx.evilgoogle.com", "google.com.evil.example"]) is None


def test_the_best_exchanger_that_is_known_decides() -> None:
    found = providers.by_mx(ANA, ["mx.filter.example", "alt1.aspmx.l.google.com"])
    assert found is not None
    assert found.kind is Kind.GOOGLE


def test_srv_records_name_the_servers_and_the_one_with_tls_first() -> None:
    records = {
        "_imap._tcp": [Record(0, 0, "plain.cliente.example", 143)],
        "_imaps._tcp": [Record(10, 0, "second.cliente.example", 993), Record(5, 1, "mail.cliente.example.", 994)],
        "_submission._tcp": [Record(0, 0, "out.cliente.example", 587)],
    }
    found = providers.by_srv(ANA, records)
    assert found is not None
    assert found.imap == Server("mail.cliente.example", 994, TLS)
    assert found.smtp == Server("out.cliente.example", 587, STARTTLS)
    assert (found.user, found.source) == (ANA, Source.SRV)


@pytest.mark.parametrize(
    "record",
    [
        Record(0, 0, ".", 0),  # RFC 2782: not offered
        Record(0, 0, "127.0.0.1", 993),
        Record(0, 0, "[::1]", 993),
        Record(0, 0, "localhost", 993),
        Record(0, 0, "mail.example/../x", 993),
        Record(0, 0, "mail.cliente.example", 0),
        Record(0, 0, "mail.cliente.example", 70000),
    ],
)
def test_srv_records_that_name_no_server_count_for_nothing(record: Record) -> None:
    out = [Record(0, 0, "out.cliente.example", 465)]
    assert providers.by_srv(ANA, {"_imaps._tcp": [record], "_submissions._tcp": out}) is None


CONFIG = """<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="cliente.example">
  <domain>cliente.example</domain><displayName>Correio [b]Cliente[/b]\u202e</displayName>
  <incomingServer type="pop3">
    <hostname>pop.cliente.example</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
  <incomingServer type="imap">
    <hostname>mail.%EMAILDOMAIN%</hostname><port>143</port><socketType>STARTTLS</socketType>
    <username>%EMAILLOCALPART%</username></incomingServer>
  <incomingServer type="imap">
    <hostname>imap.cliente.example</hostname><port>993</port><socketType>SSL</socketType>
    <username>%EMAILLOCALPART%</username></incomingServer>
  <outgoingServer type="smtp">
    <hostname>smtp.cliente.example</hostname><port>25</port><socketType>plain</socketType></outgoingServer>
  <outgoingServer type="smtp">
    <hostname>smtp.cliente.example</hostname><port>587</port><socketType>STARTTLS</socketType></outgoingServer>
</emailProvider></clientConfig>"""


def test_an_autoconfig_file_gives_servers_and_user_and_never_one_in_the_clear() -> None:
    found = providers.by_autoconfig(ANA, CONFIG.encode())
    assert found is not None
    assert found.imap == Server("imap.cliente.example", 993, TLS)
    assert found.smtp == Server("smtp.cliente.example", 587, STARTTLS)
    assert (found.user, found.source) == ("ana", Source.AUTOCONFIG)
    assert "\u202e" not in found.name


def test_an_autoconfig_file_that_leads_to_google_or_microsoft_means_signing_in_there() -> None:
    for host, kind in (("imap.gmail.com", Kind.GOOGLE), ("outlook.office365.com", Kind.MICROSOFT)):
        found = providers.by_autoconfig(ANA, CONFIG.replace("imap.cliente.example", host).encode())
        assert found is not None
        assert found.kind is kind


def test_an_autoconfig_file_with_only_unencrypted_servers_is_of_no_use() -> None:
    plain = CONFIG.replace(">SSL<", ">plain<").replace(">STARTTLS<", ">plain<")
    assert providers.by_autoconfig(ANA, plain.encode()) is None


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
OUTSIDE = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><clientConfig><emailProvider/></clientConfig>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html><body>Not found</body></html>",
        b"\x00\xff" * 200,
        CONFIG.encode()[:300],
        BOMB.encode(),
        BOMB.encode("utf-16"),
        OUTSIDE.encode(),
        b"<a>" * 5000,
        b"<clientConfig><emailProvider>" + b"<x/>" * 5000 + b"</emailProvider></clientConfig>",
        b"<clientConfig>" + b" " * 100_000 + b"</clientConfig>",
        b'<?xml version="1.0" encoding="no-such"?><clientConfig/>',
    ],
    ids=["empty", "html", "bytes", "cut", "bomb", "bomb16", "outside", "deep", "wide", "large", "encoding"],
)
def test_garbage_and_hostile_files_are_refused(document: bytes) -> None:
    with pytest.raises(ValueError):
        providers.by_autoconfig(ANA, document)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ana", "no domain"),
        ("ana@", "no domain"),
        ("@cliente.example", "no name before"),
        ("ana@cliente", "not an e-mail address"),
        ("ana souza@cliente.example", "not an e-mail address"),
        ("ana@cliente.example\x1b[31m", "not an e-mail address"),
        ("", "No address"),
    ],
)
def test_what_is_no_address_is_told_apart(typed: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        providers.address(typed)
    assert said in caught.value.sentence
    assert "ana@cliente.example" in caught.value.next_step


def test_an_address_is_taken_with_its_domain_in_lower_case_and_ascii() -> None:
    assert providers.address("  Ana@Cliente.EXAMPLE ") == "Ana@cliente.example"
    assert providers.address("ana@padaria-são.example") == "ana@xn--padaria-so-n5a.example"


def test_the_table_names_valid_hosts_and_says_where_each_fact_is_from() -> None:
    import tomllib

    facts = tomllib.loads(providers.FACTS.read_text(encoding="utf-8"))
    assert [key for key, told in facts.items() if not told.get("from")] == []
    for one in providers.table():
        assert all(domain_name(domain) == domain for domain in (*one.domains, *one.mx, *one.hosts))
        for server in (one.imap, one.smtp):
            assert server == Server() or (server.security in (TLS, STARTTLS) and 0 < server.port < 65536)
    owners = [domain for one in providers.table() for domain in one.domains]
    assert len(owners) == len(set(owners))

"""Who keeps a mailbox, from its address and from what the network said of its domain. Pure; the facts: providers.toml.

Answers from outside are hostile until read: host names are checked, ports bounded, XML without a document type.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crmmail.connecting import STARTTLS, TLS, Found, Kind, Server, Source
from crmmail.errors import SettingsError
from crmmail.i18n import _
from crmmail.mail.addresses import addr_spec, domain_name
from crmmail.mail.text import clean_line

FACTS = Path(__file__).with_name("providers.toml")
SERVICES = (  # RFC 6186 §3, RFC 8314 §5.1: what is asked for, best first
    ("_imaps._tcp", "imap", TLS),
    ("_imap._tcp", "imap", STARTTLS),
    ("_submissions._tcp", "smtp", TLS),
    ("_submission._tcp", "smtp", STARTTLS),
)
LONGEST_XML = 64 * 1024
MOST_NODES = 2000


@dataclass(frozen=True, slots=True)
class Provider:
    """One of the table. `mx`: what the names of its mail exchangers end in."""

    key: str
    name: str
    domains: frozenset[str]
    mx: tuple[str, ...]
    hosts: tuple[str, ...]
    imap: Server
    smtp: Server
    local_user: bool
    app_password: bool
    page: str
    ca_file: str


@dataclass(frozen=True, slots=True)
class Record:
    """An SRV record."""

    priority: int
    weight: int
    host: str
    port: int


@lru_cache(maxsize=4)
def table(more: str = "") -> tuple[Provider, ...]:
    """All known providers; those of the file `more` come first and replace ours of the same name.

    Raises SettingsError when that file cannot be used.
    """
    facts = tomllib.loads(FACTS.read_text(encoding="utf-8"))
    if not more:
        return tuple(_provider(key, told) for key, told in facts.items())
    try:
        own = tomllib.loads(Path(more).expanduser().read_text(encoding="utf-8"))
        return tuple(
            _provider(key, told) for key, told in (own | {k: v for k, v in facts.items() if k not in own}).items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = getattr(error, "strerror", "") or _("it does not look like crmmail's own providers.toml")
        raise SettingsError(
            _("The file of providers {path} cannot be used: {reason}.").format(path=more, reason=reason),
            next_step=_("Correct the setting “providers_file”."),
        ) from None


def _provider(key: str, told: Mapping[str, Any]) -> Provider:
    return Provider(
        key,
        told["name"],
        frozenset(told["domains"]),
        tuple(told.get("mx", ())),
        tuple(told.get("hosts", ())),
        Server(*told.get("imap", ())),
        Server(*told.get("smtp", ())),
        told.get("user") == "local",
        bool(told.get("app_password")),
        told.get("page", ""),
        told.get("ca_file", ""),
    )


def address(typed: str) -> str:
    """`typed` as an address, its domain in lower-case ASCII. SettingsError says what is wrong with it."""
    found = addr_spec(typed.strip())
    if found and "." in found.rpartition("@")[2].strip("."):
        return found
    text = clean_line(typed, 80)
    local, at, domain = text.rpartition("@")
    if not text:
        sentence = _("No address was given.")
    elif not at or not domain:
        sentence = _("“{text}” has no domain: the part behind the @ is missing.").format(text=text)
    elif not local:
        sentence = _("“{text}” has no name before the @.").format(text=text)
    else:
        sentence = _("“{text}” is not an e-mail address.").format(text=text)
    raise SettingsError(sentence, next_step=_("Write it whole, such as ana@cliente.example."))


def google(address: str, more: str = "") -> Found:
    """`address` as a mailbox at Google, whatever its domain."""
    return _found(address, next(one for one in table(more) if one.key == "google"), Source.NOTHING)


def known(address: str, more: str = "") -> Found | None:
    """Who keeps `address`, by its domain alone."""
    domain = address.rpartition("@")[2]
    return next((_found(address, one, Source.DOMAIN) for one in table(more) if domain in one.domains), None)


def by_mx(address: str, exchanges: Iterable[str], more: str = "") -> Found | None:
    """Who keeps `address`, by the mail exchangers of its domain, best first."""
    for name in exchanges:
        for one in table(more):
            if _below(name, one.mx):
                return _found(address, one, Source.MX)
    return None


def _below(name: str, ends: Iterable[str]) -> bool:
    host = name.lower().rstrip(".")
    return any(host == end or host.endswith("." + end) for end in ends)


def _found(address: str, one: Provider, source: Source) -> Found:
    kind = {"google": Kind.GOOGLE, "microsoft": Kind.MICROSOFT}.get(one.key, Kind.IMAP)
    user = address.rpartition("@")[0] if one.local_user else address
    name = one.name
    if source is not Source.DOMAIN:
        name = {Kind.GOOGLE: "Google Workspace", Kind.MICROSOFT: "Microsoft 365"}.get(kind, name)
    return Found(address, kind, name, one.imap, one.smtp, user, one.app_password, one.page, one.ca_file, source)


def unknown(address: str) -> Found:
    """Nothing is known: the names most servers have are proposed, to be corrected."""
    domain = address.rpartition("@")[2]
    return Found(
        address, imap=Server(f"imap.{domain}", 993, TLS), smtp=Server(f"smtp.{domain}", 465, TLS), user=address
    )


def by_srv(address: str, records: Mapping[str, Sequence[Record]]) -> Found | None:
    """What SRV records by service name say; None unless they name both a place to read and one to send."""
    servers: dict[str, Server] = {}
    for service, side, security in SERVICES:
        for record in sorted(records.get(service, ()), key=lambda one: (one.priority, -one.weight)):
            host = host_name(record.host)
            if side not in servers and host and 0 < record.port < 65536:
                servers[side] = Server(host, record.port, security)
    if len(servers) < 2:
        return None
    domain = address.rpartition("@")[2]
    return Found(address, Kind.IMAP, domain, servers["imap"], servers["smtp"], address, source=Source.SRV)


def host_name(text: str) -> str:
    """`text` as a host name with a dot in it, '' for anything else: an address literal, a word, a path."""
    name = domain_name(text.strip().rstrip("."))
    return name if "." in name and not name.startswith("[") and not name.rpartition(".")[2].isdigit() else ""


# Mozilla's autoconfiguration, https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat


def by_autoconfig(address: str, document: bytes, more: str = "") -> Found | None:
    """What a config-v1.1.xml says; None without a usable pair of servers. ValueError for another kind of file."""
    provider = _provider_node(_tree(document))
    imap = _best(address, provider, "incomingServer", "imap")
    smtp = _best(address, provider, "outgoingServer", "smtp")
    if imap is None or smtp is None:
        return None
    for one in table(more):
        if _below(imap[0].host, one.hosts):  # Google, Microsoft: signing in is the better way, or the only one
            return _found(address, one, Source.AUTOCONFIG)
    name = _child_text(provider, "displayName") or address.rpartition("@")[2]
    return Found(address, Kind.IMAP, name[:60], imap[0], smtp[0], imap[1], source=Source.AUTOCONFIG)


@dataclass(slots=True)
class _Node:
    """An element."""

    tag: str
    kind: str  # its attribute `type`
    text: str
    children: list[_Node]


def _tree(document: bytes) -> _Node:
    """The document as nodes. ValueError for one too large, too deep, with a DTD (entities grow), or no XML."""
    from xml.parsers import expat

    if len(document) > LONGEST_XML:
        raise ValueError("too large")
    root = _Node("", "", "", [])
    path, count = [root], 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MOST_NODES or len(path) > 20:
            raise ValueError("too many elements")
        node = _Node(tag, attributes.get("type", ""), "", [])
        path[-1].children.append(node)
        path.append(node)

    def text(piece: str) -> None:
        path[-1].text += piece

    def refused(*_told: object) -> None:
        raise ValueError("a document type is not expected")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: path.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refused
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError("not XML") from error
    return root


def _provider_node(root: _Node) -> _Node:
    for config in root.children:
        for node in config.children:
            if config.tag == "clientConfig" and node.tag == "emailProvider":
                return node
    raise ValueError("no emailProvider")


def _best(address: str, provider: _Node, tag: str, kind: str) -> tuple[Server, str] | None:
    """(server, user) of the first encrypted from the start, else of the first with STARTTLS. Never in the clear."""
    usable = [
        found
        for node in provider.children
        if node.tag == tag and node.kind == kind and (found := _server(address, node)) is not None
    ]
    return min(usable, key=lambda found: found[0].security != TLS, default=None)


def _server(address: str, node: _Node) -> tuple[Server, str] | None:
    security = {"SSL": TLS, "STARTTLS": STARTTLS}.get(_child_text(node, "socketType").upper())
    host = host_name(_filled(_child_text(node, "hostname"), address))
    port = _child_text(node, "port")
    if security is None or not host or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        return None
    user = _filled(_child_text(node, "username"), address) or address
    return Server(host, int(port), security), user[:320]


def _filled(text: str, address: str) -> str:
    local, _at, domain = address.rpartition("@")
    for mark, value in (("%EMAILADDRESS%", address), ("%EMAILLOCALPART%", local), ("%EMAILDOMAIN%", domain)):
        text = text.replace(mark, value)
    return text


def _child_text(node: _Node, tag: str) -> str:
    return next((clean_line(child.text, 320).strip() for child in node.children if child.tag == tag), "")

"""Asking the network who keeps the mail of a domain: MX and SRV records, then the autoconfiguration files.

Only the domain is ever told, never the whole address. Answers decide which servers are proposed to the user, no more;
they are read by `crmmail.providers`, which takes them for hostile. Pages are fetched by https alone, from public
addresses, looked up once and used as they were looked up, so that a name cannot lead into the user's own network
(CWE-918). Whatever does not answer within seconds counts for nothing: then the user is asked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from crmmail import providers
from crmmail.auth import net
from crmmail.connecting import Found
from crmmail.providers import LONGEST_XML, SERVICES, Record

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
DNS_SECONDS, PAGE_SECONDS = 4.0, 5.0
MOST_RECORDS = 20
REDIRECTS = 3
OWN_PAGES = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
)
LIST_PAGE = "https://autoconfig.thunderbird.net/v1.1/{domain}"

log = logging.getLogger("crmmail.connect")


@dataclass(frozen=True, slots=True)
class Places:
    """Whom to ask. Empty: the system's DNS, and the pages above. A page that is named may lie anywhere."""

    dns_server: str = ""
    autoconfig_url: str = ""
    ca_file: str = ""
    providers_file: str = ""


def find(address: str, places: Places = Places()) -> Found:
    """Who keeps `address`, as far as its domain or the network tells; Kind.UNKNOWN with a guess where neither does."""
    found = providers.known(address, places.providers_file)
    if found is not None:
        return found
    domain = address.rpartition("@")[2]
    told = _together({"MX": lambda: exchangers(domain, places), **_services(domain, places)}, DNS_SECONDS)
    found = providers.by_mx(address, told.get("MX") or (), places.providers_file)
    if found is not None:
        return found
    named = (places.autoconfig_url,) if places.autoconfig_url else ()
    return (
        _published(address, domain, named or OWN_PAGES, places)
        or providers.by_srv(address, {name: records for name, records in told.items() if name != "MX"})
        or (None if named else _published(address, domain, (LIST_PAGE,), places))
        or providers.unknown(address)
    )


def _services(domain: str, places: Places) -> dict[str, Callable[[], list[Any]]]:
    def asker(service: str) -> Callable[[], list[Any]]:
        return lambda: services(service, domain, places)

    return {service: asker(service) for service, _side, _security in SERVICES}


def _together(questions: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T]:
    """The answers that came within `seconds`. Daemon threads: one that hangs keeps nobody waiting, not even the end."""
    answers: queue.SimpleQueue[tuple[str, T | None]] = queue.SimpleQueue()

    def ask(name: str, question: Callable[[], T]) -> None:
        try:
            answers.put((name, question()))
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read is none, whatever is wrong with it
            log.info("%s: %s", name, type(error).__name__)
            answers.put((name, None))

    for name, question in questions.items():
        threading.Thread(target=ask, args=(name, question), name="crmmail-look-up", daemon=True).start()
    got: dict[str, T] = {}
    deadline = time.monotonic() + seconds
    for _count in questions:
        with contextlib.suppress(queue.Empty):
            name, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            if answer is not None:
                got[name] = answer
    return got


# DNS


def exchangers(domain: str, places: Places) -> list[str]:
    """The names of the domain's mail exchangers, best first."""
    found = sorted((int(record.preference), str(record.exchange)) for record in _records(domain, "MX", places))
    return [name for _preference, name in found]


def services(service: str, domain: str, places: Places) -> list[Record]:
    """The SRV records of a service of the domain."""
    return [
        Record(int(one.priority), int(one.weight), str(one.target), int(one.port))
        for one in _records(f"{service}.{domain}", "SRV", places)
    ]


def _records(name: str, kind: str, places: Places) -> list[Any]:
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=not places.dns_server)
    if places.dns_server:
        host, _colon, port = places.dns_server.partition(":")
        resolver.nameservers, resolver.port = [host], int(port or 53)
    try:
        answer = resolver.resolve(f"{name}.", kind, lifetime=DNS_SECONDS, search=False)
    except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
        return []
    return list(answer)[:MOST_RECORDS]


# Pages


def _published(address: str, domain: str, pages: tuple[str, ...], places: Places) -> Found | None:
    """What the first of `pages` says that says something."""

    def reader(page: str) -> Callable[[], Found | None]:
        anywhere = page == places.autoconfig_url
        url = page.replace("{domain}", domain)

        def read() -> Found | None:
            content = fetch(url, places.ca_file, anywhere=anywhere)
            return providers.by_autoconfig(address, content, places.providers_file)

        return read

    answers = _together({page: reader(page) for page in pages}, PAGE_SECONDS)
    return next((answers[page] for page in pages if answers.get(page) is not None), None)


class Refused(ValueError):
    """A page that is not fetched, or whose answer is not taken."""


def fetch(url: str, ca_file: str = "", *, anywhere: bool = False) -> bytes:
    """A small page. `anywhere`: the user named it, so it may lie in a private network; where it redirects to may not.

    Raises Refused, or what httpx and the socket raise.
    """
    import httpx

    deadline = time.monotonic() + PAGE_SECONDS
    timeout = httpx.Timeout(PAGE_SECONDS)
    with httpx.Client(verify=net.context(ca_file), timeout=timeout, follow_redirects=False, trust_env=False) as client:
        for _hop in range(REDIRECTS + 1):
            with client.stream("GET", **_request(url, anywhere=anywhere)) as answer:
                if not answer.is_redirect:
                    return _content(answer, deadline)
                url = urljoin(url, answer.headers.get("location", ""))
            anywhere = False
    raise Refused("too many redirects")


def _request(url: str, *, anywhere: bool) -> dict[str, Any]:
    """What to ask httpx for: the address that was looked up and checked, under the name the certificate must have."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    if parts.scheme != "https" or not host or parts.username or parts.password:
        raise Refused("only https, without a login")
    found = [str(told[4][0]) for told in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not anywhere:
        found = [one for one in found if is_public(one)]
    if not found:
        raise Refused("leads into a private network")
    literal = f"[{found[0]}]" if ":" in found[0] else found[0]
    target = parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()
    name = host if parts.port is None else f"{host}:{port}"
    headers = {"Host": name, "User-Agent": "crmmail", "Accept": "*/*", "Accept-Encoding": "identity"}
    return {"url": target, "headers": headers, "extensions": {"sni_hostname": host}}


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet: not private, link-local, loopback, multicast or mapped."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    return parsed.is_global and not parsed.is_multicast and (mapped is None or is_public(str(mapped)))


def _content(answer: httpx.Response, deadline: float) -> bytes:
    if answer.status_code != 200 or answer.headers.get("content-encoding"):
        raise Refused(f"status {answer.status_code}")
    content = bytearray()
    for piece in answer.iter_raw():  # never unpacked: a small answer may unpack to anything
        content += piece
        if len(content) > LONGEST_XML or time.monotonic() > deadline:
            raise Refused("too large or too slow")
    return bytes(content)

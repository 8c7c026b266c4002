"""Whose domain an address is: normal forms, parents, public suffixes, and the hosts that belong to no one customer.

The public suffix list is tldextract's bundled one (BSD), read without the network or a cache on the disk and only
where a domain is taken down; matching mail never needs it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from crmmail.crm.freemail import FREE_MAIL, SHARED_SITES

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
DOMAIN_LIMIT = 253


@lru_cache(4096)
def normal(text: str) -> str:
    """A domain in lower case and ASCII, without `www.`, a leading @ or a trailing dot; '' when it is none."""
    plain = text.strip().strip(".").lower().lstrip("@").removeprefix("www.")
    if not plain.isascii():
        import idna

        try:
            plain = idna.encode(plain, uts46=True).decode()
        except idna.IDNAError:
            return ""
    labels = plain.split(".")
    if len(plain) > DOMAIN_LIMIT or len(labels) < 2 or labels[-1].isdigit():
        return ""
    return plain if all(_LABEL.match(label) for label in labels) else ""


def of_address(email: str) -> str:
    """The domain of an address, normal; '' when there is none."""
    local, at, domain = email.rpartition("@")
    return normal(domain) if at and local and not domain.startswith("[") else ""


def of_website(url: str) -> str:
    """The host a website lies on; '' for one that many share (a social network, a site builder)."""
    rest = _SCHEME.sub("", url.strip(), count=1)
    host = normal(re.split(r"[/?#:\s]", rest.rpartition("@")[2] or rest, maxsplit=1)[0])
    return "" if not host or is_shared(host, SHARED_SITES) else host


@lru_cache(8192)
def parents(domain: str) -> tuple[str, ...]:
    """The domain and those above it, the nearest first, without the top one."""
    labels = domain.split(".")
    return tuple(".".join(labels[start:]) for start in range(len(labels) - 1))


@lru_cache(8192)
def is_shared(domain: str, also: frozenset[str] = frozenset()) -> bool:
    """Whether people of no one company have addresses there: free mail, and what the user names besides."""
    return any(one in FREE_MAIL or one in also for one in parents(domain))


def is_below(domain: str, above: frozenset[str]) -> bool:
    """Whether a domain is one of `above` or a subdomain of one."""
    return not above.isdisjoint(parents(domain))


def registrable(domain: str) -> str:
    """What a company registers: acme.com.br of mail.acme.com.br; '' for a public suffix.

    A suffix nobody knows (a reserved one, an internal one) counts as one label.
    """
    found = normal(domain)
    if not found:
        return ""
    parts = _suffixes()(found)
    if parts.suffix:
        return f"{parts.domain}.{parts.suffix}" if parts.domain else ""
    return ".".join(found.split(".")[-2:])


@lru_cache(1)
def _suffixes() -> Any:
    import tldextract

    return tldextract.TLDExtract(
        suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True, fallback_to_snapshot=True
    )


def usable(text: str, shared: frozenset[str] = frozenset()) -> str:
    """`text` as a domain an account can be known by; '' when it is none, a public suffix, or one that many share."""
    domain = normal(text)
    return domain if domain and not is_shared(domain, shared) and registrable(domain) else ""

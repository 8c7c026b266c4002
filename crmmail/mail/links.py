"""Where a link really goes, and whether it may be opened.

Only http, https and mailto, and only where the host is plain to see: no control or space, no escaped or odd host,
nothing a launcher could take for an option. A link is opened as one argument of one program, never through a shell.
"""

from __future__ import annotations

import re
import sys
import unicodedata

from crmmail.mail.addresses import domain_name

URL_LIMIT = 8_000

_TAB_OR_BREAK = re.compile("[\t\r\n]")
_SCHEME = re.compile(r"(https?)://|(mailto):", re.IGNORECASE)
_REFUSED = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\\\]")
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!&()*+,;=%]")
_HOST_IN_TEXT = re.compile(
    r"(?:https?://)?(?:[^\s/@]{1,100}@)?((?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24})\.?(?::\d{1,5})?(?:[/?#]\S*)?\Z",
    re.IGNORECASE,
)
_AUTHORITY_END = re.compile(r"[/?#]")


def tidy(href: str) -> str:
    """`href` as a browser would read it: outer spaces, and tabs and line breaks anywhere, removed."""
    return _TAB_OR_BREAK.sub("", href.strip("\x00\x09\x0a\x0c\x0d "))[: URL_LIMIT + 1]


def host_of(url: str) -> str:
    """The host `url` goes to in lower-case ASCII (for mailto the recipient's domain); '' when it may not be opened."""
    scheme = _SCHEME.match(url)
    if scheme is None or len(url) > URL_LIMIT or _REFUSED.search(url):
        return ""
    if scheme[2]:
        return domain_name(url[7:].partition("?")[0].rpartition("@")[2])
    authority = _AUTHORITY_END.split(url[scheme.end() :], maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if not host.startswith("["):
        host, _colon, port = host.partition(":")
        if port and not (port.isascii() and port.isdigit()):
            return ""
    return domain_name(host) or (host if re.match(r"\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?\Z", host) else "")


def may_open(url: str) -> bool:
    """Whether `url` is one the program will open at the user's wish."""
    return bool(host_of(url)) or (url[:8].lower() == "mailto:?" and not _REFUSED.search(url))


def is_misleading(text: str, url: str) -> bool:
    """Whether the link's own text, or a user name in front of its host, claims another host than it goes to."""
    host = host_of(url)
    if not host or url[:7].lower() == "mailto:":
        return False
    authority = _AUTHORITY_END.split(url.partition("://")[2], maxsplit=1)[0]
    if "." in authority.rpartition("@")[0]:
        return True
    claim = _HOST_IN_TEXT.match(text.strip()) if len(text) < 300 else None
    if claim is None:
        return False
    claimed = domain_name(claim[1])
    return bool(claimed) and not _same_site(claimed, host)


def _same_site(one: str, other: str) -> bool:
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def shown_host(host: str) -> str:
    """`host` for the human: an IDN in its own letters when all of each label are of one script, else in punycode."""
    if "xn--" not in host:
        return host
    import idna

    try:
        readable = idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host
    return readable if all(_one_script(label) for label in readable.split(".")) else host


_LOOKALIKE_SCRIPTS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")


def _one_script(label: str) -> bool:
    """Latin with accents, or one script that no one takes for Latin. Whole-script look-alikes stay punycode."""
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in label if letter.isalpha()}
    return len(scripts) <= 1 and not scripts & set(_LOOKALIKE_SCRIPTS)


def argv_for(url: str, platform: str = sys.platform) -> list[str] | None:
    """The command that opens `url` in the user's browser, one list of arguments for no shell; None when it may not be.

    What is not plain URL text is percent-encoded; mailto is the composer's and gives None.
    """
    if not host_of(url) or url[:7].lower() == "mailto:":
        return None
    safe = _UNSAFE.sub(lambda match: "".join(f"%{octet:02X}" for octet in match[0].encode()), url)
    if platform == "win32":
        return ["rundll32", "url.dll,FileProtocolHandler", safe]
    return ["open" if platform == "darwin" else "xdg-open", safe]

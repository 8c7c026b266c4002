"""Markdown as the HTML half of a message: markup and links only, nothing that runs, loads or frames.

HTML in the text is shown as text, pictures are left out (a quoted one would load from somebody else's server), links go
to the web, to mail and to telephones only.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from crmmail.mail import encode

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MARKDOWN_LIMIT = 200_000  # characters: above, layout would take seconds
_SCHEMES = ("http://", "https://", "mailto:", "tel:")
_SIGNATURE = re.compile(r"^-- $", re.MULTILINE)


def html(text: str) -> str:
    """`text` as an HTML document of one body."""
    text = encode.lines(text)
    if len(text) > MARKDOWN_LIMIT:
        body = f'<pre style="white-space: pre-wrap">{escape(text, quote=False)}</pre>\n'
    else:
        body = _body(text)
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{body}</body></html>\n'


def _body(text: str) -> str:
    """The signature is no Markdown: its delimiter would make a heading of the paragraph above it."""
    writer = _writer()
    own, *rest = _SIGNATURE.split(text, maxsplit=1)
    if not rest:
        return str(writer.render(own))
    signature, _break, below = rest[0].partition("\n\n")
    lines = "<br>\n".join(escape(line, quote=False) for line in signature.strip("\n").split("\n"))
    return f"{writer.render(own)}<p>-- <br>\n{lines}</p>\n{writer.render(below)}"


def _writer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    writer = MarkdownIt(
        "commonmark", {"html": False, "breaks": True, "linkify": False, "xhtmlOut": False, "maxNesting": 20}
    )
    writer.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    writer.validateLink = _is_harmless  # type: ignore[method-assign]
    return writer


def _is_harmless(url: str) -> bool:
    return url.strip().lower().startswith(_SCHEMES)

"""HTML as readable text: what a careful person would copy off the page, and nothing the sender hid.

Links become numbers with their real host, quotes lines that begin with '> ', tables rows, images what their `alt` says
(each one that would have been fetched is counted). Nothing is ever fetched. Linear, with the limits of `html_tokens`,
200 levels of elements and 20 of tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crmmail.mail import html_hidden, links
from crmmail.mail.html_layout import Flow, Table
from crmmail.mail.html_tokens import Overflow, Tag, tokens
from crmmail.mail.text import clean_line, clean_text
from crmmail.model import Link

DEPTH_LIMIT = 200
TABLES_LIMIT = 20
LINKS_LIMIT = 2_000
LABEL_LIMIT = 300


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_DROPPED = _names(
    "head script style title textarea xmp iframe noembed noframes template svg math select datalist map frameset"
)
_PARAGRAPHS = _names("p h1 h2 h3 h4 h5 h6 pre blockquote table ul ol dl form fieldset figure")
_BLOCKS = _PARAGRAPHS | _names(
    "div section article header footer main nav aside address center tr li dt dd caption thead tbody tfoot td th body "
    "html legend figcaption details summary hgroup dir menu option"
)
_CELLS = frozenset(("td", "th"))
_TABLE_FAMILY = _names("table tr td th thead tbody tfoot caption")
_ENDS_BEFORE = {  # start tag → (open elements it ends, elements it does not look beyond)
    "p": (frozenset(("p",)), _BLOCKS - {"p"}),
    "li": (frozenset(("li",)), _names("ul ol dir menu td th table")),
    "dt": (frozenset(("dt", "dd")), _names("dl td th table")),
    "dd": (frozenset(("dt", "dd")), _names("dl td th table")),
    "tr": (frozenset(("tr",)), frozenset(("table",))),
    "td": (_CELLS, frozenset(("table",))),
    "th": (_CELLS, frozenset(("table",))),
}
_REMOTE = ("http:", "https:", "//", "ftp:")


@dataclass(frozen=True, slots=True)
class Rendered:
    """HTML made readable. `too_complex`: a limit was reached and the rest left out."""

    text: str
    links: tuple[Link, ...] = ()
    blocked_images: int = 0
    hidden: bool = False  # text was left out that a browser would not show, by other means than `display: none`
    too_complex: bool = False


@dataclass(slots=True)
class _Open:
    """An element that is open, with what its end must undo."""

    name: str
    hidden: bool = False
    covert: bool = False  # hidden, and not by the plain `display: none` that every newsletter's preview text has
    foreground: str | None = "000000"
    background: str | None = "ffffff"
    href: str = ""
    label: list[str] = field(default_factory=list)
    is_table: bool = False  # one that is laid out; those nested too deep are not


def render(source: str, known: tuple[Link, ...] = ()) -> Rendered:
    """`source` as clean text. Numbers go on after the `known` links and are shared with them."""
    renderer = _Renderer(known)
    for token in tokens(source):
        if isinstance(token, str):
            renderer.text(token)
        elif isinstance(token, Overflow):
            renderer.too_complex = True
        elif token.closing:
            renderer.close(token.name)
        elif not renderer.open(token):
            renderer.too_complex = True
            break
    return renderer.finish()


class _Renderer:
    def __init__(self, known: tuple[Link, ...]) -> None:
        self.flows = [Flow()]
        self.tables: list[Table] = []
        self.stack = [_Open("#root")]
        self.sheet = html_hidden.Sheet()
        self.sheet_paints = False
        self.links = list(known)
        self.numbers = {link.url: link.number for link in known}
        self.blocked = 0
        self.hid = False
        self.too_complex = False

    @property
    def flow(self) -> Flow:
        return self.flows[-1]

    def text(self, text: str) -> None:
        if self.stack[-1].hidden:
            self.hid = self.hid or (self.stack[-1].covert and bool(clean_line(text[:200])))
            return
        self.flow.add(text)
        for element in self.stack if text.strip() else ():
            if element.href and len(element.label) < LABEL_LIMIT:
                element.label.append(text[:LABEL_LIMIT])

    def open(self, tag: Tag) -> bool:
        """Take a start tag; False when it is nested too deep to go on."""
        name = tag.name
        if name == "style":
            self._read_sheet(tag.raw)
        self.blocked += _remote_things(tag)
        if name in _VOID:
            self._void(tag)
            return True
        if name in _ENDS_BEFORE:
            self._end_implied(*_ENDS_BEFORE[name])
        element = self._element(tag)
        if len(self.stack) >= DEPTH_LIMIT:
            return not element.hidden
        self.stack.append(element)
        if not element.hidden:
            self._enter(name, tag)
        return True

    def _read_sheet(self, source: str) -> None:
        self.sheet.read(source)
        self.sheet_paints = self.sheet_paints or "background" in source

    def _element(self, tag: Tag) -> _Open:
        """The element a tag opens: hidden where its parent is, or where its own attributes hide it."""
        parent = self.stack[-1]
        attributes = tag.attributes
        if parent.hidden or tag.name in _DROPPED:
            return _Open(tag.name, True, parent.covert)
        if not attributes:
            return _Open(tag.name, False, False, parent.foreground, parent.background)
        style = html_hidden.declarations(attributes.get("style", ""))
        foreground, background = parent.foreground, parent.background
        if own := style.get("color") or attributes.get("color"):
            foreground = html_hidden.color(own)
        own_background = html_hidden.background(style, attributes.get("bgcolor", ""))
        if own_background != "" or "background" in attributes:
            background = None if "background" in attributes else own_background
        elif self.sheet_paints and ("class" in attributes or "id" in attributes):
            background = None  # a rule we do not follow may paint it
        hidden = "hidden" in attributes or html_hidden.is_hiding(style) or self.sheet.hides(attributes)
        href = links.tidy(attributes.get("href", "")) if tag.name == "a" else ""
        unseen = bool(own) and (foreground == "" or (foreground is not None and foreground == background))
        covert = (hidden or unseen) and style.get("display") != "none" and not self.sheet.hides(attributes)
        return _Open(tag.name, hidden or unseen, covert, foreground or parent.foreground, background, href)

    def _enter(self, name: str, tag: Tag) -> None:
        if name not in _BLOCKS:
            return
        if name == "table" and len(self.tables) < TABLES_LIMIT:
            self.flow.paragraph()
            self.tables.append(Table(len(self.flows)))
            self.stack[-1].is_table = True
        elif name == "tr" and self.tables:
            self._end_cell()
            self.tables[-1].rows.append([])
        elif name in _CELLS and self.tables:
            self._end_cell()
            self.flows.append(Flow())
        elif name == "li":
            self.flow.item()
        else:
            self.flow.paragraph() if name in _PARAGRAPHS else self.flow.line()
        if name == "blockquote":
            self.flow.quotes += 1
        elif name in ("ul", "ol", "dir", "menu"):
            self.flow.open_list(numbered=name == "ol", start=tag.attributes.get("start", ""))
        elif name == "pre":
            self.flow.preformatted += 1

    def _void(self, tag: Tag) -> None:
        if self.stack[-1].hidden:
            return
        if tag.name == "br":
            self.flow.break_line()
        elif tag.name == "hr":
            self.flow.rule()
        elif tag.name == "img":
            alternative = clean_line(tag.attributes.get("alt", ""), LABEL_LIMIT)
            style = html_hidden.declarations(tag.attributes.get("style", ""))
            if alternative and not html_hidden.is_hiding(style):
                self.text(alternative)
        elif tag.name == "input" and tag.attributes.get("type", "").lower() in ("submit", "button"):
            self.text(f"[{tag.attributes.get('value', '')}]")

    def close(self, name: str) -> None:
        if name == "br":
            self._void(Tag("br"))
            return
        barrier = frozenset(("table",)) if name in _TABLE_FAMILY else _CELLS | {"table"}
        for depth in range(len(self.stack) - 1, 0, -1):
            if self.stack[depth].name == name:
                self._pop_to(depth)
                return
            if self.stack[depth].name in barrier and name != "table":
                return

    def _end_implied(self, ended: frozenset[str], barrier: frozenset[str]) -> None:
        for depth in range(len(self.stack) - 1, 0, -1):
            if self.stack[depth].name in ended:
                self._pop_to(depth)
                return
            if self.stack[depth].name in barrier:
                return

    def _pop_to(self, depth: int) -> None:
        while len(self.stack) > depth:
            element = self.stack.pop()
            if not element.hidden:
                self._leave(element)

    def _leave(self, element: _Open) -> None:
        name = element.name
        if element.href:
            self._end_link(element)
        if name not in _BLOCKS:
            return
        if name in _CELLS or name == "tr":
            self._end_cell()
        elif element.is_table:
            self._end_table()
        elif name == "li":
            self.flow.end_item()
        else:
            self.flow.paragraph() if name in _PARAGRAPHS else self.flow.line()
        if name == "blockquote":
            self.flow.quotes = max(self.flow.quotes - 1, 0)
        elif name in ("ul", "ol", "dir", "menu"):
            self.flow.close_list()
        elif name == "pre":
            self.flow.preformatted = max(self.flow.preformatted - 1, 0)

    def _end_link(self, element: _Open) -> None:
        url, label = element.href, clean_line("".join(element.label), LABEL_LIMIT)
        if not links.may_open(url):
            return
        number = self.numbers.get(url)
        if number is None:
            if len(self.links) >= LINKS_LIMIT:
                return
            number = self.numbers[url] = len(self.links) + 1
            host = links.host_of(url)
            self.links.append(Link(number, label, url, links.shown_host(host), links.is_misleading(label, url)))
        elif not label:
            return  # an image beside the text that has the number already
        self.flow.append(f"{'' if label else links.host_of(url)} [{number}]")

    def _end_cell(self) -> None:
        """Put the open cell of the innermost table into its row."""
        if self.tables and len(self.flows) > self.tables[-1].flows:
            table = self.tables[-1]
            table.add(self.flows.pop().finish())

    def _end_table(self) -> None:
        if self.tables:
            self._end_cell()
            self.flow.block(self.tables.pop().lines())

    def finish(self) -> Rendered:
        self._pop_to(1)
        while self.tables:
            self._end_table()
        text = clean_text("\n".join(self.flow.finish()))
        return Rendered(text, tuple(self.links), self.blocked, self.hid, self.too_complex)


def _remote_things(tag: Tag) -> int:
    """How many things from elsewhere this tag would have fetched."""
    if tag.name == "style":
        return html_hidden.remote_urls(tag.raw)
    attributes = tag.attributes
    if not attributes:
        return 0
    if tag.name == "link":
        return 1 if attributes.get("href", "").strip().lower().startswith(_REMOTE) else 0
    sources = [attributes.get(name, "") for name in ("src", "srcset", "poster", "background", "data")]
    count = sum(source.strip().lower().startswith(_REMOTE) for source in sources)
    count = min(count, 1) if tag.name == "img" else count
    return count + (html_hidden.remote_urls(attributes["style"]) if "url(" in attributes.get("style", "") else 0)

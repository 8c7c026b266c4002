"""A server's pages on their way into the store: cut small, and watched for a server that goes in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from crmmail.errors import Transient
from crmmail.i18n import _
from crmmail.model import Incoming, Page, Patch

SLICE_MESSAGES, SLICE_BYTES, SLICE_PATCHES = 25, 1 << 20, 200  # one write transaction, see docs/architecture.md
SAME_PAGE, SAME_EMPTY_PAGE = 3, 500  # times one page may come in one pull before it is a circle


def slices(page: Page, resting: str) -> Iterator[Page]:
    """`page` as pages small enough that no key waits for one; together they say the same.

    All but the last keep the cursor where it is (`resting`), so that a crash between them repeats the page. Messages
    come before the patches that may concern them.
    """
    messages, patches = list(_messages(page.upserts)), list(_patches(page.patches))
    last_messages, first_patches = messages[-1:] or [()], patches[:1] or [()]
    parts = [(part, ()) for part in messages[:-1]] + [(last_messages[0], first_patches[0])]
    parts += [((), part) for part in patches[1:]]
    folders = page.folders
    for upserts, changed in parts[:-1]:
        yield Page(resting, upserts, changed, folders=folders)
        folders = None
    upserts, changed = parts[-1]
    yield replace(page, upserts=upserts, patches=changed, folders=folders)


def _messages(upserts: Sequence[Incoming]) -> Iterator[tuple[Incoming, ...]]:
    part: list[Incoming] = []
    weight = 0
    for incoming in upserts:
        size = len(incoming.raw or b"")
        if part and (len(part) >= SLICE_MESSAGES or weight + size > SLICE_BYTES):
            yield tuple(part)
            part, weight = [], 0
        part.append(incoming)
        weight += size
    if part:
        yield tuple(part)


def _patches(patches: Sequence[Patch]) -> Iterator[tuple[Patch, ...]]:
    for start in range(0, len(patches), SLICE_PATCHES):
        yield tuple(patches[start : start + SLICE_PATCHES])


class Circle:
    """Notices when a server sends the same page over and over, as when a page token leads back.

    A page may come twice, and an empty page is not the end: only a page that keeps coming is a circle.
    """

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    def check(self, page: Page) -> None:
        """Raises Transient when `page` has come too often in this pull."""
        ids = tuple(incoming.remote_id for incoming in page.upserts)
        patched = tuple((patch.remote_id, patch.state, patch.delta) for patch in page.patches)
        mark = hash((page.cursor, ids, patched, page.removals, page.keep, page.scope))
        self._seen[mark] += 1
        empty = not (ids or patched or page.removals)
        if self._seen[mark] > (SAME_EMPTY_PAGE if empty else SAME_PAGE):
            raise Transient(_("The server keeps sending the same page."), reason="loop")

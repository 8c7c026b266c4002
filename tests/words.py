"""Keep the Portuguese catalogue in step with the code: `python -m tests.words`.

Extracts every marked text, merges it into the .po file, compiles the .mo file and lists what is not translated.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "crmmail"
PO = PACKAGE / "locale" / "pt_BR" / "LC_MESSAGES" / "crmmail.po"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}


def extracted() -> Catalog:
    """A catalogue of every text the code marks, with its places."""
    catalog = Catalog(project="crmmail", charset="utf-8")
    for name, line, message, comments, context in extract_from_dir(
        PACKAGE, method_map=[("**.py", "python")], keywords=KEYWORDS, comment_tags=("translators:",)
    ):
        catalog.add(message, None, [(f"crmmail/{name}", line)], auto_comments=comments, context=context)
    for path in sorted(PACKAGE.rglob("*.py")):
        for message, line in inside_fstrings(path):
            catalog.add(message, None, [(str(path.relative_to(PACKAGE.parent)), line)])
    return catalog


def inside_fstrings(path: Path) -> Iterator[tuple[str, int]]:
    """The texts marked with `_` within f-strings, where Babel does not look on Python 3.11."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        for call in ast.walk(node) if isinstance(node, ast.JoinedStr) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_":
                for text in call.args:
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield text.value, call.lineno


def translated() -> Catalog:
    """The Portuguese catalogue as it lies in the tree."""
    if not PO.exists():
        return Catalog(locale="pt_BR", project="crmmail", charset="utf-8")
    with PO.open("rb") as file:
        return read_po(file, locale="pt_BR")


def compiled(catalog: Catalog) -> bytes:
    """What the .mo file of `catalog` must hold."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def missing(catalog: Catalog) -> list[str]:
    """The texts of the code that `catalog` does not translate."""
    lacking = []
    for message in extracted():
        known = catalog.get(message.id, message.context) if message.id else None
        text = known.string if known else ""
        if message.id and (not text or (isinstance(text, tuple) and not all(text)) or (known and known.fuzzy)):
            lacking.append(str(message.id))
    return lacking


def main() -> int:
    catalog = translated()
    catalog.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, catalog, width=120, sort_output=True, no_location=True)
    PO.with_suffix(".mo").write_bytes(compiled(translated()))
    lacking = missing(translated())
    print(*lacking, sep="\n")
    print(f"{len(list(extracted()))} texts, {len(lacking)} not translated", file=sys.stderr)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())

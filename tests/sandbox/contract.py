"""What the providers say their own interfaces are, as a judge of what the sandbox answers.

Google's discovery document and a part of Microsoft's CSDL lie outside the project (`SHARED`); without them nothing is
judged and the tests that need them are skipped.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.conftest import SHARED

DISCOVERY = SHARED / "contracts" / "gmail.v1.json"
CSDL = SHARED / "contracts" / "graph-mail.csdl.xml"
EXAMPLES = SHARED / "contracts" / "graph-mail-examples.json"
TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}


class GmailContract:
    """Bodies against Google's discovery document: names and JSON types."""

    def __init__(self, document: Path = DISCOVERY) -> None:
        self.document = json.loads(document.read_text())
        self.methods = {method["id"]: method for method in self._methods(self.document)}
        self.routes = [
            (method["httpMethod"], re.compile("/" + re.sub(r"\{\+?\w+\}", "[^/]+", method["path"])), name)
            for name, method in self.methods.items()
        ]

    def _methods(self, node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from node.get("methods", {}).values()
        for child in node.get("resources", {}).values():
            yield from self._methods(child)

    def route(self, verb: str, path: str) -> str | None:
        """The method a request means."""
        plain = re.sub(r"^(/resumable)?/upload", "", path.partition("?")[0])
        found = [name for known, pattern, name in self.routes if known == verb and pattern.fullmatch(plain)]
        return min(found, key=lambda name: self.methods[name]["path"].count("{")) if found else None

    def problems(self, method: str, body: Any) -> list[str]:
        """What of `body` the document does not know."""
        answer = self.methods[method].get("response")
        if answer is None:
            return [] if body in (None, "", {}) else [f"{method} has no body"]
        return list(self._check(answer, body, ""))

    def _check(self, schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
        if "$ref" in schema:
            yield from self._fields(schema["$ref"], value, where)
            return
        kind = schema.get("type", "any")
        if kind != "any" and not isinstance(value, TYPES[kind]):
            yield f"{where}: {type(value).__name__}, not {kind}"
        elif schema.get("format") in ("uint64", "int64") and kind == "string":
            if not re.fullmatch(r"-?\d+", value):
                yield f"{where}: {value!r} is no {schema['format']}"
        elif schema.get("enum") and value not in schema["enum"]:
            yield f"{where}: {value!r} is not one of {schema['enum']}"
        elif kind == "array":
            for number, item in enumerate(value):
                yield from self._check(schema["items"], item, f"{where}[{number}]")

    def _fields(self, name: str, value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where}: {type(value).__name__}, not a {name}"
            return
        known = self.document["schemas"][name].get("properties", {})
        for key, item in value.items():
            if key in known:
                yield from self._check(known[key], item, f"{where}.{key}")
            else:
                yield f"{where}.{key}: not in {name}"


class GraphContract:
    """Resources against Microsoft's CSDL: names, types, members of enumerations."""

    SPACE = "{http://docs.oasis-open.org/odata/ns/edm}"

    def __init__(self, document: Path = CSDL) -> None:
        root = ElementTree.fromstring(document.read_text())
        self.enums = {
            one.get("Name"): {member.get("Name") for member in one.iter(self.SPACE + "Member")}
            for one in root.iter(self.SPACE + "EnumType")
        }
        self.types: dict[str, dict[str, str]] = {}
        self.bases: dict[str, str] = {}
        for kind in ("EntityType", "ComplexType"):
            for one in root.iter(self.SPACE + kind):
                name = str(one.get("Name"))
                self.bases[name] = str(one.get("BaseType") or "").rpartition(".")[2]
                self.types[name] = {
                    str(field.get("Name")): str(field.get("Type"))
                    for tag in ("Property", "NavigationProperty")
                    for field in one.findall(self.SPACE + tag)
                }

    def fields(self, name: str) -> dict[str, str]:
        """The properties of a type, those it inherits included."""
        base = self.bases.get(name, "")
        return (self.fields(base) if base else {}) | self.types.get(name, {})

    def problems(self, name: str, value: Any, where: str = "") -> list[str]:
        """What of `value` the type does not allow."""
        named = str(value.get("@odata.type", "")).rpartition(".")[2] if isinstance(value, dict) else ""
        name = named if named in self.types else name
        if not isinstance(value, dict):
            return [f"{where}: {type(value).__name__}, not a {name}"]
        known = self.fields(name)
        found = []
        for key, item in value.items():
            if key.startswith("@"):
                continue
            if key not in known:
                found.append(f"{where}.{key}: not in {name}")
            elif item is not None:
                found += self._value(known[key], item, f"{where}.{key}")
        return found

    def _value(self, kind: str, value: Any, where: str) -> list[str]:
        if kind.startswith("Collection("):
            if not isinstance(value, list):
                return [f"{where}: {type(value).__name__}, not a collection"]
            inner = kind[11:-1]
            return [one for item in value for one in self._value(inner, item, where)]
        if kind.startswith("graph."):
            name = kind.removeprefix("graph.")
            if name in self.enums:
                return [] if value in self.enums[name] else [f"{where}: {value!r} is no {name}"]
            return self.problems(name, value, where)
        return [] if self._plain(kind, value) else [f"{where}: {value!r} is no {kind}"]

    @staticmethod
    def _plain(kind: str, value: Any) -> bool:
        match kind:
            case "Edm.Boolean":
                return isinstance(value, bool)
            case "Edm.Int32" | "Edm.Int64":
                return isinstance(value, int) and not isinstance(value, bool)
            case "Edm.DateTimeOffset":
                return datetime.fromisoformat(str(value).replace("Z", "+00:00")).tzinfo is not None
            case "Edm.Binary":
                try:
                    return isinstance(base64.b64decode(value, validate=True), bytes)
                except binascii.Error:
                    return False
            case _:
                return isinstance(value, str)


@cache
def gmail_contract() -> GmailContract | None:
    """Google's document, where it is there."""
    return GmailContract() if DISCOVERY.exists() else None


@cache
def graph_contract() -> GraphContract | None:
    """Microsoft's document, where it is there."""
    return GraphContract() if CSDL.exists() else None


def graph_type(verb: str, path: str) -> str:
    """What kind of resource a Graph path answers with; '' where it is none of these."""
    plain = re.sub(r"\(\)", "", path.partition("?")[0].removeprefix("/v1.0"))
    if plain.endswith("$value"):
        return ""
    if re.search(r"/attachments(/[^/]+)?$", plain) and "createUpload" not in plain:
        return "attachment"
    if plain.endswith("createUploadSession"):
        return "uploadSession"
    if re.search(r"/messages(/[^/]+)?(/(move|copy|create\w+|delta))?$", plain):
        return "message"
    if re.search(r"/(mailFolders|childFolders)(/[^/]+)?$", plain):
        return "mailFolder"
    return ""

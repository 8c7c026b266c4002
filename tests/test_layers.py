"""Who may import whom, and what must not be imported early (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crmmail"

# Higher may import lower or equal, never the other way round.
LEVELS = {
    "errors": 0, "i18n": 0, "model": 0, "faultpoint": 0, "signing": 0, "connecting": 0, "__init__": 0,
    "ops": 1, "mail": 1, "crm": 1, "providers": 1, "tui.format": 1,
    "config": 2, "store": 2, "auth": 2, "remotes": 2,
    "sync": 3,
    "mailboxes": 4, "setup": 4, "doctor": 4, "shell": 4, "shell_connect": 4, "shell_compose": 4, "cli": 4, "demo": 4,
    "crms": 4, "shell_crm": 4, "shell_accounts": 4, "shell_forms": 4, "tui": 4, "__main__": 4,
    "sandbox": 5,
}  # fmt: skip
WIRING = {"cli", "shell", "shell_connect", "shell_crm", "mailboxes", "crms", "setup", "doctor", "demo", "__main__",
          "tui.app", "tui.keeping"}  # fmt: skip
NETWORKED = ("sync", "auth", "remotes", "sandbox", "mailboxes", "crms", "setup", "doctor")
HEAVY = ("textual", "httpx", "msal", "google", "google_auth_oauthlib", "requests", "sqlite_utils", "babel", "tomlkit",
         "keyring", "cryptography", "rich", "imapclient", "smtplib", "tldextract", "dns")  # fmt: skip


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found.append((name.removesuffix(".__init__") if name != "__init__" else name, path))
    return found


def imports(path: Path) -> list[str]:
    """The crmmail modules a file imports anywhere, without the type checker's own imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "crmmail":
            base = node.module.removeprefix("crmmail").lstrip(".")
            found += [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name.removeprefix("crmmail.") for alias in node.names if alias.name.startswith("crmmail.")]
    return found


def level(name: str) -> int:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in LEVELS:
            return LEVELS[".".join(parts[:length])]
    return -1  # a name inside the package itself, such as __version__


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_point_one_way(name: str, path: Path) -> None:
    assert level(name) >= 0, f"{name} is in no layer: add it to LEVELS"
    upward = [
        other
        for other in imports(path)
        if level(other) > level(name) and not (other.startswith("sandbox") and name in WIRING)
    ]
    assert upward == []


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_only_the_wiring_sees_the_network(name: str, path: Path) -> None:
    top = name.split(".")[0]
    if name in WIRING or top in ("auth", "remotes", "sync", "sandbox"):
        return
    assert [other for other in imports(path) if other.split(".")[0] in NETWORKED] == []


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["list", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    statement = f"from crmmail.cli import main\ntry:\n    main({arguments!r})\nexcept SystemExit:\n    print()"
    assert loaded_after(statement) & set(HEAVY) == set()


@pytest.mark.parametrize("module", ["crmmail.store", "crmmail.ops", "crmmail.config", "crmmail.sync.decide"])
def test_the_core_imports_nothing_heavy(module: str) -> None:
    assert loaded_after(f"import {module}") & set(HEAVY) == set()


def test_listing_messages_needs_neither_the_interface_nor_the_network() -> None:
    statement = "from crmmail.cli import main\nassert main(['list']) == 0"
    assert loaded_after(statement) & {"textual", "httpx", "msal", "google", "requests"} == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    words = ("utils", "util", "helper", "helpers", "manager", "common", "misc")
    assert [name for name, _ in modules() if name.split(".")[-1] in words] == []


def test_the_files_that_begin_first_exist() -> None:
    from tests.conftest import LONGEST

    assert [name for name in LONGEST if not (PACKAGE.parent / "tests" / name).is_file()] == []

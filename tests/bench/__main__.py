"""How fast crmmail is, and others beside it, on this machine.

    python -m tests.bench [--sizes 1000,10000,100000] [--rounds 3] [--no-peers] [--work DIR] [--write]

Prints the tables of docs/performance.md; `--write` puts them there. Profiles are built once in the work folder
(100,000 messages: three minutes, 600 MB) and copied for each run, so nothing is measured on a used one.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import bench_crm, interface, peers, served
from tests.bench.ttyprobe import quantile

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
GOALS = {"start": 500.0, "next": 6.0, "page down": 16.0, "end": 16.0, "open": 16.0, "trash": 16.0, "undo": 16.0}
STEPS = ("start", "next", "page down", "end", "home", "open", "close", "trash", "undo")
WORDS = {"start": "start → full list", "end": "jump to end", "home": "jump to the top"}
COMMAND = str(Path(sys.executable).with_name("crmmail"))


def main() -> int:
    options = _options()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program starts from its bytecode
    options.work.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in options.sizes.split(",")]
    own = {count: interface.measure(options.work, count, options.rounds) for count in sizes}
    others = {}
    if not options.no_peers:
        for name in peers.installed():
            others[name] = {count: peers.measure(options.work, name, count, options.rounds) for count in sizes}
    lines = [*_machine(options.rounds), "", *_interface_table(own), "", *_memory_table(own, others, sizes), ""]
    lines += [*_peer_table(own, others, sizes), ""] if others else []
    lines += [*_served(options.work), "", *_customer(sizes[-1]), "", *_commands()]
    text = "\n".join(lines)
    sys.stdout.write(text + "\n")
    if options.write:
        _write(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "crmmail-bench")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args()


def _machine(rounds: int) -> list[str]:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    from importlib.metadata import version

    day = time.strftime("%Y-%m-%d")
    load = os.getloadavg()[0]
    return [
        f"Measured {day} on {model}, {os.cpu_count()} cores (load {load:.1f} from elsewhere), {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, Textual {version('textual')}; terminal "
        f"{interface.COLUMNS} × {interface.ROWS}, {rounds} runs of each size on fresh copies."
    ]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]


def _figures(values: list[float]) -> str:
    return f"{quantile(values, 0.5):.1f} / {quantile(values, 0.95):.1f}" if values else "–"


def _interface_table(own: dict[int, interface.Measured]) -> list[str]:
    rows = []
    for step in STEPS:
        goal = f"{GOALS[step]:.0f}" if step in GOALS else ""
        rows.append([WORDS.get(step, step), *(_figures(own[count].times.get(step, [])) for count in own), goal])
    return _table(["key to paint, ms (p50 / p95)", *(f"{count:,}" for count in own), "goal (p95)"], rows)


def _memory_table(own: dict[int, interface.Measured], others: dict[str, dict], sizes: list[int]) -> list[str]:
    rows = [["crmmail", *(f"{max(own[count].memory):.0f}" for count in sizes)]]
    for name, found in others.items():
        rows.append([peers.version(name), *(f"{max(found[count]['memory']):.0f}" for count in sizes)])
    return _table(["memory (PSS), MB", *(f"{count:,}" for count in sizes)], rows)


def _peer_table(own: dict[int, interface.Measured], others: dict[str, dict], sizes: list[int]) -> list[str]:
    largest = sizes[-1]
    head = [f"at {largest:,}, ms (p50 / p95)", "crmmail", *(peers.version(name) for name in others)]
    rows = []
    for step in STEPS:
        figures = [_figures(found[largest]["times"].get(step, [])) for found in others.values()]
        rows.append([WORDS.get(step, step), _figures(own[largest].times.get(step, [])), *figures])
    return _table(head, rows)


def _served(work: Path) -> list[str]:
    filled, held = served.fill(work, 2000), served.hold(work)
    return _table(
        ["with a server", "measured"],
        [
            ["CPU of a synchronised message (HTTPS, parsing, store, index), ms", f"{filled.cpu_ms:.1f}"],
            [f"first fill of {filled.messages:,} messages in two mailboxes, s", f"{filled.seconds:.1f}"],
            [
                f"{served.HELD} × `d` at {served.KEYS_A_SECOND} keys a second, server answering after "
                f"{served.LATENCY:.0f} s, {served.ARRIVING} messages arriving: last key's effect on the screen, s",
                f"{held.interface_seconds:.2f}",
            ],
            ["… CPU of the program in that time, s", f"{held.cpu_seconds:.2f}"],
            ["… exactly those messages trashed, on the server too", "yes" if held.exact else "NO"],
        ],
    )


def _customer(size: int) -> list[str]:
    rows = [list(figure) for figure in bench_crm.figures(size, max(1, size // 5))]
    return _table([f"the customer, at {size:,} messages and {size // 5:,} accounts", "measured", "goal"], rows)


def _commands() -> list[str]:
    """Whole-process time of the commands that must be instant, beside an empty interpreter."""
    rows = []
    for words in (["--version"], ["--help"], ["list", "--help"]):
        rows.append([f"crmmail {' '.join(words)}", f"{_wall([COMMAND, *words]):.0f}"])
    rows.append(["python -c pass", f"{_wall([sys.executable, '-c', 'pass']):.0f}"])
    return _table(["command", "ms (median of 11)"], rows)


def _wall(command: list[str]) -> float:
    times = []
    for _ in range(12):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[1:])


def _write(text: str) -> None:
    whole = DOCUMENT.read_text(encoding="utf-8")
    block = f"{BEGIN}\n\n{text}\n\n{END}"
    DOCUMENT.write_text(re.sub(f"{BEGIN}.*{END}", lambda _found: block, whole, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

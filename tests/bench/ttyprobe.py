"""ttyprobe: time what a terminal program SHOWS, from the keyboard to the screen.

It runs a command in a pseudo-terminal of a fixed size, types keys, watches the screen through a terminal
emulator (pyte) and reports, for every step, how many milliseconds passed until the screen showed what the
step expects. Nothing in the program under test is instrumented, so the same scenario file measures any
terminal program, and two programs can be compared in interleaved (paired) rounds.

    python -m tests.bench.ttyprobe SCENARIO.json [SCENARIO2.json ...] [--rounds 7] [--var name=value ...] [--out FILE]
    python -m tests.bench.ttyprobe --steps 'start||Inbox' --steps 'next|j|@cursor|20' -- mutt -f ~/Maildir

A scenario is one JSON object:

    {"name": "neomutt", "cmd": ["neomutt", "-f", "{maildir}"], "cols": 200, "rows": 50,
     "env": {"LANG": "C.UTF-8"}, "setup": "rm -rf {work}/cache",          <- shell, before each run, not timed
     "steps": [
       {"name": "start", "expect": "Msgs:1000", "min_rows": 45},          <- first step: from fork() on
       {"name": "next",  "keys": "<down>", "expect": "@cursor", "repeat": 30},
       {"name": "open",  "keys": "<enter>", "expect": "Protocolo K\\\\d+"},
       {"name": "quit",  "keys": "q", "expect": "@exit"}]}

{name} in any string is replaced by --var name=value. Keys: plain text plus <enter> <esc> <tab> <space>
<up> <down> <left> <right> <home> <end> <c-home> <c-end> <pgup> <pgdn> <bs> <del> <f1>..<f12> <c-x> <a-x> <lt>.

`expect` is a regular expression searched in the whole screen (rows joined with newlines, trailing blanks
cut), or one of
    @change   any cell or colour differs from the screen before the key
    @cursor   the highlighted row(s) are not the same as before the key (row index or text), where a
              highlighted row is one painted in reverse video or in a background other than most rows'
    @settle   whatever it draws: wait until output stops (or nothing was drawn for `quiet_ms`)
    @exit     the program ended
A list means all of them. Options of a step: not_expect (must be absent), min_rows (non-blank rows at
least), row (search only this row, 0 = top, negative from the bottom), hl (regex searched in the
highlighted rows only), repeat, timeout_s, quiet_ms, rss (sample memory after the step), pause_ms (wait
before typing), optional (a timeout is noted, not fatal), screen (keep the screen's text in the report).

Per step it reports, in milliseconds since the key was written (or since fork for the first step):
    first_ms   first byte the program wrote back
    match_ms   the output chunk after which the expectation held     <- "key to paint"
    settle_ms  the last output chunk before `quiet_ms` of silence    <- "screen fully drawn"
    cpu_ms     CPU time used by the process tree in the step (immune to a noisy neighbour)
    bytes      bytes written to the terminal in the step

How it stays out of the way: a forked reader process does nothing but read the pty and stamp every chunk
with the monotonic clock, so the (slow, pure Python) emulation never delays the program or the stamps; the
time reported is the stamp of the chunk, not the moment the emulator got to it. Terminal queries (device
attributes, cursor position, DEC mode reports, colours) are answered by the reader at once, as a modern
terminal would. No key is sent before the previous step has settled.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.emulator import Terminal
from tests.bench.session import Session, tree_cpu_ns, tree_memory_kb


def make_condition(step: dict, term: Terminal):
    """Compile a step's expectations against the screen as it is now."""
    wants = step.get("expect", "@settle")
    wants = [wants] if isinstance(wants, str) else list(wants)
    if wants == ["@exit"]:
        return "exit"
    tests = []
    for w in wants:
        if w == "@settle":
            continue
        if w == "@change":
            before = term.snapshot()
            tests.append(lambda t, b=before: t.snapshot() != b)
        elif w == "@cursor":
            before_hl = term.highlighted()
            tests.append(lambda t, b=before_hl: t.highlighted() != b)
        else:
            rx, row = re.compile(w), step.get("row")
            if row is None:
                tests.append(lambda t, rx=rx: rx.search("\n".join(t.text())) is not None)
            else:
                tests.append(lambda t, rx=rx, row=row: rx.search(t.text()[row]) is not None)
    if "hl" in step:
        rx_hl = re.compile(step["hl"])
        tests.append(lambda t: any(rx_hl.search(text) for _, text, _ in t.highlighted()))
    if "not_expect" in step:
        rx_not = re.compile(step["not_expect"])
        tests.append(lambda t: rx_not.search("\n".join(t.text())) is None)
    if "min_rows" in step:
        n = step["min_rows"]
        tests.append(lambda t: sum(1 for x in t.text() if x) >= n)
    if not tests:
        return None
    return lambda t: all(f(t) for f in tests)


def subst(value, names: dict[str, str]):
    if isinstance(value, str):
        return re.sub(r"\{([a-z_][a-z0-9_]*)\}", lambda m: names.get(m.group(1), m.group(0)), value)
    if isinstance(value, list):
        return [subst(v, names) for v in value]
    if isinstance(value, dict):
        return {k: subst(v, names) for k, v in value.items()}
    return value


def run_once(sc: dict, keep_screens: bool = False) -> dict:
    if sc.get("setup"):
        subprocess.run(["sh", "-c", sc["setup"]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    s = Session(sc["cmd"], sc.get("cols", 200), sc.get("rows", 50), sc.get("env"), sc.get("cwd"))
    quiet = sc.get("quiet_ms", 60)
    steps, failed = [], None
    try:
        for i, step in enumerate(sc["steps"]):
            for _ in range(step.get("repeat", 1)):
                if step.get("pause_ms"):
                    s.wait(time.monotonic_ns(), None, step["pause_ms"] / 1e3, step["pause_ms"])
                cond = make_condition(step, s.term)
                cpu0 = 0 if i == 0 else tree_cpu_ns(s.pid)
                if "keys" in step:
                    t0 = s.type(step["keys"])
                else:
                    t0 = s.start_ns if i == 0 else time.monotonic_ns()
                r = s.wait(t0, cond, step.get("timeout_s", 20), step.get("quiet_ms", quiet))
                r["cpu_ms"] = round((tree_cpu_ns(s.pid) - cpu0) / 1e6, 3) if not s.eof else None
                if step.get("rss") and not s.eof:
                    r.update(tree_memory_kb(s.pid))
                r = {"step": step["name"], **r}
                if keep_screens or step.get("screen"):
                    r["screen"] = list(s.term.text())
                if not r["ok"] and not step.get("optional"):
                    failed = step["name"]
                    r["screen"] = s.term.text()[:]
                    r["highlighted"] = [(y, x) for y, x, _ in s.term.highlighted()]
                steps.append(r)
                if failed:
                    break
            if failed:
                break
    finally:
        s.close()
    return {"scenario": sc["name"], "failed": failed, "exit": s.status, "steps": steps}


def quantile(xs: list[float], q: float) -> float:
    xs = sorted(xs)
    if len(xs) == 1:
        return xs[0]
    pos = q * (len(xs) - 1)
    lo = int(pos)
    return xs[lo] + (xs[min(lo + 1, len(xs) - 1)] - xs[lo]) * (pos - lo)


def summarise(runs: list[dict]) -> dict:
    """scenario -> step -> field -> {n, min, median, p95, max}"""
    out: dict = {}
    for run in runs:
        for st in run["steps"]:
            slot = out.setdefault(run["scenario"], {}).setdefault(st["step"], {})
            if not st["ok"]:
                slot["failed"] = slot.get("failed", 0) + 1
                continue
            for f in ("first_ms", "match_ms", "settle_ms", "cpu_ms", "bytes", "rss_kb", "pss_kb", "anon_kb"):
                if st.get(f) is not None:
                    slot.setdefault(f, []).append(st[f])
    for steps in out.values():
        for slot in steps.values():
            for f, xs in list(slot.items()):
                if isinstance(xs, list):
                    slot[f] = {
                        "n": len(xs),
                        "min": min(xs),
                        "median": round(statistics.median(xs), 3),
                        "p95": round(quantile(xs, 0.95), 3),
                        "max": max(xs),
                    }
    return out


def ratios(runs: list[dict], base: str) -> dict:
    """Per step: median over rounds of (scenario / base scenario in the same round), on match_ms medians."""
    by_round: dict = {}
    for run in runs:
        for st in run["steps"]:
            if st["ok"] and st.get("match_ms") is not None:
                by_round.setdefault(run["round"], {}).setdefault(run["scenario"], {}).setdefault(st["step"], []).append(
                    st["match_ms"]
                )
    out: dict = {}
    for scs in by_round.values():
        for name, steps in scs.items():
            if name == base:
                continue
            for step, xs in steps.items():
                ref = scs.get(base, {}).get(step)
                if ref:
                    out.setdefault(name, {}).setdefault(step, []).append(statistics.median(xs) / statistics.median(ref))
    return {
        n: {
            s: {"n": len(v), "median": round(statistics.median(v), 3), "min": round(min(v), 3), "max": round(max(v), 3)}
            for s, v in d.items()
        }
        for n, d in out.items()
    }


def parse_inline(text: str) -> dict:
    parts = ([*text.split("|"), "", "", ""])[:4]
    step = {"name": parts[0], "expect": parts[2] or "@settle"}
    if parts[1]:
        step["keys"] = parts[1]
    if parts[3]:
        step["repeat"] = int(parts[3])
    return step


def main(argv=None) -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("scenario", nargs="*", type=Path, help="scenario files; the first is the base of the ratios")
    ap.add_argument("--steps", action="append", default=[], metavar="NAME|KEYS|EXPECT|REPEAT")
    ap.add_argument("--rounds", type=int, default=1, help="runs of each scenario, interleaved A B A B ...")
    ap.add_argument("--warmup", type=int, default=0, help="rounds thrown away first")
    ap.add_argument("--var", action="append", default=[], metavar="NAME=VALUE")
    ap.add_argument("--screens", action="store_true", help="keep every step's screen text in the report")
    ap.add_argument("--out", type=Path, help="write the full JSON report here (default: standard output)")
    ap.add_argument("--table", action="store_true", help="print a short table instead of JSON")
    argv = sys.argv[1:] if argv is None else argv
    cmd = []
    if "--" in argv:
        cut = argv.index("--")
        argv, cmd = argv[:cut], argv[cut + 1 :]
    args = ap.parse_args(argv)
    names = dict(v.split("=", 1) for v in args.var)
    scenarios = [subst(json.loads(p.read_text()), names) for p in args.scenario]
    if cmd:
        scenarios.append({"name": shlex.join(cmd)[:60], "cmd": cmd, "steps": [parse_inline(s) for s in args.steps]})
    if not scenarios:
        ap.error("give a scenario file, or --steps ... -- COMMAND")
    runs = []
    for rnd in range(-args.warmup, args.rounds):
        for sc in scenarios:
            r = run_once(sc, args.screens)
            if rnd >= 0:
                runs.append({"round": rnd, **r})
            if r["failed"]:
                print(f"ttyprobe: {sc['name']}: step {r['failed']!r} timed out", file=sys.stderr)
                if not args.out:
                    print("\n".join(r["steps"][-1]["screen"]), file=sys.stderr)
    report = {"summary": summarise(runs), "ratios_to_first": ratios(runs, scenarios[0]["name"]), "runs": runs}
    if args.out:
        args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False))
    if args.table:
        print_table(report)
    elif not args.out:
        json.dump(report, sys.stdout, indent=1, ensure_ascii=False)
        print()
    return 1 if any(r["failed"] for r in runs) else 0


def print_table(report: dict) -> None:
    head = ("scenario", "step", "n", "match med", "p95", "settle med", "cpu med", "bytes", "MB pss", "ratio")
    rows = []
    for sc, steps in report["summary"].items():
        for name, s in steps.items():
            m = s.get("match_ms", {})
            rows.append(
                (
                    sc,
                    name + (f" ({s['failed']} FAILED)" if "failed" in s else ""),
                    str(m.get("n", "-")),
                    *(
                        f"{v:.1f}" if v is not None else "-"
                        for v in (
                            m.get("median"),
                            m.get("p95"),
                            s.get("settle_ms", {}).get("median"),
                            s.get("cpu_ms", {}).get("median"),
                        )
                    ),
                    str(int(s["bytes"]["median"])) if "bytes" in s else "-",
                    f"{s['pss_kb']['median'] / 1024:.1f}" if "pss_kb" in s else "",
                    f"{report['ratios_to_first'].get(sc, {}).get(name, {}).get('median', '')}",
                )
            )
    width = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    for r in [head, *rows]:
        print("  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, width, strict=True))))


if __name__ == "__main__":
    sys.exit(main())

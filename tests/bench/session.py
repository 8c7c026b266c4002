"""A program in a pseudo-terminal, with a stamp on every chunk it writes and an emulated screen to look at.

A forked reader process does nothing but read the terminal and stamp what comes, so the slow, pure Python emulation
never delays the program or the stamps. It also answers what programs ask a terminal at start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path

from tests.bench.emulator import Terminal, encode_keys

PAUSE_MS, LONGEST_MS = 12, 400  # what counts as a pause of the program; how long to wait for one
_QUERY = re.compile(
    rb"\x1b\[(?P<da>0?c)|\x1b\[>(?P<da2>0?c)|\x1b\[(?P<dsr>[56]n)|\x1b\[\?(?P<rqm>\d+)\$p"
    rb"|\x1b\](?P<osc>1[01]);\?(?:\x07|\x1b\\)|\x1b\[>(?P<xtv>0?q)|\x1b\[(?P<win>1[48]t)"
)


def _answer(m: re.Match, cols: int, rows: int) -> bytes:
    if m["da"]:
        return b"\x1b[?62;22c"
    if m["da2"]:
        return b"\x1b[>1;10;0c"
    if m["dsr"]:
        return b"\x1b[0n" if m["dsr"] == b"5n" else b"\x1b[1;1R"
    if m["rqm"]:  # 2026 = synchronized output: supported and off; everything else: not recognised
        return b"\x1b[?%s;%d$y" % (m["rqm"], 2 if m["rqm"] == b"2026" else 0)
    if m["osc"]:
        return b"\x1b]%s;rgb:%s\x1b\\" % (m["osc"], b"d0d0/d0d0/d0d0" if m["osc"] == b"10" else b"1010/1010/1010")
    if m["xtv"]:
        return b"\x1bP>|ttyprobe\x1b\\"
    return b"\x1b[8;%d;%dt" % (rows, cols) if m["win"] == b"18t" else b"\x1b[4;%d;%dt" % (rows * 16, cols * 8)


def _reader(master: int, out: int, cols: int, rows: int) -> None:
    """Child process: pty -> (stamp, length, bytes) on a pipe; answers terminal queries."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    carry = b""
    with contextlib.suppress(OSError):
        os.nice(-5)
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            data = b""
        now = time.monotonic_ns()
        if (data and b"\x1b" in data) or carry:
            hay = carry + data
            last = 0
            for m in _QUERY.finditer(hay):
                with contextlib.suppress(OSError):
                    os.write(master, _answer(m, cols, rows))
                last = m.end()
            esc = hay.rfind(b"\x1b", last)
            carry = (
                hay[esc:]
                if esc >= 0 and len(hay) - esc < 16 and not re.match(rb"\x1b\[[0-9;?]*[A-Za-z]", hay[esc:])
                else b""
            )
        msg = struct.pack("<QI", now, len(data)) + data
        while msg:
            msg = msg[os.write(out, msg) :]
        if not data:
            os._exit(0)


def _tree(pid: int) -> list[int]:
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        with contextlib.suppress(OSError):
            for tid in os.listdir(f"/proc/{p}/task"):
                with contextlib.suppress(OSError):
                    todo += [int(c) for c in Path(f"/proc/{p}/task/{tid}/children").read_text().split()]
    return out


def tree_cpu_ns(pid: int) -> int:
    """CPU time of live threads in the tree (scheduler's own ns counters) + reaped children."""
    total = 0
    for p in _tree(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for tid in os.listdir(f"/proc/{p}/task"):
                with contextlib.suppress(OSError):
                    total += int(Path(f"/proc/{p}/task/{tid}/schedstat").read_text().split()[0])
            stat = Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(stat[13]) + int(stat[14])) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))
    return total


def tree_memory_kb(pid: int) -> dict[str, int]:
    rss = pss = anon = 0
    for p in _tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{p}/smaps_rollup").read_text().splitlines():
                key, _, rest = line.partition(":")
                if key in ("Rss", "Pss", "Anonymous"):
                    n = int(rest.split()[0])
                    rss += n * (key == "Rss")
                    pss += n * (key == "Pss")
                    anon += n * (key == "Anonymous")
    return {"rss_kb": rss, "pss_kb": pss, "anon_kb": anon}


class Session:
    """One run of the program. `key(...)`, `wait(...)` and `close()`; usable from tests too."""

    def __init__(
        self, cmd: list[str], cols: int = 200, rows: int = 50, env: dict | None = None, cwd: str | None = None
    ):
        self.cols, self.rows = cols, rows
        self.term = Terminal(cols, rows)
        full = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "LINES": str(rows),
            "COLUMNS": str(cols),
            **(env or {}),
        }
        # An installed program starts from its bytecode; where this is set, ours would be compiled anew at each start.
        full.pop("PYTHONDONTWRITEBYTECODE", None)
        for k in ("LINES", "COLUMNS"):
            if env is None or k not in env:
                full.pop(k)
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, cols * 8, rows * 16))
        self.pipe, wr = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(wr, 1031, 1 << 20)  # F_SETPIPE_SZ: room for a burst
        self.reader = os.fork()
        if self.reader == 0:
            os.close(self.pipe)
            os.close(slave)
            _reader(self.master, wr, cols, rows)
        os.close(wr)
        self.start_ns = time.monotonic_ns()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in (0, 1, 2):
                    os.dup2(slave, fd)
                os.closerange(3, 256)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                if cwd:
                    os.chdir(cwd)
                os.execvpe(cmd[0], cmd, full)
            except BaseException as e:  # noqa: BLE001
                os.write(2, f"ttyprobe: cannot start {cmd[0]}: {e}".encode())
            finally:
                os._exit(127)
        os.close(slave)
        self._buf = b""
        self.eof = False
        self.status: int | None = None
        self.exit_ns = 0

    def _poll(self, timeout: float) -> list[tuple[int, bytes]]:
        if self.eof:
            time.sleep(min(timeout, 0.01))
            return []
        r, _, _ = select.select([self.pipe], [], [], max(0.0, timeout))
        if not r:
            return []
        data = os.read(self.pipe, 1 << 20)
        if not data:
            self.eof = True
            return []
        self._buf += data
        out, i = [], 0
        while len(self._buf) - i >= 12:
            ns, n = struct.unpack_from("<QI", self._buf, i)
            if len(self._buf) - i - 12 < n:
                break
            chunk = self._buf[i + 12 : i + 12 + n]
            i += 12 + n
            if n == 0:
                self.eof, self.exit_ns = True, ns
            else:
                out.append((ns, chunk))
        self._buf = self._buf[i:]
        return out

    def type(self, keys: str) -> int:
        data = encode_keys(keys, self.term.app_cursor)
        now = time.monotonic_ns()
        os.write(self.master, data)
        return now

    def wait(self, t0: int, cond, timeout_s: float, quiet_ms: float) -> dict:
        """Feed output until cond(term) holds and then until `quiet_ms` of silence.

        The emulator looks when the program pauses: reading along, it would take a core from what is being measured.
        What counts are the stamps, and those are taken by the reader as the chunks come.
        """
        deadline = time.monotonic_ns() + int(timeout_s * 1e9)
        first = match = last = None
        nbytes = 0
        matched = cond is None
        waiting: list[tuple[int, bytes]] = []
        last_seen = time.monotonic_ns()
        while True:
            now = time.monotonic_ns()
            if now > deadline:
                break
            if self.eof and not waiting:
                if cond == "exit":
                    match, matched = self.exit_ns, True
                break
            if matched and not waiting and now - last_seen > quiet_ms * 1e6:
                break
            patience = PAUSE_MS / 1e3 if waiting else quiet_ms / 1e3 if matched else 0.25
            chunks = self._poll(min((deadline - now) / 1e9, patience))
            waiting += chunks
            if chunks:
                last_seen = time.monotonic_ns()
                if last_seen - waiting[0][0] < LONGEST_MS * 1e6:
                    continue
            for ns, data in waiting:
                first = first or ns
                last = ns
                nbytes += len(data)
                self.term.feed(data)
                if not matched and cond != "exit" and cond(self.term):
                    matched, match = True, ns
            waiting = []
        if cond is None:
            match = last

        def ms(ns):
            return None if ns is None else round((ns - t0) / 1e6, 3)

        return {"ok": matched, "first_ms": ms(first), "match_ms": ms(match), "settle_ms": ms(last), "bytes": nbytes}

    def close(self) -> None:
        def reap(hang: bool) -> bool:
            if self.status is None:
                with contextlib.suppress(ChildProcessError):
                    pid, st = os.waitpid(self.pid, 0 if hang else os.WNOHANG)
                    if pid:
                        self.status = os.waitstatus_to_exitcode(st)
            return self.status is not None

        for sig, wait_s in ((signal.SIGHUP, 1.0), (signal.SIGTERM, 1.0), (signal.SIGKILL, 2.0)):
            if reap(False):
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, sig)
            end = time.monotonic() + wait_s
            while time.monotonic() < end and not reap(False):
                self._poll(0.02)
        with contextlib.suppress(OSError):
            os.close(self.master)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.reader, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.reader, 0)
        with contextlib.suppress(OSError):
            os.close(self.pipe)

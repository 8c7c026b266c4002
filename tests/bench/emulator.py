"""The screen a program sees: keys as a terminal sends them, and an emulation (pyte) of what it paints."""

from __future__ import annotations

import re

import pyte

KEYS = {
    "enter": "\r",
    "esc": "\x1b",
    "tab": "\t",
    "s-tab": "\x1b[Z",
    "space": " ",
    "bs": "\x7f",
    "lt": "<",
    "del": "\x1b[3~",
    "ins": "\x1b[2~",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "c-home": "\x1b[1;5H",
    "c-end": "\x1b[1;5F",
    "pgup": "\x1b[5~",
    "pgdn": "\x1b[6~",
    **{
        f"f{i}": s
        for i, s in enumerate(
            [
                "\x1bOP",
                "\x1bOQ",
                "\x1bOR",
                "\x1bOS",
                "\x1b[15~",
                "\x1b[17~",
                "\x1b[18~",
                "\x1b[19~",
                "\x1b[20~",
                "\x1b[21~",
                "\x1b[23~",
                "\x1b[24~",
            ],
            1,
        )
    },
}
KEYS_APP = {
    **KEYS,
    "up": "\x1bOA",
    "down": "\x1bOB",
    "right": "\x1bOC",
    "left": "\x1bOD",
    "home": "\x1bOH",
    "end": "\x1bOF",
}  # DECCKM: application cursor keys


def encode_keys(text: str, app_cursor: bool = False) -> bytes:
    table = KEYS_APP if app_cursor else KEYS

    def one(m: re.Match) -> str:
        k = m.group(1).lower()
        if k in table:
            return table[k]
        if re.fullmatch(r"c-.", k):
            return chr(ord(k[2].upper()) & 0x1F)
        if re.fullmatch(r"a-.", k):
            return "\x1b" + m.group(1)[2]
        raise SystemExit(f"ttyprobe: unknown key <{m.group(1)}>")

    return re.sub(r"<([A-Za-z0-9-]+.?)>", one, text).encode()


# Sequences pyte 0.8 does not know and would print or misread: private CSI (< = >), CSI with intermediates
# (e.g. "$p"), DCS/APC/PM/SOS strings, "ESC =" style keypad switches are fine.
_STRIP = re.compile(
    rb"\x1b\[[<=>][0-9;:]*[@-~]|\x1b\[\??[0-9;:]*[ !\"#$%&'()*+,./]+[@-~]"
    rb"|\x1b[P_^X].*?(?:\x1b\\|\x9c)",
    re.S,
)
_TAIL = re.compile(rb"\x1b(?:\[[0-9;:<=>? !\"#$%&'()*+,./]*|[P_^X\]][^\x1b\x07]*\x1b?)?$", re.S)
_ALT = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")
_COLON_SGR = re.compile(rb"\x1b\[([0-9;]*:[0-9;:]*)m")


def _sgr_colons(m: re.Match) -> bytes:
    out = []
    for p in m.group(1).split(b";"):
        if p.startswith((b"38:", b"48:")):
            bits = [b for b in p.split(b":") if b]
            if bits[1] == b"2" and len(bits) > 5:  # 38:2:<colourspace>:r:g:b
                del bits[2]
            out.append(b";".join(bits))
        elif b":" not in p:
            out.append(p)
        elif p.startswith(b"4:"):
            out.append(b"24" if p == b"4:0" else b"4")
    return b"\x1b[" + b";".join(out) + b"m"


class _Screen(pyte.Screen):
    def repeat_char(self, n: int = 1, **_) -> None:
        if self.cursor.x:
            self.draw(self.buffer[self.cursor.y][self.cursor.x - 1].data * max(1, n))

    def scroll_up(self, n: int = 1, **_) -> None:
        self._scroll(max(1, n), pyte.Screen.delete_lines)

    def scroll_down(self, n: int = 1, **_) -> None:
        self._scroll(max(1, n), pyte.Screen.insert_lines)

    def _scroll(self, n: int, how) -> None:
        x, y = self.cursor.x, self.cursor.y
        self.cursor.y = self.margins.top if self.margins else 0
        how(self, n)
        self.cursor.x, self.cursor.y = x, y

    def report_device_status(self, *_a, **_k) -> None:  # queries are answered by the reader process
        pass

    report_device_attributes = report_device_status


class _Stream(pyte.ByteStream):
    csi = {**pyte.ByteStream.csi, "b": "repeat_char", "S": "scroll_up", "T": "scroll_down"}
    events = pyte.ByteStream.events | {"repeat_char", "scroll_up", "scroll_down"}


class Terminal:
    """Screen contents: text of every row, and which rows are highlighted."""

    def __init__(self, cols: int, rows: int):
        self.cols, self.rows = cols, rows
        self.screen = _Screen(cols, rows)
        self.stream = _Stream(self.screen)
        self._tail = b""
        self._text = [""] * rows
        self._style: list[tuple] = [()] * rows
        self.screen.dirty.update(range(rows))
        self.app_cursor = False

    def feed(self, data: bytes) -> None:
        data = self._tail + data
        m = _TAIL.search(data)
        self._tail = data[m.start() :] if m and len(data) - m.start() < 65536 else b""
        if self._tail:
            data = data[: -len(self._tail)]
        for m in re.finditer(rb"\x1b\[\?1([hl])", data):
            self.app_cursor = m.group(1) == b"h"
        data = _STRIP.sub(b"", data)
        data = _COLON_SGR.sub(_sgr_colons, data)
        data = _ALT.sub(b"\x1b[H\x1b[2J", data)
        self.stream.feed(data)

    def _refresh(self) -> None:
        dirty = self.screen.dirty
        if not dirty:
            return
        cols, buf = self.cols, self.screen.buffer
        default = self.screen.default_char
        for y in dirty:
            if y >= self.rows:
                continue
            line = buf[y]
            cells = [line.get(x, default) for x in range(cols)]
            self._text[y] = "".join(c.data for c in cells).rstrip()
            runs: dict[tuple, int] = {}
            for c in cells:
                key = (c.bg, c.reverse)
                runs[key] = runs.get(key, 0) + 1
            self._style[y] = tuple(sorted(runs.items(), key=lambda kv: -kv[1]))
        dirty.clear()

    def text(self) -> list[str]:
        self._refresh()
        return self._text

    def snapshot(self) -> tuple:
        self._refresh()
        return tuple(self._text), tuple(self._style)

    def highlighted(self) -> list[tuple[int, str, tuple]]:
        """Rows with at least 8 cells painted unlike the screen's usual background."""
        self._refresh()
        usual: dict[tuple, int] = {}
        for st in self._style:
            for key, n in st:
                usual[key] = usual.get(key, 0) + n
        base = max(usual, key=usual.get) if usual else None
        out = []
        for y, st in enumerate(self._style):
            odd = tuple((k, n) for k, n in st if k != base)
            if sum(n for _, n in odd) >= 8:
                out.append((y, self._text[y], odd))
        return out

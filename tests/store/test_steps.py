"""The process ends at every numbered point of its writing, and goes on to the same end (faults.json K02)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from crmmail.store import Store
from tests.store.told import check


def run(root: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.script", str(root)],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout


def test_ended_at_any_point_of_writing_the_program_goes_on_to_the_same_end(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "whole").mkdir()
    code, undisturbed = run(tmp_path / "whole", CRMMAIL_FAULT_LOG=str(trace))
    assert code == 0
    points = trace.read_text().split()
    assert {"store.commit", "store.desk", "store.projected", "store.based"} <= set(points)
    expected = json.loads(undisturbed)
    for point in range(1, len(points) + 1, 1 if os.environ.get("CRMMAIL_ALL_STEPS") else 4):
        root = tmp_path / str(point)
        root.mkdir()
        code, _said = run(root, CRMMAIL_FAULT_AT=str(point))
        assert code == -9
        code, said = run(root)
        assert (code, json.loads(said)) == (0, expected), (point, points[point - 1])
        with Store.open(root / "profile") as store:
            check(store)

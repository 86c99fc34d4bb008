"""Results in a file: by columns, and of a run whose HQ is no longer there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from OttoLibrary.load.result_store import FILE, ResultColumns, ResultReader, ResultWriter


@pytest.mark.parametrize(
    ("length_s", "spans"),
    [(1, [(10, [10.0, 10.9]), (11, [11.0]), (25, [25.5])]), (10, [(10, [10.0, 10.9, 11.0]), (20, [25.5])]), (0.3, None)],
)
def test_stretches_of_time_hold_each_result_once(length_s: float, spans: list[tuple[int, list[float]]] | None) -> None:
    columns = ResultColumns(array("d", [10.0, 10.9, 11.0, 25.5]), array("d", [1, 2, 3, 4]), bytearray(4))
    found = [(at, list(columns.epochs[part])) for at, part in columns.spans(length_s)]
    assert [epoch for _, part in found for epoch in part] == list(columns.epochs)
    assert spans is None or found == spans


def test_a_run_whose_writer_is_gone_before_its_end_was_killed(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path / FILE)
    writer.commit((), (), (), (), {"state": "stopping"})
    reader = ResultReader(tmp_path / FILE)
    assert reader.run()["state"] == "stopping"
    code = "import os; words = open('/proc/self/stat').read().rpartition(')')[2].split(); print(os.getpid(), words[19])"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    _written_by(tmp_path, f"{boot} {' '.join(gone)}")
    assert reader.run()["state"] == "killed"
    # Its number may be another's by now.
    _written_by(tmp_path, f"{boot} {os.getpid()} 1")
    assert reader.run()["state"] == "killed"
    writer.commit((), (), (), (), {"state": "ended"})
    assert reader.run()["state"] == "ended"
    writer.close()


def _written_by(folder: Path, mark: str) -> None:
    with sqlite3.connect(folder / FILE) as db:
        db.execute("UPDATE otto_run SET value = ? WHERE key = 'written_by'", (json.dumps(mark),))

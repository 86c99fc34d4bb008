"""What loading a large lab costs: in time of the processor, and whether it grows as the lab does."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from OttoLibrary.lab.loading import load_lab
from tests.benchmarks.measure import ROUNDS, Row

_FEW, _MANY = 1000, 4000


def all_rows() -> list[Row]:
    """Measure the load of a thousand and of four thousand hosts behind one hop, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (_lab(Path(folder), count) for count in (_FEW, _MANY))
        load_lab(str(few))
        pairs = [(_load_ms(few), _load_ms(many)) for _ in range(ROUNDS)]
    few_ms, many_ms = (statistics.median(times) for times in zip(*pairs, strict=True))
    growth = _MANY / _FEW * 1.5
    return [
        Row(f"load a lab of {_MANY} hosts behind a hop", many_ms, f"of {_FEW} hosts", few_ms, growth),
        Row(f"load a lab of {_MANY} hosts behind a hop", many_ms, "", None, 1500, absolute=True),
    ]


def _lab(folder: Path, count: int) -> Path:
    duts = {f"dut{number}": {"address": f"10.0.{number // 250}.{number % 250}", "hop": "gateway"} for number in range(count)}
    file = folder / f"{count}.json"
    file.write_text(json.dumps({"defaults": {"user": "tester", "tags": ["dut"]}, "hosts": {"gateway": {"address": "g"}, **duts}}))
    return file


def _load_ms(file: Path) -> float:
    began = time.process_time()
    load_lab(str(file))
    return (time.process_time() - began) * 1000

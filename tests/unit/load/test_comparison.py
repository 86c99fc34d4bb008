"""Two runs side by side: no alarm for the same target, an alarm for one that is a fifth slower."""

from __future__ import annotations

import random
from pathlib import Path

from OttoLibrary.load.comparison import compare
from OttoLibrary.load.result_store import FILE, ResultReader, ResultWriter
from OttoLibrary.load.second import Second
from OttoLibrary.load.turret.batches import RESPONSE


def run(folder: Path, seed: int, factor: float = 1.0) -> ResultReader:
    """Return a run of a minute, whose target is slower in some seconds than in others."""
    chance = random.Random(seed)
    writer = ResultWriter(folder / FILE)
    seconds = []
    for at in range(60):
        second, mood = Second(1000 + at), chance.gauss(1.0, 0.05)
        for _ in range(100):
            second.histogram(RESPONSE).add(factor * mood * chance.lognormvariate(-3, 0.3))
        seconds.append(second)
    writer.commit((), seconds, (), (), {"state": "ended"})
    writer.close()
    return ResultReader(folder / FILE)


def test_the_same_target_is_never_slower_and_a_slower_one_always(tmp_path: Path) -> None:
    for number in range(20):
        old = run(tmp_path / f"old-{number}", 1000 + number)
        same = run(tmp_path / f"same-{number}", 2000 + number)
        slower = run(tmp_path / f"slower-{number}", 3000 + number, 1.2)
        assert not any(row.is_slower for row in compare(old, same))
        assert any(row.is_slower for row in compare(old, slower))

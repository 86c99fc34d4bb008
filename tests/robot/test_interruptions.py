"""Whatever interrupts a scenario, hosts are as they were before. The benchmark ``healing`` does it many times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.peers.interruptions import WAYS, interrupted


def test_no_interruption_leaves_a_host_disturbed(tmp_path: Path) -> None:
    # All at once, since what was killed heals only after the lease.
    folders = [tmp_path / f"w{number}" for number, _ in enumerate(WAYS)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(len(WAYS)) as pool:
        left = list(pool.map(interrupted, folders, WAYS, [0.7] * len(WAYS)))
    assert dict(zip(WAYS, left, strict=True)) == dict.fromkeys(WAYS, "")

"""A run of load that could not begin is over, and stands in nobody's way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from OttoLibrary.load.hq_process import LoadOrder
from OttoLibrary.load.load_run import LoadRun


def test_what_was_closed_before_it_began_is_over(tmp_path: Path) -> None:
    async def go() -> None:
        run = LoadRun(LoadOrder(str(tmp_path), {}))
        assert not run.is_over
        await run.close()
        assert run.is_over
        await run.close()

    asyncio.run(go())

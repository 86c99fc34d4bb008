"""Copying on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from OttoLibrary.contracts.transfers import Job, Site
from OttoLibrary.errors import UsageError

_BLOCK = 4 << 20


class LocalCopy:
    """The transfer ``local``."""

    checksum = "cksum"
    resumes = True

    async def put(self, site: Site, job: Job) -> None:
        """Copy to the host, which is this machine."""
        await _copy(site, job.local, Path(job.remote), job)

    async def get(self, site: Site, job: Job) -> None:
        """Copy from the host, which is this machine."""
        await _copy(site, Path(job.remote), job.local, job)


async def _copy(site: Site, source: Path, target: Path, job: Job) -> None:
    if site.facts.transport != "local":
        raise UsageError("the transfer 'local' copies on this machine only")
    with source.open("rb") as reading, target.open("r+b") as writing:
        reading.seek(job.start)
        writing.seek(job.start)
        left = job.size - job.start
        while left:
            # In a thread, so that a slow disk blocks nothing else; block by block, so that a cancel takes effect.
            data = await asyncio.to_thread(reading.read, min(_BLOCK, left))
            if not data:
                raise OSError(f"'{source}' ends {left} bytes too early")
            await asyncio.to_thread(writing.write, data)
            left -= len(data)
            job.moved(len(data))

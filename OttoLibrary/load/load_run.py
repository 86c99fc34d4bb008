"""One run of a load, seen from the program that started it: the HQ is a process of its own, and this talks to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.load.hq_process import LoadOrder, own_environment
from OttoLibrary.load.result_store import FILE, ResultReader
from OttoLibrary.load.sockets import require_zmq
from OttoLibrary.masking import Masker, process_masker

# The HQ reports each second; one that says nothing for so long is stuck.
_SILENT_S = 30.0
_BEGIN_S = 30.0
_LONGEST_LINE = 1 << 22
_COMMAND = (sys.executable, "-m", "OttoLibrary.load.hq_process")


class LoadFailedError(OttoError):
    """A load could not begin, or its HQ ended by itself."""


class LoadRun:
    """A load that runs beside everything else.

    Args:
        order: What is run.
        heard: Called with how the run stands, each second, on the engine's loop: it must neither wait nor fail.
        masker: Whose secrets the HQ hides too, also those that it learns while the load runs; by default that of the process.

    Attributes:
        stands: How the run stood last, as ``Hq.snapshot`` says it.
        ports: Where the HQ listens.
    """

    def __init__(
        self,
        order: LoadOrder,
        heard: Callable[[dict[str, Any]], None] = lambda stands: None,
        masker: Masker | None = None,
    ) -> None:
        self.order, self._heard, self._masker = order, heard, masker or process_masker()
        self.stands: dict[str, Any] = {}
        self.ports: dict[str, int] = {}
        self.problem = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._changed = asyncio.Condition()

    @property
    def title(self) -> str:
        """What its users do."""
        return str((self.order.plan.get("described") or {}).get("title") or "what they do")

    @property
    def path(self) -> Path:
        """The file of the results."""
        return Path(self.order.folder) / FILE

    @property
    def results(self) -> ResultReader:
        """What was measured up to now; raise UsageError before there is anything."""
        return ResultReader(self.path)

    @property
    def is_over(self) -> bool:
        """Whether the HQ has ended."""
        return self._over.is_set()

    async def start(self) -> None:
        """Start the HQ, and wait until its turrets fire; raise LoadFailedError, PluginError or UsageError."""
        require_zmq()
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=own_environment(), limit=_LONGEST_LINE, start_new_session=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self.order.to_line())
        loop = asyncio.get_running_loop()

        def tell(secrets: Sequence[str]) -> None:
            # Once the loop has ended, so has the HQ.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._learn, secrets)

        self._masker.when_learnt(self, tell)
        self._learn([each for each in self._masker.secrets() if each not in self.order.secrets])
        self._reader = asyncio.create_task(self._read(self._process))

    async def until_running(self) -> None:
        """Wait until the turrets fire; raise LoadFailedError."""
        end = time.monotonic() + float(self.order.plan.get("wait_s", 60.0)) + _BEGIN_S
        await self._until(lambda: self.stands.get("state") not in {None, "waiting"}, end, "did not begin")
        if self.is_over and self.stands.get("aborted") and not self.stands.get("stored"):
            raise LoadFailedError(f"The load did not begin: {self.stands.get('reason') or self.problem}.")

    async def until_ports(self) -> None:
        """Wait until the HQ listens; raise LoadFailedError."""
        await self._until(lambda: bool(self.ports), time.monotonic() + _BEGIN_S, "does not listen")

    async def _until(self, true: Callable[[], bool], end: float, what: str) -> None:
        async with self._changed:
            while not true():
                if self.is_over:
                    raise LoadFailedError(f"The load did not begin: {self.problem or 'its HQ ended'}.")
                try:
                    async with asyncio.timeout(max(0.0, end - time.monotonic())):
                        await self._changed.wait()
                except TimeoutError as error:
                    raise LoadFailedError(f"The load {what} in time. Its HQ is too busy, or cannot start.") from error

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the run is over; return False when it is not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, reason: str = "", limit_s: float | None = None) -> bool:
        """End the run: what is in flight ends, and all results are collected. Idempotent.

        Args:
            reason: Why, for the results.
            limit_s: After so many seconds it is ended by force; by default somewhat after its own grace.

        Returns:
            False when it was ended by force.
        """
        self._order(order="stop", reason=reason)
        if limit_s is None:
            limit_s = float(self.order.plan.get("grace_s", 30.0)) + 15.0
        if await self.wait(limit_s):
            return True
        await self.close()
        return False

    async def mark_phase(self, name: str) -> None:
        """Begin a phase."""
        self._order(order="phase", name=name)

    async def watch_limit(self, text: str) -> None:
        """End the run when a limit is broken for longer than its window."""
        self._order(order="limit", limit=text)

    async def close(self) -> None:
        """End the HQ and all that it started, at once when it does not by itself; idempotent."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            # What could not be started, since a package is missing, is over too.
            self._over.set()
            return
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            if not await self.wait(10.0):
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait([reader], timeout=5.0)
        reader.cancel()
        # Whatever its pipes say, it is forgotten.
        self._over.set()
        self._masker.when_learnt(self, None)
        # The loop of a process may end before the transport notices; then nothing closes its pipes.
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()

    def _learn(self, secrets: Sequence[str]) -> None:
        if secrets:
            self._order(order="secrets", secrets=list(secrets))

    def _order(self, **order: Any) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not self.is_over:
            with contextlib.suppress(OSError, RuntimeError):
                process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(_last_bytes(process.stderr))
        try:
            while line := await self._next_line(process.stdout):
                said = json.loads(line)
                if said["kind"] == "ports":
                    self.ports = said
                else:
                    self.stands = said
                    self._heard(said)
                async with self._changed:
                    self._changed.notify_all()
        finally:
            await asyncio.shield(self._ended(process, errors))

    async def _next_line(self, stream: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(_SILENT_S):
                return await stream.readline()
        except (TimeoutError, ValueError):
            self.problem = f"its HQ said nothing for {_SILENT_S:g} s"
            assert self._process is not None
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return b""

    async def _ended(self, process: asyncio.subprocess.Process, errors: asyncio.Task[bytes]) -> None:
        status = await process.wait()
        words = (await errors).decode("utf-8", "backslashreplace").strip().splitlines()
        if self.stands.get("state") != "over":
            self.problem = self.problem or (words[-1].removesuffix(".") if words else f"its HQ ended with {status}")
            self.stands = {**self.stands, "state": "over", "aborted": True, "reason": self.problem}
            self._heard(self.stands)
        self._over.set()
        self._masker.when_learnt(self, None)
        async with self._changed:
            self._changed.notify_all()


async def _last_bytes(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while data := await stream.read(1 << 16):
        kept = (kept + data)[-4000:]
    return kept


def check_over(run: LoadRun) -> None:
    """Raise LoadFailedError when the run was aborted, or nothing was ever done."""
    if run.stands.get("aborted"):
        raise LoadFailedError(f"The load was aborted: {run.stands.get('reason') or run.problem}.")
    if not run.stands.get("stored"):
        why = " ".join(run.stands.get("warnings") or []) or "Its users were not ready before its time was over."
        raise LoadFailedError(f"The load did nothing, not once. {why}")


def free_folder(place: Path) -> Path:
    """Return a folder that is not there yet: ``load-1``, ``load-2`` and so on, made at once so that it is nobody else's."""
    for number in range(1, 10_000):
        folder = place / f"load-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"Results cannot be written to '{folder}': {error.strerror or error}.") from error
        return folder
    raise UsageError(f"There are too many results in '{place}'.")

"""The watcher of a disturbance in a real shell: it does and undoes in order, whatever becomes of the words from here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import ScriptResult
from OttoLibrary.errors import DisturbanceEndedError, HostError
from OttoLibrary.scenario.healing import Healing
from tests.peers.requirements import require

_LONG_S = 60.0


class ShellHost:
    """This machine, as far as a disturbance uses a host.

    Attributes:
        is_cut: Nothing reaches it any more.
        before_do: Awaited before the word comes that it shall be done.
    """

    name, path = "box", ("box",)

    def __init__(self, folder: Path, shell: str = "sh") -> None:
        self.folder, self._shell = folder, shell
        self.is_cut = False
        self.before_do: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def answer_of(self, script: str, deadline: object) -> ScriptResult:
        if '>"$d/go"' in script and self.before_do is not None:
            await self.before_do()
        if self.is_cut:
            raise EndOfStream("cut")
        environment = os.environ | {"TMPDIR": str(self.folder)}
        pipe = asyncio.subprocess.PIPE
        words = ("busybox", "sh") if self._shell == "busybox" else (self._shell,)
        process = await asyncio.create_subprocess_exec(*words, "-c", script, env=environment, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        assert process.returncode is not None
        return ScriptResult(process.returncode, out, err)

    @property
    def leases(self) -> list[Path]:
        return list(self.folder.glob(".otto-heal-*"))

    def lines(self) -> list[str]:
        """Return what was done and undone, in order."""
        done = self.folder / "done"
        return done.read_text().split() if done.exists() else []

    def healing(self, lease_s: int = 60, undo: str = "", told: Callable[[str], None] = lambda sentence: None) -> Healing:
        undo = undo or self.note("undone")
        return Healing(self, "it", undo, lease_s=lease_s, told=told)  # type: ignore[arg-type]

    def note(self, word: str) -> str:
        return f"echo {word} >>{self.folder}/done"

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(_LONG_S):
            while not is_so():  # noqa: ASYNC110 - it is another process that makes it so
                await asyncio.sleep(0.05)


@pytest.fixture(params=["sh", "bash", "busybox"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> ShellHost:
    if request.param != "sh":
        require(request.param)
    return ShellHost(tmp_path, request.param)


async def end_of(healing: Healing) -> str:
    """Return what is said when it is healed."""
    try:
        await healing.heal()
    except HostError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_it_is_done_once_and_undone_once_and_no_lease_is_left(host: ShellHost) -> None:
    async def go() -> None:
        healing = host.healing()
        assert await healing.begin(f"{host.note('done')}; echo said") == "said"
        assert host.lines() == ["done"]
        assert await end_of(healing) == ""
        assert host.lines() == ["done", "undone"]
        assert host.leases == []

    asyncio.run(go())


def test_nothing_is_done_when_its_lease_ended_before(host: ShellHost) -> None:
    async def go() -> None:
        async def lease_ends() -> None:
            (lease,) = host.leases
            watcher = int((lease / "pid").read_text())
            os.kill(watcher, signal.SIGKILL)
            await host.until(lambda: not is_alive(watcher))

        host.before_do = lease_ends
        with pytest.raises(HostError, match="could not be done: its lease on the host ended before it was done"):
            await host.healing().begin(host.note("done"))
        assert "done" not in host.lines()
        assert host.leases == []

    asyncio.run(go())


def test_a_lease_without_a_word_to_begin_ends_with_nothing_done_or_undone(host: ShellHost) -> None:
    async def go() -> None:
        async def too_long() -> None:
            host.is_cut = True
            await host.until(lambda: not host.leases)
            host.is_cut = False

        host.before_do = too_long
        with pytest.raises(HostError, match="could not be done"):
            await host.healing(lease_s=2).begin(host.note("done"))
        assert "done" not in host.lines()

    asyncio.run(go())


def test_a_cut_heals_while_it_lasts_and_while_it_is_still_being_done(host: ShellHost) -> None:
    async def go(do: str) -> None:
        healing = host.healing(lease_s=2)
        beginning = asyncio.create_task(healing.begin(do))
        await host.until(lambda: "done" in host.lines())
        host.is_cut = True
        await host.until(lambda: host.lines()[-1] == "undone" and not host.leases)
        host.is_cut = False
        beginning.cancel()
        with contextlib.suppress(HostError, asyncio.CancelledError):
            await beginning
        # What was being done was ended first, so nothing is done after the undo.
        assert "late" not in host.lines()
        (host.folder / "done").unlink()

    async def both() -> None:
        await go(host.note("done"))
        await go(f"{host.note('done')}; sleep 300; {host.note('late')}")

    asyncio.run(both())


def test_what_ended_on_the_host_fails_where_it_is_healed(host: ShellHost) -> None:
    async def go() -> None:
        told: list[str] = []
        healing = host.healing(lease_s=3, told=told.append)
        await healing.begin(host.note("done"))
        host.is_cut = True
        await host.until(lambda: any("ended before its time" in sentence for sentence in told))
        host.is_cut = False
        with pytest.raises(DisturbanceEndedError, match="no word has reached the host for 3 s"):
            await healing.heal()
        assert host.lines()[:2] == ["done", "undone"]
        await host.until(lambda: not host.leases)

    asyncio.run(go())


def test_a_watcher_that_was_killed_is_noticed_and_it_is_undone_from_here(host: ShellHost) -> None:
    async def go() -> None:
        told: list[str] = []
        healing = host.healing(lease_s=6, told=told.append)
        await healing.begin(host.note("done"))
        (lease,) = host.leases
        os.kill(int((lease / "pid").read_text()), signal.SIGKILL)
        await host.until(lambda: told)
        assert "its lease on the host has ended" in told[-1]
        assert "DisturbanceEndedError" in await end_of(healing)
        assert host.lines() == ["done", "undone"]
        assert host.leases == []

    asyncio.run(go())


def test_a_lease_whose_folder_was_swept_is_undone(host: ShellHost) -> None:
    async def go() -> None:
        healing = host.healing()
        await healing.begin(host.note("done"))
        (lease,) = host.leases
        lease.rename(host.folder / "swept")
        await host.until(lambda: host.lines() == ["done", "undone"])
        assert "DisturbanceEndedError" in await end_of(healing)

    asyncio.run(go())


def test_an_undo_that_fails_says_what_is_left_and_leaves_no_lease(host: ShellHost) -> None:
    async def go() -> None:
        healing = host.healing(undo="echo 'It does not start.'; exit 3")
        await healing.begin(host.note("done"))
        assert await end_of(healing) == (
            "HostError: Host 'box': it is left as it is, because the undo failed: It does not start."
        )
        assert host.leases == []

    asyncio.run(go())


def is_alive(pid: int) -> bool:
    """A process that nobody waits for stays as a zombie where there is no init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

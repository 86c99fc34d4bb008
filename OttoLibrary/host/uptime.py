"""Whether a host is up, and rebooting it, proved by the random id that a kernel makes at each boot."""

from __future__ import annotations

import asyncio
import time

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError, UsageError, WaitTimeoutError, subject
from OttoLibrary.host.host import Host

_BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
_PAUSE_S = 0.5


async def wait_until_up(host: Host, deadline: Deadline) -> None:
    """Return once a command runs on the host; raise WaitTimeoutError with the last reason."""
    problem = "it was not tried"
    while not deadline.expired:
        try:
            await host.probe(max(0.1, min(deadline.remaining_s, 10)))
            return
        except LoginError:
            raise
        except HostError as error:
            problem = str(error)
        await asyncio.sleep(min(_PAUSE_S, deadline.remaining_s))
    raise WaitTimeoutError(host.name, host.path, "was not up", deadline.seconds, advice=f"Last try: {problem}")


async def reboot(host: Host, command: str, deadline: Deadline) -> float:
    """Reboot the host, wait until it is back, and return how many seconds it was away.

    Raises:
        WaitTimeoutError: It did not go down, or did not come back.
        HostError: It came back without having rebooted.
    """
    connection = await host.connection.open(deadline)
    if connection.line_limit == 1:
        raise UsageError(
            f"Host '{host.name}' cannot be rebooted over its one line. Send it the command with 'Send To Host', and wait "
            "for its boot log with 'Expect From Host'."
        )
    before = await _boot_id(host, deadline.remaining_s)
    began = time.monotonic()
    if connection.line_limit:
        await host.run("true", timeout_s=deadline.remaining_s)  # a line that is in use shows when the host goes down
    # Detached and a moment later, so that the command's own answer still gets through.
    await host.run_once(f"(sleep 0.2; {command}) >/dev/null 2>&1 </dev/null &", timeout_s=deadline.remaining_s)
    while connection.lost is None:
        if deadline.expired:
            raise WaitTimeoutError(host.name, host.path, f"did not go down after '{command}'", deadline.seconds)
        await asyncio.sleep(0.05)
    await wait_until_up(host, deadline)
    away = time.monotonic() - began
    if await _boot_id(host, max(1.0, deadline.remaining_s)) == before:
        sentence = f"{subject(host.name, host.path)} was away for {away:.1f} seconds but did not reboot: its boot id is the same."
        raise HostError(sentence, host=host.name, path=host.path)
    return away


async def _boot_id(host: Host, timeout_s: float) -> str:
    result = await host.run_once(_BOOT_ID, timeout_s=timeout_s)
    return result.stdout.strip()

"""Scripts of metrics in real shells."""

from __future__ import annotations

import subprocess
from typing import Any

from OttoLibrary.monitor.feeds import script_of
from tests.peers.requirements import require

SHELLS = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"]}


def ran(shell: str, script: str) -> list[str]:
    """Return what the parts printed; the script is given with the command, as a login shell gets it. Nothing else is printed."""
    require(SHELLS[shell][0])
    text = script_of([], "end") + "O=\n" + script + '\nprintf %s "$O"\n'
    done = subprocess.run([*SHELLS[shell], "-c", text], capture_output=True, check=True, timeout=120)
    assert done.stderr == b""
    return done.stdout.decode("utf-8", "replace").split("=next\n")


def printed(shell: str, metric: Any) -> str:
    return ran(shell, metric.script())[0]


def printed_often(shell: str, metric: Any, times: int, between: str = "") -> list[str]:
    """Return what it printed each time, asked by one shell, as a monitor does."""
    script = metric.script()
    parts = "".join(f"part\n{between if number == 0 else ''}\nsay '=next'\n" for number in range(times))
    return ran(shell, f"part() {{\n{script}\n}}\n{parts}")[:times]

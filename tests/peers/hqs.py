"""An HQ as the process that a run starts."""

from __future__ import annotations

import subprocess
import sys

from OttoLibrary.load.hq_process import LoadOrder, own_environment


def start_hq(order: LoadOrder) -> subprocess.Popen[bytes]:
    """Start one; orders go to its standard input, and how the run stands comes from its standard output."""
    process = subprocess.Popen(
        [sys.executable, "-m", "OttoLibrary.load.hq_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=own_environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(order.to_line())
    process.stdin.flush()
    return process

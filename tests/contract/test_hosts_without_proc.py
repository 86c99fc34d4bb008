"""A host without ``/proc``, as BSD and macOS are: time-outs end what was started."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.errors import WaitTimeoutError
from OttoLibrary.run.session import Session
from tests.peers import processes
from tests.peers.requirements import require

ANY = Expected(())
# Only in a mount namespace of its own: an empty folder stands where /proc was, and ps finds the real one elsewhere.
_MOUNT = 'mount --bind /proc "$0" && mount --bind "$1" /proc && shift && exec "$@"'
_PS = """#!{python} -S
import os, sys, time
root = {root!r}
words = [word for option in sys.argv[1:] for word in option.split(",")]
def stat(pid):
    text = open(f"{{root}}/{{pid}}/stat").read()
    return text.rpartition(")")[2].split()
if "-p" in words and "pgid=" in words:
    try:
        print(stat(words[-1])[2])
    except OSError:
        sys.exit(1)
elif "lstart=" in words:
    boot = next(int(line.split()[1]) for line in open(f"{{root}}/stat") if line.startswith("btime"))
    try:
        print(time.ctime(boot + int(stat(words[-1])[19]) // 100))
    except OSError:
        sys.exit(1)
else:
    for pid in filter(str.isdigit, os.listdir(root)):
        try:
            state, parent, group, *_ = stat(pid)
        except OSError:
            continue
        print(pid, parent, group, state)
"""


@pytest.fixture
def session(open_lab: Any, make_sshd: Any, keys: Any, tmp_path: Path) -> Session:
    require("root", "unshare", "mount")
    real, empty, programs = tmp_path / "real", tmp_path / "empty", tmp_path / "bin"
    for folder in (real, empty, programs):
        folder.mkdir()
    ps = programs / "ps"
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    ps.write_text(_PS.format(python=python, root=str(real)))
    ps.chmod(0o755)
    sshd = make_sshd(
        port=processes.free_port(),
        launcher=lambda command: ["unshare", "-m", "sh", "-c", _MOUNT, str(real), str(empty), *command],
        options={"SetEnv": f"PATH={programs}:/usr/bin:/bin SHLVL=2"},
    )
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    return open_lab(box=host)


def run(session: Session, command: str, **options: Any) -> str:
    host = session.hosts.use("box")
    return str(session.engine.call(host.run(command, **({"timeout_s": 20.0, "expected": ANY} | options))).stdout)


def _alive(length: int) -> int:
    found = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found += (folder / "cmdline").read_bytes() == f"sleep\0{length}\0".encode()
            except OSError:
                continue
    return found


def test_time_outs_end_what_was_started_and_leave_the_shell(session: Session) -> None:
    assert run(session, "ls /proc; cd /usr; X=kept; sleep 511 & echo on") == "on\n"
    with pytest.raises(WaitTimeoutError):
        run(session, "sleep 512 & (sleep 512; sleep 512)", timeout_s=1.0)
    assert (_alive(512), _alive(511)) == (0, 1)
    assert run(session, "echo $X; pwd") == "kept\n/usr\n"
    with pytest.raises(WaitTimeoutError):
        run(session, "while :; do :; done", timeout_s=1.0)
    assert run(session, "echo $X; kill %1 || kill $!") == "kept\n"


def test_what_runs_apart_is_ended_too(session: Session) -> None:
    host = session.hosts.use("box")
    with pytest.raises(WaitTimeoutError):
        session.engine.call(host.run_once("sleep 513 & sleep 513", timeout_s=1.0))
    background = session.engine.call(host.start("sleep 514 & sleep 514"))
    processes.wait_until(lambda: _alive(514) == 2, "The command")
    session.engine.call(background.stop())
    assert (_alive(513), _alive(514)) == (0, 0)

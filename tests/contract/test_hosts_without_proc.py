"""A host without ``/proc``, as BSD and macOS are: time-outs end what was started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.errors import WaitTimeoutError
from OttoLibrary.run.session import Session
from tests.peers import processes
from tests.peers.requirements import require

ANY = Expected(())
# Only in a mount namespace of its own: an empty folder stands where /proc was, and only ps sees the real one.
_MOUNT = 'mount --bind /proc "$0" && mount --bind "$1" /proc && shift && exec "$@"'
# The ps of Linux works out when a process began from the time that it is, and may say another second each time; BSD knows it.
_PS = """#!/bin/sh
case "$*" in
*lstart=*)
  for pid; do :; done
  {{ read -r line <{real}/$pid/stat; }} 2>/dev/null || exit 1
  set -- ${{line##*) }}; shift 19
  while read -r word boot; do [ "$word" != btime ] || break; done <{real}/stat
  exec date -d "@$((boot + $1 / 100))" '+%a %b %e %T %Y' ;;
esac
exec unshare -m sh -c 'mount --bind {real} /proc && exec /bin/ps "$@"' ps "$@"
"""


@pytest.fixture
def session(open_lab: Any, make_sshd: Any, keys: Any, tmp_path: Path) -> Session:
    require("root", "unshare", "mount", "ps")
    real, empty, programs = tmp_path / "real", tmp_path / "empty", tmp_path / "bin"
    for folder in (real, empty, programs):
        folder.mkdir()
    ps = programs / "ps"
    ps.write_text(_PS.format(real=real))
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
    processes.wait_until(lambda: (_alive(512), _alive(511)) == (0, 1), "Only what was left in the background runs")
    assert run(session, "echo $X; pwd") == "kept\n/usr\n"
    with pytest.raises(WaitTimeoutError):
        run(session, "while :; do :; done", timeout_s=1.0)
    assert run(session, "echo $X; kill %1 || kill $!") == "kept\n"


def test_what_runs_apart_is_ended_too(session: Session) -> None:
    run(session, "true")
    host = session.hosts.use("box")
    with pytest.raises(WaitTimeoutError):
        session.engine.call(host.run_once("sleep 513 & sleep 513", timeout_s=1.0))
    background = session.engine.call(host.start("sleep 514 & sleep 514"))
    processes.wait_until(lambda: _alive(514) == 2, "The command")
    session.engine.call(background.stop())
    processes.wait_until(lambda: (_alive(513), _alive(514)) == (0, 0), "Nothing runs")

"""Who else says what a machine does: Debian's prometheus-node-exporter, and the SNMP agent of Net-SNMP."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.peers import processes
from tests.peers.loads import running
from tests.peers.requirements import find, is_root, require

_STARTS = 5
_COLLECTORS = """
cpu diskstats filesystem hwmon loadavg meminfo netdev netstat pressure processes stat tcpstat thermal_zone
"""


class _Server:
    """A server on a port of loopback, used as a context manager: afterwards it has ended and its files are gone."""

    program = ""
    family = socket.SOCK_STREAM

    def __init__(self) -> None:
        self.address, self.port = "127.0.0.1", 0
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Any:
        require(self.program)
        with contextlib.ExitStack() as ending:
            self.folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="otto-peer-")))
            # Some give up root's rights.
            self.folder.chmod(0o777)
            for _ in range(_STARTS):
                with contextlib.ExitStack() as one:
                    self._start(one)
                    if self._answers():
                        ending.push(one.pop_all())
                        self._ending = ending.pop_all()
                        return self
            raise RuntimeError(f"{self.program} did not start. Its log: {self._log.read_text(errors='replace')[-2000:]}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.close()

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _start(self, ending: contextlib.ExitStack) -> None:
        with socket.socket(type=self.family) as probe:
            probe.bind((self.address, 0))
            self.port = probe.getsockname()[1]
        with self._log.open("wb") as log:
            process = ending.enter_context(running(self._command(), stdout=log, stderr=log, cwd=self.folder))
        self.process: subprocess.Popen[bytes] = process
        with contextlib.suppress(TimeoutError):
            processes.wait_until(lambda: process.poll() is not None or self._answers(), f"Starting {self.program}")

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


class Exporter(_Server):
    """node_exporter; ``paths`` are where it looks instead of ``/proc`` and ``/sys``: ``Exporter(procfs="/proc/42")``."""

    program = "prometheus-node-exporter"

    def __init__(self, **paths: str) -> None:
        super().__init__()
        self._paths = paths

    def read(self) -> dict[str, float]:
        """Return its page: values by series as it writes them, ``node_load1`` or ``node_x{device="sda"}``."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
        finally:
            connection.close()
        rows = [line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#")]
        return {series: float(number) for series, _, number in rows}

    def _command(self) -> list[str]:
        paths = [f"--path.{name}={path}" for name, path in self._paths.items()]
        collectors = ["--collector.disable-defaults", *(f"--collector.{name}" for name in _COLLECTORS.split())]
        listen = f"--web.listen-address={self.address}:{self.port}"
        return [find(self.program) or self.program, listen, "--no-collector.netdev.netlink", *collectors, *paths]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.process.poll() is None and any(name.startswith("node_exporter_build_info") for name in self.read())
        return False


class Snmpd(_Server):
    """Net-SNMP's agent with a configuration of its own, which answers one community; never as root.

    Args:
        community: Who may read all.
        oid: A part of the tree that it asks a script for.
        script: Shell text that answers, see ``pass_persist`` in snmpd.conf(5).
    """

    program = "snmpd"
    family = socket.SOCK_DGRAM

    def __init__(self, community: str, oid: str = "", script: str = "") -> None:
        super().__init__()
        self.community, self._oid, self._script = community, oid, script

    @property
    def lab(self) -> dict[str, Any]:
        """The ``snmp`` object of a host that has this agent."""
        return {"port": self.port, "community": self.community}

    def pause(self) -> None:
        """Answer nothing any more."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self.process.send_signal(signal.SIGCONT)

    def _command(self) -> list[str]:
        config = self.folder / "snmpd.conf"
        script = self.folder / "script"
        script.write_text(self._script)
        asked = f"pass_persist .{self._oid} /bin/sh {script}\n" if self._oid else ""
        config.write_text(f"rocommunity {self.community} 127.0.0.1\n{asked}")
        for path in (config, script):
            path.chmod(0o644)
        user = ["-u", "nobody", "-g", "nogroup"] if is_root() else []
        own = ["env", f"SNMP_PERSISTENT_DIR={self.folder}", "MIBS=", find(self.program) or self.program]
        return [*own, *user, "-f", "-Lo", "-r", "-C", "-c", str(config), f"udp:{self.address}:{self.port}"]

    def _answers(self) -> bool:
        return self.process.poll() is None and "NET-SNMP version" in self._log.read_text(errors="replace")

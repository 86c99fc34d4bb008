"""Turrets on lab hosts: packed, sent, started, reached back through a tunnel on loopback ports, stopped and removed."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import tempfile
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.load.load_run import LoadRun

if TYPE_CHECKING:
    from OttoLibrary.host.background import BackgroundCommand
    from OttoLibrary.host.tunnel import Tunnel
    from OttoLibrary.run.host_files import HostFiles
    from OttoLibrary.run.open_hosts import OpenHosts

_LOAD = Path(__file__).parents[1] / "load"
_STEP_S = 60.0
# It unpacks itself beside itself, so that whoever removes the folder removes all of it.
_MAIN = """
import os, sys, zipfile
folder = os.path.dirname(os.path.abspath(sys.argv[0]))
zipfile.ZipFile(sys.argv[0]).extractall(folder)
sys.path.insert(0, folder)
from OttoLibrary.load.%s import main
status = main(["--config-file", os.path.join(folder, "config.json")])
sys.stdout.flush()
os._exit(status)
"""
_ANY = Expected(())


@dataclass(frozen=True)
class HostProgram:
    """What is started on each host.

    Attributes:
        config: The configuration of each, besides where the HQ is.
        sources: Files that it needs, beside it.
        module: Which program of ``load/``.
        python: What runs it.
        check: A Python expression that is true where it can run.
        lacks: What the host has to have, when it is not.
        ports: Further ports of this machine that it reaches, by what its configuration calls them.
    """

    config: dict[str, Any]
    sources: Sequence[Path] = ()
    module: str = "turret.turret_process"
    python: str = "python3"
    check: str = "sys.version_info >= (3, 8)"
    lacks: str = "Python 3.8 or newer as 'python3', which a turret needs. Install it, or fire from elsewhere"
    ports: Mapping[str, int] = field(default_factory=dict)


def of_script(script: dict[str, Any], sources: Sequence[Path]) -> HostProgram:
    """Return the turret of a script."""
    return HostProgram({"script": script.get("script") or script.get("module")}, sources)


class TurretsOnHosts:
    """The turrets of one load on hosts.

    Args:
        hosts: The hosts of the run.
        files: Their files.
        run: The load.
        token: The word that lets turrets in.
    """

    def __init__(self, hosts: OpenHosts, files: HostFiles, run: LoadRun, token: str) -> None:
        self._hosts, self._files, self._run, self._token = hosts, files, run, token
        self._tunnels: list[Tunnel] = []
        self._commands: list[BackgroundCommand] = []
        self._folders: list[tuple[str, str]] = []

    async def start(self, names: Sequence[str], program: HostProgram) -> None:
        """Start a turret on each host, all at once; what was started ends when one cannot be.

        Raises:
            UsageError: A host lacks what the program needs.
            HostError: A host cannot be reached.
        """
        await self._run.until_ports()
        async with asyncio.TaskGroup() as all_of_them:
            for name in names:
                all_of_them.create_task(self._start(name, program))

    async def _start(self, name: str, program: HostProgram) -> None:
        from OttoLibrary.host import tunnel

        host = self._hosts.use(name)
        await self._check(name, program)
        made = await host.run_once("umask 077; mktemp -d", timeout_s=_STEP_S)
        folder = made.stdout.strip()
        self._folders.append((name, folder))
        ports = {}
        for key, port in {"hq_port": self._run.ports["own"], **program.ports}.items():
            back = await tunnel.from_host(host, port, await host.deadline(_STEP_S))
            self._tunnels.append(back)
            ports[key] = back.port
        who = str(uuid.uuid4())
        config = {
            **program.config,
            **ports,
            "name": name,
            "hq_address": tunnel.LOOPBACK,
            "token": self._token,
            "uuid": who,
            "counters": f"{folder}/{who}.counts",
            "once": True,
        }
        with tempfile.TemporaryDirectory() as here:
            archive = Path(here) / "turret.pyz"
            archive.write_bytes(packed(config, program.sources, program.module))
            await self._files.on(name).put([archive], f"{folder}/turret.pyz")
        command = f"exec {shlex.quote(program.python)} {shlex.quote(f'{folder}/turret.pyz')} 2>&1"
        self._commands.append(await host.start(command, cwd=folder, timeout_s=_STEP_S))

    async def _check(self, name: str, program: HostProgram) -> None:
        code = f"import importlib.util, sys; sys.exit(not ({program.check}))"
        command = f"{shlex.quote(program.python)} -c {shlex.quote(code)}"
        found = await self._hosts.use(name).run_once(command, timeout_s=_STEP_S, expected=_ANY)
        if found.rc != 0:
            raise UsageError(f"Host '{name}' has no {program.lacks}.")

    async def close(self) -> None:
        """End the turrets, and leave nothing of them on hosts; idempotent. What fails is no other's harm."""
        commands, self._commands = self._commands, []
        folders, self._folders = self._folders, []
        tunnels, self._tunnels = self._tunnels, []
        for command in commands:
            await _attempt(command.stop())
        for name, folder in folders:
            await _attempt(self._hosts.use(name).run_once(f"rm -rf {shlex.quote(folder)}", timeout_s=_STEP_S, expected=_ANY))
        for tunnel in tunnels:
            await _attempt(tunnel.close())


async def _attempt(work: Any) -> None:
    try:
        await work
    except (OttoError, OSError):
        # The host is gone, and with it what was on it.
        return


def packed(config: dict[str, Any], sources: Sequence[Path], module: str = "turret.turret_process") -> bytes:
    """Return a program of one file: the turret, its configuration, and the scripts."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", _MAIN % module)
        archive.writestr("config.json", json.dumps(config))
        for package in ("OttoLibrary", "OttoLibrary/load"):
            archive.writestr(f"{package}/__init__.py", "")
        parts = ["turret", module.partition(".")[0]]
        for path in sorted({path for part in parts for path in (_LOAD / part).rglob("*.py")}):
            archive.write(path, f"OttoLibrary/load/{path.relative_to(_LOAD).as_posix()}")
        for source in sources:
            archive.write(source, source.name)
    return made.getvalue()

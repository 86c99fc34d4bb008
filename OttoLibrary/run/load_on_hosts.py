"""Turrets on lab hosts: packed, sent, started, reached back through a tunnel on loopback ports, stopped and removed."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import tempfile
import uuid
import zipfile
from collections.abc import Sequence
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

_TURRET = Path(__file__).parents[1] / "load" / "turret"
_STEP_S = 60.0
# It unpacks itself beside itself, so that whoever removes the folder removes all of it.
_MAIN = """
import os, sys, zipfile
folder = os.path.dirname(os.path.abspath(sys.argv[0]))
zipfile.ZipFile(sys.argv[0]).extractall(folder)
sys.path.insert(0, folder)
from OttoLibrary.load.turret.turret_process import main
status = main(["--config-file", os.path.join(folder, "config.json")])
sys.stdout.flush()
os._exit(status)
"""
_ANY = Expected(())


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

    async def start(self, names: Sequence[str], script: dict[str, Any], sources: Sequence[Path]) -> None:
        """Start a turret on each host, all at once; what was started ends when one cannot be.

        Raises:
            UsageError: A host has no Python 3.8.
            HostError: A host cannot be reached.
        """
        await self._run.until_ports()
        async with asyncio.TaskGroup() as all_of_them:
            for name in names:
                all_of_them.create_task(self._start(name, script, sources))

    async def _start(self, name: str, script: dict[str, Any], sources: Sequence[Path]) -> None:
        from OttoLibrary.host import tunnel

        host = self._hosts.use(name)
        await self._check_python(name)
        made = await host.run_once("umask 077; mktemp -d", timeout_s=_STEP_S)
        folder = made.stdout.strip()
        self._folders.append((name, folder))
        back = await tunnel.from_host(host, self._run.ports["own"], await host.deadline(_STEP_S))
        self._tunnels.append(back)
        who = str(uuid.uuid4())
        config = {
            "name": name,
            "script": script.get("script") or script.get("module"),
            "hq_address": tunnel.LOOPBACK,
            "hq_port": back.port,
            "token": self._token,
            "uuid": who,
            "counters": f"{folder}/{who}.counts",
            "once": True,
        }
        with tempfile.TemporaryDirectory() as here:
            archive = Path(here) / "turret.pyz"
            archive.write_bytes(packed(config, sources))
            await self._files.on(name).put([archive], f"{folder}/turret.pyz")
        command = f"exec python3 {shlex.quote(f'{folder}/turret.pyz')} 2>&1"
        self._commands.append(await host.start(command, cwd=folder, timeout_s=_STEP_S))

    async def _check_python(self, name: str) -> None:
        command = "python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))'"
        found = await self._hosts.use(name).run_once(command, timeout_s=_STEP_S, expected=_ANY)
        if found.rc != 0:
            raise UsageError(
                f"Host '{name}' has no Python 3.8 or newer as 'python3', which a turret needs. "
                "Install it, or fire from elsewhere."
            )

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


def packed(config: dict[str, Any], sources: Sequence[Path]) -> bytes:
    """Return a program of one file: the turret, its configuration, and the scripts."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", _MAIN)
        archive.writestr("config.json", json.dumps(config))
        for package in ("OttoLibrary", "OttoLibrary/load"):
            archive.writestr(f"{package}/__init__.py", "")
        for path in sorted(_TURRET.glob("*.py")):
            archive.write(path, f"OttoLibrary/load/turret/{path.name}")
        for source in sources:
            archive.write(source, source.name)
    return made.getvalue()

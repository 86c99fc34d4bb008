"""Devices with a POSIX shell that are set up by files and commands of the environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import UsageError
from OttoLibrary.testbed.device import Device

_SOFTWARE = ("files", "commands")
_FILE = ("from", "to", "mode")


class PosixDevice(Device):
    """A device that is set up over its shell.

    Of its data count ``tools``, a list of programs that must be there, ``software``, with ``files`` (each ``from``, ``to``
    and an octal ``mode``) that are copied and ``commands`` that are run after them, and ``commands``, lists of shell
    commands by the hooks ``boot``, ``configure`` and ``shutdown``.
    """

    async def validate(self) -> None:
        """Check that its data can be used, and that the files are here."""
        _ = self.host
        for file in self._files():
            if not self._source(file).is_file():
                raise UsageError(f"Device '{self.name}': there is no file '{self._source(file)}' to put there.")
        _texts(self.name, "tools", self.config.get("tools"))
        for hook in ("boot", "configure", "shutdown"):
            self._commands(hook)
        _texts(self.name, "software.commands", self._software().get("commands"))

    async def skip_boot(self) -> None:
        """Check that it answers and has its tools."""
        await self.host.probe(self.patience_s)
        await self.check_tools()

    async def boot(self) -> None:
        """Check that it answers."""
        await self._run_all("boot")
        await self.host.probe(self.patience_s)

    async def configure(self) -> None:
        """Check its tools, copy its files and run its commands."""
        await self.check_tools()
        for file in self._files():
            mode = int(str(file["mode"]), 8) if file.get("mode") is not None else None
            options = TransferOptions(parents=True, mode=mode)
            await self.host.put([self._source(file)], str(file["to"]), options)
            self.log(f"put {file['from']} as {file['to']}")
        for command in _texts(self.name, "software.commands", self._software().get("commands")):
            await self._run(command)
        await self._run_all("configure")

    async def contingency_check(self, requirement: Any = None) -> None:
        """Check that it answers."""
        await self.host.probe(self.patience_s)

    async def shutdown(self) -> None:
        """Run its commands for that."""
        await self._run_all("shutdown")

    @property
    def patience_s(self) -> float:
        """How long it may take to answer, in seconds."""
        return 30.0

    async def check_tools(self) -> None:
        """Raise UsageError with the tools that it lacks."""
        tools = _texts(self.name, "tools", self.config.get("tools"))
        if not tools:
            return
        wanted = " ".join(map(shlex.quote, tools))
        script = f'for tool in {wanted}; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done'
        missing = (await self.host.run(script)).stdout.split()  # type: ignore[misc]  # awaited on the loop
        if missing:
            raise UsageError(f"Device '{self.name}' lacks {', '.join(missing)}. Install what it needs, or change its 'tools'.")

    async def _run(self, command: str) -> None:
        result = await self.host.run(command, timeout_s=None)  # type: ignore[misc]  # awaited on the loop
        self.log(f"$ {command}\n{result.stdout}".rstrip())

    async def _run_all(self, hook: str) -> None:
        for command in self._commands(hook):
            await self._run(command)

    def _commands(self, hook: str) -> list[str]:
        commands = self.config.get("commands")
        return _texts(self.name, f"commands.{hook}", commands.get(hook)) if isinstance(commands, Mapping) else []

    def _software(self) -> Mapping[str, Any]:
        software = self.config.get("software")
        return software if isinstance(software, Mapping) else {}

    def _files(self) -> list[Mapping[str, Any]]:
        files = self._software().get("files") or []
        for file in files if isinstance(files, list) else [files]:
            if not isinstance(file, Mapping) or not {"from", "to"} <= set(file) <= set(_FILE):
                raise UsageError(
                    f"Device '{self.name}': each of software.files is an object with 'from', 'to' and an optional 'mode'."
                )
        return list(files)

    def _source(self, file: Mapping[str, Any]) -> Path:
        return self._place.folder / Path(str(file["from"])).expanduser()


def _texts(device: str, key: str, value: object) -> list[str]:
    """Return a list of texts, one text as a list of one; raise UsageError."""
    listed = [value] if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise UsageError(f"Device '{device}': '{key}' is a list of texts.")
    return listed

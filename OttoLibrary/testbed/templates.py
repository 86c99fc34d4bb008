"""What tests may ask of a device, whatever it is: contracts to check drivers against, and to find devices by."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HasConsole(Protocol):
    """A device with a console as pexpect has it."""

    @property
    def console(self) -> Any:
        """The console."""


@runtime_checkable
class HasPower(Protocol):
    """A device that can be switched off."""

    @property
    def power(self) -> Any:
        """How it is switched."""


@runtime_checkable
class RunsCommands(Protocol):
    """A device whose host runs commands."""

    @property
    def host(self) -> Any:
        """The host."""


@runtime_checkable
class CanPing(Protocol):
    """A device that sends echo requests."""

    def ping(self, address: str, count: int = 4) -> Any:
        """Return True when answers came."""


@runtime_checkable
class CanFlash(Protocol):
    """A device that takes an image."""

    def flash(self, image: str) -> Any:
        """Write the image, and return when it is there."""


@runtime_checkable
class ServesDhcp(Protocol):
    """A device that hands out addresses."""

    def start_dhcp(self) -> Any:
        """Begin to answer."""

    def stop_dhcp(self) -> Any:
        """Answer no more."""


@runtime_checkable
class ServesHttp(Protocol):
    """A device that serves files over http."""

    def start_http(self, port: int = 80) -> Any:
        """Begin to serve."""

    def stop_http(self) -> Any:
        """Serve no more."""


# Every device has these attributes; whether they are any use is seen in their values.
_BY_VALUE = {"HasConsole": "has_host", "RunsCommands": "has_host", "HasPower": "power"}
TEMPLATES = {
    one.__name__: one for one in (HasConsole, HasPower, RunsCommands, CanPing, CanFlash, ServesDhcp, ServesHttp)
}  # fmt: skip


def fulfilled(device: Any) -> list[str]:
    """Return the names of the contracts that a device keeps."""
    return [name for name, template in TEMPLATES.items() if _keeps(device, name, template)]


def _keeps(device: Any, name: str, template: Any) -> bool:
    if name in _BY_VALUE:
        return bool(getattr(device, _BY_VALUE[name]))
    methods = [word for word in vars(template) if not word.startswith("_")]
    return all(callable(getattr(type(device), method, None)) for method in methods)

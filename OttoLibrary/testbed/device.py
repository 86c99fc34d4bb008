"""The class that drivers of devices subclass, and what such a device is given."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from OttoLibrary.errors import HostError, PluginError, UsageError

if TYPE_CHECKING:
    from OttoLibrary.contracts.connections import CommandResult
    from OttoLibrary.host.host import Host
    from OttoLibrary.testbed.pexpect_console import HostConsole

T = TypeVar("T")
ROLES = ("server", "device", "attached")
HOOKS = ("validate", "skip_boot", "boot", "configure", "contingency_check", "shutdown")


class Device:
    """One device of an environment. A driver subclasses it and writes any of the hooks, each as ``def`` or ``async def``.

    A plain hook runs in a thread of its own, beside those of the other devices, and calls ``self.host`` as usual:
    ``self.host.run("uname")``. In an ``async def`` hook the same call is awaited: ``await self.host.run("uname")``.

    Attributes:
        role: When it is brought up: ``server`` first, then ``device``, then ``attached``. ``role`` in its data counts more.
        shut_down_in_order: Whether, among devices that say so too, it is shut down after those that stand behind it in the
            environment, whatever their roles.
        name: Its name.
        type: What it is, as the environment calls it.
        config: Its merged data.
    """

    role: ClassVar[str] = "device"
    shut_down_in_order: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any], place: DevicePlace) -> None:
        self.name, self.type = str(config["name"]), str(config["type"])
        self.config = config
        self._place = place

    # -- what a driver may write

    def validate(self) -> Any:
        """Check what the device needs, before anything is booted."""

    def skip_boot(self) -> Any:
        """Use the device as it is: called in place of all other hooks with ``skip_boot=yes``."""

    def boot(self) -> Any:
        """Bring the device up; may be called again, after a power cycle, when the environment allows several attempts."""

    def configure(self) -> Any:
        """Set the device up, once everything of its role is booted."""

    def contingency_check(self, requirement: Any = None) -> Any:
        """Check that the device can still be used, before a test with a requirement."""

    def shutdown(self) -> Any:
        """Bring the device down; called once at the end, also when it was never booted."""

    # -- what a driver may use

    @property
    def host(self) -> DeviceHost:
        """Its open host. Raises UsageError when its data name no connection."""
        if self._place.host is None:
            raise UsageError(
                f"Device '{self.name}' has no host, because its data name no connection. Give it a 'connection_type'."
            )
        return self._place.host

    @property
    def has_host(self) -> bool:
        """True when its data name a connection."""
        return self._place.host is not None

    @property
    def console(self) -> HostConsole:
        """The console of its host, as an object of pexpect; it stays open until the device is shut down."""
        return self._place.console(self.host)

    @property
    def power(self) -> DevicePower | None:
        """How it is switched on and off, or None."""
        return self._place.power

    @property
    def devices(self) -> Mapping[str, Device]:
        """All devices of the environment by name, itself too."""
        return self._place.devices

    def log(self, text: object) -> None:
        """Write into the log of the test and into the console log of the device."""
        self._place.note(self.name, str(text))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}'>"

    # -- what the deployment does with it

    def abandon(self, thread: threading.Thread) -> None:
        """Let a thread that was given up do nothing more on the host."""
        if self._place.host is not None:
            self._place.host.calls.abandon(thread)

    def close_console(self) -> None:
        """Let the console of the host go."""
        self._place.close_console()


class HostCalls:
    """Runs coroutines for a driver: awaited on the loop, waited for in any other thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: dict[Future[Any], threading.Thread] = {}
        self._abandoned: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def run(self, coroutine: Coroutine[Any, Any, T], host: str) -> Any:
        """Return the coroutine on the loop, and its result anywhere else."""
        if _runs_here(self._loop):
            return coroutine
        thread = threading.current_thread()
        if thread in self._abandoned:
            coroutine.close()
            raise _given_up(host)
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        self._running[future] = thread
        try:
            return future.result()
        except CancelledError as error:
            raise _given_up(host) from error
        finally:
            self._running.pop(future, None)
            future.cancel()

    def wait_for(self, coroutine: Coroutine[Any, Any, T], host: str) -> T:
        """Return its result; raise UsageError on the loop, which would wait for itself."""
        if _runs_here(self._loop):
            coroutine.close()
            raise UsageError(
                f"The console of '{host}' is used in a hook that is 'async def', and pexpect waits. Write the hook as "
                f"'def': it runs in "
                "a thread of its own."
            )
        result: T = self.run(coroutine, host)
        return result

    def abandon(self, thread: threading.Thread) -> None:
        """End what a thread waits for, and let it begin nothing more."""
        self._abandoned.add(thread)
        for future, owner in list(self._running.items()):
            if owner is thread:
                future.cancel()


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _given_up(host: str) -> HostError:
    return HostError(f"Host '{host}': the hook that used it was given up, because its time was over.", host=host)


class DeviceHost:
    """The host of a device, for its driver: what ``Host`` can do, awaited in ``async def`` hooks, called plainly in others."""

    def __init__(self, host: Host, calls: HostCalls, files: Callable[[], Any]) -> None:
        self._host, self._files = host, files
        self.calls = calls
        self.name, self.path = host.name, host.path

    @property
    def raw(self) -> Host:
        """The host itself, whose methods are coroutines."""
        return self._host

    def run(self, command: str, **options: Any) -> CommandResult:
        """Run a command in the command shell, as ``Host.run`` does."""
        found: CommandResult = self.calls.run(self._host.run(command, **options), self.name)
        return found

    def put(self, *arguments: Any, **options: Any) -> Any:
        """Copy a file to the host, as ``Files.put`` does."""
        return self.calls.run(self._files().put(*arguments, **options), self.name)

    def get(self, *arguments: Any, **options: Any) -> Any:
        """Copy a file from the host, as ``Files.get`` does."""
        return self.calls.run(self._files().get(*arguments, **options), self.name)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._host, name)
        if name.startswith("_") or not inspect.iscoroutinefunction(found):
            return found
        return lambda *arguments, **options: self.calls.run(found(*arguments, **options), self.name)


class DevicePower:
    """How a device is switched, for its driver: awaited in ``async def`` hooks, called plainly in others."""

    def __init__(self, switch: Any, calls: HostCalls, name: str) -> None:
        self._switch, self._calls, self._name = switch, calls, name

    def on(self) -> Any:
        """Switch it on."""
        return self._calls.run(self._switch.on(), self._name)

    def off(self) -> Any:
        """Switch it off."""
        return self._calls.run(self._switch.off(), self._name)

    def cycle(self) -> Any:
        """Switch it off and on again."""
        return self._calls.run(self._switch.cycle(), self._name)


@dataclass
class DevicePlace:
    """What a device is given by its deployment.

    Attributes:
        devices: All devices by name.
        note: Takes a line of a device for the log.
        host: Its host, or None.
        power: How it is switched, or None.
        prompt: A regular expression for the prompts that its data name; empty for none.
        folder: Where relative paths in its data start.
        transcript: Called with all that its console shows.
    """

    devices: Mapping[str, Device]
    note: Callable[[str, str], None]
    host: DeviceHost | None = None
    power: DevicePower | None = None
    prompt: str = ""
    folder: Path = Path()
    transcript: Callable[[str], None] = lambda text: None
    _console: Any = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def console(self, host: DeviceHost) -> HostConsole:
        """Return the console, opened on first use."""
        try:
            from OttoLibrary.testbed.pexpect_console import HostConsole
        except ImportError as error:
            raise PluginError(
                f"The console of a device needs a package that is not installed ({error}). "
                f"Install it with: {sys.executable} -m pip install 'robotframework-ottolibrary[pexpect]'"
            ) from error

        with self._lock:
            if self._console is None or not self._console.isalive():
                self._console = HostConsole(host, self.prompt, self.transcript)
            made: HostConsole = self._console
            return made

    def close_console(self) -> None:
        """Let the console go; the next use opens it again."""
        with self._lock:
            console, self._console = self._console, None
        if console is not None:
            console.let_go()

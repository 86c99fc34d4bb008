"""A bench of this process: an environment reserved, deployed, used, shut down and released, in this order and once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from OttoLibrary import registry
from OttoLibrary.errors import OttoError, PluginError, ReservationError, UsageError
from OttoLibrary.run.session import Session

if TYPE_CHECKING:
    import argparse

    from OttoLibrary.contracts.reservations import Demand
    from OttoLibrary.lab.environment import Environment
    from OttoLibrary.lab.host_entry import HostEntry
    from OttoLibrary.run.kept_bench import KeptBench
    from OttoLibrary.testbed.bench_plan import BenchPlan
    from OttoLibrary.testbed.deployment import Deployment
    from OttoLibrary.testbed.device import Device
    from OttoLibrary.testbed.hooks import Hooks
    from OttoLibrary.testbed.life_cycle import Step

T = TypeVar("T")
Call = Callable[[Coroutine[Any, Any, Any]], Any]
LEASE_S = 120.0
NOT_ENDED = "were not shut down without failures, and are released"
# Longer than all shutdowns together may take: each has a limit of its own.
END_S = 3600.0
_HOOK_S = 600.0
# Pabot gives its processes this variable. What keeps a bench up for them ends with them; this only bounds it.
_PABOT = "PABOTQUEUEINDEX"
_LONGEST_RUN_S = 86_400.0
_MOST_CONSOLE_BYTES = 25 << 20
_benches: list[Bench] = []


def _no_options() -> argparse.Namespace:
    import argparse

    return argparse.Namespace()


@dataclass(frozen=True)
class BenchOptions:
    """How a bench is deployed.

    Attributes:
        skip_boot: Use the devices as they are.
        wait_s: How long to wait for hosts that others have reserved.
        lease_s: How long they stay reserved when this process hangs; while it runs, it renews them.
        purpose: What for; others see it.
        skip_checks: Run no contingency checks before tests with requirements.
        keeps: It is kept up for others, and uses nobody else's.
        given: What plug-ins get as ``options``: their own options, and these.
    """

    skip_boot: bool = False
    wait_s: float = 0.0
    lease_s: float = LEASE_S
    purpose: str = "testbed"
    skip_checks: bool = False
    keeps: bool = False
    given: argparse.Namespace = field(default_factory=_no_options)


class Bench:
    """One environment of this process.

    Args:
        session: Whose hosts, lab and reservations it uses.
        reference: The environment, as ``environment:ENVIRONMENT,INVENTORY,BOARD``.
        options: How it is deployed.
        tell: Called with each step when it is over.

    Attributes:
        reference: The environment.
        published: How many of the steps the log shows already.
        checked: The test whose requirements were checked last.
    """

    def __init__(
        self, session: Session, reference: str, options: BenchOptions, tell: Callable[[Step], None] = lambda step: None
    ) -> None:
        self.session, self.reference, self._options, self._tell = session, reference, options, tell
        self._deployment: Deployment | None = None
        self._reserved: list[str] = []
        self._ended = False
        self._consoles = ConsoleLogs(session)
        self._hooks: Hooks | None = None
        self._status: dict[str, object] = {"status": "failed", "exception": None}
        self._kept: KeptBench | None = None
        self.published = 0
        self.checked = ""

    @property
    def deployment(self) -> Deployment:
        """Its devices and what they did; raise UsageError before it is deployed."""
        if self._deployment is None:
            raise UsageError("The devices are not deployed. Deploy them with 'Deploy Devices'.")
        return self._deployment

    @property
    def skips_checks(self) -> bool:
        """True when no contingency checks are to be run."""
        return self._options.skip_checks

    @property
    def steps(self) -> list[Step]:
        """What was done so far."""
        return self._deployment.steps if self._deployment is not None else []

    @property
    def devices(self) -> dict[str, Device]:
        """The devices by name."""
        return self.deployment.devices

    @property
    def board(self) -> str:
        """Its board."""
        return self.reference.rpartition(",")[2]

    @property
    def holder(self) -> str:
        """The process that holds its hosts, as ``machine:pid``."""
        return self._kept.process if self._kept is not None else f"{socket.gethostname()}:{os.getpid()}"

    @property
    def environment(self) -> Environment:
        """What is deployed."""
        return self.deployment.plan.environment

    def deploy(self, call: Call) -> None:
        """Reserve and bring up; when that fails or is interrupted, everything is given back before the error goes on.

        Args:
            call: Runs a coroutine to its end, such as ``Engine.call``.

        Raises:
            LabError: The files have mistakes; nothing was reserved. DeployError: Devices did not come up.
            NotFreeError, ReservationError: The hosts could not be reserved.
        """
        plan = self._planned()
        try:
            if self._is_kept(plan):
                call(self._made(plan))
            else:
                call(self._up(plan))
        except BaseException as error:
            self._status["exception"] = error
            self.session.engine.call(self.end())
            raise
        self._status = {"status": "success"}
        _benches.append(self)

    async def end(self) -> list[str]:
        """Shut down every device, close its host, then release what was reserved; once. Returns what failed."""
        if self._ended:
            return []
        self._ended = True
        if self._kept is not None:
            await self._leave(self._kept)
            return []
        failed: list[str] = []
        try:
            failed += await self._try_hook("otto_shutdown_device", devices=self._known_devices)
            failed += await self._down()
        finally:
            with contextlib.suppress(ValueError):
                _benches.remove(self)
            try:
                arguments = {"options": self._options.given, "status": self._status, "devices": self._known_devices}
                failed += await self._try_hook("otto_release_devices", **arguments)
            finally:
                failed += await self._release()
        if failed:
            self.session.journal.warn(f"The shutdown of devices failed: {'; '.join(failed)}")
        return failed

    # -- steps

    def _planned(self) -> BenchPlan:
        from OttoLibrary.lab.environment_hosts import lab_of
        from OttoLibrary.lab.settings import import_init
        from OttoLibrary.lab.source import environment_of
        from OttoLibrary.testbed.bench_plan import plan

        suite, plans = self.session.suite, list[Any]()
        import_init(suite.settings)
        self._hooks = load_hooks()
        given = self._options.given
        given.environment, given.inventory, given.board = self.reference.partition(":")[2].split(",")
        given.skip_boot = self._options.skip_boot
        for types in self._hooks.call("otto_add_devices") if self._hooks else ():
            for name, factory in types.items():
                registry.register_device(name, factory)

        def check(environment: Environment, problems: list[str]) -> None:
            parsed = self._parsed(environment)
            plans.append(plan(parsed, problems))
            lab_of(parsed, problems)

        environment_of(self.reference, suite.folder, suite.settings, check)
        _ = self.session.lab.loaded
        made: BenchPlan = plans[0]
        return made

    def _parsed(self, environment: Environment) -> Environment:
        """Return the environment with the devices that a plug-in makes of it."""
        if self._hooks is None:
            return environment
        arguments = {"options": self._options.given, "inventory": environment.inventory, "environment": environment.asked}
        parsed = self._hooks.call("otto_parse_config", **arguments)
        return environment if parsed is None else environment.with_devices(parsed)

    @property
    def _known_devices(self) -> dict[str, Device]:
        return self._deployment.devices if self._deployment is not None else {}

    async def _hook(self, name: str, **arguments: Any) -> Any:
        """Call a hook of the plug-ins in a thread of its own, bounded in time."""
        if self._hooks is None:
            return None
        from OttoLibrary.testbed.hook_call import call

        hooks = self._hooks
        return await call(lambda: hooks.call(name, **arguments), (), _HOOK_S, lambda thread: None)

    async def _try_hook(self, name: str, **arguments: Any) -> list[str]:
        """Do the same at the end, where nothing may keep the rest from being done; return what failed."""
        from OttoLibrary.testbed.life_cycle import reason

        try:
            await self._hook(name, **arguments)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, the bench is given back
            return [f"{name}: {reason(error, _HOOK_S)}"]
        return []

    def _is_kept(self, plan: BenchPlan) -> bool:
        """Use the bench of a keeper when there is one; under pabot start one for all processes."""
        if self._options.keeps:
            return False
        kept, session = self._keeper(), self.session
        with kept.turn():
            if not kept.is_up and session.variable(_PABOT):
                skipping = ["--skip-boot"] if self._options.skip_boot else []
                wait = ["--wait", str(self._options.wait_s)]
                words = ["--keeper", str(os.getppid()), "--lease", str(_LONGEST_RUN_S), *skipping, *wait]
                address = session.variable("PABOTLIBURI")
                words += ["--settings-of", str(session.suite.folder or Path.cwd())]
                kept.start(words, **({"PABOTLIBURI": address} if address else {}))
            if not kept.is_up:
                return False
            kept.attach(plan.environment, session.reservations.user)
            session.reservations.held_by.add(kept.process)
        self._kept = kept
        return True

    def _keeper(self) -> KeptBench:
        """Return the place of a keeper: by the files themselves, however they were named."""
        from OttoLibrary.lab.environment_files import found_file
        from OttoLibrary.run.kept_bench import KeptBench

        *files, board = self.reference.partition(":")[2].split(",")
        suite = self.session.suite
        folders = [Path.cwd(), *([suite.folder] if suite.folder else []), *suite.settings.folders]
        places = [str(found.resolve()) if (found := found_file(file, folders)) else file for file in files]
        return KeptBench(places[0], places[1], board)

    async def _leave(self, kept: KeptBench) -> None:
        """Let go of a bench that others keep up."""
        with contextlib.suppress(ValueError):
            _benches.remove(self)
        for device in self._known_devices.values():
            device.close_console()
            if device.has_host:
                await device.host.raw.close()
        self._consoles.close()
        self.session.reservations.held_by.discard(kept.process)
        kept.leave()

    async def _up(self, plan: BenchPlan) -> None:
        await self._reserve(plan)
        await self._made(plan)
        devices = self.deployment.devices
        await self._hook("otto_setup_env", options=self._options.given, devices=devices)
        await self.deployment.bring_up(skip_boot=self._options.skip_boot)
        await self._hook("otto_post_setup_env", options=self._options.given, devices=devices)

    async def _made(self, plan: BenchPlan) -> None:
        from OttoLibrary.testbed.deployment import Deployment, Surroundings

        session = self.session
        around = Surroundings(
            session.hosts.use, session.files.on, lambda name: name in session.lab.loaded.hosts, self._consoles.add, self._tell
        )
        self._deployment = Deployment(plan, around)
        await self._deployment.make()

    async def _down(self) -> list[str]:
        deployment = self._deployment
        if deployment is None:
            return []
        failed = await deployment.bring_down()
        for device in deployment.devices.values():
            if device.has_host:
                await device.host.raw.close()
        self._consoles.close()
        return failed

    async def _reserve(self, plan: BenchPlan) -> None:
        if await self._hook("otto_reserve_devices", options=self._options.given, environment=plan.environment):
            return
        reservations = self.session.reservations
        if not reservations.can_reserve:
            return
        lab = self.session.lab.loaded
        entries = [lab.hosts[name] for name in plan.devices if name in lab.hosts]
        wanted = [entry for entry in entries if not reservations.has(entry)]
        if not wanted:
            return
        await reservations.leases.reserve(self._demand(wanted), self._options.wait_s)
        self._reserved = [entry.name for entry in wanted]

    def _demand(self, wanted: list[HostEntry]) -> Demand:
        options = self._options
        return self.session.reservations.demand(wanted, len(wanted), options.lease_s, options.purpose, 0)

    async def _release(self) -> list[str]:
        """Release what was reserved; return what failed around that."""
        reserved, self._reserved = self._reserved, []
        try:
            if reserved:
                await self.session.reservations.leases.release(reserved)
        except ReservationError as error:
            return [str(error)]
        return []


class ConsoleLogs:
    """What the consoles of devices showed, one file for each beside the log, line by line, without secrets."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._begun: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    def add(self, device: str, text: str) -> None:
        """Keep text of a console; the last line waits until it is whole. May be called in any thread."""
        with self._lock:
            *lines, rest = (self._begun.get(device, "") + text).split("\n")
            self._begun[device] = rest[-_MOST_CONSOLE_BYTES:]
            self._write(device, lines)

    def close(self) -> None:
        """Write what waits."""
        with self._lock:
            begun, self._begun = self._begun, {}
            for device, text in begun.items():
                self._write(device, [text] if text else [])

    def _write(self, device: str, lines: list[str]) -> None:
        folder = self._session.suite.output_folder
        if folder is None or not lines or self._sizes.get(device, 0) > _MOST_CONSOLE_BYTES:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03}"
        text = "".join(f"{stamp} {self._session.masker.mask(line.rstrip(chr(13)))}\n" for line in lines)
        path = Path(folder) / "otto" / f"{device}-device.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            self._session.journal.warn(f"The console of device '{device}' cannot be kept in {path}: {error.strerror}.")
            self._sizes[device] = _MOST_CONSOLE_BYTES
        self._sizes[device] = self._sizes.get(device, 0) + len(text)


def load_hooks() -> Hooks | None:
    """Return the plug-ins, or None when there are none. Raises PluginError."""
    registered, installed = registry.plugins()
    bridges = _vitro_bridges()
    if not registered and not installed and not bridges:
        return None
    try:
        from OttoLibrary.testbed.hooks import Hooks
    except ImportError as error:
        raise PluginError(
            f"Plug-ins of a deployment need a package that is not installed ({error}). "
            f"Install it with: {sys.executable} -m pip install 'robotframework-ottolibrary[testbed]'"
        ) from error
    return Hooks(*bridges)


def _vitro_bridges() -> list[object]:
    """Return what runs the plug-ins of Vitro, when there are any."""
    if not registry.is_installed("vitro"):
        return []
    from OttoLibrary.testbed import vitro_bridge

    return [vitro_bridge.VitroBridge()] if vitro_bridge.is_needed() else []


def plugin_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of plug-ins to a parser."""
    hooks = load_hooks()
    if hooks is not None:
        hooks.call("otto_add_cmdline_args", parser=parser)


def default_options() -> argparse.Namespace:
    """Return the options of plug-ins as they are when nobody gives one."""
    import argparse

    parser = argparse.ArgumentParser()
    plugin_options(parser)
    return parser.parse_args([])


def bench_of(session: Session) -> Bench:
    """Return the bench that a library uses: its own, or the only one of this process; raise UsageError when there is none."""
    own = [bench for bench in _benches if bench.session is session] or list(_benches)
    if not own:
        raise UsageError("No devices are deployed. Deploy them with 'Deploy Devices', or with the listener OttoLibrary.Deploy.")
    return own[-1]


def deployed(reference: str) -> Bench | None:
    """Return the bench of this process that has an environment deployed, or None."""
    return next((bench for bench in _benches if bench.reference == reference), None)


def is_any_deployed() -> bool:
    """Return True while this process has a bench deployed."""
    return bool(_benches)


def reference_to(environment: str, inventory: str, board: str) -> str:
    """Return two files and a board as a reference to a lab."""
    return f"environment:{environment},{inventory},{board}"


def environment_reference(session: Session) -> str:
    """Return the one environment among the labs of a session; raise UsageError."""
    from OttoLibrary.lab.source import ENVIRONMENT, split

    references = session.lab.references or str(session.suite.settings.lab.get("default", ""))
    found = [reference for reference in split(references) if reference.startswith(f"{ENVIRONMENT}:")]
    if len(found) != 1:
        what = "no environment" if not found else f"{len(found)} environments"
        raise UsageError(
            f"The lab has {what}. Name one on the import of the library: lab=environment:environment.json,inventory.json,BOARD."
        )
    return found[0]


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[OttoError], None]) -> Iterator[None]:
    """Call ``stop`` with an error at Ctrl-C and SIGTERM, after what handles them otherwise; in other threads do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def handle(number: int, frame: Any) -> None:
        handler = before[number]
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, frame)
        stop(OttoError(f"The deployment was stopped by {signal.Signals(number).name}."))

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for handled, handler in before.items():
            signal.signal(handled, handler)

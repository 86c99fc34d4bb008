"""A turret: it hears an HQ, fires its cannons and reports; of OCT's HQ on OCT's wire, of ours on a connection of its own."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from OttoLibrary.load.turret import oct_messages as oct_wire
from OttoLibrary.load.turret.batches import IterationTally, Note, merged
from OttoLibrary.load.turret.cannons import Cannon, RunClock
from OttoLibrary.load.turret.counters import Counters
from OttoLibrary.load.turret.curve_connection import CurveConnection
from OttoLibrary.load.turret.firing import Arrivals, FiringPlan
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.load.turret.transactions import Maker
from OttoLibrary.load.turret.zmtp import Disconnected, ZmtpConnection

_TICK_S = 0.1
_BATCH_S = 0.25
_BEAT_S = 0.5
_STATUS_S = 2.0
# An HQ that says nothing for so long is dead.
HQ_SILENT_S = 5.0
_RETRY_S = 0.5
# Batches that the HQ has not confirmed; then cannons wait.
_MOST_UNCONFIRMED = 64


class Battery(Protocol):
    """What one turret fires in one run, and what it noted of that.

    Attributes:
        plan: What is fired.
        counters: Its counts.
        arrivals: The intended starts of the open model, or None.
    """

    plan: FiringPlan
    counters: Counters
    arrivals: Arrivals | None

    @property
    def users(self) -> int:
        """How many users are active."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is fired or noted."""

    def take(self) -> IterationTally:
        """Return what was noted since the last time."""

    def stop(self) -> None:
        """Let each user end the iteration that it is in; idempotent."""

    def look(self) -> None:
        """End the run when its time is over, and give up what does not end after that."""

    def late(self) -> Histogram:
        """Return how late iterations of the open model started for which a user was free."""


if TYPE_CHECKING:
    # Begins what a turret fires: from the plan, what makes a transaction, the clock of the run, and the file of the counters.
    OpenBattery = Callable[[FiringPlan, Maker, RunClock, str], Battery]


class CannonBattery:
    """The cannons of one run.

    Args:
        plan: What they fire.
        make: Makes what each user does.
        clock: The time of the run.
        counters: The file of their counts; without one they do not survive this process.
        send: Takes each note at once; by default they are collected.
        launch: Begins a cannon; by default in a thread of its own.
    """

    def __init__(
        self,
        plan: FiringPlan,
        make: Maker,
        clock: RunClock,
        counters: str = "",
        send: Callable[[int], Callable[[Note], None]] | None = None,
        launch: Callable[[Cannon], None] = Cannon.start,
    ) -> None:
        self.plan, self.clock, self.counters = plan, clock, Counters(plan.users, counters)
        self.arrivals: Arrivals | None = Arrivals(plan) if plan.model == "open" else None
        self._given_up: list[IterationTally] = []
        self._ending_s: float | None = None
        self.cannons = [
            Cannon(number, make, plan, clock, self.counters.slot(number), send(number) if send else None)
            for number in range(plan.users)
        ]
        for cannon in self.cannons:
            cannon.arrivals = self.arrivals
            launch(cannon)

    def take(self) -> IterationTally:
        """Return what was noted since the last time."""
        given_up, self._given_up = self._given_up, []
        parts = [*(cannon.take() for cannon in self.cannons), *given_up]
        return merged(parts, rows=bool(self.plan.more.get("rows")), is_open=self.plan.model == "open")

    @property
    def users(self) -> int:
        """How many users are active."""
        return sum(cannon.is_active for cannon in self.cannons)

    @property
    def is_over(self) -> bool:
        """Whether all cannons have ended."""
        return all(cannon.has_ended for cannon in self.cannons)

    def stop(self) -> None:
        """Let each user end the iteration that it is in; idempotent."""
        if self._ending_s is not None:
            return
        self._ending_s = self.clock.now_s()
        if self.arrivals is not None:
            self.arrivals.stop(self._ending_s)
        for cannon in self.cannons:
            cannon.ending.set()

    def look(self) -> None:
        """End the run when its time is over, and give up what does not end after that."""
        now_s = self.clock.now_s()
        if self._ending_s is None and now_s >= self.plan.duration_s:
            self.stop()
        if self._ending_s is not None and now_s >= self._ending_s + self.plan.grace_s:
            for cannon in self.cannons:
                cannon.give_up()
                cannon.is_over.set()
            self._given_up += [cannon.take() for cannon in self.cannons if not cannon.has_ended]
            self.cannons = [cannon for cannon in self.cannons if cannon.has_ended]

    def late(self) -> Histogram:
        """Return how late iterations of the open model started for which a user was free."""
        return Histogram.merged(cannon.late for cannon in self.cannons)


class OctTurret:
    """A turret on OCT's wire: it answers an HQ of OCT as the real one does.

    Args:
        config: Its configuration, with all keys that OCT wants.
        make: Makes a transaction from the context that the HQ gives along.
        uuid: Who it is.
    """

    def __init__(self, config: dict[str, Any], make: Callable[[dict[str, Any]], Maker], uuid: str) -> None:
        self.config, self._make, self.uuid = config, make, uuid
        self.status = oct_wire.INITIALIZED
        self._context: dict[str, Any] = {}
        self._battery: CannonBattery | None = None
        self._answered_s = 0.0
        self._orders: ZmtpConnection | None = None
        self._reports: ZmtpConnection | None = None
        self._heard_s = time.monotonic()
        self._killed = self._done = False

    def run(self) -> int:
        """Serve one HQ after the other until it is killed; return the exit status."""
        self.status = oct_wire.READY
        try:
            while not self._killed and not (self._done and self.config.get("once")):
                self._step()
        finally:
            self._stop()
            self._close()
        return 1 if self._killed else 0

    def _step(self) -> None:
        try:
            self._connect()
            self._hear()
            self._look()
        except Disconnected:
            self._close()
            if self._battery is not None and time.monotonic() - self._heard_s > HQ_SILENT_S:
                # The HQ is gone: nobody counts what is fired from now on.
                self._stop()
            time.sleep(_RETRY_S)

    def _connect(self) -> None:
        if self._orders is None:
            address = str(self.config["hq_address"])
            self._orders = ZmtpConnection(address, int(self.config["hq_publisher"]), "SUB")
            self._orders.subscribe(b"")
            self._orders.subscribe(self.uuid.encode())
            self._reports = ZmtpConnection(address, int(self.config["hq_rc"]), "PUSH")
        self._heard_s = time.monotonic()

    def _close(self) -> None:
        for connection in (self._orders, self._reports):
            if connection is not None:
                connection.close()
        self._orders = self._reports = None

    def _hear(self) -> None:
        assert self._orders is not None
        data = self._orders.receive(_TICK_S)
        if data is None:
            return
        try:
            found = oct_wire.read_order(data, self.uuid)
        except oct_wire.BadMessage:
            return
        if found is not None:
            self._obey(*found)

    def _obey(self, command: str, message: Any) -> None:
        if command == oct_wire.STATUS_REQUEST:
            self._say()
        elif command == oct_wire.CONTEXT and isinstance(message, dict):
            self._context.update(message)
        elif command == oct_wire.START and self._battery is None:
            self._start()
        elif command == oct_wire.STOP and self._battery is not None:
            self._battery.stop()
        elif command == oct_wire.KILL:
            self._killed = True
            self._stop()
            self.status = oct_wire.KILLED
            self._say()

    def _start(self) -> None:
        plan = FiringPlan.from_plain(
            {
                "stages": [(float(self.config.get("rampup") or 0), self.config["cannons"]), (1e9, self.config["cannons"])],
                "users": self.config["cannons"],
            }
        )
        self.status = oct_wire.RUNNING
        self._say()
        clock = RunClock(time.time())
        counters = str(self.config.get("counters") or "")
        self._battery = CannonBattery(plan, self._make(self._context), clock, counters, self._sender)

    def _sender(self, number: int) -> Callable[[Note], None]:
        """Return what sends the results of one cannon, on a connection of its own."""
        address, port = str(self.config["hq_address"]), int(self.config["hq_rc"])
        connections: list[ZmtpConnection] = []

        def send(note: Note) -> None:
            error = note.failure[1] if note.failure is not None else ""
            result = oct_wire.OctResult(note.elapsed_s, float(int(note.ended)), note.service_s, error, note.timers or {}, "")
            try:
                if not connections:
                    connections.append(ZmtpConnection(address, port, "PUSH"))
                connections[0].send(oct_wire.result_message(result))
            except Disconnected:
                # Of this HQ nothing comes back; whether it is gone for good the turret itself finds out.
                connections.clear()
                time.sleep(_RETRY_S)

        return send

    def _look(self) -> None:
        if self._battery is not None and self._battery.is_over:
            self._stop()
            self.status = oct_wire.READY
            self._say()
        if self._battery is None and time.monotonic() - self._answered_s >= _STATUS_S:
            self._say()

    def _stop(self) -> None:
        battery, self._battery = self._battery, None
        if battery is None:
            return
        battery.stop()
        end = time.monotonic() + battery.plan.grace_s
        for cannon in battery.cannons:
            cannon.join(max(0.0, end - time.monotonic()))
        self._done = True
        self.status = oct_wire.READY

    def _say(self) -> None:
        self._answered_s = time.monotonic()
        config = self.config
        said = oct_wire.OctStatus(
            str(config["name"]), self.status, self.uuid, config.get("rampup", 0), str(config["script"]), int(config["cannons"])
        )
        if self._reports is not None:
            self._reports.send(oct_wire.status_message(said))


class OttoTurret:
    """A turret of our own HQ: one connection both ways, with beats, batches that are confirmed, and direct orders.

    Args:
        config: ``name``, ``hq_address``, ``hq_port``; with ``once`` it ends after one run.
        make: Makes a transaction from the context that the HQ gives along.
        uuid: Who it is.
        open_battery: Begins what it fires; by default cannons in threads of their own.
    """

    def __init__(
        self,
        config: dict[str, Any],
        make: Callable[[dict[str, Any]], Maker],
        uuid: str,
        open_battery: OpenBattery = CannonBattery,
    ) -> None:
        self.config, self._make, self.uuid, self._open_battery = config, make, uuid, open_battery
        self._connection: ZmtpConnection | CurveConnection | None = None
        self._battery: Battery | None = None
        self._run = ""
        self._batch = 0
        self._unconfirmed: deque[tuple[int, bytes]] = deque()
        self._heard_s = self._beat_s = self._sent_s = 0.0
        self._finished = self._killed = False
        self._problem = ""

    def run(self) -> int:
        """Serve an HQ until it is killed, or with ``once`` until its run is over or the HQ is gone."""
        self._heard_s = time.monotonic()
        try:
            while not self._killed and not (self._finished and self.config.get("once")):
                self._step()
        finally:
            if self._connection is not None:
                self._connection.close()
        # Threads that do not end must not hold the process.
        return 1 if self._killed else 0

    def end(self) -> None:
        """Let ``run`` return, from another thread."""
        if self._battery is not None:
            self._battery.stop()
        self._killed = True

    def _step(self) -> None:
        try:
            if self._connection is None:
                self._connection = self._connected()
                self._hello()
            self._hear()
            self._look()
        except Disconnected:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            time.sleep(_RETRY_S)
        if time.monotonic() - self._heard_s > HQ_SILENT_S:
            self._lose_hq()

    def _connected(self) -> ZmtpConnection | CurveConnection:
        address, port, keys = str(self.config["hq_address"]), int(self.config["hq_port"]), self.config.get("curve")
        if keys:
            return CurveConnection(address, port, "DEALER", keys)
        return ZmtpConnection(address, port, "DEALER")

    def _lose_hq(self) -> None:
        """End the run: an HQ that is silent counts nothing. What it has not confirmed is lost, and the counters say how much."""
        if self._battery is not None:
            self._battery.stop()
            self._battery = None
            self._unconfirmed.clear()
        if self.config.get("once"):
            self._finished = True
        self._heard_s = time.monotonic()

    def _say(self, **said: Any) -> bytes:
        data = json.dumps({"uuid": self.uuid, "run": self._run, **said}).encode()
        if self._connection is not None:
            self._connection.send(data)
        return data

    def _hello(self) -> None:
        config = self.config
        words = {name: config.get(name) for name in ("name", "script", "rampup", "cannons", "token", "leads")}
        self._say(hello=1, pid=os.getpid(), status=self._status(), problem=self._problem, **words)
        for _, data in self._unconfirmed:
            assert self._connection is not None
            self._connection.send(data)

    def _status(self) -> str:
        if self._battery is None:
            return oct_wire.READY if not self._problem else oct_wire.ABORTED
        return oct_wire.RUNNING

    def _hear(self) -> None:
        assert self._connection is not None
        timeout_s = _TICK_S
        while (data := self._connection.receive(timeout_s)) is not None:
            self._heard_s = time.monotonic()
            try:
                said = json.loads(data)
            except ValueError:
                continue
            if isinstance(said, dict):
                self._obey(said)
            timeout_s = 0.0

    def _obey(self, said: dict[str, Any]) -> None:
        order = said.get("order")
        if order == "start" and self._battery is None:
            self._start(said)
        elif order == "confirm":
            while self._unconfirmed and self._unconfirmed[0][0] <= said["batch"]:
                self._unconfirmed.popleft()
        elif order == "stop" and said.get("run") == self._run:
            if self._battery is not None:
                self._battery.stop()
            elif not self._finished:
                self._conclude(None)
        elif order == "end" and said.get("run") == self._run:
            self._finished = True
            self._run = ""
        elif order == "kill":
            self._killed = True

    def _start(self, said: dict[str, Any]) -> None:
        self._run, self._batch, self._finished = said["run"], 0, False
        plan = FiringPlan.from_plain(said["plan"])
        # The time of a run that began before this turret came.
        clock = RunClock(float(said["began"]))
        clock.advance(float(said["now"]) - float(said["began"]))
        try:
            maker = self._make({**(said.get("context") or {}), "_script": said.get("script")})
        except Exception as error:  # noqa: BLE001 - whatever a script does, the HQ has to know
            self._problem = f"{error}"[:1000]
            self._say(status=oct_wire.ABORTED, problem=self._problem)
            return
        self._battery = self._open_battery(plan, maker, clock, str(self.config.get("counters") or ""))
        self._say(status=oct_wire.RUNNING)

    def _look(self) -> None:
        now_s = time.monotonic()
        battery = self._battery
        if battery is not None:
            battery.look()
            was_over = battery.is_over
            if now_s - self._sent_s >= _BATCH_S or was_over:
                self._sent_s = now_s
                self._send_batch(battery)
            if was_over and not self._unconfirmed:
                self._battery = None
                self._conclude(battery)
        if now_s - self._beat_s >= _BEAT_S:
            self._beat_s = now_s
            self._beat(self._battery)

    def _send_batch(self, battery: Battery) -> None:
        if len(self._unconfirmed) >= _MOST_UNCONFIRMED:
            return
        tally = battery.take()
        if tally.is_empty:
            return
        self._batch += 1
        data = json.dumps({"uuid": self.uuid, "run": self._run, "batch": self._batch, **tally.to_plain()}).encode()
        self._unconfirmed.append((self._batch, data))
        if self._connection is not None:
            self._connection.send(data)

    def _beat(self, battery: Battery | None) -> None:
        if battery is None:
            self._say(beat=1, status=self._status(), problem=self._problem)
            return
        begun, done = battery.counters.totals()
        arrivals = battery.arrivals
        self._say(
            beat=1,
            status=self._status(),
            users=battery.users,
            begun=begun,
            done=done,
            planned=arrivals.planned if arrivals is not None else None,
            dropped=arrivals.dropped if arrivals is not None else None,
            problem=self._problem,
        )

    def _conclude(self, battery: Battery | None) -> None:
        """Say that all is sent, with the final counts."""
        begun, done = battery.counters.totals() if battery is not None else (0, 0)
        arrivals = battery.arrivals if battery is not None else None
        self._say(
            stopped=1,
            begun=begun,
            done=done,
            batches=self._batch,
            planned=arrivals.planned if arrivals is not None else None,
            dropped=arrivals.dropped if arrivals is not None else None,
            late=battery.late().to_plain() if battery is not None and arrivals is not None else None,
            status=self._status(),
        )

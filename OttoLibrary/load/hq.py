"""The HQ: it starts turrets, collects what they report, counts what is lost, and ends the run. One thread does all of it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from OttoLibrary.load.known_turret import LOST, KnownTurret
from OttoLibrary.load.load_limits import AbortWatch, LoadLimit
from OttoLibrary.load.result_store import ErrorRow, LoadPhase, ResultWriter, masked_plain
from OttoLibrary.load.second import Second, together
from OttoLibrary.load.sockets import HqSockets
from OttoLibrary.load.turret import oct_messages as oct_wire
from OttoLibrary.load.turret.batches import RESPONSE, TIMER, rows_of
from OttoLibrary.load.turret.counters import counters_path, read_counts
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.text import plural, printable

WAITING, RUNNING, STOPPING, OVER = "waiting", "running", "stopping", "over"
# A turret that says nothing for so long is lost.
SILENT_S = 2.4
_ASK_S = 1.0
_BEAT_S = 0.5
_BUSY_S = 0.2
_COMMIT_S = 0.5
_ABORT_LOOK_S = 0.25
# What is taken before anything else is looked after.
_MOST_AT_ONCE = 1000
_MOST_OWN_AT_ONCE = 20
# After the last word of a turret of OCT, what it sent on other connections may still come.
_QUIET_S = 0.5
_STRAY_S = 1.0
_LONGEST_STRAY_S = 30.0
# Seconds that are kept in memory, for limits; no window is longer.
MOST_SECONDS_KEPT = 900
_MOST_ERRORS = 200
_MOST_KINDS = 300
_MOST_WARNINGS = 100
_MOST_BAD_SHOWN = 5
_OTHER_CLOCK_S = 60.0
_LATE_MS = 50.0
# For so long users may end what they do when nobody waits for the run any more.
_LEAVE_S = 2.0


@dataclass(frozen=True)
class HqPlan:
    """What an HQ has to know of a plan.

    Attributes:
        duration_s: How long turrets fire; None until they have done their iterations.
        turrets: How many turrets are waited for.
        wait_s: For how long.
        grace_s: How long what is in flight at the end may take.
        firing: What all turrets of ours fire together, as ``FiringPlan`` has it; None when each fires what it was packed with.
        script: What their users do, as ``load_maker`` has it.
        context: What transactions get along.
        limits: What ends the run when it is broken.
        phases: Phases that the plan itself has: name, begin and end in seconds from the start.
        most_rows: How many results are kept by themselves.
        topic: What published results begin with.
        described: What results say about the plan.
        tokens: Turrets of ours that are let in; none means all.
    """

    duration_s: float
    turrets: int = 1
    wait_s: float = 60.0
    grace_s: float = 30.0
    firing: dict[str, Any] | None = None
    script: dict[str, Any] | None = None
    context: dict[str, Any] = field(default_factory=dict)
    limits: tuple[LoadLimit, ...] = ()
    phases: tuple[tuple[str, float, float], ...] = ()
    most_rows: int = 5_000_000
    topic: str = ""
    described: dict[str, Any] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()


class Hq:
    """The HQ of one run.

    Args:
        plan: What is run.
        sockets: Where turrets are heard.
        writer: Where results are kept.
        folder: Where the turrets of this machine leave their counters.
        mask: Hides secrets in what is kept.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        plan: HqPlan,
        sockets: HqSockets,
        writer: ResultWriter,
        folder: Path,
        mask: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mask = mask
        self.plan, self.sockets, self._writer, self._folder, self._clock = plan, sockets, writer, folder, clock
        self.state, self.reason = WAITING, ""
        self.is_aborted = False
        self.run_id = uuid.uuid4().hex
        self.turrets: dict[str, KnownTurret] = {}
        self.began: float | None = None
        self.stored = self.failed = 0
        self.bad_messages = self.strays = self.refused = 0
        self.warnings: list[str] = []
        self._zero, self._zero_wall = clock(), time.time()
        self._topic = (plan.topic or uuid.uuid4().hex).encode()
        self._created = self.now()
        self._asked = self._beat = self._committed = self._looked = 0.0
        self._heard_result = self._last_stray = 0.0
        self._ending = self._deadline = 0.0
        self._seconds: dict[int, Second] = {}
        self._changed: set[int] = set()
        self._kinds: dict[str, str] = {}
        self._errors: dict[tuple[str, str], list[float]] = {}
        self._changed_errors: set[tuple[str, str]] = set()
        self._rows: list[tuple[Any, ...]] = []
        self._rows_left = plan.most_rows
        self._phases: list[LoadPhase] = []
        self._watches = [AbortWatch(limit) for limit in plan.limits]
        self._dropped = 0
        self._is_full = False
        self.broken: LoadLimit | None = None
        self._note_run(state=WAITING, plan=plan.described, created=self._created, run=self.run_id)
        # A turret that still fires for an earlier HQ ends now; of its results nothing is counted.
        sockets.publish(oct_wire.order(oct_wire.STOP, oct_wire.STOP_MESSAGE))

    # -- time

    def now(self) -> float:
        """Return seconds since 1970 that never go back."""
        return self._zero_wall + self._clock() - self._zero

    @property
    def is_over(self) -> bool:
        """Whether the run has ended and all is stored."""
        return self.state == OVER

    # -- one step

    def step(self, wait_s: float) -> None:
        """Wait for messages, take what came, and do what is due."""
        self.sockets.wait(0.0 if self._is_full else wait_s)
        for sentence in self.sockets.take_refusals():
            self._note_refusal(sentence)
        began = self.now()
        reports = self.sockets.take_reports(_MOST_AT_ONCE)
        own = self.sockets.take_own(_MOST_OWN_AT_ONCE)
        self._is_full = len(reports) == _MOST_AT_ONCE or len(own) == _MOST_OWN_AT_ONCE
        for frames in reports:
            self._take_report(frames)
        for frames in own:
            self._take_own(frames)
        self._do_what_is_due()
        busy_s = self.now() - began
        if busy_s > _BUSY_S or self._is_full:
            # What was not read in the meantime, nobody failed to say.
            for turret in self.turrets.values():
                turret.heard = min(self.now(), turret.heard + busy_s)

    def _do_what_is_due(self) -> None:
        now = self.now()
        if now - self._asked >= _ASK_S:
            self._asked = now
            self._ask()
        if now - self._beat >= _BEAT_S:
            self._beat = now
            self._tell_all({"order": "beat"})
            self._notice_silence(now)
        if self.state == WAITING:
            self._begin_when_ready(now)
        elif self.state == RUNNING:
            self._end_when_due(now)
        elif self.state == STOPPING:
            self._conclude_when_done(now)
        if now - self._committed >= _COMMIT_S and self.state != OVER:
            self._committed = now
            self._commit()

    def _ask(self) -> None:
        """Ask turrets of OCT how they are: it is all that tells a living one from a dead one."""
        self.sockets.publish(oct_wire.order(oct_wire.STATUS_REQUEST))
        is_firing_for_others = any(turret.status == oct_wire.RUNNING for turret in self.turrets.values() if not turret.is_ours)
        if self.state == WAITING and (is_firing_for_others or self.now() - self._last_stray < _STRAY_S):
            self.sockets.publish(oct_wire.order(oct_wire.STOP, oct_wire.STOP_MESSAGE))

    # -- begin and end

    def _begin_when_ready(self, now: float) -> None:
        waited = now - self._created
        ready = [
            turret for turret in self.turrets.values() if turret.status.lower() not in {"running", LOST, "aborted", "killed"}
        ]
        problems = [turret.problem for turret in self.turrets.values() if turret.problem]
        if problems:
            self.abort(problems[0])
        elif now - self._last_stray < _STRAY_S and waited < _LONGEST_STRAY_S:
            return
        elif len(ready) >= self.plan.turrets:
            self._begin(now)
        elif waited > self.plan.wait_s:
            known = plural(len(ready), "turret")
            self.abort(f"{known} of {self.plan.turrets} came in {self.plan.wait_s:g} s")

    def _begin(self, now: float) -> None:
        self.state, self.began = RUNNING, now
        self._phases = [LoadPhase(self._shown(name), now + first, now + last) for name, first, last in self.plan.phases]
        self._writer.write_phases(self._phases)
        self._note_run(state=RUNNING, began=now)
        own = [turret for turret in self.turrets.values() if turret.is_ours and not turret.is_gone]
        for number, turret in enumerate(own):
            turret.number = number
        self._start_octs()
        for turret in own:
            self._start(turret, now)

    def _start_octs(self) -> None:
        self.sockets.publish(oct_wire.order(oct_wire.CONTEXT, self.plan.context))
        self.sockets.publish(oct_wire.order(oct_wire.START, oct_wire.START_MESSAGE))

    def _start(self, turret: KnownTurret, now: float) -> None:
        plan = self._firing_of(turret)
        plan["rows"] = self.plan.most_rows > 0
        said = {"order": "start", "run": self.run_id, "plan": plan, "script": self.plan.script, "context": self.plan.context}
        self._tell(turret, {**said, "began": self.began, "now": now})

    def _firing_of(self, turret: KnownTurret) -> dict[str, Any]:
        if self.plan.firing is None:
            stages = [(turret.rampup, turret.cannons), (max(0.0, self.plan.duration_s - turret.rampup), turret.cannons)]
            return {"stages": stages, "users": turret.cannons, "all_users": turret.cannons, "grace_s": self.plan.grace_s}
        parts = max(1, self.plan.turrets)
        firing = dict(self.plan.firing)
        users = int(firing["all_users"])
        number = turret.number
        firing["share"] = [number, parts]
        # One who comes late and has no part of it is ready to help, and has nothing to do.
        firing["users"] = max(0, len(range(number, users, parts))) if 0 <= number < parts else 0
        return firing

    def _end_when_due(self, now: float) -> None:
        assert self.began is not None
        living = [turret for turret in self.turrets.values() if not turret.is_given_up(now) and not turret.leads]
        leader = next((turret for turret in self.turrets.values() if turret.leads and turret.is_given_up(now)), None)
        if now >= self.began + self.plan.duration_s:
            self.stop("")
        elif leader is not None:
            self.abort(f"turret '{leader.name}', which leads the others, is gone")
        elif not living:
            self.abort("all turrets are gone")
        elif all(turret.stopped for turret in living) and self.plan.firing is not None:
            self.stop("")
        elif now - self._looked >= _ABORT_LOOK_S:
            self._looked = now
            self._look_at_limits(now)

    def _look_at_limits(self, now: float) -> None:
        seconds = [self._seconds[at] for at in sorted(self._seconds)]
        for watch in self._watches:
            if watch.is_broken(seconds, self._phases, now):
                self.broken = watch.limit
                self.abort(f"the limit {watch.limit} was broken for longer than {watch.limit.window_s:g} s")
                return

    def stop(self, reason: str) -> None:
        """End the run: what is in flight ends, and all results are collected."""
        if self.state == WAITING:
            self.state = STOPPING
            self._ending = self._deadline = self.now()
        if self.state != RUNNING:
            return
        self.state, self.reason, self._ending = STOPPING, reason or self.reason, self.now()
        self._deadline = self._ending + self.plan.grace_s + 5.0
        self._note_run(state=STOPPING, stopped=self._ending)
        self.sockets.publish(oct_wire.order(oct_wire.STOP, oct_wire.STOP_MESSAGE))
        self._tell_all({"order": "stop", "run": self.run_id})

    def abort(self, reason: str) -> None:
        """End the run as one that failed."""
        if self.state in {STOPPING, OVER}:
            return
        self.is_aborted, self.reason = True, self._mask(reason)
        self.stop(self.reason)

    def leave(self, reason: str) -> None:
        """End the run as one that failed, and wait for what is in flight no longer than a moment; idempotent."""
        self.abort(reason)
        self._deadline = min(self._deadline, self.now() + _LEAVE_S)

    def _conclude_when_done(self, now: float) -> None:
        own = [turret for turret in self.turrets.values() if turret.is_ours and not turret.is_gone]
        octs = [turret for turret in self.turrets.values() if not turret.is_ours and not turret.is_gone]
        has_begun = self.began is not None
        done = all(turret.stopped for turret in own) or not has_begun
        quiet = not octs or (
            all(turret.status.lower() != "running" for turret in octs) and now - max(self._heard_result, self._ending) >= _QUIET_S
        )
        if (done and quiet) or now >= self._deadline:
            self._conclude(now)

    def _conclude(self, now: float) -> None:
        for turret in self.turrets.values():
            if turret.is_ours and not turret.stopped:
                self._count_lost(turret)
        self._check_validity()
        self._phases = [
            LoadPhase(each.name, each.began, min(each.ended or now, now)) for each in self._phases if each.began < now
        ]
        self._writer.write_phases(self._phases)
        self.state = OVER
        self._note_run(
            state="aborted" if self.is_aborted else "ended",
            reason=self.reason,
            ended=self._ending or now,
            warnings=self.warnings,
            bad_messages=self.bad_messages,
            strays=self.strays,
            rows_complete=self._rows_left > 0,
            broken=str(self.broken) if self.broken else "",
        )
        self._commit()
        self._tell_all({"order": "end", "run": self.run_id})

    def _check_validity(self) -> None:
        late = Histogram.merged(turret.late for turret in self.turrets.values() if turret.late is not None)
        p99_ms = late.percentile(99) * 1000 if late.count else 0.0
        if p99_ms > _LATE_MS:
            self._warn(
                f"The run is not valid: the generator could not keep up, 1 of 100 iterations began {p99_ms:.0f} ms late or more"
            )
        if self._dropped:
            self._warn(
                f"The run is not valid: {plural(self._dropped, 'planned iteration')} could not start, "
                "since no user was free. Plan more users"
            )
        lost = sum(turret.lost for turret in self.turrets.values())
        if lost:
            self._warn(f"{plural(lost, 'result')} were lost")
        if self.bad_messages:
            self._warn(f"{plural(self.bad_messages, 'message')} could not be understood and were left out")
        if self.strays:
            self._warn(f"{plural(self.strays, 'result')} of an earlier run came and were left out")

    def kill(self, who: str) -> None:
        """Order one turret of ours to end at once."""
        turret = self.turrets.get(who)
        if turret is not None and turret.is_ours:
            self._tell(turret, {"order": "kill"})

    def mark_phase(self, name: str) -> None:
        """Begin a phase, and end the one that was marked before."""
        now = self.now()
        planned = {each for each, _, _ in self.plan.phases}
        self._phases = [LoadPhase(each.name, each.began, now) if each.ended is None else each for each in self._phases]
        if name and name not in planned:
            self._phases.append(LoadPhase(self._shown(name), now))
        self._writer.write_phases(self._phases)

    def mask_again(self) -> None:
        """Hide in all that is kept, also in what is stored already, what has become a secret since."""
        self._commit()
        self._kinds.clear()
        for second in self._seconds.values():
            kinds, second.kinds = second.kinds, {}
            for kind, histogram in kinds.items():
                second.histogram(self._kind(kind)).merge(histogram)
        known, self._errors = self._errors, {}
        for (kind, message), (count, first, last) in known.items():
            self._count_error(kind, message, int(count), first, last)
        self.reason, self.warnings = self._mask(self.reason), [self._mask(each) for each in self.warnings]
        for turret in self.turrets.values():
            turret.name, turret.script, turret.problem = map(self._mask, (turret.name, turret.script, turret.problem))
            turret.changed = True
        self._writer.mask_again(self._mask)
        self._commit()

    def add_limit(self, limit: LoadLimit) -> None:
        """Watch a limit that ends the run."""
        self._watches.append(AbortWatch(limit))

    # -- turrets of OCT

    def _take_report(self, frames: Sequence[bytes]) -> None:
        try:
            if len(frames) != 1:
                raise oct_wire.BadMessage(f"it has {len(frames)} frames")
            said = oct_wire.read_report(frames[0])
        except oct_wire.BadMessage as error:
            self._take_bad(frames, str(error))
            return
        if isinstance(said, oct_wire.OctStatus):
            self._take_status(said)
        elif self.state == WAITING:
            self.strays += 1
            self._last_stray = self.now()
        else:
            self._take_result(said, frames[0])

    def _take_status(self, said: oct_wire.OctStatus) -> None:
        now = self.now()
        turret = self.turrets.get(said.uuid)
        is_new = turret is None
        if turret is None:
            turret = self.turrets[said.uuid] = KnownTurret(said.uuid, self._shown(said.turret), "", now)
        turret.heard = now
        turret.cannons, turret.script, turret.rampup = said.cannons, self._shown(said.script), said.rampup
        self._set_status(turret, self._shown(said.status))
        was_late = self.state == RUNNING and (is_new or now - (self.began or now) > 2 * _ASK_S)
        if was_late and said.status.lower() == "ready":
            # It came late, or did not hear the order; those that fire take no notice of it.
            self._start_octs()

    def _take_result(self, said: oct_wire.OctResult, message: bytes) -> None:
        now = self.now()
        self._heard_result = now
        # Of a clock that is quite another one nothing can be told but that it ended about now.
        at = said.epoch if abs(said.epoch - now) < _OTHER_CLOCK_S else now
        took = said.scriptrun_time if said.scriptrun_time > 0 else 0.0
        second = self._second(int(at))
        second.histogram(RESPONSE).add(took)
        timers = said.custom_timers
        for name, value in timers.items():
            second.histogram(self._kind(TIMER + name)).add(max(0.0, value))
        if said.error:
            second.failed += 1
            self.failed += 1
            self._count_error("", said.error, 1, now, now)
        self.stored += 1
        if self._rows_left > 0:
            self._rows_left -= 1
            error = self._mask(said.error) if said.error else ""
            name = self._shown(said.turret_name) if said.turret_name else "Noname"
            self._rows.append((error, said.scriptrun_time, said.elapsed, at, self._timers(timers), name))
        if self.state == RUNNING:
            self.sockets.publish_result(self._topic, message)

    def _note_refusal(self, sentence: str) -> None:
        """Note that somebody was not let in; whoever tries again and again fills no list."""
        self.refused += 1
        if self.refused <= _MOST_BAD_SHOWN:
            self._warn(self._shown(sentence))

    def _take_bad(self, frames: Sequence[bytes], why: str) -> None:
        self.bad_messages += 1
        if self.bad_messages <= _MOST_BAD_SHOWN:
            shown = self._shown(b" ".join(frames).decode("utf-8", "backslashreplace"))[:80]
            self._warn(f"A message was left out: {why}: {shown}")

    # -- turrets of ours

    def _take_own(self, frames: Sequence[bytes]) -> None:
        identity, data = frames[0], frames[-1]
        try:
            said = json.loads(data)
            who = said["uuid"]
            if not isinstance(who, str):
                raise ValueError("its uuid is no text")
            if "hello" in said:
                self._take_hello(identity, who[:255], said)
                return
            turret = self.turrets.get(who)
            if turret is None or turret.identity != identity:
                raise ValueError("its turret is not known")
            self._take_words(turret, said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._take_bad([data], str(error) or type(error).__name__)

    def _take_hello(self, identity: bytes, who: str, said: dict[str, Any]) -> None:
        now = self.now()
        if self.plan.tokens and said.get("token") not in self.plan.tokens:
            raise ValueError("a turret came that is none of this run")
        turret = self.turrets.get(who)
        if turret is None:
            turret = self.turrets[who] = KnownTurret(who, self._shown(said.get("name") or "turret")[:255], "", now)
        turret.identity, turret.heard = identity, now
        turret.cannons, turret.leads = int(said.get("cannons") or 0), bool(said.get("leads"))
        turret.script, turret.rampup = self._shown(said.get("script") or "")[:255], float(said.get("rampup") or 0)
        self._note_words(turret, said)
        if self.state == RUNNING and said.get("run") != self.run_id and not turret.stopped:
            if turret.number < 0:
                turret.number = sum(other.number >= 0 for other in self.turrets.values())
            self._start(turret, now)

    def _take_words(self, turret: KnownTurret, said: dict[str, Any]) -> None:
        turret.heard = self.now()
        if "batch" in said and said.get("run") == self.run_id:
            self._take_batch(turret, said)
            return
        self._note_words(turret, said)
        if said.get("run") == self.run_id and "begun" in said and not turret.stopped:
            turret.begun, turret.done = int(said["begun"]), int(said["done"])
            turret.users = int(said.get("users") or 0)
            self._note_plan(turret, said)
        if "stopped" in said and said.get("run") == self.run_id:
            turret.stopped, turret.users = True, 0
            turret.late = Histogram.from_plain(said["late"]) if said.get("late") else None
            turret.lost = max(0, turret.done - turret.stored)
        turret.changed = True
        users = sum(each.users for each in self.turrets.values()) + self._users_of_octs()
        if self.state == RUNNING and users:
            second = self._second(int(self.now()))
            second.users = max(second.users, users)

    def _note_words(self, turret: KnownTurret, said: dict[str, Any]) -> None:
        if turret.status == LOST and self.state == RUNNING:
            self._warn(f"Turret '{turret.name}' was heard again, with what it had not sent")
        turret.problem = self._shown(said.get("problem") or "")
        self._set_status(turret, self._shown(said.get("status") or "")[:255])
        if turret.problem and self.state == RUNNING:
            self.abort(f"turret '{turret.name}' cannot fire: {turret.problem}")

    def _note_plan(self, turret: KnownTurret, said: dict[str, Any]) -> None:
        if said.get("planned") is None:
            return
        dropped = int(said.get("dropped") or 0)
        new = dropped - (turret.dropped or 0)
        turret.planned, turret.dropped = int(said["planned"]), dropped
        if new > 0:
            self._dropped += new
            self._second(int(self.now())).dropped += new

    def _take_batch(self, turret: KnownTurret, said: dict[str, Any]) -> None:
        number = int(said["batch"])
        if number <= turret.batch:
            return  # it came before, and only the answer was lost
        parts = [self._read_second(*part) for part in said["seconds"]]
        rows = rows_of(said)
        turret.batch, turret.batch_at, turret.changed = number, self.now(), True
        turret.stored += int(said["count"])
        self.stored += int(said["count"])
        self._heard_result = self.now()
        for part in parts:
            self.failed += part.failed
            self._second(part.at).merge(part)
        for kind, message, count, first, last in said["errors"]:
            self._count_error(str(kind), str(message), int(count), float(first), float(last))
        self._keep_rows(turret, rows)

    def _keep_rows(self, turret: KnownTurret, rows: Sequence[tuple[str, float, float, dict[str, float]]]) -> None:
        began, name, room = self.began or 0.0, turret.name, self._rows_left
        self._rows_left = max(0, room - len(rows))
        self._rows += [
            (
                self._mask(error) if error else "",
                took,
                elapsed,
                float(int(began + elapsed)),
                self._timers(timers),
                name,
            )
            for error, took, elapsed, timers in rows[:room]
        ]

    def _read_second(self, at: int, failed: int, kinds: dict[str, Any]) -> Second:
        found = Second(int(at), {}, int(failed))
        for kind, plain in kinds.items():
            # Two names may be one when what differs is hidden.
            found.histogram(self._kind(kind)).merge(Histogram.from_plain(plain))
        return found

    def _tell(self, turret: KnownTurret, said: dict[str, Any]) -> None:
        if turret.identity is not None:
            self.sockets.tell(turret.identity, json.dumps(said).encode())

    def _tell_all(self, said: dict[str, Any]) -> None:
        data = json.dumps(said).encode()
        for turret in self.turrets.values():
            if turret.identity is not None:
                self.sockets.tell(turret.identity, data)

    def _notice_silence(self, now: float) -> None:
        for turret in self.turrets.values():
            is_waited_for = self.state in {WAITING, RUNNING} or turret.is_ours
            if now - turret.heard > SILENT_S and is_waited_for and not turret.is_gone and not turret.stopped:
                self._lose(turret, f"it has said nothing for {now - turret.heard:.1f} s")

    def lose(self, who: str, why: str) -> None:
        """Note that a turret is gone."""
        known = [turret for name, turret in self.turrets.items() if name == who or name.startswith(f"{who}-")]
        if not known and self.state == WAITING:
            self.abort(f"a turret could not begin: {why}")
        for turret in known:
            turret.ended = True
            if not turret.is_gone and not turret.stopped:
                self._lose(turret, why)

    def _lose(self, turret: KnownTurret, why: str) -> None:
        self._set_status(turret, LOST)
        turret.users = 0
        self._count_lost(turret)
        if self.state in {RUNNING, STOPPING}:
            since = max(turret.batch_at, self.began or 0.0) if turret.is_ours else turret.heard
            self._warn(
                f"Turret '{turret.name}' is lost: {why}. "
                f"What it did from {_clock(since)} to {_clock(self.now())} is not in the results"
            )

    def _count_lost(self, turret: KnownTurret) -> None:
        begun, done = read_counts(counters_path(self._folder, turret.uuid))
        turret.begun, turret.done = max(begun, turret.begun), max(done, turret.done)
        turret.lost = max(0, turret.done - turret.stored)
        turret.changed = True

    # -- counting

    def _second(self, at: int) -> Second:
        self._changed.add(at)
        found = self._seconds.get(at)
        if found is None:
            found = self._seconds[at] = Second(at)
        return found

    def _kind(self, kind: str) -> str:
        """Return the name under which something is counted: there are not arbitrarily many."""
        shown = self._kinds.get(kind)
        if shown is None:
            if len(self._kinds) >= _MOST_KINDS:
                return TIMER + "others"
            shown = self._kinds[kind] = self._shown(kind)
        return shown

    def _timers(self, timers: dict[str, float]) -> str:
        """Return the timers of a result as they are stored."""
        if not timers:
            return "{}"
        return json.dumps({self._kind(TIMER + name).removeprefix(TIMER): value for name, value in timers.items()})

    def _shown(self, text: object) -> str:
        """Return text of somebody else as it may be kept and shown."""
        return self._mask(printable(str(text)))

    def _count_error(self, kind: str, message: str, count: int, first: float, last: float) -> None:
        key = self._shown(kind)[:100], self._shown(message)[:500]
        if key not in self._errors and len(self._errors) >= _MOST_ERRORS:
            key = "others", "Further errors"
        known = self._errors.setdefault(key, [0, first, last])
        known[0] += count
        known[1], known[2] = min(known[1], first), max(known[2], last)
        self._changed_errors.add(key)

    def _users_of_octs(self) -> int:
        return sum(turret.cannons for turret in self.turrets.values() if not turret.is_ours and turret.status == oct_wire.RUNNING)

    def _set_status(self, turret: KnownTurret, status: str) -> None:
        if turret.status != status:
            turret.status, turret.changed = status, True
            self._writer.note_status(turret.uuid, self.now(), status)

    def _warn(self, sentence: str) -> None:
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(self._mask(sentence))

    def _note_run(self, **values: Any) -> None:
        self._writer.commit((), (), (), (), masked_plain(values, self._mask))

    def _commit(self) -> None:
        octs_users = self._users_of_octs()
        if octs_users and self.state == RUNNING:
            second = self._second(int(self.now()))
            second.users = max(second.users, octs_users + sum(turret.users for turret in self.turrets.values()))
        changed = [self._seconds[at] for at in sorted(self._changed) if at in self._seconds]
        errors = [
            ErrorRow(*key, int(values[0]), values[1], values[2]) for key in self._changed_errors if (values := self._errors[key])
        ]
        turrets = [turret.row() for turret in self.turrets.values() if turret.changed]
        rows, self._rows = self._rows, []
        totals = {"stored": self.stored, "failed": self.failed, "dropped": self._dropped}
        self._writer.commit(rows, changed, errors, turrets, totals)
        self._changed.clear()
        self._changed_errors.clear()
        self._confirm()
        self._forget()

    def _confirm(self) -> None:
        """Tell turrets what is stored: only now they may forget it."""
        for turret in self.turrets.values():
            turret.changed = False
            if turret.identity is not None and turret.batch > turret.confirmed:
                turret.confirmed = turret.batch
                self._tell(turret, {"order": "confirm", "batch": turret.batch})

    def _forget(self) -> None:
        oldest = int(self.now()) - MOST_SECONDS_KEPT
        for at in [at for at in self._seconds if at < oldest]:
            del self._seconds[at]

    # -- asked

    def snapshot(self) -> dict[str, Any]:
        """Return how the run stands: state, totals, and the last second that is complete."""
        now = self.now()
        at = int(now - 1.5)
        second = self._seconds.get(at) or Second(at)
        recent = together(self._seconds[each] for each in range(at - 4, at + 1) if each in self._seconds)
        return {
            "state": self.state,
            "aborted": self.is_aborted,
            "reason": self.reason,
            "at": at + 0.5,
            "elapsed_s": now - self.began if self.began is not None else 0.0,
            "stored": self.stored,
            "failed": self.failed,
            "dropped": self._dropped,
            "users": second.users,
            "count": second.count,
            "failed_in_second": second.failed,
            "dropped_in_second": second.dropped,
            "times": {kind: _times(histogram) for kind, histogram in second.kinds.items()},
            "recent": {kind: _times(histogram) for kind, histogram in recent.kinds.items()},
            "backlog": sum(max(0, turret.done - turret.stored) for turret in self.turrets.values() if turret.is_ours),
            "is_behind": self._is_full,
            "turrets": [[turret.name, turret.status, turret.uuid, turret.is_ours] for turret in self.turrets.values()],
            "warnings": self.warnings,
            "bad_messages": self.bad_messages,
        }


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-5]  # noqa: DTZ006 - the time of this machine, as the report has it


def _times(histogram: Histogram) -> list[float]:
    return [histogram.percentile(50), histogram.percentile(95), histogram.percentile(99)]

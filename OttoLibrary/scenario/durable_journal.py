"""What a scenario has done, on disk before and after each run, so that another process can go on after this one was killed.

The file has one JSON object in each line: what scenario it is, then the beginnings and ends of runs, each with the numbers of its
event so far. Several that come at once are synced together. When the file grows long, it is replaced by one that says the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from OttoLibrary.errors import UsageError
from OttoLibrary.masking import mask
from OttoLibrary.scenario.events import Scenario
from OttoLibrary.scenario.ledger import EventLedger, ScenarioLedger
from OttoLibrary.scenario.schedule import EventRun, Resumption

_FORM = 1
_LONGEST = 4000
_LARGEST_BYTES = 256 << 20


@dataclass(frozen=True)
class Unfinished:
    """A scenario that an earlier process began and did not end.

    Attributes:
        began_wall_s: When it began, in seconds since 1970.
        fingerprint: Of its description.
        ledgers: The numbers of its events.
        last_due_s: When each was due last.
        interrupted: The runs that had begun and not ended.
    """

    began_wall_s: float
    fingerprint: str
    ledgers: Mapping[str, EventLedger]
    last_due_s: Mapping[str, float]
    interrupted: Mapping[str, int]

    def resumption(self, scenario: Scenario, wall_s: float) -> Resumption:
        """Return where to go on; raise UsageError when the description is another one."""
        if self.fingerprint != fingerprint(scenario):
            raise UsageError(
                f"Scenario '{scenario.name}' cannot go on: its description has changed since it was begun. "
                "Run it with resume=no, or with the description as it was."
            )
        elapsed_s = max(0.0, wall_s - self.began_wall_s)
        # The file has the names of events without secrets.
        names = {mask(event.name): event.name for event in scenario.events}
        ledgers = {names[name]: replace(row, name=names[name]) for name, row in self.ledgers.items() if name in names}
        last_due_s = {names[name]: due_s for name, due_s in self.last_due_s.items() if name in names}
        interrupted = {names[name]: number for name, number in self.interrupted.items() if name in names}
        return Resumption(ledgers, last_due_s, interrupted, elapsed_s)


def fingerprint(scenario: Scenario) -> str:
    """Return what tells one description from another."""
    return hashlib.sha256(repr((scenario.events, scenario.phases, scenario.duration_s)).encode()).hexdigest()[:16]


def unfinished(path: Path) -> Unfinished | None:
    """Return what an earlier process left in a file; None when there is none, or it had ended."""
    if not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
        return None
    head: dict[str, Any] = {}
    ledgers: dict[str, EventLedger] = {}
    last_due_s: dict[str, float] = {}
    interrupted: dict[str, int] = {}
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
            match entry["kind"]:
                case "scenario":
                    head = entry
                    ledgers = {name: EventLedger.from_state(state) for name, state in entry["ledgers"].items()}
                    last_due_s, interrupted = dict(entry["last_due_s"]), dict(entry["interrupted"])
                case "begin":
                    interrupted[entry["event"]] = entry["number"]
                    _count(ledgers, last_due_s, entry)
                case "end":
                    interrupted.pop(entry["event"], None)
                    _count(ledgers, last_due_s, entry)
                case "done":
                    return None
        except (ValueError, KeyError, TypeError):
            # The last line of one that was killed is cut; nothing that follows such a line can be trusted.
            break
    if head.get("form") != _FORM:
        return None
    return Unfinished(float(head["began_wall_s"]), str(head["fingerprint"]), ledgers, last_due_s, interrupted)


def _line(entry: Mapping[str, Any]) -> str:
    """Return a line of the file, in which no text has a secret."""
    return json.dumps(_masked(entry)) + "\n"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {mask(key): _masked(entry) for key, entry in value.items()}
    return [_masked(entry) for entry in value] if isinstance(value, list | tuple) else value


def _count(ledgers: dict[str, EventLedger], last_due_s: dict[str, float], entry: Mapping[str, Any]) -> None:
    row = ledgers.setdefault(entry["event"], EventLedger(entry["event"]))
    row.due, row.run, row.skipped, row.missed, row.failed, row.ended_early = (int(count) for count in entry["counts"])
    row.last_error = str(entry.get("error") or row.last_error)
    last_due_s[entry["event"]] = float(entry["due_s"])


class DurableJournal:
    """Writes the journal of one scenario; called on the event loop.

    Args:
        path: The file.
        scenario: The scenario.
        ledger: Its numbers.
        began_wall_s: When it began, in seconds since 1970.
        warn: Called with a sentence, once, when the file cannot be written.
    """

    def __init__(
        self, path: Path, scenario: Scenario, ledger: ScenarioLedger, began_wall_s: float, warn: Callable[[str], None]
    ) -> None:
        self._path, self._scenario, self._ledger, self._warn = path, scenario, ledger, warn
        self._began_wall_s = began_wall_s
        self._open: dict[str, int] = {}
        self._last_due_s: dict[str, float] = {}
        self._pending: list[str] = []
        self._lines = 0
        self._is_broken = False
        self._descriptor: int | None = None
        self._syncing: asyncio.Task[None] | None = None

    async def begin(self, last_due_s: Mapping[str, float]) -> None:
        """Replace what is there by the beginning of this scenario."""
        self._last_due_s = dict(last_due_s)
        await asyncio.to_thread(self._guarded, self._renew)

    async def note_begin(self, run: EventRun) -> None:
        """Return once it is on disk that a run begins."""
        self._open[run.event.name] = run.number
        self._last_due_s[run.event.name] = run.due_s
        await self._note({"kind": "begin", "event": run.event.name, "number": run.number, "due_s": run.due_s})

    async def note_end(self, run: EventRun, error: str) -> None:
        """Return once it is on disk that a run has ended."""
        self._open.pop(run.event.name, None)
        entry = {"kind": "end", "event": run.event.name, "number": run.number, "due_s": run.due_s}
        await self._note(entry | ({"error": error} if error else {}))

    async def end(self) -> None:
        """Note that the scenario is over, and close the file."""
        await self._note({"kind": "done"})
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def _note(self, entry: dict[str, Any]) -> None:
        row = self._ledger.events.get(entry.get("event", ""))
        if row is not None:
            entry["counts"] = [row.due, row.run, row.skipped, row.missed, row.failed, row.ended_early]
        self._pending.append(_line(entry))
        if self._syncing is not None:
            # What is being synced does not have this line yet.
            await asyncio.shield(self._syncing)
        if self._pending and (self._syncing is None or self._syncing.done()):
            self._syncing = asyncio.create_task(self._sync())
        if self._syncing is not None:
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        text, self._pending = "".join(self._pending), []
        self._lines += text.count("\n")
        work = self._renew if self._lines > _LONGEST else lambda: self._append(text)
        await asyncio.to_thread(self._guarded, work)

    def _append(self, text: str) -> None:
        if self._descriptor is None or self._is_broken:
            return
        os.write(self._descriptor, text.encode())
        os.fdatasync(self._descriptor)

    def _renew(self) -> None:
        """Write all that is known into a new file, and put it in the place of the old one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        head = {
            "kind": "scenario",
            "form": _FORM,
            "name": self._scenario.name,
            "fingerprint": fingerprint(self._scenario),
            "began_wall_s": self._began_wall_s,
            "ledgers": {name: row.state() for name, row in self._ledger.events.items()},
            "last_due_s": self._last_due_s,
            "interrupted": self._open,
        }
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.write(descriptor, _line(head).encode())
        os.fsync(descriptor)
        fresh.replace(self._path)
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._lines = descriptor, 1

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            if not self._is_broken:
                self._is_broken = True
                self._warn(f"The journal '{self._path}' cannot be written: {error.strerror or error}. It cannot be resumed.")

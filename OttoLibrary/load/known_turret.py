"""A turret as an HQ knows it: what it said, what came of it, and whether more may come."""

from __future__ import annotations

from dataclasses import dataclass

from OttoLibrary.load.result_store import TurretRow, now_text
from OttoLibrary.load.turret import oct_messages as oct_wire
from OttoLibrary.load.turret.histogram import Histogram

# What a turret is called that said nothing for so long, and was not heard of since.
LOST = "lost"
# One that is silent may only be busy: when there is no other, the run waits so long for a word of it.
_GIVEN_UP_S = 15.0


@dataclass
class KnownTurret:
    """One turret of a run.

    Attributes:
        uuid: Who it is.
        name: What it calls itself.
        status: What it said last, or ``lost``.
        heard: When it said something last, in seconds since 1970.
        identity: How the socket of ours reaches it; None for a turret of OCT.
        cannons: How many users it has.
        script: What it fires.
        rampup: Its ramp in seconds.
        users: How many users are active.
        begun: Iterations that began.
        done: Iterations that became a result.
        stored: Results that are stored.
        lost: Results that never came.
        planned: Iterations that were to start, open model.
        dropped: Iterations that could not start, open model.
        late: How late iterations started, open model.
        ended: Whether its process is known to have ended.
        leads: Whether the others depend on it: when it is gone, so is the run.
        batch: The number of the last batch that came.
        batch_at: When it came.
        confirmed: The number of the last batch that it knows to be stored.
        number: Which part of the users is its own; -1 before it has one.
        stopped: Whether all that it did has come.
        problem: Why it cannot fire.
        changed: Whether something of this is not written yet.
    """

    uuid: str
    name: str
    status: str
    heard: float
    identity: bytes | None = None
    cannons: int = 0
    script: str = ""
    rampup: float = 0.0
    users: int = 0
    begun: int = 0
    done: int = 0
    stored: int = 0
    lost: int = 0
    planned: int | None = None
    dropped: int | None = None
    late: Histogram | None = None
    ended: bool = False
    leads: bool = False
    batch: int = 0
    batch_at: float = 0.0
    confirmed: int = 0
    number: int = -1
    stopped: bool = False
    problem: str = ""
    changed: bool = True

    @property
    def is_ours(self) -> bool:
        """Whether it speaks the wire of ours, on which results are counted at both ends."""
        return self.identity is not None

    @property
    def is_gone(self) -> bool:
        """Whether it does not fire any more, as far as is known."""
        return self.status in {LOST, oct_wire.KILLED, oct_wire.ABORTED}

    def is_given_up(self, now: float) -> bool:
        """Whether nothing more can come of it."""
        return self.is_gone and (self.status != LOST or self.ended or now - self.heard > _GIVEN_UP_S)

    def row(self) -> TurretRow:
        """Return what is kept of it."""
        return TurretRow(
            self.uuid,
            self.name,
            self.cannons,
            self.script,
            self.rampup,
            self.status,
            now_text(),
            self.is_ours,
            self.begun,
            self.done,
            self.stored,
            self.lost,
            self.planned,
            self.dropped,
            self.late,
        )

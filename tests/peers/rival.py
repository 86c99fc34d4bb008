"""A process that reserves hosts again and again, and writes down when it had which.

    python -m tests.peers.rival BACKEND WHERE LOG SECONDS HOSTS

Each line of the log: process, when it asked, when it got them, when it gave them back (seconds of the machine's clock), hosts.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from OttoLibrary import registry
from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.reservation.backends import redis
from OttoLibrary.reservation.leases import Leases

# A rival that was killed is missed within a second, so that the others have time left to fight.
redis._LIFE_S, redis._BEAT_S, redis._LOOK_S = 1.0, 0.2, 0.2


async def fight(kind: str, where: str, log: Path, seconds: float, hosts: int) -> None:
    leases = Leases(registry.load("reservation", kind, where), lambda sentence: None, lambda error: sys.exit(str(error)))
    moods = random.Random(os.getpid())
    end = time.monotonic() + seconds
    with log.open("a", buffering=1) as out:
        while time.monotonic() < end:
            names = [f"h{number}" for number in range(hosts)]
            demand = Demand({name: (name,) for name in names}, moods.choice([1, 1, 2]), str(os.getpid()), "fight", 30.0)
            asked = time.monotonic()
            lease = await leases.reserve(demand, 120)
            got = time.monotonic()
            await asyncio.sleep(moods.uniform(0.01, 0.1))
            out.write(f"{os.getpid()} {asked} {got} {time.monotonic()} {','.join(lease.hosts)}\n")
            await leases.release()
    await leases.close()


if __name__ == "__main__":
    asyncio.run(fight(*sys.argv[1:3], Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])))

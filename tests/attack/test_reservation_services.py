"""What a neighbour writes where reservations are kept for several processes is one sentence, never a mistake of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from OttoLibrary.errors import ReservationError
from OttoLibrary.registry import load
from OttoLibrary.reservation.backends.json import JsonReservations
from OttoLibrary.reservation.backends.pabot import PabotReservations
from tests.peers.pabotlib import PabotLib
from tests.peers.redisd import Redisd

GARBAGE = ["x", "7", "null", '"text"', "[7]", "{}", '{"host": 7}', "[" * 100_000, '{"last": ' + "9" * 5000 + "}"]
SHORT = range(len(GARBAGE))


@pytest.fixture(scope="module")
def redisd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redisd]:
    with Redisd(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def pabotlib(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PabotLib]:
    with PabotLib(tmp_path_factory.mktemp("pabot"), "[one]\ntags=dut\naddress=1\n") as server:
        yield server


@pytest.mark.parametrize("text", GARBAGE, ids=SHORT)
def test_a_state_in_redis(redisd: Redisd, text: str) -> None:
    redis.Redis.from_url(redisd.url).set("otto:state", text)
    backend = load("reservation", "redis", redisd.url)
    try:
        with pytest.raises(ReservationError, match="it is unknown who has what"):
            backend.holdings()
    finally:
        redis.Redis.from_url(redisd.url).delete("otto:state")
        backend.close()


@pytest.mark.parametrize("text", GARBAGE, ids=SHORT)
def test_a_note_in_pabotlib(pabotlib: PabotLib, text: str) -> None:
    backend = PabotReservations(pabotlib.address)
    backend._call("set_parallel_value_for_key", "otto:a", text)
    with pytest.raises(ReservationError, match="it is unknown who has what"):
        backend.who_reserved("a")


@pytest.mark.parametrize("text", GARBAGE, ids=SHORT)
def test_a_file_of_reservations(tmp_path: Path, text: str) -> None:
    file = tmp_path / "reservations.json"
    file.write_text(text)
    with pytest.raises(ReservationError, match=r"it is unknown who has what|is not a file of reservations"):
        JsonReservations(str(file)).holdings()


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_a_file_of_reservations_of_another_kind(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "reservations.json"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        with file.open("w") as opened:
            opened.write(json.dumps({"version": 1, "reservations": []}))
            opened.truncate(1 << 30)
    with pytest.raises(ReservationError, match="it is unknown who has what"):
        JsonReservations(str(file)).holdings()

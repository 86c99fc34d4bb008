"""Chunks: what goes in comes out, within a step, and small."""

from __future__ import annotations

import json
import math
import random
import struct
import tracemalloc
import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.dashboard.chunks import pack, unpack
from OttoLibrary.errors import UsageError

BEGAN = 1_795_271_913.0
READINGS = st.floats(width=64, allow_nan=True, allow_infinity=True)


def walk(seed: int, rows: int = 1800) -> array[float]:
    chance, value = random.Random(seed), 50.0
    column = array("d")
    for _ in range(rows):
        value = min(100.0, max(0.0, value + chance.gauss(0, 3)))
        column.append(round(value, 2))
    return column


def test_a_chunk_is_what_the_decision_record_says() -> None:
    chunk = pack("dut1", [BEGAN, BEGAN + 2, BEGAN + 4.5], {"cpu_percent": [0.0, math.nan, 100.0]})
    magic, length = struct.unpack_from("<4sI", chunk)
    head = json.loads(chunk[8 : 8 + length])
    columns = zlib.decompress(chunk[8 + length :])
    assert magic == b"OTT1"
    assert head == {
        "host": "dut1",
        "began": BEGAN,
        "count": 3,
        "series": [{"name": "cpu_percent", "unit": "%", "low": 0.0, "high": 100.0}],
    }
    assert struct.unpack_from("<3I", columns) == (0, 2000, 2500)
    # 1, 0 and 65535 as steps: 1, -1 and -1.
    assert columns[12:] == bytes([1, 255, 255]) + bytes([0, 255, 255])


def test_nothing_makes_a_chunk_too() -> None:
    assert unpack(pack("dut1", [], {})) == ("dut1", [], {})


@given(
    st.lists(st.tuples(st.integers(0, 10**7), READINGS, READINGS), max_size=40),
    st.text(max_size=10),
)
def test_readings_are_exact_to_a_step_of_their_range(steps: list[tuple[int, float, float]], host: str) -> None:
    times, moment = [], round(BEGAN * 1000)
    for step, _, _ in steps:
        moment += step
        times.append(moment / 1000)
    columns = {"one": [row[1] for row in steps], "two[x]": [row[2] for row in steps]}
    name, found_times, found = unpack(pack(host, times, columns))
    assert name == host
    assert found_times == times
    for series, values in columns.items():
        known = [value for value in values if abs(value) <= 1e300]
        allowed = (max(known) - min(known)) / 65534 * 0.51 if known else 0.0
        for value, read in zip(values, found[series], strict=True):
            if abs(value) <= 1e300:
                assert abs(read - value) <= allowed + abs(value) * 1e-15 + 1e-300
            else:
                assert math.isnan(read)


def test_a_small_range_far_from_zero_keeps_its_steps() -> None:
    values = [1.7e9 + step / 1000 for step in range(100)]
    _, _, found = unpack(pack("dut1", [BEGAN + row for row in range(100)], {"epoch_s": values}))
    assert max(abs(read - value) for read, value in zip(found["epoch_s"], values, strict=True)) < 1e-5


def test_a_pause_of_months_is_bridged_by_empty_rows() -> None:
    times = [BEGAN, BEGAN + 120 * 86_400]
    _, found, columns = unpack(pack("dut1", times, {"cpu_percent": [1.0, 2.0]}))
    assert (found[0], found[-1]) == (times[0], times[-1])
    assert [value for value in columns["cpu_percent"] if not math.isnan(value)] == [1.0, 2.0]


def test_an_hour_of_fifty_hosts_is_small() -> None:
    times = [BEGAN + 2 * row for row in range(1800)]
    columns = {f"cpu_percent[{index}]": walk(index) for index in range(30)}
    # 50 of them may have 8 MB.
    assert len(pack("dut1", times, columns)) < 8_000_000 / 50


@pytest.mark.parametrize(
    "damage", [lambda chunk: b"", lambda chunk: b"OTT2" + chunk[4:], lambda chunk: chunk[:-5], lambda chunk: chunk[:20]]
)
def test_what_is_no_chunk_is_said_so(damage: object) -> None:
    chunk = pack("dut1", [BEGAN], {"cpu_percent": [1.0]})
    with pytest.raises(UsageError, match="not a chunk of readings"):
        unpack(damage(chunk))  # type: ignore[operator]


def test_a_chunk_that_unpacks_to_more_than_it_says_is_refused_without_being_unpacked() -> None:
    head = json.dumps({"host": "dut1", "began": 0.0, "count": 1, "series": []}).encode()
    bomb = struct.pack("<4sI", b"OTT1", len(head)) + head + zlib.compress(bytes(200 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="its length is wrong"):
            unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [-1, 1 << 40, "1", None, 1.5])
def test_a_chunk_with_an_absurd_count_is_refused(count: object) -> None:
    head = json.dumps({"host": "dut1", "began": 0.0, "count": count, "series": []}).encode()
    with pytest.raises(UsageError, match="not a chunk of readings"):
        unpack(struct.pack("<4sI", b"OTT1", len(head)) + head + zlib.compress(b""))


def test_a_chunk_that_is_honestly_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = pack("dut1", [BEGAN + row for row in range(1000)], {"cpu_percent": [1.0] * 1000})
    assert len(unpack(chunk)[1]) == 1000
    monkeypatch.setattr("OttoLibrary.dashboard.chunks._LARGEST_BYTES", 5000)
    with pytest.raises(UsageError, match="its length is wrong"):
        unpack(chunk)

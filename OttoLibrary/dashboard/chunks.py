"""Chunks: all readings of a host in few bytes, as the page of the dashboard reads them.

The format is described in ``docs/decisions/0009-dashboard.md``. A reading is exact to 1/65534 of the range of its series.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from OttoLibrary.errors import UsageError
from OttoLibrary.units import unit_of

Columns: TypeAlias = Mapping[str, Sequence[float]]
_MAGIC = b"OTT1"
_HEAD = struct.Struct("<4sI")
_STEPS = 65534
_LONGEST_MS = 2**32 - 1
# A range of larger numbers does not fit into a float, and no reading is that large.
_LARGEST = 1e300
# More would take twice the time for a tenth of the size.
_LEVEL = 6
_LARGEST_BYTES = 1 << 30


def pack(host: str, times: Sequence[float], columns: Columns) -> bytes:
    """Return the chunk of a host.

    Args:
        host: Its name.
        times: The time of each row, in seconds since 1970, in the order of time.
        columns: For each series a value for each row; NaN and infinity are no reading.
    """
    moments = _milliseconds(times)
    began = moments[0] / 1000 if moments else 0.0
    moments, kept = _bridged(moments, columns)
    parts, series = [_steps(moments)], []
    for name, values in kept.items():
        known = _known(values)
        low, high = (float(min(known)), float(max(known))) if known else (0.0, 0.0)
        series.append({"name": name, "unit": unit_of(name), "low": low, "high": high})
        parts.append(_planes(_levels(values, low, high, whole=known is values)))
    head = json.dumps({"host": host, "began": began, "count": len(moments), "series": series}).encode()
    return _HEAD.pack(_MAGIC, len(head)) + head + zlib.compress(b"".join(parts), _LEVEL)


def unpack(chunk: bytes) -> tuple[str, list[float], dict[str, list[float]]]:
    """Return the host, times and columns of a chunk; NaN where there is no reading.

    Raises:
        UsageError: It is not a chunk, or only a part of one.
    """
    try:
        magic, length = _HEAD.unpack_from(chunk)
        head = json.loads(chunk[_HEAD.size : _HEAD.size + length])
        count = head["count"]
        size = count * (4 + 2 * len(head["series"]))
        if magic != _MAGIC or not 0 <= size <= _LARGEST_BYTES:
            raise ValueError("its length is wrong")
        # One byte more would show that it is longer than it says, however much longer.
        packed = zlib.decompressobj()
        data = packed.decompress(chunk[_HEAD.size + length :], size + 1)
        if len(data) != size or not packed.eof:
            raise ValueError("its length is wrong")
        return head["host"], _times(head["began"], data[: 4 * count]), _columns(head["series"], data[4 * count :], count)
    except (ValueError, KeyError, TypeError, struct.error, zlib.error) as error:
        raise UsageError(f"This is not a chunk of readings: {error}.") from error


def _milliseconds(times: Sequence[float]) -> list[int]:
    return [round(at * 1000) for at in times]


def _bridged(moments: list[int], columns: Columns) -> tuple[list[int], Columns]:
    """Return rows and columns with empty rows where the next is more than 49 days away, which no step can say."""
    if not moments or all(later - at <= _LONGEST_MS for at, later in itertools.pairwise(moments)):
        return moments, columns
    rows: list[int | None] = []
    made: list[int] = []
    for index, moment in enumerate(moments):
        while made and moment - made[-1] > _LONGEST_MS:
            made.append(made[-1] + _LONGEST_MS)
            rows.append(None)
        made.append(moment)
        rows.append(index)
    filled = {name: [math.nan if row is None else values[row] for row in rows] for name, values in columns.items()}
    return made, filled


def _steps(moments: list[int]) -> bytes:
    return _little(array("I", [max(0, later - at) for at, later in zip([*moments[:1], *moments], moments, strict=False)]))


def _known(values: Sequence[float]) -> Sequence[float]:
    """Return what is a reading; the same object when all are."""
    # The sum shows whether there is NaN or infinity among them; without those, the extremes tell the rest.
    if values and math.isfinite(sum(values)) and max(values) <= _LARGEST and min(values) >= -_LARGEST:
        return values
    return [value for value in values if abs(value) <= _LARGEST]


def _levels(values: Sequence[float], low: float, high: float, *, whole: bool) -> list[int]:
    scale = _STEPS / (high - low) if high > low else 0.0
    if not math.isfinite(scale):
        scale = 0.0
    # 1 is the lowest, and int() rounds down.
    if whole:
        return [int((value - low) * scale + 1.5) for value in values]
    return [int((value - low) * scale + 1.5) if abs(value) <= _LARGEST else 0 for value in values]


def _planes(levels: list[int]) -> bytes:
    steps = _little(array("H", [(level - before) & 65535 for before, level in zip([0, *levels], levels, strict=False)]))
    # Neighbours are alike: the high bytes by themselves are next to nothing when they are compressed.
    return steps[0::2] + steps[1::2]


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _times(began: float, data: bytes) -> list[float]:
    steps = array("I", data)
    if sys.byteorder == "big":
        steps.byteswap()
    moment, times = round(began * 1000), []
    for step in steps:
        moment += step
        times.append(moment / 1000)
    return times


def _columns(series: Sequence[Mapping[str, Any]], data: bytes, count: int) -> dict[str, list[float]]:
    found = {}
    for index, facts in enumerate(series):
        planes = data[2 * count * index : 2 * count * (index + 1)]
        level, values = 0, []
        for low_byte, high_byte in zip(planes[:count], planes[count:], strict=True):
            level = (level + low_byte + 256 * high_byte) & 65535
            values.append(_value(level, facts["low"], facts["high"]))
        found[facts["name"]] = values
    return found


def _value(level: int, low: float, high: float) -> float:
    return low + (level - 1) / _STEPS * (high - low) if level else math.nan

"""Durations, sizes and other quantities: from what people write to numbers, and back."""

from __future__ import annotations

import re

from OttoLibrary.errors import ValueFormatError

_UNITS = {
    "us": 1e-6, "ns": 1e-9,
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_LONGEST_S = 1e9
_LARGEST_BYTES = 2**60
# How the name of a series ends, and the unit of its numbers; the first that fits counts. The page of the dashboard has it too.
SERIES_ENDINGS = {
    "_percent": "%",
    "_bytes_per_s": "B/s",
    "_bytes": "B",
    "_packets_per_s": "packets/s",
    "_per_s": "/s",
    "_celsius": "°C",
    "_ms": "ms",
    "_s": "s",
}
# Of bytes, each 1024 of the one before.
BINARY_PREFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*((?:[^\d\s].*)?)")
_SIZES = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
# 'HH:MM:SS' or 'MM:SS', as Robot Framework has it.
_CLOCK = re.compile(r"\s*(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)\s*")
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


def seconds(value: object) -> float:
    """Return a duration in seconds.

    Args:
        value: A number of seconds, or text such as ``500ms``, ``10 s`` or ``1 min 30 s``.

    Raises:
        ValueFormatError: It is not a duration, is negative, or is too long to wait for.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S:
        return float(value)
    total = _parse(value.lower()) if isinstance(value, str) else None
    if total is None or total > _LONGEST_S:
        forms = "seconds as a number, or text such as '500ms', '10 s' or '1 min 30 s'"
        raise ValueFormatError(f"{value!r} is not a duration. Write {forms}.")
    return total


def _parse(text: str) -> float | None:
    if (clock := _CLOCK.fullmatch(text)) is not None:
        return 3600 * float(clock[1] or 0) + 60 * float(clock[2]) + float(clock[3])
    total, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or (part[2] or "s") not in _UNITS:
            return None
        total += float(part[1]) * _UNITS[part[2] or "s"]
        position = part.end()
    return total if text.strip() else None


def duration_text(value_s: float) -> str:
    """Return ``1.2 ms``, ``350 ms``, ``2.50 s`` or ``3 min 5 s``."""
    if value_s < 0.01:
        return f"{value_s * 1000:.1f} ms"
    if value_s < 1:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 60:
        return f"{value_s:.2f} s"
    minutes, rest = divmod(round(value_s), 60)
    return f"{minutes} min {rest} s"


def size(value: object) -> int:
    """Return a size in bytes.

    Args:
        value: A number of bytes, or text with a unit such as ``8 MiB``, ``200 kB`` or ``1 GB``.

    Raises:
        ValueFormatError: It is not a size, or is negative.
    """
    found = _QUANTITY.fullmatch(str(value).strip()) if isinstance(value, int | str) and not isinstance(value, bool) else None
    factor = _factor(found[2].strip(), "B") if found else None
    number = float(found[1]) * factor if found and factor is not None else -1.0
    if not 0 <= number < _LARGEST_BYTES:
        raise ValueFormatError(f"{value!r} is not a size. Write a number of bytes, or text such as '8 MiB', '200 kB' or '1 GB'.")
    return round(number)


def size_text(size_bytes: int) -> str:
    """Return ``512 B``, ``1.5 KiB`` or ``20.0 MiB``."""
    power = binary_power(size_bytes)
    return f"{size_bytes / 1024**power:.{1 if power else 0}f} {BINARY_PREFIXES[power]}B"


def binary_power(size: float) -> int:
    """Return which of ``BINARY_PREFIXES`` a size is shown with."""
    return sum(size >= 1024**power for power in range(1, len(BINARY_PREFIXES)))


def unit_of(series: str) -> str:
    """Return the unit that a series' name ends with: ``%`` for ``cpu_percent``, ``B/s`` for ``disk_io_bytes_per_s[sda]``."""
    name = series.partition("[")[0]
    return next((unit for ending, unit in SERIES_ENDINGS.items() if name.endswith(ending)), "")


def value_text(value: float, unit: str) -> str:
    """Return a reading as people write it: ``93.1 %``, ``1.5 MiB/s``, ``12.3 ms``, ``1041``."""
    if unit in {"B", "B/s"}:
        return ("-" if value < 0 else "") + size_text(abs(round(value))) + unit[1:]
    number = f"{value:.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
    return f"{number} {unit}".rstrip()


def number_of(text: str) -> float | None:
    """Return the number at the beginning of a quantity in whatever unit, or None when the text is no quantity."""
    found = _QUANTITY.fullmatch(text.strip())
    return float(found[1]) if found else None


def quantity(value: object, unit: str) -> float:
    """Return a number, or text with a unit as a number in ``unit``: ``80 %``, ``50 MiB``, ``1.5 GB/s``, ``200 ms``.

    Raises:
        ValueFormatError: It is not a number, or its unit does not fit.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _QUANTITY.fullmatch(str(value).strip())
    factor = _factor(found[2].strip(), unit) if found else None
    if found is None or factor is None:
        forms = f"a number in {unit}, or one with its unit" if unit else "a number"
        raise ValueFormatError(f"{value!r} is not a value to compare with. Write {forms}.")
    return float(found[1]) * factor


def _factor(given: str, unit: str) -> float | None:
    if given in {"", unit}:
        return 1.0
    if unit in {"B", "B/s"} and given.removesuffix(unit[1:]) in _SIZES:
        return float(_SIZES[given.removesuffix(unit[1:])])
    if unit in {"s", "ms"} and given.lower() in _UNITS:
        return _UNITS[given.lower()] / _UNITS[unit]
    return None

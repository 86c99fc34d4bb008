"""Temperatures: ``/sys/class/thermal`` and ``/sys/class/hwmon``, sysfs-api and hwmon in the Linux kernel's documentation."""

from __future__ import annotations

import re
from pathlib import Path

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric

# Absolute zero, or below, is what a sensor reports that is not connected.
_NO_SENSOR = -273_000


class Temperature(BuiltInsMetric, LocalMetric):
    """The metric ``temperature``: the highest, and each sensor's by the type of its zone or the names of its chip and its own.

    A host without sensors has no series. Some sensors are slow to answer, so they are read every 5 seconds.
    """

    main = "temperature_celsius"
    interval_s = 5.0

    def script(self) -> str:
        """Print the path, the value and the name of each sensor."""
        return """for temperature_file in /sys/class/thermal/thermal_zone*/temp /sys/class/hwmon/hwmon*/temp*_input; do
[ -r "$temperature_file" ] || continue
temperature_now= temperature_name= temperature_label=
read -r temperature_now <"$temperature_file" || continue
temperature_dir=${temperature_file%/*}
if [ -r "$temperature_dir/type" ]; then read -r temperature_name <"$temperature_dir/type"
elif [ -r "$temperature_dir/name" ]; then read -r temperature_name <"$temperature_dir/name"; fi
[ -r "${temperature_file%_input}_label" ] && read -r temperature_label <"${temperature_file%_input}_label"
say "${temperature_file#/sys/class/} $temperature_now $temperature_name $temperature_label"
done 2>/dev/null
"""

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return degrees Celsius."""
        sensors: list[tuple[str, str, float]] = []
        for line in printed.splitlines():
            where, number, name = [*line.split(" ", 2), "", ""][:3]
            if not re.fullmatch(r"-?\d+", number):
                raise ValueError(f"A temperature sensor gives no number: {line!r}")
            if int(number) > _NO_SENSOR:
                sensors.append((where, name.strip() or where, int(number) / 1000))
        return _labelled(sensors)

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine; psutil leaves out zones when there are other sensors."""
        files = [*Path("/sys/class/thermal").glob("thermal_zone*/temp"), *Path("/sys/class/hwmon").glob("hwmon*/temp*_input")]
        return self.values("\n".join(line for file in files if (line := _line_of(file))), uptime_s)


def _labelled(sensors: list[tuple[str, str, float]]) -> dict[str, float]:
    zones = {name.replace("-", "_") for where, name, _ in sensors if where.startswith("thermal/")}
    readings: dict[str, float] = {}
    for where, name, degrees in sorted(sensors, key=lambda sensor: _natural(sensor[0])):
        # The kernel shows a zone once more as a chip of hwmon, with _ for -.
        if where.startswith("hwmon/") and name.replace("-", "_") in zones:
            continue
        label, count = name, 1
        while f"temperature_celsius[{label}]" in readings:
            count += 1
            label = f"{name} {count}"
        readings[f"temperature_celsius[{label}]"] = degrees
    return {"temperature_celsius": max(readings.values()), **readings} if readings else {}


def _natural(where: str) -> tuple[bool, list[int]]:
    """Return what puts zones first, and 2 before 10."""
    return where.startswith("hwmon/"), [int(number) for number in re.findall(r"\d+", where)]


def _line_of(file: Path) -> str:
    number = _text(file)
    if not number:
        return ""
    name = _text(file.parent / "type") or _text(file.parent / "name")
    label = _text(file.with_name(f"{file.name.removesuffix('_input')}_label"))
    return f"{file.parent.parent.name}/{file.parent.name}/{file.name} {number} {name} {label}"


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""

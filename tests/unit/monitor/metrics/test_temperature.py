"""The metric temperature: zones and chips."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.monitor.metrics.temperature import Temperature
from tests.unit.monitor.shells import ran


def sensors(root: Path, files: dict[str, str]) -> Temperature:
    """Return the metric, and a /sys/class with these files."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n")
    return Temperature()


def test_temperature_names_zones_and_chips(shell: str, tmp_path: Path) -> None:
    metric = sensors(
        tmp_path,
        {
            "thermal/thermal_zone0/type": "cpu-thermal",
            "thermal/thermal_zone0/temp": "51500",
            "thermal/thermal_zone1/type": "acpitz",
            "thermal/thermal_zone1/temp": "-273200",
            "thermal/thermal_zone2/type": "acpitz",
            "thermal/thermal_zone2/temp": "-5000",
            "thermal/thermal_zone10/type": "acpitz",
            "thermal/thermal_zone10/temp": "20000",
            "hwmon/hwmon0/name": "cpu_thermal",
            "hwmon/hwmon0/temp1_input": "51500",
            "hwmon/hwmon1/name": "coretemp",
            "hwmon/hwmon1/temp2_input": "60000",
            "hwmon/hwmon1/temp2_label": "Core 0",
            "hwmon/hwmon2/temp1_input": "30000",
        },
    )
    text = ran(shell, metric.script().replace("/sys/class", str(tmp_path)))[0]
    assert metric.values(text, 1.0) == {
        "temperature_celsius": 60.0,
        "temperature_celsius[cpu-thermal]": 51.5,
        "temperature_celsius[acpitz]": -5.0,
        "temperature_celsius[acpitz 2]": 20.0,
        "temperature_celsius[coretemp Core 0]": 60.0,
        "temperature_celsius[hwmon/hwmon2/temp1_input]": 30.0,
    }


def test_a_host_without_sensors_has_no_temperature(shell: str, tmp_path: Path) -> None:
    assert Temperature().values(ran(shell, Temperature().script().replace("/sys/class", str(tmp_path)))[0], 1.0) == {}


def test_a_sensor_that_says_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="gives no number: 'thermal/thermal_zone0/temp warm x'"):
        Temperature().values("thermal/thermal_zone0/temp warm x\n", 1.0)

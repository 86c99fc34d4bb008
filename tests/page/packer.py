"""Pages with invented data: a small second reading of docs/decisions/0009-dashboard.md, without the product's own packing."""

from __future__ import annotations

import base64
import html
import json
import math
import random
import struct
import zlib
from array import array
from dataclasses import dataclass, field
from typing import Any

from OttoLibrary.dashboard.static_page import filled_page

BEGAN = 1_795_271_913.0


@dataclass
class Host:
    """A host with readings; NaN is no reading."""

    name: str
    path: list[str]
    tags: list[str]
    times: list[float]
    columns: dict[str, list[float]]
    units: dict[str, str] = field(default_factory=dict)

    def chunk(self) -> bytes:
        began = self.times[0] if self.times else 0.0
        moments = [round((at - began) * 1000) for at in self.times]
        steps = [later - at for at, later in zip([0, *moments], moments, strict=False)]
        parts, series = [struct.pack(f"<{len(steps)}I", *steps)], []
        for name, values in self.columns.items():
            known = [value for value in values if not math.isnan(value)] or [0.0]
            low, high = min(known), max(known)
            series.append({"name": name, "unit": self.units.get(name, ""), "low": low, "high": high})
            parts.append(_column(values, low, high))
        head = json.dumps({"host": self.name, "began": began, "count": len(moments), "series": series}).encode()
        return b"OTT1" + struct.pack("<I", len(head)) + head + zlib.compress(b"".join(parts), 6)


def _column(values: list[float], low: float, high: float) -> bytes:
    scale = 65534 / (high - low) if high > low else 0.0
    levels = [0 if math.isnan(value) else 1 + round((value - low) * scale) for value in values]
    steps = array("H", [(level - before) & 65535 for before, level in zip([0, *levels], levels, strict=False)]).tobytes()
    return steps[0::2] + steps[1::2]


@dataclass
class Lab:
    """All that a page shows."""

    hosts: list[Host]
    mode: str = "static"
    title: str = "bench"
    interval_s: float = 2.0
    began: float = BEGAN
    ended: float | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    tests: list[dict[str, Any]] = field(default_factory=list)

    def page(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "mode": self.mode,
            "interval_s": self.interval_s,
            "began": self.began,
            "ended": self.ended,
            "hosts": [{"name": host.name, "path": host.path, "tags": host.tags} for host in self.hosts],
            "series": {host.name: _described(host) for host in self.hosts},
            "events": self.events,
            "tests": self.tests,
        }


def _described(host: Host) -> list[dict[str, str]]:
    return [{"name": name, "unit": host.units.get(name, "")} for name in host.columns]


def document(data: str = "", nonce: str = "cGFnZQ") -> str:
    """Return the page with these data."""
    return filled_page(nonce, data)


def static(lab: Lab) -> str:
    """Return the page as one file."""
    page = base64.b64encode(json.dumps(lab.page()).encode()).decode()
    chunks = [
        f'<script type="text/plain" data-host="{html.escape(host.name)}">{base64.b64encode(host.chunk()).decode()}</script>'
        for host in lab.hosts
    ]
    return document("\n".join([f'<script type="text/plain" id="otto-page">{page}</script>', *chunks]))


# --- invented readings


def wave(rows: int, middle: float, height: float, seed: int, low: float = 0.0, high: float = math.inf) -> list[float]:
    """Return what a metric may look like: slow waves, some noise and a few peaks."""
    chance = random.Random(seed)
    slow, shift, drift, values = chance.uniform(80, 500), chance.uniform(0, 7), 0.0, []
    peak = 0.0
    for row in range(rows):
        drift = 0.97 * drift + chance.gauss(0, 0.06)
        peak = height * chance.uniform(1, 2.5) if chance.random() < 0.004 else peak * 0.9
        value = middle + height * (0.5 * math.sin(row / slow * 6.28 + shift) + drift) + peak
        values.append(round(min(max(value, low), high), 3))
    return values


def columns(rows: int, seed: int) -> dict[str, list[float]]:
    """Return about 30 series of one host."""
    mib = 2.0**20
    busy = wave(rows, 32, 26, seed, 0, 100)
    made = {
        "cpu_percent": busy,
        "cpu_user_percent": [value * 0.7 for value in busy],
        "cpu_system_percent": [value * 0.25 for value in busy],
        "cpu_iowait_percent": wave(rows, 2, 2, seed + 1, 0, 100),
        "memory_used_percent": wave(rows, 48, 9, seed + 2, 0, 100),
        "memory_used_bytes": wave(rows, 3900 * mib, 500 * mib, seed + 3),
        "memory_available_bytes": wave(rows, 4100 * mib, 500 * mib, seed + 4),
        "memory_cached_bytes": wave(rows, 1400 * mib, 100 * mib, seed + 5),
        "network_bytes_per_s": wave(rows, 6 * mib, 5 * mib, seed + 6),
        "load_1min": wave(rows, 1.4, 1.1, seed + 7),
        "load_5min": wave(rows, 1.4, 0.5, seed + 8),
        "load_15min": wave(rows, 1.3, 0.2, seed + 9),
        "temperature_celsius": wave(rows, 51, 6, seed + 10),
        "disk_used_percent": wave(rows, 61, 0.6, seed + 11, 0, 100),
        "disk_io_busy_percent": wave(rows, 8, 9, seed + 12, 0, 100),
        "ping_ms": wave(rows, 0.8, 0.4, seed + 13, 0.1),
        "processes": [float(round(value)) for value in wave(rows, 180, 6, seed + 14)],
        "tcp_retransmits_per_s": wave(rows, 0.3, 0.6, seed + 15),
    }
    for index, label in enumerate(("eth0", "eth1", "wlan0")):
        made[f"network_received_bytes_per_s[{label}]"] = wave(rows, (4 - index) * mib, 2 * mib, seed + 20 + index)
        made[f"network_sent_bytes_per_s[{label}]"] = wave(rows, (3 - index) * mib, mib, seed + 30 + index)
    for index in range(4):
        made[f"cpu_core_percent[{index}]"] = wave(rows, 25 + 8 * index, 24, seed + 40 + index, 0, 100)
    for index, label in enumerate(("/", "/var")):
        made[f"disk_used_bytes[{label}]"] = wave(rows, (20 + 30 * index) * 1024 * mib, 90 * mib, seed + 50 + index)
    return made


def away(host: Host, first: int, after: int) -> None:
    """Take rows from a host."""
    host.times = host.times[:first] + host.times[after:]
    host.columns = {name: values[:first] + values[after:] for name, values in host.columns.items()}


TESTS = (
    ("Boot", 40, 160, "PASS"), ("Link Comes Up", 170, 260, "PASS"), ("Load Of An Hour", 280, 1900, "PASS"),
    ("Update Firmware", 1950, 2300, "FAIL"), ("Roll Back", 2310, 2600, "PASS"), ("Optional Radio", 2610, 2640, "SKIP"),
    ("Soak", 2650, 3500, "PASS"),
)  # fmt: skip


def lab(hosts: int = 12, rows: int = 1800, interval_s: float = 2.0) -> Lab:
    """Return a lab as the pictures of the documentation show it."""
    times = [BEGAN + row * interval_s for row in range(rows)]
    made = []
    for index in range(hosts):
        hop = [] if index < 2 else ["gateway"] if index < hosts * 0.6 else ["gateway", "rack-switch"]
        name = "gateway" if index == 1 else f"dut{index + 1}" if index else "controller"
        tags = ["infra"] if index < 2 else ["dut", "arm" if index % 2 else "x86"]
        made.append(Host(name, [*hop, name], tags, times, columns(rows, index * 100)))
    length = rows * interval_s
    events = [
        {"id": 1, "at": BEGAN + 0.08 * length, "until": None, "kind": "mark", "text": "load begins", "host": ""},
        {
            "id": 2,
            "at": BEGAN + 0.54 * length,
            "until": BEGAN + 0.64 * length,
            "kind": "span",
            "text": "firmware is written",
            "host": "",
        },
    ]
    if hosts > 4 and rows > 100:
        first, after = int(rows * 0.56), int(rows * 0.62)
        away(made[3], first, after)
        events.append(
            {
                "id": 3,
                "at": times[first],
                "until": times[after],
                "kind": "gap",
                "text": "The host does not answer: timed out",
                "host": made[3].name,
            }
        )
        events.append(
            {"id": 4, "at": times[after] + 3, "until": None, "kind": "reboot", "text": "It booted again", "host": made[3].name}
        )
    tests = [
        {
            "name": f"Lab.{name}",
            "began": BEGAN + begin / 3600 * length,
            "ended": BEGAN + end / 3600 * length,
            "status": status,
            "link": f"log.html#s1-t{index}",
        }
        for index, (name, begin, end, status) in enumerate(TESTS, start=1)
    ]
    return Lab(made, ended=BEGAN + (rows - 1) * interval_s, events=events, tests=tests)

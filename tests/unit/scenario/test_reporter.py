"""Results: files, hearers, units."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from OttoLibrary import masking
from OttoLibrary.errors import PluginError, UsageError, ValueFormatError
from OttoLibrary.scenario import reporter
from OttoLibrary.scenario.reporter import CURRENT_EVENT, Reported, Reporter, parsed, register_reporter


@pytest.fixture(autouse=True)
def no_hearers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "_hearers", [])


def test_results_are_lines_and_rows(tmp_path: Path) -> None:
    told: list[Reported] = []
    made = Reporter(tmp_path / "otto", "soak", told.append)
    token = CURRENT_EVENT.set(("play", "dut1"))
    made.report("fps", 24, "1/s")
    made.put({"frames": 3, "state": "good, \n"})
    CURRENT_EVENT.reset(token)
    made.close()
    made.close()
    rows = [json.loads(line) for line in (tmp_path / "otto" / "soak-results.jsonl").read_text().splitlines()]
    assert [(row["event"], row["host"], row["name"], row["value"], row["unit"], row["text"]) for row in rows] == [
        ("play", "dut1", "fps", 24.0, "1/s", ""),
        ("play", "dut1", "frames", 3.0, "", ""),
        ("play", "dut1", "state", None, "", "good, \n"),
    ]
    with (tmp_path / "otto" / "soak-results.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["fps", "frames", "state"]
    assert [result.series for result in told[:2]] == ["fps_per_s", "frames"]


def test_whoever_is_registered_hears_and_may_fail() -> None:
    heard, warned = [], []

    @register_reporter
    class Good:
        def on_result(self, result: Reported) -> None:
            heard.append(result.name)

    @register_reporter
    class Bad:
        def on_result(self, result: Reported) -> None:
            raise ValueError("deaf")

    made = Reporter(warn=warned.append)
    made.report("a", 1)
    made.put({"error": "it smokes"})
    assert heard == ["a", "error"]
    assert warned[0] == "The reporter Bad failed: ValueError: deaf"
    assert warned[-1] == "An event reported an error: it smokes"
    with pytest.raises(PluginError, match="lacks on_result"):
        register_reporter(dict)


def test_numbers_with_units() -> None:
    assert parsed("24 1/s") == (24.0, "1/s")
    assert parsed(" 3.5") == (3.5, "")
    with pytest.raises(ValueFormatError):
        parsed("fast")
    with pytest.raises(UsageError):
        Reporter().report(" ", 1)


def test_no_column_has_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process", masking.Masker())
    secret, number = "S3cretRoot99", 73519462
    masking._process.add(secret, str(number))
    told: list[Reported] = []
    warned: list[str] = []
    made = Reporter(tmp_path, "soak", told.append, warned.append)
    token = CURRENT_EVENT.set((f"event {secret}", ""))
    made.report(f"note {secret}", 5, secret, f"host {secret}")
    made.report("text", f"said {secret}")
    made.report("pin", number)
    made.put({"error": secret})
    CURRENT_EVENT.reset(token)
    made.close()
    written = "".join(file.read_text() for file in made.files)
    assert written.count("<secret>") >= 12
    assert secret not in written
    assert str(number) not in written
    assert secret not in "".join(warned) + "".join(result.series + result.unit + result.text for result in told)

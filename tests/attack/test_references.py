"""References whose values do not end, block, or are far too long: one sentence, soon."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.loading import load_lab

pytestmark = pytest.mark.timeout(60)


def refused(folder: Path, reference: str) -> str:
    """Return the sentence about a reference as a password."""
    file = folder / "bench.json"
    file.write_text(json.dumps({"hosts": {"dut1": {"address": "a", "password": reference}}}))
    with pytest.raises(LabError) as raised:
        load_lab(str(file)).facts("dut1")
    (problem,) = raised.value.problems
    return problem.partition(": ")[2]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "pipe"
    assert refused(tmp_path, f"${{file:{path}}}") == (
        f"file '{path}' cannot be read (it is not a plain file) @ hosts.dut1.password"
    )


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/tty", "/dev"])
def test_a_device_or_folder_is_not_read(tmp_path: Path, device: str) -> None:
    assert refused(tmp_path, f"${{file:{device}}}").startswith(f"file '{device}' cannot be read (")


def test_a_huge_file_is_not_taken_into_memory(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    assert refused(tmp_path, f"${{file:{huge}}}") == (
        f"file '{huge}' cannot be read (it has more than 1 MiB) @ hosts.dut1.password"
    )


def test_a_lab_that_is_a_device_or_huge_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="'/dev/zero' is a device, and a lab is a file"):
        load_lab("/dev/zero")
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(LabError, match="cannot be read: it has more than 16 MiB @ top level"):
        load_lab(str(huge))


def test_a_value_with_a_reference_to_itself_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELF", "${env:SELF}")
    file = tmp_path / "bench.json"
    file.write_text(json.dumps({"hosts": {"dut1": {"address": "a", "password": "${env:SELF}"}}}))
    password = load_lab(str(file)).facts("dut1").password
    assert password is not None
    assert password.value == "${env:SELF}"

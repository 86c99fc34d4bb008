"""What a console said, on file: time stamps, whole lines, secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from OttoLibrary.host.transcript import Transcript
from OttoLibrary.masking import Masker

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d "


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_line_has_its_time_and_no_secret(tmp_path: Path, size: int) -> None:
    masker = Masker()
    masker.add("hush-hush")
    transcript = Transcript(tmp_path / "otto", "my host", masker.mask, print)
    said = "boot\r\nword hush-hush\r\nü \xff\r\nlogin: ".encode("utf-8", "surrogateescape")
    transcript.note("open")
    for at in range(0, len(said), size):
        transcript.add(said[at : at + size])
    transcript.note("closed")
    lines = (tmp_path / "otto" / "console-my_host.log").read_text("utf-8").split("\n")
    assert [re.sub(f"^{STAMP}", "|", line) for line in lines] == [
        "|-- open",
        "|boot",
        "|word <secret>",
        "|ü ÿ",
        "|login: ",
        "|-- closed",
        "",
    ]


def test_a_line_without_an_end_is_written_so_far(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, "box", str, print)
    transcript.add(b"x" * 5000)
    assert len(transcript.path.read_text()) > 3000
    transcript.note("closed")
    assert transcript.path.read_text().count("x") == 5000


@pytest.mark.parametrize("at", range(3000, 4130, 7))
def test_a_secret_is_not_cut_in_two(tmp_path: Path, at: int) -> None:
    masker = Masker()
    masker.add("hunter2-longer")
    transcript = Transcript(tmp_path, "box", masker.mask, print)
    text = b"x" * at + b"hunter2-longer" + b"y" * 2000
    for start in range(0, len(text), 100):
        transcript.add(text[start : start + 100])
    transcript.note("closed")
    kept = transcript.path.read_text()
    assert "<secret>" in kept
    assert (kept.count("x"), kept.count("y")) == (at, 2000)


def test_a_folder_that_cannot_be_written_does_not_stop_the_console(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warnings: list[str] = []
    transcript = Transcript(tmp_path / "file", "box", str, warnings.append)
    for _ in range(3):
        transcript.add(b"said\n")
    assert warnings == [f"The transcript '{tmp_path}/file/console-box.log' has gaps: File exists."]

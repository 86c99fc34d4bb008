"""Commands for readings: a recording, or all of a run, as one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.cli.main import main
from tests.unit.dashboard.recordings import record, tick


def test_a_recording_becomes_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = record(tmp_path / "m.db", tick(0), tick(1))
    page = tmp_path / "pages" / "page.html"
    assert main(["dashboard", str(recording), "--static", str(page)]) == 0
    assert capsys.readouterr().out.startswith(f"Written to {page} (")
    assert 'id="otto-page"' in page.read_text()


def test_all_recordings_of_a_folder_are_on_one_page(tmp_path: Path) -> None:
    (tmp_path / "run" / "0" / "otto").mkdir(parents=True)
    (tmp_path / "run" / "1" / "otto").mkdir(parents=True)
    record(tmp_path / "run" / "0" / "otto" / "metrics.db", tick(0, "dut1"))
    record(tmp_path / "run" / "1" / "otto" / "metrics.db", tick(0, "dut2"))
    page = tmp_path / "page.html"
    assert main(["dashboard", str(tmp_path / "run"), "--static", str(page)]) == 0
    assert all(f'data-host="{host}"' in page.read_text() for host in ("dut1", "dut2"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dashboard", "nothing.db", "--static", "page.html"], "There is no recording 'nothing.db'."),
        (["dashboard", ".", "--static", "page.html"], "There is no recording 'otto/metrics.db' in the folder '.' or below it."),
    ],
)
def test_without_a_recording_there_is_no_page(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert capsys.readouterr().err == f"{message}\n"
    assert not Path("page.html").exists()

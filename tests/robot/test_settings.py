"""Settings in whole runs: what counts when the suite says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robot.running import PABOT, ROBOT, command, run

_SETTINGS = """name = "my-sut"
version = "1.4.0"

[lab]
default = "demo"

[monitor]
interval = "200 ms"
metrics = ["load"]
hosts = "dut1"
store = "none"

[defaults]
cwd = "/"
environment = { OF_SETTINGS = "yes" }
"""
_SUITE = """*** Settings ***
Library     OttoLibrary

*** Test Cases ***
Watched And Placed
    Start Monitor
    ${result}=    Run On Host    dut1    echo $OF_SETTINGS; pwd
    Should Be Equal    ${result.stdout}    yes\\n/\\n
    Wait Until Keyword Succeeds    10 s    100 ms    Get Metric    dut1    load    last
    ${found}=    Stop Monitor
    Should Be Equal    ${{list($found)}}    ${{['dut1']}}
"""


@pytest.mark.parametrize("runner", [ROBOT, PABOT], ids=["robot", "pabot"])
def test_lab_watching_and_defaults_come_from_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: tuple[str, ...]
) -> None:
    monkeypatch.delenv("OTTO_SUT_DIRS", raising=False)
    (tmp_path / ".otto").mkdir()
    (tmp_path / ".otto" / "settings.toml").write_text(_SETTINGS)
    ran = run(tmp_path, _SUITE, runner=runner)
    assert ran.rc == 0, ran.said
    assert ran.suite.metadata["my-sut"] == "1.4.0"


def test_the_listener_watches_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sut" / ".otto").mkdir(parents=True)
    (tmp_path / "sut" / ".otto" / "settings.toml").write_text(_SETTINGS)
    monkeypatch.setenv("OTTO_SUT_DIRS", str(tmp_path / "sut"))
    suite = "*** Settings ***\nLibrary     OttoLibrary\n\n*** Test Cases ***\nOne\n    Run On Host    dut2    sleep 1\n"
    ran = run(tmp_path, suite, "--listener", "OttoLibrary.Metrics")
    assert ran.rc == 0, ran.said
    watched = " ".join(ran.tests["One"].metadata.values())
    assert "dut1" in watched
    assert "dut2" not in watched
    assert not list(tmp_path.rglob("metrics.db"))


def test_the_command_line_prints_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (".otto", "suites"):
        (tmp_path / folder).mkdir()
    (tmp_path / ".otto" / "settings.toml").write_text('tests = ["suites"]\n' + _SETTINGS)
    monkeypatch.delenv("OTTO_SUT_DIRS", raising=False)
    rc, said = command(tmp_path, "OttoLibrary", "settings")
    assert rc == 0
    assert said.startswith(f"my-sut 1.4.0    {tmp_path}/.otto/settings.toml\n    labs: -\n")
    assert "    [lab] default = demo\n" in said
    assert command(tmp_path, "OttoLibrary", "settings", "--tests") == (0, f"{tmp_path}/suites\n")

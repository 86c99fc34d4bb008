"""Settings in whole runs: what counts when the suite says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robot.running import PABOT, ROBOT, command, run, run_files

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


_OF_REPOSITORY = """name = "{name}"
version = "1.0.0"

[lab]
default = "{name}"

[monitor]
interval = "100 ms"
metrics = ["load"]

[reservations]
backend = "{backend}"
"""
_RESERVES = {
    "file": "Reserve Hosts    host-of-one",
    "none": "Run Keyword And Expect Error    *can only say who has what*    Reserve Hosts    host-of-two",
}


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_two_repositories_in_one_run_keep_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]) -> None:
    monkeypatch.delenv("OTTO_SUT_DIRS", raising=False)
    for name in order:
        backend = "file" if name == "one" else "none"
        (tmp_path / name / ".otto").mkdir(parents=True)
        (tmp_path / name / ".otto" / "settings.toml").write_text(_OF_REPOSITORY.format(name=name, backend=backend))
        (tmp_path / name / "labs").mkdir()
        (tmp_path / name / "labs" / f"{name}.json").write_text(f'{{"hosts": {{"host-of-{name}": {{"transport": "local"}}}}}}')
        (tmp_path / name / "suite.robot").write_text(_OF_EITHER.format(name=name, reserve=_RESERVES[backend]))
    ran = run_files(tmp_path, "--listener", "OttoLibrary.Metrics", *order)
    assert ran.rc == 0, ran.said
    assert "WARN" not in ran.said, ran.said
    for name, other in (order, order[::-1]):
        test = ran.tests[f"Watched In {name}"]
        assert f"host-of-{name}" in test.metadata["load 1min"]
        assert f"host-of-{other}" not in test.metadata["load 1min"]
        [suite] = [suite for suite in ran.suite.suites if suite.name.lower() == name]
        assert f"host-of-{other}" not in str(dict(suite.metadata))


_OF_EITHER = """*** Settings ***
Library     OttoLibrary

*** Test Cases ***
Watched In {name}
    ${{hosts}}=    Get Hosts
    Should Be Equal    ${{hosts}}    ${{{{['host-of-{name}']}}}}
    {reserve}
    Run On Host    host-of-{name}    true
    Get Metric    host-of-{name}    load
"""

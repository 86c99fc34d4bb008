"""Testbeds as their users have them: whole runs, how they end, and what is given back however that is."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.reservation.backends.file import FileReservations
from tests.peers.requirements import is_root
from tests.robot.running import PABOT, Run, begin, command, run, run_files, start

_DRIVERS = """
import os, time
from OttoLibrary import Device
from OttoLibrary.registry import register_device

def trace(line):
    with open("trace.txt", "a") as file:
        file.write(line + "\\n")

class Box(Device):
    def _do(self, hook):
        trace(f"{hook} {self.name}")
        if hook in self.config.get("fail", ()):
            raise RuntimeError(f"no {hook}, and the word is {self.config.get('password')}")
        if hook in self.config.get("hang", ()):
            self.host.run("sleep 300", timeout_s=300)

    def boot(self):
        self._do("boot")

    def configure(self):
        self._do("configure")

    def shutdown(self):
        leases = os.path.join(os.environ["OTTO_LEASES"], "state.json")
        held = f"bench-1/{self.name}" in open(leases).read()
        self._do("shutdown")
        trace(f"still reserved {held}")

class Server(Box):
    role = "server"

    async def boot(self):
        trace(f"boot {self.name}")
        self.log((await self.host.run("echo server is up")).stdout)

register_device("my_box", Box)
register_device("my_server", Server)
"""
_SUITE = """*** Settings ***
Library    OttoLibrary    lab=environment:environment.json,inventory.json,bench-1
Suite Setup    Deploy Devices
*** Test Cases ***
First
    ${box}=    Get Device    box
    Run On Host    ${box.name}    true
Second
    ${box}=    Get Device    type=my_box
    Run On Host    ${box.name}    true
"""
_LISTENED = """*** Settings ***
Library    OttoLibrary
*** Test Cases ***
First
    ${box}=    Get Device    box
    Run On Host    ${box.name}    true
Second
    Log    does not use the devices
"""
_LISTENER = "OttoLibrary.Deploy:environment=environment.json:inventory=inventory.json:board=bench-1"
_PASSWORD = "pa55-of-the-box"
_TOO_LONG_S = 60


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write drivers, settings and the two files; the box has these data too."""
    monkeypatch.setenv("OTTO_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("OTTO_BENCHES", str(tmp_path / "benches"))

    def write(**box: Any) -> Path:
        (tmp_path / "drivers.py").write_text(_DRIVERS)
        (tmp_path / ".otto").mkdir()
        (tmp_path / ".otto" / "settings.toml").write_text('name = "sut"\nversion = "1.0.0"\nlibs = [".."]\ninit = ["drivers"]\n')
        (tmp_path / "environment.json").write_text(json.dumps({"environment_def": {"box": box}}))
        there = {"transport": "local", "password": _PASSWORD}
        devices = [{"name": "box", "type": "my_box", **there}, {"name": "server", "type": "my_server", **there}]
        (tmp_path / "inventory.json").write_text(json.dumps({"bench-1": {"devices": devices}}))
        return tmp_path

    return write


def trace(folder: Path) -> list[str]:
    file = folder / "trace.txt"
    return file.read_text().splitlines() if file.exists() else []


def statuses(done: Run) -> dict[str, str]:
    return {name: test.status for name, test in done.tests.items()}


def given_back(folder: Path) -> None:
    """All devices were shut down once, while they were still reserved, and nothing is reserved any more."""
    ended = trace(folder)[-4:]
    assert ended == ["shutdown box", "still reserved True", "shutdown server", "still reserved True"]
    assert sum(line.startswith("shutdown") for line in trace(folder)) == 2
    free(folder)


def free(folder: Path) -> None:
    backend = FileReservations(str(folder / "leases"))
    try:
        assert backend.holdings() == []
    finally:
        backend.close()


def with_listener(folder: Path, *options: str) -> Run:
    return run(folder, _LISTENED, "--listener", _LISTENER, *options)


def test_devices_are_up_for_the_tests_and_given_back(bench: Callable[..., Path]) -> None:
    folder = bench()
    done = run(folder, _SUITE)
    assert (done.rc, statuses(done)) == (0, {"First": "PASS", "Second": "PASS"})
    assert trace(folder)[:4] == ["boot server", "configure server", "boot box", "configure box"]
    given_back(folder)
    assert "server is up" in done.html
    assert "<svg" in done.html


def test_the_listener_deploys_for_all_suites(bench: Callable[..., Path]) -> None:
    folder = bench()
    done = with_listener(folder)
    assert (done.rc, statuses(done)) == (0, {"First": "PASS", "Second": "PASS"})
    given_back(folder)
    assert "server is up" in done.html


@pytest.mark.parametrize("way", ["keyword", "listener"])
@pytest.mark.parametrize(("on_failure", "status"), [("fail", "FAIL"), ("skip", "SKIP")])
def test_a_failed_boot_makes_every_test_fail_or_skip(bench: Callable[..., Path], way: str, on_failure: str, status: str) -> None:
    folder = bench(fail=["boot"])
    if way == "keyword":
        done = run(folder, _SUITE.replace("Deploy Devices", f"Deploy Devices    on_failure={on_failure}"))
    else:
        done = run(folder, _LISTENED, "--listener", f"{_LISTENER}:on_failure={on_failure}")
    assert statuses(done) == {"First": status, "Second": status}
    assert bool(done.rc) == (status == "FAIL")
    assert all("box: device boot failed: RuntimeError: no boot" in test.message for test in done.tests.values())
    given_back(folder)


def test_no_secret_of_a_device_shows(bench: Callable[..., Path]) -> None:
    folder = bench(fail=["boot"])
    done = with_listener(folder)
    assert "the word is <secret>" in done.said
    shown = done.said + "".join(path.read_text(errors="replace") for path in done.folder.rglob("*") if path.is_file())
    assert _PASSWORD not in shown


@pytest.mark.parametrize("way", ["keyword", "listener"])
def test_a_mistake_in_the_files_fails_every_test_and_touches_nothing(bench: Callable[..., Path], way: str) -> None:
    folder = bench(type="my_bxo", depends_on=["servr"])
    done = run(folder, _SUITE) if way == "keyword" else with_listener(folder)
    assert statuses(done) == {"First": "FAIL", "Second": "FAIL"}
    message = done.tests["Second"].message
    assert "environment.json: device type 'my_bxo' of 'box' is not known" in message
    assert "@ environment_def.box.type (did you mean 'my_box'?)" in message
    assert "@ environment_def.box.depends_on (did you mean 'server'?)" in message
    assert trace(folder) == []
    free(folder)


_WITH_TEARDOWN = _SUITE.replace(
    "Suite Setup    Deploy Devices", "Suite Setup    Deploy Devices\nSuite Teardown    Run On Host    box    true"
)
_IN_A_TEST = """*** Settings ***
Library    OttoLibrary    lab=environment:environment.json,inventory.json,bench-1
*** Test Cases ***
First
    Log    does not use the devices
Second
    Deploy Devices
"""


@pytest.mark.parametrize("way", ["keyword", "teardown", "listener", "test"])
def test_a_failing_shutdown_fails_the_run_and_keeps_nothing(bench: Callable[..., Path], way: str) -> None:
    folder = bench(fail=["shutdown"])
    suites = {"keyword": _SUITE, "teardown": _WITH_TEARDOWN, "test": _IN_A_TEST}
    done = with_listener(folder) if way == "listener" else run(folder, suites[way])
    assert [line for line in trace(folder) if line.startswith("shutdown")] == ["shutdown box", "shutdown server"]
    assert statuses(done) == {"First": "PASS" if way == "test" else "FAIL", "Second": "FAIL"}
    assert done.rc == (1 if way == "test" else 2)
    assert "box: shutdown failed: RuntimeError: no shutdown" in done.tests["Second"].message
    assert _PASSWORD not in (done.folder / "output.xml").read_text()
    free(folder)


def test_release_devices_fails_for_a_failing_shutdown(bench: Callable[..., Path]) -> None:
    folder = bench(fail=["shutdown"])
    done = run(folder, f"{_SUITE}    Release Devices\n")
    assert statuses(done) == {"First": "PASS", "Second": "FAIL"}
    assert "box: shutdown failed: RuntimeError: no shutdown" in done.tests["Second"].message
    free(folder)


def test_a_time_out_of_robot_ends_a_boot(bench: Callable[..., Path]) -> None:
    folder = bench(hang=["boot"])
    suite = _SUITE.replace("Suite Setup    Deploy Devices", "Suite Setup    Bounded")
    done = run(folder, f"{suite}*** Keywords ***\nBounded\n    [Timeout]    10 s\n    Deploy Devices\n")
    assert statuses(done) == {"First": "FAIL", "Second": "FAIL"}
    given_back(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", ["keyword", "listener"])
def test_a_signal_during_a_boot(bench: Callable[..., Path], way: str, number: signal.Signals) -> None:
    folder = bench(hang=["boot"])
    ended(folder, way, number, "boot box")
    given_back(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", ["keyword", "listener"])
def test_a_signal_during_a_test(bench: Callable[..., Path], way: str, number: signal.Signals) -> None:
    folder = bench()
    ended(folder, way, number, "in the test", "    Create File    trace_test.txt\n    Sleep    300 s\n")
    given_back(folder)


def test_a_killed_run_ends_its_lease(bench: Callable[..., Path]) -> None:
    folder = bench()
    ended(folder, "keyword", signal.SIGKILL, "in the test", "    Create File    trace_test.txt\n    Sleep    300 s\n")
    free(folder)


def ended(folder: Path, way: str, number: signal.Signals, when: str, more: str = "") -> None:
    """Send a signal to a run once it is that far, and wait for its end."""
    suite = with_files(_SUITE if way == "keyword" else _LISTENED)
    (folder / "suite.robot").write_text(suite + more)
    options = ["--listener", _LISTENER] if way == "listener" else []
    process = begin(folder, *options, "suite.robot")
    try:
        until(lambda: when in trace(folder) or (folder / "trace_test.txt").exists(), process)
        process.send_signal(number)
        process.communicate(timeout=_TOO_LONG_S)
    finally:
        process.kill()
    assert process.returncode


def with_files(suite: str) -> str:
    """Return a suite that has keywords for files too."""
    return suite.replace("Library    OttoLibrary", "Library    OperatingSystem\nLibrary    OttoLibrary", 1)


def until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _TOO_LONG_S
    while not is_so():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


@pytest.mark.parametrize("options", [["--dryrun"], ["--include", "none", "--runemptysuite"]])
def test_a_run_without_tests_touches_nothing(bench: Callable[..., Path], options: list[str]) -> None:
    folder = bench()
    assert with_listener(folder, *options).rc == 0
    assert trace(folder) == []


def test_help_touches_nothing(bench: Callable[..., Path]) -> None:
    folder = bench()
    assert command(folder, "robot", "--listener", _LISTENER, "--help")[0] == 251
    assert trace(folder) == []


def test_others_have_the_bench(bench: Callable[..., Path]) -> None:
    folder = bench()
    waiting = "    Create File    trace_test.txt\n    Wait Until Removed    trace_test.txt    timeout=1 min\n"
    (folder / "holder.robot").write_text(with_files(_SUITE) + waiting)
    holder = begin(folder, "holder.robot")
    try:
        until((folder / "trace_test.txt").exists, holder)
        (folder / "other").mkdir()
        for name in ("environment.json", "inventory.json", "drivers.py", ".otto"):
            (folder / "other" / name).symlink_to(folder / name)
        done = run(folder / "other", _SUITE, OTTO_SAFE_DIRECTORIES=str(folder))
        assert statuses(done) == {"First": "FAIL", "Second": "FAIL"}
        assert "did not become free" in done.tests["First"].message
        assert trace(folder / "other") == []
    finally:
        (folder / "trace_test.txt").unlink(missing_ok=True)
        holder.communicate(timeout=_TOO_LONG_S)
    assert holder.returncode == 0
    given_back(folder)


def test_the_deployment_of_the_listener_is_not_repeated(bench: Callable[..., Path]) -> None:
    folder = bench()
    (folder / "suite.robot").write_text(_SUITE)
    done = run_files(folder, "--listener", _LISTENER, "suite.robot")
    assert done.rc == 0
    assert trace(folder).count("boot box") == 1
    given_back(folder)


def test_an_unknown_option_fails_every_test(bench: Callable[..., Path]) -> None:
    folder = bench()
    done = run(folder, _LISTENED, "--listener", f"{_LISTENER}:skip_bot=yes")
    assert statuses(done) == {"First": "FAIL", "Second": "FAIL"}
    assert "Did you mean 'skip_boot'?" in done.tests["First"].message
    assert trace(folder) == []


_PLUGIN = """
from OttoLibrary import hookimpl
from OttoLibrary.registry import register_plugin

class Plugin:
    @hookimpl
    def otto_add_cmdline_args(self, parser):
        parser.add_argument("--rack", default="left")

    @hookimpl
    def otto_add_devices(self):
        return {"my_other": Box}

    @hookimpl
    def otto_parse_config(self, inventory, environment):
        return [{**device, "type": "my_other"} if device["name"] == "box" else device for device in inventory["devices"]]

    @hookimpl
    def otto_reserve_devices(self, options):
        trace(f"reserve {options.rack}")
        return self.reserves

    @hookimpl
    def otto_setup_env(self, devices):
        trace(f"setup {sorted(devices)}")

    @hookimpl
    def otto_post_setup_env(self):
        trace("post setup")

    @hookimpl
    def otto_shutdown_device(self):
        trace("shutdown hook")

    @hookimpl
    def otto_release_devices(self, status):
        trace(f"release {status['status']}")

Plugin.reserves = RESERVES
register_plugin(Plugin())
"""


@pytest.mark.parametrize("reserves", [True, False])
def test_plug_ins_take_part_in_their_order(bench: Callable[..., Path], reserves: bool) -> None:
    folder = bench()
    with (folder / "drivers.py").open("a") as file:
        file.write(_PLUGIN.replace("RESERVES", str(reserves)))
    (folder / "leases").mkdir()
    (folder / "leases" / "state.json").write_text("")
    done = run(folder, _SUITE.replace("type=my_box", "type=my_other"))
    assert done.rc == 0
    seen = [line for line in trace(folder) if not line.startswith(("boot", "configure"))]
    held = f"still reserved {not reserves}"
    assert seen == [
        "reserve left",
        "setup ['box', 'server']",
        "post setup",
        "shutdown hook",
        *("shutdown box", held, "shutdown server", held),
        "release success",
    ]


def test_plug_ins_release_after_a_failed_boot(bench: Callable[..., Path]) -> None:
    folder = bench(fail=["boot"])
    with (folder / "drivers.py").open("a") as file:
        file.write(_PLUGIN.replace("RESERVES", "False").replace("return [{", "return None and [{"))
    assert run(folder, _SUITE).rc == 2
    assert trace(folder)[-1] == "release failed"
    assert "post setup" not in trace(folder)
    free(folder)


def test_the_command_deploys_with_a_closed_stdin(bench: Callable[..., Path]) -> None:
    folder = bench()
    with (folder / "drivers.py").open("a") as file:
        file.write(_PLUGIN.replace("RESERVES", "False").replace("return [{", "return None and [{"))
    words = ("environment.json", "inventory.json", "--board", "bench-1", "--rack", "right")
    rc, said = command(folder, "OttoLibrary", "deploy", *words)
    assert rc == 0, said
    assert trace(folder)[0] == "reserve right"
    assert "bench-1 is up: box, server." in said
    free(folder)


def test_the_command_gives_everything_back_at_a_signal(bench: Callable[..., Path]) -> None:
    folder = bench(hang=["boot"])
    process = start(folder, "OttoLibrary", "deploy", "environment.json", "inventory.json", "--board", "bench-1")
    try:
        until(lambda: "boot box" in trace(folder), process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=_TOO_LONG_S)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "The deployment was stopped by SIGTERM." in said
    given_back(folder)


_REQUIRING = """
Met
    [Tags]    env_req:{"box": {"model": ["a", "b"]}}
    Log    runs
Unmet
    [Tags]    env_req:{"box": {"model": "c"}}
    Fail    never runs
Mistyped
    [Tags]    env_req:{"box": {"modle": "b"}}
    Fail    never runs
Broken
    [Tags]    env_req:{"box"
    Log    never runs
By Keyword
    Require Environment    {"box": {"model": [{"contains_regex": "^c"}]}}
    Fail    never runs
"""


@pytest.mark.parametrize("way", ["keyword", "listener"])
@pytest.mark.parametrize("skips", [False, True])
def test_requirements_skip_and_check(bench: Callable[..., Path], way: str, skips: bool) -> None:
    folder = bench(model="b")
    with (folder / "drivers.py").open("a") as file:
        file.write("Box.contingency_check = lambda self, requirement=None: trace(f'check {self.name} {requirement}')\n")
    if way == "keyword":
        deploying = f"Deploy Devices    skip_contingency_checks={skips}"
        done = run(folder, _SUITE.replace("Deploy Devices", deploying) + _REQUIRING)
    else:
        skipping = "yes" if skips else "no"
        done = run(folder, _LISTENED + _REQUIRING, "--listener", f"{_LISTENER}:skip_contingency_checks={skipping}")
    expected = {
        "First": "PASS",
        "Second": "PASS",
        "Met": "PASS",
        "Unmet": "SKIP",
        "Mistyped": "SKIP",
        "Broken": "FAIL",
        "By Keyword": "SKIP",
    }
    assert statuses(done) == expected
    assert "device 'box' is needed with {'model': 'c'}, and there is {" in done.tests["Unmet"].message
    assert "(Did you mean 'model'?)" in done.tests["Mistyped"].message
    checks = sorted(line for line in trace(folder) if line.startswith("check"))
    assert checks == ([] if skips else [f"check {name} {{'box': {{'model': ['a', 'b']}}}}" for name in ("box", "server")])
    assert _PASSWORD not in (done.folder / "output.xml").read_text()


def test_a_requirement_without_an_environment_fails(bench: Callable[..., Path]) -> None:
    folder = bench()
    done = run(folder, f"*** Settings ***\nLibrary    OttoLibrary\n*** Test Cases ***\n{_REQUIRING.strip()}\n")
    assert statuses(done) == dict.fromkeys(("Met", "Unmet", "Mistyped", "Broken", "By Keyword"), "FAIL")


_FILES = ("environment.json", "inventory.json", "--board", "bench-1")


def test_a_kept_bench_is_used_without_a_boot_until_it_is_released(bench: Callable[..., Path]) -> None:
    folder = bench()
    rc, said = command(folder, "OttoLibrary", "deploy", *_FILES, "--keep")
    assert rc == 0, said
    try:
        booted = trace(folder)
        assert booted == ["boot server", "configure server", "boot box", "configure box"]
        for way in (_SUITE, _LISTENED):
            done = run(folder, way, *(["--listener", _LISTENER] if way is _LISTENED else []))
            assert (done.rc, statuses(done)) == (0, {"First": "PASS", "Second": "PASS"}), done.said
        assert trace(folder) == booted
        rc, said = command(folder, "OttoLibrary", "deploy", *_FILES, "--keep")
        assert (rc, "is kept up already" in said) == (2, True)
        done = run(folder, _SUITE, OTTO_USER="somebody")
        assert "it is root's, and you are somebody" in done.tests["First"].message or not is_root()
        (folder / "environment.json").write_text(json.dumps({"environment_def": {"box": {"image": "2"}}}))
        done = run(folder, _SUITE)
        assert statuses(done) == {"First": "FAIL", "Second": "FAIL"}
        assert 'box.image is nothing there, and "2" in the files' in done.tests["First"].message
        assert trace(folder) == booted
    finally:
        rc, said = command(folder, "OttoLibrary", "deploy", *_FILES, "--release")
    assert rc == 0, said
    given_back(folder)
    assert command(folder, "OttoLibrary", "deploy", *_FILES, "--release")[0] == 2


def test_a_bench_that_does_not_come_up_is_not_kept(bench: Callable[..., Path]) -> None:
    folder = bench(fail=["boot"])
    rc, said = command(folder, "OttoLibrary", "deploy", *_FILES, "--keep")
    assert rc == 1
    assert "box: device boot failed: RuntimeError: no boot" in said
    given_back(folder)


def test_a_kept_bench_ends_with_its_lease(bench: Callable[..., Path]) -> None:
    folder = bench()
    rc, said = command(folder, "OttoLibrary", "deploy", *_FILES, "--keep", "--lease", "1 s")
    assert rc == 0, said
    down(folder)
    given_back(folder)


@pytest.mark.parametrize("way", ["keyword", "listener"])
def test_all_processes_of_pabot_share_one_deployment(bench: Callable[..., Path], way: str) -> None:
    folder = bench()
    (folder / "suites").mkdir()
    for name in ("a", "b", "c"):
        suite = _SUITE if way == "keyword" else _LISTENED
        (folder / "suites" / f"{name}.robot").write_text(f"{suite}    Hosts Should Be Reserved    box\n")
    done = run_files(folder, *(["--listener", _LISTENER] if way == "listener" else []), "suites", runner=PABOT)
    assert done.rc == 0, done.said
    assert sum(line == "boot box" for line in trace(folder)) == 1
    down(folder)
    given_back(folder)


def down(folder: Path) -> None:
    """Wait for a keeper to shut its bench down and to release it."""
    end = time.monotonic() + _TOO_LONG_S
    while sum(line.startswith("still reserved") for line in trace(folder)) < 2 or list((folder / "benches").glob("*.json")):
        assert time.monotonic() < end, trace(folder)
        time.sleep(0.05)
    backend = FileReservations(str(folder / "leases"))
    try:
        while backend.holdings():
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        backend.close()

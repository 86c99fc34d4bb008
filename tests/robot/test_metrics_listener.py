"""The listener ``OttoLibrary.Metrics`` as its user has it: whole runs of robot and pabot, and what is in their logs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import pytest
from robot.api import ExecutionResult

from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.recording_reader import Recording
from tests.peers import processes
from tests.peers.keys import Keys
from tests.peers.sshd import Sshd

_TOO_LONG_S = 120
# A test that uses this lasts until every host has been read since it began, however slow the machine is.
_LONG_ENOUGH = """
import contextlib, time
from pathlib import Path
from robot.libraries.BuiltIn import BuiltIn
from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.recording_reader import Recording

def last_until_read(*hosts):
    began, path = time.time(), Path(BuiltIn().get_variable_value("${OUTPUT DIR}"), "otto/metrics.db")
    missing = list(hosts)
    while missing:
        if time.time() > began + 30:
            raise AssertionError(f"not read in 30 seconds: {missing}")
        time.sleep(0.05)
        # A recording that is only just being made cannot be read yet.
        with contextlib.suppress(UsageError):
            with contextlib.closing(Recording(path)) as recording:
                read = {host for host, series in recording.all(since=began) if series == "cpu_percent"}
            missing = [host for host in hosts if host not in read]
"""
# Finds the page by the listener that serves it: its address is on the console of the run.
_ASKS_PAGE = """
import gc, json, urllib.request
from OttoLibrary.dashboard.server import Dashboard

def page_should_name(host, test):
    [dashboard] = [item for item in gc.get_objects() if isinstance(item, Dashboard)]
    page = json.load(urllib.request.urlopen(dashboard.url.replace("/?", "/api/page?"), timeout=10))
    assert [known["name"] for known in page["hosts"]] == [host], page["hosts"]
    assert [known["name"] for known in page["tests"]] == [test], page["tests"]
"""
_COMPLAINTS = ("Traceback", "Exception ignored", "Task was destroyed", "never awaited", "never retrieved")


Started: TypeAlias = contextlib.AbstractContextManager[subprocess.Popen[str]]


@dataclass
class Run:
    """A run that is over."""

    rc: int
    stdout: str
    stderr: str
    output: Path

    @property
    def tests(self) -> dict[str, Any]:
        """Robot's results of the tests, by name."""
        return {test.name: test for test in self.result.suite.all_tests}

    @property
    def result(self) -> Any:
        return ExecutionResult(self.output)

    @property
    def warnings(self) -> list[str]:
        return [message.message for message in self.result.errors if message.level in {"WARN", "ERROR"}]


@pytest.fixture
def robot(tmp_path: Path) -> Callable[..., Started]:
    """Start a robot, or another runner, in a folder of its own: ``robot("suite.robot", "--option", ...)``."""
    (tmp_path / "longenough.py").write_text(_LONG_ENOUGH)
    (tmp_path / "temporary").mkdir()

    @contextlib.contextmanager
    def start(*arguments: str, runner: tuple[str, ...] = ("robot",)) -> Iterator[subprocess.Popen[str]]:
        paths = [str(tmp_path), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTTO_LAB", "ROBOT_"))}
        # The demo lab hands TMPDIR to its children: it marks all processes of the run.
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TMPDIR": str(tmp_path / "temporary")}
        process = subprocess.Popen(
            [sys.executable, "-m", *runner, "--outputdir", "results", *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            # A test that failed meanwhile must not wait for its robot, nor leave anything behind.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=_TOO_LONG_S)

    return start


@pytest.fixture
def run(robot: Callable[..., Started], tmp_path: Path) -> Callable[..., Run]:
    """Run a suite of this text to its end: ``run(text, "interval=100ms", "--option", ...)``; no listener without options."""

    def finish(suite: str, options: str | None = "interval=100ms", *arguments: str, lab: str = "demo") -> Run:
        (tmp_path / "suite.robot").write_text(suite)
        listener = [] if options is None else ["--listener", f"OttoLibrary.Metrics:{options}".removesuffix(":")]
        variables = ["--variable", f"LAB:{lab}"] if lab else []
        with robot(*listener, *variables, *arguments, "suite.robot") as process:
            stdout, stderr = process.communicate(timeout=_TOO_LONG_S)
        quiet(stdout + stderr)
        return Run(process.returncode, stdout, stderr, tmp_path / "results" / "output.xml")

    return finish


def quiet(said: str) -> None:
    """Fail when Python complained: that changes no exit status."""
    assert not [complaint for complaint in _COMPLAINTS if complaint in said], said


def keywords(test: Any) -> list[Any]:
    """Return the keywords of a test, without what it shows beside them."""
    return [item for item in test.body if item.type == "KEYWORD"]


def shown(test: Any) -> list[str]:
    """Return the blocks of charts that a test shows outside of its keywords."""
    return [item.message for item in test.body if item.type == "MESSAGE" and "<svg" in item.message]


def check_charts(test: Any, *hosts: str) -> None:
    """Check that a test shows charts and a table of the hosts, once, drawn well, and tells them in its metadata."""
    blocks = shown(test)
    assert len(blocks) == 1, f"{test.name}: {len(blocks)} blocks of charts, {test.message}"
    drawings = re.findall(r"<svg.*?</svg>", blocks[0], re.DOTALL)
    for drawing in drawings:
        ElementTree.fromstring(drawing.replace("&nbsp;", " "))
    assert any(re.search(r'<path stroke="[^"]+"[^>]* d="M[^"]+"', drawing) for drawing in drawings)
    cells = re.findall(r"<td[^>]*>([^<]*)", blocks[0].rpartition("<table")[2])
    for host in hosts:
        assert host in cells, f"{host} is not in the table of {test.name}: {cells}"
        assert re.search(rf"\b{host} mean \S+ %, max \S+ %", test.metadata.get("cpu", "") + test.metadata.get("memory used", ""))


_NOTHING_OF_OURS = """*** Settings ***
Library     longenough.py

*** Test Cases ***
Long
    Last Until Read    local    dut1

Short
    No Operation

Fails
    Last Until Read    local    dut1
    Fail    my own words
"""
_WITH_KEYWORDS = """*** Settings ***
Library     OttoLibrary    lab=demo

*** Test Cases ***
"""
_SENTENCE = r"Metric 'cpu' of host 'dut1' max \S+ % {} % \(at [\d:]{{8}}, watched since [\d:]{{8}}\)\."


def test_every_test_that_lasts_shows_what_hosts_did_with_nothing_in_the_suite(run: Callable[..., Run]) -> None:
    done = run(_NOTHING_OF_OURS, "interval=100ms:hosts=local OR dut1")
    assert done.rc == 1
    check_charts(done.tests["Long"], "local", "dut1")
    check_charts(done.tests["Fails"], "local", "dut1")
    assert done.tests["Fails"].message == "my own words"
    assert not shown(done.tests["Short"])
    [reason] = [item.message for item in done.tests["Short"].body if item.type == "MESSAGE"]
    assert re.fullmatch(r"No chart: the test took \S+ m?s, and hosts are read every 100 ms\.", reason)
    assert done.warnings == []
    assert done.stderr == ""
    assert re.fullmatch(r"mean \S+ %, max \S+ %", done.result.suite.metadata["cpu"].rpartition("dut1 ")[2])
    assert "gateway" not in str(dict(done.result.suite.metadata))


def test_the_file_to_copy_does_the_same(run: Callable[..., Run]) -> None:
    listener = Path(__file__).parents[2] / "listeners" / "metrics.py"
    done = run(_NOTHING_OF_OURS, None, "--listener", f"{listener}:interval=100ms:hosts=local OR dut1")
    check_charts(done.tests["Long"], "local", "dut1")
    assert done.warnings == []


def test_the_log_and_the_report_are_pages_that_show_it(run: Callable[..., Run]) -> None:
    done = run(_NOTHING_OF_OURS, "interval=100ms:hosts=local OR dut1")
    for page in ("report.html", "log.html"):
        assert "dut1 mean" in (done.output.parent / page).read_text(), page


def test_the_recording_is_kept_beside_the_log_or_elsewhere_or_not_at_all(run: Callable[..., Run]) -> None:
    suite = "*** Test Cases ***\nLong\n    Sleep    1 s\n"
    for option, place in (("", "otto/metrics.db"), (":store=kept/mine.db", "kept/mine.db")):
        done = run(suite, f"interval=100ms:hosts=local{option}")
        with contextlib.closing(Recording(done.output.parent / place)) as recording:
            assert recording.hosts() == ["local"]
            assert recording.sessions()[0].label == "Suite"
            assert recording.sessions()[0].ended is not None
    for left in done.output.parent.rglob("*.db"):
        left.unlink()
    done = run(suite, "interval=100ms:hosts=local:store=none")
    assert not list(done.output.parent.rglob("*.db"))


# ---------------------------------------------------------------- what goes wrong

_PLAIN = """*** Test Cases ***
Passes
    No Operation

Fails
    Fail    my own words

Skips
    Skip    not today
"""


@pytest.mark.parametrize(
    ("options", "lab", "warning"),
    [
        ("intervall=1s", "demo", "No option of OttoLibrary.Metrics named 'intervall'. Did you mean 'interval'?"),
        ("interval=abc", "demo", "'abc' is not a duration. Write seconds as a number, or text such as"),
        ("interval=10ms", "demo", "An interval of 0.01 s is too short. The shortest is 0.1 s."),
        ("lab=nope", "demo", "No lab named 'nope'. Known: demo."),
        ("interval=100ms", "", "No lab is named. Give one with '--variable LAB:NAME'"),
        ("hosts=dutt", "demo", "No host named 'dutt'. Did you mean 'dut"),
        ("hosts=tag:nobody", "demo", "No host of the lab is selected by 'tag:nobody'."),
        ("metrics=cpuu", "demo", "No metric named 'cpuu'. Did you mean 'cpu'?"),
    ],
)
def test_a_mistake_fails_every_test_before_the_first(run: Callable[..., Run], options: str, lab: str, warning: str) -> None:
    done = run(_PLAIN, options, lab=lab)
    assert done.rc == len(done.tests) == 3
    for test in done.tests.values():
        assert test.message.startswith(f"OttoLibrary.Metrics: {warning}")
        assert not list(test.body)
    [told] = done.warnings
    assert told.startswith(f"OttoLibrary.Metrics: {warning}")
    # On the console too.
    assert f"[ ERROR ] {told}" in done.stderr


def test_a_host_where_nobody_listens_is_a_warning_and_the_others_are_shown(run: Callable[..., Run], tmp_path: Path) -> None:
    far = {"address": "127.0.0.1", "port": processes.free_port(), "user": "nobody"}
    (tmp_path / "far.json").write_text(json.dumps({"hosts": {"far": far, "here": {"transport": "local"}}}))
    suite = "*** Settings ***\nLibrary    longenough.py\n\n*** Test Cases ***\nLong\n    Last Until Read    here\n"
    done = run(suite, lab="far.json")
    assert done.rc == 0
    check_charts(done.tests["Long"], "here")
    assert "far" not in done.tests["Long"].metadata["cpu"]
    told = done.warnings
    assert any("'far': The host does not answer: Host 'far' cannot be reached" in sentence for sentence in told)
    assert all(sentence.startswith("Monitor, host 'far': ") for sentence in told), told
    assert all(f"[ WARN ] {sentence}" in done.stderr for sentence in told)


def test_a_host_that_says_nothing_does_not_hold_up_the_run(run: Callable[..., Run], tmp_path: Path, silent_port: int) -> None:
    silent = {"address": "127.0.0.1", "port": silent_port, "connect_timeout": "100 s"}
    (tmp_path / "silent.json").write_text(json.dumps({"hosts": {"silent": silent}}))
    began = time.monotonic()
    done = run(_PLAIN, lab="silent.json")
    assert time.monotonic() - began < 50
    assert done.rc == 1


def test_a_dry_run_opens_nothing_and_checks_no_limit(run: Callable[..., Run], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = {"address": "127.0.0.1", "port": server.getsockname()[1]}
        (tmp_path / "box.json").write_text(json.dumps({"hosts": {"dut1": host}}))
        suite = """*** Settings ***
Library     OttoLibrary    lab=box.json

*** Test Cases ***
With A Limit
    [Tags]    otto:limit=dut1 cpu max < 90
    Get Metric    dut1    cpu
"""
        done = run(suite, "interval=100ms", "--dryrun", lab="box.json")
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.accept()
    assert done.rc == 0, done.stdout
    assert done.warnings == []
    assert not (done.output.parent / "otto").exists()


# ---------------------------------------------------------------- keywords


def test_keywords_ask_and_mark_the_listeners_monitor(run: Callable[..., Run]) -> None:
    suite = """
Asks
    ${max}=    Get Metric    dut1    cpu    max    <=    100
    Should Be True    0 <= ${max} <= 100

Marks
    Mark Monitor Event    load & begins
    Get Metric    dut1    cpu

Stops It
    Stop Monitor

Still Runs
    Get Metric    dut1    cpu

After Another Lab
    Load Lab    demo

Is Asked Again
    Get Metric    dut1    cpu
"""
    done = run(_WITH_KEYWORDS + suite)
    failed = {name: test.message for name, test in done.tests.items() if not test.passed}
    assert failed == {
        "Stops It": "The monitor that runs was not started with 'Start Monitor' here; it stops when the run ends.",
    }
    [block] = shown(done.tests["Marks"])
    assert "load &amp; begins" in block
    with contextlib.closing(Recording(done.output.parent / "otto" / "metrics.db")) as recording:
        assert ("mark", "load & begins") in {(event.kind, event.text) for event in recording.events()}


def test_a_monitor_of_a_suite_joins_and_gives_back(run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "second.json").write_text(json.dumps({"hosts": {"here": {"transport": "local"}}}))
    suite = """*** Settings ***
Library     longenough.py
Library     OttoLibrary    lab=demo
Library     OttoLibrary    lab=second.json    AS    Second

*** Test Cases ***
Adds A Host And A Metric
    OttoLibrary.Start Monitor    dut1 OR dut2    metrics=memory    interval=100 ms    store=none
    Second.Start Monitor    metrics=cpu    interval=100 ms
    Last Until Read    dut1    here
    OttoLibrary.Get Metric    dut1    memory
    OttoLibrary.Get Metric    dut1    cpu
    OttoLibrary.Get Metric    dut2    memory
    Second.Get Metric    here    cpu    last    >=    0
    ${found}=    OttoLibrary.Stop Monitor
    Should Be Equal    ${{sorted($found)}}    ${{['dut1', 'dut2']}}

Has Given It Back
    Last Until Read    dut1
    OttoLibrary.Get Metric    dut1    cpu
    Run Keyword And Expect Error    Metric 'memory' of host 'dut2' has no reading of *    OttoLibrary.Get Metric    dut2    memory
    Run Keyword And Expect Error    No watched host is selected by 'dut2'. Watched: dut1.
    ...    OttoLibrary.Fail If Metric    dut2    memory    max    >    1
"""
    done = run(suite, "interval=500ms:hosts=dut1:metrics=cpu")
    assert {name: test.message for name, test in done.tests.items() if not test.passed} == {}
    assert done.warnings == []
    check_charts(done.tests["Adds A Host And A Metric"], "dut1", "dut2", "here")
    with contextlib.closing(Recording(done.output.parent / "otto" / "metrics.db")) as recording:
        assert recording.hosts() == ["dut1", "dut2", "here"]
        [session] = recording.sessions()
        assert session.lab["labs"].split(",")[0] == "demo"
        assert sorted(session.lab["hosts"]) == ["dut1", "dut2", "here"]


def test_the_listener_serves_a_live_page(run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(_ASKS_PAGE)
    suite = "*** Settings ***\nLibrary    asks.py\n\n*** Test Cases ***\nOne\n    Page Should Name    dut1    Suite.One\n"
    done = run(suite, "interval=100ms:hosts=dut1:metrics=load:dashboard=yes")
    assert done.tests["One"].passed, done.tests["One"].message
    assert re.search(r"Dashboard: http://127\.0\.0\.1:\d+/", done.stdout)
    done = run(suite, "interval=100ms:hosts=dut1:dashboard=maybe")
    assert "dashboard=maybe is neither 'yes' nor 'no'" in done.stdout + done.stderr


# ---------------------------------------------------------------- limits


def test_a_broken_limit_fails_its_test_at_the_end_and_only_that_one(run: Callable[..., Run]) -> None:
    suite = """
Broken Tag
    [Tags]    otto:limit=dut1 cpu max < 0
    Get Metric    dut1    cpu
    Log    the end

Kept Tag
    [Tags]    otto:limit=dut1 cpu max <= 100
    Get Metric    dut1    cpu

Wrong Tag
    [Tags]    otto:limit=dut1 cpu
    No Operation

Broken Keyword
    Fail If Metric    dut1    cpu    max    >=    0
    Get Metric    dut1    cpu
    Log    the end

Failed Before
    [Tags]    otto:limit=dut1 cpu max < 0
    Get Metric    dut1    cpu
    Fail    my own words

Skipped
    [Tags]    otto:limit=dut1 cpu max < 0
    Get Metric    dut1    cpu
    Skip    not today

No Limit Any More
    Get Metric    dut1    cpu
"""
    done = run(_WITH_KEYWORDS + suite, "interval=100ms:hosts=dut1")
    outcome = {name: test.message for name, test in done.tests.items() if test.failed}
    wrong_tag = (
        "The tag 'otto:limit=dut1 cpu' states no limit. Write otto:limit=HOSTS METRIC STATISTIC < VALUE, "
        "such as otto:limit=dut1 cpu max < 90."
    )
    expected = {
        "Broken Tag": _SENTENCE.format("must be < 0"),
        "Wrong Tag": re.escape(wrong_tag),
        "Broken Keyword": _SENTENCE.format("must not be >= 0"),
        "Failed Before": "my own words\n\n" + _SENTENCE.format("must be < 0"),
    }
    assert outcome.keys() == expected.keys()
    assert not {name: said for name, said in outcome.items() if not re.fullmatch(expected[name], said)}
    assert done.tests["Skipped"].skipped
    assert done.tests["Skipped"].message == "not today"
    for name in ("Broken Tag", "Broken Keyword"):
        assert [keyword.status for keyword in keywords(done.tests[name])][-1] == "PASS", "the test was not run to its end"


def test_tags_count_in_suites_without_the_library(run: Callable[..., Run]) -> None:
    suite = """*** Settings ***
Library     longenough.py

*** Test Cases ***
Broken
    [Tags]    otto:limit=dut1 cpu max < 0
    Last Until Read    dut1

Kept
    [Tags]    otto:limit=dut1 cpu max <= 100
    Last Until Read    dut1
"""
    done = run(suite, "interval=100ms:hosts=dut1")
    assert re.fullmatch(_SENTENCE.format("must be < 0"), done.tests["Broken"].message)
    assert done.tests["Kept"].passed
    assert done.rc == 1


def test_a_limit_that_nobody_watches_did_not_pass(run: Callable[..., Run]) -> None:
    suite = (
        "*** Test Cases ***\nLimited\n    [Tags]    otto:limit=dut1 cpu max < 90\n    No Operation\n\nOther\n    No Operation\n"
    )
    done = run(suite.replace("*** Test", "*** Settings ***\nLibrary    OttoLibrary    lab=demo\n*** Test", 1), None)
    said = "The tag 'otto:limit=dut1 cpu max < 90' states a limit, and no monitor is running."
    assert done.tests["Limited"].message == said
    assert done.tests["Other"].passed


_AT_ONCE = """
Own Keyword
    Fail If Metric    dut1    cpu    max    >=    0    at_once=yes
    Run On Host    dut1    sleep 90
    Log    never
    [Teardown]    Run Keywords    Log    one    AND    Log    two

Foreign Keyword
    Fail If Metric    dut1    cpu    max    >=    0    at_once=yes
    Sleep    3 s
    Log    never
    [Teardown]    Log    one

Ignored
    Fail If Metric    dut1    cpu    max    >=    0    at_once=yes
    Run Keyword And Ignore Error    Run On Host    dut1    sleep 90
    Log    never

The Next Is Free
    Run On Host    dut1    echo fine
    Get Metric    dut1    cpu
"""


def check_at_once(tests: dict[str, Any]) -> None:
    for name in ("Own Keyword", "Foreign Keyword", "Ignored"):
        assert re.fullmatch(_SENTENCE.format("must not be >= 0"), tests[name].message), tests[name].message
        assert [keyword.status for keyword in keywords(tests[name])] == ["PASS", "FAIL", "NOT RUN"], name
    for name in ("Own Keyword", "Ignored"):
        assert tests[name].elapsed_time.total_seconds() < 60
    # Sleep cannot be interrupted: it fails when it is over.
    assert keywords(tests["Foreign Keyword"])[1].elapsed_time.total_seconds() >= 3
    for name in ("Own Keyword", "Foreign Keyword"):
        assert tests[name].teardown.passed
    assert all(keyword.passed for keyword in tests["Own Keyword"].teardown.body)
    assert tests["The Next Is Free"].passed


def test_a_limit_that_is_broken_at_once_ends_the_test_and_not_its_teardown(run: Callable[..., Run]) -> None:
    done = run(_WITH_KEYWORDS + _AT_ONCE, "interval=100ms:hosts=dut1")
    check_at_once(done.tests)
    assert done.rc == 3


def test_the_library_that_sets_a_limit_ends_its_test_also_when_another_was_imported_since(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "more.json").write_text(json.dumps({"hosts": {"more": {"transport": "local"}}}))
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "1.robot").write_text(_WITH_KEYWORDS + "One\n    Get Metric    dut1    cpu\n")
    other = _WITH_KEYWORDS.replace("lab=demo", "lab=demo,../more.json")
    (suites / "2.robot").write_text(other + "Two\n    Get Metric    dut1    cpu\n")
    (suites / "3.robot").write_text(_WITH_KEYWORDS + _AT_ONCE)
    done = run("*** Test Cases ***\nAlone\n    No Operation\n", "interval=100ms:hosts=dut1", "suites")
    assert done.tests["One"].passed
    assert done.tests["Two"].passed, done.tests["Two"].message
    check_at_once(done.tests)


def test_a_reading_that_is_no_number_does_not_let_a_limit_pass_nor_leave_the_monitor_running(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    odd = {"transport": "local", "metrics": {"odd": {"command": "echo nan"}}}
    (tmp_path / "odd.json").write_text(json.dumps({"hosts": {"here": odd}}))
    suite = """*** Settings ***
Library     OttoLibrary    lab=odd.json

*** Test Cases ***
Limited
    [Tags]    otto:limit=here odd max < 5
    Start Monitor    here    interval=100 ms    metrics=cpu,odd
    Get Metric    here    cpu

Next
    Start Monitor    here    interval=100 ms    metrics=cpu
    Get Metric    here    cpu
"""
    done = run(suite, None)
    assert done.tests["Limited"].failed
    assert done.tests["Next"].passed, done.tests["Next"].message


# ---------------------------------------------------------------- many processes, and ends


def test_under_pabot_every_process_records_and_the_merged_log_has_all(robot: Callable[..., Started], tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    suites.mkdir()
    test = (
        "*** Settings ***\nLibrary    ../longenough.py\n\n*** Test Cases ***\n{}\n    Last Until Read    local    dut1\n    {}\n"
    )
    (suites / "a.robot").write_text(test.format("First", "No Operation"))
    (suites / "b.robot").write_text(test.format("Second", "Fail    my own words"))
    python = ("--command", sys.executable, "-m", "robot", "--end-command", "--no-pabotlib", "--processes", "2")
    options = ("--variable", "LAB:demo", "--listener", "OttoLibrary.Metrics:interval=200ms:hosts=local OR dut1", "suites")
    with robot(*options, runner=("pabot.pabot", *python)) as process:
        stdout, stderr = process.communicate(timeout=_TOO_LONG_S)
    quiet(stdout + stderr)
    done = Run(process.returncode, stdout, stderr, tmp_path / "results" / "output.xml")
    assert done.rc == 1, stdout
    assert done.tests["Second"].message == "my own words"
    for name in ("First", "Second"):
        check_charts(done.tests[name], "local", "dut1")
    recordings = sorted((tmp_path / "results" / "pabot_results").glob("*/otto/metrics.db"))
    assert len(recordings) == 2
    for path in recordings:
        with contextlib.closing(Recording(path)) as recording:
            assert recording.hosts() == ["dut1", "local"]
    assert not done.warnings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_the_monitor_stays_however_the_run_ends(
    robot: Callable[..., Started], sshd: Sshd, keys: Keys, tmp_path: Path, number: signal.Signals
) -> None:
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    (tmp_path / "box.json").write_text(json.dumps({"hosts": {"box": host}}))
    (tmp_path / "suite.robot").write_text("*** Test Cases ***\nEndless\n    Sleep    300 s\n")
    recorded = tmp_path / "results" / "otto" / "metrics.db"
    options = ("--listener", "OttoLibrary.Metrics:interval=100ms:lab=demo,box.json", "suite.robot")

    def read() -> set[str]:
        try:
            with contextlib.closing(Recording(recorded)) as recording:
                return set(recording.hosts())
        except UsageError:  # it is only just being made
            return set()

    def of_the_run() -> list[int]:
        return processes.marked(f"TMPDIR={tmp_path / 'temporary'}")

    with robot(*options) as process:
        wanted = {"box", "dut1", "dut2", "dut3", "gateway", "local"}
        processes.wait_until(lambda: wanted <= read(), "all hosts are read", 60)
        watching = [pid for session in sshd.sessions() for pid in (session, *processes.descendants(session))]
        assert len(of_the_run()) > 1, "the demo lab runs no loop"
        assert any("otto_wanted" in command_line(pid) for pid in watching), "the server runs no loop"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    quiet(stdout + stderr)
    processes.wait_until(lambda: not of_the_run(), "the loops of the demo lab end")
    processes.wait_until(lambda: not any("otto_wanted" in command_line(pid) for pid in watching), "the loop ends")
    assert wanted <= read()
    with contextlib.closing(Recording(recorded)) as recording:
        [session] = recording.sessions()
        assert len(recording.read("box", "cpu_percent")[0]) > 0
    assert (session.ended is None) == (number == signal.SIGKILL)
    if number != signal.SIGKILL:
        [test] = ExecutionResult(tmp_path / "results" / "output.xml").suite.tests
        assert test.message == "Execution terminated by signal"


def command_line(pid: int) -> str:
    """Return what a process was started with; nothing for one that is gone or only waits to be collected."""
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace")
    return ""


# ---------------------------------------------------------------- neighbours


def test_allure_datadriver_and_the_dashboard_work_beside_it(run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("*** Test Cases ***,${host}\nWatch This Machine,local\nWatch A Dut,dut1\n")
    suite = """*** Settings ***
Library             DataDriver    file=cases.csv    dialect=unix
Library             longenough.py
Test Template       Watch

*** Test Cases ***
Watch ${host}

*** Keywords ***
Watch
    [Arguments]    ${host}
    Last Until Read    ${host}
    Log    seen ${host}
"""
    allure = tmp_path / "allure"
    options = ("--listener", f"allure_robotframework:{allure}")
    done = run(suite, "interval=100ms:hosts=local OR dut1", *options)
    assert done.rc == 0, done.stdout
    assert set(done.tests) == {"Watch This Machine", "Watch A Dut"}
    check_charts(done.tests["Watch This Machine"], "local")
    check_charts(done.tests["Watch A Dut"], "dut1")
    results = [json.loads(path.read_text()) for path in allure.glob("*-result.json")]
    assert {result["name"]: result["status"] for result in results} == dict.fromkeys(done.tests, "passed")
    kept = [path.read_text() for path in allure.iterdir() if path.name != "suite.robot"]
    assert sum("seen dut1" in text for text in kept) > 0
    assert sum("<svg" in text for text in kept) >= 2, "Allure did not get the charts"
    check_dashboard(tmp_path, set(done.tests))


def check_dashboard(folder: Path, tests: set[str]) -> None:
    """Let the dashboard read what a run left, and check that it knows its tests."""
    command = [str(Path(sys.executable).with_name("robotdashboard")), "-o", "results/output.xml", "-d", "runs.db"]
    made = subprocess.run(
        [*command, "-n", "dashboard.html"], cwd=folder, capture_output=True, text=True, timeout=_TOO_LONG_S, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    quiet(made.stdout + made.stderr)
    assert (folder / "dashboard.html").exists()
    with contextlib.closing(sqlite3.connect(folder / "runs.db")) as database:
        rows = database.execute("SELECT name, passed FROM tests").fetchall()
    assert {name: int(passed) for name, passed in rows} == dict.fromkeys(tests, 1)

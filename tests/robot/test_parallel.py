"""``python -m OttoLibrary pabot``: whatever dies, the report has every test, nothing stays, and hosts are free."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest
from robot import run_cli
from robot.api import ExecutionResult

from OttoLibrary.parallel.lost_results import fail_tests
from OttoLibrary.parallel.pabot import with_our_ways
from OttoLibrary.parallel.warm_process import STUB
from OttoLibrary.reservation.backends.file import FileReservations
from tests.peers import processes

ROOT = Path(__file__).parents[2]
_TOO_LONG_S = 120
_PABOT = "OttoLibrary.parallel.pabot"
_KILLED = "The process that ran this suite was ended by signal 9 (KILL)."
# Notes who has which host, and lets it stay until it may go.
_DIARY = """
import os, time
from pathlib import Path

_FOLDER = Path(os.environ["DIARY"])

def note(what, *words):
    with (_FOLDER / "diary").open("a") as diary:
        diary.write(" ".join([what, str(os.getpid()), str(time.monotonic()), *words]) + "\\n")

def stay(until="go"):
    end = time.monotonic() + 60
    while not (_FOLDER / until).exists():
        if time.monotonic() > end:
            raise AssertionError(f"Nobody said {until}.")
        time.sleep(0.02)

def stay_when_slow():
    if (_FOLDER / "slow").exists():
        stay("never")

def go():
    (_FOLDER / "go").touch()
"""
_HOLDS = """*** Settings ***
Library     OttoLibrary    lab=demo
Library     diary.py

*** Test Cases ***
First {name}
    No Operation

Holds {name}
    ${{hosts}}=    Reserve Hosts    tag:dut    count=1    wait=1 min    lease={lease}
    Start On Host    local    sleep 300
    Note    has    {name}    ${{hosts}}[0]
    Stay
    Note    had    {name}    ${{hosts}}[0]
    [Teardown]    Tear    {name}

Last {name}
    No Operation

*** Keywords ***
Tear
    [Arguments]    ${{name}}
    Note    tears    ${{name}}
    Stay When Slow
    Note    torn    ${{name}}
"""

Started: TypeAlias = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


class Place:
    """Where the tests of this file run pabot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "diary.py").write_text(_DIARY)
        (folder / "temporary").mkdir()
        self.leases = FileReservations(str(folder / "leases"))
        # The mark of everything that is started here.
        self.mark = f"TMPDIR={folder / 'temporary'}"

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def write_holders(self, *names: str, lease: str = "1 min") -> None:
        for name in names:
            self.write(f"suites/{name}.robot", _HOLDS.format(name=name, lease=lease))

    def notes(self, what: str) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return [line for line in (self.folder / "diary").read_text().splitlines() if line.startswith(f"{what} ")]
        return []

    def holders(self, count: int) -> list[Holder]:
        """Wait until so many robots have a host, and return them."""
        processes.wait_until(lambda: len(self.notes("has")) >= count, f"{count} who have a host", 60)
        (self.folder / "two_have").touch()
        noted = (line.split() for line in self.notes("has"))
        return [Holder(int(process), suite, host, float(since)) for _, process, since, suite, host in noted]

    def go(self) -> None:
        """Let all go that stay."""
        (self.folder / "go").touch()

    def wait_for_free(self, host: str) -> None:
        """Wait until a host is free, at most as long as it may take."""
        processes.wait_until(lambda: not self.leases.who_reserved(f"demo/{host}"), f"{host}, free")

    def times(self, host: str) -> list[tuple[float, float]]:
        """Return from when to when a host was somebody's."""
        ends = {line.split()[1]: float(line.split()[2]) for line in self.notes("had")}
        return [(holder.since, ends[str(holder.process)]) for holder in self.holders(0) if holder.host == host]

    def messages(self, status: str) -> dict[str, str]:
        """Return the messages of the tests that ended so, by name."""
        return {name: test.message for name, test in self.tests.items() if test.status == status}

    @property
    def tests(self) -> dict[str, Any]:
        return {test.name: test for test in self.result.suite.all_tests}

    @property
    def result(self) -> Any:
        return ExecutionResult(self.folder / "results" / "output.xml")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    processes.wait_until(lambda: not processes.marked(made.mark), "the end of all that was started")
    assert not list((tmp_path / "temporary").iterdir())


@pytest.fixture(params=[(), ("--no-warm",)], ids=["warm", "cold"])
def pabot(place: Place, request: pytest.FixtureRequest) -> Started:
    """Start it in a folder of its own: ``with pabot("--processes", "2", "suites") as process``."""

    @contextlib.contextmanager
    def start(*arguments: str, results: str = "results", **variables: str) -> Iterator[subprocess.Popen[str]]:
        paths = [str(place.folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTTO_LAB", "ROBOT_"))}
        environment |= {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TMPDIR": str(place.folder / "temporary"),
            "DIARY": str(place.folder),
            "OTTO_LEASES": str(place.folder / "leases"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "OttoLibrary", "pabot", *request.param, "--outputdir", results, *arguments],
            cwd=place.folder,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                processes.tell(processes.marked(place.mark), signal.SIGKILL)
            process.communicate(timeout=_TOO_LONG_S)

    return start


def said_by(process: subprocess.Popen[str], code: int) -> str:
    said, _ = process.communicate(timeout=_TOO_LONG_S)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


@dataclass(frozen=True)
class Holder:
    """A robot that has a host."""

    process: int
    suite: str
    host: str
    since: float

    @property
    def attendant(self) -> int:
        """The process that looks after it."""
        return psutil.Process(self.process).ppid()


# -- what dies


def test_the_tests_of_a_robot_that_is_killed_are_failed_in_the_report(place: Place, pabot: Started) -> None:
    place.write_holders("one", "two")
    with pabot("--processes", "2", "suites") as process:
        victim = place.holders(2)[0]
        os.kill(victim.process, signal.SIGKILL)
        place.wait_for_free(victim.host)
        place.go()
        said = said_by(process, 3)
    assert "6 tests, 3 passed, 3 failed" in said
    names = [f"{word} {victim.suite}" for word in ("First", "Holds", "Last")]
    assert place.messages("FAIL") == dict.fromkeys(names, _KILLED)
    assert [message.message for message in place.result.errors] == [f"Suites.{victim.suite.title()}: {_KILLED}"]
    for page in ("log.html", "report.html"):
        assert "ended by signal 9 (KILL)" in (place.folder / "results" / page).read_text()


def test_a_robot_whose_attendant_is_killed_ends_with_its_teardown(place: Place, pabot: Started) -> None:
    place.write_holders("one", "two")
    with pabot("--processes", "2", "suites") as process:
        victim = place.holders(2)[0]
        os.kill(victim.attendant, signal.SIGKILL)
        place.wait_for_free(victim.host)
        place.go()
        said_by(process, 2)
    assert victim.suite in " ".join(place.notes("torn"))
    assert place.messages("FAIL")[f"Holds {victim.suite}"] == "Execution terminated by signal"


def test_even_when_both_are_killed_the_report_has_every_test(place: Place, pabot: Started) -> None:
    place.write_holders("one", "two")
    with pabot("--processes", "2", "suites") as process:
        victim = place.holders(2)[0]
        processes.tell([victim.attendant], signal.SIGSTOP)
        processes.tell([victim.process, victim.attendant], signal.SIGKILL)
        place.wait_for_free(victim.host)
        place.go()
        assert "6 tests, 3 passed, 3 failed" in said_by(process, 3)
    reason = "The process that ran this suite was killed, and so was the one that supervised it."
    assert set(place.messages("FAIL").values()) == {reason}
    assert "so was the one that supervised it" in (place.folder / "results" / "log.html").read_text()


def test_a_robot_that_stands_still_loses_its_host_and_its_test_says_so(place: Place, pabot: Started) -> None:
    place.write_holders("one", lease="1 s")
    with pabot("suites") as process:
        (victim,) = place.holders(1)
        os.kill(victim.process, signal.SIGSTOP)
        place.wait_for_free(victim.host)
        os.kill(victim.process, signal.SIGCONT)
        place.go()
        said_by(process, 1)
    assert "was lost: it was not renewed for 1 seconds" in place.messages("FAIL")["Holds one"]


_WRITES_AND_DIES = """*** Test Cases ***
Is Written
    FOR    ${i}    IN RANGE    300
        Log    line ${i}
    END

Dies
    Log    the last words
    FOR    ${i}    IN RANGE    300
        Log    line ${i}
    END
    Evaluate    os.kill(os.getpid(), signal.SIGKILL)    modules=os, signal

Never Begins
    No Operation
"""


def test_what_a_robot_had_written_is_in_the_report(place: Place, pabot: Started) -> None:
    place.write("suites/one.robot", _WRITES_AND_DIES)
    with pabot("suites") as process:
        said_by(process, 2)
    assert list(place.tests) == ["Is Written", "Dies", "Never Begins"]
    assert place.messages("PASS") == {"Is Written": ""}
    assert place.messages("FAIL") == dict.fromkeys(["Dies", "Never Begins"], _KILLED)
    assert place.tests["Dies"].body[0].args == ("the last words",)


def test_a_robot_that_ends_without_an_output_says_where_to_look(place: Place, pabot: Started) -> None:
    place.write("suites/one.robot", "*** Test Cases ***\nOne\n    No Operation\n")
    with pabot("--command", sys.executable, "-c", "__import__('sys').exit('broken')", "--end-command", "suites") as process:
        said_by(process, 1)
    message = place.messages("FAIL")["One"]
    assert message.startswith(
        "The process that ran this suite ended with exit status 1 and left no whole output. The reason may be in"
    )
    assert (place.folder / message.split()[-1].rstrip(".")).read_text().startswith("broken\n")


_DEAF = """
import signal, subprocess, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "300"], start_new_session=True)
Path("deaf").touch()
time.sleep(300)
"""
_IMPATIENT = "import sys; from OttoLibrary.parallel import suite_process as ours; ours.GRACE_S = 0.5; sys.exit(ours.main())"


def test_a_robot_that_does_not_end_is_killed_with_all_that_it_started(place: Place) -> None:
    place.write("one.robot", "*** Test Cases ***\nOne\n    No Operation\n")
    place.write("results/robot_argfile.txt", "--outputdir results\none.robot\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(place.folder / "temporary")}
    command = [sys.executable, "-c", _IMPATIENT, sys.executable, "-c", _DEAF, "-A", "results/robot_argfile.txt"]
    with subprocess.Popen(command, cwd=place.folder, env=environment) as process:
        processes.wait_until((place.folder / "deaf").exists, "a robot that does not end")
        process.send_signal(signal.SIGTERM)
        assert process.wait(_TOO_LONG_S) == 1
    reason = "The process that ran this suite did not end in 0.5 seconds and was killed: it got SIGTERM."
    assert place.messages("FAIL") == {"One": reason}


# -- which tests are missing


_TAGGED = """*** Settings ***
Suite Setup     Die When Told

*** Test Cases ***
Wanted {name}
    [Tags]    wanted
    No Operation

Unwanted {name}
    No Operation

Wanted With ${{2}} Things {name}
    [Tags]    wanted
    No Operation

*** Keywords ***
Die When Told
    IF    "%{{DIES=}}" == "{name}"
        Evaluate    os.kill(os.getpid(), signal.SIGKILL)    modules=os, signal
    END
"""


@pytest.mark.parametrize(
    "options",
    [
        ["--include", "wanted", "--randomize", "all"],
        ["--testlevelsplit", "--exclude", "wanted"],
        ["--test", "Wanted *", "--name", "Other", "--chunk", "--processes", "2"],
        ["--prerunmodifier", "OttoLibrary.EachHost:dut1 OR dut2:lab=demo", "--suite", "one on dut1", "--suite", "two on dut2"],
        ["--argumentfile1", "first.args", "--argumentfile2", "second.args"],
    ],
    ids=["include", "testlevelsplit", "chunk", "EachHost", "argumentfiles"],
)
def test_just_the_tests_that_were_selected_are_there(place: Place, pabot: Started, options: list[str]) -> None:
    for name in ("one", "two"):
        place.write(f"suites/{name}.robot", _TAGGED.format(name=name))
    place.write("first.args", "--name First\n--include wanted\n")
    place.write("second.args", "--name Second\n--exclude wanted\n")
    with pabot(*options, "suites") as process:
        said_by(process, 0)
    all_of_them = Counter(test.full_name for test in place.result.suite.all_tests)
    with pabot(*options, "suites", DIES="one") as process:
        process.communicate(timeout=_TOO_LONG_S)
    found = list(place.result.suite.all_tests)
    assert Counter(test.full_name for test in found) == all_of_them
    assert {test.status for test in found if test.name.endswith("one")} == {"FAIL"}
    assert {test.status for test in found if test.name.endswith("two")} == {"PASS"}
    assert process.returncode == len([test for test in found if test.failed])


def test_an_output_that_is_cut_anywhere_is_mended(tmp_path: Path) -> None:
    (tmp_path / "suite.robot").write_text(_RICH)
    options = [
        "--outputdir",
        str(tmp_path),
        "--console",
        "none",
        "--log",
        "NONE",
        "--report",
        "NONE",
        str(tmp_path / "suite.robot"),
    ]
    run_cli(options, exit=False)
    written = (tmp_path / "output.xml").read_bytes()
    tests = [test.name for test in ExecutionResult(tmp_path / "output.xml").suite.all_tests]
    for length in range(0, len(written) - 10, len(written) // 40):
        (tmp_path / "output.xml").write_bytes(written[:length])
        failed = fail_tests(options, tmp_path, "It died.")
        result = ExecutionResult(tmp_path / "output.xml")
        assert sorted(test.name for test in result.suite.all_tests) == sorted(tests), length
        assert failed == result.suite.statistics.failed
        assert {test.message for test in result.suite.all_tests if test.failed} <= {"It died.", f"{_TORN}It died."}
        assert result.suite.start_time
        assert failed
    assert failed == len(tests)


_TORN = "Parent suite teardown failed:\n"
_RICH = """*** Settings ***
Suite Setup       Log    set up
Suite Teardown    Log    torn down

*** Test Cases ***
Loops
    FOR    ${i}    IN RANGE    3
        IF    ${i} == 1    Log    <one & two>    ELSE    Log    ü ${i}
    END
    WHILE    True    limit=3    on_limit=pass
        Log    again
    END

Handles
    [Tags]    some    tags
    [Documentation]    What it is for.
    TRY
        Fail    expected
    EXCEPT    expected
        VAR    ${x}    1
    END

Groups
    GROUP    named
        Log    inside    level=WARN
    END
    [Teardown]    Log    done
"""


# -- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_suites_with_their_teardowns_and_begins_no_other(
    place: Place, pabot: Started, number: signal.Signals
) -> None:
    place.write_holders("one", "two", "three")
    with pabot("--processes", "2", "suites") as process:
        still, running = place.holders(2)
        # One that stands still is woken.
        processes.tell([still.attendant, still.process], signal.SIGSTOP)
        process.send_signal(number)
        said = said_by(process, 253)
    assert f"Stopped by {number.name}" in said
    torn = " ".join(place.notes("torn"))
    assert still.suite in torn
    assert running.suite in torn
    messages = place.messages("FAIL")
    assert messages[f"Holds {running.suite}"] == "Execution terminated by signal"
    (third,) = {"one", "two", "three"} - {still.suite, running.suite}
    assert messages[f"First {third}"] == f"This test was not run: the run was stopped by {number.name}."
    assert len(place.tests) == 9
    assert not place.leases.holdings()


def test_a_second_signal_ends_all_at_once(place: Place, pabot: Started) -> None:
    place.write_holders("one", "two")
    (place.folder / "slow").touch()
    with pabot("--processes", "2", "suites") as process:
        place.holders(2)
        process.send_signal(signal.SIGINT)
        processes.wait_until(lambda: place.notes("tears"), "a teardown that runs")
        process.send_signal(signal.SIGINT)
        assert "ended immediately" in said_by(process, 253)
    assert not place.notes("torn")
    assert not place.leases.holdings()


def test_nothing_outlives_the_wrapper(place: Place, pabot: Started) -> None:
    place.write_holders("one", "two")
    with pabot("--processes", "2", "suites") as process:
        holders = place.holders(2)
        (runner,) = [child for child in processes.children(process.pid) if _PABOT in psutil.Process(child).cmdline()]
        # Not even when nobody is left to tell.
        processes.tell([runner], signal.SIGSTOP)
        processes.tell([process.pid, runner], signal.SIGKILL)
        for holder in holders:
            place.wait_for_free(holder.host)
    torn = " ".join(place.notes("torn"))
    assert all(holder.suite in torn for holder in holders)


def test_what_a_suite_left_running_on_purpose_is_left_alone(place: Place, pabot: Started) -> None:
    place.write("suites/one.robot", _LEAVES_A_DAEMON)
    with pabot("suites") as process:
        said_by(process, 0)
    left = processes.marked(place.mark)
    processes.tell(left, signal.SIGKILL)
    assert len(left) == 1


_LEAVES_A_DAEMON = """*** Settings ***
Library     Process

*** Test Cases ***
Leaves A Daemon
    Run Process    setsid sleep 300 </dev/null >/dev/null 2>&1 &    shell=yes
"""


# -- two runs, and reservations


def test_two_runs_at_once_never_have_one_host_twice(place: Place, pabot: Started) -> None:
    place.go()
    place.write_holders("one", "two", "three", "four")
    with pabot("--processes", "4", "suites") as one, pabot("--processes", "4", "suites", results="others") as other:
        said_by(one, 0)
        said_by(other, 0)
    had = Counter(note.split()[4] for note in place.notes("has"))
    assert sum(had.values()) == 8
    for host in had:
        times = sorted(place.times(host))
        assert all(before[1] <= after[0] for before, after in pairwise(times)), times


def test_hosts_are_reserved_in_pabotlib(place: Place, pabot: Started) -> None:
    sets = "".join(f"[set of {host}]\ntags={host},dut\naddress={host}.example\n\n" for host in ("dut1", "dut2", "dut3"))
    place.write("resources.dat", sets)
    place.write_holders("one", "two")
    place.write("suites/three.robot", _WITH_PABOTLIB)
    options = ["--processes", "3", "--resourcefile", "resources.dat", "suites"]
    with pabot(*options, OTTO_RESERVATION_BACKEND="pabot") as process:
        victim, other = place.holders(2)
        processes.wait_until(lambda: place.notes("none_left"), "three who have a host each", 60)
        os.kill(victim.process, signal.SIGKILL)
        place.write("killed", victim.host)
        said = said_by(process, 3)
    assert place.messages("PASS")["Takes The Third Host And Then That Of The Dead"] == "", said
    value_set = place.notes("set")[0].split()[3]
    assert value_set not in {f"{victim.host}.example", f"{other.host}.example"}


_WITH_PABOTLIB = """*** Settings ***
Library     OttoLibrary    lab=demo
Library     pabot.PabotLib
Library     diary.py

*** Test Cases ***
Takes The Third Host And Then That Of The Dead
    Stay    two_have
    Acquire Value Set    dut
    ${address}=    Get Value From Set    address
    Note    set    ${address}
    Run Keyword And Expect Error    *did not become free. Who has what: *    Reserve Hosts    tag:dut    count=1
    Note    none_left
    Stay    killed
    ${host}=    Evaluate    open(os.path.join(os.environ["DIARY"], "killed")).read()    modules=os
    Reserve Hosts    ${host}    wait=30 s
    Release Hosts
    Release Value Set
    [Teardown]    Go
"""


def test_without_pabotlib_reservations_in_it_say_what_to_do(place: Place, pabot: Started) -> None:
    place.write_holders("one")
    with pabot("--no-pabotlib", "suites", OTTO_RESERVATION_BACKEND="pabot") as process:
        said_by(process, 1)
    message = place.messages("FAIL")["Holds one"]
    assert message.startswith("PabotLib at '127.0.0.1:")
    assert "Pabot starts it with the run, unless '--no-pabotlib' says otherwise." in message


# -- the command line


def test_arguments_are_pabot_s() -> None:
    ours = [sys.executable, "-m", "OttoLibrary.parallel.suite_process"]
    robot = ["--command", *ours, sys.executable, "-m", "robot", "--end-command"]
    assert with_our_ways(["a"]) == ["--pabotlibport", "0", *robot, "a"]
    assert with_our_ways(["--no-pabotlib", "a"]) == [*robot, "--no-pabotlib", "a"]
    assert with_our_ways(["--pabotlibport", "9", "a"]) == [*robot, "--pabotlibport", "9", "a"]
    own = ["--command", "my", "robot", "--end-command", "--no-pabotlib", "a"]
    assert with_our_ways(own) == ["--command", *ours, *own[1:]]
    stub = ["--command", sys.executable, "-I", "-S", str(STUB), sys.executable, "-m", "robot", "--end-command"]
    assert with_our_ways(["a"], warm=True) == ["--pabotlibport", "0", *stub, "a"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--help"], 251, "--testlevelsplit"),
        (["--no-such-option", "suites"], 252, "nosuchoption"),
        (["no_such_suite"], 252, "no_such_suite"),
        ([], 252, "No datasources given"),
    ],
    ids=["help", "option", "suite", "nothing"],
)
def test_what_pabot_says_and_returns_is_handed_on(
    place: Place, pabot: Started, arguments: list[str], code: int, sentence: str
) -> None:
    with pabot(*arguments) as process:
        said, _ = process.communicate(timeout=_TOO_LONG_S)
    assert process.returncode == code
    assert sentence in said


def test_without_pabot_it_says_how_to_install_it(tmp_path: Path) -> None:
    program = """
import sys
from importlib.machinery import PathFinder
class WithoutPabot(PathFinder):
    @classmethod
    def find_spec(cls, name, *arguments):
        return None if name == "pabot" else super().find_spec(name, *arguments)
sys.meta_path = [WithoutPabot if finder is PathFinder else finder for finder in sys.meta_path]
from OttoLibrary.cli.main import main
sys.exit(main(["pabot", "suites"]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("-m pip install 'robotframework-ottolibrary[pabot]'\n")

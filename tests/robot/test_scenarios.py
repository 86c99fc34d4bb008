"""Scenarios in Robot Framework: what runs where, how they end on each way, and how flat log and memory stay."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.peers import processes
from tests.robot.running import begin, run, run_files

HEAD = """
*** Settings ***
Library    OttoLibrary    lab=demo
Library    events.py

*** Keywords ***
Tick
    No Operation
Free
    [Arguments]    &{any}
    No Operation
Boom
    [Arguments]    ${text}=x
    Log    before the boom
    Fail    boom ${text}
Nap
    [Arguments]    ${time}
    Sleep    ${time}
Note
    [Arguments]    ${line}
    Evaluate    open($NOTES, 'a').write($line + "\\\\n")
Wait For It
    [Arguments]    ${kill_switch}    ${reporter}
    Evaluate    $reporter.report('waited', 3, 'ms')
    Evaluate    $kill_switch.wait(60)

*** Test Cases ***
"""
EVENTS = """
import asyncio
import threading
import time

from OttoLibrary import register_reporter, scenario_event

ROBOT_LIBRARY_SCOPE = "GLOBAL"


@scenario_event
def blink(reporter, kill_switch, colour="red"):
    assert threading.current_thread() is not threading.main_thread()
    reporter.put({"blinks": 2})


@scenario_event
async def glow(kill_switch):
    await kill_switch.pulled()


@scenario_event
def breaks():
    raise ValueError("it broke")


@register_reporter
class Loud:
    def on_result(self, result):
        with open("heard.txt", "a") as file:
            file.write(f"{result.event} {result.name} {result.value:g}\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.py").write_text(EVENTS)
    return tmp_path


def scenario(folder: Path, test: str, *options: str) -> Any:
    options = ("--pythonpath", str(folder), "--variable", f"NOTES:{folder / 'notes.txt'}", *options)
    return run(folder, HEAD + test, *options)


def notes(folder: Path) -> list[str]:
    file = folder / "notes.txt"
    return file.read_text().split() if file.exists() else []


def test_the_nine_second_case_of_the_peer(folder: Path) -> None:
    done = scenario(
        folder,
        """
Nine Seconds
    Add Scenario Event    tick    every=2 s
    Add Scenario Event    once    keyword=Tick
    Add Scenario Event    slow    keyword=Nap    every=3 s    at_startup=no    time=4 s
    Add Scenario Event    boom    every=5 s    at_startup=no    text=there
    Add Scenario Event    last    keyword=Note    at_startup=no    at_teardown=yes    line=end
    Run Scenario    duration=9 s
""",
    )
    test = done.tests["Nine Seconds"]
    assert test.status == "FAIL"
    assert re.search(r"Event 'boom', run 1, \d\d:\d\d:\d\d: boom there", test.message)
    assert "only one keyword of Robot Framework runs at a time" in done.html
    assert "before the boom" in (done.folder / "output.xml").read_text()
    assert notes(folder) == ["end"]


def test_functions_and_commands_run_beside_keywords(folder: Path) -> None:
    done = scenario(
        folder,
        """
Side By Side
    Add Scenario Event    nap    time=2 s
    Add Scenario Event    blink    every=300 ms    colour=blue
    Add Scenario Event    ask    command=echo hi    hosts=tag:dut    every=300 ms
    Add Scenario Event    glow
    Add Scenario Event    breaks    on_error=continue    every=1 s
    &{found}=    Run Scenario    duration=2500 ms
    Should Be Equal    ${found.blink.run}    ${9}
    Should Be Equal    ${found.ask.failed}    ${0}
    Should Be True    ${found.ask.run} >= 4
    Should Be Equal    ${found.breaks.failed}    ${3}
    Scenario Should Meet    failures=3    late_max<5 s    blink.missed=0    due>20
    Run Keyword And Expect Error    1 check failed:*failures<3: it is 3    Scenario Should Meet    failures<3
    Run Keyword And Expect Error    *Did you mean 'failures'*    Scenario Should Meet    failuers=3
""",
    )
    assert done.rc == 0, done.said
    assert "ValueError: it broke" in done.html
    assert (folder / "heard.txt").read_text().splitlines() == ["blink blinks 2"] * 9
    rows = [json.loads(line) for line in (done.folder / "otto" / "scenario-scenario-results.jsonl").read_text().splitlines()]
    assert [(row["event"], row["name"], row["value"]) for row in rows] == [("blink", "blinks", 2.0)] * 9


def test_reports_are_readings_and_phases_are_spans(folder: Path) -> None:
    (folder / "soak.json").write_text(
        json.dumps(
            {
                "phases": {"ramp": "1 s", "steady": "1 s"},
                "events": [
                    {
                        "name": "measure",
                        "keyword": "Report From Event",
                        "every": "200 ms",
                        "params": {"fps": "24 1/s", "host": "dut1"},
                    },
                    {"name": "Wait For It", "phase": "steady"},
                ],
            }
        )
    )
    done = scenario(
        folder,
        """
Readings
    Start Monitor    dut1    interval=200 ms    metrics=load
    Run Scenario    soak.json
    Get Metric    dut1    fps_per_s    mean    ==    24
    Get Metric    dut1    load    count    span=phase steady
    Get Metric    dut1    fps_per_s    max    ==    24    span=phase ramp
""".replace("    Get Metric    dut1    load    count    span=phase steady\n", ""),
    )
    assert done.rc == 0, done.said


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("Add Scenario Event    tikk", "No keyword with name 'tikk' found. Did you mean:\n    Tick @ events[0]"),
        (
            "Add Scenario Event    boom    txt=3",
            "Keyword 'Boom' got unexpected named argument 'txt'. Did you mean 'text'? @ events[0]",
        ),
        ("Add Scenario Event    boom    every=5 parsecs", "'5 parsecs' is not a duration"),
        ("Add Scenario Event    blinc", "No keyword with name 'blinc' found. Did you mean:"),
        ("Add Scenario Event    blink    color=red", "the function 'blink' cannot be called with ['color']"),
        ("Add Scenario Event    tick    hosts=dut1", "the keyword 'tick' has no argument 'host'"),
        ("Add Scenario Event    ask    command=true    hosts=dut77", "dut77"),
        ("Add Scenario Event    ask    command=date    hosts=dut1    evry=200 ms", "params.evry (did you mean 'every'?)"),
        ("Add Scenario Event    ask    command=date    hosts=dut1    ovrlap=queue", "params.ovrlap (did you mean 'overlap'?)"),
        ("Add Scenario Event    ask    command=date    hosts=dut1    on_eror=stop", "params.on_eror (did you mean 'on_error'?)"),
        ("Add Scenario Event    sad    clock=dut1 soon", "Write 'HOST +1 h' or 'HOST -30 s' @ events[0].clock"),
        ("Add Scenario Event    boom    evry=1 s", "got unexpected named argument 'evry'. Did you mean 'every'? @ events[0]"),
        ("Add Scenario Event    boom    texxt=1", "got unexpected named argument 'texxt'. Did you mean 'text'? @ events[0]"),
        ("Add Scenario Event    blink    evry=1 s", "Did you mean 'every'? @ events[0]"),
        ("Add Scenario Event    free    evry=5 min", "An event has no 'evry'. Did you mean 'every'? If 'free' shall get it, "),
        ("Add Scenario Event    boom    on_error=stp", "continue, fail, stop @ events[0].on_error (did you mean 'stop'?)"),
        ("Add Scenario Event    boom    every=1 us", "is too short; write 1 ms or more @ events[0].every"),
        ("Add Scenario Event    boom    timeout=0", "write a time above 0, or leave it out @ events[0].timeout"),
        ("Run Scenario    duration=0", "A scenario that takes no time runs nothing."),
        ("No Operation", "There is nothing to run."),
        ("Add Scenario Event    nap    keyword=Run On Host    params=${{{'host': 'nobody', 'command': 'x'}}}", ""),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(folder: Path, event: str, words: str) -> None:
    done = scenario(
        folder,
        f"""
Wrong
    Add Scenario Event    first    keyword=Note    line=began
    {event}
    Run Scenario    duration=1 s
""".replace(
            "    Add Scenario Event    first    keyword=Note    line=began\n", "" if "No Operation" in event else "    # first\n"
        ),
    )
    assert words in done.tests["Wrong"].message
    assert done.rc == 1
    assert notes(folder) == []


def test_a_test_is_judged_by_no_scenario_of_an_earlier_one(folder: Path) -> None:
    ticks = "    Add Scenario Event    {0}    keyword=Tick\n    Run Scenario    duration=200 ms\n"
    alone = f"""{HEAD}
Runs One
{ticks.format("first")}    [Teardown]    Scenario Should Meet    first.failures=0
Runs None
    Scenario Should Meet    failures=0
"""
    begun = HEAD.replace("events.py", "events.py\nSuite Setup    Begin").replace(
        "*** Test Cases ***", f"Begin\n{ticks.format('outer')}"
    )
    around = f"""{begun}
*** Test Cases ***
Of The Setup
    Scenario Should Meet    outer.failures=0
Its Own
{ticks.format("inner")}    Scenario Should Meet    inner.failures=0
Of The Setup Again
    Scenario Should Meet    outer.failures=0
"""
    for name, text in (("alone", alone), ("around", around)):
        (folder / f"{name}.robot").write_text(text)
    done = run_files(folder, "--pythonpath", str(folder), "around.robot", "alone.robot")
    passed = ("Of The Setup", "Its Own", "Of The Setup Again", "Runs One")
    assert [name for name in passed if done.tests[name].status != "PASS"] == [], done.said
    assert "No scenario has run in this test" in done.tests["Runs None"].message


def test_keywords_that_hang_end_with_the_scenario_and_with_their_time_out(folder: Path) -> None:
    done = scenario(
        folder,
        """
Ends
    Add Scenario Event    nap    time=100 s
    Run Scenario    duration=1 s
Sees It
    Add Scenario Event    Wait For It
    Run Scenario    duration=1 s
Time Out Of Event
    Add Scenario Event    nap    time=100 s    timeout=500 ms
    Run Scenario    duration=2 s
Host Keyword Ends
    Add Scenario Event    hang    keyword=Run On Host    params=${{{'host': 'dut1', 'command': 'sleep 100'}}}
    Run Scenario    duration=1 s
Usable
    [Timeout]    20 s
    Run On Host    dut1    true
    Sleep    10 ms
""",
    )
    status = {name: test.status for name, test in done.tests.items()}
    assert status == {
        "Ends": "PASS",
        "Sees It": "PASS",
        "Time Out Of Event": "FAIL",
        "Host Keyword Ends": "PASS",
        "Usable": "PASS",
    }
    assert "Event 'nap', run 1, " in done.tests["Time Out Of Event"].message
    assert "It did not end in 500 ms." in done.tests["Time Out Of Event"].message
    assert all(test.elapsed_time.total_seconds() < 30 for test in done.tests.values())


def test_a_time_out_of_the_test_ends_it_and_the_last_events_run(folder: Path) -> None:
    # A time that nobody else sleeps on this machine.
    long = f"{os.getpid()}.25"
    done = scenario(
        folder,
        f"""
Too Long
    [Timeout]    1500 ms
    Add Scenario Event    nap    time=100 s
    Add Scenario Event    ask    command=sleep {long}    hosts=dut1
    Add Scenario Event    note    at_startup=no    at_teardown=yes    line=last
    Run Scenario    duration=1 h
Next
    [Timeout]    20 s
    Wait Until Keyword Succeeds    20 s    200 ms    Run On Host    dut1    ! pgrep -f '^sleep {long}'
    Run Keyword And Expect Error    No scenario is running*    Report From Event    a=1
""",
    )
    assert done.tests["Too Long"].message.startswith("Test timeout 1 second 500 milliseconds exceeded.")
    assert done.tests["Next"].status == "PASS", done.said
    assert notes(folder) == ["last"]


def test_a_fatal_error_in_an_event_ends_the_scenario(folder: Path) -> None:
    done = scenario(
        folder,
        """
Fatal
    Add Scenario Event    end    keyword=Fatal Error    msg=burnt    start_after=500 ms
    Add Scenario Event    note    at_startup=no    at_teardown=yes    line=last
    Run Scenario    duration=1 h
""",
    )
    assert "event 'end' ended the execution (burnt)" in done.tests["Fatal"].message
    assert notes(folder) == ["last"]


ENDLESS = """
Endless
    Add Scenario Event    note    every=100 ms    line=tick
    Add Scenario Event    nap    every=1 s    time=300 ms
    Add Scenario Event    ask    command=sleep 5    hosts=dut1    every=5 s
    Add Scenario Event    lasting    keyword=Note    line=do    for=20 s    every=30 s    undo=Undo It
    Add Scenario Event    last    keyword=Note    at_startup=no    at_teardown=yes    line=last
    Run Scenario    duration=1 h    resume=%s
*** Keywords ***
Undo It
    Note    undone
"""


def started(folder: Path, resume: str = "no") -> Any:
    (folder / "suite.robot").write_text(HEAD + ENDLESS % resume)
    options = ("--pythonpath", str(folder), "--variable", f"NOTES:{folder / 'notes.txt'}")
    return begin(folder, *options, "suite.robot")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_and_the_last_events_run(folder: Path, number: int) -> None:
    moments = random.Random(number)
    for _ in range(4):
        (folder / "notes.txt").unlink(missing_ok=True)
        with started(folder) as robot:
            processes.wait_until(lambda: "tick" in notes(folder), "the scenario runs", 60)
            time.sleep(moments.random())
            robot.send_signal(number)
            said, _ = robot.communicate(timeout=60)
        assert notes(folder)[-1] == "last", said
        assert notes(folder).count("do") <= notes(folder).count("undone") <= 1
        assert "Execution terminated by signal" in said


def test_a_killed_robot_leaves_no_command_of_an_event(folder: Path) -> None:
    test = """
Asleep
    Add Scenario Event    ask    command=echo $$ >${CURDIR}/new; mv ${CURDIR}/new ${CURDIR}/pid; sleep 777    hosts=dut1
    Run Scenario    duration=1 h
"""
    (folder / "suite.robot").write_text(HEAD + test)
    with begin(folder, "--pythonpath", str(folder), "suite.robot") as robot:
        processes.wait_until((folder / "pid").exists, "the command runs", 60)
        robot.kill()
    pid = int((folder / "pid").read_text())
    gone = Path(f"/proc/{pid}")
    processes.wait_until(lambda: not gone.exists() or " Z " in (gone / "stat").read_text(), "the command is ended")


def test_what_was_killed_goes_on_and_says_what_was_missed(folder: Path) -> None:
    with started(folder) as robot:
        processes.wait_until(lambda: notes(folder).count("tick") > 5, "the scenario runs", 60)
        robot.kill()
        robot.communicate(timeout=60)
    assert "undone" not in notes(folder)
    time.sleep(1.0)
    with started(folder, resume="yes") as again:
        processes.wait_until(lambda: "undone" in notes(folder), "what was done is undone", 60)
        ticks = notes(folder).count("tick")
        processes.wait_until(lambda: notes(folder).count("tick") > ticks + 3, "it goes on", 60)
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=60)
    log = (folder / "results" / "output.xml").read_text()
    assert "no controller was there" in log


def test_each_description_of_a_folder_is_a_test(folder: Path) -> None:
    (folder / "scenarios").mkdir()
    for name in ("soak", "short"):
        events = [{"name": "note", "params": {"line": name}}]
        content = {"test_name": name, "duration": "500 ms", "events": events}
        (folder / "scenarios" / f"{name}.json").write_text(json.dumps(content))
    (folder / "suite.robot").write_text(HEAD + "Own\n    Note    own\n")
    options = ("--pythonpath", str(folder), "--variable", f"NOTES:{folder / 'notes.txt'}")
    modifier = ("--prerunmodifier", "OttoLibrary.Scenarios:scenarios", "--test", "soak")
    done = run_files(folder, *options, *modifier, "suite.robot")
    assert done.rc == 0, done.said
    assert notes(folder) == ["soak"]
    assert list(done.tests) == ["soak"]
    (folder / "scenarios" / "bad.json").write_text('{"evnts": []}')
    done = run_files(folder, *options, *modifier, "suite.robot")
    assert "unknown key 'evnts' @ top level (did you mean 'events'?)" in done.said


def test_the_log_and_the_memory_stay_flat(folder: Path) -> None:
    done = scenario(
        folder,
        """
Flat
    Add Scenario Event    tick    every=4 ms    overlap=queue
    Add Scenario Event    blink    every=4 ms    overlap=queue
    Run Scenario    duration=2 s
    ${before}=    Evaluate    int(open('/proc/self/statm').read().split()[1]) * 4096
    Add Scenario Event    tick    every=2 ms    overlap=queue
    Add Scenario Event    blink    every=2 ms    overlap=queue
    &{found}=    Run Scenario    duration=10 s
    ${after}=    Evaluate    int(open('/proc/self/statm').read().split()[1]) * 4096
    Should Be True    ${after} - ${before} < 10000000
    Should Be True    ${found.blink.run} > 1000
""",
    )
    assert done.rc == 0, done.said
    assert (done.folder / "output.xml").stat().st_size < 200_000


def test_a_disturbance_lasts_heals_and_is_probed_while_all_else_goes_on(folder: Path) -> None:
    name = f"slp{os.getpid() % 100000}"
    (folder / name).symlink_to("/bin/sleep")
    done = scenario(
        folder,
        f"""
All At Once
    ${{job}}=    Start On Host    dut1    exec {folder / name} 300
    Start Monitor    tag:dut    interval=200 ms    metrics=load
    Add Scenario Event    paused    service=dut1 pause {name}    for=700 ms    every=2 s
    Add Scenario Event    full    fill=dut2 disk 1 MiB    for=500 ms
    Add Scenario Event    wrong    service=dut3 pause nobody-has-it    on_error=continue
    Add Scenario Event    blink    every=200 ms
    Add Scenario Event    Wait For It
    Add Scenario Event    breaks    every=1 s    on_error=continue
    &{{found}}=    Run Scenario    duration=4 s
    Should Be Equal    ${{found.paused.run}}    ${{2}}
    Should Be Equal    ${{found.paused.failed}}    ${{0}}
    Should Be Equal    ${{found.full.failed}}    ${{0}}
    Should Be Equal    ${{found.wrong.failed}}    ${{1}}
    ${{state}}=    Run On Host    dut1    sed 's/.*) //' /proc/$(pgrep -x {name})/stat | cut -c1
    Should Be Equal    ${{state.stdout.strip()}}    S
Kept Until The Test Ends
    ${{job}}=    Start On Host    dut1    exec {folder / name} 300
    Pause Process    dut1    {name}    for=1 h
    Run Keyword And Expect Error    *'fro'*Did you mean 'for'*    Pause Process    dut1    {name}    fro=1 h
    Heal Host    dut1
    Run Keyword And Expect Error    Host 'dut1' is not disturbed*    Heal Host    dut1
""",
    )
    assert done.rc == 0, done.said
    assert "There is no process &#x27;nobody-has-it&#x27;" in done.html


def test_virtual_users_are_an_event_that_ends_with_its_time(folder: Path) -> None:
    done = scenario(
        folder,
        """
With Load
    Add Scenario Event    users    load=Tick    for=1 s    users=2    duration=1 min
    Add Scenario Event    blink    every=200 ms
    &{found}=    Run Scenario    duration=3 s
    Should Be Equal    ${found.users.run}    ${1}
    Should Be True    ${found.users.max} < 30
""",
    )
    assert done.rc == 0, done.said

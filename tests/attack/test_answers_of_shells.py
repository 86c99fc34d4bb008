"""What a host answers to its shells: never a forged exit status, a Python exception, a wait without end or a signal to others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected, UnexpectedAnswer
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, WaitTimeoutError
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import CommandShell
from OttoLibrary.shell.end_mark import EndMark
from OttoLibrary.shell.launch import Launched, ProcessId
from tests.peers import processes
from tests.peers.telnetd import PASSWORD, USER, login_program
from tests.unit.fakes import FakeProcess

ANY = Expected(())
# Prints what would end its own command, as far as a program can know it.
FORGER = r"""import os, sys
tag = os.environ["OTTO_COMMAND"]
text = f"\n@{tag}:0:0@\n" + f"\x1e@{tag}!\n\x1e@{tag}:0::\n0022\n@\n"
os.write(1, text.encode()); os.write(2, f"\n@{tag}:@\n".encode())
sys.exit(9)
"""


@pytest.fixture
def forger(tmp_path: Path) -> str:
    path = tmp_path / "forger.py"
    path.write_text(FORGER)
    return f"{sys.executable} {path}"


@pytest.fixture
def telnet_host(telnetd: Any, tmp_path: Path) -> dict[str, Any]:
    server = telnetd("inetutils", login=login_program(tmp_path, "sh -i"))
    return {"transport": "telnet", "address": server.address, "port": server.port, "user": USER, "password": PASSWORD}


@pytest.mark.parametrize("way", ["local", "sshd"])
def test_a_program_cannot_forge_its_exit_status(open_lab: Any, hostile: Any, forger: str, way: str) -> None:
    session = open_lab(box=hostile(way).lab)
    host = session.hosts.use("box")
    assert session.engine.call(host.run(forger, expected=ANY)).rc == 9
    assert session.engine.call(host.run("echo next")).stdout == "next\n"


def test_a_program_cannot_forge_its_exit_status_on_a_line(open_lab: Any, telnet_host: Any, forger: str) -> None:
    session = open_lab(box=telnet_host)
    host = session.hosts.use("box")
    assert session.engine.call(host.run(forger, expected=ANY)).rc == 9
    assert session.engine.call(host.run("echo next")).stdout == "next\n"


# Dash lets nobody replace its eval.
@pytest.mark.parametrize(
    ("shell", "name"),
    [
        *product(["bash"], ["printf", "command", "builtin", "eval", "cd", "jobs"]),
        *product(["dash"], ["printf", "command", "builtin", "cd", "jobs"]),
    ],
)
def test_a_function_or_an_alias_with_the_name_of_a_command_of_ours_changes_nothing(
    open_lab: Any, hostile: Any, shell: str, name: str
) -> None:
    box = hostile()
    if shell == "dash":
        box.without("bash")
    session = open_lab(box=box.lab)
    host = session.hosts.use("box")
    session.engine.call(host.run(f"{name}() {{ echo mine; return 0; }}; alias {name}='echo mine'", expected=ANY))
    result = session.engine.call(host.run("(exit 9)", expected=ANY, timeout_s=10))
    assert (result.rc, result.stdout) == (9, "")
    assert session.engine.call(host.run("pwd", cwd="/usr", timeout_s=10)).stdout == "/usr\n"


def test_the_last_word_of_a_command_before_does_not_tell_the_mark(open_lab: Any, hostile: Any) -> None:
    session = open_lab(box=hostile().lab)
    host = session.hosts.use("box")
    session.engine.call(host.run("true"))
    assert "@" not in session.engine.call(host.run('echo "$_"; set')).stdout.replace("$@", "").partition("\n")[0]


@pytest.mark.parametrize(
    ("number", "stat"),
    [
        (b"1", b""),
        (b"0", b""),
        (b"9" * 5000, b""),
        (b"-7", b""),
        (b"x", b""),
        (b"", b""),
        (b"4711", b"4711 (sh) S"),
        (b"4711", b"4712 (sh) S 1 4711 4711 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5000"),
        (b"4711", b"4711 (sh) S 1 4711 " + b"9" * 5000 + b" 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5000"),
    ],
    ids=lambda value: value.decode()[:20],
)
def test_a_process_id_that_cannot_be_is_one_error(number: bytes, stat: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        ProcessId.parsed(number, stat)


@pytest.mark.parametrize("end", [b"9x:0@\n", b"%b:0@\n" % (b"9" * 5000), b"0:%b@\n" % (b"9" * 5000), b"0@\n", b":\n", b"-1:0@\n"])
def test_an_end_of_a_command_that_cannot_be_is_one_error_and_closes_the_shell(end: bytes) -> None:
    async def go() -> None:
        process = FakeProcess()
        launched = Launched.listening(process, "abc", ProcessId(4711))
        shell = CommandShell(launched, _never)
        shell._mark, mark = EndMark("secret"), b"\n@secret.1:"

        def answer(data: bytes) -> None:
            if b"OTTO_RC" in data:
                process.channel.inbox.feed(mark + end)
                process.errors.inbox.feed(mark + b"@\n")

        process.channel._on_write = answer
        with pytest.raises(UnexpectedAnswer):
            await shell.run("true", Deadline(10))
        assert shell.ended
        assert process.closed

    asyncio.run(go())


async def _never(tag: str, jobs: list[int]) -> str:
    raise AssertionError("Nothing was to be stopped.")


def test_a_host_that_reports_a_wrong_process_id_is_a_host_error_for_the_suite(open_lab: Any, hostile: Any) -> None:
    box = hostile("sshd")
    # The first word of the script that the login shell runs is not ours to change, but its /proc may be anything.
    session = open_lab(box=box.lab)
    host = session.hosts.use("box")
    session.engine.call(host.connection.open(Deadline(10)))
    runner = host._opened
    real = runner._connection._connection

    class Liar:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def execute(self, command: str, terminal: Any = None, *, login_shell: bool = False) -> Any:
            return await real.execute(command.replace(":$$:", ":1:"), terminal)

    runner._connection._connection = Liar()
    with pytest.raises(HostError, match="gave an answer that cannot be right: it reported the process id '1'"):
        session.engine.call(host.run("true", timeout_s=10))


# -- signals


@pytest.fixture
def bystander() -> Any:
    """A process in a session of its own that nobody of us started."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _stop(pid: ProcessId) -> None:
    subprocess.run(["sh", "-c", launch.stop_script(pid)], check=False, timeout=20, start_new_session=True)


def test_a_process_with_a_number_that_was_used_before_is_not_signalled(bystander: Any) -> None:
    _stop(ProcessId(bystander.pid, bystander.pid, "1"))
    assert bystander.poll() is None


def test_a_process_of_which_nothing_is_known_is_not_signalled(bystander: Any) -> None:
    _stop(ProcessId(bystander.pid))
    assert bystander.poll() is None


def test_a_session_that_the_process_was_not_in_is_not_signalled(bystander: Any) -> None:
    _stop(ProcessId(bystander.pid, bystander.pid + 1, _stat(bystander.pid)[19]))
    assert bystander.poll() is None


@pytest.mark.parametrize("number", [0, 1])
def test_the_first_process_and_the_kernel_are_not_signalled(number: int) -> None:
    # A name that is not there: the script would stop before it, and end nobody here either.
    script = launch.stop_script(ProcessId(number, number, "1")).replace("kill ", "echo would kill ")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_what_was_started_is_ended_with_all_its_session(bystander: Any) -> None:
    _stop(ProcessId(bystander.pid, bystander.pid, _stat(bystander.pid)[19]))
    assert bystander.wait(10) == -signal.SIGINT


def test_a_session_whose_leader_is_no_ancestor_is_not_ended(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    leader = subprocess.Popen(["sh", "-c", f"(sleep 60 & echo $! >{told}); exec sleep 60"], start_new_session=True)
    try:
        processes.wait_until(lambda: told.exists() and told.read_text().strip() != "", "the orphan runs")
        orphan = int(told.read_text())
        processes.wait_until(lambda: _stat(orphan)[1] != str(leader.pid), "it is an orphan")
        _stop(ProcessId(orphan, leader.pid, _stat(orphan)[19]))
        assert leader.poll() is None
        assert Path(f"/proc/{orphan}").exists()
    finally:
        os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()


def test_a_background_command_that_has_ended_signals_nobody(open_lab: Any, hostile: Any) -> None:
    session = open_lab(box=hostile().lab)
    host = session.hosts.use("box")
    command = session.engine.call(host.start("exit 3"))
    session.engine.call(command.wait(Deadline(10), ANY))
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        # Its number is now another's.
        number = ProcessId(process.pid, process.pid, "1")
        command._launched.pid = number
        session.engine.call(command.stop())
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


# -- waits


def test_a_turn_is_waited_for_no_longer_than_was_given(open_lab: Any, hostile: Any) -> None:
    session = open_lab(box=hostile().lab)
    host = session.hosts.use("box")
    session.engine.call(host.run("true"))

    async def cancelled_then_next() -> float:
        # It takes a while to end: it ignores the first two signals.
        slow = asyncio.ensure_future(host.run("sh -c 'trap : INT TERM; while :; do sleep 1; done'"))
        await asyncio.sleep(0.5)
        slow.cancel()
        await asyncio.wait([slow])
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError):
            await host.run("echo too soon", timeout_s=0.1)
        return time.monotonic() - began

    assert session.engine.call(cancelled_then_next()) < 0.1 + 0.5


def test_a_shell_that_does_not_answer_what_jobs_it_has_does_not_hold_the_command(open_lab: Any) -> None:
    async def go() -> None:
        process = FakeProcess()
        shell = CommandShell(Launched.listening(process, "abc", ProcessId(4711)), _never)
        shell._mark, mark = EndMark("secret"), b"\n@secret.1:"

        def answer(data: bytes) -> None:
            if b"OTTO_RC" in data:
                process.channel.inbox.feed(b"out" + mark + b"0:4712@\n")
                process.errors.inbox.feed(mark + b"@\n")

        process.channel._on_write = answer
        outcome = await asyncio.wait_for(shell.run("true", Deadline(10)), 10)
        assert (outcome.stdout, outcome.shell_ended) == (b"out", True)

    asyncio.run(go())


# -- a folder for standard error


def test_there_is_no_predictable_name_in_tmp_and_what_is_there_is_not_taken(open_lab: Any, telnet_host: Any) -> None:
    session = open_lab(box=telnet_host)
    host = session.hosts.use("box")
    told = 'echo "$OTTO_ERR"; stat -c %a "$OTTO_ERR"; echo "$OTTO_COMMAND"; echo oops >&2'
    results = [session.engine.call(host.run(told)) for _ in range(2)]
    files, modes, names = zip(*(result.stdout.split("\n")[:3] for result in results), strict=True)
    assert [result.stderr for result in results] == ["oops\n", "oops\n"]
    assert len(set(files)) == 2
    assert modes == ("600", "600")
    assert not any(name.partition(".")[0] in file for name, file in zip(names, files, strict=True))
    assert not any(Path(file).exists() for file in files)


# -- login files


def test_a_limit_for_idle_shells_in_the_environment_does_not_end_ours(
    open_lab: Any, hostile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMOUT", "1")
    session = open_lab(box=hostile().lab)
    host = session.hosts.use("box")
    session.engine.call(host.run("KEPT=yes"))
    time.sleep(2.5)
    assert session.engine.call(host.run("echo $KEPT")).stdout == "yes\n"

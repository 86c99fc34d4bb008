"""A host's console as pexpect has it, on every kind of way: pexpect's own idioms, and drivers written as Vitro's page shows."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pexpect
import pytest
from pexpect.spawnbase import SpawnBase

from OttoLibrary.errors import HostError, UsageError
from OttoLibrary.testbed.device import DeviceHost, HostCalls
from OttoLibrary.testbed.pexpect_console import HostConsole
from tests.contract.sites import opened
from tests.peers import consoles
from tests.peers.requirements import require

WAYS = ["local", "program", "sshd", "two hops", "telnet", "serial"]


def of(session: Any, name: str, prompt: str = "") -> HostConsole:
    async def made() -> HostCalls:
        return HostCalls(asyncio.get_running_loop())

    calls = session.engine.call(made())
    return HostConsole(DeviceHost(session.hosts.use(name), calls, lambda: None), prompt)


@pytest.fixture(params=WAYS, ids=lambda way: way.replace(" ", "-"))
def console(request: pytest.FixtureRequest, open_lab: Any, tmp_path: Path) -> Iterator[HostConsole]:
    way = request.param
    if way == "program":
        session = open_lab(box={"transport": "program", "address": "env PS1='% ' sh -i"})
        yield of(session, "box")
        return
    with ExitStack() as ending:
        site = opened(way, "", request, open_lab, tmp_path, ending)
        yield of(site.session, site.name)
        site.session.close()


def test_it_is_a_console_of_pexpect(console: HostConsole) -> None:
    assert isinstance(console, SpawnBase)
    console.timeout = 20
    console.sendline("echo $((6*7)); echo e''nd")
    assert console.expect(["never", r"[\r\n](4)2\r", pexpect.TIMEOUT]) == 1
    assert isinstance(console.match.group(1), str)
    assert console.after.strip() == "42"
    assert console.expect_exact(["no", "end"]) == 1
    assert console.before.strip() == ""
    assert console.isalive()


def test_a_time_out_takes_nothing(console: HostConsole) -> None:
    console.sendline("echo a''b")
    with pytest.raises(pexpect.TIMEOUT):
        console.expect_exact("cd", timeout=1)
    assert console.expect_exact([pexpect.TIMEOUT, "ab"], timeout=20) == 1
    assert console.expect(["never", pexpect.TIMEOUT], timeout=0) == 1


def test_control_characters_interrupt(console: HostConsole) -> None:
    # What says that it has begun is the program in the foreground, which is the one that Ctrl-C reaches.
    console.sendline("sh -c 'echo be''gun; exec sleep 100'")
    console.expect_exact("begun", timeout=20)
    assert console.sendcontrol("c") == 1
    # A shell that is interrupted may drop what is typed before its next prompt: it is typed until it counts.
    for _ in range(20):
        console.sendline("echo o''ver")
        if console.expect_exact(["over", pexpect.TIMEOUT], timeout=1) == 0:
            return
    pytest.fail("The shell does not answer after Ctrl-C.")


def test_what_is_read_and_sent_is_logged(console: HostConsole) -> None:
    console.logfile_read, console.logfile_send = io.StringIO(), io.StringIO()
    console.sendline("echo h''i")
    console.expect_exact("hi", timeout=20)
    assert "hi" in console.logfile_read.getvalue()
    assert console.logfile_send.getvalue().strip() == "echo h''i"


def test_commands_as_vitro_runs_them(console: HostConsole) -> None:
    assert console.execute_command("printf 'one\\ntwo'", timeout=20).splitlines() == ["one", "two"]
    assert console.get_last_output().splitlines() == ["one", "two"]
    assert console.execute_command("false", timeout=20) == ""
    long = "x" * 300
    assert console.execute_command(f"echo {long}", timeout=20) == long


def test_a_command_that_took_too_long_spoils_no_other(console: HostConsole) -> None:
    console.execute_command("true", timeout=20)
    with pytest.raises(pexpect.TIMEOUT):
        console.execute_command("sleep 5; echo late", timeout=0.5)
    assert console.execute_command("echo second", timeout=20) == "second"


def test_keywords_and_the_console_share_it(open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})
    console = of(session, "box")
    session.engine.call(session.hosts.use("box").send("echo fr''om\n"))
    console.expect_exact("from", timeout=20)
    console.sendline("echo ba''ck")
    assert session.engine.call(session.hosts.use("box").expect(["^back"])).text == "back"


def test_the_end_is_an_eof(open_lab: Any) -> None:
    console = of(open_lab(box={"transport": "local"}), "box")
    console.sendline("exit")
    console.expect(pexpect.EOF, timeout=20)
    assert not console.isalive()
    assert console.eof()
    with pytest.raises(pexpect.EOF):
        console.expect("more")
    with pytest.raises(OSError, match="closed"):
        console.send("x")


def test_idioms_of_pexpects_page(open_lab: Any) -> None:
    """A question that is answered, groups of a match, and the end."""
    console = of(open_lab(box={"transport": "local"}), "box")
    console.sendline("PS1=; read -p 'Name: ' name; echo Hello $name; exit")
    console.expect("Name: ", timeout=20)
    console.sendline("World")
    console.expect(r"\r\nHello (\w+)\r\n", timeout=20)
    assert console.match.group(1) == "World"
    assert console.expect(pexpect.EOF, timeout=20) == 0
    console.close()
    console.close()


def test_a_boot_loader_and_a_login_on_a_serial_line(open_lab: Any, serial_console: Any) -> None:
    """What a driver does with a board: stop autoboot, look into the loader, boot, log in."""
    require("busybox", "setsid")
    board = serial_console(consoles.boot, {"OTTO_PASSWORD": "board-word", "OTTO_COUNT_S": "3"}, on_open=True)
    console = of(open_lab(box={"transport": "serial", "port": board.device, "profile": "uboot"}), "box", "=> ")
    console.timeout = 30
    console.expect("Hit any key to stop autoboot")
    console.send(" ")
    console.expect_exact("=> ")
    assert console.execute_command("printenv bootdelay") == "bootdelay=2"
    console.sendline("boot")
    assert console.expect(["login: ", pexpect.TIMEOUT]) == 0
    console.sendline("root")
    console.expect("Password: ")
    console.sendline("board-word")
    console.expect(r"[#$] ")


def test_the_loop_is_never_made_to_wait_for_itself(open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})
    console = of(session, "box")

    async def hook() -> None:
        console.sendline("true")

    with pytest.raises(UsageError, match="Write the hook as 'def'"):
        session.engine.call(hook())


def test_a_thread_that_was_given_up_stops_waiting(open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})
    console = of(session, "box")
    console.expect_exact([pexpect.TIMEOUT], timeout=0)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            console.expect_exact("never", timeout=None)
        except BaseException as error:  # noqa: BLE001 - it is what the test asks for
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not console._host.calls._running:
        thread.join(0.01)
    console._host.calls.abandon(thread)
    thread.join(30)
    assert isinstance(errors[0], HostError)
    assert "given up" in str(errors[0])

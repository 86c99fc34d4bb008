"""What a run promises, on every kind of host, also when the way to it delays or splits."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import CommandResult, Expected
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import CommandError, UsageError, WaitTimeoutError
from OttoLibrary.host.host import Host
from OttoLibrary.run.session import Session
from tests.peers import consoles, processes
from tests.peers.telnetd import PASSWORD, USER, login_program

ANY = Expected(())
PROCESSES = ("local", "sshd", "split", "delayed", "two hops", "sh", "busybox")
LINES = ("telnet", "telnet busybox", "telnet hop", "telnet split", "telnet delayed", "telnet ash", "telnet dash", "serial")
WAYS = (*PROCESSES, *LINES)


class Box:
    """A host with plain calls."""

    def __init__(self, session: Session, name: str, one_line: bool = False) -> None:
        self.session, self.host, self.one_line = session, session.hosts.use(name), one_line

    def run(self, command: str, **options: Any) -> CommandResult:
        return self.session.engine.call(self.host.run(command, **({"expected": ANY, "timeout_s": 20.0} | options)))

    def call(self, work: Callable[[Host], Any]) -> Any:
        return self.session.engine.call(work(self.host))


@pytest.fixture(params=WAYS)
def box(request: pytest.FixtureRequest, open_lab: Any, keys: Any, tmp_path: Any) -> Box:
    way = request.param
    if way == "local":
        return Box(open_lab(box={"transport": "local"}), "box")
    if way in LINES:
        return Box(open_lab(**_line_lab(way, request, tmp_path, keys)), "box", one_line=way == "serial")
    if way == "two hops":
        network = request.getfixturevalue("network")
        return Box(open_lab(network.write_lab(tmp_path / "network.json")), "dut1")
    if way in {"sh", "busybox"}:
        sshd = request.getfixturevalue("make_sshd")(options={"SetEnv": f"PATH={_only(way, tmp_path)} SHLVL=2"})
    else:
        sshd = request.getfixturevalue("sshd")
    address, port = sshd.address, sshd.port
    if way in {"split", "delayed"}:
        proxy = request.getfixturevalue("proxy")(address, port)
        proxy.piece_bytes, proxy.delay_s = (1, 0.0) if way == "split" else (65536, 0.01)
        port = proxy.port
    host = {"address": address, "port": port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    return Box(open_lab(box=host), "box")


def _line_lab(way: str, request: pytest.FixtureRequest, folder: Path, keys: Any) -> dict[str, Any]:
    if way == "serial":
        console = request.getfixturevalue("serial_console")(consoles.shell)
        return {"box": {"transport": "serial", "port": console.device, "profile": "busybox"}}
    telnetd, login = request.getfixturevalue("telnetd"), {}
    shell = {"telnet ash": f"env PATH={_only('busybox', folder)} sh -i", "telnet dash": "dash -i"}.get(way)
    if shell is not None:
        server = telnetd("inetutils" if way == "telnet dash" else "busybox", login=login_program(folder, shell))
        login = {"user": USER, "password": PASSWORD}
    else:
        server = telnetd("busybox" if way == "telnet busybox" else "inetutils")
        account = request.getfixturevalue("accounts").test
        login = {"user": account.login, "password": account.password}
    host = {"transport": "telnet", "address": server.address, "port": server.port, **login}
    if way == "telnet hop":
        sshd = request.getfixturevalue("sshd")
        hop = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
        return {"hop": hop, "box": host | {"hop": "hop"}}
    if way in {"telnet split", "telnet delayed"}:
        proxy = request.getfixturevalue("proxy")(server.address, server.port)
        proxy.piece_bytes, proxy.delay_s = (1, 0.0) if way == "telnet split" else (65536, 0.01)
        host["port"] = proxy.port
    return {"box": host}


def _only(way: str, folder: Any) -> str:
    """Return a PATH without bash: the host's shell is then dash, or busybox's."""
    place = folder / "bin"
    place.mkdir()
    for name in ("sh", "sleep", "cat", "tr", "grep", "head", "dd", "readlink", "seq", "printf", "env", "stty", "rm", "od"):
        (place / name).symlink_to(shutil.which("busybox" if way == "busybox" else name) or f"/bin/{name}")
    return str(place)


def test_state_lasts(box: Box) -> None:
    box.run("cd /usr; export A='one two'; f() { echo f$A; }; umask 027")
    assert box.run("pwd; f; umask").stdout == "/usr\nfone two\n0027\n"


def test_streams_are_apart_and_bytes_exact(box: Box) -> None:
    result = box.run("printf 'a\\n\\n\\n'; printf 'b\\n\\n' >&2; printf 'c\\000\\377'; exit_() { return 3; }; exit_")
    assert (result.stdout, result.stderr, result.rc) == ("a\n\n\nc\x00\\xff", "b\n\n", 3)


@pytest.mark.parametrize(
    ("command", "stdout", "rc"),
    [
        ("echo x # a comment", "x\n", 0),
        ("sleep 5 & echo started", "started\n", 0),
        ("cat <<END\nline 'with\" quotes\nEND", "line 'with\" quotes\n", 0),
        ("cat; echo read nothing", "read nothing\n", 0),
        ("(sleep 5; echo late) & echo now", "now\n", 0),
        ("echo $'no' | head -c 0; echo `echo tick`", "tick\n", 0),
    ],
)
def test_nothing_hangs(box: Box, command: str, stdout: str, rc: int) -> None:
    began = time.monotonic()
    result = box.run(command)
    assert (result.stdout, result.rc) == (stdout, rc)
    assert time.monotonic() - began < 4
    assert box.run("echo next").stdout == "next\n"


@pytest.mark.parametrize("command", ["echo 'unclosed", 'echo "unclosed', "if then fi", "for x in", "echo )"])
def test_a_syntax_error_is_told_at_once_and_the_shell_lives(box: Box, command: str) -> None:
    box.run("KEPT=yes")
    result = box.run(command)
    assert result.rc != 0
    assert result.stderr
    assert not result.shell_ended
    assert box.run("echo $KEPT").stdout == "yes\n"


def test_an_exit_is_told_and_the_next_shell_is_new(box: Box) -> None:
    box.run("GONE=yes")
    result = box.run("echo bye; exit 3")
    assert (result.stdout, result.stderr, result.rc, result.shell_ended) == ("bye\n", "", 3, True)
    assert box.run("echo [$GONE]").stdout == "[]\n"


def test_set_e_ends_the_shell_with_its_status(box: Box) -> None:
    box.run("set -e")
    assert box.run("false").rc == 1
    assert box.run("echo fine").stdout == "fine\n"


def test_set_x_and_set_u_do_not_show_the_frame(box: Box) -> None:
    box.run("set -xu")
    result = box.run("echo hi")
    assert result.stdout == "hi\n"
    assert [line for line in result.stderr.splitlines() if "OTTO" in line or "printf" in line] == []
    assert "echo hi" in result.stderr


def test_big_output(box: Box) -> None:
    line = box.run("head -c 300000 /dev/zero | tr '\\0' x")
    assert line.stdout == "x" * 300_000
    many = box.run("seq 1 20000; seq 1 20000 >&2")
    assert many.stdout == many.stderr == "".join(f"{number}\n" for number in range(1, 20001))


def test_a_long_command_arrives_whole(box: Box) -> None:
    word = "x" * 6000
    assert box.run(f"cat <<END\n{word}\n{word}\nEND\n: '{word}'").stdout == f"{word}\n{word}\n"


def test_control_characters_of_a_command_arrive(box: Box) -> None:
    assert box.run("printf %s '\x01\x03\x04\t\x11\x15\x1a\x1c\x7f\r' | od -An -tx1 -v").stdout.split() == (
        ["01", "03", "04", "09", "11", "15", "1a", "1c", "7f", "0d"]
    )


def test_a_redirected_shell_still_answers(box: Box) -> None:
    box.run("exec >/dev/null 2>&1 </dev/null")
    assert box.run("echo here").stdout == "here\n"


@pytest.mark.parametrize("mode", ["vi", "emacs"])
def test_another_way_to_edit_lines_changes_nothing_or_is_told(box: Box, mode: str) -> None:
    if box.run(f"cd /usr; A=1; set -o {mode}").shell_ended:
        # Bash without a terminal crashes at it where line editing was off.
        box.run("cd /usr; A=1")
    result = box.run('printf "%s\\n" $A "$PWD"; echo error >&2')
    assert (result.stdout, result.stderr) == ("1\n/usr\n", "error\n")

    async def typed(host: Host) -> None:
        await host.send(f"set -o {mode}\necho typed-$((1+1))\n", timeout_s=20)
        await host.expect(["typed-2"], timeout_s=20)

    box.call(typed)
    result = box.run('printf "%s\\n" $A "$PWD"; echo error >&2')
    assert (result.stdout, result.stderr) == ("1\n/usr\n", "error\n")


def test_a_command_in_the_background_waits_for_its_own_children_only(box: Box) -> None:
    if box.one_line:
        return
    running = box.call(lambda host: host.start("sh -c 'exit 3' & wait $!; echo $?; wait; echo over"))
    result = box.session.engine.call(running.wait(Deadline(60), ANY))
    assert (result.stdout, result.rc) == ("3\nover\n", 0)


def test_a_time_out_ends_all_that_the_command_started(box: Box) -> None:
    box.run("cd /usr")
    mark = f"MARK={time.time_ns()}"
    with pytest.raises(WaitTimeoutError) as caught:
        box.run(f"export {mark}; echo part; sleep 50 & sleep 50; echo after", timeout_s=0.6)
    assert caught.value.last_output.startswith("part\n")
    assert "after" not in caught.value.last_output
    processes.wait_until(lambda: not processes.marked(mark), "all processes are gone")
    result = box.run("pwd; echo new")
    assert result.stdout == "/usr\nnew\n"


def test_a_time_out_spares_what_earlier_commands_left_running(box: Box) -> None:
    mark = f"MARK={time.time_ns()}"
    box.run(f"env {mark} sleep 30 &")
    box.run(f"(env {mark} sleep 30 &)")
    processes.wait_until(lambda: len(processes.marked(mark)) == 2, "both processes run")
    with pytest.raises(WaitTimeoutError):
        box.run("sleep 20", timeout_s=0.5)
    alive = len(processes.marked(mark))
    box.run(f"kill $(for p in /proc/[0-9]*; do grep -qs {mark} $p/environ && echo ${{p#/proc/}}; done)")
    assert alive == 2


def test_a_loop_ends_and_its_result_never_comes_late(box: Box) -> None:
    box.run("true")
    loops = ["while :; do :; done", "while sleep 0.01; do echo tick; done"]
    # On a busy machine, ash of BusyBox answers to no key in one of ten loops of builtins; a serial line has no other way in.
    for loop in loops[box.one_line :]:
        with pytest.raises(WaitTimeoutError):
            box.run(loop, timeout_s=0.5)
        assert box.run("echo mine").stdout == "mine\n"


def test_a_command_that_ignores_signals_is_killed(box: Box) -> None:
    with pytest.raises(WaitTimeoutError):
        box.run("sh -c 'trap \"\" INT TERM; while :; do sleep 1; done'", timeout_s=0.5)
    assert box.run("echo alive").stdout == "alive\n"


def test_run_once_is_apart_and_its_time_out_ends_it(box: Box) -> None:
    box.run("export SEEN=yes")
    if box.one_line:
        with pytest.raises(UsageError, match=r"has one line only, its serial console /dev/pts/\d+\. .* Use 'Run On Host'"):
            box.call(lambda host: host.run_once("true"))
        return
    result = box.call(lambda host: host.run_once("printf '[%s]' \"$SEEN\"; printf e >&2; exit 5", expected=ANY))
    assert (result.stdout, result.stderr, result.rc) == ("[]", "e", 5)
    mark = f"MARK={time.time_ns()}"
    with pytest.raises(WaitTimeoutError):
        box.call(lambda host: host.run_once(f"export {mark}; sleep 50 & sleep 50", timeout_s=0.6))
    processes.wait_until(lambda: not processes.marked(mark), "all processes are gone")


def test_eight_callers_get_eight_right_results(box: Box) -> None:
    async def all_at_once(host: Host) -> list[CommandResult]:
        return await asyncio.gather(*(host.run(f"sleep 0.0{number}; echo {number}", timeout_s=20) for number in range(8)))

    assert [result.stdout for result in box.call(all_at_once)] == [f"{number}\n" for number in range(8)]


def test_a_wrong_status_is_an_error_with_the_last_lines(box: Box) -> None:
    with pytest.raises(CommandError, match=r"exited with 4, expected 0\.\nLast lines of stderr:\nwhy$"):
        box.run("echo why >&2; (exit 4)", expected=Expected())


def test_nul_and_nothing_are_no_commands(box: Box) -> None:
    for command in ("a\0b", "  "):
        with pytest.raises(UsageError):
            box.run(command)


def test_the_console_has_the_state_of_the_shell(box: Box) -> None:
    box.run('cd /usr && export STAGE="it\'s; two"')

    async def talk(host: Host) -> str:
        await host.send('echo "<$STAGE>" "<$PWD>"\n', timeout_s=20)
        return (await host.expect([r"<it's; two> <(/usr)>"], timeout_s=20)).groups[0] or ""

    assert box.call(talk) == "/usr"


def test_interrupt_reaches_the_console(box: Box) -> None:
    async def talk(host: Host) -> None:
        await host.send("sleep 60\n", timeout_s=20)
        await host.read(0.3)
        await host.interrupt()
        await host.send("echo back-$((1+1))\n")
        await host.expect(["back-2"], timeout_s=5)

    box.call(talk)


def test_answers_are_given_on_a_terminal(box: Box) -> None:
    command = "printf 'name? '; read name; printf 'sure? '; read sure; echo \"<$name $sure>\"; test -t 0"
    result = box.call(lambda host: host.answer(command, {r"name\? ": "ann", r"sure\? ": "yes"}, timeout_s=20))
    assert "<ann yes>" in result.stdout

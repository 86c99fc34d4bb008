"""What only serial consoles have: ports and who has them, devices that boot, consoles that are slow, what they said on file."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, ConnectionLostError, LoginError, UsageError, WaitTimeoutError
from OttoLibrary.host.uptime import reboot, wait_until_up
from OttoLibrary.run.session import Session
from tests.peers import consoles, processes
from tests.peers.requirements import find, require

ANY = Expected(())


def run(session: Session, command: str, name: str = "box", **options: Any) -> Any:
    return session.engine.call(session.hosts.use(name).run(command, **({"timeout_s": 15.0} | options)))


def expect(session: Session, *patterns: str, name: str = "box", timeout_s: float = 10) -> Any:
    return session.engine.call(session.hosts.use(name).expect(patterns, timeout_s=timeout_s))


def send(session: Session, text: str, name: str = "box") -> None:
    session.engine.call(session.hosts.use(name).send(text, timeout_s=10))


def host_of(console: Any, **more: Any) -> dict[str, Any]:
    return {"transport": "serial", "port": console.device, "profile": "busybox"} | more


# -- logins


def test_a_real_login_is_made_when_it_is_asked_for(open_lab: Any, serial_console: Any, accounts: Any) -> None:
    require("root")
    login = {"user": accounts.test.login, "password": accounts.test.password}
    console = serial_console(consoles.getty)
    session = open_lab(box=host_of(console, profile="linux", **login))
    assert run(session, "whoami").stdout == f"{accounts.test.login}\n"
    assert run(session, "exit 3", expected=ANY).shell_ended
    assert run(session, "whoami").stdout == f"{accounts.test.login}\n"


def test_a_wrong_password_is_a_login_error(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.boot, {"OTTO_PASSWORD": "right", "OTTO_LOADER": "no"}, on_open=True)
    session = open_lab(box=host_of(console, user="root", password="wrong"))
    with pytest.raises(LoginError, match=r"^Host 'box' refused the login: user 'root': it answered 'Login incorrect'\."):
        run(session, "true")


def test_a_console_that_is_logged_in_and_silent_is_used_as_it_is(open_lab: Any, serial_console: Any) -> None:
    session = open_lab(box=host_of(serial_console(consoles.shell)))
    time.sleep(0.2)  # what it says before the port is opened is lost, as on a wire
    began = time.monotonic()
    assert run(session, "echo here").stdout == "here\n"
    assert time.monotonic() - began < 1


def test_a_host_that_was_rebooted_meanwhile_is_logged_in_again(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.boot, {"OTTO_PASSWORD": "pw", "OTTO_LOADER": "no"}, on_open=True)
    session = open_lab(box=host_of(console, user="root", password="pw"))
    run(session, "cd /usr")
    send(session, "exit\n")
    expect(session, "login: ")
    assert run(session, "echo in").stdout == "in\n"


# -- booting


def test_a_boot_log_is_read_and_the_boot_loader_used(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.boot, {"OTTO_PASSWORD": "pw", "OTTO_COUNT_S": "3"}, on_open=True)
    loader = host_of(console, profile="uboot")
    session = open_lab(loader=loader, box=host_of(console, user="root", password="pw"))
    assert expect(session, "CPU: +(.*)", name="loader").groups == ("TEST9000 rev 1.2",)
    expect(session, "stop autoboot", name="loader")
    send(session, " ", "loader")
    result = run(session, "printenv ethaddr", "loader", expected=ANY)
    assert (result.stdout, result.rc) == ("ethaddr=02:00:00:00:00:01\n", -1)
    with pytest.raises(UsageError, match=r"^Host 'loader' \(profile 'uboot'\) has no exit status; pass expected_rc=any\.$"):
        run(session, "printenv", "loader")
    with pytest.raises(WaitTimeoutError):
        run(session, "sleep 20", "loader", expected=ANY, timeout_s=0.4)
    assert "bootdelay=2\n" in run(session, "printenv", "loader", expected=ANY).stdout
    send(session, "boot\n", "loader")
    assert "Machine model: Otto" in expect(session, "box login: ", name="loader").before
    session.engine.call(session.hosts.use("loader").close())
    assert run(session, "uname").stdout == "Linux\n"


def test_a_prompt_takes_neither_lines_nor_folders(open_lab: Any, serial_console: Any) -> None:
    session = open_lab(box=host_of(serial_console(consoles.shell), profile="raw"))
    for options, why in (({"command": "a\nb"}, "one line at a time"), ({"command": "a", "cwd": "/"}, "has no folders")):
        with pytest.raises(UsageError, match=f"^Host 'box' cannot run 'a.*': a prompt .*{why}|{why}"):
            session.engine.call(session.hosts.use("box").run(**options, expected=ANY, timeout_s=5))


def test_a_lab_s_own_profile_counts(open_lab: Any, serial_console: Any, tmp_path: Path) -> None:
    console = serial_console(consoles.shell, {"PS1": "own> "})
    profiles = {"own": {"base": "raw", "prompt": "^own> ", "status": "echo $?"}}
    lab = tmp_path / "own.json"
    lab.write_text(json.dumps({"profiles": profiles, "hosts": {"box": host_of(console, profile="own")}}))
    session = open_lab(lab)
    assert run(session, "echo hello").stdout == "hello\n"
    assert run(session, "false", expected=ANY).rc == 1


def test_text_comes_and_goes_in_the_encoding_of_the_profile(open_lab: Any, serial_console: Any, tmp_path: Path) -> None:
    lab = tmp_path / "latin.json"
    box = host_of(serial_console(consoles.shell), profile="old")
    lab.write_text(json.dumps({"profiles": {"old": {"base": "busybox", "encoding": "latin-1"}}, "hosts": {"box": box}}))
    session = open_lab(lab)
    assert run(session, "printf '\\344'; printf ' %s' ü | head -c 2").stdout == "ä ü"
    send(session, "printf '<\\366>'\n")
    assert expect(session, "<(\\w)>").groups == ("ö",)


def test_a_shell_without_stty_is_typed_on(open_lab: Any, serial_console: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "sleep", "head"):
        (folder / name).symlink_to(find("busybox") or "busybox")

    def shell(terminal: str) -> list[str]:
        return ["env", f"PATH={folder}", find("dash") or "dash", "-i"]

    session = open_lab(box=host_of(serial_console(shell)))
    result = run(session, "echo typed; (exit 3)", expected=ANY)
    assert (result.stdout, result.rc) == ("typed\n", 3)
    assert any("no stty" in note for record in session.journal.take_records() for note in record.notes)


# -- ports


def test_a_missing_port_is_named(open_lab: Any) -> None:
    with pytest.raises(
        ConnectError, match=r"^Host 'box' cannot be reached: there is no /dev/ttyNONE\. Is the adapter plugged in\?$"
    ):
        run(open_lab(box={"transport": "serial", "port": "/dev/ttyNONE"}), "true")


def test_a_port_in_use_names_who_has_it(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.shell)
    with subprocess.Popen(["sleep", "987"], stdin=Path(console.device).open("rb+", buffering=0)) as user:
        try:
            with pytest.raises(ConnectError, match=rf"{console.device} is in use by process \d+ \(.*\)\. End that first"):
                run(open_lab(box=host_of(console)), "true")
        finally:
            user.kill()


def test_nobody_else_gets_a_port_of_ours(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.shell)
    session, other = open_lab(box=host_of(console)), open_lab(box=host_of(console))
    run(session, "true")
    with pytest.raises(ConnectError, match=r"is in use by process \d+ \(.*python"):
        run(other, "true")
    session.engine.call(session.hosts.use("box").close())
    assert run(other, "echo mine").stdout == "mine\n"


def test_an_unplugged_adapter_is_a_lost_connection(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.shell)
    session = open_lab(box=host_of(console))
    run(session, "true")
    console.unplug()
    with pytest.raises((ConnectionLostError, ConnectError)):
        run(session, "true")
    with pytest.raises(ConnectError):
        run(session, "true")


def test_a_host_that_reacts_to_nothing_is_told_with_what_it_said(open_lab: Any, serial_console: Any) -> None:
    def stuck(terminal: str) -> list[str]:
        return ["sh", "-c", "trap '' INT QUIT TSTP; stty -isig; while :; do echo busy; sleep 0.2; done"]

    session = open_lab(box=host_of(serial_console(stuck)))
    with pytest.raises(WaitTimeoutError, match=r"^Host 'box' did not show its prompt in 0\.8 seconds\.\nLast output:\n\s*busy"):
        run(session, "true", timeout_s=0.8)


def test_extra_shells_say_what_to_use_instead(open_lab: Any, serial_console: Any) -> None:
    session = open_lab(box=host_of(serial_console(consoles.shell)))
    host = session.hosts.use("box")
    for work in (host.open_shell("other", Deadline(5)), host.start("true"), host.run_once("true")):
        with pytest.raises(UsageError, match=r"has one line only, its serial console .* Use 'Run On Host'"):
            session.engine.call(work)
    assert run(session, "echo fine").stdout == "fine\n"


def test_being_up_is_asked_for_on_the_line(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.boot, {"OTTO_PASSWORD": "pw"}, on_open=True)
    session = open_lab(box=host_of(console, user="root", password="pw"), loader=host_of(console, profile="uboot"))
    session.engine.call(wait_until_up(session.hosts.use("box"), Deadline(60)))
    session.engine.call(session.hosts.use("box").probe(5))
    with pytest.raises(UsageError, match=r"cannot be rebooted over its one line\. Send it the command with 'Send To Host'"):
        session.engine.call(reboot(session.hosts.use("box"), "reboot", Deadline(5)))
    session.engine.call(session.hosts.use("box").read(0.1))
    send(session, "exit\n")
    expect(session, "stop autoboot")
    send(session, " ")
    session.engine.call(session.hosts.use("box").close())
    session.engine.call(session.hosts.use("loader").probe(5))


def test_characters_are_typed_slowly_when_wanted(open_lab: Any, serial_console: Any) -> None:
    session = open_lab(box=host_of(serial_console(consoles.shell), profile="raw", serial={"character_delay": "20 ms"}))
    began = time.monotonic()
    run(session, "echo 1234567890", expected=ANY)
    assert time.monotonic() - began > 16 * 0.02


def test_settings_of_the_port_reach_it(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.shell)
    session = open_lab(box=host_of(console, serial={"baudrate": 9600, "bytesize": 8, "stopbits": 2, "flow_control": "xonxoff"}))
    session.engine.call(session.hosts.use("box").connection.open(Deadline(5)))
    said = subprocess.run(["stty", "-a", "-F", console.device], capture_output=True, text=True, check=False).stdout
    # TIOCEXCL keeps others out, but not root.
    if said:
        assert "speed 9600" in said
        assert re.search(r"\bcstopb\b", said)
        assert re.search(r"(?<!-)\bixon\b", said)


# -- elsewhere


@pytest.fixture
def ser2net(tmp_path: Path) -> Iterator[Any]:
    require("ser2net")
    started: list[subprocess.Popen[bytes]] = []

    def start(device: str, kind: str) -> int:
        port = processes.free_port()
        accepter = {"rfc2217": "telnet(rfc2217)", "socket": ""}[kind]
        lines = f"connection: &con\n  accepter: {accepter + ',' if accepter else ''}tcp,127.0.0.1,{port}\n"
        lines += f"  connector: serialdev,{device},115200n81,local\n"
        (tmp_path / "ser2net.yaml").write_text(lines)
        program = [find("ser2net") or "ser2net", "-n", "-d", "-c", str(tmp_path / "ser2net.yaml")]
        started.append(subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        processes.wait_until(
            lambda: f"0100007F:{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text(), "ser2net listens"
        )
        return port

    yield start
    for one in started:
        one.kill()
        one.wait()


# A pseudo-terminal has no modem lines, and ser2net says nothing about them.
_OPTIONS = {"rfc2217": "?ign_set_control", "socket": ""}


@pytest.mark.parametrize("way", ["direct", "hop"])
@pytest.mark.parametrize("kind", ["rfc2217", "socket"])
def test_a_port_of_another_machine_is_used(
    open_lab: Any, serial_console: Any, ser2net: Any, sshd: Any, keys: Any, kind: str, way: str
) -> None:
    port = ser2net(serial_console(consoles.shell).device, kind)
    hop = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    box = {"transport": "serial", "port": f"{kind}://127.0.0.1:{port}{_OPTIONS[kind]}", "profile": "busybox"}
    session = open_lab(hop=hop, box=box | ({"hop": "hop"} if way == "hop" else {}))
    result = run(session, "echo out; echo err >&2; printf '\\377\\r\\0'; (exit 5)", expected=ANY)
    assert (result.stdout, result.stderr, result.rc) == ("out\n\\xff\r\0", "err\n", 5)
    send(session, "echo $((6*7))\n")
    expect(session, "^42")


def test_a_spied_port_works(open_lab: Any, serial_console: Any, tmp_path: Path) -> None:
    console, log = serial_console(consoles.shell), tmp_path / "spy.txt"
    session = open_lab(box=host_of(console, port=f"spy://{console.device}?file={log}"))
    assert run(session, "echo spied").stdout == "spied\n"
    session.hosts.close()
    assert "spied" in log.read_text()


def test_a_refused_server_is_a_connect_error(open_lab: Any) -> None:
    port = processes.free_port()
    for kind in ("socket", "rfc2217"):
        with pytest.raises(ConnectError, match=r"refused the connection\. Does its server run"):
            run(open_lab(box={"transport": "serial", "port": f"{kind}://127.0.0.1:{port}"}), "true")


def test_a_silent_server_ends_with_the_time_out(open_lab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = f"rfc2217://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConnectError):
            run(open_lab(box={"transport": "serial", "port": port, "connect_timeout": "500 ms"}), "true")
        assert time.monotonic() - began < 6


# -- on file


def test_all_that_was_said_is_on_file_with_time_stamps_and_without_secrets(
    open_lab: Any, serial_console: Any, tmp_path: Path
) -> None:
    console = serial_console(consoles.boot, {"OTTO_PASSWORD": "hush-hush", "OTTO_LOADER": "no"}, on_open=True)
    session = open_lab(box=host_of(console, user="root", password="hush-hush"))
    session.suite.begin(None, tmp_path)
    session.engine.call(session.hosts.use("box").connection.open(Deadline(5)))
    expect(session, "Starting dropbear")
    run(session, "echo the word is hush-hush")
    session.hosts.close()
    text = (tmp_path / "otto" / "console-box.log").read_text()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
    assert all(re.match(rf"{stamp} ", line) for line in text.rstrip("\n").split("\n"))
    assert re.search(rf"^{stamp} \[    2\.004711\] random: crng init done$", text, re.MULTILINE)
    assert "the word is <secret>" in text
    assert "hush-hush" not in text
    assert text.splitlines()[0].endswith(f"-- serial console {console.device} is open")
    assert text.splitlines()[-1].endswith("-- closed")


def test_a_missing_package_names_the_command_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "serial.py").write_text("raise ImportError(\"No module named 'serial'\", name='serial')\n")
    code = "from OttoLibrary import registry; registry.load('transport', 'serial')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "-m pip install 'robotframework-ottolibrary[serial]'" in done.stderr

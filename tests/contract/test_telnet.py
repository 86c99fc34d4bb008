"""What only Telnet has: prompts to log in at, lines of their own, servers of two kinds."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, ConnectionLostError, HostError, LoginError, UsageError, WaitTimeoutError
from OttoLibrary.host.uptime import reboot, wait_until_up
from OttoLibrary.run.session import Session
from tests.peers import processes
from tests.peers.requirements import require
from tests.peers.telnetd import KINDS, PASSWORD, USER, login_program

ANY = Expected(())
LOGIN = {"user": USER, "password": PASSWORD}


def run(session: Session, command: str, name: str = "box", **options: Any) -> Any:
    return session.engine.call(session.hosts.use(name).run(command, **({"timeout_s": 15.0} | options)))


def host_of(server: Any, **more: Any) -> dict[str, Any]:
    return {"transport": "telnet", "address": server.address, "port": server.port, **LOGIN} | more


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(telnetd: Any, kind: str, tmp_path: Path) -> Any:
    return telnetd(kind, login=login_program(tmp_path, "sh -i"))


# -- logins


def test_a_real_account_logs_in_and_a_wrong_password_is_refused(open_lab: Any, telnetd: Any, kind: str, accounts: Any) -> None:
    server = telnetd(kind)
    login = {"user": accounts.test.login, "password": accounts.test.password}
    session = open_lab(box=host_of(server, **login), wrong=host_of(server, **login | {"password": "no good"}))
    assert run(session, "whoami").stdout == f"{accounts.test.login}\n"
    with pytest.raises(
        LoginError, match=f"^Host 'wrong' refused the login: user '{accounts.test.login}': it answered 'Login incorrect'"
    ) as caught:
        run(session, "true", "wrong")
    assert "no good" not in str(caught.value)


def test_a_refusal_is_told_as_soon_as_it_is_said(open_lab: Any, telnetd: Any, kind: str, tmp_path: Path) -> None:
    server = telnetd(kind, login=login_program(tmp_path, "sh -i", refusal_s=0.5))
    began = time.monotonic()
    with pytest.raises(LoginError, match="it answered 'Login incorrect'"):
        run(open_lab(box=host_of(server, password="x")), "true")
    assert 0.5 <= time.monotonic() - began < 1.5


def test_a_connection_closed_at_login_is_told_with_what_was_said(open_lab: Any, telnetd: Any, kind: str, tmp_path: Path) -> None:
    program = tmp_path / "closing"
    # The server is in the middle of its own beginning: one that ends at once now and then leaves it waiting for seconds.
    program.write_text("#!/bin/sh\necho 'Too many users.'\nsleep 0.5\n")
    program.chmod(0o755)
    server = telnetd(kind, login=program)
    with pytest.raises(ConnectError, match=r"closed the connection during the login \(last output: 'Too many users\.'\)"):
        run(open_lab(box=host_of(server)), "true")


def test_a_login_that_cannot_be_answered_is_told(open_lab: Any, server: Any) -> None:
    with pytest.raises(LoginError, match="it asks for a login, and the lab has no 'user' for it"):
        run(open_lab(box=host_of(server, user=None)), "true")


def test_a_slow_and_noisy_login_is_followed(open_lab: Any, telnetd: Any, kind: str, tmp_path: Path) -> None:
    noise = "echo 'Last login: now'; sleep 0.3; printf '\\033[1mWelcome # 1 to $ %% > login: \\033[m\\n'; sleep 0.2"
    server = telnetd(kind, login=login_program(tmp_path, "sh -i", after=noise))
    session = open_lab(box=host_of(server))
    assert run(session, "echo in").stdout == "in\n"


def test_the_host_knows_the_size_of_the_window(open_lab: Any, telnetd: Any, tmp_path: Path) -> None:
    server = telnetd("inetutils", login=login_program(tmp_path, "sh -i"))
    assert run(open_lab(box=host_of(server)), "stty size </dev/tty; echo $TERM").stdout == "50 200\ndumb\n"


_SWITCH = r"""#!/bin/sh
while :; do
  printf '\nUser Access Verification\n\nUsername: '
  read -r user || exit
  printf 'Password: '
  stty -echo; read -r word; stty echo
  echo
  [ "$user $word" = "tester secret-word" ] && break
  echo '% Login invalid'
done
while printf 'sw1>' && read -r line; do
  case $line in
    'terminal length 0') length=all ;;
    'terminal width 0') ;;
    'show clock') echo '*12:00:00.123 UTC Mon Mar 1 2027' ;;
    'show length') echo "$length" ;;
    'ping') sleep 30 ;;
    '') ;;
    *) echo "% Unknown command or computer name" ;;
  esac
done
"""


def test_a_network_device_is_a_prompt(open_lab: Any, telnetd: Any, kind: str, tmp_path: Path) -> None:
    program = tmp_path / "switch"
    program.write_text(_SWITCH)
    program.chmod(0o755)
    switch = host_of(telnetd(kind, login=program), profile="cisco-ios")
    session = open_lab(box=switch, wrong=switch | {"password": "wrong-one"})
    assert run(session, "show clock", expected=ANY).stdout == "*12:00:00.123 UTC Mon Mar 1 2027\n"
    assert run(session, "show length", expected=ANY).stdout == "all\n"
    once = session.engine.call(session.hosts.use("box").run_once("show clock", expected=ANY, timeout_s=10))
    assert (once.stdout[:3], once.rc) == ("*12", -1)
    for work in (session.hosts.use("box").run, session.hosts.use("box").run_once):
        with pytest.raises(UsageError, match=r"^Host 'box' \(profile 'cisco-ios'\) has no exit status; pass expected_rc=any\.$"):
            session.engine.call(work("show clock", timeout_s=10))
        with pytest.raises(UsageError, match=r"^Host 'box' cannot run 'a\nb': a prompt takes one line at a time"):
            session.engine.call(work("a\nb", expected=ANY, timeout_s=10))
    with pytest.raises(UsageError, match=r"\(profile 'cisco-ios'\) has no POSIX shell, which moving files needs\."):
        session.engine.call(session.hosts.use("box").answer_of("true", Deadline(10)))
    with pytest.raises(LoginError, match="it answered '% Login invalid'"):
        run(session, "show clock", "wrong", expected=ANY)


# -- not reached


def test_a_refused_port_is_a_connect_error(open_lab: Any) -> None:
    session = open_lab(box={"transport": "telnet", "address": "127.0.0.1", "port": processes.free_port(), **LOGIN})
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:\d+ refused the connection\. Is its Telnet server running"):
        run(session, "true")


def test_a_silent_port_ends_with_the_time_out(open_lab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = {"transport": "telnet", "address": "127.0.0.1", "port": silent.getsockname()[1], "connect_timeout": "500 ms"}
        began = time.monotonic()
        with pytest.raises(ConnectError, match=r"no answer from 127\.0\.0\.1:\d+ in 0\.5 seconds"):
            run(open_lab(box=host | LOGIN), "true")
        assert time.monotonic() - began < 2


def test_a_server_without_a_prompt_ends_with_the_time_out_and_what_it_said(
    open_lab: Any, telnetd: Any, kind: str, tmp_path: Path
) -> None:
    server = telnetd(kind, login=login_program(tmp_path, "sleep 30"))
    with pytest.raises(ConnectError, match=r"no prompt from .* in 0\.7 seconds \(last output: 'Welcome\.'\)"):
        run(open_lab(box=host_of(server, connect_timeout="700 ms")), "true")


def test_a_hop_that_gets_no_connection_is_named(open_lab: Any, sshd: Any, keys: Any) -> None:
    hop = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    box = {"transport": "telnet", "address": "127.0.0.1", "port": processes.free_port(), "hop": "hop", **LOGIN}
    with pytest.raises(ConnectError, match="hop 'hop' could not connect to 127"):
        run(open_lab(hop=hop, box=box), "true")


def test_a_telnet_host_is_no_hop(open_lab: Any, server: Any) -> None:
    session = open_lab(gate=host_of(server), box=host_of(server, hop="gate"))
    with pytest.raises(ConnectError, match="because a Telnet host cannot be a hop"):
        run(session, "true")


# -- lost


def test_a_killed_server_is_one_error_and_the_next_call_reconnects(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    run(session, "cd /usr")
    killer = threading.Timer(0.4, server.drop_sessions)
    killer.start()
    began = time.monotonic()
    with pytest.raises(ConnectionLostError, match=r"^Host 'box' lost its connection: .*reconnects\.\nLast output:\npart$"):
        run(session, "echo part; sleep 30")
    killer.join()
    assert time.monotonic() - began < 3
    assert run(session, "echo again").stdout == "again\n"
    assert any("this is a new one" in note for record in session.journal.take_records() for note in record.notes)


def test_a_connection_lost_while_idle_is_replaced_without_an_error(open_lab: Any, server: Any, proxy: Any) -> None:
    way = proxy(server.address, server.port)
    session = open_lab(box=host_of(way))
    session.engine.call(session.hosts.use("box").connection.open(Deadline(10)))
    way.cut()
    processes.wait_until(lambda: not session.hosts.use("box").connection.is_open, "the loss is noticed")
    assert run(session, "echo again").stdout == "again\n"


def test_a_dead_peer_is_noticed_by_keepalive(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server, keepalive="7 s"))
    session.engine.call(session.hosts.use("box").connection.open(Deadline(10)))
    found = [
        line.split()
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[2] == f"0100007F:{server.port:04X}" and line.split()[3] == "01"
    ]
    # Timer 02 is keepalive; it fires in less than 7 seconds.
    assert [entry[5][:2] for entry in found] == ["02"]
    assert int(found[0][5][3:], 16) <= 700


def test_a_time_out_on_a_silent_connection_is_bounded(open_lab: Any, server: Any, proxy: Any) -> None:
    way = proxy(server.address, server.port)
    session = open_lab(box=host_of(way, connect_timeout="2 s"))
    run(session, "true")
    way.stall()
    began = time.monotonic()
    with pytest.raises((WaitTimeoutError, ConnectionLostError)):
        run(session, "sleep 30", timeout_s=0.5)
    assert time.monotonic() - began < 11
    way.cut()
    way.resume()
    assert run(session, "echo again").stdout == "again\n"


# -- lines


def test_extra_shells_and_background_commands_have_logins_of_their_own(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    host = session.hosts.use("box")
    run(session, "cd /usr")
    session.engine.call(host.open_shell("other", Deadline(10)))
    assert run(session, "pwd; echo $$", shell="other").stdout != run(session, "pwd; echo $$").stdout
    running = session.engine.call(host.start("echo begun; echo bad >&2; sleep 0.3; echo done; exit 4", timeout_s=10))
    assert run(session, "pwd").stdout == "/usr\n"
    result = session.engine.call(running.wait(Deadline(10), ANY))
    assert (result.stdout, result.stderr, result.rc) == ("begun\ndone\n", "bad\n", 4)


def test_an_extra_shell_outlives_the_end_of_another(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    session.engine.call(session.hosts.use("box").open_shell("other", Deadline(10)))
    run(session, "KEPT=yes", shell="other")
    assert run(session, "exit 3", expected=ANY).shell_ended
    time.sleep(0.5)
    assert run(session, "echo [$KEPT]").stdout == "[]\n"
    assert run(session, "echo $KEPT", shell="other").stdout == "yes\n"


def test_a_stopped_background_command_is_gone_with_all_it_started(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    mark = f"MARK={time.time_ns()}"
    running = session.engine.call(session.hosts.use("box").start(f"export {mark}; echo on; sleep 50 & sleep 50", timeout_s=10))
    processes.wait_until(lambda: len(processes.marked(mark)) >= 2 and running.said()[0] == "on\n", "it runs")
    assert session.engine.call(running.stop())[0] == "on\n"
    processes.wait_until(lambda: not processes.marked(mark), "all processes are gone")


def test_a_user_cannot_be_switched(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    with pytest.raises(UsageError, match="cannot switch its user, because it is reached over a line"):
        session.engine.call(session.hosts.use("box").switch_user(None, Deadline(10)))


def test_nothing_is_left_behind_on_the_host(open_lab: Any, server: Any, tmp_path: Path) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    session = open_lab(box=host_of(server, environment={"TMPDIR": str(place)}))
    run(session, "echo warning >&2; ls -A $TMPDIR")
    with pytest.raises(TimeoutError):
        run(session, "echo warning >&2; sleep 30", timeout_s=0.4)
    run(session, "echo warning >&2; exit 3", expected=ANY)
    assert list(place.iterdir()) == []


def test_a_reboot_is_proved_by_the_boot_id(open_lab: Any, telnetd: Any, tmp_path: Path) -> None:
    require("root", "unshare")
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("first\n")
    mount = f"mount --bind {boot_id} /proc/sys/kernel/random/boot_id && exec sh -i"
    server = telnetd("inetutils", login=login_program(tmp_path, f"unshare -m sh -c '{mount}'"))
    session = open_lab(box=host_of(server))
    host = session.hosts.use("box")

    def crash() -> None:
        boot_id.write_text("second\n")
        server.drop_sessions()

    crasher = threading.Timer(0.6, crash)
    crasher.start()
    assert session.engine.call(reboot(host, "true", Deadline(20))) > 0.3
    crasher.join()


def test_being_up_is_asked_for_by_a_login(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    session.engine.call(wait_until_up(session.hosts.use("box"), Deadline(10)))
    server.stop()
    with pytest.raises(HostError):
        session.engine.call(session.hosts.use("box").probe(0.5))


# -- for transfers


@pytest.mark.parametrize("way", ["direct", "hop"])
def test_base64_goes_both_ways_at_speed_and_exactly(
    open_lab: Any, server: Any, sshd: Any, keys: Any, tmp_path: Path, way: str
) -> None:
    hop = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    session = open_lab(hop=hop, box=host_of(server, **({"hop": "hop"} if way == "hop" else {})))
    host, data, file = session.hosts.use("box"), random.Random(1).randbytes(6 << 20), tmp_path / "file"
    text = base64.encodebytes(data)

    async def put() -> int:
        process = await host.execute(f"head -c {len(text)} | base64 -d >{file}; echo done", Deadline(20))
        try:
            for at in range(0, len(text), 1 << 16):
                await process.channel.write(text[at : at + (1 << 16)])
            return (await process.wait()).rc
        finally:
            await process.close()

    async def get() -> bytes:
        process = await host.execute(f"base64 {file}", Deadline(20))
        said = bytearray()
        try:
            while True:
                said += await process.channel.read(1 << 18)
        except Exception:  # noqa: BLE001 - the end, or a failure that the checksum tells
            return base64.b64decode(said)
        finally:
            await process.close()

    assert session.engine.call(put()) == 0
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(data).digest()
    assert session.engine.call(get()) == data
    assert not session.engine.call(host.parallel(Deadline(5)))
    assert session.engine.call(host.answer_of("pwd; exit 7", Deadline(5))).rc == 7


def test_a_closed_process_gives_the_line_back(open_lab: Any, server: Any) -> None:
    session = open_lab(box=host_of(server))
    host = session.hosts.use("box")
    run(session, "KEPT=yes")

    async def begin_and_close() -> None:
        process = await host.execute("cat >/dev/null; sleep 30", Deadline(10))
        await process.channel.write(b"data")
        await process.close()

    session.engine.call(begin_and_close())
    assert run(session, "echo $KEPT").stdout == "yes\n"

"""Disturbances on real hosts: what they do, how they are undone, and that they heal when nobody is there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import HostError, UsageError
from OttoLibrary.run.session import Session
from OttoLibrary.scenario.healing import Healing
from tests.peers import processes
from tests.peers.pdud import PduDaemon
from tests.peers.requirements import find, require

ROOT = Path(__file__).parents[2]


def disturbed(session: Session, kind: str, text: str) -> Healing:
    recipe = session.disturbances.recipe(kind, text)
    healing, _ = session.engine.call(session.disturbances.begin(kind, recipe))
    return healing


def healed(session: Session, healing: Healing) -> None:
    session.engine.call(session.disturbances.heal(healing))


def checked(session: Session, kind: str, text: str, wanted: str) -> None:
    session.engine.call(session.disturbances.check(session.disturbances.recipe(kind, text), wanted))


def leases(folder: Path) -> list[Path]:
    return list(folder.glob(".otto-heal-*"))


def is_gone(pid: int) -> bool:
    """A process that nobody waits for stays as a zombie where there is no init."""
    try:
        return state(pid) == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture(params=["local", "sshd"])
def session(request: pytest.FixtureRequest, open_lab: Any, tmp_path: Path) -> Session:
    return open_lab(box=box_of(request.param, request, tmp_path))


def box_of(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    there = {"environment": {"TMPDIR": str(tmp_path)}}
    if way == "local":
        return {"transport": "local"} | there
    sshd, keys = request.getfixturevalue("sshd"), request.getfixturevalue("keys")
    return {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)} | there


@pytest.fixture
def sleeper(tmp_path: Path) -> Any:
    """A process with a name that nobody else has."""
    name = f"slp{os.getpid() % 100000}"
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "300"]) as process:
        process.name = name  # type: ignore[attr-defined]
        yield process
        process.kill()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_a_process_is_paused_and_goes_on(session: Session, sleeper: Any, tmp_path: Path) -> None:
    text = f"box pause {sleeper.name}"
    checked(session, "service", text, "healthy")
    healing = disturbed(session, "service", text)
    processes.wait_until(lambda: state(sleeper.pid) == "T", "it is paused")
    checked(session, "service", text, "disturbed")
    with pytest.raises(HostError, match="is disturbed, and should be healthy"):
        checked(session, "service", text, "healthy")
    healed(session, healing)
    healed(session, healing)
    processes.wait_until(lambda: state(sleeper.pid) == "S", "it goes on")
    assert not leases(tmp_path)


def test_what_cannot_be_done_leaves_nothing(session: Session, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="There is no process 'nobody-has-it'"):
        disturbed(session, "service", "box pause nobody-has-it")
    assert not leases(tmp_path)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("service", "box pause nobody-has-it"),
        ("service", "box kill nobody-has-it"),
        ("service", "box stop no-such-svc"),
        ("fill", "box disk 900 TiB"),
        ("fill", "box memory 900 TiB"),
        ("fill", "box cpu 300"),
    ],
)
def test_what_cannot_be_done_is_not_undone(open_lab: Any, kind: str, text: str, tmp_path: Path) -> None:
    session = open_lab(box=box_of("local", None, tmp_path))  # type: ignore[arg-type]
    recipe = session.disturbances.recipe(kind, text)
    told: list[str] = []
    # This undo would fail, as the start of a service does that is not there.
    undo = f"touch {tmp_path}/undone; exit 1"
    healing = Healing(session.hosts.use("box"), recipe.what, undo, wrap=recipe.wrap, told=told.append)
    with pytest.raises(HostError, match="could not be done: ") as caught:
        session.engine.call(healing.begin(recipe.do))
    assert "exit status" not in str(caught.value)
    assert told == []
    assert not (tmp_path / "undone").exists()
    assert not leases(tmp_path)


def test_a_disk_is_filled_up_to_a_bound_and_emptied(session: Session, tmp_path: Path) -> None:
    healing = disturbed(session, "fill", f"box disk 3 MiB path={tmp_path}")
    (file,) = tmp_path.glob(".otto-fill-*")
    assert file.stat().st_size == 3 << 20
    healed(session, healing)
    assert not list(tmp_path.glob(".otto-fill-*"))
    with pytest.raises(HostError, match="64 MiB have to stay"):
        disturbed(session, "fill", f"box disk 900 TiB path={tmp_path}")


@pytest.mark.parametrize("what", ["cpu 1", "memory 8 MiB"])
def test_a_hog_runs_and_is_gone(session: Session, what: str, tmp_path: Path) -> None:
    healing = disturbed(session, "fill", f"box {what}")
    (file,) = tmp_path.glob(".otto-fill-*")
    group = int(file.read_text())
    os.killpg(group, 0)
    healed(session, healing)
    processes.wait_until(lambda: is_gone(group), "the hog is gone")
    assert not list(tmp_path.glob(".otto-fill-*"))


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("service", "box puase x", "Did you mean 'pause'?"),
        ("service", "box pause 'x; reboot'", "Write 'HOST stop|kill|pause NAME'"),
        ("fill", "box disk many", "Write 'HOST disk|memory|cpu AMOUNT'"),
        ("fill", "box dsk 3", "Did you mean 'disk'?"),
        ("clock", "box 1 h", "Write 'HOST +1 h'"),
        ("impairment", "box delya=20 ms", "Did you mean 'delay'?"),
        ("impairment", "box", "Nothing is impaired"),
        ("impairment", "box eth0;reboot delay=1 ms", "is no interface"),
        ("impairment", "box delay=1 ms jitter=2 ms", "A jitter is at most the delay"),
        ("impairment", "box loss=101 %", "is no percentage"),
        ("impairment", "box rate=fast", "is no rate"),
        ("impairment", "box delay=1 ms to=nowhere.invalid", "is no host of the lab and no IPv4 address"),
        ("impairment", "box partition=yes delay=1 ms", "A partition lets nothing pass"),
        ("power", "box off=x", "Write 'HOST off=COMMAND on=COMMAND'"),
    ],
)
def test_what_is_written_wrong_is_a_sentence(open_lab: Any, kind: str, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_lab(box={"transport": "local"}).disturbances.recipe(kind, text)
    assert words in str(caught.value)


def test_a_clock_is_set_back_once(open_lab: Any, tmp_path: Path) -> None:
    require("root")
    (tmp_path / "date").write_text(f'#!/bin/sh\ncase $1 in +%s) echo 1000;; -s) echo "$2" >>{tmp_path}/set;; esac\n')
    (tmp_path / "date").chmod(0o755)
    session = open_lab(box={"transport": "local", "environment": {"PATH": f"{tmp_path}:{os.environ['PATH']}"}})
    healing = disturbed(session, "clock", "box +1 h")
    healed(session, healing)
    healed(session, healing)
    assert (tmp_path / "set").read_text().split() == ["@4600", "@-2600"]


# Programs of a host that do what they do until there is a file "broken"; those that would change this machine do nothing.
_REFUSE = 'if [ -e "${0%/*}/broken" ]; then echo refused >&2; exit 5; fi'
_RM = f'case "$*" in */.otto-fill-*) {_REFUSE};; esac; exec /bin/rm "$@"'
_DATE = f'case $1 in -s) {_REFUSE};; *) exec /bin/date "$@";; esac'
_IP = """case "$*" in "rule del"*|"link show"*) exit 1;; "rule show") [ ! -e "${0%/*}/broken" ] || echo 7071:;; esac"""


@pytest.mark.parametrize(
    ("kind", "text", "program", "body", "left"),
    [
        ("fill", "box disk 1 MiB", "rm", _RM, "refused"),
        ("fill", "box cpu 1", "rm", _RM, "refused"),
        ("fill", "box memory 1 MiB", "rm", _RM, "refused"),
        ("clock", "box +1 h", "date", _DATE, "refused"),
        ("power", "box off=true on=relay on", "relay", _REFUSE, "refused"),
        ("service", "box stop svc", "rc-service", f"case $2 in start) {_REFUSE};; esac", "refused"),
        ("impairment", "box to=192.0.2.1 partition=yes", "ip", _IP, "A rule of routes is left."),
    ],
)
def test_an_undo_that_fails_says_what_is_left(
    open_lab: Any, tmp_path: Path, kind: str, text: str, program: str, body: str, left: str
) -> None:
    require("root")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "bin" / program).chmod(0o755)
    broken = tmp_path / "bin" / "broken"
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    session = open_lab(box={"transport": "local", "environment": environment})
    recipe = session.disturbances.recipe(kind, text)
    healing, _ = session.engine.call(session.disturbances.begin(kind, recipe))
    broken.touch()
    try:
        with pytest.raises(HostError, match="is left as it is, because the undo failed: ") as caught:
            healed(session, healing)
    finally:
        broken.unlink()
        session.engine.call(session.hosts.use("box").run_once(recipe.undo, timeout_s=60))
    assert recipe.what in str(caught.value)
    assert left in str(caught.value)
    assert not leases(tmp_path)


KILLED = """
import sys
from OttoLibrary.run.session import Session
from OttoLibrary.scenario import healing
session = Session(sys.argv[1])
made = session.disturbances.recipe("service", "box pause " + sys.argv[2])
host = session.hosts.use("box")
told = lambda sentence: print(sentence, flush=True)
one = healing.Healing(host, made.what, made.undo, lease_s=int(sys.argv[3]), told=told)
session.engine.call(one.begin(made.do))
print("paused", flush=True)
import time
time.sleep(600)
"""


@pytest.mark.parametrize("way", ["local", "sshd"])
def test_a_killed_controller_heals_within_the_lease(
    way: str, request: pytest.FixtureRequest, sleeper: Any, tmp_path: Path
) -> None:
    lab = tmp_path / "killed.json"
    lab.write_text(json.dumps({"hosts": {"box": box_of(way, request, tmp_path)}}))
    for _ in range(2):
        words = [sys.executable, "-c", KILLED, str(lab), sleeper.name, "3"]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as controller:
            assert controller.stdout is not None
            assert controller.stdout.readline().strip() == "paused"
            assert state(sleeper.pid) == "T"
            controller.send_signal(signal.SIGKILL)
        processes.wait_until(lambda: state(sleeper.pid) == "S", "it heals", 60)
        processes.wait_until(lambda: not leases(tmp_path), "the lease is gone")


def test_a_controller_that_lives_keeps_it_longer_than_the_lease(sleeper: Any, tmp_path: Path) -> None:
    lab = tmp_path / "living.json"
    lab.write_text(json.dumps({"hosts": {"box": {"transport": "local", "environment": {"TMPDIR": str(tmp_path)}}}}))
    words = [sys.executable, "-c", KILLED, str(lab), sleeper.name, "4"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline().strip() == "paused"
        (lease,) = leases(tmp_path)
        end = time.monotonic() + 5
        while time.monotonic() < end and lease.exists():
            time.sleep(0.1)
        is_paused = state(sleeper.pid) == "T"
        controller.kill()
        said = controller.stdout.read()
    # On a machine that is too busy to send a word in time it ends, and that is said.
    assert is_paused or "ended before its time" in said
    processes.wait_until(lambda: state(sleeper.pid) == "S", "it heals", 60)


# -- services, power and reboots

_INIT = """#!/bin/sh
case $1 in
start) {program} --port 0 --unixsocket {socket} --daemonize yes --save '' --pidfile {pid} >/dev/null ;;
stop) start-stop-daemon --stop --quiet --retry 10 --pidfile {pid} --exec {program} ;;
status) start-stop-daemon --status --pidfile {pid} --exec {program} ;;
esac
"""


@pytest.fixture
def service(tmp_path: Path) -> Any:
    """A real redis that init scripts start and stop; ``answers`` says whether it serves."""
    require("root", "redis-server", "start-stop-daemon")
    name = f"otto{os.getpid()}svc"
    program, control = tmp_path / name, Path("/etc/init.d") / name
    program.write_bytes(Path(str(find("redis-server"))).resolve().read_bytes())
    program.chmod(0o755)
    control.write_text(_INIT.format(program=program, socket=tmp_path / "socket", pid=tmp_path / "pid"))
    control.chmod(0o755)
    try:
        subprocess.run([control, "start"], check=True, timeout=60)
        made = Service(name, control, tmp_path / "socket")
        processes.wait_until(made.answers, "it serves", 60)
        yield made
        subprocess.run([control, "stop"], check=False, timeout=60)
    finally:
        control.unlink()


@dataclass(frozen=True)
class Service:
    name: str
    control: Path
    socket: Path

    def answers(self) -> bool:
        """Return True when it serves; redis writes the number of its process, by which it is stopped, a moment later."""
        try:
            if not self.socket.with_name("pid").read_text().strip():
                return False
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(0.5)
                line.connect(str(self.socket))
                line.sendall(b"PING\r\n")
                return line.recv(99) == b"+PONG\r\n"
        except OSError:
            return False


def test_a_service_is_stopped_paused_and_killed_and_serves_again(open_lab: Any, service: Any, tmp_path: Path) -> None:
    session = open_lab(box={"transport": "local", "environment": {"TMPDIR": str(tmp_path)}})
    for verb in ("stop", "pause"):
        text = f"box {verb} {service.name}"
        checked(session, "service", text, "healthy")
        healing = disturbed(session, "service", text)
        processes.wait_until(lambda: not service.answers(), "it serves nobody", 30)
        checked(session, "service", text, "disturbed")
        with pytest.raises(HostError, match=r"does not run|is paused already"):
            disturbed(session, "service", text)
        healed(session, healing)
        processes.wait_until(service.answers, "it serves again", 30)
        checked(session, "service", text, "healthy")
    healing = disturbed(session, "service", f"box kill {service.name}")
    processes.wait_until(lambda: not service.answers(), "it serves nobody", 30)
    subprocess.run([service.control, "start"], check=True, timeout=60)
    healed(session, healing)
    processes.wait_until(service.answers, "it serves again", 30)
    assert not leases(tmp_path)


def test_power_is_switched_by_a_real_pdudaemon(open_lab: Any, tmp_path: Path) -> None:
    require("pdudaemon", "curl")
    session = open_lab(rig={"transport": "local", "environment": {"TMPDIR": str(tmp_path)}})
    with PduDaemon(tmp_path) as pdu:
        switch = "curl -sSf '{}/power/control/{}?hostname=shelf&port=7'"
        text = f"rig off={switch.format(pdu.url, 'off')} on={switch.format(pdu.url, 'on')}"
        healing = disturbed(session, "power", text)
        pdu.wait_for("7 off")
        healed(session, healing)
        pdu.wait_for("7 off", "7 on")


def test_a_reboot_is_over_when_the_host_is_up_again(open_lab: Any, make_sshd: Any, keys: Any, tmp_path: Path) -> None:
    require("root", "unshare", "mount")
    boot_id, gone, programs = tmp_path / "boot_id", tmp_path / "gone", tmp_path / "bin"
    boot_id.write_text("first\n")
    programs.mkdir()
    (programs / "reboot").write_text(f"#!/bin/sh\ntouch {gone}\n")
    (programs / "reboot").chmod(0o755)
    mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    sshd = make_sshd(
        port=processes.free_port(),
        launcher=lambda command: ["unshare", "-m", "sh", "-c", mount, str(boot_id), *command],
        options={"SetEnv": f"PATH={programs}:/usr/bin:/bin"},
    )
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    session = open_lab(box=host)
    assert run(session, "command -v reboot", "box") == f"{programs}/reboot\n"
    with ThreadPoolExecutor(1) as pool:
        rebooting = pool.submit(session.engine.call, session.disturbances.reboot("box"))
        processes.wait_until(gone.exists, "The reboot", 60)
        sshd.kill()
        boot_id.write_text("second\n")
        assert not rebooting.done()
        sshd.start()
        rebooting.result(60)
    assert run(session, "cat /proc/sys/kernel/random/boot_id", "box") == "second\n"


# -- commands of events

BEGUN = """
import sys
from OttoLibrary.run.session import Session
session = Session(sys.argv[1])
session.engine.call(session.hosts.use("box").run_once(sys.argv[2], timeout_s=300, ends_with_us=True))
"""


@pytest.mark.parametrize("way", ["local", "sshd"])
def test_a_killed_controller_ends_the_command_of_an_event(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    lab = tmp_path / "killed.json"
    lab.write_text(json.dumps({"hosts": {"box": box_of(way, request, tmp_path)}}))
    pids = tmp_path / "pids"
    command = f"sleep 777 & echo $! >{pids}.new; mv {pids}.new {pids}; sleep 777"
    with subprocess.Popen([sys.executable, "-c", BEGUN, str(lab), command], cwd=ROOT) as controller:
        processes.wait_until(pids.exists, "the command runs", 60)
        sleeping = int(pids.read_text())
        assert not is_gone(sleeping)
        controller.send_signal(signal.SIGKILL)
    processes.wait_until(lambda: is_gone(sleeping), "what it started is ended")


def test_the_command_of_an_event_waits_for_its_own_and_what_it_leaves_runs_on(session: Session, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = f"sleep 0.1 & wait; cat; sleep 50 >/dev/null 2>&1 </dev/null & echo $! >{pids}"
    session.engine.call(session.hosts.use("box").run_once(command, timeout_s=60, ends_with_us=True))
    # The second one begins after all of the first is closed.
    session.engine.call(session.hosts.use("box").run_once("true", timeout_s=60, ends_with_us=True))
    left = int(pids.read_text())
    try:
        assert not is_gone(left)
    finally:
        os.kill(left, signal.SIGKILL)


# -- networks


@pytest.fixture
def dut(open_lab: Any, network: Any, tmp_path: Path) -> Session:
    require("root")  # the hosts are network namespaces then
    return open_lab(network.write_lab(tmp_path / "network.json"))


def run(session: Session, command: str, name: str = "dut1") -> str:
    return str(session.engine.call(session.hosts.use(name).run_once(command, timeout_s=30)).stdout)


def client(session: Session) -> str:
    return run(session, "echo ${SSH_CONNECTION%% *}").strip()


def round_trip_s(session: Session) -> float:
    """The best of some, since this machine is busy."""
    host, found = session.hosts.use("dut1"), []
    session.engine.call(host.run("true"))
    for _ in range(10):
        began = time.monotonic()
        session.engine.call(host.run("true"))
        found.append(time.monotonic() - began)
    return min(found)


def is_clean(session: Session) -> bool:
    said = run(session, "tc qdisc show; ip rule show; ip route show table 7077 2>/dev/null; ip link show; nft list ruleset || :")
    assert not any(word in said for word in (" 7e0:", "lookup 7077", "otto-relay", "otto_impairment")), said
    return True


def test_a_delay_to_one_peer_is_there_and_gone(dut: Session) -> None:
    peer = client(dut)
    healing = disturbed(dut, "impairment", f"dut1 delay=30 ms to={peer}")
    assert round_trip_s(dut) > 0.03
    with pytest.raises(HostError, match="It is impaired already"):
        disturbed(dut, "impairment", f"dut1 delay=30 ms to={peer}")
    assert round_trip_s(dut) > 0.03
    healed(dut, healing)
    assert round_trip_s(dut) < 0.03
    assert is_clean(dut)


def test_a_rate_is_bounded_by_tbf_and_the_qdisc_is_gone(dut: Session) -> None:
    dev = run(dut, "ip -o route get " + client(dut)).split(" dev ")[1].split()[0]
    recipe = dut.disturbances.recipe("impairment", f"dut1 {dev} rate=10 Mbit/s")
    healing, said = dut.engine.call(dut.disturbances.begin("impairment", recipe))
    assert said in {f"by tc netem on {dev}", f"by tc tbf on {dev}"}
    assert "7e0:" in run(dut, f"tc qdisc show dev {dev}")
    healed(dut, healing)
    assert is_clean(dut)


def test_loss_is_made_by_nft_where_there_is_no_netem_and_its_table_is_gone(dut: Session) -> None:
    require("nft")
    dev = run(dut, "ip -o route get " + client(dut)).split(" dev ")[1].split()[0]
    both = f"by nft on {dev}\nby tc tbf on {dev}"
    for text, by in ((f"{dev} loss=10 %", f"by nft on {dev}"), (f"{dev} loss=1 % rate=50 Mbit/s", both)):
        recipe = dut.disturbances.recipe("impairment", f"dut1 {text}")
        healing, said = dut.engine.call(dut.disturbances.begin("impairment", recipe))
        assert said in {by, f"by tc netem on {dev}"}
        if "nft" in said:
            assert "numgen random mod 1000000 <" in run(dut, "nft list ruleset")
            with pytest.raises(HostError, match="It is impaired already"):
                disturbed(dut, "impairment", f"dut1 {dev} loss=1 %")
        healed(dut, healing)
        assert is_clean(dut)


def test_a_qdisc_of_somebody_else_is_left_as_it_is(dut: Session) -> None:
    dev = run(dut, "ip -o route get " + client(dut)).split(" dev ")[1].split()[0]
    run(dut, f"tc qdisc add dev {dev} root handle 5: tbf rate 100mbit burst 64k latency 50ms")
    try:
        with pytest.raises(HostError, match="has a qdisc that is not ours, and it is left as it is"):
            disturbed(dut, "impairment", f"dut1 {dev} rate=10 Mbit/s")
        assert "tbf 5:" in run(dut, f"tc qdisc show dev {dev}")
    finally:
        run(dut, f"tc qdisc del dev {dev} root")


def test_the_way_by_which_the_host_is_reached_is_never_cut(dut: Session) -> None:
    peer = client(dut)
    worst = ("partition=yes", "loss=100 %", "loss=99 %", "delay=1 h", "rate=1 kbit/s")
    for text in (f"dut1 {words} to={peer}" for words in worst):
        with pytest.raises(HostError, match="would cut the way by which this host is reached"):
            disturbed(dut, "impairment", text)
    healing = disturbed(dut, "impairment", "dut1 partition=yes")
    assert run(dut, "echo still here") == "still here\n"
    healed(dut, healing)
    assert is_clean(dut)

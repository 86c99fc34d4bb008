"""Accounts as administrators set them up: other login shells, shells that end at once, start-up files that print."""

from __future__ import annotations

import os
import signal
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError, WaitTimeoutError
from OttoLibrary.run.session import Session
from OttoLibrary.transfer.files import Files
from tests.peers import processes
from tests.peers.accounts import Guest
from tests.peers.requirements import require

ANY = Expected(())
_MENU = """#!/bin/sh
echo 'Welcome to the appliance'
echo '1) status  2) reboot'
read -r choice
echo "no such entry: $choice"
exit 1
"""


class Box:
    """The host that the guest logs in to."""

    def __init__(self, session: Session, guest: Guest) -> None:
        self.session, self.guest, self.host = session, guest, session.hosts.use("box")

    def run(self, command: str, **options: Any) -> Any:
        return self.session.engine.call(self.host.run(command, **({"timeout_s": 20.0, "expected": ANY} | options)))

    def once(self, command: str, **options: Any) -> Any:
        return self.session.engine.call(self.host.run_once(command, **({"timeout_s": 20.0, "expected": ANY} | options)))

    def call(self, work: Any) -> Any:
        return self.session.engine.call(work)

    def put(self, source: Path, target: str, **options: Any) -> Any:
        work = Files(self.host, patience_s=lambda: 20.0)
        return self.call(work.put([source], target, TransferOptions(**options)))


@pytest.fixture
def open_box(open_lab: Any, make_sshd: Any, guest: Guest) -> Callable[[], Box]:
    """Log in as the guest."""

    def opened(**more: Any) -> Box:
        # Bash reads its start-up files.
        sshd = make_sshd(options={"SetEnv": "OTTO_PEER=guests"})
        login = {"user": guest.account.login, "password": guest.account.password}
        return Box(open_lab(box={"address": sshd.address, "port": sshd.port, **login, **more}), guest)

    return opened


@pytest.mark.parametrize("shell", ["fish", "tcsh", "rbash"])
def test_a_login_shell_that_is_not_posix_runs_everything(
    open_box: Callable[..., Box], guest: Guest, shell: str, tmp_path: Path
) -> None:
    require(shell)
    guest.log_in_to(f"/bin/{shell}" if shell == "rbash" else f"/usr/bin/{shell}")
    box = open_box(environment={"COLOUR": "it's \\blue! ä"})
    assert box.once('X=1; printf "%s\\n" "$X $COLOUR"; echo two >&2').stdout == "1 it's \\blue! ä\n"
    assert box.run("cd /usr; f() { echo f; }; f; pwd; printf '%s\\n' \"$COLOUR\"").stdout == "f\n/usr\nit's \\blue! ä\n"
    assert box.run("f; pwd").stdout == "f\n/usr\n"
    with pytest.raises(WaitTimeoutError):
        box.run("sleep 471 & sleep 471", timeout_s=0.5)
    assert box.run("pgrep -x -f 'sleep 471' || echo gone; pwd").stdout == "gone\n/usr\n"
    with pytest.raises(WaitTimeoutError):
        box.once("sleep 472", timeout_s=0.5)
    background = box.call(box.host.start("echo started; sleep 473"))
    box.call(background.stop())
    assert box.run("pgrep -x -f 'sleep 47[23]' || echo gone").stdout == "gone\n"
    box.call(box.host.send("expr 6 \\* 7\n"))
    box.call(box.host.expect(["42"], timeout_s=10))
    source = tmp_path / "a file"
    source.write_bytes(bytes(range(256)) * 400)
    for via in ("sftp", "scp", "console"):
        box.put(source, f"./there-{via}", via=via)
        assert (guest.account.home / f"there-{via}").read_bytes() == source.read_bytes()
    assert box.call(box.host.answer("read -p 'name? ' X; echo got $X", {"name": "me\n"})).rc == 0


@pytest.mark.parametrize("use", ["run", "once", "start", "console", "put", "watch"])
@pytest.mark.parametrize("way", ["nologin", "menu", "exit in bashrc", "expired", "silent"])
def test_a_shell_that_ends_at_once_is_a_login_error_with_its_words(
    open_box: Callable[..., Box], guest: Guest, way: str, use: str, tmp_path: Path
) -> None:
    words = {
        "nologin": "This account is currently not available",
        "menu": r"1\) status  2\) reboot.*",
        "exit in bashrc": "maintenance",
        "expired": "password has expired",
        "silent": "without a word",
    }[way]
    if way == "nologin":
        guest.log_in_to("/usr/sbin/nologin")
    elif way == "menu":
        guest.write("menu", _MENU)
        (guest.account.home / "menu").chmod(0o755)
        guest.log_in_to(str(guest.account.home / "menu"))
    elif way in {"exit in bashrc", "silent"}:
        guest.write(".bashrc", ("echo closed for maintenance\n" if way == "exit in bashrc" else "") + "exit 0\n")
    else:
        guest.expire_password()
    box = open_box()
    host, deadline = box.host, Deadline(15)
    source = tmp_path / "file"
    source.write_text("content")
    work: dict[str, Callable[[], Any]] = {
        "run": lambda: box.run("echo hello"),
        "once": lambda: box.once("echo hello"),
        "start": lambda: box.call(box.call(host.start("echo hello")).wait(deadline, ANY)),
        "console": lambda: box.call(host.send("echo hello\n")),
        "put": lambda: box.put(source, "./there", via="console"),
        "watch": lambda: box.call(host.answer_of("echo hello", deadline)),
    }
    with pytest.raises(HostError) as raised:
        work[use]()
    assert isinstance(raised.value, LoginError), raised.value
    raised.match(rf"(?s)Host 'box' refused the login: .*{words}")


_LOUD = """
echo 'loud: standard output'
echo 'loud: standard error' >&2
export TMOUT=1 PS1='prompt ' PROMPT_COMMAND='echo from prompt_command; echo error >&2'
alias ls='ls --color=always' printf='echo aliased' cd='echo no'
cd() { echo 'not there'; builtin cd "$@"; }
printf() { echo 'not printed'; }
test() { return 1; }
export -f printf test
trap 'echo "debugged: $BASH_COMMAND"' DEBUG
trap 'echo an error' ERR
"""


def test_start_up_files_that_print_and_define_break_nothing(open_box: Callable[..., Box], guest: Guest, tmp_path: Path) -> None:
    for name in (".bashrc", ".bash_profile", ".profile"):
        guest.write(name, _LOUD)
    box = open_box()
    result = box.run("cd /usr; echo out; echo error >&2; pwd")
    assert (result.stdout, result.stderr) == ("out\n/usr\n", "error\n")
    assert box.run("pwd; echo $TMOUT").stdout == "/usr\n\n"
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 400)
    for via in ("sftp", "scp", "console"):
        box.put(source, f"./there-{via}", via=via)
        assert (guest.account.home / f"there-{via}").read_bytes() == source.read_bytes()
    assert box.call(box.host.answer_of("echo exact", Deadline(10))).stdout == b"exact\n"


@pytest.mark.parametrize(
    "setting",
    [
        "PS1='(v) '; PS2='more '; PS0=zero",
        "PROMPT_COMMAND='echo prompted; echo prompted >&2'",
        "PROMPT_COMMAND=(true 'echo prompted')",
        "trap : DEBUG",
        "set -u",
        "set -uo pipefail; shopt -s nullglob failglob",
        "shopt -s expand_aliases; alias eval=false printf=false cd=false",
        "set -o noclobber -o noglob; IFS=0123456789@",
        "export TMOUT=1",
        "set -o posix",
        "set -o physical",
        "exec 3>&1 4>&2",
        "trap 'true' ERR RETURN",
        "unset PATH; PATH=/nowhere",
    ],
)
def test_settings_of_the_shell_leave_streams_and_state_exact(open_lab: Any, setting: str) -> None:
    box = open_lab(box={"transport": "local"})

    def run(command: str) -> Any:
        return box.engine.call(box.hosts.use("box").run(command, timeout_s=20.0, expected=ANY))

    run("cd /usr; X=kept")
    set_up = run(setting)
    assert (set_up.stdout, set_up.stderr) == ("", "")
    for _ in range(2):
        result = run('echo "$X $PWD"; echo error >&2')
        assert (result.stdout, result.stderr, result.rc) == ("kept /usr\n", "error\n", 0)
    assert run("(exit 7)").rc == 7


def test_an_environment_of_python_is_entered_and_left(open_lab: Any, tmp_path: Path) -> None:
    venv.create(tmp_path / "v", with_pip=False)
    session = open_lab(box={"transport": "local"})

    def run(command: str) -> Any:
        return session.engine.call(session.hosts.use("box").run(command, timeout_s=20.0, expected=ANY))

    assert run(f". {tmp_path}/v/bin/activate").stderr == ""
    result = run("echo hi; echo $VIRTUAL_ENV")
    assert (result.stdout, result.stderr) == (f"hi\n{tmp_path}/v\n", "")
    run("deactivate")
    assert run("echo ${VIRTUAL_ENV-left}").stdout == "left\n"


def test_a_trap_for_debug_prints_for_the_command_alone(open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})

    def run(command: str) -> Any:
        return session.engine.call(session.hosts.use("box").run(command, timeout_s=20.0, expected=ANY))

    run("""trap 'echo "debug: $BASH_COMMAND"' DEBUG""")
    assert run("echo one").stdout == "debug: echo one\none\n"
    assert run("trap - DEBUG").stdout == "debug: trap - DEBUG\n"
    assert run("echo two").stdout == "two\n"


def test_a_command_of_a_megabyte_runs(open_lab: Any, sshd: Any, keys: Any) -> None:
    box = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    session = open_lab(box=box)
    host = session.hosts.use("box")
    command = f"X='{'x' * (1 << 20)}'; echo ${{#X}}"
    for run in (host.run, host.run_once):
        assert session.engine.call(run(command, timeout_s=60.0)).stdout == f"{1 << 20}\n"
    background = session.engine.call(host.start(command, timeout_s=60.0))
    assert session.engine.call(background.wait(Deadline(60), Expected())).stdout == f"{1 << 20}\n"
    assert session.engine.call(host.answer(f"{command}; read Y; echo $Y", {"1048576": "yes\n"}, timeout_s=60)).rc == 0


def test_a_shell_that_ended_between_two_commands_is_told(open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})
    host = session.hosts.use("box")
    pid = int(session.engine.call(host.run("echo $$")).stdout)
    os.kill(pid, signal.SIGKILL)
    processes.wait_until(lambda: not processes.alive(pid), "The end of the shell")
    session.engine.call(host.run("true", expected=ANY))
    session.engine.call(host.run("true"))
    assert any("new" in note for record in session.journal.take_records() for note in record.notes)

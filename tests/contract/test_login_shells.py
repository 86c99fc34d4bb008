"""Accounts as administrators set them up: other login shells, shells that end at once, start-up files that print."""

from __future__ import annotations

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

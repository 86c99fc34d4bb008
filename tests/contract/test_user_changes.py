"""Being another user, on hosts whose sudo is set up in some way: it works, or the error has the real reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import LoginError, WaitTimeoutError
from OttoLibrary.run.session import Session
from OttoLibrary.shell.launch import Account
from OttoLibrary.text import Secret
from tests.peers.accounts import Guest
from tests.peers.requirements import require


@pytest.fixture
def allow(guest: Guest) -> Iterator[Callable[[str], None]]:
    """Write what sudo lets the guest do."""
    require("sudo")
    rule = Path("/etc/sudoers.d") / guest.account.login

    def written(text: str) -> None:
        rule.write_text(text.replace("GUEST", guest.account.login) + "\n")
        rule.chmod(0o440)

    yield written
    rule.unlink(missing_ok=True)


@pytest.fixture
def session(open_lab: Any, sshd: Any, guest: Guest) -> Session:
    login = {"user": guest.account.login, "password": guest.account.password}
    return open_lab(box={"address": sshd.address, "port": sshd.port, **login})


def switch(session: Session, user: str, password: str | None, method: str = "sudo") -> None:
    account = Account(user, method, Secret(password) if password is not None else None)
    session.engine.call(session.hosts.use("box").switch_user(account, Deadline(30)))


def run(session: Session, command: str, **options: Any) -> str:
    return str(session.engine.call(session.hosts.use("box").run(command, **({"timeout_s": 20.0} | options))).stdout)


@pytest.mark.parametrize("rights", ["ALL", "NOPASSWD: ALL"])
def test_a_sudo_that_wants_a_terminal_gets_one(session: Session, allow: Any, guest: Guest, rights: str) -> None:
    allow(f"Defaults:GUEST requiretty\nGUEST ALL=(ALL) {rights}")
    switch(session, "root", guest.account.password)
    assert run(session, "whoami; echo error >&2; cd /usr") == "root\n"
    assert run(session, "pwd") == "/usr\n"
    with pytest.raises(WaitTimeoutError):
        run(session, "sleep 501 & sleep 501", timeout_s=0.5)
    assert run(session, "pgrep -x -f 'sleep 501' || echo gone; pwd") == "gone\n/usr\n"
    host = session.hosts.use("box")
    assert session.engine.call(host.run_once("whoami")).stdout == "root\n"
    result = session.engine.call(host.run("printf 'a\\r\\n\\001\\003\\377b\\t'; printf 'c\\n' >&2"))
    assert (result.stdout, result.stderr) == ("a\r\n\x01\x03\\xffb\t", "c\n")


@pytest.mark.parametrize(
    ("rule", "user", "password", "method", "reason"),
    [
        ("GUEST ALL=(ALL) ALL", "root", "wrong", "sudo", "incorrect password|Sorry, try again"),
        ("GUEST ALL=(ALL) ALL", "nobody-of-this-name", None, "sudo", "unknown user"),
        ("# nothing", "root", "right", "sudo", "is not in the sudoers file|may not run sudo"),
        ("GUEST ALL=(daemon) ALL", "root", "right", "sudo", "is not allowed to run commands as"),
        ("# nothing", "root", "wrong", "su", "Authentication failure"),
        ("# nothing", "nobody-of-this-name", "any", "su", "user nobody-of-this-name does not exist"),
        ("GUEST ALL=(ALL) ALL", "root", None, "sudo", "asks for a password, and the lab's 'accounts' has none"),
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_refusal_has_the_real_reason(
    session: Session,
    allow: Any,
    guest: Guest,
    rule: str,
    user: str,
    password: str | None,
    method: str,
    reason: str,
    terminal: bool,
) -> None:
    allow(f"Defaults:GUEST requiretty\n{rule}" if terminal else rule)
    run(session, "cd /usr")
    with pytest.raises(LoginError, match=rf"^Host 'box' refused the login: switching to user '{user}' failed: .*({reason})"):
        switch(session, user, guest.account.password if password == "right" else password, method)
    assert run(session, "whoami; pwd") == f"{guest.account.login}\n/usr\n"

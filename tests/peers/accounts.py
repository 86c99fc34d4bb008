"""Accounts with a known password on this machine, while the tests run as root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.peers import processes
from tests.peers.requirements import find

_GUEST = "otto-guest-"
_PREFIXES = ("otto-test-", "otto-peer-", _GUEST)
_SUDOERS = Path("/etc/sudoers.d")


@dataclass(frozen=True)
class Account:
    login: str
    password: str = field(repr=False)
    home: Path


class Guest:
    """An account of this process whose login shell and start-up files a test sets."""

    def __init__(self) -> None:
        self.account = Account("", "", Path())

    def __enter__(self) -> Guest:
        with _alone():
            _remove(f"{_GUEST}{os.getpid()}")
            self.account = _add(f"{_GUEST}{os.getpid()}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with _alone():
            _remove(self.account.login)

    def log_in_to(self, shell: str) -> None:
        """Set the login shell."""
        with _alone():
            subprocess.run([find("usermod") or "usermod", "--shell", shell, self.account.login], check=True)

    def expire_password(self) -> None:
        """Let the host ask for a new password at the next login."""
        with _alone():
            subprocess.run([find("chage") or "chage", "--lastday", "0", self.account.login], check=True)

    def write(self, name: str, text: str) -> None:
        """Write a file of the account's home."""
        path = self.account.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        owner = pwd.getpwnam(self.account.login)
        for made in (path, *path.parents):
            if self.account.home in made.parents:
                os.chown(made, owner.pw_uid, owner.pw_gid)


class Accounts:
    """Two accounts named after this process, the first of which may become root by sudo with its password.

    What a run left behind that was ended in its midst goes first.
    """

    def __init__(self) -> None:
        self.test = self.peer = Account("", "", Path())

    def __enter__(self) -> Accounts:
        with _alone():
            for entry in pwd.getpwall():
                if (owner := _owner(entry.pw_name)) is not None and not processes.alive(owner):
                    _remove(entry.pw_name)
            try:
                self.test, self.peer = (_add(f"{prefix}{os.getpid()}") for prefix in _PREFIXES[:2])
                if find("sudo"):
                    _SUDOERS.mkdir(exist_ok=True)
                    rule = _SUDOERS / self.test.login
                    rule.write_text(f"{self.test.login} ALL=(ALL) ALL\n")
                    rule.chmod(0o440)
            except BaseException:
                self._remove_all()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with _alone():
            self._remove_all()

    def _remove_all(self) -> None:
        for prefix in _PREFIXES[:2]:
            _remove(f"{prefix}{os.getpid()}")


def _owner(login: str) -> int | None:
    for prefix in _PREFIXES:
        if login.startswith(prefix) and login.removeprefix(prefix).isdigit():
            return int(login.removeprefix(prefix))
    return None


def _add(login: str) -> Account:
    password = secrets.token_urlsafe(9)
    subprocess.run([find("useradd") or "useradd", "--create-home", "--shell", "/bin/bash", login], check=True)
    chpasswd = find("chpasswd") or "chpasswd"
    subprocess.run([chpasswd], input=f"{login}:{password}\n", text=True, check=True)
    return Account(login, password, Path(pwd.getpwnam(login).pw_dir))


def _remove(login: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (_SUDOERS / login).unlink()
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(login).pw_uid
        processes.tell(_processes_of(user), signal.SIGKILL)
        subprocess.run([find("userdel") or "userdel", "--force", "--remove", login], check=True, capture_output=True)


def _processes_of(user: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and folder.stat().st_uid == user:
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time change the accounts of this machine."""
    with (Path(tempfile.gettempdir()) / "otto-test-accounts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

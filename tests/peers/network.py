"""A lab of real servers: controller - hop1 - hop2 - dut1, dut2."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.peers import processes
from tests.peers.accounts import Accounts
from tests.peers.keys import Keys
from tests.peers.requirements import find
from tests.peers.sshd import Sshd

NAMES = ("hop1", "hop2", "dut1", "dut2")
_BEFORE = {"hop1": "", "hop2": "hop1", "dut1": "hop2", "dut2": "hop2"}
_LINK = {name: number for number, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Peer:
    """A host of the network.

    Attributes:
        name: Its name; in namespaces its host name too.
        address: As seen from its hop.
        port: As seen from its hop.
        hop: The host before it; empty for the first.
        sshd: Its server.
    """

    name: str
    address: str
    port: int
    hop: str
    sshd: Sshd


class Network:
    """The four hosts. Used as a context manager; everything is gone afterwards.

    With ``isolated``, each has a network namespace and a host name of its own, linked by veth pairs; nothing forwards IP, so that
    only a hop reaches what is behind it. Otherwise all are loopback ports of this machine.
    """

    def __init__(self, keys: Keys, accounts: Accounts | None, *, isolated: bool) -> None:
        self.isolated, self.accounts = isolated, accounts
        self.hosts: dict[str, Peer] = {}
        self.user = ""
        self._keys = keys
        self._cleanups = contextlib.ExitStack()

    def __enter__(self) -> Network:
        with contextlib.ExitStack() as cleanups:
            namespaces = cleanups.enter_context(_Namespaces()) if self.isolated else None
            for name in NAMES:
                sshd = namespaces.sshd(name, self._keys) if namespaces else Sshd(self._keys, name=name)
                cleanups.enter_context(sshd)
                self.hosts[name] = Peer(name, sshd.address, sshd.port, _BEFORE[name], sshd)
            self.user = self.hosts["hop1"].sshd.user
            self._namespaces = namespaces
            self._cleanups = cleanups.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanups.close()

    def __getitem__(self, name: str) -> Peer:
        return self.hosts[name]

    def cut(self, name: str) -> None:
        """Pull the cable between a host and its hop."""
        self._set_link(name, "down")

    def mend(self, name: str) -> None:
        """Plug the cable in again."""
        self._set_link(name, "up")

    def mend_all(self) -> None:
        """Make everything right that a test may have left wrong."""
        for peer in self.hosts.values():
            peer.sshd.resume()
            if self.isolated:
                self.mend(peer.name)
            if not peer.sshd.running:
                peer.sshd.start()

    def way(self, name: str) -> list[Peer]:
        """Return the hops to a host, itself last."""
        peer = self.hosts[name]
        return [*(self.way(peer.hop) if peer.hop else []), peer]

    def lab(self, **changes: dict[str, Any]) -> dict[str, Any]:
        """Return a lab of these hosts; ``changes`` holds further host keys by host name (``defaults`` for all)."""
        hosts = {name: self._host(peer) | changes.get(name, {}) for name, peer in self.hosts.items()}
        defaults = {"user": self.user, "identity_file": str(self._keys.identity_file), "ssh": {"agent": False}}
        known = {account.login: account.password for account in self._known_accounts()}
        return {
            "name": "network",
            "defaults": defaults | ({"accounts": known} if known else {}) | changes.get("defaults", {}),
            "hosts": hosts,
            "metadata": {"isolated": self.isolated},
        }

    def write_lab(self, path: Path, **changes: dict[str, Any]) -> Path:
        """Write ``lab()`` into a file and return its path."""
        path.write_text(json.dumps(self.lab(**changes), indent=2))
        return path

    def _known_accounts(self) -> list[Any]:
        return [self.accounts.test, self.accounts.peer] if self.accounts else []

    def _host(self, peer: Peer) -> dict[str, Any]:
        host = {
            "address": peer.address,
            "port": peer.port,
            "host_key": peer.sshd.host_key,
            "tags": [peer.name.rstrip("0123456789")],
        }
        return host | ({"hop": peer.hop} if peer.hop else {})

    def _set_link(self, name: str, state: str) -> None:
        if self._namespaces is None:
            raise RuntimeError("A network of loopback ports has no cables.")
        self._namespaces.set_link(name, state)


class _Namespaces:
    """Network namespaces ``otto-<pid>-<host>``, each linked to the one before it by a veth pair, hop1 to this machine."""

    def __init__(self) -> None:
        self._prefix = f"otto-{os.getpid()}-"

    def __enter__(self) -> _Namespaces:
        with _alone():
            for namespace in _named(r"otto-(\d+)-\w+"):
                if not processes.alive(int(namespace.split("-")[1])):
                    _remove(namespace)
            try:
                self._subnet = _free_subnet()
                for name in NAMES:
                    self._add(name)
            except BaseException:
                self._remove_all()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with _alone():
            self._remove_all()

    def sshd(self, name: str, keys: Keys) -> Sshd:
        """Return a server in the namespace of a host."""
        namespace, address = self._prefix + name, self._address(name, 2)

        def launcher(command: Sequence[str]) -> list[str]:
            script = f"hostname {name} && exec {shlex.join(command)}"
            return [_program("ip"), "netns", "exec", namespace, _program("unshare"), "--uts", "sh", "-c", script]

        def listens() -> bool:
            done = _run("ip", "netns", "exec", namespace, "cat", "/proc/net/tcp")
            # State 0A is LISTEN; 0016 is port 22.
            return any(line.split()[1].endswith(":0016") and line.split()[3] == "0A" for line in done.splitlines()[1:])

        return Sshd(keys, name=name, address=address, port=22, launcher=launcher, listens=listens)

    def set_link(self, name: str, state: str) -> None:
        _run("ip", "-n", self._prefix + name, "link", "set", "up0", state)

    def _add(self, name: str) -> None:
        namespace, before = self._prefix + name, _BEFORE[name]
        _run("ip", "netns", "add", namespace)
        _run("ip", "netns", "exec", namespace, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
        # An interface has at most 15 characters; the one here is deleted with its other end.
        inner = f"down-{name}" if before else f"otto{os.getpid()}"
        there = ["-n", self._prefix + before] if before else []
        _run("ip", *there, "link", "add", inner, "type", "veth", "peer", "name", "up0", "netns", namespace)
        _run("ip", *there, "address", "add", f"{self._address(name, 1)}/30", "dev", inner)
        _run("ip", *there, "link", "set", inner, "up")
        _run("ip", "-n", namespace, "address", "add", f"{self._address(name, 2)}/30", "dev", "up0")
        _run("ip", "-n", namespace, "link", "set", "up0", "up")
        if not before:
            # What is behind hop1 is asked of hop1, which does not forward, not of whatever else this machine is connected to.
            _run("ip", "route", "add", f"{self._subnet}.0/24", "via", self._address(name, 2))

    def _address(self, name: str, end: int) -> str:
        return f"{self._subnet}.{4 * _LINK[name] + end}"

    def _remove_all(self) -> None:
        for namespace in _named(re.escape(self._prefix) + r"\w+"):
            _remove(namespace)


def _remove(namespace: str) -> None:
    processes.tell(map(int, _run("ip", "netns", "pids", namespace).split()), signal.SIGKILL)
    _run("ip", "netns", "delete", namespace)
    _drop_link(f"otto{namespace.split('-')[1]}" if namespace.endswith("-hop1") else "")


def _drop_link(interface: str) -> None:
    """Delete an interface of this machine now: with its namespace it only goes a little later."""
    if interface:
        subprocess.run([_program("ip"), "link", "delete", interface], check=False, capture_output=True)


def _named(pattern: str) -> list[str]:
    names = [line.split()[0] for line in _run("ip", "netns", "list").splitlines() if line]
    return [name for name in names if re.fullmatch(pattern, name)]


def _free_subnet() -> str:
    """Return the first three numbers of a network that this machine does not use: 10.213.x."""
    taken = _run("ip", "-o", "-4", "address", "show") + _run("ip", "-4", "route", "show")
    for number in range(256):
        if f" 10.213.{number}." not in f" {taken}".replace("\n", " "):
            return f"10.213.{number}"
    raise RuntimeError("No network of 10.213.0.0/16 is free.")


def _program(name: str) -> str:
    return find(name) or name


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run([_program(program), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"'{shlex.join([program, *arguments])}' failed: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time change the network of this machine."""
    with (Path(tempfile.gettempdir()) / "otto-test-network.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

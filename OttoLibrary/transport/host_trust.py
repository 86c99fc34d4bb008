"""Whether the key that a server shows is the right one: the lab's, those of known_hosts files, or the one seen first.

Known hosts: the file format of OpenSSH's sshd(8).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import asyncssh

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.errors import HostKeyError
from OttoLibrary.transport import tcp
from OttoLibrary.transport.client_config import SshConfig, host_config
from OttoLibrary.transport.known_hosts import KnownKey, known_keys, named, revoked_keys

_FINGERPRINT = "SHA256:"
_LONGEST_BANNER = 500
# Where OpenSSH looks unless its configuration says otherwise.
_USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")


class HostTrust(asyncssh.SSHClient):
    """Decides whether a host key is the right one, and notes why a connection ended."""

    def __init__(self, facts: HostFacts, path: tuple[str, ...]) -> None:
        self.lost: str | None = None
        self.problem = self.banner = ""
        self.jumps: list[str] = []
        self.config = SshConfig()
        self.proxy_said = ""
        self._facts, self._path = facts, path
        self._policy = facts.host_key
        self.direct = len(path) == 1
        # Behind different hops live different hosts with one address, so the way to a host is part of its name.
        name = facts.address if facts.port in {None, 22} else f"[{facts.address}]:{facts.port}"
        self._name = name if self.direct else f"{name}/via/{'/'.join(path[:-1])}"
        self._files: list[Path] = []
        self._known: list[KnownKey] = []
        self._revoked: list[KnownKey] = []
        self._listed: list[KnownKey] = []

    def read_config(self) -> None:
        """Learn from ssh_config how to connect, which files of known keys count, and which hosts are on the way."""
        self.config = config = host_config(self._facts)
        self._files = [*_files(config, "userknownhostsfile", _USER_FILES), *_files(config, "globalknownhostsfile", _GLOBAL_FILES)]
        try:
            self._listed = revoked_keys(_files(config, "revokedhostkeys", ()), asyncssh.import_public_key)
        except ValueError as error:
            raise HostKeyError(self._facts.name, self._path, f"{error}, so it is unknown whether its key is revoked") from error
        jumps = config.text("proxyjump")
        self.jumps = [text.strip() for text in jumps.split(",")] if jumps and self.direct else []

    def known_hosts(self, host: str, addr: str, port: int | None) -> Any:
        """Return the keys on file for this host, in AsyncSSH's seven lists."""
        own = _known([known_hosts_file()], [self._name.lower()])
        with_port, without = (_known(self._files, named(host, addr, number)) for number in (port, None))
        users = with_port if any(not known.is_revoked for known in with_port) else without
        self._revoked = [known for known in dict.fromkeys([*own, *with_port, *without]) if known.is_revoked]
        self._revoked += self._listed
        trusted = self._trusted(own, users)
        # A key that the user's file has for another machine with this address proves nothing about one behind a hop.
        self._known = [known for known in trusted if known.is_host_key] if self.direct or self._policy == "strict" else []
        authorities = [known.key for known in trusted if known.is_authority]
        keys = [known.key for known in trusted if known.is_host_key]
        if _is_key(self._policy):
            keys = [asyncssh.import_public_key(self._policy)]
        return keys, authorities, [known.key for known in self._revoked], [], [], [], []

    def _trusted(self, own: list[KnownKey], users: list[KnownKey]) -> list[KnownKey]:
        # What the lab pins is the only key; what it ignores needs no other.
        if _is_key(self._policy) or self._policy == "ignore" or self._policy.startswith(_FINGERPRINT):
            return []
        both = self.direct or not any(known.is_host_key for known in own)
        return [*own, *users] if both else own

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Judge a key that is not in a file of known keys."""
        offered = key.get_fingerprint()
        if self._policy == "ignore":
            return True
        if self._policy.startswith(_FINGERPRINT):
            return self._refuse_unless(offered == self._policy, f"it shows the key {offered}, the lab pins {self._policy}")
        if _is_key(self._policy):
            pinned = asyncssh.import_public_key(self._policy).get_fingerprint()
            return self._refuse_unless(False, f"it shows the key {offered}, the lab pins {pinned}")
        if not self._known and self._policy == "strict":
            return self._refuse_unless(False, f"its host key {offered} is not in a known_hosts file, and 'host_key' is 'strict'")
        # Another process may note the same key at the same moment.
        known = self._known or _remembered(self._name, key)
        first = known[0]
        changed = f"its host key has changed: it shows {offered}, known is {first.fingerprint} ({first.place})"
        return self._refuse_unless(offered in [one.fingerprint for one in known], changed)

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Judge a key that signed a certificate and is no known authority."""
        return self._policy == "ignore"

    def refusal(self, reason: str) -> str:
        """Return why the key was refused, in the words of a sentence."""
        if not self.problem and "revoked" in reason:
            listed = [known.place.rpartition(":")[0] for known in self._listed]
            places = dict.fromkeys([*(known.place for known in self._revoked if known not in self._listed), *listed])
            return f"its host key is revoked ({', '.join(places)})"
        return self.problem or reason

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Acknowledge what comes at once, so that a server with Nagle's algorithm on does not wait."""
        own = conn.get_extra_info("socket")
        if not self.direct or own is None:
            return
        received = conn.data_received

        def data_received(data: bytes, datatype: int | None = None) -> None:
            tcp.acknowledge(own, data)
            received(data, datatype)

        conn.data_received = data_received  # type: ignore[method-assign]

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Keep what the server shows before a login, for the error when it refuses that."""
        self.banner = " ".join((self.banner + msg[:_LONGEST_BANNER]).split())[:_LONGEST_BANNER]

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why the connection ended."""
        self.lost = str(exc) if exc and str(exc) else "the connection was closed"

    def _refuse_unless(self, ok: bool, problem: str) -> bool:
        self.problem = "" if ok else problem
        return ok


def known_hosts_file() -> Path:
    """Return the file that ``accept-new`` writes: ``OTTO_KNOWN_HOSTS``, or ``~/.otto/known_hosts``."""
    return Path(os.environ.get("OTTO_KNOWN_HOSTS") or "~/.otto/known_hosts").expanduser()


def _known(files: list[Path], names: list[str]) -> list[KnownKey]:
    return known_keys(files, names, asyncssh.import_public_key)


def _remembered(name: str, key: asyncssh.SSHKey) -> list[KnownKey]:
    """Note the key of a host unless there is one by now; return what is on file."""
    path = known_hosts_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8", errors="replace") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = [one for one in _known([path], [name.lower()]) if one.is_host_key]
        if known:
            return known
        # A line that an editor left without its end would swallow this one, and any key would be the first again.
        end = "" if path.read_bytes()[-1:] in (b"", b"\n") else "\n"
        file.write(f"{end}{name} {key.export_public_key('openssh').decode().strip()}\n")
        return [KnownKey(key, "", str(path))]


def _files(config: SshConfig, option: str, usual: tuple[str, ...]) -> list[Path]:
    names = config.words(option)
    return [Path(name).expanduser() for name in (usual if names is None else names)]


def _is_key(policy: str) -> bool:
    return " " in policy.strip()

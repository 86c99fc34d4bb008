"""A real OpenSSH server of our own."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.peers import processes
from tests.peers.keys import Keys, keygen
from tests.peers.requirements import find, is_root

_STARTS = 5


class Sshd:
    """An ``sshd`` with its own configuration, keys and log.

    Args:
        keys: The clients' keys, which it lets in.
        name: What ``$OTTO_PEER`` is in its sessions.
        address: Where it listens.
        port: Where it listens; 0 for a free one.
        launcher: What makes the command that starts it into one that starts it elsewhere, such as in a network namespace.
        listens: Tells whether it listens; by default a connection is tried.
        options: Lines of sshd_config that come before ours, and so win: ``{"MaxSessions": "1"}``.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        name: str = "sshd",
        address: str = "127.0.0.1",
        port: int = 0,
        launcher: Callable[[Sequence[str]], list[str]] = list,
        listens: Callable[[], bool] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.address, self.port = name, address, port
        self.user = getpass.getuser()
        self.folder = Path(tempfile.mkdtemp(prefix="otto-sshd-"))
        # The server reads some of these files as the user who logs in.
        self.folder.chmod(0o755)
        self.log_file = self.folder / "log"
        self._id = secrets.token_hex(8)
        self._keys, self._launcher, self._listens, self._options = keys, launcher, listens or self._answers, options or {}
        self._free_port = port == 0
        self._process: subprocess.Popen[bytes] | None = None
        self._paused: list[int] = []
        self.make_host_keys()

    # -- life

    def start(self) -> Sshd:
        """Start it, at its former port when it had one, and wait until it listens."""
        for attempt in range(_STARTS):
            if self._free_port and not (self.port and attempt == 0):
                self.port = processes.free_port(self.address)
            if self._try():
                return self
        raise RuntimeError(f"sshd '{self.name}' did not start. Its log: {self.log()}")

    def stop(self) -> None:
        """End the listener, its sessions and whatever they started."""
        self.resume()
        self._end(signal.SIGTERM)
        processes.tell(processes.marked(f"OTTO_PEER_ID={self._id}"), signal.SIGKILL)

    def kill(self) -> None:
        """End the listener and its sessions at once, as a crash of the host does to whoever is connected."""
        self.resume()
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Crash, and come back at the same port."""
        self.kill()
        self.start()

    def remove(self) -> None:
        """Stop, and delete its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Sshd:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    # -- trouble

    def pause(self) -> None:
        """Freeze the listener and all of its sessions: connections stay, nobody answers."""
        self._paused = processes.freeze(self.pid)

    def resume(self) -> None:
        processes.tell(self._paused, signal.SIGCONT)
        self._paused = []

    def drop_sessions(self) -> None:
        """End all connections; the listener stays."""
        for session in self.sessions():
            processes.tell(processes.freeze(session), signal.SIGKILL)

    def make_host_keys(self) -> None:
        """Make new host keys; they count from the next start on."""
        for kind in ("ed25519", "rsa"):
            for path in (self.folder / f"host_{kind}", self.folder / f"host_{kind}.pub"):
                path.unlink(missing_ok=True)
            size = ["-b", "2048"] if kind == "rsa" else []
            keygen("-q", "-t", kind, *size, "-N", "", "-C", self.name, "-f", str(self.folder / f"host_{kind}"))

    # -- looks

    @property
    def pid(self) -> int:
        """The process id of the listener."""
        if self._process is None:
            raise RuntimeError(f"sshd '{self.name}' does not run.")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def host_key(self) -> str:
        """The line of its ed25519 host key, as a lab file takes it."""
        return " ".join((self.folder / "host_ed25519.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        return keygen("-l", "-f", str(self.folder / "host_ed25519.pub")).split()[1]

    def sessions(self) -> list[int]:
        """Return the process ids of its connections."""
        return processes.children(self.pid) if self.running else []

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # -- inside

    def _try(self) -> bool:
        config = self._configure()
        program = find("sshd")
        if program is None:
            raise FileNotFoundError("sshd is missing.")
        if is_root():
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        checked = subprocess.run([program, "-t", "-f", str(config)], capture_output=True, text=True, check=False)
        if checked.returncode:
            raise RuntimeError(f"sshd does not like its configuration: {checked.stderr}")
        # Should this process be killed, the server ends with it.
        bound = [setpriv, "--pdeathsig", "TERM"] if (setpriv := find("setpriv")) else []
        command = self._launcher([*bound, program, "-D", "-e", "-f", str(config)])
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        with contextlib.suppress(TimeoutError):
            processes.wait_until(lambda: not self.running or self._listens(), f"Starting sshd '{self.name}'")
        if self.running and self._listens() and self._owns_port():
            return True
        self.stop()
        return False

    def _owns_port(self) -> bool:
        """Tell whether it is our server that listens, not another one that was faster."""
        with contextlib.suppress(TimeoutError):
            processes.wait_until(
                lambda: not self.running or f"Server listening on {self.address} port" in self.log(), "listening"
            )
        return self.running

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.address, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self.running:
            processes.tell(processes.freeze(self._process.pid)[1:], signal.SIGKILL)
            processes.tell([self._process.pid], number)
            processes.tell([self._process.pid], signal.SIGCONT)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5)
        self._process = None

    def _configure(self) -> Path:
        (self.folder / "authorized_keys").write_text(self._keys.authorized)
        (self.folder / "authority.pub").write_text(self._keys.authority)
        lines = {
            **self._options,
            "ListenAddress": self.address,
            "Port": str(self.port),
            "PidFile": "none",
            "LogLevel": "VERBOSE",
            "AuthorizedKeysFile": str(self.folder / "authorized_keys"),
            "TrustedUserCAKeys": str(self.folder / "authority.pub"),
            "StrictModes": "no",
            "UsePAM": "yes" if is_root() and _root_is_locked() else "no",
            "PermitRootLogin": "yes",
            "PubkeyAuthentication": "yes",
            "PasswordAuthentication": "yes" if is_root() else "no",
            "KbdInteractiveAuthentication": "no",
            "MaxStartups": "200",
            "UseDNS": "no",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "AcceptEnv": "LANG LC_*",
            # With SHLVL, bash reads no start-up file of the account that runs the tests: slow ones are not ours.
            "SetEnv": f"OTTO_PEER={self.name} OTTO_PEER_ID={self._id} SHLVL=2",
            "AllowTcpForwarding": "yes",
            "AllowAgentForwarding": "yes",
            "Subsystem": "sftp internal-sftp",
        }
        if _version() >= (9, 8):
            lines.setdefault("PerSourcePenalties", "no")
        keys = [f"HostKey {shlex.quote(str(self.folder / f'host_{kind}'))}" for kind in ("ed25519", "rsa")]
        config = self.folder / "sshd_config"
        config.write_text("\n".join([*(f"{key} {value}" for key, value in (lines | self._options).items()), *keys, ""]))
        return config


def _root_is_locked() -> bool:
    """Tell whether the account of root is locked: without PAM, sshd then refuses its keys too."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/shadow").read_text().splitlines():
            if line.startswith("root:"):
                return line.split(":")[1].startswith("!")
    return False


def _version() -> tuple[int, int]:
    done = subprocess.run([find("ssh") or "ssh", "-V"], capture_output=True, text=True, check=False, env=os.environ)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", done.stderr)
    return (int(found[1]), int(found[2])) if found else (0, 0)

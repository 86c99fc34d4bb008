"""Real FTP servers of our own: vsftpd, which needs root, and pyftpdlib, each in a process of its own."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from tests.peers import processes
from tests.peers.requirements import find, require

_STARTS = 5
_EMPTY = Path("/run/vsftpd/empty")


class FtpServer:
    """An FTP server; used as a context manager, everything of it is gone afterwards.

    Args:
        user: Who may log in.
        password: With what.
        tls: ``no``, ``explicit`` or ``implicit``; then nobody gets in without.
        address: Where it listens.
        launcher: What makes the command that starts it into one that starts it elsewhere, such as in a network namespace.
        options: Further options of the server.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        user: str,
        password: str,
        *,
        tls: str = "no",
        address: str = "127.0.0.1",
        launcher: Callable[[Sequence[str]], list[str]] = list,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.user, self.password, self.tls, self.address = user, password, tls, address
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="otto-ftp-"))
        self.certificate = self.folder / "certificate.pem"
        self.log_file = self.folder / "log"
        self._launcher, self._options = launcher, options or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def lab(self) -> dict[str, Any]:
        """The ``ftp`` object of a host that has this server."""
        found = {"port": self.port, "user": self.user, "password": self.password, "tls": self.tls}
        return found | ({"certificate": self.fingerprint} if self.tls != "no" else {})

    @property
    def fingerprint(self) -> str:
        return f"SHA256:{hashlib.sha256(_der(self.certificate)).hexdigest()}"

    def start(self) -> FtpServer:
        """Start it and wait until it listens."""
        if self.tls != "no":
            make_certificate(self.certificate, self.address)
        for _ in range(_STARTS):
            self.port = processes.free_port() if self._launcher is list else 21000 + secrets.randbelow(10000)
            # Should this process be killed, the server ends with it.
            bound = [setpriv, "--pdeathsig", "TERM"] if (setpriv := find("setpriv")) else []
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    self._launcher([*bound, *self._command()]),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=Path(__file__).parents[2],
                )
            with contextlib.suppress(TimeoutError):
                processes.wait_until(lambda: not self._running or self._answers(), f"Starting {self.kind}")
            if self._running and self._answers():
                return self
            self._end()
        raise RuntimeError(f"{self.kind} did not start. Its log: {self.log_file.read_text(errors='replace')}")

    def drop_sessions(self) -> None:
        """End whatever serves somebody; the listener stays."""
        assert self._process is not None
        processes.tell(processes.descendants(self._process.pid), signal.SIGKILL)

    def crash(self) -> None:
        """End it at once."""
        self._end()

    def stop(self) -> None:
        """End it and all of its sessions, and delete its files."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> FtpServer:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _command(self) -> list[str]:
        raise NotImplementedError

    @property
    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=1) as greeted:
                return self.tls == "implicit" or greeted.recv(3) == b"220"
        except OSError:
            # In a network namespace that is not ours, it cannot be asked from here: its own log has to do.
            return self._launcher is not list and self._listens()

    def _listens(self) -> bool:
        assert self._process is not None
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/net/tcp").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                # State 0A is LISTEN.
                if state == "0A" and int(local.rpartition(":")[2], 16) == self.port:
                    return True
        return False

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        processes.tell(reversed(processes.freeze(process.pid)), signal.SIGKILL)
        process.wait(timeout=5)


class Vsftpd(FtpServer):
    """vsftpd; its accounts are those of this machine. ``options`` are lines of vsftpd.conf."""

    kind = "vsftpd"

    def _command(self) -> list[str]:
        require("root", "vsftpd")
        _EMPTY.mkdir(parents=True, exist_ok=True)
        secure = {
            "ssl_enable": "YES",
            "implicit_ssl": "YES" if self.tls == "implicit" else "NO",
            "rsa_cert_file": self.certificate,
            "force_local_logins_ssl": "YES",
            "force_local_data_ssl": "YES",
            "require_ssl_reuse": "YES",
        }
        lines = {
            "listen": "YES",
            "listen_address": self.address,
            "listen_port": self.port,
            "background": "NO",
            "anonymous_enable": "NO",
            "local_enable": "YES",
            "write_enable": "YES",
            "secure_chroot_dir": _EMPTY,
            "pam_service_name": "vsftpd",
            "xferlog_enable": "NO",
            "delay_failed_login": 0,
            **(secure if self.tls != "no" else {}),
            **self._options,
        }
        config = self.folder / "vsftpd.conf"
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        config.chmod(0o600)
        return [find("vsftpd") or "vsftpd", str(config)]


class Pyftpdlib(FtpServer):
    """pyftpdlib with one account of its own, that sees the whole of this machine; ``options`` are attributes of its handler."""

    kind = "pyftpdlib"

    def _command(self) -> list[str]:
        words = {"user": self.user, "password": self.password, "address": self.address, "port": self.port}
        secure = {"certificate": str(self.certificate)} if self.tls != "no" else {}
        config = self.folder / "pyftpdlib.json"
        config.write_text(json.dumps(words | secure | {"options": self._options}))
        config.chmod(0o600)
        return [sys.executable, "-m", "tests.peers.ftp", str(config)]


def make_certificate(path: Path, address: str) -> None:
    """Write a key and a self-signed certificate for an address into a file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "otto test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    path.chmod(0o600)


def _der(path: Path) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(serialization.Encoding.DER)


def serve(config: dict[str, Any]) -> None:
    """Be a pyftpdlib server until this process ends."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.servers import FTPServer

    authorizer = DummyAuthorizer()
    authorizer.add_user(config["user"], config["password"], "/", perm="elradfmwMT")
    attributes = {"authorizer": authorizer, "auth_failed_timeout": 0, **config["options"]}
    if "certificate" in config:
        secure = {"certfile": config["certificate"], "tls_control_required": True, "tls_data_required": True}
        handler = type("Handler", (TLS_FTPHandler,), attributes | secure)
    else:
        handler = type("Handler", (FTPHandler,), attributes)
    FTPServer((config["address"], config["port"]), handler).serve_forever()


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text()))

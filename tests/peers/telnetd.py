"""Real Telnet servers on a loopback port: GNU inetutils' and busybox's, with real logins or a program of the test's."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from tests.peers import processes
from tests.peers.requirements import find

KINDS = ("inetutils", "busybox")


class Telnetd:
    """A Telnet server.

    Args:
        kind: ``inetutils`` or ``busybox``.
        login: The program that asks for user and password; by default ``login``, which needs root.
        folder: Where it may write, needed with ``login`` for inetutils.
    """

    def __init__(self, kind: str, login: Path | None = None) -> None:
        self.kind, self.address = kind, "127.0.0.1"
        self._login = login
        self._id = secrets.token_hex(8)
        self._environment = os.environ | {"OTTO_PEER_ID": self._id}
        self._listener: socket.socket | None = None
        self._busybox: subprocess.Popen[bytes] | None = None
        self._served: list[subprocess.Popen[bytes]] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, at the same port as before."""
        if self.kind == "busybox":
            self._start_busybox()
        else:
            self._listener = socket.create_server((self.address, self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def drop_sessions(self) -> None:
        """End all logins, as a crash would."""
        for one in self._served:
            processes.tell([*processes.descendants(one.pid), one.pid], signal.SIGKILL)
            one.wait()
        self._served.clear()
        if self._busybox is not None:
            processes.tell(processes.descendants(self._busybox.pid), signal.SIGKILL)

    def stop(self) -> None:
        """End it and its logins."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop_sessions()
        busybox, self._busybox = self._busybox, None
        if busybox is not None:
            busybox.kill()
            busybox.wait()
        processes.tell(processes.marked(f"OTTO_PEER_ID={self._id}"), signal.SIGKILL)

    def __enter__(self) -> Telnetd:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _start_busybox(self) -> None:
        self.port = self.port or processes.free_port(self.address)
        words = [find("busybox") or "busybox", "telnetd", "-F", "-b", self.address, "-p", str(self.port)]
        words += ["-l", str(self._login)] if self._login else []
        self._busybox = subprocess.Popen(words, env=self._environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.wait_until(self._listens, "busybox telnetd listens")

    def _listens(self) -> bool:
        """Look without connecting: each connection starts a login."""
        wanted = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return wanted in Path("/proc/net/tcp").read_text()

    def _serve(self, listener: socket.socket) -> None:
        words = [find("telnetd") or "telnetd", "--no-hostinfo"]
        words += [f"--exec-login={self._login}"] if self._login else []
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    self._served.append(
                        subprocess.Popen(words, env=self._environment, stdin=client, stdout=client, stderr=client)
                    )


USER, PASSWORD = "tester", "secret-word"
_LOGIN = """#!/bin/sh
while :; do
  printf 'box login: '
  read -r user || exit
  stty -echo
  printf 'Password: '
  read -r word
  stty echo
  echo
  [ "$user $word" = "{user} {password}" ] && break
  sleep {refusal_s}
  echo 'Login incorrect'
done
{after}
exec {shell}
"""


def login_program(folder: Path, shell: str, after: str = "echo Welcome.", refusal_s: float = 0.1) -> Path:
    """Return a program that asks for ``USER`` and ``PASSWORD`` and then is a shell."""
    program = folder / "login"
    program.write_text(_LOGIN.format(user=USER, password=PASSWORD, refusal_s=refusal_s, after=after, shell=shell))
    program.chmod(0o755)
    return program

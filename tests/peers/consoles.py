"""Serial consoles: a pseudo-terminal as the port, and another one on which a program runs, with a wire between them."""

from __future__ import annotations

import contextlib
import os
import pty
import secrets
import select
import signal
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.peers import processes
from tests.peers.requirements import find

PLAYER = Path(__file__).with_name("bootlog.py")


class SerialConsole:
    """A device with a serial console.

    Args:
        command: What runs on its terminal, again and again; takes the name of the terminal.
        environment: Variables for it, beside ours.
        on_open: Start it when somebody opens the port.

    Attributes:
        device: The port, to be opened by the one under test.
        piece_bytes: The largest piece that goes over the wire at once.
        delay_s: How long each piece waits.
    """

    def __init__(
        self, command: Callable[[str], Sequence[str]], environment: Mapping[str, str] | None = None, *, on_open: bool = False
    ) -> None:
        self.piece_bytes, self.delay_s = 65536, 0.0
        self._id = secrets.token_hex(8)
        self._environment = os.environ | {"OTTO_PEER_ID": self._id, "TERM": "vt100"} | dict(environment or {})
        self._wire, port = pty.openpty()
        tty.setraw(port)
        self.device = os.ttyname(port)
        os.close(port)
        self._terminal, self._slave = pty.openpty()
        self._command = command(os.ttyname(self._slave))
        self._stopped, self._opened = threading.Event(), threading.Event()
        if not on_open:
            self._opened.set()
        self._unplugged = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._carry, self._respawn)]
        for thread in self._threads:
            thread.start()

    def unplug(self) -> None:
        """Take the port away."""
        self._unplugged = True
        os.close(self._wire)

    def stop(self) -> None:
        self._stopped.set()
        self._opened.set()
        processes.tell(processes.marked(f"OTTO_PEER_ID={self._id}"), signal.SIGKILL)
        for thread in self._threads:
            thread.join(5)
        for descriptor in (self._terminal, self._slave, *([] if self._unplugged else [self._wire])):
            os.close(descriptor)

    def __enter__(self) -> SerialConsole:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _respawn(self) -> None:
        words = [find("setsid") or "setsid", "--ctty", "--wait", *self._command]
        fresh = termios.tcgetattr(self._slave)
        self._opened.wait()
        while not self._stopped.is_set():
            termios.tcsetattr(self._slave, termios.TCSANOW, fresh)
            subprocess.run(words, env=self._environment, stdin=self._slave, stdout=self._slave, stderr=self._slave, check=False)

    def _carry(self) -> None:
        ways = {self._wire: self._terminal, self._terminal: self._wire}
        while not self._stopped.is_set() and not self._unplugged:
            with contextlib.suppress(OSError, ValueError):
                if not self._opened.is_set() and self._is_open():
                    self._opened.set()
                ready, _, _ = select.select(list(ways), [], [], 0.1)
                for source in ready:
                    self._pass_on(source, ways[source])

    def _is_open(self) -> bool:
        look = select.poll()
        look.register(self._wire, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in look.poll(0))

    def _pass_on(self, source: int, target: int) -> None:
        try:
            data = os.read(source, 65536)
        except OSError:  # nobody has the port open
            time.sleep(0.01)
            return
        while data:
            time.sleep(self.delay_s)
            piece, data = data[: self.piece_bytes], data[self.piece_bytes :]
            os.write(target, piece)


def getty(terminal: str) -> list[str]:
    """A real login; needs root."""
    return [find("busybox") or "busybox", "getty", "-L", "115200", terminal.removeprefix("/dev/"), "vt100"]


def shell(terminal: str) -> list[str]:
    """A console that is logged in already."""
    return [find("busybox") or "busybox", "sh", "-i"]


def boot(terminal: str) -> list[str]:
    """A device that boots: a boot loader with a prompt, a kernel, a login."""
    return [find("python3") or "python3", str(PLAYER)]

"""What pabot starts for a suite when a warm process is there: it hands everything over and waits for the exit status.

    python -I -S warm_stub.py python -m robot ... -A pabot_results/0/robot_argfile.txt

It imports next to nothing, so that it costs a few milliseconds. Where the warm process does not answer, it becomes the ordinary
suite process.
"""

import os
import signal
import socket
import sys

WARM = "OTTO_PABOT_WARM"
BROKEN = 255
_ANSWER_S = 10.0


def main() -> int:
    """Return the exit status of the suite."""
    server = _connected(os.environ[WARM])
    if server is None:
        command = [sys.executable, "-m", "OttoLibrary.parallel.suite_process", *sys.argv[1:]]
        os.execv(sys.executable, command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: server.send(bytes([number])))
    _hand_over(server)
    status = server.recv(1)
    return status[0] if status else BROKEN


def user_of(connection: socket.socket) -> int:
    """Return the user id of who is at the other end of a local socket."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _connected(name: str) -> socket.socket | None:
    """Return a connection to the warm process, or None when it is not there; nobody else gets what is handed over."""
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(_ANSWER_S)
    try:
        server.connect(f"\0{name}")
    except OSError:
        return None
    server.settimeout(None)
    return server if user_of(server) == os.getuid() else None


def _hand_over(server: socket.socket) -> None:
    umask = os.umask(0)
    os.umask(umask)
    variables = (b"%s=%s" % pair for pair in os.environb.items())
    parts = [
        os.fsencode(os.getcwd()),  # noqa: PTH109 - pathlib costs more than all of this
        b"%d" % umask,
        b"%d" % len(os.environb),
        *variables,
        *map(os.fsencode, sys.argv[1:]),
    ]
    request = b"\0".join(parts)
    socket.send_fds(server, [b"%16d" % len(request)], [0, 1, 2])
    server.sendall(request)


if __name__ == "__main__":
    sys.exit(main())

"""ZeroMQ's wire for a client, ZMTP 3.0 without encryption: enough to send results and to hear orders without a package.

It talks to the PULL, PUB and ROUTER sockets of any HQ.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque

_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
_VERSION_END = 12
_MORE, _LONG, _COMMAND = 1, 2, 4
_LARGEST = 64 << 20
_HANDSHAKE_S = 10.0
# A peer that takes nothing for so long is as good as gone.
_STUCK_S = 60.0


class Disconnected(ConnectionError):
    """The peer cannot be reached, ended the connection, or does not speak ZMTP."""


class WrongKeys(Exception):
    """The peer will never let this one in: it wants keys that this one does not have."""


class ZmtpConnection:
    """One connection to a bound socket of ZeroMQ.

    Args:
        address: Where the peer listens.
        port: Its port.
        kind: What this end is: ``PUSH``, ``SUB`` or ``DEALER``.

    Raises:
        Disconnected: No connection, or the peer is no such socket.
        WrongKeys: The peer wants keys.
    """

    def __init__(self, address: str, port: int, kind: str) -> None:
        self.where = f"{address}:{port}"
        self._data = bytearray()
        self._messages: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._closed = False
        try:
            self._socket = socket.create_connection((address, port), _HANDSHAKE_S)
        except OSError as error:
            raise Disconnected(f"{self.where} cannot be reached: {error.strerror or error}") from error
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._shake_hands(kind)
        except BaseException:
            self.close()
            raise

    def _shake_hands(self, kind: str) -> None:
        # The peer says what it wants once it knows the version, and hangs up on who offers something else.
        self._write(_GREETING[:_VERSION_END])
        theirs = self._read_exactly(64, time.monotonic() + _HANDSHAKE_S)
        if theirs[:1] != b"\xff" or theirs[9:10] != b"\x7f" or theirs[10] < 3:
            raise Disconnected(f"{self.where} does not speak ZMTP 3")
        if theirs[12:32].rstrip(b"\0") != b"NULL":
            wanted = theirs[12:32].rstrip(b"\0").decode("ascii", "replace")
            raise WrongKeys(f"The HQ at {self.where} wants the security mechanism {wanted}, and this turret was given no keys")
        self._write(_GREETING[_VERSION_END:])
        properties = _property("Socket-Type", kind.encode()) + _property("Identity", b"")
        body = b"\x05READY" + properties
        self._write(bytes([_COMMAND, len(body)]) + body)
        end = time.monotonic() + _HANDSHAKE_S
        while not self._ready(kind):
            self._fill(end)

    def _ready(self, kind: str) -> bool:
        frame = self._take_frame()
        if frame is None:
            return False
        flags, body = frame
        if not flags & _COMMAND or not body.startswith(b"\x05READY"):
            raise Disconnected(f"{self.where} refused a {kind} socket: {body[:80]!r}")
        return True

    def subscribe(self, topic: bytes) -> None:
        """Ask a PUB for what begins with ``topic``."""
        self.send(b"\x01" + topic)

    def send(self, message: bytes) -> None:
        """Send one message of one frame; raise Disconnected."""
        size = len(message)
        self._write((struct.pack("!BB", 0, size) if size < 256 else struct.pack("!BQ", _LONG, size)) + message)

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the last frame of the next message, or None when there is none in time; raise Disconnected."""
        end = time.monotonic() + timeout_s
        while not self._take_messages():
            if not self._fill(end, patient=True):
                return None
        return self._messages.popleft()

    def close(self) -> None:
        """End the connection; what was sent still arrives. Idempotent."""
        self._closed = True
        self._socket.close()

    def _take_messages(self) -> bool:
        while not self._messages:
            frame = self._take_frame()
            if frame is None:
                return False
            flags, body = frame
            if flags & _COMMAND:
                continue
            if not flags & _MORE:
                self._messages.append(body)
        return True

    def _take_frame(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        flags, start, size = data[0], 2, data[1]
        if flags & _LONG:
            if len(data) < 9:
                return None
            start, size = 9, struct.unpack_from("!Q", data, 1)[0]
        if size > _LARGEST:
            raise Disconnected(f"{self.where} sent a frame of {size} bytes")
        if len(data) < start + size:
            return None
        body = bytes(data[start : start + size])
        del data[: start + size]
        return flags, body

    def _read_exactly(self, size: int, end: float) -> bytes:
        while len(self._data) < size:
            self._fill(end)
        found = bytes(self._data[:size])
        del self._data[:size]
        return found

    def _fill(self, end: float, *, patient: bool = False) -> bool:
        """Read what has come; return False when nothing came in time and the caller is patient."""
        try:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                if patient:
                    return False
                raise Disconnected(f"{self.where} did not answer in time")
            received = self._socket.recv(1 << 18)
        except (OSError, ValueError) as error:
            raise Disconnected(f"The connection to {self.where} broke: {error}") from error
        if not received:
            raise Disconnected(f"{self.where} ended the connection")
        self._data += received
        return True

    def _write(self, data: bytes) -> None:
        if self._closed:
            raise Disconnected(f"The connection to {self.where} is closed")
        try:
            self._socket.settimeout(_STUCK_S)
            self._socket.sendall(data)
        except OSError as error:
            # What was sent of the frame makes the rest unreadable.
            self.close()
            raise Disconnected(f"The connection to {self.where} broke: {error}") from error


def _property(name: str, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name.encode() + struct.pack("!I", len(value)) + value

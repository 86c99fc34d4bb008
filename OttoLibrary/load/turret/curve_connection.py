"""A connection to an HQ that has keys: what ``ZmtpConnection`` is, encrypted. The only file of a turret that needs a package."""

from __future__ import annotations

import time
from typing import Any

from OttoLibrary.load.turret.transactions import ScriptError
from OttoLibrary.load.turret.zmtp import Disconnected, WrongKeys

_HANDSHAKE_S = 10.0
_STUCK_MS = 60_000
_MOST_WAITING = 1000
# A peer that goes in the midst of a handshake may be one that ends; who does it again has other keys.
_VAGUE_ENOUGH = 2


class CurveConnection:
    """One encrypted connection to a bound socket of ZeroMQ.

    Args:
        address: Where the peer listens.
        port: Its port.
        kind: What this end is, such as ``DEALER``.
        keys: ``public`` and ``secret``, and the public key of the peer as ``server``.

    Raises:
        Disconnected: No connection in time.
        WrongKeys: The peer has other keys, or does not let these in.
        ScriptError: pyzmq is not installed here, or these are no keys.
    """

    def __init__(self, address: str, port: int, kind: str, keys: dict[str, str]) -> None:
        try:
            import zmq
            from zmq.utils.monitor import parse_monitor_message
        except ImportError as error:
            raise ScriptError(f"This turret has keys, for which it needs the package pyzmq ({error})") from error
        self.where = f"{address}:{port}"
        self._zmq, self._parse = zmq, parse_monitor_message
        self._context: Any = zmq.Context()
        self._socket: Any = self._context.socket(getattr(zmq, kind))
        self._monitor: Any = None
        try:
            self._set_up(keys)
            # ZeroMQ would connect again by itself; whoever is told here does that.
            self._monitor = self._socket.get_monitor_socket(zmq.EVENT_ALL)
            self._socket.connect(f"tcp://{address}:{port}")
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def send(self, message: bytes) -> None:
        """Send one message of one frame; raise Disconnected."""
        try:
            self._socket.send(message)
        except self._zmq.ZMQError as error:
            raise Disconnected(f"The connection to {self.where} broke: {error}") from error

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the last frame of the next message, or None when there is none in time; raise Disconnected."""
        if self._socket.poll(int(timeout_s * 1000)):
            return bytes(self._socket.recv_multipart()[-1])
        while self._monitor.poll(0):
            if self._next_event() in {self._zmq.EVENT_DISCONNECTED, self._zmq.EVENT_CLOSED}:
                raise Disconnected(f"{self.where} ended the connection")
        return None

    def close(self) -> None:
        """End the connection; what was sent still arrives. Idempotent."""
        self._socket.disable_monitor()
        if self._monitor is not None:
            self._monitor.close(linger=0)
        self._socket.close(linger=1000)
        self._context.term()

    def _set_up(self, keys: dict[str, str]) -> None:
        zmq = self._zmq
        try:
            self._socket.curve_serverkey = keys["server"].encode()
            self._socket.curve_publickey, self._socket.curve_secretkey = keys["public"].encode(), keys["secret"].encode()
        except (zmq.ZMQError, KeyError, ValueError) as error:
            raise ScriptError(f"The keys of this turret are no keys of CURVE: {error}") from error
        self._socket.setsockopt(zmq.SNDTIMEO, _STUCK_MS)
        self._socket.setsockopt(zmq.SNDHWM, _MOST_WAITING)

    def _shake_hands(self) -> None:
        zmq, vague = self._zmq, 0
        end = time.monotonic() + _HANDSHAKE_S
        while (rest_s := end - time.monotonic()) > 0:
            if not self._monitor.poll(int(rest_s * 1000)):
                break
            event = self._next_event()
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return
            vague += event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            clear = event in {zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL}
            if clear or vague >= _VAGUE_ENOUGH:
                raise WrongKeys(
                    f"The HQ at {self.where} and this turret do not have the keys of one project: the handshake failed. "
                    "Pack the turret anew with the keys of that HQ"
                )
        raise Disconnected(f"{self.where} cannot be reached, or did not answer in time")

    def _next_event(self) -> int:
        return int(self._parse(self._monitor.recv_multipart())["event"])

"""The sockets of an HQ, as OCT has them, and one more for turrets of ours; the only file that knows pyzmq."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from OttoLibrary.errors import PluginError, UsageError

if TYPE_CHECKING:
    import zmq

LOOPBACK = "127.0.0.1"
# What installs all that load needs.
EXTRA = "robotframework-ottolibrary[load]"
# What a socket keeps before the senders have to wait; OCT's HQ had no bound.
_MOST_WAITING = 20_000
_MOST_BATCHES_WAITING = 200
_LARGEST_BYTES = 64 << 20
_DOMAIN = b"otto"


def require_zmq() -> Any:
    """Return pyzmq; raise PluginError with the command that installs it."""
    try:
        import zmq
    except ImportError as error:
        raise PluginError.missing_package("Load", EXTRA, error) from error
    return zmq


def _plain_key(key: str) -> bytes:
    from zmq.utils import z85

    return z85.decode(key)


@dataclass(frozen=True)
class CurveKeys:
    """The keys of an HQ.

    Attributes:
        public: What turrets know it by.
        secret: What proves that it is the one.
        turrets: The public keys of those that are let in.
    """

    public: str
    secret: str = field(repr=False)
    turrets: tuple[str, ...] = ()


class HqSockets:
    """Three sockets of an HQ, and a fourth that publishes results on request.

    Args:
        address: Where they listen.
        publish_port: Orders to turrets of OCT; 0 means a free port.
        rc_port: Status and results of turrets of OCT.
        own_port: Both, of turrets of ours.
        external_publisher: Where results are published for others; None for nowhere.
        keys: With keys all is encrypted, and nobody else's are let in; None for neither.

    Raises:
        PluginError: pyzmq is not installed.
        UsageError: A port is taken.
    """

    def __init__(
        self,
        address: str = LOOPBACK,
        publish_port: int = 0,
        rc_port: int = 0,
        own_port: int = 0,
        external_publisher: int | None = None,
        keys: CurveKeys | None = None,
    ) -> None:
        self._zmq = require_zmq()
        self._keys = keys
        self._let_in = {_plain_key(key) for key in keys.turrets} if keys is not None else set()
        self._door: Any = None
        self._monitors: dict[Any, int] = {}
        self._poller = self._zmq.Poller()
        self._context = self._zmq.Context()
        self._sockets: list[Any] = []
        self.address = address
        try:
            if keys is not None:
                self._open_door()
            self._orders, self.publish_port = self._bind(self._zmq.PUB, publish_port)
            self._reports, self.rc_port = self._bind(self._zmq.PULL, rc_port)
            self._own, self.own_port = self._bind(self._zmq.ROUTER, own_port, _MOST_BATCHES_WAITING)
            self._external = self._bind(self._zmq.PUB, external_publisher)[0] if external_publisher is not None else None
        except BaseException:
            self.close()
            raise
        for each in (self._reports, self._own):
            self._poller.register(each, self._zmq.POLLIN)

    def _bind(self, kind: int, port: int, most_waiting: int = _MOST_WAITING) -> tuple[zmq.Socket[bytes], int]:
        made = self._context.socket(kind)
        self._sockets.append(made)
        made.setsockopt(self._zmq.LINGER, 1000)
        made.setsockopt(self._zmq.RCVHWM, most_waiting)
        made.setsockopt(self._zmq.SNDHWM, _MOST_WAITING)
        made.setsockopt(self._zmq.MAXMSGSIZE, _LARGEST_BYTES)
        if self._keys is not None:
            self._lock(made, self._keys)
        try:
            if port == 0:
                port = made.bind_to_random_port(f"tcp://{self.address}", 20000, 60000)
            else:
                made.bind(f"tcp://{self.address}:{port}")
        except self._zmq.ZMQError as error:
            raise UsageError(
                f"The HQ cannot listen on {self.address}:{port}: {error.strerror}. "
                "End what listens there, or choose another port."
            ) from error
        if self._keys is not None:
            self._watch_handshakes(made, port)
        return made, port

    # -- keys

    def _lock(self, made: Any, keys: CurveKeys) -> None:
        made.curve_server = True
        made.curve_publickey, made.curve_secretkey = keys.public.encode(), keys.secret.encode()
        # Without a domain nobody is asked who may come in.
        made.zap_domain = _DOMAIN

    def _open_door(self) -> None:
        """Open what ZeroMQ asks for each peer whether it may come in (its protocol ZAP)."""
        self._door = self._context.socket(self._zmq.REP)
        self._sockets.append(self._door)
        self._door.bind("inproc://zeromq.zap.01")
        self._poller.register(self._door, self._zmq.POLLIN)

    def _watch_handshakes(self, made: Any, port: int) -> None:
        zmq = self._zmq
        failures = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        monitor = made.get_monitor_socket(failures)
        self._sockets.append(monitor)
        self._monitors[monitor] = port
        self._poller.register(monitor, zmq.POLLIN)

    def take_refusals(self) -> list[str]:
        """Let in who has a key, and return why others were not; to be called after each wait."""
        if self._door is None:
            return []
        found = []
        while self._door.poll(0):
            found += self._answer(self._door.recv_multipart())
        for monitor, port in self._monitors.items():
            while monitor.poll(0):
                monitor.recv_multipart()
                found.append(f"Somebody without the keys of this HQ was not let in at port {port}: the handshake failed")
        return found

    def _answer(self, frames: list[bytes]) -> list[str]:
        version, request, _, address, _, mechanism, *credentials = frames
        known = mechanism == b"CURVE" and credentials and credentials[0] in self._let_in
        status, text = (b"200", b"OK") if known else (b"400", b"not known here")
        self._door.send_multipart([version, request, status, text, b"", b""])
        return [] if known else [f"Somebody with a key that is not of this project was not let in, from {address.decode()}"]

    def watch(self, descriptor: int) -> None:
        """End a wait also when something can be read from a file descriptor."""
        self._poller.register(descriptor, self._zmq.POLLIN)

    def forget(self, descriptor: int) -> None:
        """Look at a file descriptor no longer."""
        self._poller.unregister(descriptor)

    def wait(self, timeout_s: float) -> None:
        """Wait until something has come."""
        self._poller.poll(timeout_s * 1000)

    def publish(self, message: bytes) -> None:
        """Send an order to all turrets of OCT."""
        self._orders.send(message)

    def publish_result(self, topic: bytes, message: bytes) -> None:
        """Publish a result for others, where there is a port for it."""
        if self._external is not None:
            self._external.send_multipart([topic, message])

    def take_reports(self, most: int) -> list[list[bytes]]:
        """Return the frames of messages of turrets of OCT, at most so many."""
        return self._take(self._reports, most)

    def take_own(self, most: int) -> list[list[bytes]]:
        """Return the frames of messages of turrets of ours, each after the frame that says whose it is."""
        return self._take(self._own, most)

    def _take(self, source: Any, most: int) -> list[list[bytes]]:
        found: list[list[bytes]] = []
        no_wait, again = self._zmq.NOBLOCK, self._zmq.Again
        try:
            while len(found) < most:
                found.append(source.recv_multipart(no_wait))
        except again:
            pass
        return found

    def tell(self, who: bytes, message: bytes) -> None:
        """Send something to one turret of ours; to one that is gone, nothing."""
        self._own.send_multipart([who, message], self._zmq.NOBLOCK)

    def close(self) -> None:
        """Close all; idempotent."""
        for each in self._sockets if self._monitors else ():
            if each not in self._monitors and each is not self._door:
                each.disable_monitor()
        for each in self._sockets:
            each.close()
        self._sockets.clear()
        self._context.term()

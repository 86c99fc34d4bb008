"""Tunnels in both directions, over every kind of way that can carry one."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, HostError, UsageError
from OttoLibrary.host import tunnel
from OttoLibrary.run.session import Session
from tests.peers import processes

WAYS = ["local", "sshd", "demo"]


class _Upper(socketserver.StreamRequestHandler):
    """Answers all that it got, once it has the end of it, in capitals."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 200


@pytest.fixture
def upper() -> Iterator[int]:
    """The port of a server that answers in capitals after the end of its input."""
    with _Server(("127.0.0.1", 0), _Upper) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def open_way(request: pytest.FixtureRequest, open_lab: Any) -> Callable[[str], tuple[Session, str]]:
    def opened(way: str) -> tuple[Session, str]:
        if way == "local":
            return open_lab(box={"transport": "local"}), "box"
        if way == "demo":
            return open_lab("demo"), "dut1"
        sshd, keys = request.getfixturevalue("sshd"), request.getfixturevalue("keys")
        host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
        return open_lab(box=host), "box"

    return opened


def asked(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        found = b""
        while data := client.recv(1 << 16):
            found += data
        return found


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("direction", ["to", "from"])
def test_both_directions_carry_bytes_and_each_end_by_itself(open_way: Any, upper: int, way: str, direction: str) -> None:
    session, name = open_way(way)
    opening = tunnel.to_host if direction == "to" else tunnel.from_host
    made = session.engine.call(opening(session.hosts.use(name), upper, Deadline(20)))
    assert made.port not in (0, upper)
    text = b"hello tunnel " * 40_000
    assert asked(made.port, text) == text.upper()
    assert [asked(made.port, b"x%d" % number) for number in range(5)] == [b"X%d" % number for number in range(5)]
    assert made.carried == 6
    session.engine.call(made.close())
    session.engine.call(made.close())
    assert refused(made.port)


@pytest.mark.parametrize("way", WAYS)
def test_many_connections_are_carried_at_once(open_way: Any, upper: int, way: str) -> None:
    session, name = open_way(way)
    made = session.engine.call(tunnel.to_host(session.hosts.use(name), upper, Deadline(20)))
    clients = [socket.create_connection(("127.0.0.1", made.port), timeout=20) for _ in range(50)]
    for number, client in enumerate(clients):
        client.sendall(b"a%d" % number)
        client.shutdown(socket.SHUT_WR)
    assert [client.recv(100) for client in clients] == [b"A%d" % number for number in range(50)]
    for client in clients:
        client.close()
    session.engine.call(made.close())


def test_two_hops_carry_a_tunnel_in_both_directions(open_lab: Any, network: Any, tmp_path: Path, upper: int) -> None:
    session = open_lab(network.write_lab(tmp_path / "network.json"))
    host = session.hosts.use("dut1")
    back = session.engine.call(tunnel.from_host(host, upper, Deadline(30)))
    there = session.engine.call(tunnel.to_host(host, back.port, Deadline(30)))
    assert asked(there.port, b"far away") == b"FAR AWAY"
    session.engine.call(there.close())
    session.engine.call(back.close())


def test_a_connection_that_is_open_ends_with_the_tunnel(open_way: Any, upper: int) -> None:
    session, name = open_way("sshd")
    made = session.engine.call(tunnel.to_host(session.hosts.use(name), upper, Deadline(20)))
    with socket.create_connection(("127.0.0.1", made.port), timeout=20) as client:
        client.sendall(b"a")
        session.engine.call(made.close())
        # The answer may have come before the end, which a reset tells too.
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) in {b"", b"A"}
            assert client.recv(10) == b""


def test_nobody_at_the_other_end_closes_the_connection_and_is_told(open_way: Any) -> None:
    session, name = open_way("sshd")
    told: list[str] = []
    opening = tunnel.to_host(session.hosts.use(name), processes.free_port(), Deadline(20), tell=told.append)
    made = session.engine.call(opening)
    assert asked(made.port, b"") == b""
    assert len(told) == 1
    assert "could not carry a connection" in told[0]
    session.engine.call(made.close())


def test_a_taken_port_is_a_sentence(open_way: Any, upper: int) -> None:
    session, name = open_way("sshd")
    with pytest.raises(UsageError, match=rf"^Port {upper} of this machine cannot be used: .*Choose another\.$"):
        session.engine.call(tunnel.to_host(session.hosts.use(name), 80, Deadline(20), here_port=upper))
    with pytest.raises(ConnectError, match=rf"port {upper} for a tunnel back could not be opened"):
        session.engine.call(tunnel.from_host(session.hosts.use(name), 80, Deadline(20), host_port=upper))


@pytest.mark.parametrize(("reached", "listening"), [(99999, 0), (0, 0), (-5, 0), (80, 70000)])
def test_what_is_no_port_is_refused_before_anything_opens(open_way: Any, reached: int, listening: int) -> None:
    session, name = open_way("local")
    with pytest.raises(UsageError, match=r"^-?\d+ is not a port\. Write a number from 1 to 65535\.$"):
        session.engine.call(tunnel.to_host(session.hosts.use(name), reached, Deadline(20), here_port=listening))
    with pytest.raises(UsageError, match="is not a port"):
        session.engine.call(tunnel.from_host(session.hosts.use(name), reached, Deadline(20), host_port=listening))


def test_a_server_that_forbids_it_is_told(open_lab: Any, make_sshd: Any, keys: Any, upper: int) -> None:
    sshd = make_sshd(options={"AllowTcpForwarding": "no"})
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    session = open_lab(box=host)
    with pytest.raises(HostError, match="for a tunnel back could not be opened"):
        session.engine.call(tunnel.from_host(session.hosts.use("box"), upper, Deadline(20)))


def test_a_tunnel_back_is_open_again_after_the_connection_was_lost(
    open_lab: Any, sshd: Any, keys: Any, proxy: Any, upper: int
) -> None:
    way = proxy(sshd.address, sshd.port)
    session = open_lab(
        box={"address": "127.0.0.1", "port": way.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    )
    told: list[str] = []
    made = session.engine.call(tunnel.from_host(session.hosts.use("box"), upper, Deadline(20), tell=told.append))
    assert asked(made.port, b"before") == b"BEFORE"
    way.cut()
    until = time.monotonic() + 30
    while not any("is open again" in sentence for sentence in told):
        assert time.monotonic() < until, told
        time.sleep(0.05)
    assert asked(made.port, b"after") == b"AFTER"
    session.engine.call(made.close())

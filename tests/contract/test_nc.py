"""nc of every kind, in both directions, directly and through hops, and everything that can go wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Channel
from OttoLibrary.contracts.transfers import Job, TransferOptions
from OttoLibrary.errors import HostError, TransferError, UsageError, WaitTimeoutError
from OttoLibrary.run.session import Session
from OttoLibrary.transfer.protocols import nc
from OttoLibrary.transfer.transfer import site_of
from tests.peers import processes
from tests.peers.disk import small_disk
from tests.peers.netcat import KINDS, make_path
from tests.peers.telnetd import PASSWORD, USER, login_program

PLACES = ("local", "sshd", "two hops", "telnet")


@dataclass
class Box:
    """A host whose files the test can see on this machine.

    Attributes:
        mark: What all of its processes have in their environment.
    """

    session: Session
    name: str
    mark: str
    there: Path
    here: Path

    def put(self, data: bytes, name: str = "a.bin", **options: Any) -> Any:
        source = self.here / "source.bin"
        source.write_bytes(data)
        return self.put_file(source, name, **options)

    def put_file(self, source: Path, name: str = "a.bin", **options: Any) -> Any:
        files = self.session.files.on(self.name)
        return self.session.engine.call(files.put([source], f"{self.there}/{name}", TransferOptions(**({"via": "nc"} | options))))

    def get(self, name: str = "a.bin", **options: Any) -> bytes:
        files = self.session.files.on(self.name)
        options = TransferOptions(**({"via": "nc"} | options))
        got = self.session.engine.call(files.get(f"{self.there}/{name}", f"{self.here}/a.bin", options))
        return Path(got.target).read_bytes()

    def do(self, work: Callable[[Any], Any]) -> Any:
        """Run ``work(site)``."""

        async def run() -> Any:
            return await work(await site_of(self.session.files.on(self.name).host, None))

        return self.session.engine.call(run())

    def programs(self) -> list[int]:
        """Return the processes of nc that run on the host, of whatever kind."""
        names = {name for name, _ in KINDS.values()} | {program for _, program in KINDS.values()}
        return [pid for pid in processes.marked(self.mark) if _words(pid)[0].rpartition("/")[2] in names]

    def is_clean(self) -> bool:
        litter = [path for folder in (self.there, self.here) for path in folder.rglob(".otto-*")]
        return not litter and not self.programs()

    def check_clean(self) -> None:
        processes.wait_until(self.is_clean, "Cleaning up")


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return [""]


@pytest.fixture
def box(request: pytest.FixtureRequest, open_lab: Any, tmp_path: Path) -> Callable[..., Box]:
    """Give a host with one kind of nc: ``box("openbsd", "two hops")``."""

    def make(kind: str, place: str = "local") -> Box:
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        there.mkdir()
        mark = secrets.token_hex(8)
        environment = {"environment": {"PATH": make_path(tmp_path / "bin", kind), "OTTO_BOX": mark}}
        if place == "local":
            lab, name = open_lab(box={"transport": "local"} | environment), "box"
        elif place == "sshd":
            sshd, keys = request.getfixturevalue("sshd"), request.getfixturevalue("keys")
            host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
            lab, name = open_lab(box=host | environment), "box"
        elif place == "telnet":
            server = request.getfixturevalue("telnetd")("inetutils", login=login_program(tmp_path, "bash"))
            host = {"transport": "telnet", "address": server.address, "port": server.port, "user": USER, "password": PASSWORD}
            lab, name = open_lab(box=host | environment), "box"
        else:
            network = request.getfixturevalue("network")
            lab, name = open_lab(network.write_lab(tmp_path / "network.json", dut1=environment)), "dut1"
        return Box(lab, name, f"OTTO_BOX={mark}", there, here)

    return make


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# -- right


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_goes_there_and_back(box: Callable[..., Box], kind: str, place: str) -> None:
    host = box(kind, place)
    for size in (0, 1, 2_000_001):
        data = content(size)
        sent = host.put(data)
        assert (host.there / "a.bin").read_bytes() == data
        assert (sent.protocol, sent.sent_bytes, len(sent.files[0].checksum)) == ("nc", size, 64)
        assert host.get() == data
    host.check_clean()


@pytest.mark.parametrize("kind", ["openbsd", "traditional", "busybox", "ncat"])
def test_100_mib(box: Callable[..., Box], kind: str) -> None:
    host = box(kind)
    data = secrets.token_bytes(1 << 20) * 100
    host.put(data, verify="no")
    assert (host.there / "a.bin").read_bytes() == data
    assert host.get(verify="no") == data


@pytest.mark.parametrize(
    "name", ["two words", 'it\'s "$HOME" `id` \\ *?[a]{b}{}', "-rf", "two\nlines", "äöü-🎉", " x "], ids=repr
)
def test_any_name_is_a_name(box: Callable[..., Box], name: str) -> None:
    host = box("openbsd")
    host.put(b"data", name)
    assert (host.there / name).read_bytes() == b"data"
    assert host.get(name) == b"data"


@pytest.mark.parametrize("kind", ["openbsd", "traditional", "busybox", "ncat"])
def test_the_rest_of_a_file(box: Callable[..., Box], kind: str) -> None:
    host = box(kind)
    data = content(300_000)
    local, remote = host.here / "a.bin", host.there / "a.bin"
    local.write_bytes(data)
    remote.write_bytes(data[:123_457])
    moved: list[int] = []
    host.do(lambda site: nc.Nc().put(site, Job(local, str(remote), len(data), 123_457, moved.append)))
    assert remote.read_bytes() == data
    assert sum(moved) == len(data) - 123_457
    local.write_bytes(data[:200_001])
    moved.clear()
    host.do(lambda site: nc.Nc().get(site, Job(local, str(remote), len(data), 200_001, moved.append)))
    assert local.read_bytes() == data
    assert sum(moved) == len(data) - 200_001


def test_a_file_that_grows_is_read_as_it_was(box: Callable[..., Box]) -> None:
    host = box("traditional")
    local, remote = host.here / "a.bin", host.there / "a.bin"
    local.write_bytes(b"")
    remote.write_bytes(content(3_000_000))
    host.do(lambda site: nc.Nc().get(site, Job(local, str(remote), 1000)))
    assert local.read_bytes() == remote.read_bytes()[:1000]
    host.check_clean()


def test_many_at_once(box: Callable[..., Box]) -> None:
    host = box("openbsd", "sshd")
    sources = [host.here / f"{number}.bin" for number in range(5)]
    for source in sources:
        source.write_bytes(content(100_000 + int(source.stem)))
    files = host.session.files.on(host.name)

    async def put_all() -> None:
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(files.put([source], f"{host.there}/", TransferOptions(via="nc")))

    host.session.engine.call(put_all())
    for source in sources:
        assert (host.there / source.name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("kind", ["openbsd", "busybox", "ncat"])
def test_over_ipv6(box: Callable[..., Box], open_lab: Any, kind: str) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("This machine has no IPv6.")
    host = box(kind)
    environment = {"PATH": f"{host.here.parent}/bin"}
    host.session = open_lab(box={"transport": "local", "address": "::1", "environment": environment})
    host.put(b"data")
    assert host.get() == b"data"


# -- ports


@pytest.mark.parametrize("kind", ["openbsd", "traditional", "busybox", "ncat"])
@pytest.mark.parametrize("greeting", [b"", b"220 a server that has nothing to do with it\r\n"], ids=["silent", "talking"])
def test_a_port_that_is_taken_is_left_alone(
    box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch, kind: str, greeting: bytes
) -> None:
    host = box(kind)
    monkeypatch.setattr(nc, "_TRIES_S", (0.5, 5.0))
    heard = b"?"

    def answer(taken: socket.socket) -> None:
        nonlocal heard
        with taken.accept()[0] as other:
            other.sendall(greeting)
            heard = other.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        thread = threading.Thread(target=answer, args=[taken])
        thread.start()
        ports = iter([taken.getsockname()[1], processes.free_port()])
        monkeypatch.setattr(nc.random, "randint", lambda low, high: next(ports))
        host.put(b"data")
        assert (host.there / "a.bin").read_bytes() == b"data"
        # Should nc have failed before anyone dialled, nobody came.
        socket.create_connection(taken.getsockname()).close()
        thread.join()
    assert heard == b""


@pytest.mark.parametrize("kind", ["openbsd", "traditional", "busybox", "ncat"])
def test_a_port_that_an_outgoing_connection_has(box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    host = box(kind)
    monkeypatch.setattr(nc, "_TRIES_S", (0.5, 5.0))
    with socket.socket() as bound:
        bound.bind(("0.0.0.0", 0))
        ports = iter([bound.getsockname()[1], processes.free_port()])
        monkeypatch.setattr(nc.random, "randint", lambda low, high: next(ports))
        host.put(b"data")
    assert (host.there / "a.bin").read_bytes() == b"data"
    host.check_clean()


# -- wrong


def test_no_nc(box: Callable[..., Box]) -> None:
    with pytest.raises(UsageError, match=r"cannot use 'nc': it has no nc \(looked for nc, ncat, netcat, busybox nc\)\."):
        box("").put(b"data")


def test_an_nc_that_cannot_listen(box: Callable[..., Box], tmp_path: Path) -> None:
    host = box("")
    (tmp_path / "bin" / "nc").write_text("#!/bin/sh\necho 'BusyBox v1.0 multi-call binary. Usage: nc HOST PORT' >&2\nexit 1\n")
    (tmp_path / "bin" / "nc").chmod(0o755)
    with pytest.raises(UsageError, match=r"none of its programs listens as a known nc does \(it has nc\)"):
        host.put(b"data")


@pytest.mark.parametrize("kind", ["openbsd", "traditional", "busybox", "ncat"])
def test_a_full_disk(box: Callable[..., Box], kind: str) -> None:
    host = box(kind)
    with small_disk(256) as disk:
        host.there = disk
        with pytest.raises(TransferError, match="No space left on device"):
            host.put(content(3_000_000))
        host.check_clean()


def test_what_cannot_be_read_or_written(box: Callable[..., Box]) -> None:
    host = box("openbsd")
    local = host.here / "a.bin"
    local.write_bytes(b"data")
    with pytest.raises(OSError, match=r"^No such file or directory$"):
        host.do(lambda site: nc.Nc().get(site, Job(local, f"{host.there}/none", 4)))
    with pytest.raises(OSError, match=r"Directory nonexistent|No such file or directory"):
        host.do(lambda site: nc.Nc().put(site, Job(local, f"{host.there}/none/none", 4)))
    (host.there / "a.bin").write_bytes(b"da")
    with pytest.raises(OSError, match="ended too early"):
        host.do(lambda site: nc.Nc().get(site, Job(local, f"{host.there}/a.bin", 4)))
    host.check_clean()


def test_a_port_that_cannot_be_reached(box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch) -> None:
    class Walled:
        def __init__(self, site: Any) -> None:
            self._site = site

        async def dial(self, port: int) -> Channel:
            raise OSError("no route")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._site, name)

    monkeypatch.setattr(nc, "_TRIES_S", (0.1, 0.2))
    host = box("openbsd")
    local = host.here / "a.bin"
    local.write_bytes(b"data")
    with pytest.raises(
        OSError, match=r"no connection to its nc: port \d+ cannot be reached \(no route\); does a firewall block it\?"
    ):
        host.do(lambda site: nc.Nc().put(Walled(site), Job(local, f"{host.there}/a.bin", 4)))
    host.check_clean()


# -- cut


def _big(folder: Path) -> Path:
    path = folder / "big.bin"
    with path.open("wb") as file:
        file.truncate(16 << 30)
    return path


@contextlib.contextmanager
def _when_it_grows(folder: Path, then: Callable[[], None]) -> Iterator[None]:
    """Do something once a temporary file there has a megabyte."""

    def sizes() -> Iterator[int]:
        for path in folder.glob(".otto-*"):
            with contextlib.suppress(FileNotFoundError):
                yield path.stat().st_size

    def watch() -> None:
        with contextlib.suppress(TimeoutError):
            processes.wait_until(lambda: any(size > 1 << 20 for size in sizes()), "moving a megabyte")
            then()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize(
    ("kind", "place"), [*((kind, "local") for kind in ("openbsd", "traditional", "busybox", "ncat")), ("openbsd", "telnet")]
)
@pytest.mark.parametrize("direction", ["put", "get"])
def test_an_nc_that_is_killed(box: Callable[..., Box], kind: str, place: str, direction: str) -> None:
    host = box(kind, place)
    (host.there / "a.bin").write_bytes(b"old")
    (host.here / "a.bin").write_bytes(b"old")
    source = _big(host.here if direction == "put" else host.there)
    grows = host.there if direction == "put" else host.here
    end = _when_it_grows(grows, lambda: processes.tell(host.programs(), signal.SIGKILL))
    with end, pytest.raises(TransferError, match=r"its nc ended \(Killed\)|bytes arrived|ended too early"):
        host.put_file(source, verify="no") if direction == "put" else host.get(source.name, verify="no")
    assert (grows / "a.bin").read_bytes() == b"old"
    host.check_clean()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("direction", ["put", "get"])
def test_time_over_ends_nc_at_once(box: Callable[..., Box], place: str, direction: str) -> None:
    host = box("openbsd", place)
    host.put(b"old")
    (host.here / "a.bin").write_bytes(b"old")
    source = _big(host.here if direction == "put" else host.there)
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"in 0\.3 seconds"):
        (
            host.put_file(source, verify="no", timeout_s=0.3)
            if direction == "put"
            else host.get(source.name, verify="no", timeout_s=0.3)
        )
    assert time.monotonic() - began < 10
    assert ((host.there if direction == "put" else host.here) / "a.bin").read_bytes() == b"old"
    host.check_clean()


@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_lost_host_leaves_no_nc(box: Callable[..., Box], sshd: Any, direction: str) -> None:
    host = box("openbsd", "sshd")
    host.put(b"old")
    (host.here / "a.bin").write_bytes(b"old")
    source = _big(host.here if direction == "put" else host.there)
    grows = host.there if direction == "put" else host.here
    with _when_it_grows(grows, sshd.drop_sessions), pytest.raises(HostError, match="connection"):
        host.put_file(source, verify="no") if direction == "put" else host.get(source.name, verify="no")
    processes.wait_until(lambda: not host.programs(), "Ending nc")
    assert (grows / "a.bin").read_bytes() == b"old"


@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_hop_that_is_lost(box: Callable[..., Box], network: Any, direction: str) -> None:
    host = box("openbsd", "two hops")
    host.put(b"old")
    (host.here / "a.bin").write_bytes(b"old")
    source = _big(host.here if direction == "put" else host.there)
    grows = host.there if direction == "put" else host.here
    with _when_it_grows(grows, network["hop1"].sshd.drop_sessions), pytest.raises(HostError, match="connection"):
        host.put_file(source, verify="no") if direction == "put" else host.get(source.name, verify="no")
    processes.wait_until(lambda: not host.programs(), "Ending nc")
    assert (grows / "a.bin").read_bytes() == b"old"

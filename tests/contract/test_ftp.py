"""FTP to real servers: plain and with TLS, passive and active, through hops, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Channel, EndOfStream
from OttoLibrary.contracts.facts import FtpOptions, HostFacts
from OttoLibrary.contracts.transfers import Job, TransferOptions
from OttoLibrary.errors import HostError, TransferError, UsageError, WaitTimeoutError
from OttoLibrary.run.session import Session
from OttoLibrary.text import Secret
from OttoLibrary.transfer.protocols.ftp import Ftp
from OttoLibrary.transport import tcp
from tests.peers import processes
from tests.peers.disk import small_disk
from tests.peers.ftp import FtpServer, Pyftpdlib, Vsftpd
from tests.peers.requirements import require
from tests.peers.telnetd import PASSWORD, USER, login_program

Serve = Callable[..., FtpServer]


@dataclass
class Box:
    """A host with an FTP server, whose files the test can see on this machine."""

    session: Session
    name: str
    server: FtpServer
    there: Path
    here: Path

    def put(self, data: bytes, target: str = "a.bin", **options: Any) -> Any:
        source = self.here / "source.bin"
        source.write_bytes(data)
        files = self.session.files.on(self.name)
        return self.session.engine.call(
            files.put([source], f"{self.there}/{target}", TransferOptions(**({"via": "ftp"} | options)))
        )

    def get(self, source: str = "a.bin", **options: Any) -> bytes:
        files = self.session.files.on(self.name)
        place = str(self.here / "got.bin")
        got = self.session.engine.call(files.get(f"{self.there}/{source}", place, TransferOptions(**({"via": "ftp"} | options))))
        return Path(got.target).read_bytes()

    def litter(self) -> list[str]:
        return [path.name for folder in (self.there, self.here) for path in folder.rglob(".otto-*")]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers: ``serve("pyftpdlib", tls="explicit")``."""
    with ExitStack() as started:

        def start(kind: str, user: str = "otto", password: str = "päss word", **arguments: Any) -> FtpServer:
            server = Vsftpd if kind == "vsftpd" else Pyftpdlib
            return started.enter_context(server(user, password, **arguments))

        yield start


@pytest.fixture
def box(request: pytest.FixtureRequest, serve: Serve, open_lab: Any, tmp_path: Path) -> Callable[..., Box]:
    """Give a host with a server: ``box("vsftpd", tls="explicit", mode="active")``; ``ftp_tls`` is what the lab says of it."""

    def make(kind: str, tls: str = "no", options: dict[str, Any] | None = None, **ftp: Any) -> Box:
        if "ftp_tls" in ftp:
            ftp["tls"] = ftp.pop("ftp_tls")
        here = tmp_path / "here"
        here.mkdir(exist_ok=True)
        if kind == "pyftpdlib":
            there = tmp_path / "there"
            there.mkdir(exist_ok=True)
            server = serve(kind, tls=tls, options=options)
            return Box(open_lab(box={"transport": "local", "ftp": server.lab | ftp}), "box", server, there, here)
        # vsftpd takes accounts of this machine: so the host is one of them, in its home.
        require("root", "vsftpd")
        account, sshd, keys = (request.getfixturevalue(name) for name in ("accounts", "sshd", "keys"))
        account = account.test
        there = account.home / tmp_path.name
        there.mkdir()
        os.chown(there, there.parent.stat().st_uid, there.parent.stat().st_gid)
        server = serve(kind, account.login, account.password, tls=tls, options=options)
        own = {"user": account.login, "password": account.password, "identity_file": str(keys.identity_file)}
        named = {key: value for key, value in server.lab.items() if key not in own} | ftp
        return Box(open_lab(box=own | {"address": sshd.address, "port": sshd.port, "ftp": named}), "box", server, there, here)

    return make


@pytest.fixture
def bare(open_lab: Any, tmp_path: Path) -> Callable[[dict[str, Any]], None]:
    """Put a file to a host without a server: ``bare({ftp object})``."""

    def put(ftp: dict[str, Any]) -> None:
        (tmp_path / "a.bin").write_bytes(b"data")
        session = open_lab(box={"transport": "local", "ftp": ftp})
        session.engine.call(session.files.on("box").put([tmp_path / "a.bin"], f"{tmp_path}/b.bin", TransferOptions(via="ftp")))

    return put


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# -- right

WAYS = [
    (kind, tls, mode)
    for kind in ("vsftpd", "pyftpdlib")
    for tls in ("no", "explicit", *(["implicit"] if kind == "vsftpd" else []))
    for mode in ("passive", "active")
]


@pytest.mark.parametrize(("kind", "tls", "mode"), WAYS, ids=lambda word: word)
def test_a_file_goes_there_and_back(box: Callable[..., Box], kind: str, tls: str, mode: str) -> None:
    host = box(kind, tls=tls, mode=mode)
    for size in (0, 1, 3_000_001):
        data = content(size)
        sent = host.put(data)
        assert (host.there / "a.bin").read_bytes() == data
        assert (sent.protocol, sent.sent_bytes, len(sent.files[0].checksum)) == ("ftp", size, 64)
        assert host.get() == data
    assert not host.litter()


@pytest.mark.parametrize("kind", ["vsftpd", "pyftpdlib"])
@pytest.mark.parametrize("name", ["two words.txt", 'it\'s "$HOME" `id` \\ *?[a].bin', "-rf", "äöü-文件-🎉", " spaces "])
def test_names_are_names(box: Callable[..., Box], kind: str, name: str) -> None:
    host = box(kind)
    host.put(b"data", name)
    assert (host.there / name).read_bytes() == b"data"
    assert host.get(name) == b"data"


def test_a_name_of_bytes_that_are_no_text(box: Callable[..., Box]) -> None:
    host = box("vsftpd")  # pyftpdlib knows names in UTF-8 only
    name = os.fsdecode(b"bad-\xff-name")
    host.put(b"data", name)
    assert host.get(name) == b"data"


def test_a_name_with_a_newline_is_not_for_ftp(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib")
    (host.there / "two\nlines").write_bytes(b"data")
    with pytest.raises(UsageError, match="cannot use 'ftp': FTP cannot transfer names that contain a newline"):
        host.get("two\nlines")


def test_through_two_hops(network: Any, serve: Serve, open_lab: Any, tmp_path: Path) -> None:
    peer = network["dut1"]
    # In the network of the host behind the hops, where nothing from here reaches it but through them.
    server = serve("pyftpdlib", address=peer.address, launcher=peer.sshd._launcher, tls="explicit")
    lab = network.write_lab(tmp_path / "network.json", dut1={"ftp": server.lab | {"mode": "passive"}})
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    host = Box(open_lab(lab), "dut1", server, there, here)
    data = content(2_000_000)
    host.put(data)
    assert (there / "a.bin").read_bytes() == data
    assert host.get() == data
    lab = network.write_lab(tmp_path / "active.json", dut1={"ftp": server.lab | {"mode": "active"}})
    host = Box(open_lab(lab), "dut1", server, there, here)
    with pytest.raises(UsageError, match="its FTP server cannot connect back through a hop"):
        host.put(data)


def test_beside_a_telnet_console(telnetd: Any, serve: Serve, open_lab: Any, tmp_path: Path) -> None:
    console, server = telnetd("inetutils", login=login_program(tmp_path, "bash")), serve("pyftpdlib")
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    host = {"transport": "telnet", "address": console.address, "port": console.port, "user": USER, "password": PASSWORD}
    found = Box(open_lab(box=host | {"ftp": server.lab}), "box", server, there, here)
    data = content(2_000_000)
    found.put(data)
    assert (there / "a.bin").read_bytes() == data
    assert found.get() == data


def test_many_at_once(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib")
    sources = [host.here / f"{number}.bin" for number in range(8)]
    for source in sources:
        source.write_bytes(content(100_000 + int(source.stem)))
    files = host.session.files.on(host.name)

    async def put_all() -> None:
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(files.put([source], f"{host.there}/", TransferOptions(via="ftp")))

    host.session.engine.call(put_all())
    for source in sources:
        assert (host.there / source.name).read_bytes() == source.read_bytes()


# -- certificates


def test_a_certificate_is_verified(box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch) -> None:
    host = box("pyftpdlib", tls="explicit", certificate="verify")
    with pytest.raises(UsageError, match=r"the certificate of its FTP server is not trusted \(self[- ]signed certificate\)"):
        host.put(b"data")
    monkeypatch.setenv("SSL_CERT_FILE", str(host.server.certificate))
    host.put(b"data")


def test_a_pinned_certificate_is_the_only_one(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib", tls="explicit", certificate="SHA256:" + "00:" * 31 + "00")
    with pytest.raises(UsageError, match=r"shows the certificate SHA256:\w{64}, the lab pins SHA256:00"):
        host.put(b"data")


def test_a_certificate_can_be_ignored(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib", tls="explicit", certificate="ignore")
    host.put(b"data")
    assert host.get() == b"data"


# -- wrong

WORDS_OF_A_FULL_DISK = {"vsftpd": "451 Failure writing to local file", "pyftpdlib": r"426 .*; only 0 KiB are free there"}


def test_a_wrong_password(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib", password="wrong")
    with pytest.raises(
        UsageError, match=r"its FTP server refuses the login of '.*' \(530 .*\); set 'user' and 'password'"
    ) as caught:
        host.put(b"data")
    assert "wrong" not in str(caught.value)
    assert "wrong" in host.session.lab.loaded.secrets("box")
    assert not host.litter()


def test_no_user(bare: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(UsageError, match="no user is known for its FTP server"):
        bare({})


def test_no_server(bare: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(UsageError, match="it has no FTP server at port 1 "):
        bare({"user": "me", "port": 1})


def test_a_server_without_tls(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib", ftp_tls="explicit")
    with pytest.raises(UsageError, match=r"its FTP server offers no TLS \(5\d\d .*AUTH"):
        host.put(b"data")
    host = box("pyftpdlib", ftp_tls="implicit")
    with pytest.raises(UsageError, match="its FTP server does not agree on TLS"):
        host.put(b"data")


@pytest.mark.parametrize("kind", ["vsftpd", "pyftpdlib"])
def test_a_server_that_wants_tls(box: Callable[..., Box], kind: str) -> None:
    host = box(kind, tls="explicit", ftp_tls="no")
    with pytest.raises(UsageError, match=r"refuses the login of .* \(5\d0 .*(encrypt|TLS)"):
        host.put(b"data")


@pytest.mark.parametrize("kind", ["vsftpd", "pyftpdlib"])
def test_a_full_disk(box: Callable[..., Box], kind: str) -> None:
    host = box(kind)
    with small_disk(256) as disk:
        host.there = disk
        with pytest.raises(TransferError, match=WORDS_OF_A_FULL_DISK[kind]):
            host.put(content(3_000_000), "a.bin")
        assert not host.litter()


def test_what_the_server_does_not_allow_is_said_in_its_words(box: Callable[..., Box]) -> None:
    host = box("vsftpd", options={"write_enable": "NO"})
    with pytest.raises(TransferError, match=r"a\.bin': 550 Permission denied"):
        host.put(b"data")
    assert not host.litter()


# -- cut


@pytest.mark.parametrize("kind", ["vsftpd", "pyftpdlib"])
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_server_that_is_killed(box: Callable[..., Box], kind: str, direction: str) -> None:
    host = box(kind)
    host.put(b"old")
    (host.here / "a.bin").write_bytes(b"old")
    source = (host.here if direction == "put" else host.there) / "big.bin"
    with source.open("wb") as file:
        file.truncate(8 << 30)
    source.chmod(0o644)
    grows = host.there if direction == "put" else host.here
    files, options = host.session.files.on("box"), TransferOptions(via="ftp", verify="no")
    put, get = files.put([source], f"{host.there}/a.bin", options), files.get(str(source), f"{host.here}/a.bin", options)
    moving, other = (put, get) if direction == "put" else (get, put)
    other.close()
    end = host.server.drop_sessions if kind == "vsftpd" else host.server.crash
    with _when_it_grows(grows, end), pytest.raises(HostError, match=r"connection|session|closed|426|early"):
        host.session.engine.call(moving)
    assert ((host.there if direction == "put" else host.here) / "a.bin").read_bytes() == b"old"
    assert not host.litter()


@contextmanager
def _when_it_grows(folder: Path, then: Callable[[], None]) -> Iterator[None]:
    """Do something once a temporary file there has a megabyte."""

    def watch() -> None:
        with suppress(TimeoutError):
            processes.wait_until(lambda: any(size > 1 << 20 for size in _sizes(folder)), "moving a megabyte")
            then()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.glob(".otto-*"):
        with suppress(FileNotFoundError):
            yield path.stat().st_size


class Wire:
    """The connections of a host to this machine, where each data connection breaks after ``cut`` bytes."""

    def __init__(self, facts: HostFacts, cut: int) -> None:
        self.facts, self._cut = facts, cut
        self._control: Channel | None = None

    async def dial(self, port: int) -> Channel:
        channel = await tcp.dial("127.0.0.1", port)
        if self._control is None:
            self._control = channel
            return channel
        return Breaking(channel, self._cut)


class Breaking:
    """A channel that is gone, with no word about it to the other end, once some bytes were moved."""

    def __init__(self, channel: Channel, left: int) -> None:
        self._channel, self._left = channel, left

    @property
    def closed(self) -> bool:
        return self._channel.closed

    async def read(self, limit: int) -> bytes:
        return await self._pass(await self._channel.read(limit))

    async def write(self, data: bytes) -> None:
        await self._channel.write(await self._pass(data))

    async def resize(self, columns: int, rows: int) -> None:
        return

    async def close(self) -> None:
        await self._channel.close()

    def describe(self) -> str:
        return "breaking"

    async def _pass(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            await self._channel.close()
            raise EndOfStream("cut")
        return data


@pytest.mark.parametrize("kind", ["vsftpd", "pyftpdlib"])
@pytest.mark.parametrize("direction", ["put", "get"])
@pytest.mark.parametrize("cut", [0, 1_500_000])
def test_a_cut_data_connection_is_never_a_success(box: Callable[..., Box], kind: str, direction: str, cut: int) -> None:
    host = box(kind)
    local, remote = host.here / "a.bin", host.there / "a.bin"
    (local if direction == "put" else remote).write_bytes(content(3_000_000))
    (remote if direction == "put" else local).write_bytes(b"")
    remote.chmod(0o666)
    options = host.server.lab
    facts = HostFacts("box", address="127.0.0.1", ftp=FtpOptions(options["port"], options["user"], Secret(options["password"])))
    job = Job(local, str(remote), 3_000_000)
    moving = Ftp().put if direction == "put" else Ftp().get
    with pytest.raises((OSError, EndOfStream), match=r"cut|bytes|426|closed"):
        asyncio.run(moving(Wire(facts, cut), job))  # type: ignore[arg-type]


def test_time_over(box: Callable[..., Box]) -> None:
    host = box("pyftpdlib")
    host.put(b"old")
    big = host.here / "big"
    with big.open("wb") as file:
        file.truncate(4 << 30)
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"in 0\.3 seconds"):
        host.session.engine.call(
            host.session.files.on("box").put([big], f"{host.there}/a.bin", TransferOptions(via="ftp", verify="no", timeout_s=0.3))
        )
    assert time.monotonic() - began < 10
    assert (host.there / "a.bin").read_bytes() == b"old"

"""The peers do what other tests rely on, seen with OpenSSH's own client and with plain AsyncSSH."""

from __future__ import annotations

import asyncio
import ftplib
import json
import os
import pty
import select
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from ssl import _create_unverified_context

import asyncssh
import pytest

from tests.peers import consoles, processes
from tests.peers import telnetd as telnetds
from tests.peers.accounts import Accounts
from tests.peers.disk import read_only_disk, small_disk
from tests.peers.faulty_ssh import PASSWORD, USER, FaultySsh
from tests.peers.ftp import Pyftpdlib
from tests.peers.keys import Keys
from tests.peers.netcat import KINDS, make_path
from tests.peers.network import Network, _Namespaces
from tests.peers.proxy import Proxy
from tests.peers.requirements import find, install_command, is_root, require
from tests.peers.sshd import Sshd

MakeFaulty = Callable[[str], FaultySsh]
MakeProxy = Callable[[str, int], Proxy]


def ssh(network: Network, keys: Keys, name: str, command: str, folder: Path) -> str:
    """Run a command on a host of the network with the ``ssh`` program."""
    require("ssh")
    common = [f"IdentityFile {keys.identity_file}", f"UserKnownHostsFile {folder}/known", "StrictHostKeyChecking no"]
    common += ["BatchMode yes", "LogLevel ERROR"]
    lines = ["Host *", *common]
    for peer in network.hosts.values():
        jump = [f"ProxyJump {peer.hop}"] if peer.hop else []
        own = [f"HostName {peer.address}", f"Port {peer.port}", f"User {network.user}"]
        lines += [f"Host {peer.name}", *own, *jump]
    config = folder / "config"
    config.write_text("\n".join([*lines, ""]))
    done = subprocess.run(
        [find("ssh") or "ssh", "-F", str(config), name, command], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def dial(sshd: Sshd, **options: object) -> asyncssh.SSHClientConnection:
    given = {"host": sshd.address, "port": sshd.port, "username": sshd.user, "known_hosts": None, "agent_path": None} | options
    return await asyncssh.connect(**given)


@pytest.mark.parametrize("name", ["hop1", "hop2", "dut1", "dut2"])
def test_ssh_program_reaches_each_host_through_its_hops(network: Network, keys: Keys, tmp_path: Path, name: str) -> None:
    said = ssh(network, keys, name, "echo $OTTO_PEER; hostname", tmp_path).split()
    assert said == [name, name if network.isolated else socket.gethostname()]


def test_asyncssh_reaches_a_dut_through_two_hops(network: Network, keys: Keys) -> None:
    async def go() -> str:
        connection = None
        for peer in network.way("dut1"):
            known = asyncssh.import_known_hosts(f"* {peer.sshd.host_key}\n")
            connection = await dial(peer.sshd, tunnel=connection, client_keys=[str(keys.identity_file)], known_hosts=known)
        assert connection is not None
        async with connection:
            return str((await connection.run("echo $OTTO_PEER", check=True)).stdout)

    assert asyncio.run(go()) == "dut1\n"


@pytest.mark.parametrize("name", ["hop2", "dut1", "dut2"])
def test_only_a_hop_reaches_what_is_behind_it(network: Network, name: str) -> None:
    if not network.isolated:
        pytest.skip("Loopback ports reach each other.")
    with pytest.raises(OSError, match=r"timed out|unreachable|refused"):
        socket.create_connection((network[name].address, 22), timeout=0.5)


def test_a_cut_cable_is_silence_until_it_is_mended(network: Network, keys: Keys) -> None:
    if not network.isolated:
        pytest.skip("Loopback ports have no cables.")

    async def go() -> str:
        async with await dial(network["hop1"].sshd, client_keys=[str(keys.identity_file)]) as connection:
            network.cut("hop1")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.run("echo lost"), 0.5)
            network.mend("hop1")
            return str((await asyncio.wait_for(connection.run("echo back"), 10)).stdout)

    assert asyncio.run(go()) == "back\n"


def test_lab_of_the_network_is_json(network: Network, tmp_path: Path) -> None:
    lab = json.loads(network.write_lab(tmp_path / "net.json", dut1={"tags": ["rig"]}).read_text())
    assert lab["hosts"]["dut2"]["hop"] == "hop2"
    assert lab["hosts"]["dut1"]["tags"] == ["rig"]


def test_namespaces_of_a_dead_process_are_removed(network: Network) -> None:
    if not network.isolated:
        pytest.skip("There are no namespaces.")
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = f"otto-{dead.pid}-hop1"
    subprocess.run([find("ip") or "ip", "netns", "add", left], check=True)
    before = subprocess.run([find("ip") or "ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    script = "from tests.peers.network import _Namespaces\nwith _Namespaces(): pass"
    subprocess.run([os.sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
    after = subprocess.run([find("ip") or "ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert left in before
    assert left not in after
    assert _Namespaces()._prefix + "dut1" in after


def test_each_key_logs_in(sshd: Sshd, keys: Keys) -> None:
    async def go() -> None:
        encrypted = asyncssh.read_private_key(str(keys.encrypted_file), keys.passphrase)
        certified = (str(keys.certified_file), str(keys.certificate_file))
        for key in (str(keys.identity_file), encrypted, certified):
            async with await dial(sshd, client_keys=[key]) as connection:
                assert (await connection.run("echo $OTTO_PEER", check=True)).stdout == "sshd\n"
        with pytest.raises(asyncssh.PermissionDenied):
            await dial(sshd, client_keys=[str(keys.stranger_file)])
        # As an object, since AsyncSSH adds the certificate beside a file by itself.
        with pytest.raises(asyncssh.PermissionDenied):
            await dial(sshd, client_keys=[asyncssh.read_private_key(str(keys.certified_file))])

    asyncio.run(go())


def test_password_logs_in(sshd: Sshd, accounts: Accounts | None) -> None:
    require("root")
    assert accounts is not None

    async def go() -> None:
        options = {"username": accounts.test.login, "client_keys": None}
        async with await dial(sshd, password=accounts.test.password, **options) as connection:
            assert (await connection.run("pwd", check=True)).stdout == f"{accounts.test.home}\n"
            root = await connection.run("sudo -S -p '' id -u", input=f"{accounts.test.password}\n", check=True)
            assert root.stdout == "0\n"
        with pytest.raises(asyncssh.PermissionDenied):
            await dial(sshd, password="wrong", **options)

    asyncio.run(go())


def test_killed_server_cuts_its_sessions_and_comes_back_at_its_port(sshd: Sshd, keys: Keys) -> None:
    async def go() -> None:
        async with await dial(sshd, client_keys=[str(keys.identity_file)]) as connection:
            assert len(sshd.sessions()) == 1
            began = time.monotonic()
            sshd.kill()
            await asyncio.wait_for(connection.wait_closed(), 5)
            assert time.monotonic() - began < 2
        port = sshd.port
        sshd.start()
        assert sshd.port == port
        (await dial(sshd, client_keys=[str(keys.identity_file)])).close()

    asyncio.run(go())


def test_paused_server_says_nothing(sshd: Sshd, keys: Keys) -> None:
    async def go() -> None:
        async with await dial(sshd, client_keys=[str(keys.identity_file)]) as connection:
            sshd.pause()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.run("true"), 0.3)
            sshd.resume()
            assert (await asyncio.wait_for(connection.run("echo on"), 5)).stdout == "on\n"

    asyncio.run(go())


def test_stopped_server_leaves_no_process(make_sshd: Callable[..., Sshd], keys: Keys) -> None:
    server = make_sshd(name="short", options={"MaxSessions": "1"})

    async def go() -> None:
        async with await dial(server, client_keys=[str(keys.identity_file)]) as connection:
            await connection.run("setsid sleep 54321 >/dev/null 2>&1 & sleep 0.2")

    asyncio.run(go())
    mark = f"OTTO_PEER_ID={server._id}"
    assert processes.marked(mark)
    server.stop()
    processes.wait_until(lambda: not processes.marked(mark), "ending them")


def test_new_host_keys_count_from_the_next_start(make_sshd: Callable[..., Sshd], keys: Keys) -> None:
    server = make_sshd()
    before = server.host_key, server.fingerprint
    server.kill()
    server.make_host_keys()
    server.start()
    assert before != (server.host_key, server.fingerprint)

    async def go() -> None:
        known = asyncssh.import_known_hosts(f"* {server.host_key}\n")
        (await dial(server, client_keys=[str(keys.identity_file)], known_hosts=known)).close()

    asyncio.run(go())


def test_proxy_splits_delays_stalls_and_cuts(sshd: Sshd, keys: Keys, proxy: MakeProxy) -> None:
    between = proxy(sshd.address, sshd.port)

    async def timed(connection: asyncssh.SSHClientConnection) -> float:
        began = time.monotonic()
        assert (await connection.run("echo through", check=True)).stdout == "through\n"
        return time.monotonic() - began

    async def go() -> None:
        between.piece_bytes = 1
        connection = await dial(sshd, port=between.port, client_keys=[str(keys.identity_file)])
        await timed(connection)
        between.piece_bytes, between.delay_s = 65536, 0.1
        assert await timed(connection) > 0.2
        between.delay_s = 0
        between.stall()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.run("true"), 0.3)
        between.resume()
        await timed(connection)
        assert between.connections == 1
        between.cut()
        with pytest.raises((OSError, asyncssh.Error)):
            await asyncio.wait_for(connection.run("true"), 2)
        between.refuse()
        with pytest.raises(OSError, match=r"refused|failed"):
            await dial(sshd, port=between.port)

    asyncio.run(go())


@pytest.mark.parametrize("fault", ["silent", "banner"])
def test_server_that_says_nothing(faulty_ssh: MakeFaulty, fault: str) -> None:
    peer = faulty_ssh(fault)
    with socket.create_connection((peer.address, peer.port), timeout=0.3) as client:
        if fault == "banner":
            assert client.recv(100).startswith(b"SSH-2.0-")
        client.sendall(b"SSH-2.0-test\r\n")
        with pytest.raises(TimeoutError):
            client.recv(100)


def log_in(peer: FaultySsh, **options: object) -> str:
    given = {"username": USER, "password": PASSWORD, "known_hosts": None, "client_keys": None, "agent_path": None} | options

    async def go() -> str:
        async with asyncssh.connect(peer.address, peer.port, **given) as connection:
            return str((await connection.run("echo hello", check=True)).stdout)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("password", asyncssh.PermissionDenied),
        ("legacy", (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost)),
        ("drop", (asyncssh.Error, ConnectionError)),
        ("session", asyncssh.ChannelOpenError),
    ],
)
def test_server_with_a_fault(faulty_ssh: MakeFaulty, fault: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        log_in(faulty_ssh(fault))


def test_legacy_server_takes_whoever_switches_its_algorithms_on(faulty_ssh: MakeFaulty) -> None:
    old = {"kex_algs": "+diffie-hellman-group14-sha1", "encryption_algs": "+aes128-cbc", "server_host_key_algs": "+ssh-rsa"}
    assert log_in(faulty_ssh("legacy"), **old) == "hello\n"


def test_legacy_server_is_refused_with_any_one_algorithm_off(faulty_ssh: MakeFaulty) -> None:
    peer = faulty_ssh("legacy")
    old = {"kex_algs": "+diffie-hellman-group14-sha1", "server_host_key_algs": "ssh-rsa"}
    # Whichever side notices first.
    with pytest.raises((asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost)):
        log_in(peer, **old, encryption_algs="aes128-ctr")


def test_restart_changes_the_host_key(faulty_ssh: MakeFaulty) -> None:
    peer = faulty_ssh("host_key")
    known = asyncssh.import_known_hosts(f"* {peer.host_key}\n")
    port, before = peer.port, peer.fingerprint
    assert log_in(peer, known_hosts=known) == "hello\n"
    peer.restart()
    assert peer.port == port
    assert peer.fingerprint != before
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        log_in(peer, known_hosts=known)


def test_a_small_disk_is_full_at_once() -> None:
    with small_disk(64) as folder:
        (folder / "fits").write_bytes(bytes(32 << 10))
        with pytest.raises(OSError, match="No space left on device"):
            (folder / "too-much").write_bytes(bytes(64 << 10))
    assert not folder.exists()


def test_a_read_only_disk_can_be_read() -> None:
    with read_only_disk("a.bin") as folder:
        assert (folder / "a.bin").read_text() == "a.bin"
        with pytest.raises(OSError, match="Read-only file system"):
            (folder / "a.bin").write_text("b")
    assert not folder.exists()


@pytest.mark.parametrize("tls", ["no", "explicit"])
def test_an_ftp_server_serves_and_ends(tls: str) -> None:
    with Pyftpdlib("otto", "secret", tls=tls) as server:
        client = ftplib.FTP_TLS(context=_create_unverified_context()) if tls != "no" else ftplib.FTP()
        client.connect(server.address, server.port, timeout=5)
        client.login("otto", "secret")
        assert client.pwd() == "/"
        client.close()
    assert not server.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.address, server.port))


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_has_one_kind_of_nc(kind: str, tmp_path: Path) -> None:
    name, program = KINDS[kind]
    path = make_path(tmp_path / "bin", kind)
    words = f"for name in nc ncat netcat busybox {program}; do command -v $name; done; true"
    said = subprocess.run(["sh", "-c", words], env={"PATH": path}, capture_output=True, text=True, check=True).stdout
    assert set(said.split()) == {f"{path}/{name}"}


def test_missing_program_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert install_command(["sshd", "ip"]) == "apt-get install --yes iproute2 openssh-server"
    monkeypatch.delenv("OTTO_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install --yes no-such-program"):
        require("no-such-program")
    monkeypatch.setenv("OTTO_PEERS", "required")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        require("no-such-program")
    require("sh", *(["root"] if is_root() else []))


@pytest.mark.parametrize("kind", telnetds.KINDS)
def test_telnet_server_asks_for_the_login_and_is_dropped(
    telnetd: Callable[..., telnetds.Telnetd], kind: str, tmp_path: Path
) -> None:
    require("telnet")
    server = telnetd(kind, login=telnetds.login_program(tmp_path, "cat"))
    here, there = pty.openpty()
    with subprocess.Popen(["telnet", server.address, str(server.port)], stdin=there, stdout=there, stderr=there) as client:
        os.close(there)

        def said_until(what: bytes) -> None:
            said = b""
            while what not in said:
                assert select.select([here], [], [], 5)[0], said
                said += os.read(here, 4096)

        try:
            said_until(b"box login: ")
            os.write(here, f"{telnetds.USER}\n".encode())
            said_until(b"Password: ")
            os.write(here, f"{telnetds.PASSWORD}\n".encode())
            said_until(b"Welcome.")
            server.drop_sessions()
            said_until(b"closed")
            client.wait(5)
        finally:
            client.kill()
            os.close(here)
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.address, server.port), timeout=1)


def test_serial_console_is_a_port_with_a_program_behind_it(serial_console: Callable[..., consoles.SerialConsole]) -> None:
    console = serial_console(consoles.boot, {"OTTO_LOADER": "no"}, on_open=True)
    port = os.open(console.device, os.O_RDWR | os.O_NOCTTY)
    try:
        said = b""
        while b"box login: " not in said:
            said += os.read(port, 4096)
        assert b"Starting dropbear" in said
    finally:
        os.close(port)

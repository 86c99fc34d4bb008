"""Connecting, losing the connection, trust and logins, against real servers and one fault each."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import (
    ConnectError,
    ConnectionLostError,
    HopError,
    HostError,
    HostKeyError,
    LoginError,
    WaitTimeoutError,
)
from OttoLibrary.host.uptime import reboot
from OttoLibrary.run.session import Session
from OttoLibrary.shell.launch import Account
from OttoLibrary.text import Secret
from tests.peers import processes
from tests.peers.requirements import require

ANY = Expected(())


def run(session: Session, command: str, name: str = "box", **options: Any) -> Any:
    return session.engine.call(session.hosts.use(name).run(command, **({"timeout_s": 15.0} | options)))


def host_of(sshd: Any, keys: Any, **more: Any) -> dict[str, Any]:
    return {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)} | more


def known_as(peer: Any) -> str:
    """Return the name of a server in known_hosts."""
    return peer.address if peer.port == 22 else f"[{peer.address}]:{peer.port}"


# -- not reached


def test_a_refused_port_is_a_connect_error(open_lab: Any) -> None:
    session = open_lab(box={"address": "127.0.0.1", "port": processes.free_port()})
    with pytest.raises(ConnectError, match=r"^Host 'box' cannot be reached: 127\.0\.0\.1:\d+ refused the connection\. Is its"):
        run(session, "true")


def test_an_unknown_address_is_a_connect_error(open_lab: Any) -> None:
    with pytest.raises(ConnectError, match=r"the address 'nowhere\.invalid' is unknown"):
        run(open_lab(box={"address": "nowhere.invalid"}), "true")


@pytest.mark.parametrize("fault", ["silent", "banner"])
def test_a_silent_port_ends_with_the_time_out(open_lab: Any, faulty_ssh: Any, fault: str) -> None:
    server = faulty_ssh(fault)
    session = open_lab(box={"address": server.address, "port": server.port, "connect_timeout": "20 s"})
    began = time.monotonic()
    with pytest.raises(ConnectError, match=r"no answer in 0\.5 seconds"):
        run(session, "true", timeout_s=0.5)
    assert time.monotonic() - began < 2


def test_a_wrong_login_is_a_login_error_at_once(open_lab: Any, faulty_ssh: Any) -> None:
    server = faulty_ssh("password")
    session = open_lab(box={"address": server.address, "port": server.port, "user": server.user, "password": "no good"})
    began = time.monotonic()
    with pytest.raises(LoginError, match=r"refused the login: user 'tester' with a password") as caught:
        run(session, "true")
    assert "no good" not in str(caught.value)
    assert time.monotonic() - began < 5


def test_a_stranger_s_key_is_a_login_error(open_lab: Any, sshd: Any, keys: Any) -> None:
    session = open_lab(box=host_of(sshd, keys, identity_file=str(keys.stranger_file), ssh={"agent": False}))
    with pytest.raises(LoginError):
        run(session, "true")


def test_a_server_that_drops_after_login_is_told(open_lab: Any, faulty_ssh: Any) -> None:
    server = faulty_ssh("drop")
    session = open_lab(box={"address": server.address, "port": server.port, "user": server.user, "password": server.password})
    with pytest.raises(HostError, match=r"^Host 'box' "):
        run(session, "true")


def test_a_server_without_sessions_is_told(open_lab: Any, faulty_ssh: Any) -> None:
    server = faulty_ssh("session")
    session = open_lab(box={"address": server.address, "port": server.port, "user": server.user, "password": server.password})
    with pytest.raises(HostError, match="session"):
        run(session, "true")


# -- hops


def test_two_hops_lead_to_the_dut(open_lab: Any, network: Any, tmp_path: Path) -> None:
    session = open_lab(network.write_lab(tmp_path / "lab.json"))
    assert run(session, "echo $OTTO_PEER", "dut1").stdout == "dut1\n"
    if network.isolated:
        assert run(session, "hostname", "dut2").stdout == "dut2\n"
        with pytest.raises(OSError):  # noqa: PT011 - refused, unreachable or timed out: the kernel's choice
            socket.create_connection((network["dut1"].address, network["dut1"].port), timeout=0.5).close()


def test_hosts_behind_a_hop_share_its_connection(open_lab: Any, network: Any, tmp_path: Path) -> None:
    session = open_lab(network.write_lab(tmp_path / "lab.json"))

    async def both() -> None:
        await asyncio.gather(session.hosts.use("dut1").run("true"), session.hosts.use("dut2").run("true"))

    session.hosts.use("dut1"), session.hosts.use("dut2")
    session.engine.call(both())
    assert session.hosts.use("dut1").hop is session.hosts.use("dut2").hop
    assert session.hosts.use("dut1").hop.hop is session.hosts.use("hop1")


def test_a_hop_that_fails_is_named(open_lab: Any, sshd: Any, keys: Any) -> None:
    dead = {"address": "127.0.0.1", "port": processes.free_port()}
    session = open_lab(dead=dead, middle=host_of(sshd, keys, hop="dead"), box=host_of(sshd, keys, hop="middle"))
    with pytest.raises(
        HopError, match=r"^Host 'box' \(through dead, middle\) .* because hop 'dead' cannot be reached: "
    ) as caught:
        run(session, "true")
    assert caught.value.hop == "dead"


def test_a_hop_whose_login_fails_is_named(open_lab: Any, sshd: Any, keys: Any) -> None:
    closed = host_of(sshd, keys, identity_file=str(keys.stranger_file), ssh={"agent": False})
    session = open_lab(closed=closed, box=host_of(sshd, keys, hop="closed"))
    with pytest.raises(HopError, match="because hop 'closed' refused the login: user"):
        run(session, "true")


def test_a_hop_that_forbids_forwarding_is_named(open_lab: Any, make_sshd: Any, sshd: Any, keys: Any) -> None:
    strict = make_sshd(options={"AllowTcpForwarding": "no"})
    session = open_lab(strict=host_of(strict, keys), box=host_of(sshd, keys, hop="strict"))
    with pytest.raises(HopError, match="because hop 'strict' opens no connection to"):
        run(session, "true")


def test_a_refused_port_behind_a_hop_is_a_connect_error(open_lab: Any, sshd: Any, keys: Any) -> None:
    session = open_lab(hop=host_of(sshd, keys), box={"address": "127.0.0.1", "port": processes.free_port(), "hop": "hop"})
    with pytest.raises(ConnectError, match="hop 'hop' could not connect to") as caught:
        run(session, "true")
    assert not isinstance(caught.value, HopError)


def test_a_hop_can_be_chosen_per_call(open_lab: Any, sshd: Any, keys: Any) -> None:
    session = open_lab(hop=host_of(sshd, keys), box=host_of(sshd, keys))
    assert run(session, "echo direct").stdout == "direct\n"
    assert session.hosts.reroute("box", "hop").path == ("hop", "box")
    assert run(session, "echo hopped").stdout == "hopped\n"


# -- lost


def test_a_killed_server_is_one_error_and_the_next_call_reconnects(open_lab: Any, sshd: Any, keys: Any) -> None:
    session = open_lab(box=host_of(sshd, keys))
    run(session, "cd /usr")
    killer = threading.Timer(0.4, sshd.drop_sessions)
    killer.start()
    began = time.monotonic()
    with pytest.raises(ConnectionLostError, match=r"^Host 'box' lost its connection: .*reconnects\.\nLast output:\npart$"):
        run(session, "echo part; sleep 30")
    killer.join()
    assert time.monotonic() - began < 3
    assert run(session, "echo again").stdout == "again\n"
    records = session.journal.take_records()
    assert any("this is a new one" in note for record in records for note in record.notes)


def test_a_connection_lost_while_idle_is_replaced_without_an_error(open_lab: Any, sshd: Any, keys: Any, proxy: Any) -> None:
    way = proxy(sshd.address, sshd.port)
    session = open_lab(box=host_of(sshd, keys, port=way.port))
    run(session, "true")
    way.cut()
    processes.wait_until(lambda: not session.hosts.use("box").connection.is_open, "the loss is noticed")
    assert run(session, "echo again").stdout == "again\n"


def test_a_dead_peer_is_noticed_by_keepalive(open_lab: Any, sshd: Any, keys: Any, proxy: Any) -> None:
    way = proxy(sshd.address, sshd.port)
    session = open_lab(box=host_of(sshd, keys, port=way.port, keepalive="200 ms"))
    run(session, "true")
    threading.Timer(0.2, way.stall).start()
    began = time.monotonic()
    with pytest.raises(ConnectionLostError):
        run(session, "sleep 30", timeout_s=20)
    assert time.monotonic() - began < 3
    way.cut()
    way.resume()
    assert run(session, "echo again").stdout == "again\n"


def test_a_lost_hop_is_replaced(open_lab: Any, network: Any, tmp_path: Path) -> None:
    session = open_lab(network.write_lab(tmp_path / "lab.json"))
    run(session, "true", "dut1")
    network["hop1"].sshd.drop_sessions()
    processes.wait_until(lambda: not session.hosts.use("dut1").connection.is_open, "the loss is noticed")
    assert run(session, "echo again", "dut1").stdout == "again\n"


def test_a_time_out_on_a_silent_connection_is_bounded(open_lab: Any, sshd: Any, keys: Any) -> None:
    session = open_lab(box=host_of(sshd, keys))
    run(session, "true")
    sshd.pause()
    began = time.monotonic()
    with pytest.raises((WaitTimeoutError, ConnectionLostError)):
        run(session, "sleep 30", timeout_s=0.5)
    assert time.monotonic() - began < 9


# -- trust


def test_a_new_key_is_accepted_once_and_a_changed_one_refused(open_lab: Any, faulty_ssh: Any, own_home: Path) -> None:
    server = faulty_ssh("host_key")
    host = {"address": server.address, "port": server.port, "user": server.user, "password": server.password}
    open_and_close = open_lab(box=host)
    open_and_close.engine.call(open_and_close.hosts.use("box").connection.open(Deadline(10)))
    assert server.host_key.split()[1] in (own_home / ".otto" / "known_hosts").read_text()
    before = server.fingerprint
    open_and_close.hosts.close()
    server.restart()
    with pytest.raises(HostKeyError, match="its host key has changed: it shows") as caught:
        run(open_and_close, "true")
    assert before in str(caught.value)
    assert server.fingerprint in str(caught.value)


def test_many_who_meet_a_new_host_at_once_note_its_key_once(open_lab: Any, sshd: Any, keys: Any, own_home: Path) -> None:
    session = open_lab(**{f"box{number}": host_of(sshd, keys) for number in range(6)})

    async def meet() -> list[Any]:
        return await asyncio.gather(*(session.hosts.use(name).run_once("echo in") for name in session.lab.loaded.names()))

    assert [result.stdout for result in session.engine.call(meet())] == ["in\n"] * 6
    assert len((own_home / ".otto" / "known_hosts").read_text().splitlines()) == 1


def test_strict_takes_no_unknown_key(open_lab: Any, sshd: Any, keys: Any) -> None:
    with pytest.raises(HostKeyError, match="is not in a known_hosts file, and 'host_key' is 'strict'"):
        run(open_lab(box=host_of(sshd, keys, host_key="strict")), "true")


def test_strict_takes_a_key_of_the_user_s_known_hosts(open_lab: Any, sshd: Any, keys: Any, own_home: Path) -> None:
    (own_home / ".ssh").mkdir()
    (own_home / ".ssh" / "known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {sshd.host_key}\n")
    assert run(open_lab(box=host_of(sshd, keys, host_key="strict")), "echo in").stdout == "in\n"


def test_a_pinned_key_must_match(open_lab: Any, sshd: Any, keys: Any, faulty_ssh: Any) -> None:
    assert run(open_lab(box=host_of(sshd, keys, host_key=sshd.host_key)), "echo in").stdout == "in\n"
    other = faulty_ssh("none")
    for pin in (other.host_key, other.fingerprint):
        with pytest.raises(HostKeyError, match="the lab pins SHA256:"):
            run(open_lab(box=host_of(sshd, keys, host_key=pin)), "true")


def test_ignore_takes_any_key(open_lab: Any, sshd: Any, keys: Any, own_home: Path) -> None:
    assert run(open_lab(box=host_of(sshd, keys, host_key="ignore")), "echo in").stdout == "in\n"
    assert not (own_home / ".otto").exists()


# -- logins


def test_an_encrypted_key_needs_its_passphrase(open_lab: Any, sshd: Any, keys: Any) -> None:
    host = host_of(sshd, keys, identity_file=str(keys.encrypted_file), ssh={"agent": False})
    assert run(open_lab(box=host | {"passphrase": keys.passphrase}), "echo in").stdout == "in\n"
    for wrong in ({}, {"passphrase": "wrong"}):
        with pytest.raises(LoginError, match="passphrase"):
            run(open_lab(box=host | wrong), "true")


def test_a_certificate_beside_the_key_is_used(open_lab: Any, sshd: Any, keys: Any) -> None:
    host = host_of(sshd, keys, identity_file=str(keys.certified_file), ssh={"agent": False})
    assert run(open_lab(box=host), "echo in").stdout == "in\n"


def test_ssh_config_says_what_the_lab_does_not(open_lab: Any, network: Any, keys: Any, own_home: Path) -> None:
    (own_home / ".ssh").mkdir()
    blocks = []
    for peer in network.hosts.values():
        jump = f"  ProxyJump {peer.hop}\n" if peer.hop else ""
        blocks.append(f"Host {peer.name}\n  HostName {peer.address}\n  Port {peer.port}\n  User {network.user}\n{jump}")
    (own_home / ".ssh" / "config").write_text("".join(blocks) + f"Host *\n  IdentityFile {keys.identity_file}\n")
    (own_home / ".ssh" / "known_hosts").write_text(
        "".join(f"{known_as(peer)} {peer.sshd.host_key}\n" for peer in network.hosts.values())
    )
    session = open_lab(dut={"address": "dut1"})
    assert run(session, "echo $OTTO_PEER", "dut").stdout == "dut1\n"


def test_old_algorithms_are_switched_on_per_host(open_lab: Any, faulty_ssh: Any) -> None:
    server = faulty_ssh("legacy")
    host = {"address": server.address, "port": server.port, "user": server.user, "password": server.password}
    with pytest.raises(ConnectError, match=r"no common algorithm .*'kex'"):
        run(open_lab(box=host), "true")
    old = {
        "kex": "+diffie-hellman-group14-sha1",
        "host_key_algorithms": "+ssh-rsa",
        "ciphers": "+aes128-cbc",
        "mac": "+hmac-sha1",
    }
    session = open_lab(box=host | {"ssh": old})
    assert session.engine.call(session.hosts.use("box").connection.open(Deadline(10))).lost is None


def test_a_password_of_a_real_account(open_lab: Any, accounts: Any, make_sshd: Any, sshd: Any) -> None:
    require("root")
    host = {"address": sshd.address, "port": sshd.port, "user": accounts.test.login, "password": accounts.test.password}
    session = open_lab(box=host)
    assert run(session, "whoami").stdout == f"{accounts.test.login}\n"
    with pytest.raises(WaitTimeoutError):
        run(session, "sleep 41 & sleep 41", timeout_s=0.4)
    assert run(session, "whoami").stdout == f"{accounts.test.login}\n"


# -- users


def _user_lab(open_lab: Any, accounts: Any, sshd: Any) -> Session:
    require("root")
    known = {accounts.peer.login: accounts.peer.password}
    host = {"address": sshd.address, "port": sshd.port, "user": accounts.test.login, "password": accounts.test.password}
    return open_lab(box=host | {"accounts": known})


@pytest.mark.parametrize("method", ["sudo", "su"])
def test_another_user_runs_everything_and_time_outs_still_end_it(open_lab: Any, accounts: Any, sshd: Any, method: str) -> None:
    session = _user_lab(open_lab, accounts, sshd)
    password = accounts.test.password if method == "sudo" else accounts.peer.password
    # pgrep sees what another worker's test runs on this machine: each has a length of its own.
    sleep = "sleep 43" if method == "sudo" else "sleep 44"
    run(session, "cd /usr")
    host = session.hosts.use("box")
    session.engine.call(
        host.switch_user(Account(accounts.peer.login, method, Secret(password)), session.engine.call(host.deadline(15)))
    )
    assert run(session, "whoami; pwd").stdout == f"{accounts.peer.login}\n/usr\n"
    assert session.engine.call(host.run_once("whoami")).stdout == f"{accounts.peer.login}\n"
    with pytest.raises(WaitTimeoutError):
        run(session, f"{sleep} & {sleep}", timeout_s=0.4)
    assert run(session, f"pwd; pgrep -x -f '{sleep}' || echo gone").stdout == "/usr\ngone\n"
    session.engine.call(host.send("whoami\n"))
    session.engine.call(host.expect([f"{accounts.peer.login}\n"], timeout_s=10))
    session.engine.call(host.switch_user(None, session.engine.call(host.deadline(15))))
    assert run(session, "whoami").stdout == f"{accounts.test.login}\n"


@pytest.mark.parametrize("method", ["sudo", "su"])
def test_a_refused_switch_changes_nothing(open_lab: Any, accounts: Any, sshd: Any, method: str) -> None:
    session = _user_lab(open_lab, accounts, sshd)
    host = session.hosts.use("box")
    run(session, "cd /usr; KEPT=yes")
    with pytest.raises(LoginError, match="switching to user"):
        session.engine.call(
            host.switch_user(Account(accounts.peer.login, method, Secret("wrong")), session.engine.call(host.deadline(20)))
        )
    assert run(session, "whoami; pwd; echo $KEPT").stdout == f"{accounts.test.login}\n/usr\nyes\n"


# -- reboots


def test_a_reboot_is_proved_by_the_boot_id(open_lab: Any, make_sshd: Any, keys: Any, tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("first\n")
    mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    where = {
        "port": processes.free_port(),
        "launcher": lambda command: ["unshare", "-m", "sh", "-c", mount, str(boot_id), *command],
    }
    sshd = make_sshd(**where)
    session = open_lab(box=host_of(sshd, keys))
    host = session.hosts.use("box")

    def rebooted(new_id: str) -> float:
        with ThreadPoolExecutor(1) as pool:
            gone = tmp_path / f"going down for {new_id.strip()}"
            deadline = session.engine.call(host.deadline(20))
            away = pool.submit(session.engine.call, reboot(host, f"touch '{gone}'", deadline))
            processes.wait_until(gone.exists, "The reboot command")
            sshd.kill()
            gone.unlink()
            boot_id.write_text(new_id)
            time.sleep(0.5)
            sshd.start()  # in the main thread: it would end with a shorter-lived one
            return away.result()

    assert rebooted("second\n") > 0.4
    with pytest.raises(HostError, match="did not reboot: its boot id is the same"):
        rebooted("second\n")


# -- what only SSH knows


def test_an_agent_holds_the_key(open_lab: Any, sshd: Any, keys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("ssh-agent", "ssh-add")
    place = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL) as agent:
        try:
            processes.wait_until(place.exists, "the agent answers")
            monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
            subprocess.run(["ssh-add", "-q", str(keys.identity_file)], check=True)
            host = {"address": sshd.address, "port": sshd.port, "user": sshd.user}
            assert (
                run(open_lab(box=host | {"ssh": {"forward_agent": True}}), "test -S $SSH_AUTH_SOCK && echo in").stdout == "in\n"
            )
            with pytest.raises(LoginError):
                run(open_lab(box=host | {"ssh": {"agent": False}}), "true")
            named = host | {"identity_file": str(keys.stranger_file)}
            with pytest.raises(LoginError, match=f"with the key {keys.stranger_file}"):
                run(open_lab(box=named), "true")
            assert run(open_lab(box=named | {"ssh": {"agent": True}}), "echo in").stdout == "in\n"
        finally:
            agent.terminate()


def test_a_missing_key_is_named_and_where_it_was_looked_for(open_lab: Any, sshd: Any, keys: Any, tmp_path: Path) -> None:
    advice = "A relative identity_file starts at the folder of the lab file."
    with pytest.raises(LoginError) as raised:
        run(open_lab(box=host_of(sshd, keys, identity_file="keys/none")), "true")
    assert f"{tmp_path}/keys/none cannot be read (No such file or directory). {advice}" in str(raised.value)


def test_forwards_are_opened_with_the_connection(open_lab: Any, sshd: Any, keys: Any) -> None:
    port = processes.free_port()
    session = open_lab(box=host_of(sshd, keys, ssh={"forwards": [f"{port}:127.0.0.1:{sshd.port}"]}))
    run(session, "true")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as way:
        assert way.recv(7) == b"SSH-2.0"
    session.hosts.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def test_compression_and_chosen_ciphers_work(open_lab: Any, sshd: Any, keys: Any) -> None:
    options = {"compression": True, "ciphers": ["chacha20-poly1305@openssh.com"]}
    session = open_lab(box=host_of(sshd, keys, ssh=options))
    assert len(run(session, "seq 1 50000").stdout) == 288_894

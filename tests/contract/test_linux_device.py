"""The built-in device ``linux`` on real SSH servers, one of them behind two hops, with power from a real pdudaemon."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import DeployError
from OttoLibrary.run.bench import Bench, BenchOptions, reference_to
from OttoLibrary.run.session import Session
from tests.peers.pdud import PduDaemon
from tests.peers.requirements import require


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Deploy a bench of these devices: ``deploy(box={...})``; returns the bench."""
    monkeypatch.setenv("OTTO_BENCHES", str(tmp_path / "benches"))
    sessions: list[tuple[Session, Bench]] = []

    def deployed(**devices: dict[str, Any]) -> Bench:
        listed = [{"name": name, "type": "linux", **device} for name, device in devices.items()]
        (tmp_path / "env.json").write_text(json.dumps({"environment_def": {}, "timeouts": {"boot": 30}}))
        (tmp_path / "inv.json").write_text(json.dumps({"b": {"devices": listed}}))
        reference = reference_to(str(tmp_path / "env.json"), str(tmp_path / "inv.json"), "b")
        session = Session(reference)
        bench = Bench(session, reference, BenchOptions())
        sessions.append((session, bench))
        bench.deploy(session.engine.call)
        return bench

    yield deployed
    for session, bench in sessions:
        session.engine.call(bench.end())
        session.close()


def connection(sshd: Any, keys: Any) -> dict[str, Any]:
    login = {"username": sshd.user, "identity_file": str(keys.identity_file)}
    return {"connection_type": "ssh_connection", "ipaddr": sshd.address, "port": sshd.port, **login}


def test_it_is_switched_on_waited_for_and_set_up(deploy: Any, sshd: Any, keys: Any, tmp_path: Path) -> None:
    require("pdudaemon")
    (tmp_path / "app").write_text("echo 7.1\n")
    (tmp_path / "pdu").mkdir()
    target = tmp_path / "opt" / "app"
    software = {"files": [{"from": "app", "to": str(target), "mode": "750"}], "commands": f"sh {target}"}
    with PduDaemon(tmp_path / "pdu") as pdudaemon:
        power = {"pdudaemon": pdudaemon.url, "hostname": "shelf", "port": 3}
        bench = deploy(box={**connection(sshd, keys), "tools": ["sh", "cat"], "software": software, "power": power})
        pdudaemon.wait_for("3 on")
    assert target.read_text() == "echo 7.1\n"
    assert target.stat().st_mode & 0o777 == 0o750
    assert any("7.1" in note.text for note in bench.deployment.notes)
    assert bench.deployment.device("", "HasPower").name == "box"


def test_it_is_set_up_through_hops_and_has_a_console_there(deploy: Any, network: Any, tmp_path: Path) -> None:
    lab = json.loads(network.write_lab(tmp_path / "network.json").read_text())
    hosts = {name: {**lab.get("defaults", {}), **host} for name, host in lab["hosts"].items()}
    way = {name: hosts[name] for name in ("dut1", hosts["dut1"]["hop"]) if name in hosts}
    while (hop := list(way.values())[-1].get("hop")) and hop not in way:
        way[hop] = hosts[hop]
    bench = deploy(**{name: {key: value for key, value in host.items() if value is not None} for name, host in way.items()})
    said = bench.devices["dut1"].console.execute_command("echo $((6*7))", timeout=30)
    assert said == "42"


def test_missing_tools_are_named(deploy: Any, sshd: Any, keys: Any) -> None:
    with pytest.raises(DeployError, match=r"box: device configure failed: Device 'box' lacks no-such-tool, nor-this\."):
        deploy(box={**connection(sshd, keys), "tools": ["sh", "no-such-tool", "nor-this"]})


def test_a_host_that_does_not_come_up_is_told_with_its_cause(deploy: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    power = {"host": "rig", "on": "true", "off": "true"}
    box = {"connection_type": "ssh_connection", "ipaddr": "127.0.0.1", "port": port, "power": power, "timeouts": {"boot": 1}}
    with pytest.raises(DeployError, match=r"box: device boot failed: it was not over in 1"):
        deploy(rig={"type": "local", "transport": "local"}, box=box)


def test_a_file_that_is_not_here_stops_before_the_first_boot(deploy: Any) -> None:
    software = {"files": [{"from": "missing", "to": "/tmp/x"}]}
    with pytest.raises(DeployError, match=r"box: validate failed: Device 'box': there is no file '.*/missing' to put there"):
        deploy(box={"type": "local", "transport": "local", "software": software})

"""Plug-ins of Vitro, run by real Vitro and by us: the same calls in the same order."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.peers.environments import require_environment
from tests.robot.running import ROOT

_TOO_LONG_S = 120
_PLUGIN = """
import asyncio, sys
from vitro import hookimpl
from vitro.devices.base_devices import VitroDevice

def trace(line):
    with open("trace.txt", "a") as file:
        file.write(line + "\\n")

@hookimpl
def vitro_configure(cmdline_args):
    trace(f"configure {cmdline_args.board_name}")

@hookimpl(tryfirst=True)
def vitro_reserve_devices():
    trace("reserve")

@hookimpl
def vitro_add_devices():
    return {"case_server": Server, "case_dut": Dut, "case_client": Client}

@hookimpl(tryfirst=True)
def vitro_post_setup_env(device_manager):
    trace("post_setup_env")

@hookimpl
def vitro_release_devices(deployment_status):
    trace(f"release {deployment_status.get('status')}")

class Traced(VitroDevice):
    def _do(self, hook):
        trace(f"{hook} {self.device_name}")
        if self.config.get("fail") == hook:
            raise RuntimeError(f"no {hook}")

    @hookimpl
    def vitro_shutdown_device(self, device_manager):
        self._do("shutdown")

def plain(hook):
    def method(self, config, cmdline_args, device_manager):
        self._do(hook)
    method.__name__ = hook
    return hookimpl(method)

def waiting(hook):
    async def method(self, config, cmdline_args, device_manager):
        trace(f"begin {hook} {self.device_name}")
        await asyncio.sleep(float(self.config.get("delay", 0)))
        self._do(hook)
    method.__name__ = hook
    return hookimpl(method)

def kind(*hooks):
    members = {"validate_device_requirements": plain("validate")}
    members |= {hook: plain(hook) for hook in hooks}
    if "async" in sys.argv or __import__("os").environ.get("CASE_ASYNC"):
        members |= {f"{hook}_async": waiting(hook) for hook in hooks}
        members["validate_device_requirements_async"] = waiting("validate")
    return type("Case", (Traced,), members)

Server = kind("vitro_server_boot", "vitro_server_configure")
Dut = kind("vitro_device_boot", "vitro_device_configure")
Client = kind("vitro_attached_device_boot", "vitro_attached_device_configure")
"""
_MORE = {
    "async only": """
del Server.vitro_server_boot
Server.vitro_server_boot_async = waiting("vitro_server_boot")
""",
    "unmarked": """
Server.vitro_server_boot = lambda self: trace("never")
""",
}
_DEVICES = [
    {"name": "srv", "type": "case_server", "delay": "0.2"},
    {"name": "dut", "type": "case_dut", "delay": "0.1"},
    {"name": "client", "type": "case_client", "delay": "0.05"},
]


class Case:
    """A plug-in of Vitro with three traced devices, and both ways to run it."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.python = folder, python

    def write(self, more: str = "", devices: list[dict[str, Any]] = _DEVICES, **asked: Any) -> None:
        (self.folder / "case_plugin.py").write_text(_PLUGIN + more)
        package = self.folder / "case_plugin-1.0.dist-info"
        package.mkdir(exist_ok=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: case-plugin\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text("[vitro]\ncase = case_plugin\n")
        (self.folder / "environment.json").write_text(json.dumps({"environment_def": asked}))
        (self.folder / "inventory.json").write_text(json.dumps({"bench-1": {"devices": devices}}))

    def vitro(self, **environment: str) -> tuple[int, list[str]]:
        words = ["--board-name", "bench-1", "--env-config", "environment.json", "--inventory-config", "inventory.json"]
        return self._run(["-c", "from vitro.main import main; main()", *words], "", environment)[:2]

    def ours(self, **environment: str) -> tuple[int, list[str], str]:
        words = ["-m", "OttoLibrary", "deploy", "environment.json", "inventory.json", "--board", "bench-1"]
        return self._run(words, os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]), environment)

    def _run(self, words: list[str], paths: str, more: dict[str, str]) -> tuple[int, list[str], str]:
        trace = self.folder / "trace.txt"
        trace.unlink(missing_ok=True)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(self.folder), paths]))} | more
        environment |= {"OTTO_LEASES": str(self.folder / "leases")}
        done = subprocess.run(
            [self.python, *words],
            cwd=self.folder,
            env=environment,
            input="q\n",
            capture_output=True,
            text=True,
            timeout=_TOO_LONG_S,
            check=False,
        )
        said = done.stdout + done.stderr
        return done.returncode, trace.read_text().splitlines() if trace.exists() else [said], said


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path, require_environment("vitro"))


def test_plain_hooks_are_called_as_by_vitro(case: Case) -> None:
    case.write()
    rc, theirs = case.vitro()
    mine, ours, said = case.ours()
    assert (mine, rc) == (0, 0), said
    assert ours == theirs
    assert ours[0] == "configure bench-1"
    assert ours[-1] == "release success"


def test_coroutine_hooks_are_called_as_by_vitro(case: Case) -> None:
    case.write()
    rc, theirs = case.vitro(CASE_ASYNC="1")
    mine, ours, said = case.ours(CASE_ASYNC="1")
    assert (mine, rc) == (0, 0), said
    assert ours == theirs


def test_the_order_of_the_inventory_decides_as_with_vitro(case: Case) -> None:
    case.write(devices=[_DEVICES[1], _DEVICES[2], _DEVICES[0]])
    theirs, ours = case.vitro()[1], case.ours()[1]
    assert ours == theirs


def test_a_failed_boot_shuts_down_and_releases(case: Case) -> None:
    case.write(srv={"fail": "vitro_server_boot"})
    rc, theirs = case.vitro()
    mine, ours, said = case.ours()
    assert (rc, mine) == (1, 1)
    assert ours == theirs
    assert "srv: server boot failed: RuntimeError: no vitro_server_boot" in said


def test_a_failing_shutdown_still_shuts_down_and_releases_the_rest(case: Case) -> None:
    case.write(client={"fail": "shutdown"})
    _, theirs = case.vitro()
    mine, ours, _ = case.ours()
    assert not any(line.startswith("release") for line in theirs)
    assert mine == 1
    assert ours[-4:] == ["shutdown client", "shutdown dut", "shutdown srv", "release success"]


def test_a_coroutine_hook_alone_is_not_left_out(case: Case) -> None:
    case.write(_MORE["async only"])
    _, theirs = case.vitro()
    _, ours, said = case.ours()
    assert "vitro_server_boot srv" not in theirs
    assert "vitro_server_boot srv" in ours, said


def test_a_hook_without_the_marker_is_an_error(case: Case) -> None:
    case.write(_MORE["unmarked"])
    assert "never" not in case.vitro()[1]
    rc, _, said = case.ours()
    assert rc == 2
    assert "'vitro_server_boot' would never be called, because it has no @hookimpl" in said


def test_a_bench_without_a_device_boots(case: Case) -> None:
    """Real Vitro has no hook for the coroutine of a device's boot, and cannot deploy servers and clients alone."""
    case.write(devices=[_DEVICES[0], _DEVICES[2]])
    assert case.vitro()[0] == 1
    rc, ours, said = case.ours()
    assert rc == 0, said
    assert "vitro_attached_device_boot client" in ours

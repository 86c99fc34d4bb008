"""The table of lab keys: values, profiles, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts import profiles
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.errors import PluginError
from OttoLibrary.lab import fields
from OttoLibrary.lab.loading import load_lab, schema
from OttoLibrary.text import Secret
from tests.unit.lab.benches import Write, facts, problems

REPO = Path(__file__).parents[3]


def test_every_field_reaches_the_facts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert facts(
        port=2222, user="root", password="pw", identity_file="keys/id", passphrase="pp", host_key="SHA256:abc",
        profile="busybox", tags=["a"], resources=["r"], metadata={"n": [1, {"_c": 1, "x": None}]}, environment={"A": "1"},
        cwd="/tmp", timeout="1 min", connect_timeout="500ms", keepalive=2, accounts={"su": "x"}, _comment="ignored",
        ssh={"config_file": "~/cfg", "ciphers": ["a", "b"], "kex": "+c", "agent": False, "forwards": ["1:h:2"]},
    ) == HostFacts(
        name="dut1", labs=("bench",), address="10.0.0.1", port=2222, user="root", password=Secret("pw"),
        identity_file=str(folder / "labs/keys/id"), passphrase=Secret("pp"), host_key="SHA256:abc", profile="busybox",
        tags=("a",), resources=("r",), metadata={"n": [1, {"x": None}]}, environment={"A": "1"}, cwd="/tmp", timeout=60.0,
        connect_timeout=0.5, keepalive=2.0, accounts={"su": Secret("x")},
        ssh=fields.SshOptions(config_file="/home/me/cfg", ciphers="a,b", kex="+c", agent=False, forwards=("1:h:2",)),
        console=profiles.busybox(),
    )  # fmt: skip


def test_every_field_of_a_serial_host_reaches_the_facts() -> None:
    given = {
        "baudrate": 9600,
        "bytesize": 7,
        "parity": "even",
        "stopbits": 1.5,
        "flow_control": "rtscts",
        "character_delay": "5ms",
    }
    found = facts(transport="serial", port="/dev/ttyUSB0", address=None, serial=given)
    assert (found.device, found.port, found.address) == ("/dev/ttyUSB0", None, "")
    assert found.serial == fields.SerialOptions(9600, 7, "even", 1.5, "rtscts", 0.005)


def test_a_port_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "2222")
    assert facts(port="${env:PORT}").port == 2222
    monkeypatch.setenv("PORT", "/dev/ttyS1")
    assert facts(transport="serial", port="${env:PORT}").device == "/dev/ttyS1"


def test_every_field_of_the_facts_is_in_the_table() -> None:
    assert set(fields.HOST.fields) == set(HostFacts.__dataclass_fields__) - {"name", "labs", "device", "console"}
    assert set(fields.SSH.fields) == set(fields.SshOptions.__dataclass_fields__)
    assert set(fields.SERIAL.fields) == set(fields.SerialOptions.__dataclass_fields__)
    assert set(fields.PROFILE.fields) - {"base"} == set(Profile.__dataclass_fields__) - {"name"}


def test_defaults_lie_beneath_each_host(write: Write) -> None:
    defaults = {"user": "u", "hop": "gw", "tags": ["x"], "ssh": {"kex": "k", "mac": "m"}, "environment": {"A": "1", "B": "2"}}
    hosts = {
        "gw": {"address": "gw", "hop": None},
        "dut1": {"address": "d", "tags": ["y"], "ssh": {"mac": None}, "environment": {"A": None, "B": "3"}},
    }
    write({"defaults": defaults, "hosts": hosts})
    lab = load_lab("bench")
    found = lab.facts("dut1")
    assert (found.user, found.tags, found.environment, found.ssh.kex, found.ssh.mac) == ("u", ("y",), {"B": "3"}, "k", None)
    assert lab.path("dut1") == ("gw", "dut1")
    assert lab.path("gw") == ("gw",)


def test_a_lab_s_own_profile_says_what_its_base_does_not(write: Write) -> None:
    own = {
        "router": {"base": "cisco-ios", "prompt": "^r1[>#]"},
        "router-de": {"base": "router", "encoding": "latin1", "pager_off": ["no pager"]},
        "linux": {"prompt": "^mine> "},
    }
    hosts = {name: {"address": "x", "profile": name} for name in (*own, "uboot")}
    write({"profiles": own, "hosts": hosts})
    lab = load_lab("bench")
    router = lab.facts("router-de").console
    assert (router.name, router.prompt, router.newline) == ("router-de", "^r1[>#]", "\r")
    assert (router.encoding, router.pager_off, router.runs) == ("iso8859-1", ("no pager",), "prompt")
    assert lab.facts("uboot").console == profiles.uboot()


def test_a_plug_in_s_profile_has_a_name_of_its_own(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_profile("mine", lambda: Profile("mine", prompt="^mine> "))
    assert facts(profile="mine").console.prompt == "^mine> "
    with pytest.raises(PluginError, match="already owns it"):
        registry.register_profile("linux", lambda: Profile("linux"))


def test_profiles_are_those_of_a_host_s_own_lab(write: Write) -> None:
    for name in ("one", "two"):
        content = {"profiles": {"own": {"prompt": f"^{name}> "}}, "hosts": {name: {"address": "x", "profile": "own"}}}
        write(content, f"labs/{name}.json")
    lab = load_lab("one,two")
    assert [lab.facts(name).console.prompt for name in ("one", "two")] == ["^one> ", "^two> "]


@pytest.mark.parametrize(
    ("profiles_", "problem"),
    [
        ({"own": {"prompt": "(", "base": "raw"}}, "'(' is not a regular expression: missing ), unterminated"),
        ({"own": {"bse": "raw"}}, "unknown key 'bse' @ profiles.own (did you mean 'base'?)"),
        ({"own": {"base": "ubot"}}, "(did you mean 'uboot'?)"),
        (
            {"own": {"base": "other"}, "other": {"base": "own"}},
            "based on each other in a circle: own -> other -> own @ profiles.own",
        ),
        ({"own": {"runs": "bash"}}, "'bash' is not one of posix, prompt @ profiles.own.runs"),
        (
            {"own": {"encoding": "utf-9"}},
            "'utf-9' is not the name of an encoding, such as utf-8 or latin-1 @ profiles.own.encoding",
        ),
    ],
)
def test_a_mistake_in_a_profile_is_named(write: Write, profiles_: dict[str, Any], problem: str) -> None:
    write({"profiles": profiles_, "hosts": {}})
    assert any(problem in found for found in problems()), problems()


def test_an_unknown_profile_is_named(write: Write) -> None:
    write({"profiles": {"own": {}}, "hosts": {"dut1": {"address": "x", "profile": "lnux"}}})
    known = "bash, busybox, cisco-ios, linux, own, raw, uboot, zephyr"
    wanted = f"labs/bench.json: profile 'lnux' is not known, known are {known} @ hosts.dut1.profile (did you mean 'linux'?)"
    assert problems() == (wanted,)


_PORT = {"transport": "serial", "port": "/dev/ttyS0"}


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"transport": "serial"}, "'rfc2217://address:4001', as its 'port' @ hosts.dut1"),
        ({"transport": "serial", "port": 4001}, "a serial host needs a device such as"),
        (
            {"transport": "ssh", "port": "/dev/ttyS0"},
            "serial device, and transport 'ssh' needs a port from 1 to 65535 @ hosts.dut1.port",
        ),
        ({"transport": "telnet", "port": "ttyS0"}, "'ttyS0' is not a port from 1 to 65535 @ hosts.dut1.port"),
        ({"transport": "telnet", "address": None}, "'address' is missing @ hosts.dut1"),
        ({**_PORT, "hop": "gw"}, "hop 'gw' leads elsewhere; use a socket:// or rfc2217:// URL @ hosts.dut1.port"),
        (
            {**_PORT, "serial": {"parity": "evn"}},
            "'evn' is not one of none, even, odd, mark, space @ hosts.dut1.serial.parity (did you mean",
        ),
        ({**_PORT, "serial": {"bytesize": 9}}, "9 is not 5, 6, 7 or 8 @ hosts.dut1.serial.bytesize"),
        ({**_PORT, "serial": {"stopbits": 3}}, "3 is not 1, 1.5 or 2 @ hosts.dut1.serial.stopbits"),
        ({**_PORT, "serial": {"baudrate": 0}}, "0 is not a number from 1 on @ hosts.dut1.serial.baudrate"),
    ],
)
def test_a_mistake_about_a_line_is_named(write: Write, host: dict[str, Any], problem: str) -> None:
    write({"hosts": {"gw": {"address": "g"}, "dut1": {"address": "x", **host}}})
    assert any(problem in found for found in problems()), problems()


def test_the_schema_knows_every_field() -> None:
    made = schema()
    assert json.loads(json.dumps(made)) == made
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    host = made["$defs"]["host"]
    assert set(host["properties"]) == set(fields.HOST.fields)
    assert all(row["description"] for row in host["properties"].values())
    assert host["additionalProperties"] is False
    assert host["patternProperties"] == {"^_": True}


@pytest.mark.parametrize("file", [*REPO.glob("labs/*.json"), *REPO.glob("OttoLibrary/labs/*.json")], ids=lambda file: file.stem)
def test_a_shipped_lab_keeps_the_schema(file: Path) -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    validator.check_schema(schema())
    assert list(validator(schema()).iter_errors(json.loads(file.read_text("utf-8")))) == []

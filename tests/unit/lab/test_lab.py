"""Labs: finding, reading, checking, merging, selecting, resolving."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from OttoLibrary import registry
from OttoLibrary.contracts import profiles
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.errors import LabError, PluginError, UnknownNameError, ValueFormatError
from OttoLibrary.lab import fields
from OttoLibrary.lab.lab import Lab
from OttoLibrary.lab.loading import load_lab, schema
from OttoLibrary.lab.sources.json import JsonLabs
from OttoLibrary.text import Secret

Write = Callable[..., Path]
REPO = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTTO_LABS", raising=False)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    def write_file(content: Any, name: str = "labs/bench.json") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_file


def bench(**host: Any) -> dict[str, Any]:
    return {"hosts": {"dut1": {"address": "10.0.0.1", **host}}}


def problems(references: str = "bench") -> tuple[str, ...]:
    with pytest.raises(LabError) as raised:
        load_lab(references)
    return raised.value.problems


def facts(**host: Any) -> HostFacts:
    Path("labs").mkdir(exist_ok=True)
    Path("labs/bench.json").write_text(json.dumps(bench(**host)), encoding="utf-8")
    return load_lab("bench").facts("dut1")


# -- the files of this repository


@pytest.mark.parametrize("file", [*REPO.glob("labs/*.json"), *REPO.glob("OttoLibrary/labs/*.json")], ids=lambda file: file.stem)
def test_a_shipped_lab_loads(file: Path) -> None:
    lab = load_lab(str(file))
    assert lab.name == file.stem
    assert lab.names()


def test_the_demo_lab_is_always_there() -> None:
    lab = load_lab("demo")
    assert lab.names() == ["local", "gateway", "dut1", "dut2", "dut3"]
    assert lab.select("tag:dut") == ["dut1", "dut2", "dut3"]
    assert lab.path("dut2") == ("gateway", "dut2")


# -- finding


def find_lab(name: str, suite_folder: Path | None) -> Path:
    return JsonLabs(suite_folder).file_of(name)


def test_the_nearest_labs_folder_wins(folder: Path, write: Write) -> None:
    near, far = write(bench(), "suites/deep/labs/bench.json"), write(bench())
    assert find_lab("bench", folder / "suites/deep") == near
    assert find_lab("bench", folder / "suites/other") == far
    assert find_lab("bench", None) == far


def test_otto_labs_names_further_folders(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(bench(), "b/rack.json")
    monkeypatch.setenv("OTTO_LABS", os.pathsep.join([str(folder / "a"), str(folder / "b")]))
    assert find_lab("rack", None) == file


def test_a_path_or_a_folder_is_a_lab(folder: Path, write: Write) -> None:
    file, site = write(bench()), write([], "site/hosts.json")
    (folder / "suites").mkdir()
    assert find_lab("labs/bench.json", None) == file
    assert find_lab("site", None) == site
    assert find_lab("../labs/bench.json", folder / "suites") == file


def test_an_unknown_lab_says_what_there_is_and_where_it_looked(write: Write) -> None:
    write(bench())
    (problem,) = problems("bnch")
    assert problem.startswith("No lab named 'bnch'. Did you mean 'bench'? Known: bench, demo. Searched: labs, ")


def test_a_missing_file_is_named() -> None:
    assert problems("labs/none.json") == ("No lab file 'labs/none.json', and no folder of that name with a hosts.json.",)


@pytest.mark.parametrize("references", ["", " , "])
def test_no_lab_at_all_is_an_error(references: str) -> None:
    assert problems(references)[0].startswith("No lab is given.")


# -- mistakes


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"adress": "x"}, "unknown key 'adress' @ hosts.dut1 (did you mean 'address'?)"),
        ({"port": 70000}, "70000 is not a port from 1 to 65535 @ hosts.dut1.port"),
        ({"port": "22"}, "'22' is not a port from 1 to 65535 @ hosts.dut1.port"),
        ({"port": True}, "true is not a port from 1 to 65535 @ hosts.dut1.port"),
        ({"password": 12}, "the value is not text @ hosts.dut1.password"),
        ({"timeout": "soon"}, "'soon' is not a duration such as 10, '500ms' or '1 min 30 s' @ hosts.dut1.timeout"),
        ({"tags": "dut"}, "'dut' is not a list @ hosts.dut1.tags"),
        ({"tags": ["a", 1]}, "1 is not text with something in it @ hosts.dut1.tags[1]"),
        ({"ssh": {"cipher": "x"}}, "unknown key 'cipher' @ hosts.dut1.ssh (did you mean 'ciphers'?)"),
        ({"ssh": {"forwards": ["80"]}}, "'80' is not [bind_address:]port:address:port @ hosts.dut1.ssh.forwards[0]"),
        ({"ftp": {"pasword": "x"}}, "unknown key 'pasword' @ hosts.dut1.ftp (did you mean 'password'?)"),
        ({"ftp": {"tls": "yes"}}, "'yes' is not one of no, explicit, implicit @ hosts.dut1.ftp.tls"),
        ({"ftp": {"mode": "activ"}}, "'activ' is not one of passive, active @ hosts.dut1.ftp.mode (did you mean 'active'?)"),
        ({"ftp": {"port": "/dev/x"}}, "'/dev/x' is not a port from 1 to 65535 @ hosts.dut1.ftp.port"),
        (
            {"ftp": {"certificate": "SHA256:12"}},
            (
                "'SHA256:12' is not 'verify', 'ignore' or SHA256: with the 64 hexadecimal digits of a fingerprint"
                " @ hosts.dut1.ftp.certificate"
            ),
        ),
        (
            {"transport": "shh"},
            "transport 'shh' is not available, known are local, serial, ssh, telnet @ hosts.dut1.transport (did you mean 'ssh'?)",
        ),
        ({"hop": "dut2"}, "hop 'dut2' is not a host of the lab @ hosts.dut1.hop (did you mean 'dut1'?)"),
        ({"hop": "dut1"}, "the hops run in a circle: dut1 -> dut1 @ hosts.dut1.hop"),
        ({"user": "${evn:U}"}, "unknown reference kind 'evn' @ hosts.dut1.user (did you mean 'env'?)"),
        ({"metadata": {"a": ["${nope:U}"]}}, "unknown reference kind 'nope' @ hosts.dut1.metadata.a[0]"),
        ({"environment": {"A-B": "1"}}, "'A-B' is not the name of a variable @ hosts.dut1.environment"),
        ({"environment": {"A": 1}}, "1 is not text @ hosts.dut1.environment.A"),
        (
            {"host_key": "strikt"},
            (
                "'strikt' is not 'accept-new', 'strict', 'ignore', a SHA256 fingerprint or a public key @ hosts.dut1.host_key "
                "(did you mean 'strict'?)"
            ),
        ),
        (
            {"hop": "${env:HOP}"},
            "a reference is not allowed here, because the value is needed before references are resolved @ hosts.dut1.hop",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_path(write: Write, host: dict[str, Any], problem: str) -> None:
    write(bench(**host))
    assert f"labs/bench.json: {problem}" in problems()


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a\tb", "a\x07b", "AND", "OR", "NOT", "tag:x", "a*", "a=b"])
def test_a_host_name_must_be_selectable(write: Write, name: str) -> None:
    write({"hosts": {name: {"address": "x"}}})
    assert problems()[0].startswith(f"labs/bench.json: {name!r} is not a host name")


def test_all_mistakes_of_all_files_come_in_one_error(write: Write) -> None:
    write({"nane": "x", "defaults": {"port": 0}, "hosts": {"dut1": {"prt": 1}, "dut2": {"address": "x", "hop": "nowhere"}}})
    write("[1,}", "labs/broken.json")
    assert problems("bench,broken,nothing") == (
        "labs/bench.json: unknown key 'nane' @ top level (did you mean 'name'?)",
        "labs/bench.json: 0 is not a port from 1 to 65535 @ defaults.port",
        "labs/bench.json: unknown key 'prt' @ hosts.dut1 (did you mean 'port'?)",
        "labs/broken.json: bad JSON: Expecting value @ line 1, column 4",
        problems("nothing")[0],
        "labs/bench.json: 'address' is missing @ hosts.dut1",
        "labs/bench.json: hop 'nowhere' is not a host of the lab @ hosts.dut2.hop",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"hosts": {"a": {"address": "1", "address": "2"}}}', "duplicate key 'address' @ hosts.a"),
        ('{"hosts": {"a": {"address": "1"}, "a": {"address": "2"}}}', "duplicate key 'a' @ hosts"),
        ("{}", "'hosts' is missing @ top level"),
        ("3", "a lab is a JSON object, or an array of hosts in otto's form @ top level"),
        ('{"hosts": {"a": null}}', "null is not an object @ hosts.a"),
        ('{"hosts": {}, "metadata": {"x": NaN}}', "bad JSON: NaN is not JSON @ top level"),
        ("[" * 100_000, "bad JSON: maximum recursion depth exceeded"),
        ("[" * 50 + "]" * 50, "objects and lists are nested deeper than 40 levels @ top level"),
    ],
)
def test_a_broken_file_is_one_clear_mistake(write: Write, content: str, problem: str) -> None:
    write(content)
    (found,) = problems()
    assert found.startswith(f"labs/bench.json: {problem}")


def test_a_circle_of_hops_is_told_once(write: Write) -> None:
    hops = {"a": "b", "b": "c", "c": "a", "d": "a"}
    write({"hosts": {name: {"address": name, "hop": hop} for name, hop in hops.items()}})
    assert problems() == ("labs/bench.json: the hops run in a circle: a -> b -> c -> a @ hosts.a.hop",)


def test_a_local_host_needs_no_address_and_has_no_hop(write: Write) -> None:
    write({"hosts": {"here": {"transport": "local"}, "there": {"transport": "local", "hop": "here"}}})
    assert problems() == ("labs/bench.json: host 'there' is local and cannot have a hop @ hosts.there.hop",)


def test_no_message_and_no_repr_shows_a_secret(write: Write) -> None:
    write({"defaults": {"password": ["hunter2"]}, "hosts": {"dut1": {"address": "x", "accounts": {"root": {"hunter2": 1}}}}})
    assert "hunter2" not in "".join(problems())
    write(bench(password="hunter2", accounts={"root": "hunter2"}))
    lab = load_lab("bench")
    assert "hunter2" not in repr(lab) + repr(lab.entry("dut1")) + repr(lab.facts("dut1"))


# -- values


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


# -- profiles


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
        ({"own": {"prompt": "(", "base": "raw"}}, "'(' is no regular expression: missing ), unterminated"),
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


# -- references


class Counting:
    """A reference that counts how often it is asked."""

    asked = closed = 0

    def resolve(self, argument: str) -> str:
        type(self).asked += 1
        return f"<{argument}>"

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setattr(registry, "_registered", {})
    made = type("Made", (Counting,), {})
    registry.register_reference("count", made)
    return made


def test_references_become_values_of_the_right_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "2200", "YES": "true", "WAIT": "2 s", "PW": "s3cret"}.items():
        monkeypatch.setenv(name, value)
    found = facts(port="${env:PORT}", timeout="${env:WAIT}", password="x${env:PW}", ssh={"agent": "${env:YES}"})
    assert (found.port, found.timeout, found.password, found.ssh.agent) == (2200, 2.0, Secret("xs3cret"), True)


def test_all_missing_values_come_in_one_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    hosts = {"dut1": {"address": "x", "user": "${env:NO_U}", "port": "${env:PORT}", "environment": {"A": "${file:no}"}}}
    write({"defaults": {"password": "${env:NO_P}", "user": "${env:NOT_ASKED}"}, "hosts": hosts})
    lab = load_lab("bench")
    with pytest.raises(LabError) as raised:
        lab.facts("dut1")
    assert raised.value.problems == (
        "labs/bench.json: environment variable 'NO_P' is not set @ defaults.password",
        "labs/bench.json: environment variable 'NO_U' is not set @ hosts.dut1.user",
        "labs/bench.json: the value of '${env:PORT}' is not a port from 1 to 65535 @ hosts.dut1.port",
        "labs/bench.json: file 'no' cannot be read (No such file or directory) @ hosts.dut1.environment.A",
    )


def test_a_reference_is_resolved_on_first_use_and_once(write: Write, counting: type[Counting]) -> None:
    write(bench(user="${count:a}", password="${count:a}"))
    lab = load_lab("bench")
    assert counting.asked == 0
    assert lab.facts("dut1") is lab.facts("dut1")
    assert counting.asked == 1
    lab.close()
    lab.close()
    assert counting.closed == 1


def test_secrets_are_all_that_must_be_masked(write: Write, counting: type[Counting]) -> None:
    environment, metadata = {"TOKEN": "t=${count:t}", "LANG": "C"}, {"a": ["${count:m}", "plain"]}
    write(bench(user="${count:u}", password="pw", accounts={"r": "${count:r}"}, environment=environment, metadata=metadata))
    assert load_lab("bench").secrets("dut1") == ["pw", "<r>", "<t>", "<m>"]


def test_a_file_reference_loses_one_newline(write: Write) -> None:
    write("pass\n\n", "secret.txt")
    assert facts(password="${file:secret.txt}").password == Secret("pass\n")


# -- merging


def test_labs_merge_and_hops_may_cross_them(write: Write) -> None:
    write({"hosts": {"gw": {"address": "gw"}}, "metadata": {"a": 1}, "description": "one"}, "labs/one.json")
    two = {"gw": {"address": "gw", "_": "the same"}, "dut1": {"address": "d", "hop": "gw"}}
    write({"hosts": two, "metadata": {"b": 2}, "name": "second"}, "labs/two.json")
    lab = load_lab("one, two")
    assert (lab.name, lab.description, dict(lab.metadata)) == ("one,second", "one", {"a": 1, "b": 2})
    assert lab.entry("gw").labs == ("one", "second")
    assert lab.path("dut1") == ("gw", "dut1")
    assert (lab.select("lab:second"), lab.select("lab:one")) == (["gw", "dut1"], ["gw"])


def test_a_host_defined_differently_names_both_files(write: Write) -> None:
    write({"hosts": {"gw": {"address": "a"}}}, "labs/one.json")
    write({"hosts": {"gw": {"address": "b"}}}, "labs/two.json")
    assert problems("one,two") == ("labs/two.json: host 'gw' is defined differently in labs/one.json @ hosts.gw",)


# -- selecting and ways


@pytest.fixture
def lab(write: Write) -> Lab:
    tags = {"gw": [], "dut1": ["dut", "arm"], "dut2": ["dut", "x86"], "rig": ["rig", "arm"]}
    hops = {"dut1": "gw", "rig": "dut1"}
    write({"hosts": {name: {"address": name, "tags": of, "hop": hops.get(name)} for name, of in tags.items()}})
    return load_lab("bench")


@pytest.mark.parametrize(
    ("expressions", "names"),
    [
        ([], "gw dut1 dut2 rig"),
        (["dut2"], "dut2"),
        (["rig", "dut1"], "dut1 rig"),
        (["dut*"], "dut1 dut2"),
        (["tag:dut"], "dut1 dut2"),
        (["tag:*"], "dut1 dut2 rig"),
        (["tag:nothing"], ""),
        (["lab:bench"], "gw dut1 dut2 rig"),
        (["tag:dut AND tag:arm"], "dut1"),
        (["tag:dut NOT dut2"], "dut1"),
        (["tag:dut AND NOT dut2"], "dut1"),
        (["NOT tag:dut"], "gw rig"),
        (["NOT tag:dut NOT gw"], "rig"),
        (["gw OR tag:dut AND tag:arm"], "gw dut1"),
        (["tag:dut OR tag:rig NOT tag:arm"], "dut2"),
    ],
)
def test_selection(lab: Lab, expressions: list[str], names: str) -> None:
    assert lab.select(*expressions) == names.split()


def test_an_unknown_exact_name_is_an_error(lab: Lab) -> None:
    with pytest.raises(UnknownNameError, match=r"No host named 'dut3'\. Did you mean 'dut2'\? Known: dut1, dut2, gw, rig\."):
        lab.select("tag:dut OR dut3")


@pytest.mark.parametrize("expression", ["", "AND", "NOT", "dut1 AND", "OR dut1", "dut1 OR NOT dut2", "dut1 AND OR dut2"])
def test_half_a_selection_is_an_error(lab: Lab, expression: str) -> None:
    with pytest.raises(ValueFormatError, match="selects no hosts"):
        lab.select(expression)


def test_the_way_to_a_host(lab: Lab) -> None:
    assert lab.path("rig") == ("gw", "dut1", "rig")
    assert lab.path("rig", hop="dut2") == ("dut2", "rig")
    assert lab.path("rig", hop="") == ("rig",)


def test_a_hop_that_cannot_be_is_an_error(lab: Lab) -> None:
    with pytest.raises(LabError, match="No hop named 'dut9'"):
        lab.path("rig", hop="dut9")
    with pytest.raises(LabError, match="Host 'gw' cannot be reached through 'rig', which is reached through 'gw' itself"):
        lab.path("gw", hop="rig")


# -- otto's form


def otto(**host: Any) -> dict[str, Any]:
    return {"ip": "10.0.0.9", "creds": {"tester": "pw", "root": "toor"}, "ne": "Carrot", **host}


def test_ottos_hosts_load(write: Write) -> None:
    options = {
        "port": 2222, "connect_timeout": 3, "client_keys": ["/k/one", "/k/two"], "agent_forwarding": True, "known_hosts": None,
        "encryption_algs": ["aes"], "preferred_auth": "password",
    }  # fmt: skip
    first = otto(neId=1, board="ctl", slot=2, ssh_options=options, labs=["east"], transfer="nc", is_virtual=True, resources=["r"])
    write([first, otto(neId=2, hop="carrot1_ctl2", user="root"), otto(name="third")], "site/hosts.json")
    lab = load_lab("site")
    assert lab.names() == ["carrot1_ctl2", "carrot2", "third"]
    assert lab.path("carrot2") == ("carrot1_ctl2", "carrot2")
    assert (lab.facts("carrot2").user, lab.facts("carrot2").accounts) == ("root", {"tester": Secret("pw")})
    assert lab.facts("carrot1_ctl2") == HostFacts(
        name="carrot1_ctl2", labs=("east",), address="10.0.0.9", port=2222, user="tester", password=Secret("pw"),
        identity_file="/k/one", resources=("r",), connect_timeout=3.0, accounts={"root": Secret("toor")},
        metadata={"ne": "Carrot", "neId": 1, "board": "ctl", "slot": 2, "transfer": "nc", "is_virtual": True,
                  "ssh_options": {"preferred_auth": "password"}},
        ssh=fields.SshOptions(forward_agent=True, ciphers="aes"),
    )  # fmt: skip


def test_a_lab_name_in_ottos_file_is_a_lab(write: Write) -> None:
    write([otto(name="a", labs=["east", "west"]), otto(name="b", labs=["west"]), otto(name="c")], "labs/hosts.json")
    assert load_lab("west").names() == ["a", "b"]
    assert load_lab("east,west").select("lab:east") == ["a"]
    assert "Known: demo, east, west." in problems("nort")[0]


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"ipp": "x"}, "unknown key 'ipp' @ [0] (did you mean 'ip'?)"),
        ({"ssh_options": {"prt": 1}}, "unknown key 'prt' @ [0].ssh_options (did you mean 'port'?)"),
        ({"term": "telnett"}, "transport 'telnett' is not available"),
        ({"user": "tesster"}, "user 'tesster' is not in 'creds' @ [0].user (did you mean 'tester'?)"),
        ({"hop": "nowhere"}, "hop 'nowhere' is not a host of the lab @ [0].hop"),
        ({"ip": None}, "'ip' is missing @ [0]"),
        ({"name": "a b"}, "'a b' is not a host name"),
    ],
)
def test_a_mistake_in_ottos_form_is_named(write: Write, host: dict[str, Any], problem: str) -> None:
    write([otto(**host)], "site/hosts.json")
    (found,) = problems("site")
    assert found.startswith(f"site/hosts.json: {problem}")


def test_a_host_twice_in_ottos_file_is_an_error(write: Write) -> None:
    write([otto(), otto()], "site/hosts.json")
    assert problems("site") == ("site/hosts.json: host 'carrot' is defined twice @ [1]",)


# -- schema


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


# -- anything at all

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["dut1", "ssh", "local", "${env:OTTO_NO}", "${nope:x}", "10 s", "~x/y", "AND"]),
)  # fmt: skip
KNOWN_KEYS = ["hosts", "defaults", "dut1", "ip", "creds", "ne", "_", *fields.HOST.fields]
KEYS = st.one_of(st.text(max_size=4), st.sampled_from(KNOWN_KEYS))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8)
HOSTS = st.dictionaries(st.sampled_from(list(fields.HOST.fields)), VALUES, max_size=5)
OTTO = st.dictionaries(
    st.sampled_from(["ip", "creds", "ne", "neId", "name", "user", "hop", "labs", "term", "ssh_options"]), VALUES, max_size=8
)
LABS = st.one_of(
    VALUES,
    st.lists(OTTO | OTTO.map(lambda host: otto(**host)), max_size=3),
    st.fixed_dictionaries(
        {"hosts": st.dictionaries(st.sampled_from(["a", "dut1"]), HOSTS)}, optional={"defaults": HOSTS | VALUES}
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150)
@given(content=LABS)
def test_any_json_loads_or_is_a_lab_error(folder: Path, content: Any) -> None:
    file = folder / "any.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with contextlib.suppress(LabError, UnknownNameError):
        lab = load_lab(str(file))
        for name in lab.select():
            lab.path(name)
            lab.facts(name)
            lab.secrets(name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=40))
def test_any_bytes_are_a_lab_error(folder: Path, content: bytes) -> None:
    (folder / "any.json").write_bytes(content)
    with pytest.raises(LabError):
        load_lab("any.json")

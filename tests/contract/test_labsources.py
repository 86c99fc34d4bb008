"""Where labs come from: each source against what is really there, and how references find it."""

from __future__ import annotations

import getpass
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.cli.main import main
from OttoLibrary.errors import LabError, PluginError
from OttoLibrary.examples.labs import MemoryLabs
from OttoLibrary.lab.lab import Lab
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.lab.settings import Settings, read
from OttoLibrary.text import Secret
from tests.peers import processes
from tests.peers.requirements import require

ROOT = Path(__file__).parents[2]
LOST = "Lab 'command:./inventory.py' could not be loaded: "
HOSTS = {"hosts": {"dut1": {"address": "10.0.0.1", "identity_file": "keys/id"}}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTTO_LABS", raising=False)
    monkeypatch.delenv("OTTO_SUT_DIRS", raising=False)
    monkeypatch.setattr(registry, "_registered", {})
    return tmp_path


def problems(references: str, settings: Settings | None = None) -> tuple[str, ...]:
    with pytest.raises(LabError) as raised:
        load_lab(references, None, settings)
    return raised.value.problems


def settings_of(text: str) -> Settings:
    Path(".otto").mkdir(exist_ok=True)
    Path(".otto/settings.toml").write_text(f'name = "sut"\nversion = "1.0.0"\n{text}')
    return read(Path.cwd())


# -- ssh_config


def ssh_lab(text: str) -> Lab:
    Path("ssh_config").write_text(text)
    return load_lab("ssh_config:./ssh_config")


def ssh_problem(text: str) -> str:
    Path("ssh_config").write_text(text)
    (problem,) = problems("ssh_config:./ssh_config")
    return problem


TRUTHS = {
    "plain": "Host a b\n  HostName 10.0.0.1\n  Port 2222\n  User tester\n",
    "first value counts": "Host a\n  Port 1\nHost a\n  Port 2\n  User u\nHost *\n  User late\n  Port 3\n",
    "patterns": "Host *.lab !bad.lab\n  User in\nHost a.lab bad.lab b\n  Port 22\nHost ?\n  Port 2\n  HostName %h.example\n",
    "equals and quotes": 'Host="a"\nHostName = "10.0.0.1"\n  port=2200\nhOsT b\n\tUSER\tup\n',
    "comments": "# Host no\nHost a\n  # Port 1\n  Port 5\n\nHost b\n",
    "jumps": "Host gw\n  HostName 10.0.0.1\n  User g\nHost a\n  ProxyJump gw\nHost b\n  ProxyJump a\nHost c\n  ProxyJump none\n",
    "jumps by pattern": "Host gw\n  ProxyJump none\nHost *\n  ProxyJump gw\nHost a b\n",
    "match": "Host a b\nMatch originalhost a\n  User matched\nMatch host b\n  Port 7\nMatch all\n  User rest\n",
    "match user": "Host a\n  User root\nHost b\nMatch user root\n  Port 9\n",
    "nothing said": "Host a\n",
}


@pytest.mark.parametrize("text", TRUTHS.values(), ids=TRUTHS)
def test_a_host_is_what_openssh_says(text: str) -> None:
    require("ssh")
    lab = ssh_lab(text)
    assert lab.names()
    for name in lab.names():
        facts, truth = lab.facts(name), openssh(name)
        assert (facts.address, str(facts.port), facts.user) == (truth["hostname"], truth["port"], truth["user"])
        assert facts.hop == (None if truth.get("proxyjump", "none") == "none" else truth["proxyjump"])


def openssh(name: str) -> dict[str, str]:
    answer = subprocess.run(["ssh", "-G", "-F", "ssh_config", name], capture_output=True, text=True, check=True)
    lines = [line.partition(" ") for line in answer.stdout.splitlines()]
    return {key: value for key, _, value in reversed(lines)}


def test_names_are_those_of_host_lines_that_are_no_patterns() -> None:
    assert ssh_lab("Host a *.b c? !d e\nHost *\nHost a f\n").names() == ["a", "e", "f"]


def test_what_else_a_lab_can_say_is_taken(folder: Path, own_home: Path) -> None:
    (folder / "second").touch()
    lab = ssh_lab(
        f"Host a\n  IdentityFile ~/first\n  IdentityFile {folder}/second\n  ConnectTimeout 7\n  ServerAliveInterval 9\n"
        "  Ciphers +aes128-cbc\n  KexAlgorithms +diffie-hellman-group14-sha1\nHost b\n  IdentityFile ~/only_%n\n"
    )
    facts = lab.facts("a")
    assert (facts.identity_file, facts.connect_timeout, facts.keepalive) == (str(folder / "second"), 7.0, 9.0)
    assert (facts.ssh.ciphers, facts.ssh.kex) == ("+aes128-cbc", "+diffie-hellman-group14-sha1")
    assert facts.ssh.config_file == str(folder / "ssh_config")
    assert lab.facts("b").identity_file == str(own_home / "only_b")


def test_several_jumps_are_hops_in_a_row() -> None:
    lab = ssh_lab("Host a\n  ProxyJump one,admin@two:2200,ssh://root@[fe80::1]:23\nHost one\n  HostName 10.0.0.1\n  User first\n")
    assert lab.path("a") == ("one", "two", "fe80--1", "a")
    way = [lab.facts(name) for name in lab.path("a")]
    assert [(host.user, host.address, host.port) for host in way] == [
        ("first", "10.0.0.1", 22),
        ("admin", "two", 2200),
        ("root", "fe80::1", 23),
        (getpass.getuser(), "a", 22),
    ]


def test_a_hop_with_a_host_line_is_that_host_and_one_reached_otherwise_another() -> None:
    lab = ssh_lab(
        "Host gw\n  User g\nHost mid\n  ProxyJump gw\nHost a\n  ProxyJump gw,mid\n"
        "Host b\n  ProxyJump mid\nHost c\n  ProxyJump other@gw\nHost d\n  ProxyJump x,mid\n"
    )
    assert (lab.path("a"), lab.path("b")) == (("gw", "mid", "a"), ("gw", "mid", "b"))
    assert lab.path("c") == ("other@gw", "c")
    assert (lab.facts("other@gw").user, lab.facts("gw").user) == ("other", "g")
    assert lab.path("d") == ("x", "mid-via-x", "d")


def test_a_hop_without_a_host_line_follows_its_own_jumps() -> None:
    lab = ssh_lab("Host a\n  ProxyJump far.lab\nHost *.lab\n  ProxyJump gw\n  User lab\n")
    assert lab.path("a") == ("gw", "far.lab", "a")
    assert lab.facts("far.lab").user == "lab"


def test_includes_are_followed_in_order(folder: Path, own_home: Path) -> None:
    (own_home / ".ssh/more").mkdir(parents=True)
    (own_home / ".ssh/more/1").write_text("Host b\n  Port 1\n")
    (own_home / ".ssh/more/2").write_text("Host c\n  User second\n")
    (folder / "absolute").write_text("Host d\n")
    assert ssh_lab(f"Host a\nInclude more/*\nInclude {folder}/absolute nothing\nHost e\n").names() == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n", "the ProxyJumps run in a circle: a -> b -> a"),
        ("Host *\n  ProxyJump gw\nHost gw\n", "the ProxyJumps run in a circle: gw -> gw"),
        ("Host a\n  ProxyJump far\nHost *\n  ProxyJump gw\n", "the ProxyJumps run in a circle: gw -> gw"),
        ("Host a\n  ProxyJump x:y:z\n", "'x:y:z' in ProxyJump of 'a' is not [user@]host[:port]"),
        ("Host a\nMatch exec true\n  User u\n", "line 2: 'Match exec' is not evaluated by a lab source."),
        ("Host a\nMatch !final\n  User u\n", "line 2: 'Match !final' is not evaluated by a lab source."),
        ("Host a\n  Port many\n", "line 2: Invalid Port integer value: many"),
        ("Host 'a\n", "line 1: No closing quotation"),
        ("Host a\n  HostName %x\n", "Invalid token expansion: x"),
        ("Host a$b\n", "'a$b' is not a host name"),
        ("Host a\n  Port 99999\n", "99999 is not a port from 1 to 65535 @ hosts.a.port"),
    ],
)
def test_a_mistake_in_a_configuration_is_one_sentence(text: str, problem: str) -> None:
    found = ssh_problem(text)
    assert problem in found
    assert "ssh_config" in found
    assert "Traceback" not in found


def test_a_file_that_includes_itself_is_a_mistake(folder: Path) -> None:
    assert ssh_problem(f"Include {folder}/ssh_config\n").endswith("ssh_config: Include goes deeper than 16 files.")


def test_a_configuration_is_found_by_name(own_home: Path) -> None:
    (own_home / ".ssh/config.d").mkdir(parents=True)
    (own_home / ".ssh/config").write_text("Host a\n")
    (own_home / ".ssh/config.d/rack").write_text("Host b\n")
    assert load_lab("ssh_config:config").names() == ["a"]
    assert load_lab("ssh_config:rack,ssh_config:~/.ssh/config").names() == ["b", "a"]
    assert problems("ssh_config:rak") == (
        "No OpenSSH configuration named 'rak'. Did you mean 'rack'? Known: config, rack. Or give its path.",
    )


def test_hosts_of_a_configuration_are_reached_through_its_jumps(open_lab: Any, sshd: Any, keys: Any) -> None:
    common = f"  HostName {sshd.address}\n  Port {sshd.port}\n  IdentityFile {keys.identity_file}\n"
    Path("ssh_config").write_text(f"Host gw\n{common}Host box\n  ProxyJump gw\n{common}")
    session = open_lab(Path("ssh_config:./ssh_config"))
    assert session.hosts.use("box").path == ("gw", "box")
    assert session.engine.call(session.hosts.use("box").run("echo here")).stdout == "here\n"


def test_a_proxy_command_is_left_to_the_connection(folder: Path, open_lab: Any, sshd: Any, keys: Any) -> None:
    carry = folder / "carry.py"
    carry.write_text(
        "import socket, sys, threading, os\n"
        "open('carried', 'w').write(' '.join(sys.argv[1:]))\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "    s.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    Path("ssh_config").write_text(
        f"Host box\n  HostName {sshd.address}\n  Port {sshd.port}\n  IdentityFile {keys.identity_file}\n"
        f"  ProxyCommand {sys.executable} {carry} %h %p\n"
    )
    session = open_lab(Path("ssh_config:./ssh_config"))
    assert session.engine.call(session.hosts.use("box").run("echo here")).stdout == "here\n"
    assert (folder / "carried").read_text() == f"{sshd.address} {sshd.port}"


def test_a_pattern_that_fits_the_address_leads_no_other_way(folder: Path, open_lab: Any, sshd: Any, keys: Any) -> None:
    common = f"  HostName {sshd.address}\n  Port {sshd.port}\n  IdentityFile {keys.identity_file}\n"
    Path("ssh_config").write_text(f"Host * !gw\n  ProxyJump nowhere.invalid\n  User wrong\nHost gw\n{common}")
    session = open_lab(Path("ssh_config:./ssh_config"))
    assert session.engine.call(session.hosts.use("gw").run("echo here")).stdout == "here\n"


# -- command


def program(text: str, name: str = "inventory.py") -> str:
    file = Path(name)
    file.write_text(f"#!{sys.executable}\nimport json, os, subprocess, sys, time, signal\n{text}\n")
    file.chmod(0o755)
    return f"./{name}"


def test_a_program_prints_a_lab(folder: Path) -> None:
    reference = f"command:{program(f'print(json.dumps({HOSTS!r} | dict(description=sys.argv[1])))')} 'bench  1'"
    lab = load_lab(reference)
    assert (lab.names(), lab.description, lab.name) == (["dut1"], "bench  1", "bench  1")
    assert lab.facts("dut1").identity_file == str(folder / "keys/id")


def test_a_program_prints_otto_s_form() -> None:
    host = {"ip": "10.0.0.9", "creds": {"tester": "pw"}, "ne": "carrot"}
    lab = load_lab(f"command:{program(f'print(json.dumps([{host!r}]))')}")
    assert lab.facts("carrot").password == Secret("pw")


def test_there_is_no_shell_and_no_input() -> None:
    path = program("print(json.dumps({'hosts': {}, 'description': repr([sys.argv[1:], sys.stdin.read()])}))")
    assert load_lab(f"command:{path} $HOME `id` ; *").description == repr([["$HOME", "`id`", ";", "*"], ""])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sys.exit('no such bench')", LOST + "it exited with 1. Its standard error: no such bench"),
        ("sys.exit(3)", LOST + "it exited with 3. It printed nothing on standard error."),
        ("os.kill(os.getpid(), signal.SIGKILL)", "it was ended by SIGKILL."),
        ("print('[1,}')", "command:./inventory.py: bad JSON: Expecting value @ line 1, column 4"),
        ("", "command:./inventory.py: bad JSON: Expecting value @ line 1, column 1"),
        ("sys.stdout.buffer.write(b'\\xff')", "command:./inventory.py: is not UTF-8 text @ top level"),
        ("print('3')", "command:./inventory.py: a lab is a JSON object, or an array of hosts in otto's form @ top level"),
        (
            "print(json.dumps({'hosts': {'a': {'adress': 'x'}}}))",
            "command:./inventory.py: unknown key 'adress' @ hosts.a (did you mean 'address'?)",
        ),
        ("while True: print('x' * 1000000)", "it printed more than 16 MiB."),
    ],
)
def test_a_program_that_gives_no_lab_says_why(text: str, problem: str) -> None:
    assert problem in problems(f"command:{program(text)}")[0]


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("command:./nowhere.py x", "'./nowhere.py' cannot be started: No such file or directory."),
        ("command:.", "'.' cannot be started: Permission denied."),
        ("command:", "there is no command."),
        ("command:a 'b", "'a 'b' is not a command line (No closing quotation)."),
    ],
)
def test_a_program_that_is_none_is_told(reference: str, problem: str) -> None:
    assert problem in problems(reference)[0]


@pytest.mark.parametrize("ignoring", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"])
def test_a_program_that_takes_too_long_is_ended_with_all_it_started(folder: Path, ignoring: str) -> None:
    path = program(f"{ignoring}subprocess.Popen(['sleep', '4711.5'])\nprint('half', file=sys.stderr, flush=True)\ntime.sleep(99)")
    settings = settings_of(f'[lab]\nbackend = "command"\n[lab.preferences]\ncommand = "{path}"\ntimeout = "1 s"\n')
    began = time.monotonic()
    assert problems("bench", settings) == (
        "Lab 'command:bench' could not be loaded: it did not end in 1 seconds. Its standard error: half",
    )
    assert time.monotonic() - began < 8
    processes.wait_until(lambda: not processes.running("sleep 4711.5"), "the end of what it started")


def test_a_program_that_goes_on_printing_is_ended_too() -> None:
    path = program("while True: print(' ', end='', flush=True); time.sleep(0.05)")
    settings = settings_of(f'[lab]\nbackend = "command"\n[lab.preferences]\ncommand = "{path}"\ntimeout = "0.5 s"\n')
    assert "it did not end in 0.5 seconds" in problems("bench", settings)[0]


def test_what_a_program_leaves_behind_is_ended() -> None:
    null = "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    path = program(f"subprocess.Popen(['sleep', '4712.5'], {null})\nprint(json.dumps({HOSTS!r}))")
    assert load_lab(f"command:{path}").names() == ["dut1"]
    processes.wait_until(lambda: not processes.running("sleep 4712.5"), "the end of what it started")


def test_wrong_preferences_are_told() -> None:
    for line, problem in (
        ("comand = 1", "it has no preference 'comand'. Did you mean 'command'?"),
        ("timeout = 'x'", "'timeout'"),
    ):
        settings = settings_of(f'[lab]\nbackend = "command"\n[lab.preferences]\n{line}\n')
        assert problem in problems("bench", settings)[0]


# -- references


def test_a_plain_name_is_the_backend_s_and_a_path_is_a_file() -> None:
    registry.register_lab_repository("memory", MemoryLabs)
    Path("labs").mkdir()
    Path("labs/east.json").write_text(json.dumps(HOSTS))
    settings = settings_of('[lab]\nbackend = "memory"\n[lab.preferences]\nuser = "alice"\n')
    assert load_lab("east", None, settings).facts("dut1").user == "alice"
    assert load_lab("memory:east", None, settings).facts("dut1").user == "alice"
    assert load_lab("memory:east", None, None).facts("dut1").user == "tester"
    for reference in ("labs/east.json", "json:east", "./labs/east.json"):
        assert load_lab(reference, None, settings).facts("dut1").address == "10.0.0.1"
    assert load_lab("west,json:east", None, settings).names() == ["board", "dut1"]


def test_labs_join_across_sources_and_name_them_when_they_differ() -> None:
    registry.register_lab_repository("memory", MemoryLabs)
    Path("one.json").write_text(json.dumps({"hosts": {"x": {"address": "x", "hop": "board"}}}))
    lab = load_lab("./one.json,memory:west")
    assert (lab.path("x"), lab.name, lab.select("lab:west")) == (("board", "x"), "one,west", ["board"])
    Path("one.json").write_text(json.dumps({"hosts": {"board": {"address": "x"}}}))
    assert problems("./one.json,memory:west") == ("memory:west: host 'board' is defined differently in one.json @ hosts.board",)


def test_an_unknown_name_tells_the_names_that_there_are() -> None:
    registry.register_lab_repository("memory", MemoryLabs)
    expected = "No lab of 'memory' named 'easst'. Did you mean 'east'? Known: east, west. Write 'json:NAME' for a lab file."
    assert problems("memory:easst") == (expected,)
    assert problems("easst", settings_of('[lab]\nbackend = "memory"\n')) == (expected,)


def test_an_unknown_source_tells_the_sources_that_there_are() -> None:
    known = "Known: command, environment, json, ssh_config."
    assert problems("sshconfig:x") == (f"No lab source named 'sshconfig'. Did you mean 'ssh_config'? {known}",)
    assert problems("bench", settings_of('[lab]\nbackend = "netbox"\n')) == (f"No lab source named 'netbox'. {known}",)


class Broken(MemoryLabs):
    """Answers with what the test says."""

    answer: Any = None
    names: Any = ("east",)

    def load_lab(self, name: str, preferences: Any = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def list_labs(self) -> Any:
        if isinstance(self.names, Exception):
            raise self.names
        return list(self.names) if isinstance(self.names, tuple) else self.names


def cyclic() -> Any:
    lab: dict[str, Any] = {"hosts": {}}
    lab["hosts"]["a"] = lab["hosts"]["b"] = lab
    return lab


@pytest.mark.parametrize(
    ("answer", "names", "problem"),
    [
        (None, (), "broken:east: a lab is a JSON object, or an array of hosts in otto's form @ top level"),
        ({}, (), "broken:east: 'hosts' is missing @ top level"),
        ({"hosts": {"a": {"adress": 1}}}, (), "broken:east: unknown key 'adress' @ hosts.a (did you mean 'address'?)"),
        ({"hosts": {"a": {"tags": {"x"}}}}, (), "broken:east: a Python set is not JSON @ hosts.a.tags"),
        ({"hosts": {1: {}}}, (), "broken:east: the key 1 is not text @ hosts"),
        ({"hosts": {}, "metadata": {"x": float("nan")}}, (), "broken:east: a Python float is not JSON @ metadata.x"),
        ({"hosts": {"a": {"address": Secret("pw")}}}, (), "broken:east: a Python Secret is not JSON @ hosts.a.address"),
        (cyclic(), (), "broken:east: objects and lists are nested deeper than 40 levels @ top level"),
        (ConnectionError("no route"), (), "The lab source 'broken' failed: ConnectionError: no route"),
        (KeyError("token"), ("east",), "The lab source 'broken' failed: KeyError: 'token'"),
        (KeyError("east"), OSError("gone"), "The lab source 'broken' failed: OSError: gone"),
        (KeyError("east"), None, "The lab source 'broken' failed: list_labs() did not return a list of names."),
        (KeyError("east"), ("west",), "No lab of 'broken' named 'east'. Did you mean 'west'? Known: west."),
    ],
)
def test_a_source_that_breaks_is_one_sentence_and_no_empty_lab(answer: Any, names: Any, problem: str) -> None:
    registry.register_lab_repository("broken", type("Now", (Broken,), {"answer": answer, "names": names}))
    assert problems("broken:east")[0].startswith(problem)


def test_a_source_that_cannot_be_made_is_one_sentence() -> None:
    class Locked(MemoryLabs):
        def __init__(self) -> None:
            raise RuntimeError("no token in INVENTORY_TOKEN")

    registry.register_lab_repository("locked", Locked)
    assert problems("locked:east") == ("The lab source 'locked' failed: RuntimeError: no token in INVENTORY_TOKEN",)


def test_a_class_that_is_no_source_is_refused() -> None:
    with pytest.raises(PluginError, match=r"does not fulfil its contract: it lacks list_labs\(\)"):
        registry.register_lab_repository("half", type("Half", (), {"load_lab": lambda self, name: {}}))


def test_comments_are_comments_in_what_a_source_gives_too() -> None:
    given = {"_": "note", "hosts": {"a": {"address": "x", "_why": object}}}
    registry.register_lab_repository("broken", type("Now", (Broken,), {"answer": given}))
    assert load_lab("broken:east").names() == ["a"]


def test_folders_of_the_settings_are_searched_before_otto_labs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, address in (("shelf", "settings"), ("variable", "variable")):
        (folder / place).mkdir()
        (folder / place / "rack.json").write_text(json.dumps({"hosts": {"a": {"address": address}}}))
    monkeypatch.setenv("OTTO_LABS", str(folder / "variable"))
    assert load_lab("rack").facts("a").address == "variable"
    assert load_lab("rack", None, settings_of('labs = ["shelf"]\n')).facts("a").address == "settings"


def test_defaults_of_the_settings_lie_beneath_those_of_the_lab(folder: Path) -> None:
    settings = settings_of('[defaults]\nuser = "u"\ntimeout = "7 s"\nidentity_file = "k"\n[defaults.ssh]\nkex = "k"\nmac = "m"\n')
    hosts = {"a": {"address": "a"}, "b": {"address": "b", "timeout": None, "ssh": {"mac": None}}}
    Path("bench.json").write_text(json.dumps({"defaults": {"user": "lab", "ssh": {"kex": None}}, "hosts": hosts}))
    lab = load_lab("./bench.json", None, settings)
    assert [(lab.facts(name).user, lab.facts(name).timeout) for name in "ab"] == [("lab", 7.0), ("lab", 60.0)]
    assert [(lab.facts(name).ssh.kex, lab.facts(name).ssh.mac) for name in "ab"] == [(None, "m"), (None, None)]
    assert lab.facts("a").identity_file == str(folder / "k")


# -- the command line


def test_labs_are_listed_with_their_source(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_home / ".ssh").mkdir()
    (own_home / ".ssh/config").write_text("Host a\n")
    registry.register_lab_repository("memory", MemoryLabs)
    assert main(["labs"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["LAB", "SOURCE"],
        ["demo", "json"],
        ["memory:east", "memory"],
        ["memory:west", "memory"],
        ["ssh_config:config", "ssh_config"],
    ]
    settings_of('[lab]\nbackend = "memory"\n')
    assert main(["labs"]) == 0
    assert "json:demo" in capsys.readouterr().out


def test_a_source_that_does_not_answer_is_no_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    registry.register_lab_repository("broken", type("Now", (Broken,), {"names": OSError("gone")}))
    assert main(["labs"]) == 1
    said = capsys.readouterr()
    assert "demo" in said.out
    assert said.err == "The lab source 'broken' failed: OSError: gone\n"


def test_hosts_of_any_source_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    path = program(f"print(json.dumps({HOSTS!r}))")
    assert main(["hosts", f"command:{path} bench"]) == 0
    assert "dut1" in capsys.readouterr().out


def test_a_time_out_while_a_program_runs_ends_it() -> None:
    path = program("subprocess.Popen(['sleep', '4713.5'])\ntime.sleep(99)")
    words = [sys.executable, "-m", "OttoLibrary", "hosts", f"command:{path}"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    running = subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL)
    processes.wait_until(lambda: processes.running("sleep 4713.5"), "the start of the program")
    running.send_signal(signal.SIGINT)
    assert running.wait(10) != 0
    processes.wait_until(lambda: not processes.running("sleep 4713.5"), "the end of what it started")


def test_words_of_a_reference_are_quoted_as_in_a_shell() -> None:
    path = program("print(json.dumps({'hosts': {}, 'description': sys.argv[1]}))", "in ventory.py")
    assert load_lab(f"command:{shlex.quote(path)} 'a b'").description == "a b"


# -- plug-ins of others


def run(*words: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": f"{path}:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def install(folder: Path, target: str) -> None:
    """Make what pip leaves of a package with an entry point."""
    made = folder / "site" / "others-1.0.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text(f"[otto.labsources]\nothers = {target}\n")


def test_an_installed_package_brings_a_source(folder: Path) -> None:
    install(folder, "OttoLibrary.examples.labs:MemoryLabs")
    shown = run("-m", "OttoLibrary", "hosts", "others:west", path=folder / "site", cwd=folder)
    assert "198.51.100.4" in shown.stdout, shown.stderr
    assert "others:east" in run("-m", "OttoLibrary", "labs", path=folder / "site", cwd=folder).stdout


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("OttoLibrary.examples.reservations:MemoryReservations", "does not fulfil its contract: it lacks load_lab, list_labs()."),
        ("no_such_module:Labs", "Lab source 'others' needs a package that is not installed (No module named 'no_such_module')."),
    ],
)
def test_an_installed_package_that_is_no_source_is_told(folder: Path, target: str, problem: str) -> None:
    install(folder, target)
    shown = run("-m", "OttoLibrary", "hosts", "others:west", path=folder / "site", cwd=folder)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert problem in shown.stderr
    assert "Traceback" not in shown.stderr


def test_the_page_about_extending_is_true(folder: Path) -> None:
    page = (ROOT / "docs/extending.md").read_text()
    files = dict(re.findall(r"`([\w./]+\.\w+)`:\n\n```\w+\n(.*?)```", page, re.DOTALL))
    assert len(files) == 6
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    python = folder / "python"
    tested = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", path=python, cwd=folder)
    assert tested.returncode == 0, tested.stdout
    assert "14 passed" in tested.stdout
    listed = run("-m", "OttoLibrary", "labs", path=python, cwd=folder)
    assert f"```text\n{listed.stdout}```" in page, listed.stderr
    hosts = run("-m", "OttoLibrary", "hosts", "bench", path=python, cwd=folder).stdout
    assert "gateway > dut1" in hosts
    suite = folder / "user.robot"
    suite.write_text(
        "*** Settings ***\nLibrary    OttoLibrary    lab=bench    reservations=bookings\n*** Test Cases ***\nUser\n"
        "    ${facts}=    Get Host    gateway\n    Should Be Equal    ${facts.user}    root\n"
        "    ${labs}=    Load Lab    json:demo\n    Should Contain    ${labs}    dut1\n"
    )
    ended = run("-m", "robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", str(suite), path=python, cwd=folder)
    assert ended.returncode == 0, ended.stdout

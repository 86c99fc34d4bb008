"""A client configuration of OpenSSH: what counts, and what is passed over with a note."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from OttoLibrary.contracts.facts import HostFacts, SshOptions
from OttoLibrary.transport import client_config
from OttoLibrary.transport.client_config import Asked, SshConfig, host_config, read_config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("LOGNAME", "me")
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def config_of(home: Path, text: str, name: str = "dut1", user: str | None = None) -> SshConfig:
    path = home / ".ssh" / "config"
    path.write_text(text)
    return read_config(path, Asked(name, user))


def test_the_first_value_counts_and_keys_add_up(home: Path) -> None:
    text = "Host dut*\n  Port 2222\n  IdentityFile ~/.ssh/a\nHost *\n  Port 22\n  IdentityFile ~/.ssh/b\n  User other\n"
    config = config_of(home, text)
    assert (config.text("port"), config.words("identityfile"), config.text("user")) == ("2222", ["~/.ssh/a", "~/.ssh/b"], "other")


def test_what_the_lab_says_comes_first(home: Path) -> None:
    assert config_of(home, "User other\n", user="lab").text("user") == "lab"


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("Port 2222 # the usual one", "port", "2222"),
        ("Port=2222", "port", "2222"),
        ("Port = 2222", "port", "2222"),
        ('Port "2222"', "port", "2222"),
        ("\tpOrT\t2222\r", "port", "2222"),
        ('UserKnownHostsFile "/a b/c" /d', "userknownhostsfile", "/a b/c"),
        ("HostName %h.lab.example", "hostname", "dut1.lab.example"),
        ("IdentityFile ~/.ssh/%r@%n-%p", "identityfile", "~/.ssh/me@dut1-22"),
        ("IdentityFile ${HOME}/key", "identityfile", None),
        ("ProxyCommand nc -X 5 %h %p # not a comment", "proxycommand", "nc -X 5 dut1 22 # not a comment"),
        ("ChallengeResponseAuthentication no", "kbdinteractiveauthentication", "no"),
    ],
)
def test_lines_are_read_as_ssh_reads_them(home: Path, line: str, option: str, value: str | None) -> None:
    found = config_of(home, f"{line}\n")
    assert found.text(option) == (value if value is not None else f"{home}/key")
    assert found.notes == []


@pytest.mark.parametrize(
    "text",
    [
        "Match host dut1\n  Port 7\n",
        "Match originalhost dut*,!dut2\n  Port 7\n",
        "Match all\n  Port 7\n",
        "Match user me\n  Port 7\n",
        "Match localuser me host dut1\n  Port 7\n",
        "Match exec true\n  Port 7\n",
        "Match !exec false\n  Port 7\n",
        'Match exec "test %h = dut1"\n  Port 7\n',
        "Match final host dut1\n  Port 7\n",
        "Host dut1\n  HostName real\nMatch host real\n  Port 7\n",
        "Tag lab\nMatch tagged lab\n  Port 7\n",
        "Host other dut? !dut2\n  Port 7\n",
    ],
)
def test_blocks_count_for_whom_they_are(home: Path, text: str) -> None:
    assert config_of(home, text).text("port") == "7"


@pytest.mark.parametrize(
    "text",
    [
        "Host dut* !dut1\n  Port 7\n",
        "Match host dut2\n  Port 7\n",
        "Match exec false\n  Port 7\n",
        "Match !final\n  Port 8\nMatch canonical\n  Port 7\n",
        "Match unheard of\n  Port 7\n",
        "Match host\n  Port 7\n",
    ],
)
def test_blocks_of_others_do_not_count(home: Path, text: str) -> None:
    assert config_of(home, text).text("port") != "7"


def test_files_are_included_where_they_stand(home: Path) -> None:
    folder = home / ".ssh" / "config.d"
    folder.mkdir()
    (folder / "a").write_text("Port 7\n")
    (folder / "b").write_text("Host dut1\n  User of-b\n")
    config = config_of(home, "Host other\n  Include config.d/a\nHost dut1\n  Include config.d/* none/*\n  Port 9\n")
    assert (config.text("port"), config.text("user")) == ("7", "of-b")
    assert config_of(home, "Host other\n  Include ~/.ssh/config.d/*\n").options == {}


def test_files_that_include_themselves_end(home: Path) -> None:
    config = config_of(home, "Include config\nPort 7\n")
    assert config.text("port") == "7"
    assert any("deeper than 16 files" in note for note in config.notes)


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("PKCS11Provider /usr/lib/x.so", "passed over pkcs11provider, since keys of a token are offered through an agent"),
        ("LocalForward 8080 localhost:80", "passed over localforward"),
        ("Unheard yes", "~/.ssh/config:1: the option 'unheard' is not known"),
        ("Port many", "~/.ssh/config:1: port is a number from 1 to 65535, not 'many'"),
        ("Compression perhaps", "~/.ssh/config:1: compression is yes or no, not 'perhaps'"),
        ('User "me', "~/.ssh/config:1: a quote is not closed"),
        ("User", "~/.ssh/config:1: user has no value"),
    ],
)
def test_what_does_not_apply_is_passed_over_with_a_note(home: Path, line: str, note: str) -> None:
    config = config_of(home, f"{line}\nPort 7\n" if "Port" not in line else f"{line}\nUser me\n")
    assert len(config.notes) == 1
    assert note in config.notes[0]


@pytest.mark.parametrize(
    "line",
    [
        "ServerAliveInterval 1m",
        "ConnectTimeout 10s",
        "ControlMaster auto",
        "ControlPath ~/.ssh/%C",
        "UseKeychain yes",
        "IPQoS ef",
    ],
)
def test_what_is_the_lab_s_to_say_is_passed_over(home: Path, line: str) -> None:
    config = config_of(home, f"{line}\n")
    assert (config.options, config.notes) == ({}, [])


def test_the_first_way_through_others_counts(home: Path) -> None:
    assert config_of(home, "ProxyJump a\nProxyCommand b\n").text("proxycommand") is None
    assert config_of(home, "ProxyCommand b\nProxyJump a\n").text("proxyjump") is None
    assert config_of(home, "ProxyCommand none\n").text("proxycommand") is None


def test_the_page_lists_each_option_and_what_becomes_of_it() -> None:
    page = (Path(__file__).parents[3] / "docs" / "ssh.md").read_text()
    listed = {
        name.lower(): fate
        for name, fate in re.findall(r"^\| `(\w+)` \| (taken|passed over with a note|says nothing here) \|", page, re.MULTILINE)
    }
    taken = dict.fromkeys(client_config._TAKEN, "taken")
    passed_over = dict.fromkeys(client_config._PASSED_OVER, "passed over with a note")
    assert listed == {**taken, **passed_over, **dict.fromkeys(client_config._NOT_ABOUT_US, "says nothing here")}


@pytest.fixture
def system(home: Path) -> Path:
    """The file of the whole machine."""
    folder = home / "etc"
    folder.mkdir()
    (folder / "more.conf").write_text("Compression yes\n")
    path = folder / "ssh_config"
    path.write_text("Include more.conf\nHost dut*\n  Port 2222\n  User everybody\n  IdentityFile ~/.ssh/of-all\n")
    return path


def test_the_file_of_the_machine_counts_behind_that_of_the_user(home: Path, system: Path) -> None:
    (home / ".ssh" / "config").write_text("Host dut1\n  User me-there\n  IdentityFile ~/.ssh/mine\n")
    config = host_config(HostFacts("dut1", address="dut1"), system)
    assert (config.text("user"), config.text("port"), config.flag("compression")) == ("me-there", "2222", True)
    assert config.words("identityfile") == ["~/.ssh/mine", "~/.ssh/of-all"]


def test_the_file_of_the_machine_counts_alone_where_the_user_has_none(system: Path) -> None:
    config = host_config(HostFacts("dut1", address="dut1"), system)
    assert (config.text("user"), config.notes) == ("everybody", [])


def test_the_last_pass_sees_what_both_files_said(home: Path, system: Path) -> None:
    (home / ".ssh" / "config").write_text("Match final user everybody\n  Tag late\n")
    assert host_config(HostFacts("dut1", address="dut1"), system).text("tag") == "late"


def test_a_file_that_the_lab_names_counts_alone(home: Path, system: Path) -> None:
    (home / "own").write_text("Tag mine\n")
    config = host_config(HostFacts("dut1", address="dut1", ssh=SshOptions(config_file=str(home / "own"))), system)
    assert (config.text("tag"), config.text("port")) == ("mine", None)


def test_files_that_are_folders_are_passed_over_with_a_note(home: Path, system: Path) -> None:
    (home / ".ssh" / "config").mkdir()
    config = host_config(HostFacts("dut1", address="dut1"), system)
    assert config.text("port") == "2222"
    assert config.notes == ["~/.ssh/config cannot be read (Is a directory); it is passed over."]

"""Labs from OpenSSH client configurations: names, hops, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import LabError, UnknownNameError
from OttoLibrary.lab.sources.ssh_config import SshConfigLabs


@pytest.fixture(autouse=True)
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".ssh" / "config.d").mkdir(parents=True)
    return folder / ".ssh"


def hosts(home: Path, text: str) -> dict[str, Any]:
    (home / "config").write_text(text)
    lab: Any = SshConfigLabs().load_lab("config")
    assert lab["name"] == "config"
    found: dict[str, Any] = lab["hosts"]
    return found


def problem(home: Path, text: str) -> str:
    with pytest.raises(LabError) as raised:
        hosts(home, text)
    return str(raised.value.problems[0])


def test_every_name_of_a_host_line_is_a_host_and_no_pattern_is(home: Path) -> None:
    found = hosts(home, "HOST = dut1 dut2 !old\n  Port 2222\n# Host dut3\nHost *.lab d?\n  User all\nHost dut1 # again\n")
    assert list(found) == ["dut1", "dut2"]
    assert {entry["port"] for entry in found.values()} == {2222}


def test_an_empty_file_has_no_hosts(home: Path) -> None:
    assert hosts(home, "") == {}


def test_jumps_are_hops_in_their_order(home: Path) -> None:
    found = hosts(home, "Host inner\n  HostName 10.0.0.9\n  ProxyJump gate,bob@mid:2200\nHost gate\n  HostName 192.0.2.1\n")
    assert found["inner"]["hop"] == "mid"
    assert (found["mid"]["hop"], found["mid"]["user"], found["mid"]["port"]) == ("gate", "bob", 2200)
    assert "hop" not in found["gate"]


def test_jumps_in_a_circle_are_refused(home: Path) -> None:
    said = problem(home, "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    assert "the ProxyJumps run in a circle: a -> b -> a" in said


@pytest.mark.parametrize("word", ["exec", "EXEC", "!exec", "final", "canonical", "localnetwork"])
def test_a_match_that_would_run_programs_or_ask_the_network_is_refused(home: Path, word: str) -> None:
    said = problem(home, f'Host dut1\nMatch {word} "touch {home}/ran"\n  Port 1\n')
    assert f"line 2: 'Match {word}' is not evaluated by a lab source" in said
    assert not (home / "ran").exists()


def test_hosts_of_included_files_count_and_an_include_of_itself_ends(home: Path) -> None:
    (home / "config.d" / "site").write_text("Host dut7\n  Port 7000\n")
    assert hosts(home, "Include config.d/*\nInclude none\n")["dut7"]["port"] == 7000
    assert "Include goes deeper than 16 files" in problem(home, "Include config\n")


def test_an_open_quote_is_named_with_its_line(home: Path) -> None:
    assert "config line 2: No closing quotation" in problem(home, 'Host dut1\nUser "bob\n')


def test_an_unknown_file_says_which_there_are(home: Path) -> None:
    (home / "config.d" / "rack").write_text("")
    with pytest.raises(UnknownNameError, match="Did you mean 'rack'"):
        SshConfigLabs().load_lab("rakc")
    assert SshConfigLabs().list_labs() == ["rack"]


def test_preferences_are_refused() -> None:
    with pytest.raises(LabError, match="takes no preferences, such as 'path'"):
        SshConfigLabs().load_lab("config", {"path": "x"})

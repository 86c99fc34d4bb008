"""How a connection is made: the lab comes before the client configuration, and that before what the library prefers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from OttoLibrary.contracts.facts import HostFacts, SshOptions
from OttoLibrary.text import Secret
from OttoLibrary.transport.client_config import SshConfig
from OttoLibrary.transport.ssh_options import connect_options


def _options(config: dict[str, list[str]] | None = None, ssh: SshOptions | None = None, **facts: Any) -> dict[str, Any]:
    return connect_options(HostFacts("dut", ssh=ssh or SshOptions(), **facts), SshConfig(config or {}))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id"
    made = asyncssh.generate_private_key("ssh-ed25519")
    made.write_private_key(path)
    made.write_public_key(tmp_path / "id.pub")
    return path


def test_nothing_that_nobody_said_is_passed_on() -> None:
    options = _options()
    assert set(options) == {
        "config",
        "keepalive_interval",
        "keepalive_count_max",
        "encryption_algs",
        "compression_algs",
        "agent_forwarding",
        "family",
        "tcp_keepalive",
    }
    # AsyncSSH must not read ~/.ssh/config a second time, in its own way.
    assert options["config"] is None
    assert options["encryption_algs"].startswith("aes128-gcm@openssh.com,")
    assert (options["compression_algs"], options["agent_forwarding"], options["family"]) == (["none"], False, socket.AF_UNSPEC)


def test_the_lab_comes_before_the_client_configuration() -> None:
    config = {"port": ["2222"], "user": ["other"], "ciphers": ["aes256-ctr"], "kexalgorithms": ["curve25519-sha256"]}
    options = _options(config)
    assert (options["port"], options["username"], options["encryption_algs"]) == (2222, "other", "aes256-ctr")
    options = _options(config, SshOptions(ciphers="aes128-ctr", kex="+x"), port=22, user="lab")
    assert (options["port"], options["username"], options["encryption_algs"], options["kex_algs"]) == (
        22,
        "lab",
        "aes128-ctr",
        "+x",
    )


@pytest.mark.parametrize(
    ("given", "taken", "noted"),
    [
        ("aes128-ctr,rot13@openssh.com", "aes128-ctr", "rot13@openssh.com"),
        ("^rot13@openssh.com,aes128-ctr", "^aes128-ctr", "rot13@openssh.com"),
        ("-*cbc", "-*cbc", ""),
        ("+rot13@openssh.com", None, "rot13@openssh.com"),
    ],
)
def test_algorithms_that_only_openssh_has_are_passed_over_with_a_note(given: str, taken: str | None, noted: str) -> None:
    config = SshConfig({"ciphers": [given], "macs": [given]})
    options = connect_options(HostFacts("dut"), config)
    if taken is None:
        assert options["encryption_algs"].startswith("aes128-gcm@openssh.com,")
        assert "mac_algs" not in options
    else:
        assert options["encryption_algs"] == taken
    assert any("passed over of ciphers" in note and note.endswith(f": {noted}.") for note in config.notes) == bool(noted)


def test_the_key_of_the_lab_is_offered_alone_and_the_agent_only_when_the_lab_wants_it() -> None:
    options = _options({"identityfile": ["/other"], "identityagent": ["/agent"]}, identity_file="/key", passphrase=Secret("x"))
    assert (options["client_keys"], options["passphrase"], options["agent_path"]) == (["/key"], "x", None)
    assert "agent_path" not in _options(identity_file="/key", ssh=SshOptions(agent=True))
    assert _options({"identityagent": ["/agent"]}, SshOptions(agent=False))["agent_path"] is None


def test_a_password_is_tried_first_unless_the_lab_names_a_key() -> None:
    options = _options({"preferredauthentications": ["publickey"]}, password=Secret("x"))
    assert (options["password"], options["preferred_auth"]) == ("x", "password,keyboard-interactive,publickey")
    assert "preferred_auth" not in _options(password=Secret("x"), identity_file="/key")


@pytest.mark.parametrize(
    ("said", "path"),
    [("none", ""), ("~/agent", "/home/me/agent"), ("$AGENT", "/run/agent"), ("SSH_AUTH_SOCK", None), ("$UNSET", "")],
)
def test_the_agent_of_the_client_configuration(monkeypatch: pytest.MonkeyPatch, said: str, path: str | None) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("AGENT", "/run/agent")
    monkeypatch.delenv("UNSET", raising=False)
    assert _options({"identityagent": [said]}).get("agent_path") == path


def test_only_keys_that_can_be_read_are_offered_and_a_broken_one_is_noted(key: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no key")
    config = SshConfig({"identityfile": [str(broken), str(tmp_path / "missing"), str(key)]})
    options = connect_options(HostFacts("dut"), config)
    assert [pair.get_comment() is not None for pair in options["client_keys"]] == [True]
    assert len(config.notes) == 1
    assert str(broken) in config.notes[0]


def test_identities_only_keeps_the_other_keys_of_the_agent_away(key: Path, tmp_path: Path) -> None:
    with_public = _options({"identitiesonly": ["yes"], "identityfile": [str(key)]})
    assert with_public["agent_identities"] == [str(key)]
    missing = _options({"identitiesonly": ["yes"], "identityfile": [str(tmp_path / "missing")]})
    assert (missing["agent_path"], "agent_identities" in missing) == ("", False)
    assert "agent_identities" not in _options({"identitiesonly": ["no"], "identityfile": [str(key)]})


@pytest.mark.parametrize(
    ("said", "forwarded"), [("yes", True), ("no", False), ("none", False), ("$AGENT", "/run/agent"), ("/a/b", "/a/b")]
)
def test_the_agent_is_forwarded_only_when_somebody_says_so(
    monkeypatch: pytest.MonkeyPatch, said: str, forwarded: bool | str
) -> None:
    monkeypatch.setenv("AGENT", "/run/agent")
    assert _options({"forwardagent": [said]})["agent_forwarding"] == forwarded
    assert _options({"forwardagent": ["no"]}, SshOptions(forward_agent=True))["agent_forwarding"] is True


@pytest.mark.parametrize(
    ("option", "value", "name", "taken"),
    [
        ("addressfamily", "inet6", "family", socket.AF_INET6),
        ("addressfamily", "INET", "family", socket.AF_INET),
        ("bindaddress", "10.0.0.1", "local_addr", ("10.0.0.1", 0)),
        ("compression", "yes", "compression_algs", ["zlib@openssh.com", "none"]),
        ("tcpkeepalive", "no", "tcp_keepalive", False),
        ("passwordauthentication", "no", "password_auth", False),
        ("pubkeyauthentication", "no", "public_key_auth", False),
        ("hostkeyalias", "gate", "host_key_alias", "gate"),
    ],
)
def test_an_option_reaches_asyncssh(option: str, value: str, name: str, taken: object) -> None:
    assert _options({option: [value]})[name] == taken

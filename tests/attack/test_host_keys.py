"""Host keys: what is pinned, revoked or asked for by ssh_config counts, on every way to a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, HopError, HostKeyError

OTHER = asyncssh.generate_private_key("ssh-ed25519")
OTHER_LINE = OTHER.export_public_key("openssh").decode().strip()


@pytest.fixture
def server(faulty_ssh: Any) -> Any:
    return faulty_ssh("none")


def _lab(server: Any, **more: Any) -> dict[str, Any]:
    return {"address": server.address, "port": server.port, "user": server.user, "password": server.password, **more}


def _known(home: Path, *lines: str, name: str = "known_hosts") -> Path:
    folder = home / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def _run(open_lab: Any, lab: dict[str, Any], **others: Any) -> Any:
    session = open_lab(box=lab, **others)
    return session.engine.call(session.hosts.use("box").connection.open(Deadline(20)))


@pytest.mark.parametrize("form", ["fingerprint", "line"])
def test_a_pinned_key_counts_also_when_another_one_is_known(open_lab: Any, own_home: Path, server: Any, form: str) -> None:
    _known(own_home, f"[127.0.0.1]:{server.port} {server.host_key}")
    pin = str(OTHER.get_fingerprint()) if form == "fingerprint" else OTHER_LINE
    with pytest.raises(HostKeyError, match="the lab pins SHA256:"):
        _run(open_lab, _lab(server, host_key=pin))


@pytest.mark.parametrize("name", ["[127.0.0.1]:{port}", "127.0.0.1", "*", "[127.0.0.?]:*"])
@pytest.mark.parametrize("policy", ["accept-new", "strict", "ignore", "pinned", "fingerprint"])
def test_a_revoked_key_is_refused_in_any_form(open_lab: Any, own_home: Path, server: Any, name: str, policy: str) -> None:
    policy = {"pinned": server.host_key, "fingerprint": server.fingerprint}.get(policy, policy)
    revoked = f"@revoked {name.format(port=server.port)} {server.host_key}"
    file = _known(own_home, f"[127.0.0.1]:{server.port} {server.host_key}", revoked)
    with pytest.raises(HostKeyError, match="its host key is revoked") as caught:
        _run(open_lab, _lab(server, host_key=policy))
    assert f"{file}:2" in str(caught.value)
    assert not (own_home / ".otto" / "known_hosts").exists()


@pytest.mark.parametrize("option", ["UserKnownHostsFile", "GlobalKnownHostsFile"])
def test_the_files_of_ssh_config_count(open_lab: Any, own_home: Path, server: Any, option: str) -> None:
    file = _known(own_home, f"[127.0.0.1]:{server.port} {OTHER_LINE}", name="mine")
    (own_home / ".ssh" / "config").write_text(f"Host *\n  {option} {file}\n")
    with pytest.raises(HostKeyError, match="its host key has changed") as caught:
        _run(open_lab, _lab(server))
    assert f"({file}:1)" in str(caught.value)
    file.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    assert _run(open_lab, _lab(server, host_key="strict")).lost is None


@pytest.mark.parametrize("line", ["=", "foo", "@cert-authority", "@unknown x y", "[127.0.0.1]:* ssh-ed25519 !!!"])
def test_a_line_that_openssh_passes_over_is_passed_over(open_lab: Any, own_home: Path, server: Any, line: str) -> None:
    _known(own_home, line, f"[127.0.0.1]:{server.port} {server.host_key}")
    assert _run(open_lab, _lab(server, host_key="strict")).lost is None


@pytest.fixture
def behind_a_jump(make_sshd: Any, keys: Any, own_home: Path) -> tuple[Any, dict[str, Any]]:
    """A server, and the keys of a lab host that ssh_config reaches through it."""
    (own_home / ".ssh").mkdir(mode=0o700)
    jump = make_sshd()
    (own_home / ".ssh" / "config").write_text(
        f"Host target\n  Hostname 127.0.0.1\n  ProxyJump {jump.user}@127.0.0.1:{jump.port}\n"
        f"Host *\n  IdentityFile {keys.identity_file}\n"
    )
    target = make_sshd()
    return jump, {"address": "target", "port": target.port, "user": target.user}


def test_a_jump_host_of_ssh_config_is_trusted_as_a_hop_is(open_lab: Any, own_home: Path, behind_a_jump: Any) -> None:
    jump, lab = behind_a_jump
    assert _run(open_lab, lab).lost is None
    assert f"[127.0.0.1]:{jump.port} " in (own_home / ".otto" / "known_hosts").read_text()


def test_a_jump_host_with_another_key_is_refused_by_its_name(open_lab: Any, own_home: Path, behind_a_jump: Any) -> None:
    jump, lab = behind_a_jump
    _known(own_home, f"[127.0.0.1]:{jump.port} {OTHER_LINE}")
    with pytest.raises(HopError, match=r"its host key has changed") as caught:
        _run(open_lab, lab)
    assert f"{jump.user}@127.0.0.1:{jump.port}" in str(caught.value)


def test_jump_hosts_without_end_are_one_error(open_lab: Any, own_home: Path) -> None:
    (own_home / ".ssh").mkdir(mode=0o700)
    (own_home / ".ssh" / "config").write_text(f"Host *\n  ProxyJump {','.join(['127.0.0.1'] * 20)}\n")
    with pytest.raises(ConnectError, match="asks for more than 8 jump hosts"):
        _run(open_lab, {"address": "127.0.0.1", "port": 1})


@pytest.mark.parametrize("policy", ["accept-new", "strict", "ignore", "pinned"])
def test_revoked_host_keys_of_ssh_config_are_refused(open_lab: Any, own_home: Path, server: Any, policy: str) -> None:
    _known(own_home, f"[127.0.0.1]:{server.port} {server.host_key}")
    file = _known(own_home, "# lost on the train", OTHER_LINE, f"{server.host_key} somebody", name="revoked")
    config = own_home / ".ssh" / "config"
    config.write_text(f"Host *\n  RevokedHostKeys {file}\n")
    lab = _lab(server, host_key=server.host_key if policy == "pinned" else policy)
    with pytest.raises(HostKeyError, match="its host key is revoked") as caught:
        _run(open_lab, lab)
    assert str(file) in str(caught.value)
    file.write_text(f"{OTHER_LINE}\n")
    assert _run(open_lab, lab).lost is None


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read"), ("SSHKRL\n\0", "is a binary list"), ("ssh-rsa ?", "not a public key")]
)
def test_a_list_of_revoked_keys_that_cannot_be_read_refuses_all(
    open_lab: Any, own_home: Path, server: Any, content: str | None, why: str
) -> None:
    file = own_home / "revoked"
    if content is not None:
        file.write_text(content)
    _known(own_home, f"Host *\n  RevokedHostKeys {file}", name="config")
    with pytest.raises(HostKeyError, match=f"{why}.*it is unknown whether its key is revoked"):
        _run(open_lab, _lab(server, host_key="ignore"))

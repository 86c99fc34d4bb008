"""The client configuration of OpenSSH, as people have it, in front of a real server: nothing in it makes a host unreachable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.errors import ConnectError
from OttoLibrary.run.session import Session
from tests.peers.requirements import require

ANY = Expected(())


@pytest.fixture
def configure(own_home: Path) -> Callable[[str], None]:
    """Write ``~/.ssh/config``."""

    def written(text: str) -> None:
        (own_home / ".ssh").mkdir(exist_ok=True)
        (own_home / ".ssh" / "config").write_text(text)

    return written


def run(session: Session, command: str = "echo in") -> Any:
    return session.engine.call(session.hosts.use("box").run(command, timeout_s=20.0, expected=ANY))


def notes(session: Session) -> str:
    return " ".join(note for record in session.journal.take_records() for note in record.notes)


@pytest.mark.parametrize(
    "line",
    [
        "ServerAliveInterval 1m",
        "ConnectTimeout 10s",
        "Compression yes # comment",
        "PKCS11Provider /usr/lib/x.so",
        "IdentityFile ~/.ssh/missing",
        "IdentitiesOnly yes",
        "ControlMaster auto\nControlPath ~/.ssh/%r@%h:%p\nControlPersist 10m",
        "RemoteCommand tmux attach",
        "RequestTTY force",
        "Ciphers aes256-gcm@openssh.com,never-heard-of@example.com",
        "KexAlgorithms +never-heard-of@example.com",
        "MACs ^hmac-sha2-512",
        "HostKeyAlgorithms ssh-ed25519,sk-ssh-ed25519@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
        "LocalForward 1 localhost:1\nDynamicForward 1080\nExitOnForwardFailure yes",
        "ForwardX11 yes",
        "SendEnv LANG LC_*\nSetEnv FOO=bar",
        "StrictHostKeyChecking ask\nVisualHostKey yes\nUpdateHostKeys yes",
        "UserKnownHostsFile /dev/null",
        "GSSAPIAuthentication yes\nGSSAPIDelegateCredentials yes",
        "AddKeysToAgent yes\nUseKeychain yes\nIdentityAgent /no/such/agent",
        "BatchMode yes\nLogLevel QUIET\nHashKnownHosts yes",
        "PermitLocalCommand yes\nLocalCommand touch /tmp/never",
        "CanonicalizeHostname yes\nCanonicalDomains example.com",
        "AddressFamily inet\nTCPKeepAlive no",
        "RekeyLimit 1G 1h",
        "NeverHeardOf yes",
        "Port 22abc",
        "Match exec false\nPort 1\nMatch all",
        "Include none/*",
        "ForwardAgent $SSH_AUTH_SOCK",
        "PreferredAuthentications publickey,password",
        "PubkeyAcceptedAlgorithms +ssh-rsa",
        "\ufeffUser nobody-else",
        "Host *\nHostName 127.0.0.1",
        "SyslogFacility USER\nTunnel no\nEscapeChar none\nIPQoS lowdelay throughput",
    ],
)
def test_a_usual_line_makes_no_host_unreachable(
    open_lab: Any, sshd: Any, keys: Any, configure: Callable[[str], None], line: str
) -> None:
    configure(f"{line}\n")
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    assert run(open_lab(box=host)).stdout == "in\n"


def test_the_configuration_says_what_the_lab_does_not(
    open_lab: Any, sshd: Any, keys: Any, configure: Callable[[str], None]
) -> None:
    known = f"Host box.lab\n  HostName {sshd.address}\n  Port {sshd.port} # not the usual one\n  User {sshd.user}\n"
    configure(f"{known}  IdentityFile /no/such\n  IdentityFile {keys.identity_file}\n  SetEnv LC_FOO=bar\nPKCS11Provider x\n")
    session = open_lab(box={"address": "box.lab"})
    assert run(session, "echo $LC_FOO").stdout == "bar\n"
    assert "passed over pkcs11provider" in notes(session)


def test_a_key_that_is_broken_is_passed_over_with_a_note(
    open_lab: Any, sshd: Any, keys: Any, configure: Callable[[str], None], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnot a key\n-----END OPENSSH PRIVATE KEY-----\n")
    configure(f"IdentityFile {broken}\nIdentityFile {keys.identity_file}\n")
    session = open_lab(box={"address": sshd.address, "port": sshd.port, "user": sshd.user})
    assert run(session).stdout == "in\n"
    assert f"The key {broken} of ssh_config cannot be read" in notes(session)


def test_a_proxy_command_is_run_by_a_shell(open_lab: Any, sshd: Any, keys: Any, configure: Callable[[str], None]) -> None:
    require("nc")
    configure("ProxyCommand nc $(echo %h) %p 2>/dev/null | cat\n")
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    session = open_lab(box=host)
    assert run(session).stdout == "in\n"


def test_a_proxy_command_that_fails_is_quoted(open_lab: Any, configure: Callable[[str], None]) -> None:
    configure("ProxyCommand sh -c 'echo the bastion is closed on sundays >&2; exit 3'\n")
    with pytest.raises(ConnectError) as raised:
        run(open_lab(box={"address": "box.lab"}))
    sentence = "the ProxyCommand of its ssh_config made no connection and said 'the bastion is closed on sundays'."
    assert str(raised.value) == f"Host 'box' cannot be reached: {sentence}"


def test_a_new_jump_host_is_trusted_as_a_hop_is(
    open_lab: Any, make_sshd: Any, sshd: Any, keys: Any, configure: Callable[[str], None], own_home: Path
) -> None:
    jump = make_sshd()
    login = f"  User {jump.user}\n  IdentityFile {keys.identity_file}\n"
    configure(f"Host newhost\n  HostName {jump.address}\n  Port {jump.port}\n{login}Host *.lab\n  ProxyJump newhost\n{login}")
    session = open_lab(box={"address": "box.lab"})
    with pytest.raises(ConnectError, match=r"could not connect to box\.lab:22|the address 'box\.lab'"):
        run(session)
    configure(
        f"Host newhost\n  HostName {jump.address}\n  Port {jump.port}\n{login}"
        f"Host box.lab\n  HostName {sshd.address}\n  Port {sshd.port}\n  ProxyJump newhost\n{login}"
    )
    assert run(open_lab(box={"address": "box.lab"})).stdout == "in\n"
    assert "newhost ssh-" in (own_home / ".otto" / "known_hosts").read_text()


def test_a_configuration_of_the_lab_that_is_missing_is_named(open_lab: Any, sshd: Any) -> None:
    session = open_lab(box={"address": sshd.address, "port": sshd.port, "ssh": {"config_file": "/no/such/config"}})
    with pytest.raises(Exception, match=r"Host 'box'.* /no/such/config, which cannot be read \(No such file or directory\)"):
        run(session)


def test_revoked_keys_of_the_configuration_are_refused(
    open_lab: Any, sshd: Any, keys: Any, configure: Callable[[str], None], tmp_path: Path
) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(f"{sshd.host_key}\n{(sshd.folder / 'host_rsa.pub').read_text()}")
    configure(f"RevokedHostKeys {revoked}\n")
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    with pytest.raises(ConnectError, match="its host key is revoked"):
        run(open_lab(box=host))

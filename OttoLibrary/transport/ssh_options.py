"""How AsyncSSH is to connect to a host: what the lab says, then what the client configuration says, then what we prefer."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_public_key_algs

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.text import listed
from OttoLibrary.transport.client_config import SshConfig

# AES-GCM moves about twice what AsyncSSH's first choice, ChaCha20, does per CPU second; both are safe.
_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
_KEEPALIVES = 3
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


def connect_options(facts: HostFacts, config: SshConfig) -> dict[str, Any]:
    """Return how to connect: what the lab says, then what the client configuration says, then what we prefer."""
    ssh = facts.ssh
    port = config.text("port")
    options: dict[str, Any] = {
        "config": None,
        "keepalive_interval": facts.keepalive,
        "keepalive_count_max": _KEEPALIVES,
        "encryption_algs": ssh.ciphers or _supported(config, "ciphers", get_encryption_algs()) or _CIPHERS,
        "compression_algs": ["zlib@openssh.com", "none"] if ssh.compression or config.flag("compression") else ["none"],
        "agent_forwarding": ssh.forward_agent or _forwards_agent(config),
        "family": _FAMILIES.get((config.text("addressfamily") or "any").lower(), socket.AF_UNSPEC),
        "tcp_keepalive": config.flag("tcpkeepalive") is not False,
    }
    address = config.text("bindaddress")
    given = {
        "port": facts.port or (int(port) if port else None),
        "username": facts.user or config.text("user"),
        "kex_algs": ssh.kex or _supported(config, "kexalgorithms", get_kex_algs()),
        "mac_algs": ssh.mac or _supported(config, "macs", get_mac_algs()),
        "server_host_key_algs": ssh.host_key_algorithms or _supported(config, "hostkeyalgorithms", get_public_key_algs()),
        "host_key_alias": config.text("hostkeyalias"),
        "local_addr": (address, 0) if address else None,
        "password": facts.password.value if facts.password else None,
        "password_auth": config.flag("passwordauthentication"),
        "kbdint_auth": config.flag("kbdinteractiveauthentication"),
        "public_key_auth": config.flag("pubkeyauthentication"),
        "preferred_auth": config.text("preferredauthentications"),
        "send_env": config.words("sendenv"),
        "env": config.words("setenv"),
        **_keys(facts, config),
    }
    options |= {name: value for name, value in given.items() if value is not None}
    # A server hangs up after some keys: the one that the lab names must not come after those of an agent.
    if not (ssh.agent if ssh.agent is not None else not facts.identity_file):
        options["agent_path"] = None
    if facts.password and not facts.identity_file:
        options["preferred_auth"] = "password,keyboard-interactive,publickey"
    return options


def _keys(facts: HostFacts, config: SshConfig) -> dict[str, Any]:
    """Return the keys to offer: the lab's, or those of the client configuration that can be read."""
    passphrase = facts.passphrase.value if facts.passphrase else None
    if facts.identity_file:
        return {"client_keys": [facts.identity_file], "passphrase": passphrase}
    found: dict[str, Any] = {"passphrase": passphrase}
    agent = config.text("identityagent")
    if agent is not None and agent != "SSH_AUTH_SOCK":
        found["agent_path"] = os.path.expanduser(os.environ.get(agent[1:], "") if agent.startswith("$") else agent)
    elif config.options.get("identityagent") == ["none"]:
        found["agent_path"] = ""
    files = [os.path.expanduser(name) for name in config.words("identityfile") or []]
    certificates = [os.path.expanduser(name) for name in config.words("certificatefile") or []]
    readable = [name for name in files if os.access(name, os.R_OK)]
    if certificates:
        found["client_certs"] = [name for name in certificates if os.access(name, os.R_OK)]
    pairs = [pair for name in readable for pair in _pairs(name, passphrase, found.get("client_certs", ()), config)]
    if pairs:
        found["client_keys"] = pairs
    if config.flag("identitiesonly") and files:
        found["agent_identities"] = [name for name in readable if _is_public(name)] or None
        if found["agent_identities"] is None:
            found["agent_path"] = ""
    return found


def _pairs(name: str, passphrase: str | None, certificates: Any, config: SshConfig) -> list[Any]:
    try:
        return list(asyncssh.load_keypairs([name], passphrase, certificates, ignore_encrypted=True))
    except (OSError, ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        if not _is_public(name):
            config.notes.append(f"The key {name} of ssh_config cannot be read ({error}); it is passed over.")
        return []


def _is_public(name: str) -> bool:
    """Return True when a public key is there to ask an agent for its private one."""
    for path in (name, f"{name}.pub"):
        try:
            asyncssh.read_public_key(path)
        except (OSError, ValueError, asyncssh.KeyImportError):
            continue
        return True
    return False


def _forwards_agent(config: SshConfig) -> bool | str:
    value = config.text("forwardagent")
    if value is None:
        return False
    flag = config.flag("forwardagent")
    if flag is not None:
        return flag
    return os.path.expanduser(os.environ.get(value[1:], "") if value.startswith("$") else value)


def _supported(config: SshConfig, option: str, known: Sequence[bytes]) -> str | None:
    """Return the algorithms of ssh_config without those that only OpenSSH has, or None to use the usual ones."""
    value = config.text(option)
    if value is None:
        return None
    sign = value[0] if value[0] in "+-^" else ""
    names = listed(value.removeprefix(sign))
    ours = [name for name in names if set(name) & set("*?") or name.encode() in known]
    if len(ours) < len(names):
        others = ", ".join(name for name in names if name not in ours)
        config.notes.append(f"ssh_config: passed over of {option}, since only OpenSSH has it: {others}.")
    return f"{sign}{','.join(ours)}" if ours else None

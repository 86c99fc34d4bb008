"""The facts of a host, as its lab gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from OttoLibrary.contracts.profiles import Profile, linux
from OttoLibrary.text import Secret


@dataclass(frozen=True)
class SshOptions:
    """The ``ssh`` object of a host: settings of SSH only.

    ``ciphers``, ``kex``, ``mac`` and ``host_key_algorithms`` are comma-separated names; a leading ``+`` adds to the
    defaults, as in OpenSSH. ``agent`` is None to offer the keys of the agent only where the lab names no key. ``forwards``
    are ``[bind_address:]port:address:port``, opened with the connection.
    """

    config_file: str | None = None
    agent: bool | None = None
    forward_agent: bool = False
    ciphers: str | None = None
    kex: str | None = None
    mac: str | None = None
    host_key_algorithms: str | None = None
    compression: bool = False
    forwards: tuple[str, ...] = ()


@dataclass(frozen=True)
class SerialOptions:
    """The ``serial`` object of a host: how its port is set up, and how fast it accepts typing.

    ``parity`` is ``none``, ``even``, ``odd``, ``mark`` or ``space``; ``flow_control`` is ``none``, ``rtscts``, ``dsrdtr`` or
    ``xonxoff``; ``character_delay`` is seconds after each typed byte.
    """

    baudrate: int = 115200
    bytesize: int = 8
    parity: str = "none"
    stopbits: float = 1
    flow_control: str = "none"
    character_delay: float = 0.0


@dataclass(frozen=True)
class FtpOptions:
    """The ``ftp`` object of a host: its FTP server.

    ``port`` is None for 21, or 990 when ``tls`` is ``implicit``; ``tls`` may also be ``no`` and ``explicit``. ``user`` and
    ``password`` are None for the host's. ``certificate`` is ``verify``, ``ignore`` or a ``SHA256:`` fingerprint. ``mode`` is
    ``passive`` or ``active``.
    """

    port: int | None = None
    user: str | None = None
    password: Secret | None = None
    tls: str = "no"
    certificate: str = "verify"
    mode: str = "passive"


@dataclass(frozen=True)
class SnmpOptions:
    """The ``snmp`` object of a host: its SNMP agent, asked by version 2c.

    ``timeout`` is seconds; a request without an answer is sent once more.
    """

    port: int = 161
    community: Secret = field(default_factory=lambda: Secret("public"))
    timeout: float = 1.0


@dataclass(frozen=True)
class OwnMetric:
    """One entry of ``metrics`` in a lab file: a command to run, or a file to follow.

    ``pattern`` finds readings in the output: each named group is one, and the group ``label`` is its label. Each line that
    ``event`` matches becomes an event. ``interval`` is seconds.
    """

    command: str = ""
    file: str = ""
    pattern: str = ""
    event: str = ""
    interval: float = 0.0


@dataclass(frozen=True)
class EvidenceSource:
    """One entry of ``evidence`` in a lab file: a file, or a pattern of files, or a command whose output is kept."""

    file: str = ""
    command: str = ""
    name: str = ""


@dataclass(frozen=True)
class LeaseHook:
    """One entry of ``before_lease`` or ``after_lease`` in a lab file: what is done around each reservation of a host.

    Attributes:
        command: A shell command.
        host: Where the command runs; empty for the host itself.
        timeout: How long it may take, in seconds.
        on_failure: ``fail``, ``warn`` or ``quarantine``.
    """

    command: str
    host: str = ""
    timeout: float = 60.0
    on_failure: str = "fail"


@dataclass(frozen=True)
class HostFacts:
    """One host of a lab, validated, with its references resolved.

    ``timeout``, ``connect_timeout`` and ``keepalive`` are seconds. ``host_key`` is ``accept-new``, ``strict``, ``ignore``, a
    ``SHA256:`` fingerprint or a public key line. ``transfer`` is empty for the best that the host offers. ``device`` is the
    ``port`` of a serial host: a path or URL. ``console`` is what ``profile`` names.
    """

    name: str
    labs: tuple[str, ...] = ()
    address: str = ""
    transport: str = "ssh"
    port: int | None = None
    device: str = ""
    user: str | None = None
    password: Secret | None = None
    identity_file: str | None = None
    passphrase: Secret | None = None
    hop: str | None = None
    host_key: str = "accept-new"
    profile: str = "linux"
    transfer: str = ""
    tags: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    timeout: float = 60.0
    connect_timeout: float = 15.0
    keepalive: float = 5.0
    accounts: Mapping[str, Secret] = field(default_factory=dict)
    ssh: SshOptions = field(default_factory=SshOptions)
    serial: SerialOptions = field(default_factory=SerialOptions)
    ftp: FtpOptions = field(default_factory=FtpOptions)
    snmp: SnmpOptions = field(default_factory=SnmpOptions)
    metrics: Mapping[str, OwnMetric] = field(default_factory=dict)
    evidence: tuple[EvidenceSource, ...] = ()
    before_lease: tuple[LeaseHook, ...] = ()
    after_lease: tuple[LeaseHook, ...] = ()
    console: Profile = field(default_factory=linux)

"""The fields of a lab file: one table that checks them, converts them and describes them as a JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from OttoLibrary import registry
from OttoLibrary.contracts.facts import (
    EvidenceSource,
    FtpOptions,
    HostFacts,
    LeaseHook,
    OwnMetric,
    SerialOptions,
    SnmpOptions,
    SshOptions,
)
from OttoLibrary.contracts.profiles import POSIX, PROMPT, Profile
from OttoLibrary.lab.host_values import (
    BITS,
    CERTIFICATE,
    FORWARDING,
    HOST_KEY,
    HOST_NAME,
    METRIC_NAME,
    PORT,
    STOP_BITS,
    TRANSFER,
    TRANSPORT,
)
from OttoLibrary.schema.field_types import (
    AnyObject,
    ExactlyOneOf,
    Field,
    JsonObject,
    ListOf,
    MapOf,
    NameList,
    ObjectOf,
    TextOrObject,
)
from OttoLibrary.schema.scalar_types import (
    COUNT,
    DURATION,
    ENCODING,
    EXPRESSION,
    LABEL,
    NON_EMPTY,
    PATH,
    PRIVATE_NON_EMPTY,
    PRIVATE_TEXT,
    SECRET,
    SWITCH,
    TCP_PORT,
    TEXT_LITERAL,
    VARIABLE,
    choice_of,
)
from OttoLibrary.schema.source_position import SourcePosition

SSH = ObjectOf({
    "config_file": Field(PATH, "An OpenSSH client configuration to read; relative to the lab file."),
    "agent": Field(SWITCH, "Offer the keys of the SSH agent; by default only when the lab names no identity_file."),
    "forward_agent": Field(SWITCH, "Let the host use the SSH agent of this machine."),
    "ciphers": Field(NameList(), "Ciphers, best first; a leading + adds to the defaults."),
    "kex": Field(NameList(), "Key exchange algorithms, best first; a leading + adds to the defaults."),
    "mac": Field(NameList(), "Message authentication codes, best first; a leading + adds to the defaults."),
    "host_key_algorithms": Field(NameList(), "Host key algorithms, best first; a leading + adds to the defaults."),
    "compression": Field(SWITCH, "Compress the connection."),
    "forwards": Field(ListOf(FORWARDING), "Local forwards, opened with the connection: [bind_address:]port:address:port."),
})  # fmt: skip

SERIAL = ObjectOf({
    "baudrate": Field(COUNT, "Bits a second; 115200 by default."),
    "bytesize": Field(BITS, "Bits of a byte; 8 by default."),
    "parity": Field(choice_of(("none", "even", "odd", "mark", "space")), "none by default."),
    "stopbits": Field(STOP_BITS, "1 (default), 1.5 or 2."),
    "flow_control": Field(choice_of(("none", "rtscts", "dsrdtr", "xonxoff")), "none by default."),
    "character_delay": Field(DURATION, "How long to wait after each typed byte, for a console that loses some; none by default."),
})  # fmt: skip

FTP = ObjectOf({
    "port": Field(TCP_PORT, "The port of its FTP server; 21, or 990 with implicit TLS, by default."),
    "user": Field(NON_EMPTY, "The login; the host's by default."),
    "password": Field(SECRET, "The password of the login; the host's by default."),
    "tls": Field(choice_of(("no", "explicit", "implicit")), "no (default), all in clear text; explicit (AUTH TLS); implicit."),
    "certificate": Field(CERTIFICATE, "verify (default), ignore, or the SHA256: fingerprint of the server's certificate."),
    "mode": Field(choice_of(("passive", "active")), "Who opens data connections: passive (default), this side; or active."),
})  # fmt: skip

METRIC = ObjectOf({
    "command": Field(PRIVATE_NON_EMPTY, "A command whose output is read at every tick."),
    "file": Field(NON_EMPTY, "A file on the host to follow, such as a log."),
    "pattern": Field(EXPRESSION, "Regular expression whose named groups are readings; the group 'label' tells them apart."),
    "event": Field(EXPRESSION, "Regular expression for lines that are events."),
    "interval": Field(DURATION, "Run the command at most this often; at every tick by default."),
})  # fmt: skip

EVIDENCE = ObjectOf({
    "file": Field(NON_EMPTY, "A file on the host, or a pattern of files such as /var/log/app/*.log."),
    "command": Field(PRIVATE_NON_EMPTY, "A command whose output is kept."),
    "name": Field(LABEL, "What the kept file is called; by default after the file or command."),
})  # fmt: skip

LEASE_HOOK = ObjectOf({
    "command": Field(PRIVATE_NON_EMPTY, "A shell command."),
    "host": Field(HOST_NAME, "Where the command runs; the host itself by default."),
    "timeout": Field(DURATION, "How long it may take; 60 seconds by default."),
    "on_failure": Field(choice_of(("fail", "warn", "quarantine")), "fail (default), warn, or put the host in quarantine."),
}, required=("command",))  # fmt: skip

SNMP = ObjectOf({
    "port": Field(TCP_PORT, "The UDP port of its SNMP agent; 161 by default."),
    "community": Field(SECRET, "The community that it accepts; public by default."),
    "timeout": Field(DURATION, "How long to wait for an answer, twice at most; 1 second by default."),
})  # fmt: skip

EVIDENCE_ENTRY = TextOrObject("file", ExactlyOneOf(EVIDENCE, ("file", "command")))
METRIC_ENTRY = ExactlyOneOf(METRIC, ("command", "file"))

PROFILE = ObjectOf({
    "base": Field(LABEL, "The profile that this one is based on; linux by default."),
    "runs": Field(choice_of((POSIX, PROMPT)), "What runs on the console: a posix shell, or only a prompt."),
    "prompt": Field(EXPRESSION, "Regular expression for the prompt, at the end of what the console printed."),
    "newline": Field(TEXT_LITERAL, "What ends a typed line."),
    "login_prompt": Field(EXPRESSION, "Regular expression for the question for the user."),
    "password_prompt": Field(EXPRESSION, "Regular expression for the question for the password."),
    "failed_login": Field(EXPRESSION, "Regular expression for the answer to a wrong user or password."),
    "pager_off": Field(ListOf(LABEL), "Lines to type before the first command, so that long output does not stop."),
    "status": Field(LABEL, "A line that makes a prompt print the exit status of the command before."),
    "encoding": Field(ENCODING, "How its text is encoded; utf-8 by default."),
}, name="profile")  # fmt: skip

HOST = ObjectOf({
    "address": Field(NON_EMPTY, "Name or IP address, as the last hop sees it."),
    "transport": Field(TRANSPORT, "How it is reached: ssh (default), telnet, serial, local or the name of a plug-in."),
    "port": Field(PORT, "The port, by default the one of the transport; for serial a device or a URL of pyserial."),
    "user": Field(NON_EMPTY, "The login."),
    "password": Field(SECRET, "The password of the login, better as a reference such as ${env:NAME}."),
    "identity_file": Field(PATH, "A private key; relative to the lab file."),
    "passphrase": Field(SECRET, "The passphrase of an encrypted identity_file."),
    "hop": Field(HOST_NAME, "The host through which it is reached; that one may have a hop too."),
    "host_key": Field(HOST_KEY, "accept-new (default), strict, ignore, a SHA256: fingerprint or a public key line."),
    "profile": Field(LABEL, "How its console behaves; linux by default."),
    "transfer": Field(TRANSFER, "How files are copied: sftp, scp, ftp, nc, console, local or a plug-in; the best by default."),
    "tags": Field(ListOf(LABEL), "Words to select hosts by, as tag:NON_EMPTY."),
    "resources": Field(ListOf(LABEL), "What a reservation of the host takes."),
    "metadata": Field(AnyObject(), "Anything a suite wants to know about it."),
    "environment": Field(MapOf(VARIABLE, PRIVATE_TEXT), "Variables for every shell on it."),
    "cwd": Field(NON_EMPTY, "The folder in which every shell starts."),
    "timeout": Field(DURATION, "How long a command may take; 60 seconds by default."),
    "connect_timeout": Field(DURATION, "How long connecting may take; 15 seconds by default."),
    "keepalive": Field(DURATION, "How often a quiet connection is checked; every 5 seconds by default."),
    "accounts": Field(MapOf(NON_EMPTY, SECRET), "Passwords by login, for switching user."),
    "ssh": Field(SSH, "Settings of SSH only."),
    "serial": Field(SERIAL, "Settings of a serial port only."),
    "ftp": Field(FTP, "Its FTP server."),
    "snmp": Field(SNMP, "Its SNMP agent."),
    "before_lease": Field(ListOf(LEASE_HOOK), "What is done when a run has reserved the host, before the run goes on."),
    "after_lease": Field(ListOf(LEASE_HOOK), "What is done at the end of a reservation, before anybody else gets the host."),
    "evidence": Field(ListOf(EVIDENCE_ENTRY), "What to fetch when a test that used the host fails."),
    "metrics": Field(MapOf(METRIC_NAME, METRIC_ENTRY), "Metrics of your own, by name."),
}, name="host")  # fmt: skip

LAB = ObjectOf({
    "$schema": Field(LABEL, "The JSON Schema, for editors."),
    "name": Field(LABEL, "Name of the lab; by default the name of the file."),
    "description": Field(LABEL, "What the lab is."),
    "metadata": Field(AnyObject(), "Anything a suite wants to know about the lab."),
    "resources": Field(ListOf(LABEL), "What the whole lab needs: no host is used while somebody else has reserved one of these."),
    "defaults": Field(HOST, "Fields for every host; an object merges with the host's, a null in a host removes a default."),
    "hosts": Field(MapOf(HOST_NAME, HOST), "The hosts by name."),
    "profiles": Field(MapOf(LABEL, PROFILE), "Profiles of consoles by name."),
}, required=("hosts",))  # fmt: skip


def beneath(defaults: JsonObject, own: JsonObject) -> dict[str, Any]:
    """Return the part of ``defaults`` that ``own`` does not override; objects merge one level deep."""
    merging = {key for key, value in defaults.items() if isinstance(value, Mapping) and isinstance(own.get(key), Mapping)}
    left = {key: value for key, value in defaults.items() if key not in own}
    return left | {key: {name: value for name, value in defaults[key].items() if name not in own[key]} for key in merging}


def combine(lower: JsonObject, upper: JsonObject) -> dict[str, Any]:
    """Return both as one, where ``lower`` is ``beneath`` the other; a null is dropped."""
    both = {key for key in upper if isinstance(upper[key], Mapping) and isinstance(lower.get(key), Mapping)}
    return _without_null({**lower, **upper, **{key: {**lower[key], **upper[key]} for key in both}})


def _without_null(values: JsonObject) -> dict[str, Any]:
    nested = {key: value for key, value in values.items() if value is not None}
    for key in ("ssh", "serial", "ftp", "snmp", "metrics", "environment", "accounts"):
        if isinstance(nested.get(key), Mapping):
            nested[key] = {name: value for name, value in nested[key].items() if value is not None}
    return nested


def host_facts(name: str, labs: tuple[str, ...], values: JsonObject, console: Profile) -> HostFacts:
    """Return the facts of a host from the converted values of its fields and its profile."""
    nested = {"ssh": SshOptions(**values.get("ssh", {})), "serial": SerialOptions(**values.get("serial", {})), "console": console}
    nested["ftp"] = FtpOptions(**values.get("ftp", {}))
    nested["snmp"] = SnmpOptions(**values.get("snmp", {}))
    nested["metrics"] = {key: OwnMetric(**entry) for key, entry in values.get("metrics", {}).items()}
    nested["evidence"] = tuple(EvidenceSource(**_without_null(entry)) for entry in values.get("evidence", ()))
    for key in ("before_lease", "after_lease"):
        nested[key] = tuple(LeaseHook(**_without_null(entry)) for entry in values.get(key, ()))
    port = values.get("port")
    where = {"port": None, "device": port} if isinstance(port, str) else {"port": port}
    return HostFacts(name=name, labs=labs, **{**values, **nested, **where})


def profile_named(name: str, own: JsonObject, position: SourcePosition, _way: tuple[str, ...] = ()) -> Profile | None:
    """Return a profile; note a mistake and return None when there is none of that name.

    Args:
        name: Its name.
        own: The profiles of the lab as written; they take precedence over those of the registry.
        position: Where the name stands.
    """
    known = sorted({*registry.names("profile"), *own})
    # A profile may have the name of a built-in one and be based on that.
    built_in = name not in own or (_way[-1:] == (name,) and name in registry.names("profile"))
    if name in _way and not built_in:
        position.wrong(f"the profiles are based on each other in a circle: {' -> '.join([*_way, name])}")
        return None
    if built_in:
        if name not in known:
            position.wrong(f"profile {name!r} is not known, known are {', '.join(known)}", name, known)
            return None
        profile: Profile = registry.load("profile", name)
        return profile
    values: dict[str, Any] = PROFILE.read(own[name], replace(position, problems=[])) or {}
    given = {key: value for key, value in values.items() if value is not None}
    base = profile_named(given.pop("base", "linux"), own, position, (*_way, name))
    return replace(base, name=name, **given) if base is not None else None

"""SSH through AsyncSSH: connections through any number of hops, host keys, processes and byte streams.

Protocol: RFC 4251 to 4254. Known hosts: the file format of OpenSSH's sshd(8).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import os
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.config import SSHClientConfig

from OttoLibrary.contracts.connections import Channel, Connection, Duplex, EndOfStream, ExitStatus, Listener, Process, Terminal
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, HopError, HostKeyError, LoginError, UsageError
from OttoLibrary.transport import tcp
from OttoLibrary.transport.channels import ProcessChannel
from OttoLibrary.transport.known_hosts import KnownKey, known_keys, named
from OttoLibrary.transport.receive_buffer import FlowControl, ReceiveBuffer

# AES-GCM moves about twice what AsyncSSH's first choice, ChaCha20, does per CPU second; both are safe.
_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
_KEEPALIVES = 3
_LISTENER_END_S = 2.0
_LOOPBACK = "127.0.0.1"
_MOST_JUMPS = 8
_FINGERPRINT = "SHA256:"
# Where OpenSSH looks unless its configuration says otherwise.
_USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_SESSION_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
# What a login shell may not take as it is in single quotes.
_SPECIAL = re.compile(r"[^ -~]|['\\!]")
_LEGACY_ADVICE = (
    "An old host may need algorithms that are off by default: set 'kex', 'ciphers', 'mac' or 'host_key_algorithms' "
    'in its \'ssh\' object, such as "kex": "+diffie-hellman-group14-sha1".'
)


class Ssh:
    """The transport ``ssh``."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Open a connection, through ``hop`` when given, and the forwards that the lab asks for."""
        if hop is not None and not isinstance(hop, SshConnection):
            raise UsageError(f"Host '{path[-2]}' cannot be a hop to '{facts.name}': only SSH hosts carry SSH connections.")
        trust = _Trust(facts, path)
        async with contextlib.AsyncExitStack() as opened:
            try:
                async with deadline.timeout():
                    trust.read_config()
                    jump = hop or await self._jump(facts, path, trust.jumps, opened, deadline)
                    client = await _connect(facts, jump, trust)
                    connection = SshConnection(client, trust)
                    opened.push_async_callback(connection.close_client)
                    await connection.forward(facts.ssh.forwards)
            except (OSError, asyncssh.Error, ValueError) as error:
                raise _translate(error, facts, path, trust, deadline) from error
            connection.keep(opened.pop_all())
            return connection

    async def _jump(
        self, facts: HostFacts, path: tuple[str, ...], jumps: list[str], opened: contextlib.AsyncExitStack, deadline: Deadline
    ) -> SshConnection | None:
        """Open the jump hosts that ssh_config asks for, each trusted as a hop of a lab is; return the last."""
        last: Connection | None = None
        if len(path) + len(jumps) > _MOST_JUMPS:
            raise ConnectError(facts.name, path, f"its ssh_config asks for more than {_MOST_JUMPS} jump hosts")
        for at, text in enumerate(jumps):
            jump = _jump_facts(text, facts)
            try:
                last = await self.connect(jump, (*path[:-1], *jumps[:at], jump.name), last, deadline)
            except HopError as error:
                raise HopError(facts.name, path, error.hop, error.hop_did, error.cause) from error
            except ConnectError as error:
                raise HopError(facts.name, path, jump.name, error.what, error.cause) from error
            opened.push_async_callback(last.close)
        return last  # type: ignore[return-value]


def _itself(session: _Session) -> _Session:
    return session


class SshConnection:
    """One authenticated connection."""

    line_limit = 0
    logs_in = True

    def __init__(self, client: asyncssh.SSHClientConnection, trust: _Trust) -> None:
        self.client = client
        self._trust = trust
        self._opened = contextlib.AsyncExitStack()
        self._quick: asyncio.Task[None] | None = None

    @property
    def lost(self) -> str | None:
        """Why it is gone, or None."""
        return self._trust.lost

    @property
    def native(self) -> object:
        """AsyncSSH's connection."""
        return self.client

    @property
    def server_key(self) -> str:
        """The host key that the server proved, as OpenSSH writes it."""
        key = self.client.get_server_host_key()
        return key.export_public_key("openssh").decode().strip() if key else ""

    async def execute(self, command: str, terminal: Terminal | None = None, *, login_shell: bool = False) -> Process:
        """Start ``command``, on a terminal when one is given."""
        options: dict[str, Any] = {"encoding": None}
        if terminal is not None:
            options |= {"term_type": terminal.kind, "term_size": (terminal.columns, terminal.rows)}
        # A path in it may not be text.
        words: Any = (command if login_shell else any_shell(command)).encode("utf-8", "surrogateescape")
        try:
            return await self._open_session(words, terminal is not None, options)
        except asyncssh.ChannelOpenError as error:
            reason = self.lost or f"the server opens no further session ({error.reason}); its MaxSessions may be reached"
            raise EndOfStream(reason) from error
        except (OSError, asyncssh.Error) as error:
            raise EndOfStream(self.lost or str(error)) from error

    async def _open_session(self, words: Any, on_terminal: bool, options: dict[str, Any]) -> _Session:
        # A server at its MaxSessions counts those that we closed until their processes are gone.
        pauses_s = iter(_SESSION_PAUSES_S)
        while True:
            session = _Session(on_terminal)
            try:
                opening = asyncio.ensure_future(self.client.create_session(partial(_itself, session), words, **options))
                await asyncio.shield(opening)
                return session
            except asyncio.CancelledError:
                # A session that is given up half-way would stay open on the server.
                opening.add_done_callback(session.close_late)
                raise
            except asyncssh.ChannelOpenError:
                pause_s = next(pauses_s, None)
                if self.lost or pause_s is None:
                    raise
                await asyncio.sleep(pause_s)

    async def open_line(self) -> Channel:
        """Refuse: it starts processes."""
        raise EndOfStream("it has no terminal lines")

    async def dial(self, address: str, port: int) -> Duplex:
        """Open a byte stream from the host to ``address``."""
        try:
            session = _Session(has_terminal=False)
            await self.client.create_connection(lambda: session, address, port)
        except asyncssh.Error as error:
            raise OSError(f"{address}:{port}: {error.reason}") from error
        return session.stream

    async def listen(self, port: int, accept: Callable[[Duplex], None]) -> Listener:
        """Listen on the loopback of the host."""

        def connected(_address: str, _port: int) -> _Accepted:
            return _Accepted(accept)

        try:
            listener = await self.client.create_server(connected, _LOOPBACK, port, encoding=None)
        except (asyncssh.Error, asyncssh.ChannelListenError) as error:
            raise OSError(f"the server does not listen there for others ({error})") from error
        return _SshListener(listener)

    async def forward(self, forwards: tuple[str, ...]) -> None:
        """Open local port forwards, ``[bind_address:]port:address:port`` each."""
        for text in forwards:
            bind, port, address, target = _forward(text)
            await self.client.forward_local_port(bind, port, address, target)

    def carry(self) -> asyncssh.SSHClientConnection:
        """Return the connection for use as a tunnel.

        A server leaves Nagle's algorithm on until a session is opened. That costs 40 ms per new channel behind it when the
        kernel of a hop acknowledges; ours does so at once. So open one where this connection goes through a hop itself.
        """
        if self._quick is None and not self._trust.direct:
            self._quick = asyncio.create_task(self._open_quick_session())
        return self.client

    def keep(self, opened: contextlib.AsyncExitStack) -> None:
        """Take what was opened for this connection, itself last, to be closed with it."""
        self._opened = opened

    async def close(self) -> None:
        """Close it and everything on it."""
        await self._opened.aclose()

    async def close_client(self) -> None:
        """Close it, but not what carries it."""
        if self._quick is not None:
            self._quick.cancel()
        self.client.close()
        try:
            async with asyncio.timeout(1):
                await self.client.wait_closed()
        except (TimeoutError, OSError, asyncssh.Error):
            self.client.abort()

    def describe(self) -> str:
        """Return ``ssh user@address:port``."""
        host, port = self.client.get_extra_info("host"), self.client.get_extra_info("port")
        return f"ssh {self.client.get_extra_info('username')}@{host}:{port}"

    async def _open_quick_session(self) -> None:
        with contextlib.suppress(EndOfStream):
            process = await self.execute("true")
            await process.wait()
            await process.close()


class _Session(asyncssh.SSHClientSession[bytes], asyncssh.SSHTCPSession[bytes]):
    """A channel's callbacks, turned into a process or a byte stream."""

    def __init__(self, has_terminal: bool) -> None:
        flow = FlowControl(self._pause, self._resume)
        self._output, self._errors = ReceiveBuffer(flow), ReceiveBuffer(flow)
        self._has_terminal = has_terminal
        self._chan: Any = None
        self._status: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._status.add_done_callback(lambda status: status.cancelled() or status.exception())
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def channel(self) -> Channel:
        return ProcessChannel(self, self._output, "ssh channel")

    @property
    def errors(self) -> Channel | None:
        return None if self._has_terminal else ProcessChannel(self, self._errors, "standard error of an ssh channel")

    @property
    def stream(self) -> Duplex:
        return _Stream(self, self._output, "ssh channel")

    async def end_input(self) -> None:
        if not self._chan.is_closing():
            self._chan.write_eof()

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self._status)

    async def close(self) -> None:
        self._chan.close()
        self._finish(None)

    def close_late(self, opening: asyncio.Future[Any]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._chan.close()

    async def write(self, data: bytes) -> None:
        if self._chan.is_closing() or self._status.done():
            raise EndOfStream
        self._chan.write(data)
        await self._writable.wait()

    async def resize(self, columns: int, rows: int) -> None:
        if self._has_terminal and not self._chan.is_closing():
            self._chan.change_terminal_size(columns, rows)

    def _pause(self) -> None:
        self._chan.pause_reading()

    def _resume(self) -> None:
        self._chan.resume_reading()

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        (self._errors if datatype else self._output).feed(data)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def eof_received(self) -> bool:
        self._output.end()
        self._errors.end()
        return True

    def exit_status_received(self, status: int) -> None:
        self._end(ExitStatus(status))

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._end(ExitStatus(128 + _signal_number(signal), f"SIG{signal}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(str(exc) if exc else None)

    def _end(self, status: ExitStatus) -> None:
        if not self._status.done():
            self._status.set_result(status)

    def _finish(self, lost: str | None) -> None:
        self._output.end(lost)
        self._errors.end(lost)
        self._writable.set()
        if not self._status.done():
            self._status.set_exception(EndOfStream(lost or "the session was closed"))


class _Stream(ProcessChannel):
    """A byte stream through the server."""

    def __init__(self, session: _Session, received: ReceiveBuffer, description: str) -> None:
        super().__init__(session, received, description)
        self.end_output = session.end_input


class _Accepted(_Session):
    """A connection that the server accepted for us."""

    def __init__(self, accept: Callable[[Duplex], None]) -> None:
        super().__init__(has_terminal=False)
        self._accept = accept

    def session_started(self) -> None:
        self._accept(self.stream)


class _SshListener:
    """A port of a host."""

    def __init__(self, listener: asyncssh.SSHListener) -> None:
        self._listener = listener
        self._port = listener.get_port()

    @property
    def port(self) -> int:
        return self._port

    async def wait(self) -> None:
        await self._listener.wait_closed()

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
            self._listener.close()
            async with asyncio.timeout(_LISTENER_END_S):
                await self._listener.wait_closed()


class _Trust(asyncssh.SSHClient):
    """Decides whether a host key is the right one, and notes why a connection ended."""

    def __init__(self, facts: HostFacts, path: tuple[str, ...]) -> None:
        self.lost: str | None = None
        self.problem = ""
        self.jumps: list[str] = []
        self._facts = facts
        self._policy = facts.host_key
        self.direct = len(path) == 1
        # Behind different hops live different hosts with one address, so the way to a host is part of its name.
        name = facts.address if facts.port in {None, 22} else f"[{facts.address}]:{facts.port}"
        self._name = name if self.direct else f"{name}/via/{'/'.join(path[:-1])}"
        self._files: list[Path] = []
        self._known: list[KnownKey] = []
        self._revoked: list[KnownKey] = []

    def read_config(self) -> None:
        """Learn from ssh_config which files of known keys count, and through which hosts the server is reached."""
        config = _config(self._facts)
        self._files = [*_files(config, "UserKnownHostsFile", _USER_FILES), *_files(config, "GlobalKnownHostsFile", _GLOBAL_FILES)]
        jumps = str(config.get("ProxyJump") or "none")
        self.jumps = [] if jumps.lower() == "none" or not self.direct else [text.strip() for text in jumps.split(",")]

    def known_hosts(self, host: str, addr: str, port: int | None) -> Any:
        """Return the keys on file for this host, in AsyncSSH's seven lists."""
        own = _known([known_hosts_file()], [self._name.lower()])
        with_port, without = (_known(self._files, named(host, addr, number)) for number in (port, None))
        users = with_port if any(not known.is_revoked for known in with_port) else without
        self._revoked = [known for known in dict.fromkeys([*own, *with_port, *without]) if known.is_revoked]
        trusted = self._trusted(own, users)
        # A key that the user's file has for another machine with this address proves nothing about one behind a hop.
        self._known = [known for known in trusted if known.is_host_key] if self.direct or self._policy == "strict" else []
        authorities = [known.key for known in trusted if known.is_authority]
        keys = [known.key for known in trusted if known.is_host_key]
        if _is_key(self._policy):
            keys = [asyncssh.import_public_key(self._policy)]
        return keys, authorities, [known.key for known in self._revoked], [], [], [], []

    def _trusted(self, own: list[KnownKey], users: list[KnownKey]) -> list[KnownKey]:
        # What the lab pins is the only key; what it ignores needs no other.
        if _is_key(self._policy) or self._policy == "ignore" or self._policy.startswith(_FINGERPRINT):
            return []
        both = self.direct or not any(known.is_host_key for known in own)
        return [*own, *users] if both else own

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Judge a key that is not in a file of known keys."""
        offered = key.get_fingerprint()
        if self._policy == "ignore":
            return True
        if self._policy.startswith(_FINGERPRINT):
            return self._refuse_unless(offered == self._policy, f"it shows the key {offered}, the lab pins {self._policy}")
        if _is_key(self._policy):
            pinned = asyncssh.import_public_key(self._policy).get_fingerprint()
            return self._refuse_unless(False, f"it shows the key {offered}, the lab pins {pinned}")
        if not self._known and self._policy == "strict":
            return self._refuse_unless(False, f"its host key {offered} is not in a known_hosts file, and 'host_key' is 'strict'")
        # Another process may note the same key at the same moment.
        known = self._known or _remembered(self._name, key)
        first = known[0]
        changed = f"its host key has changed: it shows {offered}, known is {first.fingerprint} ({first.place})"
        return self._refuse_unless(offered in [one.fingerprint for one in known], changed)

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Judge a key that signed a certificate and is no known authority."""
        return self._policy == "ignore"

    def refusal(self, reason: str) -> str:
        """Return why the key was refused, in the words of a sentence."""
        if not self.problem and "revoked" in reason:
            return f"its host key is revoked ({', '.join(known.place for known in self._revoked)})"
        return self.problem or reason

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Acknowledge what comes at once, so that a server with Nagle's algorithm on does not wait."""
        own = conn.get_extra_info("socket")
        if not self.direct or own is None:
            return
        received = conn.data_received

        def data_received(data: bytes, datatype: int | None = None) -> None:
            tcp.acknowledge(own, data)
            received(data, datatype)

        conn.data_received = data_received  # type: ignore[method-assign]

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why the connection ended."""
        self.lost = str(exc) if exc and str(exc) else "the connection was closed"

    def _refuse_unless(self, ok: bool, problem: str) -> bool:
        self.problem = "" if ok else problem
        return ok


def any_shell(text: str) -> str:
    """Return a command line by which every login shell runs POSIX shell text in ``sh``: fish and csh too.

    What these read differently in single quotes goes as an octal number, which ``sh`` turns back.
    """
    coded = _SPECIAL.sub(lambda found: "".join(f"\\0{byte:03o}" for byte in found[0].encode("utf-8", "surrogateescape")), text)
    return f"sh -c 'eval \"$(printf %b \"$1\")\"' sh '{coded}'"


def known_hosts_file() -> Path:
    """Return the file that ``accept-new`` writes: ``OTTO_KNOWN_HOSTS``, or ``~/.otto/known_hosts``."""
    return Path(os.environ.get("OTTO_KNOWN_HOSTS") or "~/.otto/known_hosts").expanduser()


def _known(files: list[Path], names: list[str]) -> list[KnownKey]:
    return known_keys(files, names, asyncssh.import_public_key)


def _remembered(name: str, key: asyncssh.SSHKey) -> list[KnownKey]:
    """Note the key of a host unless there is one by now; return what is on file."""
    path = known_hosts_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8", errors="replace") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = [one for one in _known([path], [name.lower()]) if one.is_host_key]
        if known:
            return known
        file.write(f"{name} {key.export_public_key('openssh').decode().strip()}\n")
        return [KnownKey(key, "", str(path))]


def _config(facts: HostFacts) -> SSHClientConfig:
    path = Path(facts.ssh.config_file or "~/.ssh/config").expanduser()
    paths = [path] if facts.ssh.config_file or os.access(path, os.R_OK) else []
    arguments: Any = (getpass.getuser(), facts.user or (), facts.address, facts.port or ())
    config: SSHClientConfig = SSHClientConfig.load(None, paths, False, False, False, *arguments)  # type: ignore[assignment]
    return config


def _files(config: SSHClientConfig, option: str, usual: tuple[str, ...]) -> list[Path]:
    names: Any = config.get(option, list(usual))
    return [Path(name).expanduser() for name in names if name.lower() != "none"]


def _jump_facts(text: str, facts: HostFacts) -> HostFacts:
    """Return what is known of a jump host, ``[user@]address[:port]``; its keys are checked as those of the host behind it."""
    user, _, where = text.removeprefix("ssh://").rstrip("/").rpartition("@")
    found = re.fullmatch(r"\[?([^\[\]]+?)\]?(?::(\d{1,5}))?", where)
    if found is None:
        raise ValueError(f"'{text}' of ProxyJump is not a host")
    policy = facts.host_key if facts.host_key in {"accept-new", "strict", "ignore"} else "accept-new"
    return replace(
        facts,
        name=text,
        address=found[1],
        port=int(found[2]) if found[2] else None,
        user=user or None,
        password=None,
        identity_file=None,
        host_key=policy,
        ssh=replace(facts.ssh, forwards=()),
    )


def _is_key(policy: str) -> bool:
    return " " in policy.strip()


async def _connect(facts: HostFacts, hop: SshConnection | None, trust: _Trust) -> asyncssh.SSHClientConnection:
    options = _options(facts, hop is None)
    options["known_hosts"] = trust.known_hosts
    if hop is not None:
        options["tunnel"] = hop.carry()
    else:
        options["tunnel"] = None
    try:
        return await asyncssh.connect(facts.address, client_factory=lambda: trust, **options)
    except asyncssh.ConnectionLost:
        # A reset may have overtaken the server's reason, and sshd drops some of many that come together (MaxStartups).
        trust.lost = None
        return await asyncssh.connect(facts.address, client_factory=lambda: trust, **options)


def _options(facts: HostFacts, direct: bool) -> dict[str, Any]:
    """Set only what the lab sets, so that ssh_config decides the rest."""
    ssh = facts.ssh
    options: dict[str, Any] = {
        "known_hosts": None,
        "keepalive_interval": facts.keepalive,
        "keepalive_count_max": _KEEPALIVES,
        "encryption_algs": ssh.ciphers or _CIPHERS,
        "compression_algs": ["zlib@openssh.com", "none"] if ssh.compression else ["none"],
        "agent_forwarding": ssh.forward_agent,
    }
    given = {
        "port": facts.port,
        "username": facts.user,
        "config": [ssh.config_file] if ssh.config_file else None,
        "kex_algs": ssh.kex,
        "mac_algs": ssh.mac,
        "server_host_key_algs": ssh.host_key_algorithms,
        "client_keys": [facts.identity_file] if facts.identity_file else None,
        "passphrase": facts.passphrase.value if facts.passphrase else None,
        "password": facts.password.value if facts.password else None,
    }
    options |= {name: value for name, value in given.items() if value is not None}
    # A server hangs up after some keys: the one that the lab names must not come after those of an agent.
    if not (ssh.agent if ssh.agent is not None else not facts.identity_file):
        options["agent_path"] = None
    if facts.password and not facts.identity_file:
        options["preferred_auth"] = "password,keyboard-interactive,publickey"
    return options


def _translate(error: Exception, facts: HostFacts, path: tuple[str, ...], trust: _Trust, deadline: Deadline) -> ConnectError:
    name, where = facts.name, f"{facts.address}:{facts.port or 22}"
    match error:
        case TimeoutError():
            return ConnectError(name, path, f"no answer from {where} in {deadline.seconds:g} seconds")
        case asyncssh.PermissionDenied():
            tried = ["a password"] if facts.password else []
            tried += [f"the key {facts.identity_file}"] if facts.identity_file else []
            offered = " and ".join(tried) or "the agent and the default keys"
            return LoginError(name, path, f"user '{facts.user or 'of this machine'}' with {offered}")
        case asyncssh.HostKeyNotVerifiable():
            advice = "If the host was reinstalled, remove that line."
            return HostKeyError(name, path, trust.refusal(error.reason), advice if "changed" in trust.problem else "")
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError():
            return LoginError(
                name, path, f"the key {facts.identity_file} cannot be read ({error})", "Is 'passphrase' set and right?"
            )
        case OSError() if facts.identity_file and error.filename in {facts.identity_file, os.fsencode(facts.identity_file)}:
            cause = f"the key {facts.identity_file} cannot be read ({error.strerror})"
            return LoginError(name, path, cause, "A relative identity_file starts at the folder of the lab file.")
        case asyncssh.ChannelOpenError():
            return _hop_refused(error, facts, path, where)
        case asyncssh.KeyExchangeFailed():
            return ConnectError(name, path, f"no common algorithm ({error.reason})", _LEGACY_ADVICE)
        case asyncssh.Error():
            return ConnectError(name, path, f"{where} ended the handshake ({error.reason})")
        case socket.gaierror():
            return ConnectError(name, path, f"the address '{facts.address}' is unknown ({error.strerror})")
        case ConnectionRefusedError():
            return ConnectError(name, path, f"{where} refused the connection", "Is its SSH server running, and the port right?")
        case _:
            return ConnectError(name, path, f"{where}: {getattr(error, 'strerror', None) or error}")


def _hop_refused(error: asyncssh.ChannelOpenError, facts: HostFacts, path: tuple[str, ...], where: str) -> ConnectError:
    hop = path[-2] if len(path) > 1 else "?"
    if error.code == asyncssh.OPEN_CONNECT_FAILED:
        return ConnectError(facts.name, path, f"hop '{hop}' could not connect to {where} ({error.reason})")
    return HopError(facts.name, path, hop, f"opens no connection to {where}", error.reason)


def _forward(text: str) -> tuple[str, int, str, int]:
    words = text.rsplit(":", 3)
    if len(words) == 3:
        words = ["127.0.0.1", *words]
    try:
        bind, port, address, target = words
        return bind, int(port), address, int(target)
    except ValueError:
        raise UsageError(f"'{text}' is not a forward. Write it as '[bind_address:]port:address:port'.") from None


def _signal_number(name: str) -> int:
    import signal

    return getattr(signal, f"SIG{name}", signal.SIGHUP).value

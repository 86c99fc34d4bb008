"""SSH through AsyncSSH: connections through any number of hops, host keys, processes and byte streams.

Protocol: RFC 4251 to 4254. Known hosts: the file format of OpenSSH's sshd(8).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import re
import socket
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_public_key_algs

from OttoLibrary.contracts.connections import (
    Channel,
    Connection,
    Duplex,
    EndOfStream,
    ExitStatus,
    Listener,
    Process,
    Refused,
    T,
    Terminal,
)
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, HopError, HostKeyError, LoginError, UsageError
from OttoLibrary.text import listed, plural
from OttoLibrary.transport import tcp
from OttoLibrary.transport.channels import ProcessChannel
from OttoLibrary.transport.client_config import Asked, SshConfig, read_config
from OttoLibrary.transport.known_hosts import KnownKey, known_keys, named, revoked_keys
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
# How often a full server is asked again before there is a further connection to it, and when there are as many as may be.
_SESSION_PAUSES_S = (0.02, 0.05)
_LAST_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
_MOST_CONNECTIONS = 8
# What a login shell may not take as it is in single quotes.
_SPECIAL = re.compile(r"[^ -~]|['\\!]")
# AsyncSSH logs each connection; in Robot's DEBUG log that would bury the commands. This file is imported on the engine's loop: in
# the main thread a time-out of Robot could interrupt ``logging`` while it has the lock that every logger needs.
logging.getLogger("asyncssh").setLevel(logging.WARNING)
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_PROXY_SAID_BYTES = 2000
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
                    await asyncio.to_thread(trust.read_config)
                    jump = hop or await self._jump(facts, path, trust.jumps, opened, deadline)
                    client = await _connect(facts, jump, trust)
                    connection = SshConnection(client, trust, partial(_further, facts, path, jump))
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

    def __init__(
        self,
        client: asyncssh.SSHClientConnection,
        trust: _Trust,
        further: Callable[[], Awaitable[asyncssh.SSHClientConnection]],
    ) -> None:
        self.client = client
        self._trust = trust
        self._open_further = further
        self._further: list[asyncssh.SSHClientConnection] = []
        self._growing = asyncio.Lock()
        self._opened = contextlib.AsyncExitStack()
        self._quick: asyncio.Task[None] | None = None

    @property
    def lost(self) -> str | None:
        """Why it is gone, or None."""
        return self._trust.lost

    @property
    def notes(self) -> list[str]:
        """What was passed over of ssh_config."""
        return self._trust.config.notes

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
            return await self.with_room(partial(_open_session, words, terminal is not None, options))
        except asyncssh.ChannelOpenError as error:
            if self.lost:
                raise EndOfStream(self.lost) from error
            what = "no terminal" if error.code == asyncssh.OPEN_REQUEST_PTY_FAILED else "no process"
            raise Refused(f"gives {what} ({error.reason})") from error
        except (OSError, asyncssh.Error) as error:
            raise EndOfStream(self.lost or str(error)) from error

    async def with_room(self, use: Callable[[asyncssh.SSHClientConnection], Awaitable[T]]) -> T:
        """Open a session with ``use`` where there is room: on this connection, or on a further one to the same server."""
        # A server at its MaxSessions counts those that we closed until their processes are gone.
        found = await self._first_with_room(use, _SESSION_PAUSES_S)
        if found is not None:
            return found[0]
        async with self._growing:
            found = await self._first_with_room(use, ()) or await self._on_further(use)
        if found is None:
            found = await self._first_with_room(use, _LAST_PAUSES_S)
        if found is None:
            count = 1 + len(self._further)
            raise Refused(f"opens no further session on {plural(count, 'connection')}; its MaxSessions may be reached")
        return found[0]

    async def _first_with_room(
        self, use: Callable[[asyncssh.SSHClientConnection], Awaitable[T]], pauses_s: tuple[float, ...]
    ) -> tuple[T] | None:
        for pause_s in (0.0, *pauses_s):
            if pause_s:
                await asyncio.sleep(pause_s)
            self._further = [client for client in self._further if not client.is_closed()]
            for client in (self.client, *self._further):
                try:
                    return (await use(client),)
                except asyncssh.ChannelOpenError as error:
                    if self.lost or not _is_full(error):
                        raise
        return None

    async def _on_further(self, use: Callable[[asyncssh.SSHClientConnection], Awaitable[T]]) -> tuple[T] | None:
        """Open a further connection and use it; return None where that cannot be, or has no room for its first session."""
        if 1 + len(self._further) >= _MOST_CONNECTIONS:
            return None
        try:
            client = await self._open_further()
        except (OSError, asyncssh.Error, ValueError, TimeoutError):
            return None
        try:
            result = await use(client)
        except asyncssh.ChannelOpenError as error:
            client.abort()
            if not _is_full(error):
                raise
            return None
        except BaseException:
            client.abort()
            raise
        self._further.append(client)
        return (result,)

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
        for further in self._further:
            further.close()
        self.client.close()
        try:
            async with asyncio.timeout(1):
                await self.client.wait_closed()
                for further in self._further:
                    await further.wait_closed()
        except (TimeoutError, OSError, asyncssh.Error):
            for client in (self.client, *self._further):
                client.abort()

    def describe(self) -> str:
        """Return ``ssh user@address:port``."""
        host, port = self.client.get_extra_info("host"), self.client.get_extra_info("port")
        return f"ssh {self.client.get_extra_info('username')}@{host}:{port}"

    async def _open_quick_session(self) -> None:
        with contextlib.suppress(EndOfStream):
            process = await self.execute("true")
            await process.wait()
            await process.close()


async def _open_session(words: Any, on_terminal: bool, options: dict[str, Any], client: asyncssh.SSHClientConnection) -> _Session:
    session = _Session(on_terminal)
    opening = asyncio.ensure_future(client.create_session(partial(_itself, session), words, **options))
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A session that is given up half-way would stay open on the server.
        opening.add_done_callback(session.close_late)
        raise
    return session


def _is_full(error: asyncssh.ChannelOpenError) -> bool:
    """Return True when a server has no room for a session, and did not merely refuse what the session is for."""
    return error.code in {
        asyncssh.OPEN_CONNECT_FAILED,
        asyncssh.OPEN_RESOURCE_SHORTAGE,
        asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
    }


async def _further(facts: HostFacts, path: tuple[str, ...], jump: SshConnection | None) -> asyncssh.SSHClientConnection:
    """Open one more connection as the first one was opened."""
    trust = _Trust(facts, path)
    await asyncio.to_thread(trust.read_config)
    async with asyncio.timeout(facts.connect_timeout):
        return await _connect(facts, jump, trust)


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
        self.config = SshConfig()
        self.proxy_errors: Path | None = None
        self.proxy_said = ""
        self._facts, self._path = facts, path
        self._policy = facts.host_key
        self.direct = len(path) == 1
        # Behind different hops live different hosts with one address, so the way to a host is part of its name.
        name = facts.address if facts.port in {None, 22} else f"[{facts.address}]:{facts.port}"
        self._name = name if self.direct else f"{name}/via/{'/'.join(path[:-1])}"
        self._files: list[Path] = []
        self._known: list[KnownKey] = []
        self._revoked: list[KnownKey] = []
        self._listed: list[KnownKey] = []

    def read_config(self) -> None:
        """Learn from ssh_config how to connect, which files of known keys count, and which hosts are on the way."""
        self.config = config = _config(self._facts)
        self._files = [*_files(config, "userknownhostsfile", _USER_FILES), *_files(config, "globalknownhostsfile", _GLOBAL_FILES)]
        try:
            self._listed = revoked_keys(_files(config, "revokedhostkeys", ()), asyncssh.import_public_key)
        except ValueError as error:
            raise HostKeyError(self._facts.name, self._path, f"{error}, so it is unknown whether its key is revoked") from error
        jumps = config.text("proxyjump")
        self.jumps = [text.strip() for text in jumps.split(",")] if jumps and self.direct else []

    def supported(self, option: str, known: Sequence[bytes]) -> str | None:
        """Return the algorithms of ssh_config without those that only OpenSSH has, or None to use the usual ones."""
        value = self.config.text(option)
        if value is None:
            return None
        sign = value[0] if value[0] in "+-^" else ""
        names = listed(value.removeprefix(sign))
        ours = [name for name in names if set(name) & set("*?") or name.encode() in known]
        if len(ours) < len(names):
            others = ", ".join(name for name in names if name not in ours)
            self.config.notes.append(f"ssh_config: passed over of {option}, since only OpenSSH has it: {others}.")
        return f"{sign}{','.join(ours)}" if ours else None

    def note_proxy_errors(self) -> None:
        """Keep what a ProxyCommand said, before its file goes."""
        if self.proxy_errors is not None:
            said = self.proxy_errors.read_bytes()[-_PROXY_SAID_BYTES:].decode("utf-8", "backslashreplace").strip()
            lines = dict.fromkeys(line.strip() for line in said.splitlines()[-3:])
            self.proxy_said = f"'{'; '.join(lines)}'" if lines else "nothing"

    def known_hosts(self, host: str, addr: str, port: int | None) -> Any:
        """Return the keys on file for this host, in AsyncSSH's seven lists."""
        own = _known([known_hosts_file()], [self._name.lower()])
        with_port, without = (_known(self._files, named(host, addr, number)) for number in (port, None))
        users = with_port if any(not known.is_revoked for known in with_port) else without
        self._revoked = [known for known in dict.fromkeys([*own, *with_port, *without]) if known.is_revoked]
        self._revoked += self._listed
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
            listed = [known.place.rpartition(":")[0] for known in self._listed]
            places = dict.fromkeys([*(known.place for known in self._revoked if known not in self._listed), *listed])
            return f"its host key is revoked ({', '.join(places)})"
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


def _config(facts: HostFacts) -> SshConfig:
    """Return what the client configuration says about a host; without one of the lab, that of the user if there is one."""
    path = Path(facts.ssh.config_file or "~/.ssh/config").expanduser()
    asked = Asked(facts.address, facts.user, facts.port)
    try:
        return read_config(path, asked)
    except OSError as error:
        if not facts.ssh.config_file and error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return SshConfig()
        note = f"{path} cannot be read ({error.strerror}); it is passed over."
        if facts.ssh.config_file:
            raise UsageError(
                f"Host '{facts.name}' has the 'config_file' {path}, which cannot be read ({error.strerror})."
            ) from error
        return SshConfig(notes=[note])


def _files(config: SshConfig, option: str, usual: tuple[str, ...]) -> list[Path]:
    names = config.words(option)
    return [Path(name).expanduser() for name in (usual if names is None else names)]


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
    with contextlib.ExitStack() as ending:
        options = _options(facts, trust)
        options["known_hosts"] = trust.known_hosts
        options["tunnel"] = hop.carry() if hop is not None else None
        if hop is None and (command := trust.config.text("proxycommand")):
            said = ending.enter_context(tempfile.NamedTemporaryFile(prefix="otto-proxy-"))
            options["proxy_command"] = _proxy(command, said.name)
            trust.proxy_errors = Path(said.name)
        address = trust.config.text("hostname") or facts.address
        try:
            try:
                return await asyncssh.connect(address, client_factory=lambda: trust, **options)
            except asyncssh.ConnectionLost:
                # A reset may have overtaken the server's reason, and sshd drops some of many that come together (MaxStartups).
                trust.lost = None
                return await asyncssh.connect(address, client_factory=lambda: trust, **options)
        except BaseException:
            trust.note_proxy_errors()
            raise


def _proxy(command: str, errors: str) -> list[str]:
    """Return the program that a ProxyCommand is: run by the user's shell as ``ssh`` does, with its errors in a file."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    # AsyncSSH takes the end of standard error for that of the connection: its pipe stays open.
    return ["/bin/sh", "-c", 'exec 3>&2 2>>"$1"; exec "$2" -c "$3"', "sh", errors, shell, f"exec {command}"]


def _options(facts: HostFacts, trust: _Trust) -> dict[str, Any]:
    """Return how to connect: what the lab says, then what the client configuration says, then what we prefer."""
    ssh, config = facts.ssh, trust.config
    port = config.text("port")
    options: dict[str, Any] = {
        "config": None,
        "keepalive_interval": facts.keepalive,
        "keepalive_count_max": _KEEPALIVES,
        "encryption_algs": ssh.ciphers or trust.supported("ciphers", get_encryption_algs()) or _CIPHERS,
        "compression_algs": ["zlib@openssh.com", "none"] if ssh.compression or config.flag("compression") else ["none"],
        "agent_forwarding": ssh.forward_agent or _forwards_agent(config),
        "family": _FAMILIES.get((config.text("addressfamily") or "any").lower(), socket.AF_UNSPEC),
        "tcp_keepalive": config.flag("tcpkeepalive") is not False,
    }
    address = config.text("bindaddress")
    given = {
        "port": facts.port or (int(port) if port else None),
        "username": facts.user or config.text("user"),
        "kex_algs": ssh.kex or trust.supported("kexalgorithms", get_kex_algs()),
        "mac_algs": ssh.mac or trust.supported("macs", get_mac_algs()),
        "server_host_key_algs": ssh.host_key_algorithms or trust.supported("hostkeyalgorithms", get_public_key_algs()),
        "host_key_alias": config.text("hostkeyalias"),
        "local_addr": (address, 0) if address else None,
        "password": facts.password.value if facts.password else None,
        "password_auth": config.flag("passwordauthentication"),
        "kbdint_auth": config.flag("kbdinteractiveauthentication"),
        "public_key_auth": config.flag("pubkeyauthentication"),
        "preferred_auth": config.text("preferredauthentications"),
        "send_env": config.words("sendenv"),
        "env": config.words("setenv"),
        **_keys(facts, trust),
    }
    options |= {name: value for name, value in given.items() if value is not None}
    # A server hangs up after some keys: the one that the lab names must not come after those of an agent.
    if not (ssh.agent if ssh.agent is not None else not facts.identity_file):
        options["agent_path"] = None
    if facts.password and not facts.identity_file:
        options["preferred_auth"] = "password,keyboard-interactive,publickey"
    return options


def _keys(facts: HostFacts, trust: _Trust) -> dict[str, Any]:
    """Return the keys to offer: the lab's, or those of the client configuration that can be read."""
    passphrase = facts.passphrase.value if facts.passphrase else None
    if facts.identity_file:
        return {"client_keys": [facts.identity_file], "passphrase": passphrase}
    config = trust.config
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
    pairs = [pair for name in readable for pair in _pairs(name, passphrase, found.get("client_certs", ()), trust)]
    if pairs:
        found["client_keys"] = pairs
    if config.flag("identitiesonly") and files:
        found["agent_identities"] = [name for name in readable if _is_public(name)] or None
        if found["agent_identities"] is None:
            found["agent_path"] = ""
    return found


def _pairs(name: str, passphrase: str | None, certificates: Any, trust: _Trust) -> list[Any]:
    try:
        return list(asyncssh.load_keypairs([name], passphrase, certificates, ignore_encrypted=True))
    except (OSError, ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        if not _is_public(name):
            trust.config.notes.append(f"The key {name} of ssh_config cannot be read ({error}); it is passed over.")
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


def _translate(error: Exception, facts: HostFacts, path: tuple[str, ...], trust: _Trust, deadline: Deadline) -> ConnectError:
    name, where = facts.name, f"{facts.address}:{facts.port or 22}"
    match error:
        case TimeoutError() | asyncssh.ConnectionLost() | ConnectionError() if trust.proxy_said:
            return ConnectError(name, path, f"the ProxyCommand of its ssh_config made no connection and said {trust.proxy_said}")
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

"""SSH through AsyncSSH: connections through any number of hops.

Protocol: RFC 4251 to 4254. Host keys are judged in ``host_trust``, sessions are in ``ssh_session``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from OttoLibrary.contracts.connections import (
    Channel,
    Connection,
    Duplex,
    EndOfStream,
    Listener,
    Process,
    Refused,
    T,
    Terminal,
)
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, HopError, HostKeyError, LoginError, UsageError, reason_here
from OttoLibrary.text import plural
from OttoLibrary.transport.gathered_writes import GatheringTunnel
from OttoLibrary.transport.host_trust import HostTrust
from OttoLibrary.transport.ssh_options import connect_options
from OttoLibrary.transport.ssh_session import Accepted, SshListener, SshSession, open_session

_LOOPBACK = "127.0.0.1"
_MOST_JUMPS = 8
# How often a full server is asked again before there is a further connection to it, and when there are as many as may be.
_SESSION_PAUSES_S = (0.02, 0.05)
_LAST_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
_MOST_CONNECTIONS = 8
# What a login shell may not take as it is in single quotes.
_SPECIAL = re.compile(r"[^ -~]|['\\!]")
# AsyncSSH logs each connection; in Robot's DEBUG log that would bury the commands. This file is imported on the engine's loop: in
# the main thread a time-out of Robot could interrupt ``logging`` while it has the lock that every logger needs.
logging.getLogger("asyncssh").setLevel(logging.WARNING)
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
        trust = HostTrust(facts, path)
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


class SshConnection:
    """One authenticated connection."""

    line_limit = 0
    logs_in = True

    def __init__(
        self,
        client: asyncssh.SSHClientConnection,
        trust: HostTrust,
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
            return await self.with_room(partial(open_session, words, terminal is not None, options))
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
            session = SshSession(has_terminal=False)
            await self.client.create_connection(lambda: session, address, port)
        except asyncssh.Error as error:
            raise OSError(f"{address}:{port}: {error.reason}") from error
        return session.stream

    async def listen(self, port: int, accept: Callable[[Duplex], None]) -> Listener:
        """Listen on the loopback of the host."""

        def connected(_address: str, _port: int) -> Accepted:
            return Accepted(accept)

        try:
            listener = await self.client.create_server(connected, _LOOPBACK, port, encoding=None)
        except (asyncssh.Error, asyncssh.ChannelListenError) as error:
            raise OSError(f"the server does not listen there for others ({error})") from error
        return SshListener(listener)

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


def _is_full(error: asyncssh.ChannelOpenError) -> bool:
    """Return True when a server has no room for a session, and did not merely refuse what the session is for."""
    return error.code in {
        asyncssh.OPEN_CONNECT_FAILED,
        asyncssh.OPEN_RESOURCE_SHORTAGE,
        asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
    }


async def _further(facts: HostFacts, path: tuple[str, ...], jump: SshConnection | None) -> asyncssh.SSHClientConnection:
    """Open one more connection as the first one was opened."""
    trust = HostTrust(facts, path)
    await asyncio.to_thread(trust.read_config)
    async with asyncio.timeout(facts.connect_timeout):
        return await _connect(facts, jump, trust)


def any_shell(text: str) -> str:
    """Return a command line by which every login shell runs POSIX shell text in ``sh``: fish and csh too.

    What these read differently in single quotes goes as an octal number, which ``sh`` turns back.
    """
    coded = _SPECIAL.sub(lambda found: "".join(f"\\0{byte:03o}" for byte in found[0].encode("utf-8", "surrogateescape")), text)
    return f"sh -c 'eval \"$(printf %b \"$1\")\"' sh '{coded}'"


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


async def _connect(facts: HostFacts, hop: SshConnection | None, trust: HostTrust) -> asyncssh.SSHClientConnection:
    with contextlib.ExitStack() as ending:
        options = connect_options(facts, trust.config)
        options["known_hosts"] = trust.known_hosts
        proxy_errors: Path | None = None
        if hop is None and (command := trust.config.text("proxycommand")):
            said = ending.enter_context(tempfile.NamedTemporaryFile(prefix="otto-proxy-"))
            options["proxy_command"] = _proxy(command, said.name)
            proxy_errors = Path(said.name)
        else:
            client = hop.carry() if hop is not None else None
            options["tunnel"] = GatheringTunnel(client, options["family"], options.get("local_addr"))
        address = trust.config.text("hostname") or facts.address
        try:
            try:
                return await asyncssh.connect(address, client_factory=lambda: trust, **options)
            except asyncssh.ConnectionLost:
                # A reset may have overtaken the server's reason, and sshd drops some of many that come together (MaxStartups).
                trust.lost = None
                return await asyncssh.connect(address, client_factory=lambda: trust, **options)
        except BaseException:
            if proxy_errors is not None:
                trust.proxy_said = _said(proxy_errors)
            raise


def _said(proxy_errors: Path) -> str:
    """Return what a ProxyCommand said, before its file goes."""
    said = proxy_errors.read_bytes()[-_PROXY_SAID_BYTES:].decode("utf-8", "backslashreplace").strip()
    lines = dict.fromkeys(line.strip() for line in said.splitlines()[-3:])
    return f"'{'; '.join(lines)}'" if lines else "nothing"


def _proxy(command: str, errors: str) -> list[str]:
    """Return the program that a ProxyCommand is: run by the user's shell as ``ssh`` does, with its errors in a file."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    # AsyncSSH takes the end of standard error for that of the connection: its pipe stays open.
    return ["/bin/sh", "-c", 'exec 3>&2 2>>"$1"; exec "$2" -c "$3"', "sh", errors, shell, f"exec {command}"]


def _translate(error: Exception, facts: HostFacts, path: tuple[str, ...], trust: HostTrust, deadline: Deadline) -> ConnectError:
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
            return LoginError(name, path, f"user '{facts.user or 'of this machine'}' with {offered}{_shown_by(trust)}")
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
        case OSError() if reason := reason_here(error):
            return ConnectError(name, path, f"{where}: {reason}")
        case asyncssh.ChannelOpenError():
            return _hop_refused(error, facts, path, where)
        case asyncssh.KeyExchangeFailed():
            return ConnectError(name, path, f"no common algorithm ({error.reason})", _LEGACY_ADVICE)
        case asyncssh.Error():
            return ConnectError(name, path, f"{where} ended the handshake ({error.reason}){_shown_by(trust)}")
        case socket.gaierror():
            return ConnectError(name, path, f"the address '{facts.address}' is unknown ({error.strerror})")
        case ConnectionRefusedError():
            return ConnectError(name, path, f"{where} refused the connection", "Is its SSH server running, and the port right?")
        case _:
            return ConnectError(name, path, f"{where}: {getattr(error, 'strerror', None) or error}")


def _shown_by(trust: HostTrust) -> str:
    return f"; it says '{trust.banner}'" if trust.banner else ""


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

"""SSH servers with one fault each."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Literal

import asyncssh

from tests.peers.background import Background

USER, PASSWORD = "tester", "right password"
Fault = Literal["silent", "banner", "password", "legacy", "drop", "host_key", "session", "none"]


class FaultySsh:
    """A server on a loopback port with one fault.

    Faults:
        silent: It accepts TCP connections and says nothing.
        banner: It says its version and then nothing.
        password: It takes no password, the right one neither.
        legacy: It knows old algorithms only: ssh-rsa, diffie-hellman-group14-sha1, aes128-cbc, hmac-sha1.
        drop: It drops the connection as soon as somebody logged in.
        host_key: It has a new host key after each ``restart()``.
        session: It lets you in and gives no session.
        none: None: ``tester`` with the right password runs commands that ask for no input.
    """

    user, password, address = USER, PASSWORD, "127.0.0.1"

    def __init__(self, fault: Fault) -> None:
        self.fault, self.port = fault, 0
        self.connections = 0
        self._key = _new_key(fault)
        self._background = Background()
        self._writers: set[asyncio.StreamWriter] = set()
        self._accepted: set[asyncssh.SSHServerConnection] = set()
        self._server: asyncio.AbstractServer | asyncssh.SSHAcceptor | None = None
        try:
            self._background.run(self._start())
        except BaseException:
            self._background.close()
            raise

    @property
    def host_key(self) -> str:
        """The line of its host key, as a lab file takes it."""
        return self._key.export_public_key().decode().strip()

    @property
    def fingerprint(self) -> str:
        return str(self._key.get_fingerprint())

    def restart(self) -> None:
        """End all connections and come back at the same port."""
        self._background.run(self._end())
        if self.fault == "host_key":
            self._key = _new_key(self.fault)
        self._background.run(self._start())

    def stop(self) -> None:
        if not self._background.loop.is_closed():
            self._background.run(self._end())
            self._background.close()

    def __enter__(self) -> FaultySsh:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def _start(self) -> None:
        if self.fault in ("silent", "banner"):
            server = await asyncio.start_server(self._say_nothing, self.address, self.port)
            self.port, self._server = int(server.sockets[0].getsockname()[1]), server
        else:
            acceptor = await asyncssh.listen(self.address, self.port, options=self._options())
            self.port, self._server = acceptor.get_port(), acceptor

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for connection in list(self._accepted):
            connection.abort()
        await asyncio.sleep(0)

    async def _say_nothing(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        if self.fault == "banner":
            writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        self._writers.discard(writer)
        writer.close()

    def _options(self) -> asyncssh.SSHServerConnectionOptions:
        old: dict[str, Any] = {
            "kex_algs": ["diffie-hellman-group14-sha1"],
            "encryption_algs": ["aes128-cbc"],
            "mac_algs": ["hmac-sha1"],
        }
        denies = self.fault == "session"
        options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: _Server(self),
            server_host_keys=[self._key],
            process_factory=None if denies else _run,
            encoding=None,
            **(old if self.fault == "legacy" else {}),
        )
        if self.fault == "legacy":
            options.server_host_keys = {b"ssh-rsa": options.server_host_keys[b"ssh-rsa"]}
        return options


class _Server(asyncssh.SSHServer):
    def __init__(self, peer: FaultySsh) -> None:
        self._peer = peer

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._peer.connections += 1
        self._peer._accepted.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer._accepted.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        if self._peer.fault == "drop":
            self._connection.abort()

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._peer.fault != "password" and (username, password) == (USER, PASSWORD)


async def _run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    done = await asyncio.create_subprocess_exec(
        "sh", "-c", process.command or "", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await done.communicate()
    process.stdout.write(said)
    process.exit(done.returncode or 0)


def _new_key(fault: Fault) -> asyncssh.SSHKey:
    return (
        asyncssh.generate_private_key("ssh-rsa", key_size=2048)
        if fault == "legacy"
        else asyncssh.generate_private_key("ssh-ed25519")
    )

"""FTP through aioftp (RFC 959, 2428), and FTP over TLS (RFC 4217).

Each file has its own session. All connections take the host's usual path, through its hops; of the addresses that a server
gives, only the port counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator

import aioftp
from aioftp.common import SSLSessionBoundContext

from OttoLibrary.contracts.connections import Channel, EndOfStream
from OttoLibrary.contracts.transfers import Job, Site
from OttoLibrary.errors import UsageError
from OttoLibrary.text import decode

_BLOCK = 1 << 20
_BUFFER = 1 << 20
_FINAL_REPLY_S = 3.0
_MOST_LINES = 1000
_ANSWER_S = 5.0
# Commands carry bytes, so that names need no encoding.
_BYTES = "latin-1"


class Ftp:
    """The transfer ``ftp``."""

    checksum = "sha256"
    resumes = False

    async def put(self, site: Site, job: Job) -> None:
        """Store the file."""
        path = _path(job.remote)
        async with _session(site) as client:
            async with client.transfer(f"STOR {path}") as (_, writer):
                with job.local.open("rb") as source:
                    while data := source.read(_BLOCK):
                        writer.write(data)
                        await writer.drain()
                        job.moved(len(data))
            arrived = await client.size(path)
        if arrived not in {job.size, None}:
            raise OSError(f"{arrived} of {job.size} bytes arrived")

    async def get(self, site: Site, job: Job) -> None:
        """Retrieve the file."""
        left = job.size
        async with _session(site) as client, client.transfer(f"RETR {_path(job.remote)}") as (reader, _):
            with job.local.open("r+b", buffering=0) as target:
                while left and (data := await reader.read(min(_BLOCK, left))):
                    target.write(data)
                    left -= len(data)
                    job.moved(len(data))
            if await reader.read(1):
                client.has_more = True
        if left:
            raise OSError(f"{job.size - left} of {job.size} bytes came")


@contextlib.asynccontextmanager
async def _session(site: Site) -> AsyncIterator[_Client]:
    """Give a session, logged in."""
    client = _Client(site)
    try:
        await client.log_in()
        yield client
    except aioftp.StatusCodeError as error:
        raise OSError(_reply(error)) from error
    except (ValueError, IndexError, OverflowError, AttributeError, TypeError) as error:
        raise OSError(f"its FTP server sent a reply that cannot be understood ({error})") from error
    except ConnectionError as error:
        raise EndOfStream(client.lost or f"its FTP server ended the session ({error})") from error
    finally:
        await client.leave()


class _Client(aioftp.Client):
    """aioftp's client with connections of ours.

    Attributes:
        has_more: True when the server sends more than is wanted, and is cut off.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(encoding=_BYTES)
        self._site, self._options = site, site.facts.ftp
        self._address = site.facts.address or "127.0.0.1"
        self._relays: list[_Relay] = []
        self.has_more = False
        self._lines = 0
        self._context = _context(self._options.certificate) if self._options.tls != "no" else None

    async def parse_response(self) -> tuple[aioftp.Code, list[str]]:
        """Read a reply; called by aioftp."""
        self._lines = 0
        return await super().parse_response()

    async def parse_line(self) -> tuple[aioftp.Code, str]:
        """Read a line of a reply, of which there may be only so many; called by aioftp."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise ValueError(f"it has more than {_MOST_LINES} lines")
        return await super().parse_line()

    @property
    def lost(self) -> str | None:
        """Why a connection broke, or None."""
        return next((relay.lost for relay in self._relays if relay.lost), None)

    async def log_in(self) -> None:
        """Connect and log in; raise UsageError when the login is refused."""
        facts, options = self._site.facts, self._options
        if options.mode == "active" and facts.hop:
            raise UsageError('its FTP server cannot connect back through a hop; set "mode": "passive" in its \'ftp\' object')
        user, password = options.user or facts.user, options.password or facts.password
        if not user:
            raise UsageError("no user is known for its FTP server; set 'user' in its 'ftp' object")
        try:
            async with asyncio.timeout(facts.connect_timeout):
                await self._connect()
                await self.login(_wire(user), _wire(password.value if password else ""))
        except TimeoutError as error:
            raise OSError(f"its FTP server did not complete the login in {facts.connect_timeout:g} seconds") from error
        except ssl.SSLError as error:
            raise _untrusted(error) from error
        except aioftp.StatusCodeError as error:
            advice = "set 'user' and 'password' in its 'ftp' object"
            raise UsageError(f"its FTP server refuses the login of '{user}' ({_reply(error)}); {advice}") from error

    @contextlib.asynccontextmanager
    async def transfer(self, command: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Give the data connection of a command, and read the server's final reply afterwards."""
        await self.command("TYPE I", "200")
        sock = await (self._active(command) if self._options.mode == "active" else self._passive(command))
        reader, writer = await self._streams(sock)
        try:
            yield reader, writer
        except (ConnectionError, ssl.SSLError) as error:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FINAL_REPLY_S):
                    await self.command(None, "2xx", "1xx")
            raise EndOfStream(self.lost or "the data connection broke") from error
        finally:
            writer.close()
        # A server that is cut off because it has more than was announced complains, and may.
        await self.command(None, ("2xx", "4xx") if self.has_more else "2xx", "1xx")

    async def size(self, path: str) -> int | None:
        """Return the size of a file, or None when the server does not say."""
        code, lines = await self.command(f"SIZE {path}", ("213", "5xx"))
        return int(lines[-1]) if code.matches("213") else None

    async def leave(self) -> None:
        """End the session."""
        self.close()
        for relay in self._relays:
            await relay.close()

    async def _connect(self) -> None:
        """Connect, with TLS when it is asked for."""
        port = self._options.port or (990 if self._options.tls == "implicit" else 21)
        self.ssl = self._context if self._options.tls == "implicit" else None
        try:
            await self.connect(self._address, port)
        except ssl.SSLError:
            raise
        except aioftp.StatusCodeError as error:
            raise OSError(f"its FTP server rejects connections ({_reply(error)})") from error
        except OSError as error:
            raise UsageError(f"it has no FTP server at port {port} ({str(error) or 'it hangs up'})") from error
        try:
            if self._options.tls == "explicit":
                await self.upgrade_to_tls(self._context)
                self._check_certificate(self.stream.writer)
            elif self._options.tls == "implicit":
                await self.command("PBSZ 0", "200")
                await self.command("PROT P", "200")
        except aioftp.StatusCodeError as error:
            raise UsageError(f"its FTP server offers no TLS ({_reply(error)})") from error

    async def _passive(self, command: str) -> socket.socket:
        """Connect to the port that the server names, then send the command."""
        try:
            _, port = self.parse_epsv_response((await self.command("EPSV", "229"))[1][-1])
        except aioftp.StatusCodeError:
            _, port = self.parse_pasv_response((await self.command("PASV", "227"))[1][-1])
        relay = await self._relay(port)
        try:
            await self.command(command, "1xx")
        except BaseException:
            relay.here.close()
            raise
        return relay.here

    async def _active(self, command: str) -> socket.socket:
        """Send our address and the command, and accept the server's connection."""
        loop = asyncio.get_running_loop()
        family, *_, place = (await loop.getaddrinfo(self._address, 1, type=socket.SOCK_DGRAM))[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Nothing is sent: it shows which of our addresses is used to reach the server.
            probe.connect(place)
            here, there = probe.getsockname()[0], probe.getpeername()[0]
        with socket.create_server((here, 0), family=family) as listener:
            listener.setblocking(False)
            await self.command(_invitation(here, listener.getsockname()[1]), "200")
            await self.command(command, "1xx")
            try:
                async with asyncio.timeout(_ANSWER_S):
                    while True:
                        sock, (address, *_) = await loop.sock_accept(listener)
                        if address == there:
                            return sock
                        sock.close()
            except TimeoutError as error:
                raise OSError("its FTP server did not connect back; does a firewall block it?") from error

    async def _relay(self, port: int) -> _Relay:
        """Connect as the host's other connections do."""
        relay = _Relay(await self._site.dial(port))
        self._relays.append(relay)
        return relay

    async def _open_connection(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Make the control connection; called by aioftp."""
        return await self._streams((await self._relay(port)).here)

    async def _streams(self, sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        control = self._stream
        context = self._context if control or self.ssl else None
        if context is None:
            return await asyncio.open_connection(sock=sock, limit=_BUFFER)
        before = control.writer.get_extra_info("ssl_object") if control else None
        if before is not None and before.session is not None:
            # Servers accept a data connection only when it continues the TLS session of the control connection.
            context = SSLSessionBoundContext(ssl.PROTOCOL_TLS_CLIENT, before.context, before.session)
        reader, writer = await asyncio.open_connection(sock=sock, limit=_BUFFER, ssl=context, server_hostname=self._address)
        self._check_certificate(writer)
        return reader, writer

    def _check_certificate(self, writer: asyncio.StreamWriter) -> None:
        """Refuse a certificate that is not the pinned one."""
        policy = self._options.certificate
        if not policy.startswith("SHA256:"):
            return
        shown = hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest()
        if shown != policy.removeprefix("SHA256:").replace(":", "").lower():
            writer.close()
            raise UsageError(f"its FTP server shows the certificate SHA256:{shown}, the lab pins {policy}")


class _Relay:
    """A channel as a socket, which TLS needs; ends with either of them.

    Attributes:
        here: Our end of it.
        lost: Why the channel broke, or None.
    """

    def __init__(self, channel: Channel) -> None:
        self.here, self._there = socket.socketpair()
        self.lost: str | None = None
        self._channel = channel
        for end in (self.here, self._there):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._tasks = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]

    async def close(self) -> None:
        """Close both."""
        for task in self._tasks:
            task.cancel()
        # A socket must not be closed while a task waits on it.
        await asyncio.wait(self._tasks)
        self._there.close()

    async def _up(self) -> None:
        try:
            while data := await asyncio.get_running_loop().sock_recv(self._there, _BLOCK):
                await self._channel.write(data)
        except EndOfStream as end:
            self.lost = end.lost or "the connection was closed"
            self._there.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # our end is closed
        finally:
            await self._channel.close()

    async def _down(self) -> None:
        with contextlib.suppress(OSError):
            try:
                while True:
                    await asyncio.get_running_loop().sock_sendall(self._there, await self._channel.read(_BLOCK))
            except EndOfStream as end:
                self.lost = self.lost or end.lost
                self._there.shutdown(socket.SHUT_WR)


def _context(policy: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if policy != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _untrusted(error: ssl.SSLError) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "set 'certificate' in its 'ftp' object to its SHA256: fingerprint"
        return UsageError(f"the certificate of its FTP server is not trusted ({error.verify_message}); {advice}")
    return UsageError(f"its FTP server does not agree on TLS ({error.reason or error})")


def _invitation(address: str, port: int) -> str:
    """Return the command that asks the server to connect to us."""
    if ":" in address:
        return f"EPRT |2|{address}|{port}|"
    return f"PORT {address.replace('.', ',')},{port >> 8},{port & 255}"


def _wire(text: str) -> str:
    return os.fsencode(text).decode(_BYTES)


def _path(path: str) -> str:
    if "\n" in path or "\r" in path:
        raise UsageError("FTP cannot transfer names that contain a newline")
    return _wire(path)


def _reply(error: aioftp.StatusCodeError) -> str:
    """Return the code and the text of the server."""
    words = " ".join(line.strip(" -") for line in error.info) if isinstance(error.info, list) else error.info
    return f"{error.received_codes[-1]} {decode(words.encode(_BYTES)).strip()}"

"""A lab host as a connection of SSHLibrary: a way through our verified hops, on a port that serves one connection."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from robot.libraries.BuiltIn import BuiltIn

from OttoLibrary.contracts.connections import Channel, EndOfStream
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostKeyError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.keywords.component import Component

_CHUNK = 1 << 16
_SSH_PORT = 22


def share(component: Component, name: str, timeout_s: float) -> None:
    """Open the host in SSHLibrary under its name."""
    library = _library()
    # It comes with SSHLibrary.
    from paramiko import BadHostKeyException

    session = component.session
    facts = session.lab.facts(name)
    if facts.transport != "ssh":
        raise UsageError(f"Host '{name}' cannot be shared with SSHLibrary: its transport is '{facts.transport}', not 'ssh'.")
    host = session.hosts.use(name)
    deadline = Deadline(timeout_s)
    connection: Any = session.engine.call(host.connection.open(deadline))
    address, port = facts.address, facts.port or _SSH_PORT
    if host.hop is not None:
        address, port = "127.0.0.1", session.engine.call(_way_through(host.hop, address, port, deadline))
    library.open_connection(address, alias=name, port=port, timeout=f"{timeout_s} s")
    _trust_only(connection.server_key, library.current.client, address, port)
    try:
        _log_in(library, facts, facts.user or connection.client.get_extra_info("username"))
    except BadHostKeyException as error:
        library.close_connection()
        raise HostKeyError(name, host.path, "SSHLibrary got a different host key than OttoLibrary") from error


def _library() -> Any:
    try:
        return BuiltIn().get_library_instance("SSHLibrary")
    except RuntimeError as error:
        raise UsageError(
            "SSHLibrary is not imported in this suite. Add 'Library    SSHLibrary' to its settings; "
            "install it with: pip install 'robotframework-ottolibrary[sshlibrary]'"
        ) from error


def _trust_only(server_key: str, client: Any, address: str, port: int) -> None:
    """Let a client of Paramiko send a password only to a server that proves the same key as it did to us."""
    from paramiko import PKey, RejectPolicy

    kind, data = server_key.split()[:2]
    name = address if port == _SSH_PORT else f"[{address}]:{port}"
    client.get_host_keys().add(name, kind, PKey.from_type_string(kind, base64.b64decode(data)))
    client.set_missing_host_key_policy(RejectPolicy())


def _log_in(library: Any, facts: HostFacts, user: str) -> None:
    if facts.identity_file:
        library.login_with_public_key(user, facts.identity_file, facts.passphrase.value if facts.passphrase else "")
    else:
        library.login(user, facts.password.value if facts.password else None)


async def _way_through(hop: Host, address: str, port: int, deadline: Deadline) -> int:
    """Return a port of this machine that leads to ``address`` from ``hop``, for one connection."""
    channel = await hop.connection.dial(address, port, deadline)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.close()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_upstream(reader, channel))
                group.create_task(_downstream(channel, writer))
        finally:
            writer.close()
            await channel.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


async def _upstream(reader: asyncio.StreamReader, channel: Channel) -> None:
    while data := await reader.read(_CHUNK):
        await channel.write(data)
    await channel.close()


async def _downstream(channel: Channel, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            writer.write(await channel.read(_CHUNK))
            await writer.drain()
    except (EndOfStream, OSError):
        writer.close()

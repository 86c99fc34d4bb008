"""A lab host as a connection of SSHLibrary: a way through our verified hops, on a port that serves one connection."""

from __future__ import annotations

import asyncio
from typing import Any

from robot.libraries.BuiltIn import BuiltIn

from OttoLibrary.contracts.connections import Channel, EndOfStream
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostKeyError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.keywords.component import Component

_CHUNK = 1 << 16
_PORT = 22
_ANOTHER_KEY = "SSHLibrary got a different host key than OttoLibrary"


def share(component: Component, name: str, timeout_s: float) -> None:
    """Open the host in SSHLibrary under its name."""
    library = _library()
    from paramiko import BadHostKeyException  # SSHLibrary's own

    session = component.session
    facts = session.lab.facts(name)
    if facts.transport != "ssh":
        raise UsageError(f"Host '{name}' cannot be shared with SSHLibrary: its transport is '{facts.transport}', not 'ssh'.")
    host = session.hosts.use(name)
    deadline = Deadline(timeout_s)
    connection: Any = session.engine.call(host.connection.open(deadline))
    address, port = facts.address, facts.port or 22
    if host.hop is not None:
        address, port = "127.0.0.1", session.engine.call(_way_through(host.hop, address, port, deadline))
    library.open_connection(address, alias=name, port=port, timeout=f"{timeout_s} s")
    _trust_only(library.current.client, address, port, connection.server_key)
    try:
        _log_in(library, facts, facts.user or connection.client.get_extra_info("username"))
    except BadHostKeyException as error:
        library.close_connection()
        raise HostKeyError(name, host.path, _ANOTHER_KEY) from error
    _check_key(library, name, host, connection.server_key)


def _log_in(library: Any, facts: HostFacts, user: str) -> None:
    if facts.identity_file:
        passphrase = facts.passphrase.value if facts.passphrase else None
        library.login_with_public_key(user, facts.identity_file, passphrase or "")
    else:
        library.login(user, facts.password.value if facts.password else None)


def _library() -> Any:
    try:
        return BuiltIn().get_library_instance("SSHLibrary")
    except RuntimeError as error:
        raise UsageError(
            "SSHLibrary is not imported in this suite. Add 'Library    SSHLibrary' to its settings; "
            "install it with: pip install 'robotframework-ottolibrary[sshlibrary]'"
        ) from error


def _trust_only(client: Any, address: str, port: int, ours: str) -> None:
    """Let a login end before it sends anything when the server shows another key than it proved to us."""
    from paramiko import RejectPolicy
    from paramiko.hostkeys import HostKeyEntry

    name = address if port == _PORT else f"[{address}]:{port}"
    entry = HostKeyEntry.from_line(f"{name} {ours}")
    client.set_missing_host_key_policy(RejectPolicy())
    client.get_host_keys().clear()
    if entry is not None and entry.key is not None:
        client.get_host_keys().add(name, entry.key.get_name(), entry.key)


def _check_key(library: Any, name: str, host: Host, ours: str) -> None:
    theirs = library.current.client.get_transport().get_remote_server_key()
    if [theirs.get_name(), theirs.get_base64()] != ours.split()[:2]:
        library.close_connection()
        raise HostKeyError(name, host.path, _ANOTHER_KEY)


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

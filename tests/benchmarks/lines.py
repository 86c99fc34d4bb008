"""Hosts that are a line: how fast Telnet logs in, and how much of a line a file's bytes get."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.host.host import Host
from OttoLibrary.text import Secret
from OttoLibrary.transfer.files import Files
from tests.benchmarks.measure import Row, timed
from tests.peers.consoles import SerialConsole, shell
from tests.peers.telnetd import KINDS, PASSWORD, USER, Telnetd, login_program

_ROUNDS = 9
_PTY_BYTES = 16 << 20
_SERIAL_BYTES = 60_000
# A byte on the wire is ten bits; Base64 makes four of three.
_BASE64_OF_115200 = 11_520 * 3 / 4
_TICK_S = 0.01


async def all_rows() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="otto-bench-") as folder:
        place = Path(folder)
        rows = [await _connecting(kind, place) for kind in KINDS]
        rows += await _over_telnet(place)
        rows += await _over_serial(place, "a pty", _PTY_BYTES, 65536, 0.0, _PTY_BYTES / (5 << 20))
        limit_s = _SERIAL_BYTES / (0.6 * _BASE64_OF_115200)
        rows += await _over_serial(place, "115200 baud", _SERIAL_BYTES, int(11_520 * _TICK_S), _TICK_S, limit_s)
        return rows


def _host(**facts: Any) -> Host:
    known = HostFacts("box", connect_timeout=30, timeout=60, **facts)
    return Host("box", ("box",), lambda: known, None, lambda record: None)


async def _connecting(kind: str, place: Path) -> Row:
    """Compare with a client that knows what comes and answers at once: what it needs is the server's own."""
    folder = place / kind
    folder.mkdir()
    with Telnetd(kind, login_program(folder, "sh -i")) as server:
        host = _host(transport="telnet", address=server.address, port=server.port, user=USER, password=Secret(PASSWORD))

        async def ours() -> None:
            await host.connection.open(Deadline(20))

        mine, theirs = [], []
        for _ in range(_ROUNDS):
            mine += await timed(ours, 1, host.close)()
            theirs.append(await asyncio.to_thread(_bare_login, server.address, server.port))
        await host.close()
    what = f"Telnet connect and login, {kind}"
    row = Row(what, statistics.median(mine) * 1000, "bare client that knows the answers", statistics.median(theirs) * 1000, 60)
    row.difference = True
    return row


def _bare_login(address: str, port: int) -> float:
    began = time.perf_counter()
    with socket.create_connection((address, port), timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        said = b""
        for prompt, answer in ((b"login: ", USER), (b"Password: ", PASSWORD), (rb"[#$] $", "")):
            while not re.search(prompt, said):
                # Servers wait with small pieces for the acknowledgement of the one before.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                data = client.recv(4096)
                # Refuse whatever option is asked for, agree to what is offered (RFC 854).
                for verb, option in re.findall(rb"\xff([\xfb\xfd])(.)", data, re.DOTALL):
                    client.sendall(b"\xff" + (b"\xfc" if verb == b"\xfd" else b"\xfd") + option)
                said += data
            said = b""
            client.sendall(answer.encode() + b"\r\n" if answer else b"")
    return time.perf_counter() - began


async def _over_telnet(place: Path) -> list[Row]:
    folder = place / "over"
    folder.mkdir()
    with Telnetd("inetutils", login_program(folder, "bash")) as server:
        host = _host(transport="telnet", address=server.address, port=server.port, user=USER, password=Secret(PASSWORD))
        return await _both_ways(host, folder, "Telnet", _PTY_BYTES, _PTY_BYTES / (5 << 20))


async def _over_serial(place: Path, wire: str, size: int, piece_bytes: int, delay_s: float, limit_s: float) -> list[Row]:
    folder = place / wire.replace(" ", "-")
    folder.mkdir()
    with SerialConsole(shell) as console:
        host = _host(transport="serial", device=console.device)
        await host.run("true")
        console.piece_bytes, console.delay_s = piece_bytes, delay_s
        return await _both_ways(host, folder, wire, size, limit_s)


async def _both_ways(host: Host, folder: Path, wire: str, size: int, limit_s: float) -> list[Row]:
    source = folder / "random.bin"
    source.write_bytes(os.urandom(size))
    files = Files(host)
    rows = []
    for direction, work in (
        ("put", lambda: files.put([source], f"{folder}/there")),
        ("get", lambda: files.get(f"{folder}/there", f"{folder}/back")),
    ):
        (took,) = await timed(work, 1)()
        what = f"console over {wire}, {direction}, {size / (1 << 20):.1f} MiB that does not compress"
        rows.append(Row(what, took * 1000, "", None, limit_s * 1000, absolute=True))
    if (folder / "back").read_bytes() != source.read_bytes():
        raise RuntimeError(f"What came back over {wire} is not what was sent.")
    await host.close()
    return rows

"""Files: 100 MiB by SFTP and SCP, direct and through two hops, and a thousand small ones."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.host.host import Host
from OttoLibrary.transfer.files import Files
from OttoLibrary.transfer.folders import Folders
from tests.benchmarks.measure import Measure, Otto, Row, compare, timed
from tests.peers.sshd import Sshd

Clear = Callable[[], Awaitable[None]]
_SIZE = 100 << 20
_ROUNDS = 5
_GCM = "aes128-gcm@openssh.com"


class Place:
    """The files that are moved, and where to."""

    def __init__(self, folder: Path) -> None:
        self.here, self.there = folder / "here", folder / "there"
        self.here.mkdir()
        self.there.mkdir()
        self.big = self.here / "big.bin"
        self.big.write_bytes(os.urandom(_SIZE))
        shutil.copy(self.big, self.there / "big.bin")
        self.small = self.here / "small"
        self.small.mkdir()
        for number in range(1000):
            (self.small / f"{number}.txt").write_bytes(os.urandom(4096))
        (self.here / "back").mkdir()

    def clear(self) -> Clear:
        """Remove what an earlier turn brought: replacing a file costs the disk extra, and nobody should pay for another."""

        async def cleared() -> None:
            for folder in (self.there / "put", self.here / "back"):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()

        return cleared


async def over_ssh(sshd: Sshd, key: Path, otto: Otto) -> list[Row]:
    """Measure everything about files over SSH."""
    with tempfile.TemporaryDirectory(prefix="otto-bench-") as folder:
        place = Place(Path(folder))
        return [*await direct(sshd, key, otto, place), *await two_hops(sshd, key, place)]


def host_of(sshd: Sshd, key: Path, name: str, hop: Host | None = None) -> Host:
    facts = HostFacts(name, address=sshd.address, port=sshd.port, user=sshd.user, identity_file=str(key), host_key="ignore")
    return Host(name, (*(hop.path if hop else ()), name), lambda: facts, hop, lambda record: None)


async def direct(sshd: Sshd, key: Path, otto: Otto, place: Place) -> list[Row]:
    host = host_of(sshd, key, "warm")
    files = Files(host)
    clear = place.clear()
    put_to, get_to = f"{place.there}/put/", f"{place.here}/back/"
    source = f"{place.there}/big.bin"
    rows = []
    async with asyncssh.connect(sshd.address, sshd.port, encryption_algs=[_GCM], **_login(sshd, key)) as raw:
        sftp = await raw.start_sftp_client()
        for via in ("sftp", "scp"):
            put = timed(lambda via=via: files.put([place.big], put_to, TransferOptions(via=via)), 1, clear)
            get = timed(lambda via=via: files.get(source, get_to, TransferOptions(via=via)), 1, clear)
            paths = json.dumps([str(place.big), put_to]), json.dumps([source, get_to])
            ratio = 1 / 1.8 if via == "sftp" else None
            binary = Binary(via, sshd, key)
            rows += [
                await compare(
                    f"{via} put, 100 MiB", put, f"otto {via}", _cleared(clear, otto, f"put_{via}", paths[0]), ratio, _ROUNDS
                ),
                await compare(
                    f"{via} get, 100 MiB", get, f"otto {via}", _cleared(clear, otto, f"get_{via}", paths[1]), ratio, _ROUNDS
                ),
                await compare(
                    f"{via} put, 100 MiB",
                    put,
                    f"{via} binary",
                    binary.put(str(place.big), put_to, clear),
                    1.0,
                    _ROUNDS,
                ),
                await compare(
                    f"{via} get, 100 MiB",
                    get,
                    f"{via} binary",
                    binary.get(source, get_to, clear),
                    1.0,
                    _ROUNDS,
                ),
            ]
            if via == "sftp":
                raw_put = timed(lambda: sftp.put(str(place.big), f"{put_to}/raw"), 1, clear)
                raw_get = timed(lambda: sftp.get(source, f"{get_to}/raw"), 1, clear)
                rows += [
                    await compare("sftp put, 100 MiB", put, "raw AsyncSSH with AES-GCM", raw_put, 1 / 0.9, _ROUNDS),
                    await compare("sftp get, 100 MiB", get, "raw AsyncSSH with AES-GCM", raw_get, 1 / 0.9, _ROUNDS),
                ]
        folders = Folders(files)
        shutil.copytree(place.small, place.there / "small")
        small_put = timed(lambda: folders.put(place.small, put_to, TransferOptions(links="keep")), 1, clear)
        small_get = timed(lambda: folders.get(f"{place.there}/small", get_to, TransferOptions(links="keep")), 1, clear)
        scp = Binary("scp", sshd, key, 0, "-r")
        many = "1000 files of 4 KiB"
        rows += [
            _absolute(
                await compare(
                    f"{many}, put",
                    small_put,
                    "scp -r binary",
                    scp.put(str(place.small), put_to, clear),
                    1000,
                    _ROUNDS,
                )
            ),
            _absolute(
                await compare(
                    f"{many}, get",
                    small_get,
                    "scp -r binary",
                    scp.get(f"{place.there}/small", get_to, clear),
                    1000,
                    _ROUNDS,
                )
            ),
        ]
    await host.close()
    return rows


async def two_hops(sshd: Sshd, key: Path, place: Place) -> list[Row]:
    far = host_of(sshd, key, "far", host_of(sshd, key, "middle", host_of(sshd, key, "near")))
    files = Files(far)
    clear = place.clear()
    put_to, get_to, source = f"{place.there}/put/", f"{place.here}/back/", f"{place.there}/big.bin"
    put = timed(lambda: files.put([place.big], put_to), 1, clear)
    get = timed(lambda: files.get(source, get_to), 1, clear)
    login = _login(sshd, key) | {"encryption_algs": [_GCM]}
    rows = []
    async with (
        asyncssh.connect(sshd.address, sshd.port, **login) as near,
        asyncssh.connect(sshd.address, sshd.port, tunnel=near, **login) as middle,
        asyncssh.connect(sshd.address, sshd.port, tunnel=middle, **login) as raw,
    ):
        sftp = await raw.start_sftp_client()
        for via in ("sftp", "scp"):
            binary = Binary(via, sshd, key, 2)
            rows += [
                await compare(
                    "two hops, put, 100 MiB",
                    put,
                    f"{via} -J binary",
                    binary.put(str(place.big), put_to, clear),
                    1.0,
                    _ROUNDS,
                ),
                await compare(
                    "two hops, get, 100 MiB",
                    get,
                    f"{via} -J binary",
                    binary.get(source, get_to, clear),
                    1.0,
                    _ROUNDS,
                ),
            ]
        raw_put = timed(lambda: sftp.put(str(place.big), f"{put_to}/raw"), 1, clear)
        raw_get = timed(lambda: sftp.get(source, f"{get_to}/raw"), 1, clear)
        rows += [
            await compare("two hops, put, 100 MiB", put, "raw AsyncSSH chain", raw_put, 1.0, _ROUNDS),
            await compare("two hops, get, 100 MiB", get, "raw AsyncSSH chain", raw_get, 1.0, _ROUNDS),
        ]
    host: Host | None = far
    while host is not None:
        await host.close()
        host = host.hop
    return rows


def _login(sshd: Sshd, key: Path) -> dict[str, Any]:
    return {"username": sshd.user, "client_keys": [str(key)], "known_hosts": None, "config": None}


def _absolute(row: Row) -> Row:
    row.absolute = True
    return row


def _cleared(clear: Clear, otto: Otto, what: str, paths: str) -> Measure:
    async def measured() -> list[float]:
        await clear()
        return await otto.measure(what, 1, paths)()

    return measured


class Binary:
    """OpenSSH's own program; each call is a connection of its own, so its handshake is part of what it takes.

    Args:
        hops: How many hops lead to the host.
    """

    def __init__(self, name: str, sshd: Sshd, key: Path, hops: int = 0, *more: str) -> None:
        self.name, self._more, self._host = name, more, f"h{hops}"
        self._config = key.parent / "bench_ssh_config"
        common = f"HostName {sshd.address}\nPort {sshd.port}\nUser {sshd.user}\nIdentityFile {key}\n"
        common += "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nBatchMode yes\nLogLevel ERROR\n"
        blocks = [f"Host h{hop}\n{f'ProxyJump h{hop - 1}' if hop else ''}\n{common}" for hop in range(3)]
        self._config.write_text("\n".join(blocks))

    def put(self, source: str, target: str, clear: Clear) -> Measure:
        return timed(lambda: self._run("put", source, target), 1, clear)

    def get(self, source: str, target: str, clear: Clear) -> Measure:
        return timed(lambda: self._run("get", source, target), 1, clear)

    async def _run(self, direction: str, source: str, target: str) -> None:
        options, said = ["-F", str(self._config), "-q", *self._more], None
        if self.name == "scp":
            words = [source, f"{self._host}:{target}"] if direction == "put" else [f"{self._host}:{source}", target]
        else:
            words, said = ["-b", "-", self._host], f"{direction} {source} {target}\n".encode()
        process = await asyncio.create_subprocess_exec(
            self.name,
            *options,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate(said)
        if process.returncode:
            raise RuntimeError(f"{self.name} {words} failed: {errors.decode()}")

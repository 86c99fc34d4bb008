"""Run every measurement with its peer in the same run, in turns, and print one table of medians and ratios."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncssh

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.host.host import Host
from tests.benchmarks import (
    dashboard,
    files,
    floods,
    healing,
    impairing,
    labs,
    lines,
    load,
    masking,
    reserving,
    scenarios,
    testbed,
    transfer_memory,
    watching,
    whole,
)
from tests.benchmarks.measure import ROUNDS, Measure, Otto, Row, compare, timed
from tests.peers.keys import make_keys
from tests.peers.sshd import Sshd

GROUPS = [
    *("commands", "floods", "files", "lines", "keywords", "watching", "reserving"),
    *("dashboard", "labs", "masking", "testbed", "scenarios", "healing", "relay", "load", "kills", "whole"),
]
_TURNS = 500
_LINES = "seq 1 100000"


async def over_ssh(sshd: Sshd, key: Path, otto: Otto) -> list[Row]:
    """Measure commands, connections and fan-outs."""

    def new(name: str, hop: Host | None = None) -> Host:
        facts = HostFacts(name, address=sshd.address, port=sshd.port, user=sshd.user, identity_file=str(key), host_key="ignore")
        return Host(name, (*(hop.path if hop else ()), name), lambda: facts, hop, lambda record: None)

    fresh = new("fresh")
    many = [new(f"h{number}") for number in range(50)]

    async def many_run() -> None:
        await asyncio.gather(*(host.run("true") for host in many))

    async def many_close() -> None:
        await asyncio.gather(*(host.close() for host in many))

    warm = new("warm")
    said = (await warm.run(_LINES)).stdout
    assert said.count("\n") == 100_000, "Not all lines came."
    far = new("far", new("middle", new("near")))
    login = {"username": sshd.user, "client_keys": [str(key)], "known_hosts": None, "config": None}
    rows = []
    async with asyncssh.connect(sshd.address, sshd.port, **login) as raw:
        shell = await raw.create_process("bash --norc --noprofile", encoding=None)

        async def marked() -> None:
            shell.stdin.write(b"true </dev/null\nprintf '@M%s\\n' $?; printf '@M\\n' >&2\n")
            said = await shell.stdout.readuntil(b"\n"), await shell.stderr.readuntil(b"\n")
            assert said == (b"@M0\n", b"@M\n"), said

        run, once = timed(lambda: warm.run("true"), 100), timed(lambda: warm.run_once("true"), 20)
        raw_exec = timed(lambda: raw.run("true"), 20)
        rows += [
            await compare("run true, warm", run, "otto run", otto.measure("run", 100), 0.6),
            await compare("run true, warm", run, "raw AsyncSSH shell, marker on both streams", timed(marked, 100), 1.5),
            await compare("run once true", once, "raw AsyncSSH run", raw_exec, 1.15),
            await compare(
                "connect and first command",
                timed(lambda: fresh.run("true"), 4, before=fresh.close),
                "otto",
                otto.measure("cold", 4),
                1.0,
            ),
        ]
        lines, raw_lines = timed(lambda: warm.run(_LINES), 3), timed(lambda: raw.run(_LINES, encoding=None), 3)
        rows += [
            await compare("100 000 lines", lines, "raw AsyncSSH", raw_lines, 3.0),
            await compare("100 000 lines", lines, "otto run", otto.measure("run", 1, _LINES), None),
            await compare("50 hosts, cold", timed(many_run, 1, before=many_close), "otto", otto.measure("many_cold", 1), 1.0),
            await compare("50 hosts, warm", timed(many_run, 5), "otto", otto.measure("many_warm", 5), 0.5),
            await compare(
                "two hops, warm run", timed(lambda: far.run("true"), 50), "direct", timed(lambda: warm.run("true"), 50), 3.0
            ),
        ]
        hopped = await compare("two hops, new channel", timed(lambda: far.run_once("true"), 20), "direct", once, 10)
        hopped.absolute = True
        rows.append(hopped)
        rows.append(await control_master(sshd, key, once))
    for host in (*many, fresh, warm, far, far.hop, far.hop.hop if far.hop else None):
        if host is not None:
            await host.close()
    return rows


async def control_master(sshd: Sshd, key: Path, once: Measure) -> Row:
    """Measure the OpenSSH client over a shared connection."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/c", "-o", "ControlPersist=30", "-o", "BatchMode=yes"]
        options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(key), "-p", str(sshd.port)]
        command = ["ssh", "-q", *options, f"{sshd.user}@{sshd.address}", "true"]

        async def theirs() -> None:
            process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
            assert await process.wait() == 0

        row = await compare("run once true", once, "OpenSSH with ControlMaster", timed(theirs, 10), None)
        leave = await asyncio.create_subprocess_exec(
            "ssh", "-q", *options, "-O", "exit", f"{sshd.user}@{sshd.address}", stderr=asyncio.subprocess.DEVNULL
        )
        await leave.wait()
        return row


_LOOP = """*** Settings ***
Library    {library}
*** Test Cases ***
Loop
    {opening}
    FOR    ${{i}}    IN RANGE    {count}
        {keyword}
    END
"""
_EMPTY = "*** Settings ***\n{setting}\n*** Test Cases ***\nEmpty\n    No Operation\n"


def keywords(sshd: Sshd, key: Path, peers_python: str) -> Row:
    """Measure the keyword in a loop, log and all, against SSHLibrary's."""
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(key), "host_key": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "lab.json").write_text(json.dumps({"hosts": {"box": host}}))
        connect = f"Open Connection    {sshd.address}    port={sshd.port}\n    Login With Public Key    {sshd.user}    {key}"
        ours = ("OttoLibrary    lab=lab.json", "Run On Host    box    true", "Run On Host    box    true", _TURNS)
        theirs = ("SSHLibrary", connect, "Execute Command    true", _TURNS // 10)
        pairs = []
        for _ in range(3):
            mine = _per_turn(sys.executable, place, *ours)
            pairs.append((mine, _per_turn(peers_python, place, *theirs)))
        mine_ms, other_ms = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
    return Row("keyword in a loop, with its log", mine_ms, "SSHLibrary Execute Command", other_ms, 2, absolute=True)


def _per_turn(python: str, place: Path, library: str, opening: str, keyword: str, count: int) -> float:
    few = _robot(python, place, _LOOP.format(library=library, opening=opening, keyword=keyword, count=1))
    many = _robot(python, place, _LOOP.format(library=library, opening=opening, keyword=keyword, count=count + 1))
    return (many - few) / count


def importing() -> Row:
    """Measure what importing the library adds to a run of an empty suite, in processor time: the least of many rounds."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pairs = [
            (
                _processor_s(place, _EMPTY.format(setting="Library    OttoLibrary    lab=demo")),
                _processor_s(place, _EMPTY.format(setting="")),
            )
            for _ in range(3 * ROUNDS)
        ]
    mine, nothing = (min(times) * 1000 for times in zip(*pairs, strict=True))
    what = "importing the library, added to an empty suite, processor"
    return Row(what, mine - nothing, "", None, 40, absolute=True)


def _processor_s(place: Path, suite: str) -> float:
    """Return how long the processor worked for a run, with bytecode that is there already."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _robot(sys.executable, place, suite)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _robot(python: str, place: Path, suite: str) -> float:
    path = place / "suite.robot"
    path.write_text(suite)
    root = str(Path(__file__).parents[2])
    command = [python, "-m", "robot", "--outputdir", str(place / "out"), "--console", "none", str(path)]
    began = time.perf_counter()
    subprocess.run(command, cwd=place, check=True, env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    """Print the table, of the groups that are named or of all; return 1 when a limit is missed."""
    wanted, rows = sys.argv[1:] or GROUPS, list[Row]()
    python = os.environ.get("PEERS_PYTHON")
    if not python:
        print(
            "PEERS_PYTHON must name a Python with otto-sh and robotframework-sshlibrary. 'make bench' makes one.", file=sys.stderr
        )
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OTTO_KNOWN_HOSTS"] = f"{folder}/known_hosts"
        keys = make_keys(Path(folder), [getpass.getuser()])
        # Login files of the account that runs this would be measured otherwise; the server's home has none.
        options = {"SetEnv": f"HOME={folder} SHLVL=2", "MaxSessions": "64"}
        with Sshd(keys, options=options) as sshd:
            otto = Otto(python, sshd, keys.identity_file, Path(folder) / "otto-sh.log")
            try:
                if "commands" in wanted:
                    rows += asyncio.run(over_ssh(sshd, keys.identity_file, otto))
                if "files" in wanted:
                    rows += asyncio.run(files.over_ssh(sshd, keys.identity_file, otto))
                    rows += transfer_memory.over_every_protocol(sshd, keys.identity_file)
                if "lines" in wanted:
                    rows += asyncio.run(lines.all_rows())
                if "watching" in wanted:
                    rows += asyncio.run(watching.all_rows(sshd, keys.identity_file, otto))
            finally:
                otto.close()
            if "watching" in wanted:
                rows += watching.in_a_run(sshd, keys.identity_file)
            if "floods" in wanted:
                rows += floods.all_rows(sshd, keys.identity_file)
            if "dashboard" in wanted:
                rows += dashboard.all_rows(sshd, keys.identity_file)
            if "scenarios" in wanted:
                rows += scenarios.all_rows(sshd, keys.identity_file)
            if "keywords" in wanted:
                rows.append(keywords(sshd, keys.identity_file, python))
            if "whole" in wanted:
                rows += whole.all_rows(sshd, keys.identity_file, python)
    if "keywords" in wanted:
        rows.append(importing())
    if "reserving" in wanted:
        rows += reserving.all_rows()
    if "labs" in wanted:
        rows += labs.all_rows()
    if "healing" in wanted:
        rows += healing.all_rows()
    if "relay" in wanted:
        rows += impairing.all_rows()
    if "load" in wanted:
        rows += load.all_rows()
    if "kills" in wanted:
        rows += load.kill_rows()
    if "masking" in wanted:
        rows += masking.all_rows()
    if "testbed" in wanted:
        rows += testbed.all_rows()
    print("| measurement | ours, ms | peer | peer, ms | ratio | limit | verdict |\n|---|---|---|---|---|---|---|")
    print(*rows, sep="\n")
    return 1 if any(row.missed for row in rows) else 0


sys.exit(main())

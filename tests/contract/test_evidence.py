"""What is fetched from hosts of every kind, and from those that are half dead."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.run.evidence import Bounds, Piece, collect, evidence_table
from OttoLibrary.run.session import Session
from tests.contract.sites import Site, opened
from tests.peers import processes

_WAYS = ["local", "sshd", "busybox", "two hops", "telnet", "serial"]


@pytest.fixture(params=_WAYS)
def place(request: pytest.FixtureRequest, open_lab: Any, tmp_path: Path) -> Iterator[Site]:
    """A host of each kind."""
    with ExitStack() as ending:
        found = opened(request.param, "console", request, open_lab, tmp_path, ending)
        yield found
        found.session.close()


def name_evidence(session: Session, host: str, *evidence: Any) -> None:
    """Write what to fetch into the lab of a session, which is not read yet."""
    path = Path(session.lab.references)
    lab = json.loads(path.read_text())
    lab["hosts"][host]["evidence"] = evidence
    path.write_text(json.dumps(lab))


def fetch(session: Session, folder: Path, *names: str, size_bytes: int = 1000, timeout_s: float = 20.0) -> list[Piece]:
    hosts = [session.hosts.use(name) for name in names]
    return session.engine.call(collect(hosts, folder, Bounds(size_bytes, timeout_s), session.masker.mask))


def test_files_patterns_and_outputs_are_kept_and_what_is_not_says_why(place: Site, tmp_path: Path) -> None:
    for age, name in enumerate(("new.log", "it's old.log", "$(touch oops).log")):
        (place.there / name).write_text(f"{name}: nothing to hide\n")
        os.utime(place.there / name, (1_600_000_000 - age, 1_600_000_000 - age))
    (place.there / "folder.log").mkdir()
    (place.there / "long").write_bytes(b"".join(b"line %d \xff\n" % number for number in range(1000)))
    name_evidence(
        place.session,
        place.name,
        f"{place.there}/*.log",
        {"file": f"{place.there}/long", "name": "../../the long one"},
        f"{place.there}/missing",
        {"command": "echo out; echo err >&2; exit 3", "name": "said"},
        {"command": "head -c 5000 /dev/zero | tr '\\0' x"},
    )
    place.session.masker.add("nothing to hide")
    pieces = fetch(place.session, tmp_path / "kept", place.name)
    kept = {piece.path.name: piece.path.read_bytes() for piece in pieces if piece.path}
    long = b"".join(b"line %d \xff\n" % number for number in range(910, 1000))
    assert list(kept.values()) == [
        b"new.log: <secret>\n",
        b"it's old.log: <secret>\n",
        b"$(touch oops).log: <secret>\n",
        long,
        b"out\nerr\n",
        b"x" * 1000,
    ]
    assert [name for name in kept if "/" in name or name.startswith(".")] == []
    assert {path.parent for path in (tmp_path / "kept").rglob("*") if path.is_file()} == {tmp_path / "kept" / place.name}
    notes = {piece.what: piece.note for piece in pieces if piece.note}
    assert notes.pop(f"{place.there}/missing").endswith(("No such file or directory", "no such file"))
    assert notes == {
        f"{place.there}/long": f"the last {len(long)} B of 10.6 KiB",
        "head -c 5000 /dev/zero | tr '\\0' x": "the last 1000 B",
    }


def test_many_files_are_bounded_and_the_newest_are_kept(open_lab: Any, tmp_path: Path) -> None:
    for number in range(30):
        path = tmp_path / f"{number:02}.log"
        path.write_text(str(number))
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    session = open_lab(here={"transport": "local", "evidence": [f"{tmp_path}/*.log"]})
    *kept, last = fetch(session, tmp_path / "kept", "here")
    assert [Path(piece.what).name for piece in kept] == [f"{number:02}.log" for number in range(29, 9, -1)]
    assert last == Piece("here", f"{tmp_path}/*.log", note="10 older files are not kept")


def test_a_file_that_cannot_be_read_says_so(open_lab: Any, tmp_path: Path) -> None:
    # A file that not even root can read from its beginning.
    session = open_lab(here={"transport": "local", "evidence": ["/proc/self/mem"]})
    [piece] = fetch(session, tmp_path / "kept", "here")
    assert piece.path is None
    assert "rror" in piece.note
    assert not (tmp_path / "kept").exists()


def test_two_things_of_one_name_are_both_kept(open_lab: Any, tmp_path: Path) -> None:
    session = open_lab(here={"transport": "local", "evidence": [{"command": f"echo {n}", "name": "same"} for n in (1, 2)]})
    texts = {piece.path.name: piece.path.read_text() for piece in fetch(session, tmp_path / "kept", "here") if piece.path}
    assert sorted(texts) == ["same-2.txt", "same.txt"]
    assert sorted(texts.values()) == ["1\n", "2\n"]


def test_a_command_that_hangs_costs_its_bound_and_nothing_else(open_lab: Any, tmp_path: Path) -> None:
    mark = f"sleep 6{os.getpid()}"
    evidence = [{"command": mark}, *({"command": f"echo {number}"} for number in range(5))]
    session = open_lab(here={"transport": "local", "evidence": evidence})
    began = time.monotonic()
    pieces = fetch(session, tmp_path / "kept", "here", timeout_s=2)
    assert time.monotonic() - began < 8
    assert sorted(piece.path.read_text() for piece in pieces if piece.path) == [f"{number}\n" for number in range(5)]
    assert [piece for piece in pieces if piece.path is None] == [Piece("here", mark, note="did not arrive within 2 seconds")]
    processes.wait_until(lambda: not processes.running(mark), "the command ends")


def test_a_host_that_is_half_dead_costs_its_bound_and_holds_up_no_other(
    open_lab: Any, sshd: Any, keys: Any, proxy: Callable[[str, int], Any], tmp_path: Path
) -> None:
    way = proxy(sshd.address, sshd.port)
    login = {"user": sshd.user, "identity_file": str(keys.identity_file), "evidence": [{"command": "echo alive"}]}
    stalled = {"address": way.address, "port": way.port, "keepalive": 600} | login
    refused = {"address": "127.0.0.1", "port": processes.free_port()} | login
    session = open_lab(
        stalled=stalled, refused=refused, silent=stalled, well={"address": sshd.address, "port": sshd.port} | login
    )
    session.engine.call(session.hosts.use("stalled").run("true"))
    way.stall()
    began = time.monotonic()
    pieces = {
        piece.host: piece for piece in fetch(session, tmp_path / "kept", "stalled", "silent", "refused", "well", timeout_s=3)
    }
    assert time.monotonic() - began < 10
    assert pieces["stalled"].note == pieces["silent"].note == "no answer within 3 seconds"
    assert "refused the connection" in pieces["refused"].note
    assert pieces["well"].path is not None
    assert pieces["well"].path.read_text() == "alive\n"
    way.resume()


def test_the_table_escapes_what_came_from_a_host() -> None:
    pieces = [
        Piece("<b>", "<i>", Path("x"), 2048, "<u>"),
        Piece("dut1", "nothing", note="<script>alert(1)</script>"),
    ]
    html = evidence_table(pieces, lambda path, text: f"[{path} {text}]")
    assert "&lt;b&gt;" in html
    assert "<code>&lt;i&gt;</code>" in html
    assert "2.0&nbsp;KiB" in html
    assert "[x x] &lt;u&gt;" in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("evidence", "mistake"),
    [
        ("/var/log/x", "text is not a list @ hosts.here.evidence"),
        ([7], "a number is not an object @ hosts.here.evidence[0]"),
        ([""], "'' is not text with something in it @ hosts.here.evidence[0]"),
        ([{"command": "a", "file": "b"}], "exactly one of 'file' and 'command' is needed @ hosts.here.evidence[0]"),
        ([{"name": "a"}], "exactly one of 'file' and 'command' is needed @ hosts.here.evidence[0]"),
        ([{"comand": "a"}], "unknown key 'comand' @ hosts.here.evidence[0] (did you mean 'command'?)"),
    ],
)
def test_mistakes_in_the_lab_say_where_they_are(open_lab: Any, evidence: Any, mistake: str) -> None:
    session = open_lab(here={"transport": "local", "evidence": evidence})
    with pytest.raises(LabError) as caught:
        session.lab.loaded.names()
    assert mistake in str(caught.value)


def test_defaults_name_evidence_for_every_host(tmp_path: Path) -> None:
    lab = {
        "defaults": {"evidence": ["/var/log/messages"]},
        "hosts": {"a": {"transport": "local"}, "b": {"transport": "local", "evidence": [{"command": "dmesg"}]}},
    }
    (tmp_path / "lab.json").write_text(json.dumps(lab))
    session = Session(str(tmp_path / "lab.json"))
    assert [source.file for source in session.lab.facts("a").evidence] == ["/var/log/messages"]
    assert [source.command for source in session.lab.facts("b").evidence] == ["dmesg"]

"""The table of what was kept of a failed test; fetching it needs hosts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from OttoLibrary.errors import ConnectError
from OttoLibrary.run.evidence import Bounds, Piece, collect, evidence_table
from tests.unit.host.hosts import make_host


def link(path: Path, name: str) -> str:
    return f"<a>{name}</a>"


def test_what_was_kept_is_linked_with_its_size() -> None:
    html = evidence_table([Piece("dut1", "dmesg", Path("/out/dmesg.txt"), 2_000, "the last 2 kB")], link)
    assert "<code>dmesg</code>" in html
    assert "<a>dmesg.txt</a> the last 2 kB" in html


def test_what_was_not_kept_says_why_and_has_no_link() -> None:
    html = evidence_table([Piece("dut1", "/var/log/messages", note="no such file")], link)
    assert "no such file" in html
    assert "<a>" not in html


@pytest.mark.parametrize("field", ["host", "what", "note"])
def test_hostile_text_is_only_text(field: str) -> None:
    facts = {"host": "dut1", "what": "dmesg", "note": ""} | {field: "<script>x</script>"}
    html = evidence_table([Piece(**facts)], link)  # type: ignore[arg-type]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_host_that_cannot_be_reached_is_a_piece_that_says_so_without_secrets(tmp_path: Path) -> None:
    host = make_host(ConnectError("box", ("box",), "did not answer hunter2"))
    pieces = asyncio.run(collect([host], tmp_path, Bounds(), lambda text: text.replace("hunter2", "***")))
    (piece,) = pieces
    assert (piece.host, piece.path, piece.size_bytes) == ("box", None, 0)
    assert "did not answer ***" in piece.note
    assert list(tmp_path.iterdir()) == []

"""A session ends whole: whatever fails on the way, all that comes after it ends too."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary import registry
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.session import Session

LAB = """{"hosts": {"dut1": {"address": "192.0.2.1", "password": "${breaks:x}"}}}"""


class Breaks:
    """References that cannot be closed."""

    def resolve(self, argument: str) -> str:
        return "hunter2"

    def close(self) -> None:
        raise RuntimeError("hunter2 is still in use")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_reference("breaks", Breaks)
    (tmp_path / "lab.json").write_text(LAB)
    return Session(str(tmp_path / "lab.json"), "none", RunContext(suite_folder=tmp_path))


def test_everything_ends_whatever_fails(session: Session) -> None:
    seen: list[str] = []

    async def note() -> None:
        seen.append("clean-up")

    async def fail() -> None:
        raise ValueError("no")

    session.lab.facts("dut1")
    host = session.hosts.use("dut1")
    session.scopes.on_end(note)
    session.scopes.on_end(fail)
    session.engine.call(note())
    session.close()
    assert seen == ["clean-up", "clean-up"]
    assert not session.engine.running
    assert session.hosts.use("dut1") is not host
    assert session.journal.take_warnings() == [
        "A clean-up failed: ValueError: no",
        "The end of the run failed: <secret> is still in use",
    ]


def test_a_session_that_did_nothing_starts_nothing_to_end(session: Session) -> None:
    session.close()
    session.close()
    assert not session.engine.running
    assert session.journal.take_warnings() == []


def test_another_lab_closes_the_hosts_of_the_first(session: Session, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(LAB.replace("dut1", "dut9").replace("${breaks:x}", "plain"))
    session.hosts.use("dut1")
    session.load_lab(str(tmp_path / "other.json"))
    assert session.lab.loaded.names() == ["dut9"]
    assert session.lab.references == str(tmp_path / "other.json")
    session.close()

"""Hosts of real peers, driven without Robot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.run.session import Session
from tests.contract.sites import WAYS, Site, opened

OpenLab = Callable[..., Session]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, so that known hosts and ssh_config are what the test says."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("OTTO_KNOWN_HOSTS", raising=False)
    return home


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[OpenLab]:
    """Open a session on a lab: ``open_lab(name={host keys}, ...)`` or ``open_lab(path)``."""
    sessions: list[Session] = []

    def opened(path: Path | None = None, **hosts: dict[str, Any]) -> Session:
        if path is None:
            path = tmp_path / f"lab{len(sessions)}.json"
            path.write_text(json.dumps({"hosts": hosts}))
        sessions.append(Session(str(path)))
        return sessions[-1]

    yield opened
    for session in sessions:
        session.close()


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[1]}-{way[0]}".replace(" ", "-"))
def site(request: pytest.FixtureRequest, open_lab: OpenLab, tmp_path: Path) -> Iterator[Site]:
    """A host to move files to and from."""
    way, via = request.param
    with ExitStack() as ending:
        found = opened(way, via, request, open_lab, tmp_path, ending)
        yield found
        found.session.close()

"""What is wrong with a request for a folder before a host is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import UsageError
from OttoLibrary.transfer.files import Files
from OttoLibrary.transfer.folders import Folders


class NoHost:
    """A host that must not be asked."""


@pytest.fixture
def folders() -> Folders:
    return Folders(Files(NoHost()))  # type: ignore[arg-type]


def test_empty_paths(folders: Folders) -> None:
    with pytest.raises(UsageError, match="The target is empty"):
        asyncio.run(folders.put(Path("a"), ""))
    with pytest.raises(UsageError, match="The source is empty"):
        asyncio.run(folders.get("", "b"))


def test_only_what_differs_needs_checksums(folders: Folders) -> None:
    with pytest.raises(UsageError, match="Leave out verify=no"):
        asyncio.run(folders.get("a", "b", TransferOptions(skip_same=True, verify="no")))

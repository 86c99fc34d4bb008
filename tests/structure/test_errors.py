"""Each error has an entry in docs/errors.md, and says nothing in the words of our own code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from OttoLibrary import errors
from OttoLibrary.errors import OttoError

ROOT = Path(__file__).parents[2]
CLASSES = [kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OttoError)]
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_its_entry_and_is_in_the_table(name: str) -> None:
    assert ENTRIES.get(name, "").strip(), f"docs/errors.md says nothing about {name}"
    assert f"[{name}](#{name.lower()})" in PAGE


def test_there_is_no_entry_for_what_is_no_class() -> None:
    assert {entry for entry in ENTRIES if entry.endswith("Error")} == set(CLASSES)


def test_the_tree_in_the_module_has_each_class() -> None:
    assert [name for name in CLASSES if name not in (errors.__doc__ or "")] == []


def test_what_the_entries_quote_of_our_own_sentences_is_what_is_said() -> None:
    assert str(errors.UnknownNameError("host", "dut9", ["dut1", "dut2"])) in PAGE.replace("\n", " ")
    assert str(errors.ConnectError("dut1", ("gateway", "dut1"), "connection refused")) in PAGE
    assert str(errors.WaitTimeoutError("dut1", (), "did not finish 'make'", 30)) in PAGE
    assert str(errors.ConnectionLostError("dut1", (), "the other side closed it")) in PAGE

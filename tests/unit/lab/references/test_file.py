"""The reference to a file."""

from __future__ import annotations

from OttoLibrary.text import Secret
from tests.unit.lab.benches import Write, facts


def test_a_file_reference_loses_one_newline(write: Write) -> None:
    write("pass\n\n", "secret.txt")
    assert facts(password="${file:secret.txt}").password == Secret("pass\n")

"""Files of known host keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import asyncssh
import pytest

from OttoLibrary.transport.known_hosts import known_keys, named

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFK1KmhpVEVwcuqk0PEZF3tPihbtgJj5kcw0ltBhgBwF"


def _found(tmp_path: Path, text: str, *names: str) -> list[str]:
    file = tmp_path / "known_hosts"
    file.write_text(text, encoding="utf-8")
    return [f"{known.marker}{known.place.rpartition(':')[2]}" for known in known_keys([file], names, asyncssh.import_public_key)]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ("box", True),
        ("BOX", True),
        ("other,box", True),
        ("b?x", True),
        ("*", True),
        ("b.x", False),
        ("box.example", False),
        ("*,!box", False),
        ("!other,b*", True),
        ("[box]:22", False),
    ],
)
def test_patterns_match_as_in_openssh(tmp_path: Path, patterns: str, found: bool) -> None:
    assert bool(_found(tmp_path, f"{patterns} {LINE}\n", "box")) == found


def test_a_hashed_name_is_found(tmp_path: Path) -> None:
    salt = b"s" * 20
    digest = hmac.new(salt, b"[box]:2222", hashlib.sha1).digest()
    hashed = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    assert _found(tmp_path, f"{hashed} {LINE}\n", "[box]:2222") == ["1"]
    assert _found(tmp_path, f"{hashed} {LINE}\n", "box") == []


@pytest.mark.parametrize(
    "line",
    [
        "=",
        "foo",
        "# a comment",
        "@cert-authority",
        "@revoked box",
        f"@unknown box {LINE}",
        "box ssh-ed25519",
        "box ssh-ed25519 !!!",
        "box ssh-dss AAAA",
        "|1|x|y ssh-ed25519 AAAA",
        "|1 box",
        "\xff\x00",
    ],
)
def test_a_line_that_says_nothing_is_passed_over(tmp_path: Path, line: str) -> None:
    assert _found(tmp_path, f"{line}\nbox {LINE} a comment\n", "box") == ["2"]


def test_markers_are_told(tmp_path: Path) -> None:
    text = f"@revoked [box]:22 {LINE}\n@cert-authority *.example {LINE}\n@revoked box {LINE}\n"
    assert _found(tmp_path, text, "box", "a.example") == ["@cert-authority2", "@revoked3"]


def test_a_file_that_is_not_there_knows_nothing(tmp_path: Path) -> None:
    assert known_keys([tmp_path / "none", tmp_path], ["box"], str) == []


def test_a_port_is_part_of_the_name_unless_it_is_the_usual_one() -> None:
    assert named("Box", "10.0.0.1", None) == ["box", "10.0.0.1"]
    assert named("box", "box", 2222) == ["[box]:2222"]

"""Values that only a host in a lab has: which are right, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.lab import host_values
from OttoLibrary.schema.source_position import SourcePosition

FINGERPRINT = "SHA256:" + ":".join(["0a"] * 32)


def read(name: str, value: object) -> tuple[Any, list[str]]:
    position = SourcePosition("lab.json", Path("/labs"))
    return getattr(host_values, name).read(value, position), position.problems


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", 1),
        ("PORT", 65535),
        ("PORT", "/dev/ttyUSB0"),
        ("PORT", "rfc2217://10.0.0.1:4000"),
        ("BITS", 5),
        ("BITS", 8),
        ("STOP_BITS", 1.5),
        ("TRANSPORT", "ssh"),
        ("TRANSFER", "sftp"),
        ("HOST_NAME", "dut-1.lab_ü"),
        ("HOST_KEY", "strict"),
        ("HOST_KEY", "SHA256:abc"),
        ("HOST_KEY", "ssh-ed25519 AAAA"),
        ("CERTIFICATE", "ignore"),
        ("CERTIFICATE", FINGERPRINT),
        ("CERTIFICATE", FINGERPRINT.replace(":", "").replace("SHA256", "SHA256:")),
        ("METRIC_NAME", "frames"),
        ("FORWARDING", "8080:10.0.0.1:80"),
        ("FORWARDING", "127.0.0.1:8080:db:5432"),
    ],
)
def test_a_right_value_is_taken_as_it_is(name: str, value: object) -> None:
    assert read(name, value) == (value, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", 0),
        ("PORT", 65536),
        ("PORT", True),
        ("PORT", "ttyUSB0"),
        ("BITS", 9),
        ("BITS", True),
        ("STOP_BITS", True),
        ("STOP_BITS", "1"),
        ("STOP_BITS", []),
        ("HOST_NAME", ""),
        ("HOST_NAME", "a b"),
        ("HOST_NAME", "dut[1]"),
        ("HOST_NAME", "AND"),
        ("HOST_NAME", "a\x1b"),
        ("HOST_NAME", "a\n"),
        ("HOST_NAME", 7),
        ("HOST_KEY", "acept-new"),
        ("HOST_KEY", " "),
        ("CERTIFICATE", "SHA256:0a"),
        ("CERTIFICATE", FINGERPRINT + ":0a"),
        ("CERTIFICATE", FINGERPRINT[:-1] + "g"),
        ("METRIC_NAME", "1st"),
        ("METRIC_NAME", "a-b"),
        ("FORWARDING", "8080"),
        ("FORWARDING", "8080:db:port"),
        ("FORWARDING", ""),
    ],
)
def test_a_wrong_value_is_one_mistake(name: str, value: object) -> None:
    _, problems = read(name, value)
    (problem,) = problems
    assert problem.startswith("lab.json: ")


@pytest.mark.parametrize(("name", "value", "meant"), [("TRANSPORT", "shs", "ssh"), ("TRANSFER", "sfpt", "sftp")])
def test_an_unknown_adapter_says_which_was_meant(name: str, value: str, meant: str) -> None:
    (problem,) = read(name, value)[1]
    assert problem.endswith(f"(did you mean '{meant}'?)")


def test_a_metric_that_is_built_in_cannot_be_made_again() -> None:
    (problem,) = read("METRIC_NAME", "cpu")[1]
    assert problem == "lab.json: metric 'cpu' is built in; give your own another name @ top level"


def test_the_number_of_stop_bits_is_a_float() -> None:
    assert isinstance(read("STOP_BITS", 1)[0], float)

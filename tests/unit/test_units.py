"""Durations and sizes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.errors import ValueFormatError
from OttoLibrary.units import duration_text, seconds, size, size_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("10", 10.0),
        ("500ms", 0.5),
        ("10 s", 10.0),
        ("1 min 30 s", 90.0),
        ("1H2M", 3720.0),
        ("2 days", 172800.0),
    ],
)
def test_a_duration_is_seconds(value: object, expected: float) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize(
    "value", [None, True, -1, "", " ", "-1 s", "soon", "5 parsecs", "1 s!", [], float("nan"), float("inf"), 10**400, "9" * 400]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueFormatError, match="is not a duration"):
        seconds(value)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with contextlib.suppress(ValueFormatError):
        assert seconds(text) >= 0


@pytest.mark.parametrize(
    ("value_s", "text"), [(0.0012, "1.2 ms"), (0.35, "350 ms"), (2.5, "2.50 s"), (185, "3 min 5 s"), (60, "1 min 0 s")]
)
def test_a_duration_is_readable(value_s: float, text: str) -> None:
    assert duration_text(value_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(512, "512 B"), (1536, "1.5 KiB"), (20 * 1024**2, "20.0 MiB"), (3 * 1024**3, "3.0 GiB")]
)
def test_a_size_is_readable(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("text", "expected"), [("01:30", 90.0), ("1:00:00.5", 3600.5), ("2 weeks", 1209600.0), ("500 us", 0.0005)]
)
def test_durations_as_robot_framework_writes_them(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (512, 512), ("100", 100), ("8 MiB", 8 << 20), ("1.5KiB", 1536), ("2 MB", 2_000_000)]
)
def test_a_size_is_bytes(value: object, expected: int) -> None:
    assert size(value) == expected


@pytest.mark.parametrize("value", ["", "8 Mb", "-1", "1e30 GB", "nan", "eight", True, None, 1.5])
def test_what_is_no_size_says_what_to_write(value: object) -> None:
    with pytest.raises(ValueFormatError, match=r"is not a size\. Write a number of bytes, or text such as '8 MiB'"):
        size(value)

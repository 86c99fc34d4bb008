"""The Telnet protocol by itself: bytes in any pieces, options, and servers that are a bit off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.contracts.connections import EndOfStream, Terminal
from OttoLibrary.transport.telnet import Codec

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, ECHO, TYPE, SIZE, LINE_MODE = 0, 1, 24, 31, 34


def _codec(*, binary: bool) -> Codec:
    codec = Codec(Terminal("dumb", 200, 50))
    codec.opening()
    if binary:
        codec.receive(bytes((IAC, WILL, BINARY, IAC, DO, BINARY)))
        assert codec.take_replies() == b""
    return codec


def _server(data: bytes, *, binary: bool) -> bytes:
    """Return data as a server sends it."""
    data = data.replace(b"\xff", b"\xff\xff")
    if binary:
        return data
    return data.replace(b"\r\n", b"\0\0newline").replace(b"\r", b"\r\0").replace(b"\0\0newline", b"\r\n")


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(data=st.binary(max_size=400), size=st.integers(1, 50))
def test_binary_bytes_come_through_in_any_pieces(data: bytes, size: int) -> None:
    codec = _codec(binary=True)
    assert b"".join(codec.receive(piece) for piece in _pieces(_server(data, binary=True), size)) == data
    assert codec.encode(data) == data.replace(b"\xff", b"\xff\xff")


@given(data=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\xff", b"text"])).map(b"".join), size=st.integers(1, 9))
def test_a_server_s_carriage_returns_come_through_in_any_pieces(data: bytes, size: int) -> None:
    codec = _codec(binary=False)
    assert b"".join(codec.receive(piece) for piece in _pieces(_server(data, binary=False), size)) == data


def test_a_server_that_does_not_know_about_carriage_returns_is_understood() -> None:
    codec = _codec(binary=False)
    assert codec.receive(b"\r@mark") == b"\r@mark"
    assert codec.receive(b"\r\0 is what was said") == b"\r\0 is what was said"


def test_a_typed_carriage_return_is_no_newline() -> None:
    assert _codec(binary=False).encode(b"a\r\n\xff") == b"a\r\0\n\xff\xff"


def test_the_window_and_the_terminal_are_told() -> None:
    codec = _codec(binary=False)
    assert codec.receive(bytes((IAC, DO, SIZE)) + b"hi") == b"hi"
    assert codec.take_replies() == bytes((IAC, SB, SIZE, 0, 200, 0, 50, IAC, SE))
    codec.receive(bytes((IAC, DO, TYPE, IAC, SB, TYPE, 1, IAC, SE)))
    assert codec.take_replies() == bytes((IAC, SB, TYPE, 0)) + b"dumb" + bytes((IAC, SE))
    assert codec.resize(255, 256) == bytes((IAC, SB, SIZE, 0, 255, 255, 1, 0, IAC, SE))


@pytest.mark.parametrize(
    ("offer", "reply"),
    [
        ((DO, LINE_MODE), (WONT, LINE_MODE)),
        ((WILL, LINE_MODE), (DONT, LINE_MODE)),
        ((WILL, ECHO), (DO, ECHO)),
        ((DONT, LINE_MODE), ()),
        ((WONT, LINE_MODE), ()),
    ],
)
def test_an_offer_is_answered_once(offer: tuple[int, int], reply: tuple[int, ...]) -> None:
    codec = _codec(binary=False)
    codec.receive(bytes((IAC, *offer)))
    assert codec.take_replies() == (bytes((IAC, *reply)) if reply else b"")
    if reply and reply[0] in {DO, WILL}:
        codec.receive(bytes((IAC, *offer)))
        assert codec.take_replies() == b""


def test_an_option_that_is_taken_back_is_off() -> None:
    codec = _codec(binary=True)
    codec.receive(bytes((IAC, WONT, BINARY, IAC, DONT, BINARY)))
    assert codec.take_replies() == bytes((IAC, DONT, BINARY, IAC, WONT, BINARY))
    assert codec.encode(b"\r") == b"\r\0"
    assert codec.receive(b"\r\0") == b"\r"


def test_what_is_no_text_is_left_out_in_any_pieces() -> None:
    said = b"a" + bytes((IAC, 241, IAC, 249)) + b"b" + bytes((IAC, SB, 5, 1, IAC, IAC, IAC, SE)) + b"c" + bytes((IAC, 242)) + b"d"
    for size in range(1, len(said)):
        codec = _codec(binary=False)
        assert b"".join(codec.receive(piece) for piece in _pieces(said, size)) == b"abcd"


def test_half_of_an_urgent_mark_does_no_harm() -> None:
    assert _codec(binary=False).receive(b"a\xffb") == b"ab"


def test_an_option_without_an_end_is_not_kept_without_one() -> None:
    codec = _codec(binary=False)
    codec.receive(bytes((IAC, SB, 5)) + b"x" * 60_000)
    with pytest.raises(EndOfStream, match="option without an end"):
        codec.receive(b"x" * 10_000)

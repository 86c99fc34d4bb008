"""OCT's wire, byte for byte, and what is none of its messages."""

from __future__ import annotations

import json

import pytest

from OttoLibrary.load.turret import oct_messages as wire


@pytest.mark.parametrize(
    ("order", "data"),
    [
        (("status_request",), b' {"command":"status_request","msg":null}'),
        (("start", "open fire"), b' {"command":"start","msg":"open fire"}'),
        (("stop", "premature stop"), b' {"command":"stop","msg":"premature stop"}'),
        (("set_transaction_context", {"a": 1}), b' {"command":"set_transaction_context","msg":{"a":1}}'),
    ],
)
def test_orders_are_as_octs_hq_sends_them(order: tuple[str, object], data: bytes) -> None:
    assert wire.order(*order) == data  # type: ignore[arg-type]
    # As the real turret reads it.
    assert json.loads(data.decode())["command"] == order[0]


def test_an_order_on_a_turrets_own_channel_is_for_that_turret_alone() -> None:
    data = b'me {"command":"kill","msg":null}'
    assert wire.read_order(data, "me") == ("kill", None)
    assert wire.read_order(data, "you") is None
    assert wire.read_order(b'{"command":"stop"}', "me") == ("stop", None)


def test_a_result_that_contains_the_word_status_is_a_result() -> None:
    data = (
        b'{"elapsed": 1.5, "epoch": 10.0, "scriptrun_time": 0.25, "error": "HTTP status 500", "custom_timers": {"status": 1.0}}'
    )
    said = wire.read_report(data)
    assert said == wire.OctResult(1.5, 10.0, 0.25, "HTTP status 500", {"status": 1.0}, "")


def test_a_result_is_written_as_the_real_cannon_does() -> None:
    data = wire.result_message(wire.OctResult(1.5, 10.0, 0.25, "", {"a": 0.1}, "name"))
    assert data == b'{"elapsed": 1.5, "epoch": 10.0, "scriptrun_time": 0.25, "error": "", "custom_timers": {"a": 0.1}}'


@pytest.mark.parametrize("word", ["ready", "READY", "Running", "WAITING"])
def test_any_status_word_counts(word: str) -> None:
    data = json.dumps({"turret": "t", "status": word, "uuid": "u", "rampup": 10, "script": "s.py", "cannons": 3}).encode()
    assert wire.read_report(data) == wire.OctStatus("t", word, "u", 10, "s.py", 3)


def test_unknown_keys_and_a_missing_turret_name_are_no_matter() -> None:
    data = b'{"scriptrun_time": 1, "turret_name": "n", "further": [1]}'
    assert wire.read_report(data) == wire.OctResult(0.0, 0.0, 1, "", {}, "n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"no json",
        b"[]",
        b"{}",
        b'{"status": "ready"}',
        b'{"status": 1, "turret": "t", "uuid": "u"}',
        b'{"scriptrun_time": "fast"}',
        b'{"scriptrun_time": NaN}',
        b'{"scriptrun_time": 1e400}',
        b'{"scriptrun_time": true}',
        b'{"scriptrun_time": 1, "custom_timers": [1]}',
        b'{"scriptrun_time": 1, "custom_timers": {"a": "b"}}',
        b'{"scriptrun_time": 1, "epoch": null}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(wire.BadMessage):
        wire.read_report(data)

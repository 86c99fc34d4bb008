"""OCT's messages, byte for byte as its real HQ and its real turrets exchange them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

STATUS_REQUEST, CONTEXT, START, STOP, KILL = "status_request", "set_transaction_context", "start", "stop", "kill"
# What OCT says with its orders.
START_MESSAGE, STOP_MESSAGE = "open fire", "premature stop"
READY, RUNNING, ABORTED, INITIALIZED, KILLED = "ready", "Running", "Aborted", "Initialized", "Killed"
_DECODE = json.JSONDecoder().decode


class BadMessage(ValueError):
    """A message is none of OCT's; the text says what is wrong with it."""


@dataclass(frozen=True)
class OctStatus:
    """What a turret says about itself."""

    turret: str
    status: str
    uuid: str
    rampup: float
    script: str
    cannons: int


class OctResult(NamedTuple):
    """One iteration, as a turret of OCT reports it."""

    elapsed: float
    epoch: float
    scriptrun_time: float
    error: str
    custom_timers: dict[str, float]
    turret_name: str


def order(command: str, message: Any = None) -> bytes:
    """Return an order to all turrets: the channel before the blank is empty, and there is always a ``msg``; turrets need both."""
    return b" " + json.dumps({"command": command, "msg": message}, separators=(",", ":")).encode()


def read_order(data: bytes, uuid: str = "") -> tuple[str, Any] | None:
    """Return command and message of an order to all or to the turret ``uuid``; None of one to another; raise BadMessage."""
    channel, _, text = data.partition(b" ")
    if channel.startswith(b"{"):
        channel, text = b"", data
    if channel and channel != uuid.encode():
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise BadMessage("it is not JSON") from error
    if not isinstance(content, dict) or not isinstance(content.get("command"), str):
        raise BadMessage("it has no command")
    return content["command"], content.get("msg")


def status_message(status: OctStatus) -> bytes:
    """Return a turret's status."""
    said = {"turret": status.turret, "status": status.status, "uuid": status.uuid, "rampup": status.rampup}
    return json.dumps({**said, "script": status.script, "cannons": status.cannons}).encode()


def result_message(result: OctResult) -> bytes:
    """Return a cannon's result. The name of the turret is not in it: the real HQ knows exactly these five keys."""
    said: dict[str, Any] = {"elapsed": result.elapsed, "epoch": result.epoch, "scriptrun_time": result.scriptrun_time}
    return json.dumps({**said, "error": result.error, "custom_timers": result.custom_timers}).encode()


def read_report(data: bytes) -> OctStatus | OctResult:
    """Return what a turret or a cannon said; raise BadMessage."""
    try:
        # As json.loads does, but for looking for other encodings, which nobody sends: a fifth of what a result costs.
        said = _DECODE(data.decode())
    except (ValueError, RecursionError) as error:
        raise BadMessage("it is not JSON") from error
    if not isinstance(said, dict):
        raise BadMessage("it is no JSON object")
    # By its keys, not by a word somewhere in it: an error may say "HTTP status 500".
    return _result(said) if "scriptrun_time" in said else _status(said)


def _status(said: dict[str, Any]) -> OctStatus:
    missing = [key for key in ("turret", "status", "uuid") if not isinstance(said.get(key), str)]
    if missing:
        raise BadMessage(f"it is neither a status nor a result: it has no text {missing[0]!r}")
    cannons = said.get("cannons")
    script = said.get("script")
    return OctStatus(
        said["turret"][:255],
        said["status"][:255],
        said["uuid"][:255],
        _number(said.get("rampup", 0), "rampup"),
        script[:255] if isinstance(script, str) else "",
        cannons if isinstance(cannons, int) and not isinstance(cannons, bool) and 0 <= cannons < 1 << 31 else 0,
    )


def _result(said: dict[str, Any]) -> OctResult:
    timers = said.get("custom_timers") or {}
    if not isinstance(timers, dict):
        raise BadMessage("its custom_timers are no object")
    error = said.get("error") or ""
    return OctResult(
        _number(said.get("elapsed", 0.0), "elapsed"),
        _number(said.get("epoch", 0.0), "epoch"),
        _number(said["scriptrun_time"], "scriptrun_time"),
        error if isinstance(error, str) else json.dumps(error),
        {name: _number(value, f"timer {name!r}") for name, value in timers.items()} if timers else timers,
        str(said.get("turret_name") or ""),
    )


def _number(value: Any, name: str) -> float:
    # A clock that was set back made it negative; NaN and infinity are in no range.
    if type(value) in (float, int) and -1e12 < value < 1e12:
        return value  # type: ignore[no-any-return]
    raise BadMessage(f"its {name} is no number")

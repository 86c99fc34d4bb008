"""Labs from a program that prints their JSON: an inventory script, a booking system's client."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from OttoLibrary import units
from OttoLibrary.errors import LabError, ValueFormatError, did_you_mean
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.text import decode

_TIMEOUT_S = 30.0
_LARGEST_BYTES = 16 << 20
_GRACE_S = 1.0
_LAST_LINES = 5
_CHUNK = 1 << 16
_PREFERENCES = ("command", "timeout")


class CommandLabs:
    """The lab source ``command``: the name of a lab is a command line, or the last word of the one in the preferences.

    Preferences: ``command``, the words before the name, and ``timeout``, how long it may take, 30 seconds by default.
    """

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        """Return what the program prints; it gets no input and no shell."""
        given = preferences or {}
        for key in given:
            if key not in _PREFERENCES:
                raise _wrong(name, f"it has no preference '{key}'.{did_you_mean(key, _PREFERENCES)}")
        words = [*_words(name, given["command"]), name] if "command" in given else _words(name, name)
        position = SourcePosition(f"command:{name}", Path.cwd())
        content = plain_data.parse(_printed(name, words, _timeout_s(name, given)), position)
        if position.problems:
            raise LabError(position.problems)
        return {"name": Path(words[-1]).stem, **content} if isinstance(content, dict) else content

    def list_labs(self) -> list[str]:
        """Return nothing: there is no way to ask a program which names it knows."""
        return []


def _words(name: str, line: object) -> list[str]:
    try:
        words = shlex.split(line) if isinstance(line, str) else []
    except ValueError as error:
        raise _wrong(name, f"'{line}' is not a command line ({error}).") from error
    if not words:
        raise _wrong(name, "there is no command. Write command:PROGRAM and its arguments.")
    return words


def _timeout_s(name: str, preferences: Mapping[str, Any]) -> float:
    try:
        return units.seconds(preferences.get("timeout", _TIMEOUT_S))
    except ValueFormatError as error:
        raise _wrong(name, f"its preference 'timeout' is wrong. {error}") from error


def _printed(name: str, words: Sequence[str], timeout_s: float) -> bytes:
    """Return what the program printed, once it and everything it started has ended."""
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, bufsize=0
        )
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise _wrong(name, f"'{words[0]}' cannot be started: {cause}. Is the path right, and is it executable?") from error
    try:
        stdout, stderr = _both_outputs(name, process, timeout_s)
        status = _status(process, _GRACE_S)
    finally:
        _end(process)
    if status is None:
        raise _wrong(name, "it closed its output but did not exit." + _tail(stderr))
    if status != 0:
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with {status}"
        raise _wrong(name, f"it {how}." + _tail(stderr))
    return stdout


def _both_outputs(name: str, process: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, bytes]:
    assert process.stdout
    assert process.stderr
    outputs: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    end = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as waiting:
        for output in outputs:
            waiting.register(output, selectors.EVENT_READ)
        while waiting.get_map():
            left_s = end - time.monotonic()
            ready = waiting.select(left_s) if left_s > 0 else []
            if not ready:
                raise _wrong(name, f"it did not end in {timeout_s:g} seconds." + _tail(outputs[process.stderr]))
            for key, _ in ready:
                stream: Any = key.fileobj
                data = os.read(stream.fileno(), _CHUNK)
                outputs[stream] += data
                if not data:
                    waiting.unregister(stream)
            if sum(map(len, outputs.values())) > _LARGEST_BYTES:
                raise _wrong(name, f"it printed more than {_LARGEST_BYTES >> 20} MiB.")
    return bytes(outputs[process.stdout]), bytes(outputs[process.stderr])


def _status(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it started, which is its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        if _status(process, _GRACE_S) is not None and not _has_group(process.pid):
            break
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def _has_group(number: int) -> bool:
    try:
        os.killpg(number, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _tail(stderr: bytes | bytearray) -> str:
    lines = decode(bytes(stderr)).rstrip().splitlines()[-_LAST_LINES:]
    return " Its standard error: " + "\n".join(lines) if lines else " It printed nothing on standard error."


def _wrong(name: str, what: str) -> LabError:
    return LabError([f"Lab 'command:{name}' could not be loaded: {what}"])

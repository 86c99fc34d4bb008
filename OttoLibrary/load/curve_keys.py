"""Keys with which an HQ and its turrets know each other: files, made once for a project."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from OttoLibrary.errors import UsageError
from OttoLibrary.load.sockets import CurveKeys, require_zmq

HQ_KEYS, TURRET_KEYS = "hq.json", "turret.json"
_KEY_LENGTH = 40
_PRIVATE = 0o077


@dataclass(frozen=True)
class ProjectKeys:
    """The keys of a project.

    Attributes:
        hq: What its HQ uses.
        turret: What each turret is told: its own two keys, and the public one of the HQ.
    """

    hq: CurveKeys
    turret: dict[str, str]


def make_keys(folder: Path) -> None:
    """Write new keys for an HQ and its turrets, which only their owner can read; raise UsageError when there are some."""
    zmq = require_zmq()
    hq, turret = ([key.decode() for key in zmq.curve_keypair()] for _ in range(2))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / HQ_KEYS, {"public": hq[0], "secret": hq[1]})
        _write(folder / TURRET_KEYS, {"public": turret[0], "secret": turret[1], "server": hq[0]})
    except FileExistsError as error:
        raise UsageError(f"'{error.filename}' exists already. Name another folder for new keys.") from error
    except OSError as error:
        raise UsageError(f"Keys cannot be written to '{folder}': {error.strerror or error}.") from error


def read_keys(folder: Path) -> ProjectKeys:
    """Return the keys of a folder; raise UsageError for what is missing, wrong, or can be read by others."""
    hq = _read(folder / HQ_KEYS, ("public", "secret"))
    turret = _read(folder / TURRET_KEYS, ("public", "secret", "server"))
    if turret["server"] != hq["public"]:
        raise UsageError(f"'{folder / TURRET_KEYS}' is for another HQ than '{folder / HQ_KEYS}'. Make both anew.")
    return ProjectKeys(CurveKeys(hq["public"], hq["secret"], (turret["public"],)), turret)


def _write(path: Path, keys: dict[str, str]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(keys, file, indent=4)


def _read(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    try:
        mode = path.stat().st_mode
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The keys '{path}' cannot be read: {error}. Make some: python -m OttoLibrary load make-keys '{path.parent}'."
        ) from error
    if mode & _PRIVATE:
        raise UsageError(f"The keys '{path}' can be read by others. Take that away: chmod 600 '{path}'.")
    if not isinstance(found, dict) or any(len(str(found.get(name, ""))) != _KEY_LENGTH for name in names):
        raise UsageError(f"'{path}' has no keys of CURVE: {', '.join(names)}, each of {_KEY_LENGTH} characters.")
    return {name: str(found[name]) for name in names}

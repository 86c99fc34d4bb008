"""The program of a turret: ``python turret_process.py --tar TURRET.tar.gz`` or ``--config-file CONFIG.json``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from OttoLibrary.load.turret.transactions import Maker, ScriptError, load_maker
from OttoLibrary.load.turret.turret import OctTurret, OttoTurret
from OttoLibrary.load.turret.zmtp import Disconnected, WrongKeys, ZmtpConnection

_SWITCH_S = 0.0005
_RETRY_S = 0.5
_REQUIRED = ("name", "cannons", "script", "hq_address", "hq_rc", "hq_publisher")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a turret; return its exit status: 0 at the end of its work, 1 when it was killed, 2 for a mistake."""
    parser = argparse.ArgumentParser(description="A turret: it fires what an HQ orders.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config-file", type=Path, help="a configuration, with the script beside it")
    which.add_argument("--tar", type=Path, help="a packed turret")
    parser.add_argument("--lifeline", action="store_true", help="end as soon as standard input ends")
    options = parser.parse_args(arguments)
    # Users who compute must not keep the turret from saying that it lives.
    sys.setswitchinterval(_SWITCH_S)
    unpacked = Path(tempfile.mkdtemp(prefix="otto-turret-")) if options.tar is not None else None
    owner = os.getpid()

    def leave(status: int) -> None:
        """End immediately: neither a signal nor the end of the lifeline waits for users who compute."""
        if unpacked is not None and os.getpid() == owner:
            shutil.rmtree(str(unpacked), ignore_errors=True)
        os._exit(status)

    signal.signal(signal.SIGTERM, lambda *_: leave(143))
    if options.lifeline:
        _follow_lifeline(leave)
    try:
        if unpacked is not None:
            _unpack(options.tar, unpacked)
            return _serve(unpacked / "config.json", unpacked)
        return _serve(options.config_file, options.config_file.absolute().parent)
    except (ScriptError, WrongKeys, tarfile.TarError, OSError, ValueError) as error:
        sys.stderr.write(f"The turret cannot start: {error}.\n")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if unpacked is not None:
            shutil.rmtree(str(unpacked), ignore_errors=True)


def _serve(path: Path, folder: Path) -> int:
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    our_port = config.get("hq_port")
    required = ("name", "hq_address") if our_port else _REQUIRED
    missing = [key for key in required if config.get(key) is None]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}")

    def make(context: dict[str, Any]) -> Maker:
        what = context.pop("_script", None) or config
        return load_maker(what, folder, config, context)

    who = str(config.get("uuid") or uuid.uuid4())
    if our_port and (config.get("token") or config.get("curve") or _is_ours(config)):
        return OttoTurret(config, make, who).run()
    # What cannot be loaded is said before the HQ waits for it.
    make({})
    return OctTurret(config, make, who).run()


def _is_ours(config: dict[str, Any]) -> bool:
    """Wait for an HQ, and return whether it is one of ours; one of OCT does not listen on the port that only ours has."""
    while True:
        for key, kind in (("hq_port", "DEALER"), ("hq_publisher", "SUB")):
            if config.get(key):
                with contextlib.suppress(Disconnected):
                    ZmtpConnection(str(config["hq_address"]), int(config[key]), kind).close()
                    return key == "hq_port"
        time.sleep(_RETRY_S)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a turret; nothing of it leaves the folder."""
    with tarfile.open(str(archive)) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(str(folder), filter="data")
            return
        for member in tar.getmembers():
            target = (folder / member.name).resolve()
            if not (member.isfile() or member.isdir()) or folder.resolve() not in (target, *target.parents):
                raise tarfile.TarError(f"{member.name} leads out of the archive")
        tar.extractall(str(folder))  # noqa: S202 - each member was checked


def _follow_lifeline(leave: Callable[[int], object]) -> None:
    """Leave as soon as standard input ends: whoever started this process is gone."""
    import threading

    threading.Thread(target=until_input_ends, args=(leave,), daemon=True).start()


def until_input_ends(leave: Callable[[int], object]) -> None:
    """Wait until standard input ends, then leave."""
    while os.read(0, 4096):
        pass
    leave(0)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Users that do not end are threads; they must not hold the process.
    os._exit(status)

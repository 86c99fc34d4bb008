"""The program of one process of Locust: Locust's own, as master or worker, with a turret of ours in it.

``python -m OttoLibrary.load.locust_engine.locust_process --config-file CONFIG.json`` runs in the environment of Locust.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from OttoLibrary.load.locust_engine import locust_turret
from OttoLibrary.load.turret.transactions import Maker, ScriptError, load_maker
from OttoLibrary.load.turret.turret_process import until_input_ends

_TRANSACTIONS = Path(__file__).with_name("locustfiles") / "transaction_users.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Locust until its run is over; return 2 for a mistake, otherwise Locust's own exit status."""
    parser = argparse.ArgumentParser(description="A process of Locust whose statistics go to an HQ.")
    parser.add_argument("--config-file", type=Path, required=True, help="a configuration, with the locust file beside it")
    parser.add_argument("--lifeline", action="store_true", help="end as soon as standard input ends")
    options = parser.parse_args(arguments)
    config: dict[str, Any] = json.loads(options.config_file.read_text(encoding="utf-8"))
    folder = Path(config.get("folder") or options.config_file.absolute().parent)
    try:
        return _run(config, folder, lifeline=options.lifeline)
    except (ScriptError, ImportError, OSError) as error:
        sys.stderr.write(f"Locust cannot start: {error}.\n")
        return 2


def _run(config: dict[str, Any], folder: Path, *, lifeline: bool) -> int:
    locust = locust_turret.locust_main()
    if lifeline:
        locust_turret.start_real_thread(until_input_ends, os._exit)
    turret = locust_turret.LocustTurret(config, _maker(config, folder))
    turret.listen()
    locust_turret.present = turret
    sys.argv = ["locust", *locust_arguments(config, folder)]
    locust()
    return 0


def _maker(config: dict[str, Any], folder: Path) -> Maker | None:
    """Return what makes the transactions of a run whose users are ours."""
    what = config.get("what")
    if not what or config["role"] == "master":
        return None
    made = load_maker(what, folder, config, {})

    def make() -> Any:
        transaction = made()
        if transaction.is_async:
            raise ScriptError("Locust's engine runs no async transaction. Leave out engine=locust")
        return transaction

    return make


def locust_arguments(config: dict[str, Any], folder: Path) -> list[str]:
    """Return what Locust's program is told."""
    file = folder / config["locustfile"] if config.get("locustfile") else _TRANSACTIONS
    address, port = str(config["master_address"]), str(config["master_port"])
    told = ["-f", str(file), "--headless", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    told += ["--stop-timeout", f"{config['stop_timeout_s']:g}"]
    if config["role"] == "worker":
        return [*told, "--worker", "--master-host", address, "--master-port", port]
    workers = str(config["workers"])
    return [*told, "--master", "--master-bind-host", address, "--master-bind-port", port, "--expect-workers", workers]


if __name__ == "__main__":
    sys.exit(main())

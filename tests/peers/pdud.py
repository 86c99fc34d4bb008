"""A pdudaemon whose outlets are lines in a file: its driver ``localcmdline``."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.peers.requirements import find

_TOO_LONG_S = 30


class PduDaemon:
    """Real pdudaemon on loopback.

    Attributes:
        url: Where it listens.
        file: Takes a line for each command that it runs, such as ``7 on``.
    """

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url, self.file = f"http://127.0.0.1:{port}", folder / "outlets"
        self.file.touch()
        outlet = {"driver": "localcmdline", "cmd_on": f"echo '%s on' >> {self.file}", "cmd_off": f"echo '%s off' >> {self.file}"}
        daemon = {"hostname": "127.0.0.1", "port": port, "logging_level": "DEBUG", "listener": "http"}
        (folder / "pdudaemon.json").write_text(json.dumps({"daemon": daemon, "pdus": {"shelf": outlet}}))
        command = [str(find("pdudaemon")), "--conf", str(folder / "pdudaemon.json"), "--logfile", str(folder / "pdudaemon.log")]
        self._log = folder / "pdudaemon.out"
        with self._log.open("w") as out:
            self._process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def __enter__(self) -> PduDaemon:
        end = time.monotonic() + _TOO_LONG_S
        address = self.url.removeprefix("http://").split(":")
        while True:
            try:
                socket.create_connection((address[0], int(address[1])), timeout=1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    self.__exit__()
                    raise RuntimeError(f"pdudaemon did not start: {self._log.read_text()}") from None
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def wait_for(self, *lines: str) -> None:
        """Return once it has run these commands, in this order."""
        end = time.monotonic() + _TOO_LONG_S
        while (seen := self.file.read_text().splitlines()) != list(lines):
            if time.monotonic() > end:
                raise AssertionError(f"{seen} and not {list(lines)}")
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit("It is started by tests.")

"""PabotLib, the server that a run of pabot shares, on a loopback port."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any
from xmlrpc.client import ServerProxy

from tests.peers import processes


class PabotLib:
    """The server; ``address`` is where it listens. ``resources`` are the lines of its resource file."""

    def __init__(self, folder: Path, resources: str = "") -> None:
        port = processes.free_port()
        self.address = f"127.0.0.1:{port}"
        file = folder / "resources.dat"
        file.write_text(resources)
        command = [sys.executable, "-m", "pabot.pabotlib", str(file) if resources else "", "127.0.0.1", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        processes.wait_until(self._answers, "the start of PabotLib")

    def ask(self, keyword: str, *arguments: str) -> Any:
        """Run a keyword of it, as a suite with PabotLib would; return what it returned."""
        with ServerProxy(f"http://{self.address}") as server:
            answer: Any = server.run_keyword(keyword, list(arguments), {})
        assert answer["status"] == "PASS", answer
        return answer.get("return", "")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> PabotLib:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            self.ask("get_parallel_value_for_key", "anything")
        except OSError:
            return False
        return True

"""A process that reserves hosts, says so in lines, and holds them until its input ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class HoldingProcess:
    """``python`` with these words, which says ``GOT ...`` and, when its input ends, ``BYE``."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        )

    def said(self, word: str) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise AssertionError(f"It did not say {word}.")

    def let_go(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.said("BYE")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

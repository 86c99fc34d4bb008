"""Disks that are small, or that cannot be written: a tmpfs of their own."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.peers.requirements import find, require


@contextlib.contextmanager
def small_disk(size_kib: int) -> Iterator[Path]:
    """Give a folder that holds ``size_kib`` and not a byte more; needs root."""
    require("root", "mount", "umount")
    with tempfile.TemporaryDirectory(prefix="otto-disk-") as folder:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_kib}k,mode=0777", "otto-disk", folder)
        try:
            yield Path(folder)
        finally:
            # Lazily, so that a process that still has a file open there keeps nobody waiting.
            _run("umount", "--lazy", folder)


@contextlib.contextmanager
def read_only_disk(*names: str) -> Iterator[Path]:
    """Give a folder with files of those names, in which nothing can be changed; needs root."""
    with small_disk(64) as folder:
        for name in names:
            (folder / name).write_text(name)
        _run("mount", "-o", "remount,ro", str(folder))
        yield folder


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([find(program) or program, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"'{program} {' '.join(arguments)}' failed: {done.stderr.strip()}")

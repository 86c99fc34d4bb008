"""Robot's output in the folder of one process of a parallel run."""

from __future__ import annotations

import re
from pathlib import Path

_OUTPUT = re.compile(r"output(-\d{8}-\d{6})?\.xml")


def output_of(folder: Path) -> Path | None:
    """Return the output of robot in a folder, or None."""
    found = [path for path in folder.glob("output*.xml") if _OUTPUT.fullmatch(path.name)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def output_is_whole(folder: Path) -> bool:
    """Return True when robot has written its output to the end."""
    output = output_of(folder)
    if output is None:
        return False
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 64))
        return file.read().rstrip().endswith(b"</robot>")

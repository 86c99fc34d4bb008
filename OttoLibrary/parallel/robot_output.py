"""Robot's output in the folder of one process of a parallel run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

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
        if not file.read().rstrip().endswith(b"</robot>"):
            return False
        file.seek(0)
        return _is_xml(file)


def _is_xml(file: BinaryIO) -> bool:
    """Return True when it can be read: a process that was forked in a test may have written into it too."""
    try:
        expat.ParserCreate().ParseFile(file)
    except expat.ExpatError:
        return False
    return True

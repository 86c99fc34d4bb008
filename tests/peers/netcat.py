"""Hosts that have one kind of nc, or none: folders that are a PATH of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.peers.requirements import find, require

# The kind: as which name its folder has it, and the program that it is.
KINDS = {
    "openbsd": ("nc", "nc.openbsd"),
    "traditional": ("nc", "nc.traditional"),
    "ncat": ("ncat", "ncat"),
    "ncat-as-nc": ("nc", "ncat"),
    "busybox-as-nc": ("nc", "busybox"),
    "busybox": ("busybox", "busybox"),
}
# What shells and the work on files need; those that are missing here are left out.
_TOOLS = """
bash base64 basename cat chgrp chmod chown cksum cmp cp cut date dd df dirname du env expr false find grep head hostname id kill
ln ls md5sum mkdir mkfifo mktemp mv ps pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat stty sync tail tar tee
test touch tr true truncate tty uname wc xargs
"""


def make_path(folder: Path, kind: str = "") -> str:
    """Make a folder with the usual tools and nc of one of ``KINDS``, and return it as a PATH; without a kind, with no nc."""
    folder.mkdir()
    for tool in _TOOLS.split():
        if (program := shutil.which(tool)) is not None:
            (folder / tool).symlink_to(program)
    if kind:
        name, program = KINDS[kind]
        require(program)
        (folder / name).symlink_to(find(program) or program)
    return str(folder)

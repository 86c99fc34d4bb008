"""Files that are found, not named, are used only when no other user of this machine can have written them.

As with git's ``safe.directory``: settings, labs and modules that are found on the way up to ``/`` decide what runs and where
passwords go. A file counts when it, its folder and the folder above belong to this user or to root, and no folder on the way
can be changed by others. A folder such as ``/tmp``, where everybody may write and nobody may touch what others have, is no
danger to what is below.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

VARIABLE = "OTTO_SAFE_DIRECTORIES"
_ANYTHING = "*"
# The file, its folder, and the folder that holds that: who owns those decides what the file says.
_OWNED = 3


def distrust(file: Path) -> str | None:
    """Return why a file that was found is not used, a whole sentence that says what to do; None when it is used."""
    real = Path(os.path.realpath(file))
    safe = [word.strip() for word in os.environ.get(VARIABLE, "").split(os.pathsep) if word.strip()]
    if _ANYTHING in safe or any(real.is_relative_to(os.path.realpath(Path(folder).expanduser())) for folder in safe):
        return None
    reason = next(chain(_foreign_links(file), _reasons(real)), None)
    if reason is None:
        return None
    folder = real.parents[1] if len(real.parents) > 1 else real.parent
    return (
        f"{file} is not used, because {reason}: another user of this machine may have written it. "
        f"If you trust it, name the folder: {VARIABLE}={folder}"
    )


def _foreign_links(file: Path) -> Iterator[str]:
    """Yield the links on the way that another user made: they may lead elsewhere in the next moment."""
    for path in (file.absolute(), *file.absolute().parents):
        with suppress(OSError):
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) and found.st_uid not in _our_users():
                yield f"the link '{path}' belongs to {_user(found.st_uid)}"


def _reasons(real: Path) -> Iterator[str]:
    for level, path in enumerate((real, *real.parents)):
        try:
            found = path.stat()
        except OSError as error:
            yield f"'{path}' cannot be read ({error.strerror})"
            return
        if level < _OWNED and found.st_uid not in _our_users():
            yield f"'{path}' belongs to {_user(found.st_uid)}"
        is_sticky = stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX)
        if found.st_mode & stat.S_IWOTH and not is_sticky:
            yield f"everybody may write to '{path}'"
        elif found.st_mode & stat.S_IWGRP and not is_sticky and not _is_own_group(found):
            yield f"the group {_group(found.st_gid)} may write to '{path}'"


def _our_users() -> set[int]:
    """Return this user and root; for root by ``sudo`` also the user who called it."""
    ours = {0, os.geteuid()}
    caller = os.environ.get("SUDO_UID", "")
    return ours | {int(caller)} if os.geteuid() == 0 and caller.isdecimal() else ours


def _is_own_group(found: os.stat_result) -> bool:
    """Return True for root's group, and for a group that the owner alone is in, by the custom that it has the owner's name."""
    if found.st_gid == 0:
        return True
    try:
        owner, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    return group.gr_name == owner and set(group.gr_mem) <= {owner}


def _user(number: int) -> str:
    try:
        return f"user '{pwd.getpwuid(number).pw_name}'"
    except KeyError:
        return f"user {number}"


def _group(number: int) -> str:
    try:
        return f"'{grp.getgrgid(number).gr_name}'"
    except KeyError:
        return str(number)

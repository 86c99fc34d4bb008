"""How full file systems are: df(1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from OttoLibrary.contracts.metrics import CommandMetric, LocalMetric
from OttoLibrary.text import printable

_KIB = 1024
_ROOT = "/"
# In memory, made up by the kernel, or images that are always full; / is shown even if it is one of these.
_PSEUDO = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cramfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "erofs", "fusectl", "hugetlbfs", "iso9660", "mqueue", "nsfs", "proc", "pstore", "ramfs", "romfs", "rootfs", "rpc_pipefs",
    "securityfs", "squashfs", "sysfs", "tmpfs", "tracefs",
}  # fmt: skip
_ROW = re.compile(r"(?P<device>\S.*?)\s+(?P<total>\d+)\s+(?P<used>-?\d+)\s+(?P<free>-?\d+)\s+(?:\d+%|-)\s+(?P<mount>/.*)")
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class _Mount:
    path: str
    device: str
    total_bytes: int
    used_bytes: int
    free_bytes: int


class Disk(CommandMetric, LocalMetric):
    """The metric ``disk``: the fullest file system, and each by the folder where it is mounted."""

    main = "disk_used_percent"
    interval_s = 30.0

    def script(self) -> str:
        """Print what df prints, ``/`` in any case, and the types of the file systems."""
        # df fails when one mount cannot be read, but still prints the others. An old busybox has no -P.
        return """disk_table=$(df -P -k 2>/dev/null </dev/null)
[ -n "$disk_table" ] || disk_table=$(df -k 2>/dev/null </dev/null)
case $disk_table in *" /
"*|*" /") ;; *) disk_table="$disk_table
$(df -P -k / 2>/dev/null </dev/null)";; esac
say "$disk_table"
say "/proc/mounts"
take /proc/mounts
"""

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return sizes in bytes and shares in percent."""
        table, _, mounted = printed.partition("\n/proc/mounts\n")
        kinds: dict[str, str] = {}
        for line in mounted.splitlines():
            row = line.split(" ")
            if len(row) > 2:
                kinds[_ESCAPED.sub(lambda code: chr(int(code[1], 8)), row[1])] = row[2]
        mounts = [mount for mount in _rows(table) if mount.path == _ROOT or not _is_pseudo(mount, kinds)]
        if not mounts:
            raise ValueError(f"df did not show a file system: {table.strip().partition(chr(10))[0]!r}")
        return _readings(mounts)

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        mounts: list[_Mount] = []
        for part in psutil.disk_partitions(all=True):
            if part.fstype in _PSEUDO and part.mountpoint != _ROOT:
                continue
            try:
                usage = psutil.disk_usage(part.mountpoint)
            except OSError:
                continue
            mounts.append(_Mount(printable(part.mountpoint), part.device, usage.total, usage.used, usage.free))
        return _readings(mounts)


def _rows(table: str) -> list[_Mount]:
    mounts: list[_Mount] = []
    begun = ""
    for line in table.splitlines():
        # Without -P a long device name is on a line of its own.
        row = _ROW.fullmatch(f"{begun} {line}".strip())
        begun = "" if row or not line.strip() else line
        if row:
            total, used, free = (int(row[column]) * _KIB for column in ("total", "used", "free"))
            mounts.append(_Mount(row["mount"], row["device"], total, used, free))
    return mounts


def _is_pseudo(mount: _Mount, kinds: dict[str, str]) -> bool:
    return kinds.get(mount.path, mount.device) in _PSEUDO


def _readings(mounts: list[_Mount]) -> dict[str, float]:
    shown: dict[tuple[str, int], _Mount] = {}
    # The same file system may be mounted many times, above all by containers: the shortest path stands for it.
    for mount in sorted(mounts, key=lambda mount: len(mount.path)):
        if mount.used_bytes + mount.free_bytes > 0:
            shown.setdefault((mount.device, mount.total_bytes), mount)
    readings: dict[str, float] = {}
    for mount in shown.values():
        free = max(0, mount.free_bytes)
        readings[f"disk_used_percent[{mount.path}]"] = 100 * mount.used_bytes / (mount.used_bytes + free)
        readings[f"disk_used_bytes[{mount.path}]"] = mount.used_bytes
        readings[f"disk_free_bytes[{mount.path}]"] = free
    shares = [value for series, value in readings.items() if series.startswith("disk_used_percent[")]
    return {"disk_used_percent": max(shares), **readings} if shares else {}

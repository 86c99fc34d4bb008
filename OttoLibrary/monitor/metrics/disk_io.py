"""What disks read and write: ``/proc/diskstats``, Documentation/admin-guide/iostats of the Linux kernel."""

from __future__ import annotations

import re
from collections.abc import Collection

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric
from OttoLibrary.monitor.counter_rates import Rates

# Of the columns after the name; a sector is 512 bytes whatever the disk says.
_READ_SECTORS, _WRITTEN_SECTORS, _BUSY_MS = 2, 6, 9
_SECTOR_BYTES = 512
# In memory, in a file, or one path of an NVMe disk that has several.
_NO_DISK = re.compile(r"(?:loop|ram|zram)\d+|nvme\d+c\d+n\d+")
# Made of other disks, which are counted already.
_STACKED = re.compile(r"(?:dm-|md)\d+")
_READ = "disk_io_read_bytes_per_s"
_WRITTEN = "disk_io_write_bytes_per_s"
_BUSY = "disk_io_busy_percent"


class DiskIo(BuiltInsMetric, LocalMetric):
    """The metric ``disk_io``: bytes per second and busy time of whole disks, and the bytes of all together."""

    main = "disk_io_bytes_per_s"

    def __init__(self) -> None:
        self._rates = Rates()

    def script(self) -> str:
        """Print the whole table."""
        return "take /proc/diskstats\n"

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return rates, and the share of time that a disk was busy."""
        counters: dict[str, tuple[int, int, int]] = {}
        for line in printed.splitlines():
            row = line.split()[2:]
            # Before Linux 2.6.25 the line for a partition had four numbers.
            if len(row) > _BUSY_MS + 1:
                counters[row[0]] = _counters(row[1:], line)
        if not counters:
            raise ValueError("/proc/diskstats cannot be read or has no line for a disk")
        return self._per_second(counters, uptime_s)

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        counters = {
            name: (count.read_bytes, count.write_bytes, getattr(count, "busy_time", 0))
            for name, count in psutil.disk_io_counters(perdisk=True, nowrap=False).items()
        }
        return self._per_second(counters, uptime_s)

    def _per_second(self, counters: dict[str, tuple[int, int, int]], uptime_s: float) -> dict[str, float]:
        rates: dict[str, float] = {}
        totals = {_READ: 0.0, _WRITTEN: 0.0}
        disks = [name for name in counters if not _NO_DISK.fullmatch(name) and not _is_partition(name, counters)]
        for disk in disks:
            read, written, busy_ms = counters[disk]
            for series, count in ((_READ, read), (_WRITTEN, written), (_BUSY, busy_ms / 10)):
                labelled = f"{series}[{disk}]"
                rate = self._rates.per_second(labelled, count, uptime_s)
                if rate is None:
                    continue
                rates[labelled] = min(rate, 100.0) if series == _BUSY else rate
                if series in totals and not _STACKED.fullmatch(disk):
                    totals[series] += rate
        if not rates:
            return {}
        return {self.main: sum(totals.values()), **totals, **rates}


def _is_partition(name: str, names: Collection[str]) -> bool:
    """Return True for sda1 beside sda, and for mmcblk0p1 beside mmcblk0: that is how the kernel names partitions."""
    disk = name.rstrip("0123456789")
    if disk == name:
        return False
    return disk in names or (disk.endswith("p") and disk[-2:-1].isdecimal() and disk[:-1] in names)


def _counters(row: list[str], line: str) -> tuple[int, int, int]:
    try:
        return int(row[_READ_SECTORS]) * _SECTOR_BYTES, int(row[_WRITTEN_SECTORS]) * _SECTOR_BYTES, int(row[_BUSY_MS])
    except ValueError as error:
        raise ValueError(f"/proc/diskstats has a line that does not describe a disk: {line.strip()!r}") from error

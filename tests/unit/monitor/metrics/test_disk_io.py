"""The metric disk_io: whole disks, counted once."""

from __future__ import annotations

from pathlib import Path

from OttoLibrary.monitor.metrics.disk_io import DiskIo
from tests.unit.monitor.shells import printed_often

DISKSTATS = """   7       0 loop0 1 0 8 0 0 0 0 0 0 9 9
   8       0 sda {0} 0 {1} 0 0 0 {2} 0 0 {3} 0
   8       1 sda1 {0} 0 {1} 0 0 0 {2} 0 0 {3} 0
   8       2 sda2 1 2 3 4
 179       0 mmcblk0 0 0 {1} 0 0 0 0 0 0 0 0 0 0 0 0
 179       1 mmcblk0p1 0 0 {1} 0 0 0 0 0 0 0 0 0 0 0 0
 253       0 dm-0 {0} 0 {1} 0 0 0 {2} 0 0 {3} 0 0 0 0 0 1 2
"""


def test_disk_io_counts_whole_disks_once() -> None:
    disks = DiskIo()
    assert disks.values(DISKSTATS.format(1, 100, 100, 1000), 10.0) == {}
    assert disks.values(DISKSTATS.format(5, 104, 102, 2500), 12.0) == {
        "disk_io_bytes_per_s": 2 * 1024 + 512,
        "disk_io_read_bytes_per_s": 2 * 1024,
        "disk_io_write_bytes_per_s": 512,
        "disk_io_read_bytes_per_s[sda]": 1024,
        "disk_io_write_bytes_per_s[sda]": 512,
        "disk_io_busy_percent[sda]": 75.0,
        "disk_io_read_bytes_per_s[mmcblk0]": 1024,
        "disk_io_write_bytes_per_s[mmcblk0]": 0,
        "disk_io_busy_percent[mmcblk0]": 0,
        "disk_io_read_bytes_per_s[dm-0]": 1024,
        "disk_io_write_bytes_per_s[dm-0]": 512,
        "disk_io_busy_percent[dm-0]": 75.0,
    }


def test_a_partition_without_its_disk_is_a_disk() -> None:
    disks = DiskIo()
    line = " 202 1 xvda1 1 0 {} 0 0 0 0 0 0 0 0\n"
    disks.values(line.format(0), 1.0)
    assert disks.values(line.format(2), 2.0)["disk_io_bytes_per_s"] == 1024


def test_disk_io_sees_the_disks_of_sys_block(shell: str) -> None:
    disks = DiskIo()
    first, second = printed_often(shell, disks, 2)
    disks.values(first, 10.0)
    shown = {series.partition("[")[2][:-1] for series in disks.values(second, 11.0) if "[" in series}
    assert shown == {disk.name for disk in Path("/sys/block").iterdir() if not disk.name.startswith(("loop", "ram", "zram"))}

"""The metric disk: every kind of df."""

from __future__ import annotations

import shlex
from pathlib import Path

import psutil
import pytest

from OttoLibrary.monitor.metrics.disk import Disk
from tests.unit.monitor.shells import printed, ran


def test_disk_shows_root_as_psutil_does(shell: str) -> None:
    values, usage = Disk().values(printed(shell, Disk()), 1.0), psutil.disk_usage("/")
    assert values["disk_used_bytes[/]"] == pytest.approx(usage.used, rel=0.01)
    assert values["disk_free_bytes[/]"] == pytest.approx(usage.free, rel=0.01)
    assert values["disk_used_percent[/]"] == pytest.approx(usage.percent, abs=0.5)
    assert values["disk_used_percent"] == max(value for name, value in values.items() if name.startswith("disk_used_percent["))


MOUNTS = """
/proc/mounts
rootfs / rootfs rw 0 0
/dev/root /rom squashfs ro 0 0
tmpfs /tmp tmpfs rw 0 0
overlayfs:/overlay / overlay rw 0 0
/dev/mapper/a_long_name-of-a-volume /mnt/my\\040data ext4 rw 0 0
"""


def test_busybox_without_p_breaks_a_line_after_a_long_device() -> None:
    table = """Filesystem           1K-blocks      Used Available Use% Mounted on
/dev/root                 2560      2560         0 100% /rom
tmpfs                    30000      1000     29000   3% /tmp
overlayfs:/overlay        1000       250       750  25% /
/dev/mapper/a_long_name-of-a-volume
                          4000      3000      1000  75% /mnt/my data
"""
    assert Disk().values(table + MOUNTS, 1.0) == {
        "disk_used_percent": 75.0,
        "disk_used_percent[/]": 25.0,
        "disk_used_bytes[/]": 250 * 1024,
        "disk_free_bytes[/]": 750 * 1024,
        "disk_used_percent[/mnt/my data]": 75.0,
        "disk_used_bytes[/mnt/my data]": 3000 * 1024,
        "disk_free_bytes[/mnt/my data]": 1000 * 1024,
    }


def test_one_file_system_that_is_mounted_twice_counts_once() -> None:
    table = "/dev/sda1 1000 400 600 40% /srv/data\n/dev/sda1 1000 410 590 41% /\n"
    assert set(Disk().values(table, 1.0)) == {
        "disk_used_percent",
        *(f"disk_{kind}[/]" for kind in ("used_percent", "used_bytes", "free_bytes")),
    }


def test_root_in_memory_is_shown_and_one_that_is_more_than_full_is_full() -> None:
    assert Disk().values("tmpfs 1000 1010 -10 101% /\n", 1.0)["disk_used_percent"] == 100
    assert Disk().values("none 0 0 0 - /\n", 1.0) == {}


def test_disk_works_with_a_df_that_lacks_p(shell: str, tmp_path: Path) -> None:
    fake = tmp_path / "df"
    fake.write_text('#!/bin/sh\n[ "$1" = -P ] && { echo "invalid option" >&2; exit 1; }\necho \'/dev/x 10 1 9 10% /\'\n')
    fake.chmod(0o755)
    script = f"PATH={shlex.quote(str(tmp_path))}:$PATH\nunalias df 2>/dev/null\n"
    if shell == "busybox":
        script += f'df() {{ {shlex.quote(str(fake))} "$@"; }}\n'  # busybox takes its own before PATH
    assert Disk().values(ran(shell, script + Disk().script())[0], 1.0)["disk_used_percent"] == 10

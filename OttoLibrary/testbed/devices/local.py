"""Devices that are this machine."""

from __future__ import annotations

from OttoLibrary.testbed.posix_device import PosixDevice


class LocalDevice(PosixDevice):
    """The device type ``local``: this machine, set up by files and commands."""

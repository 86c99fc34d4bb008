"""The files and folders of the hosts of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from OttoLibrary.run.open_hosts import OpenHosts

if TYPE_CHECKING:
    from OttoLibrary.contracts.transfers import Progress
    from OttoLibrary.transfer.files import Files
    from OttoLibrary.transfer.folders import Folders


class HostFiles:
    """One ``Files`` for each host, as long as the host is the same.

    Args:
        hosts: The hosts.
        progress: Called with news of files on their way.
        timeout: Returns the time-out that was set for a host, or None.
    """

    def __init__(self, hosts: OpenHosts, progress: Callable[[Progress], None], timeout: Callable[[str], float | None]) -> None:
        self._hosts, self._progress, self._timeout = hosts, progress, timeout
        self._files: dict[str, Files] = {}

    def on(self, name: str) -> Files:
        """Return the files of a host of the lab. Raises UnknownNameError, or NotFreeError when it is another's."""
        from OttoLibrary.transfer.files import Files

        host = self._hosts.use(name)
        if name not in self._files or self._files[name].host is not host:
            self._files[name] = Files(host, self._progress, lambda: self._timeout(name))
        return self._files[name]

    def folders_on(self, name: str) -> Folders:
        """Return the folders of a host of the lab. Raises UnknownNameError, or NotFreeError when it is another's."""
        from OttoLibrary.transfer.folders import Folders

        return Folders(self.on(name))

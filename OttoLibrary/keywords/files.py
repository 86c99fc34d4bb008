"""Keywords that move files and look at those of a host."""

from __future__ import annotations

import glob
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from robot.api.deco import keyword

from OttoLibrary.contracts.transfers import TransferOptions, TransferResult
from OttoLibrary.errors import HostError, UsageError
from OttoLibrary.keywords.component import Component, FanoutOptions, OnError, Text
from OttoLibrary.text import reveal

Verify = Literal["auto", "sha256", "no"]
Links = Literal["follow", "keep"]


class FileKeywords(Component):
    """Put, get, copy, compare and tidy up."""

    @keyword(tags=["File"])
    def put_file_to_host(
        self,
        host: str,
        source: str,
        target: str,
        *,
        via: str = "",
        parents: bool = False,
        mode: str | None = None,
        verify: Verify = "auto",
        resume: bool = False,
        skip_same: bool = False,
        links: Links = "follow",
        in_place: bool = False,
        timeout: timedelta | None = None,
    ) -> TransferResult:
        """Copies files of this machine to a host: whole, verified, or not at all.

        Args:
            host: Name of the host.
            source: The file, or a pattern with `*`, `?`, `[...]` and `**`.
            target: A folder (it ends with `/` or exists), where files keep their names, or the new name of a single file. A
                relative one starts where the host's shells start, `~/` is the home there.
            via: The protocol: `sftp`, `scp`, `ftp`, `nc`, `console` or `local`; by default the lab's `transfer`, or the best that
                the host offers.
            parents: Create the folder when it is missing.
            mode: File mode, such as `0755`; by default the one of the source.
            verify: `auto` compares a checksum on both sides, with the cheapest tool that is enough; `sha256` always uses
                SHA-256; `no` compares only the size.
            resume: Continue where an earlier try was cut (`sftp`, `nc`, `console`, `local`), and keep what arrived for the next.
            skip_same: Send nothing when the target is already the same.
            links: `follow` symbolic links, or `keep` them as links.
            in_place: Write into a file that exists instead of replacing it, for a target that cannot be replaced: one that a
                container has from outside, one in a folder that may not be changed, or one in `/proc` or `/sys`. All bytes are
                on the host and verified before; the writing itself is not atomic: who reads the file meanwhile may see half
                of it. It keeps its own mode.
            timeout: How long it may take in total; by default as long as bytes move (they may pause for the host's time-out).

        Returns:
            The result: `files` (each with `source`, `target`, `size_bytes`, `sent_bytes`, `checksum`, `skipped`), and for all
            `target` (of the first), `size_bytes`, `sent_bytes`, `duration_s`, `protocol`, `host`.

        Raises:
            TransferError: It did not arrive whole. The old file is unchanged, and nothing unfinished is left.
            WaitTimeoutError: The time-out passed; the same applies.
            UsageError: No such file on this machine, or the host does not offer `via`.

        Data goes to a temporary name beside the target, which is renamed when everything is right. Mode and modification time
        are preserved.

        ```robotframework
        Create File    ${TEMPDIR}/fw.bin    version 3
        ${sent}=    Put File To Host    dut1    ${TEMPDIR}/fw.bin    build/    parents=yes
        Should Be Equal As Integers    ${sent.size_bytes}    9
        ```
        """
        options = TransferOptions(via, parents, _mode(mode), verify, resume, skip_same, links, _seconds(timeout), in_place)
        return self.call(self.session.files.on(host).put(_local_files(source), target, options))

    @keyword(tags=["File"])
    def get_file_from_host(
        self,
        host: str,
        source: str,
        target: str = "./",
        *,
        via: str = "",
        parents: bool = False,
        mode: str | None = None,
        verify: Verify = "auto",
        resume: bool = False,
        skip_same: bool = False,
        links: Links = "follow",
        timeout: timedelta | None = None,
    ) -> TransferResult:
        r"""Copies files of a host to this machine: whole, verified, or not at all.

        Args:
            host: Name of the host.
            source: The file, or a pattern with `*`, `?` and `[...]`; a file with exactly that name wins.
            target: A folder (it ends with `/` or exists), where files keep their names, or the new name of a single file; by
                default the current folder.
            via: As for `Put File To Host`.
            parents: Create the folder when it is missing.
            mode: File mode, such as `0600`; by default the one of the source.
            verify: As for `Put File To Host`.
            resume: As for `Put File To Host`.
            skip_same: Fetch nothing when the target is already the same.
            links: `follow` symbolic links, or `keep` them as links.
            timeout: As for `Put File To Host`.

        Returns:
            The result, as for `Put File To Host`.

        Raises:
            TransferError, WaitTimeoutError, UsageError: As for `Put File To Host`.

        A file that grows meanwhile, such as a log, is fetched with the length that it had at the start. A link at the target
        is replaced, and setuid, setgid and sticky bits are dropped.

        ```robotframework
        Write Host File    dut1    boot.log    ready\n
        ${got}=    Get File From Host    dut1    *.log    ${TEMPDIR}/
        Should Contain    ${got.files[0].target}    boot.log
        ```
        """
        options = TransferOptions(via, parents, _mode(mode), verify, resume, skip_same, links, _seconds(timeout))
        return self.call(self.session.files.on(host).get(source, target, options))

    @keyword(tags=["File"])
    def put_directory_to_host(
        self,
        host: str,
        source: str,
        target: str,
        *,
        via: str = "",
        parents: bool = False,
        verify: Verify = "auto",
        skip_same: bool = False,
        links: Links = "keep",
        timeout: timedelta | None = None,
    ) -> TransferResult:
        """Copies a folder of this machine, with everything in it, to a host.

        Args:
            host: Name of the host.
            source: The folder.
            target: A folder that exists or ends with `/`, where it keeps its name, or the new name. An existing folder is
                added to: files of the same name are replaced, others stay.
            via: As for `Put File To Host`.
            parents: Create the folder above it when it is missing.
            verify: As for `Put File To Host`; each file is checked.
            skip_same: Send only files that differ from those there.
            links: `keep` symbolic links as links, or `follow` them.
            timeout: As for `Put File To Host`.

        Returns:
            The result, as for `Put File To Host`, with one entry in `files` for each.

        Raises:
            TransferError, WaitTimeoutError, UsageError: As for `Put File To Host`. Nothing is put in place before everything
                has arrived and was checked.

        Many small files go as one stream. Empty folders, modes and modification times are preserved. Pipes, sockets and devices
        are passed over, and named in the log.

        ```robotframework
        Create File    ${TEMPDIR}/web/css/page.css    body {}
        Put Directory To Host    dut1    ${TEMPDIR}/web    www
        Host File Should Exist    dut1    www/css/page.css
        ```
        """
        options = TransferOptions(
            via=via, parents=parents, verify=verify, skip_same=skip_same, links=links, timeout_s=_seconds(timeout)
        )
        return self.call(self.session.files.folders_on(host).put(Path(source).expanduser(), target, options))

    @keyword(tags=["File"])
    def get_directory_from_host(
        self,
        host: str,
        source: str,
        target: str = "./",
        *,
        via: str = "",
        parents: bool = False,
        verify: Verify = "auto",
        skip_same: bool = False,
        links: Links = "keep",
        timeout: timedelta | None = None,
    ) -> TransferResult:
        """Copies a folder of a host, with everything in it, to this machine.

        Args:
            host: Name of the host.
            source: The folder there.
            target: A folder that exists or ends with `/`, where it keeps its name, or the new name; by default the current
                folder. An existing folder is added to.
            via: As for `Put File To Host`.
            parents: Create the folder above it when it is missing.
            verify: As for `Put File To Host`; each file is checked.
            skip_same: Fetch only files that differ from those here.
            links: `keep` symbolic links as links, or `follow` them.
            timeout: As for `Put File To Host`.

        Returns:
            The result, as for `Put Directory To Host`.

        Raises:
            TransferError, WaitTimeoutError, UsageError: As for `Put Directory To Host`; also when the host sends names that
                lead outside the target, or more than it announced.

        Nothing is written through a link on this machine. Setuid, setgid and sticky bits are dropped. Pipes, sockets and devices
        are passed over, and named in the log.

        ```robotframework
        Create Host Directory    dut1    logs/today
        Write Host File    dut1    logs/boot.log    ready
        Get Directory From Host    dut1    logs    ${TEMPDIR}/logs-of-dut1
        ```
        """
        options = TransferOptions(
            via=via, parents=parents, verify=verify, skip_same=skip_same, links=links, timeout_s=_seconds(timeout)
        )
        return self.call(self.session.files.folders_on(host).get(source, target, options))

    @keyword(tags=["File"])
    def copy_file_between_hosts(
        self,
        source_host: str,
        source: str,
        target_host: str,
        target: str,
        *,
        via: str = "",
        parents: bool = False,
        mode: str | None = None,
        verify: Verify = "auto",
        in_place: bool = False,
        timeout: timedelta | None = None,
    ) -> TransferResult:
        """Copies files from host to host; the two need not reach each other.

        Args:
            source_host: Name of the host that has them.
            source: The file there, or a pattern.
            target_host: Name of the host that gets them.
            target: A folder there, or the new name of a single file.
            via: The protocol for both steps; by default the best for each host.
            parents: Create the folder when it is missing.
            mode: File mode; by default the one of the source.
            verify: As for `Put File To Host`.
            in_place: As for `Put File To Host`.
            timeout: How long each of the two steps may take.

        Returns:
            The result of the second step, as for `Put File To Host`.

        Raises:
            TransferError, WaitTimeoutError, UsageError: As for `Put File To Host`.

        ```robotframework
        Write Host File    dut1    report.txt    all well
        Copy File Between Hosts    dut1    report.txt    dut2    from-dut1.txt
        Host File Should Exist    dut2    from-dut1.txt
        ```
        """
        options = TransferOptions(
            via=via, parents=parents, mode=_mode(mode), verify=verify, timeout_s=_seconds(timeout), in_place=in_place
        )
        return self.call(self.session.files.on(source_host).copy(source, self.session.files.on(target_host), target, options))

    @keyword(tags=["File"])
    def put_file_to_hosts(
        self,
        hosts: str,
        source: str,
        target: str,
        *,
        limit: int = 10,
        stop_after: int = 0,
        on_error: OnError = "fail",
        via: str = "",
        parents: bool = False,
        mode: str | None = None,
        verify: Verify = "auto",
        skip_same: bool = False,
        in_place: bool = False,
        timeout: timedelta | None = None,
    ) -> dict[str, Any]:
        """Copies files of this machine to many hosts at the same time and logs one table.

        Args:
            hosts: Which hosts: a selection as for `Get Hosts`, such as `tag:dut`.
            source: The file, or a pattern.
            target: A folder on each, or the new name of a single file.
            limit: How many hosts at the same time.
            stop_after: As for `Run On Hosts`.
            on_error: As for `Run On Hosts`.
            via: As for `Put File To Host`.
            parents: Create the folder when it is missing.
            mode: File mode; by default the one of the source.
            verify: As for `Put File To Host`.
            skip_same: Send nothing where the target is already the same.
            in_place: As for `Put File To Host`.
            timeout: How long it may take for each host.

        Returns:
            A dictionary of host name to result, with `on_error=return` to result or error: `rc` of a result is 0, and of an
            error -1.

        Raises:
            HostError: It failed for at least one host; the message names each.

        ```robotframework
        Create File    ${TEMPDIR}/fw.bin    version 3
        &{sent}=    Put File To Hosts    tag:dut    ${TEMPDIR}/fw.bin    fw.bin
        Should Be Equal    ${sent.dut2.protocol}    sftp
        ```
        """
        options = TransferOptions(
            via=via,
            parents=parents,
            mode=_mode(mode),
            verify=verify,
            skip_same=skip_same,
            timeout_s=_seconds(timeout),
            in_place=in_place,
        )
        files = _local_files(source)

        async def put(name: str) -> TransferResult:
            return await self.session.files.on(name).put(files, target, options)

        from OttoLibrary.report.blocks import put_table

        spread = FanoutOptions(limit, stop_after, on_error)
        return self.on_each(hosts, put, spread, lambda outcomes: put_table(source, target, outcomes), f"'{source}' did not reach")

    @keyword(tags=["File"])
    def put_directory_to_hosts(
        self,
        hosts: str,
        source: str,
        target: str,
        *,
        limit: int = 10,
        stop_after: int = 0,
        on_error: OnError = "fail",
        via: str = "",
        parents: bool = False,
        verify: Verify = "auto",
        skip_same: bool = False,
        links: Links = "keep",
        timeout: timedelta | None = None,
    ) -> dict[str, Any]:
        """Copies a folder of this machine to many hosts at once and logs one table.

        Args:
            hosts: Which hosts: a selection as for `Get Hosts`, such as `tag:dut`.
            source: The folder.
            target: As for `Put Directory To Host`, on each.
            limit: How many hosts at the same time.
            stop_after: As for `Run On Hosts`.
            on_error: As for `Run On Hosts`.
            via: As for `Put File To Host`.
            parents: As for `Put Directory To Host`.
            verify: As for `Put File To Host`; each file is checked.
            skip_same: Send only files that differ from those there.
            links: As for `Put Directory To Host`.
            timeout: How long it may take for each host.

        Returns:
            A dictionary of host name to result, with `on_error=return` to result or error: `rc` of a result is 0, and of an
            error -1.

        Raises:
            HostError: It failed for at least one host; the message names each.

        ```robotframework
        Create File    ${TEMPDIR}/web/css/page.css    body {}
        &{sent}=    Put Directory To Hosts    tag:dut    ${TEMPDIR}/web    www
        Host File Should Exist    dut2    www/css/page.css
        ```
        """
        options = TransferOptions(
            via=via, parents=parents, verify=verify, skip_same=skip_same, links=links, timeout_s=_seconds(timeout)
        )
        folder = Path(source).expanduser()

        async def put(name: str) -> TransferResult:
            return await self.session.files.folders_on(name).put(folder, target, options)

        from OttoLibrary.report.blocks import put_table

        spread = FanoutOptions(limit, stop_after, on_error)
        return self.on_each(hosts, put, spread, lambda outcomes: put_table(source, target, outcomes), f"'{source}' did not reach")

    # -- looking

    @keyword(tags=["File"])
    def host_file_should_exist(self, host: str, path: str) -> None:
        """Fails unless a file or folder is on the host.

        Args:
            host: Name of the host.
            path: Its path, or a pattern that must match something.

        ```robotframework
        Host File Should Exist    dut1    /etc/passwd
        ```
        """
        if not self.call(self.session.files.on(host).matching(path)):
            raise HostError(f"Host '{host}' has no '{path}'.", host=host)

    @keyword(tags=["File"])
    def host_file_should_not_exist(self, host: str, path: str) -> None:
        """Fails when a file or folder is on the host.

        Args:
            host: Name of the host.
            path: Its path, or a pattern that must match nothing.

        ```robotframework
        Host File Should Not Exist    dut1    core.*
        ```
        """
        found = self.call(self.session.files.on(host).matching(path))
        if found:
            listed = "', '".join(found[:5])
            raise HostError(f"Host '{host}' has '{listed}', which should not exist.", host=host)

    @keyword(tags=["File", "Getter"])
    def get_host_file_checksum(self, host: str, path: str) -> str:
        """Returns the SHA-256 of a file on the host, computed there.

        Args:
            host: Name of the host.
            path: The file.

        Returns:
            64 hexadecimal digits, as `sha256sum` prints them.

        ```robotframework
        Write Host File    dut1    empty    ${EMPTY}
        ${sum}=    Get Host File Checksum    dut1    empty
        Should Start With    ${sum}    e3b0c44298fc1c14
        ```
        """
        return self.call(self.session.files.on(host).checksum(path))

    @keyword(tags=["File", "Getter"])
    def list_host_directory(self, host: str, path: str = ".", pattern: str = "*") -> list[str]:
        """Returns the names in a folder of the host, sorted.

        Args:
            host: Name of the host.
            path: The folder; by default where the host's shells start.
            pattern: Only names that match it; `*` matches all, hidden ones too.

        Returns:
            The names; a folder's ends with `/`.

        ```robotframework
        Create Host Directory    dut1    runs/run1
        ${names}=    List Host Directory    dut1    runs
        Should Be Equal    ${names}    ${{['run1/']}}
        ```
        """
        return self.call(self.session.files.on(host).listing(path, pattern))

    @keyword(tags=["File", "Getter"])
    def read_host_file(self, host: str, path: str, *, encoding: str = "UTF-8") -> str:
        r"""Returns the text of a file on the host.

        Args:
            host: Name of the host.
            path: The file; one in /proc or /sys works too.
            encoding: Its encoding.

        Returns:
            The text; with UTF-8, bytes that are invalid show as `\xNN`.

        ```robotframework
        ${text}=    Read Host File    dut1    /proc/sys/kernel/ostype
        Should Be Equal    ${text}    Linux\n
        ```
        """
        return self.call(self.session.files.on(host).read(path, encoding))

    # -- changing

    @keyword(tags=["File"])
    def write_host_file(
        self, host: str, path: str, content: Text, *, mode: str | None = None, encoding: str = "UTF-8", in_place: bool = False
    ) -> None:
        r"""Writes text into a file on the host, replacing its content.

        Args:
            host: Name of the host.
            path: The file; its folder must exist.
            content: The text, written as it is; a `Secret` is written and never shown.
            mode: File mode; by default `0644`, and with `in_place` the one that the file has.
            encoding: How to encode the text.
            in_place: As for `Put File To Host`.

        Raises:
            TransferError: It did not arrive whole; the old file is unchanged.

        ```robotframework
        Write Host File    dut1    settings.ini    speed=fast\n
        ```
        """
        permissions, text = _mode(mode), reveal(self.secret(content))
        self.call(self.session.files.on(host).write(path, text, encoding, permissions, in_place=in_place))

    @keyword(tags=["File"])
    def remove_host_file(self, host: str, path: str) -> None:
        """Removes files of the host; it is fine when there are none.

        Args:
            host: Name of the host.
            path: The file, or a pattern with `*`, `?` and `[...]`.

        Raises:
            TransferError: It is a folder, or could not be removed.

        ```robotframework
        Remove Host File    dut1    core.*
        ```
        """
        self.call(self.session.files.on(host).remove(path))

    @keyword(tags=["File"])
    def create_host_directory(self, host: str, path: str) -> None:
        """Creates a folder on the host, and those above it; it may already exist.

        Args:
            host: Name of the host.
            path: The folder.

        Raises:
            TransferError: It could not be created.

        ```robotframework
        Create Host Directory    dut1    results/today
        ```
        """
        self.call(self.session.files.on(host).make_folder(path))


def _mode(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise UsageError(f"mode={text} is not a file mode. Write octal digits, such as 0644 or 755.")
    return mode


def _seconds(timeout: timedelta | None) -> float | None:
    return timeout.total_seconds() if timeout is not None else None


def _local_files(pattern: str) -> list[Path]:
    """Return the files of this machine that a pattern matches; a file with exactly that name wins."""
    if not pattern:
        raise UsageError("The source is empty. Name a file of this machine, or a pattern.")
    whole = Path(pattern).expanduser()
    if whole.exists() or whole.is_symlink() or not glob.has_magic(pattern):
        return [whole]
    found = [Path(name) for name in sorted(glob.glob(str(whole), recursive=True))]  # noqa: PTH207 - absolute ones too
    files = [path for path in found if not path.is_dir()]
    if not files:
        raise UsageError(f"No file on this machine matches '{pattern}'{', only folders' if found else ''}.")
    return files

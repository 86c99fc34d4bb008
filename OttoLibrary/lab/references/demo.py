"""``${demo:...}``: what the embedded demo lab serves; asking for it starts its servers in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from OttoLibrary.transport.restored_signals import restored_signals

_LOOPBACK = ("127.0.0.1", "localhost")
_DUTS = ("dut1", "dut2", "dut3")
_START_S = 20.0
_LAST_OUTPUT_S, _LAST_OUTPUT_TRIES = 0.2, 50
_LAST_WORDS_S = 0.5
_CHUNK = 1 << 18
_FOLDER = "otto-demo-"
_FIRMWARE = """#!/bin/sh
case "$1" in
  --version) echo "fw 2.1 on $OTTO_DEMO_HOST" ;;
  selftest) for part in cpu ram flash; do echo "$part ok"; done ;;
  *) echo "usage: fw --version | selftest" >&2; exit 2 ;;
esac
"""


class Demo:
    """Answers ``port`` and ``password`` (of all demo hosts' one account) and ``host_key:NAME``."""

    def __init__(self) -> None:
        self._lab: _DemoLab | None = None
        self._starting = threading.Lock()

    def resolve(self, argument: str) -> str:
        """Return the value; raise LookupError for anything else."""
        with self._starting:
            if self._lab is None:
                self._lab = _DemoLab()
                self._lab.start()
        kind, _, name = argument.partition(":")
        values = {"port": str(self._lab.port), "password": self._lab.password, "user": self._lab.user}
        if kind in values and not name:
            return values[kind]
        if kind == "host_key" and name in self._lab.keys:
            return self._lab.keys[name]
        raise LookupError(f"the demo lab has no '{argument}'")

    def close(self) -> None:
        """End the servers, what runs on them, and their folders."""
        lab, self._lab = self._lab, None
        if lab is not None:
            lab.close()


class _DemoLab:
    """Four SSH servers with real shells; the duts answer only what comes through the gateway.

    They have a loop of their own, so that a server that is busy does not slow the client it serves.
    """

    def __init__(self) -> None:
        self.port = 0
        self.password = secrets.token_urlsafe(12)
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.keys: dict[str, str] = {}
        self.dut_ports: dict[str, int] = {}
        _remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="OttoLibrary demo lab", daemon=True)
        self._servers: list[Any] = []
        self.processes: set[asyncio.subprocess.Process] = set()
        self._starting: set[asyncio.Task[asyncio.subprocess.Process]] = set()

    def start(self) -> None:
        """Serve; every server has its port when this returns."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve_all(), self._loop).result(_START_S)

    def close(self) -> None:
        """Stop serving."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)
        if not self._thread.is_alive():
            self._loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _serve_all(self) -> None:
        for dut in _DUTS:
            self.dut_ports[dut] = await self._serve(dut, None)
        self.port = await self._serve("gateway", self.dut_ports.get)

    async def _serve(self, name: str, ways: Callable[[str], int | None] | None) -> int:
        import asyncssh

        home = self.folder / name
        home.mkdir()
        firmware = home / "fw"
        firmware.write_text(_FIRMWARE)
        firmware.chmod(0o755)
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.keys[name] = key.export_public_key().decode().strip()
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_server_class(self.password, ways),
            server_host_keys=[key],
            process_factory=lambda process: self._run(process, name, home),
            sftp_factory=_sftp_factory(home),
            allow_scp=True,
            encoding=None,
            line_editor=False,
            window=8 << 20,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        children = list(self.processes)
        for child in children:
            _hang_up(child)
        starting = set(self._starting)
        tasks = asyncio.all_tasks() - {asyncio.current_task(), *starting}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for started in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(started, asyncio.subprocess.Process):
                children.append(started)
                _hang_up(started)
        # The end of each is told to the loop, which must still be there.
        for child in children:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await child.wait()

    async def child(self, *words: str, **options: Any) -> asyncio.subprocess.Process:
        """Start a process in a session of its own."""
        # A start that is cancelled half-way may wait for ever for its own end.
        begin = asyncio.create_subprocess_exec(*words, start_new_session=True, preexec_fn=restored_signals(), **options)
        starting = asyncio.create_task(begin)
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        return await asyncio.shield(starting)

    async def _run(self, process: Any, name: str, home: Path) -> None:
        environment = {
            **{key: value for key, value in os.environ.items() if key in {"PATH", "LANG", "LC_ALL", "TMPDIR"}},
            "HOME": str(home),
            "USER": self.user,
            "LOGNAME": self.user,
            "SHELL": shutil.which("bash") or "/bin/sh",
            "OTTO_DEMO_HOST": name,
            "PS1": f"{name}$ ",
            **process.env,
        }
        command = process.command or "exec $SHELL"
        runner = _run_on_terminal if process.term_type else _run_on_pipes
        import asyncssh

        # AsyncSSH asserts that the channel lives: a client may be gone before its process is wired up.
        with contextlib.suppress(OSError, asyncssh.Error, AssertionError):
            await runner(self, process, command, environment, home)


def _remove_leftovers() -> None:
    """Remove the folders of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _server_class(password: str, ways: Callable[[str], int | None] | None) -> Any:
    import asyncssh

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            self._connection = conn

        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, given: str) -> bool:
            return secrets.compare_digest(given.encode(), password.encode())

        def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
            if dest_host in _LOOPBACK:
                return True
            target = ways(dest_host) if ways else None
            if target is None or dest_port != 22:
                raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, f"no such host: {dest_host}")
            return self._connection.forward_connection("127.0.0.1", target)

        def server_requested(self, listen_host: str, listen_port: int) -> Any:
            return listen_host in _LOOPBACK

    return Server


def _sftp_factory(home: Path) -> Any:
    import asyncssh

    class Files(asyncssh.SFTPServer):
        """The whole file system, with relative names below the host's home folder."""

        def realpath(self, path: bytes) -> bytes:
            return os.fsencode(os.path.realpath(os.path.join(os.fsencode(home), path)))

        def map_path(self, path: bytes) -> bytes:
            return os.path.join(os.fsencode(home), path)

    return Files


async def _run_on_pipes(lab: _DemoLab, process: Any, command: str, environment: dict[str, str], home: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    words = (environment["SHELL"], "-c", command)
    child = await lab.child(*words, env=environment, cwd=home, stdin=pipe, stdout=pipe, stderr=pipe)
    assert child.stdin
    assert child.stdout
    assert child.stderr
    outputs = [_Copy(child.stdout, process.stdout), _Copy(child.stderr, process.stderr)]
    await _serve(lab, process, child, child.stdin, outputs)


async def _run_on_terminal(lab: _DemoLab, process: Any, command: str, environment: dict[str, str], home: Path) -> None:
    master, slave = os.openpty()
    # A session leader that opens a terminal gets it as its controlling one.
    script = 'exec 0<>"$1" 1>&0 2>&0; exec "$SHELL" -c "$2"'
    words = ("/bin/sh", "-c", script, "sh", os.ttyname(slave), command)
    null = asyncio.subprocess.DEVNULL
    environment["TERM"] = process.term_type
    child = await lab.child(*words, env=environment, cwd=home, stdin=null, stdout=null, stderr=null)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(master), "rb", 0))
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(master, "wb", 0))
    typed = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        await _serve(lab, process, child, typed, [_Copy(reader, process.stdout)], slave)
    finally:
        typed.close()


async def _serve(
    lab: _DemoLab,
    process: Any,
    child: asyncio.subprocess.Process,
    typed: asyncio.StreamWriter,
    outputs: list[_Copy],
    slave: int | None = None,
) -> None:
    """Carry input and output until the child ends, and report how; a client that went away hangs it up."""
    lab.processes.add(child)
    copies = [asyncio.create_task(output.run()) for output in outputs]
    feeding = asyncio.create_task(_feed(process.stdin, typed))
    gone = asyncio.create_task(process.channel.wait_closed())
    ended = asyncio.create_task(child.wait())
    try:
        await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
        if slave is not None:
            os.close(slave)
        if ended.done():
            await _last_output(outputs, copies)
            _report(process, child.returncode or 0)
    finally:
        for task in (gone, feeding, *copies):
            task.cancel()
        _hang_up(child)
        await _let_go(child)
        lab.processes.discard(child)


async def _let_go(child: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_LAST_WORDS_S):
            await child.wait()
    except TimeoutError:
        pass
    finally:
        # What a background child keeps open would outlive the loop; asyncio has no public way to let go of it.
        child._transport.close()  # type: ignore[attr-defined]


class _Copy:
    """Carries what a process writes to the client, as fast as that takes it.

    Attributes:
        is_waiting: True when all that was written is sent.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self.is_waiting = True

    async def run(self) -> None:
        """Carry it, to its end."""
        with contextlib.suppress(OSError):
            while data := await self._reader.read(_CHUNK):
                self.is_waiting = False
                self._writer.write(data)
                await self._writer.drain()
                self.is_waiting = True


async def _last_output(outputs: list[_Copy], copies: list[asyncio.Task[None]]) -> None:
    """Return when the last output is sent; a background child may keep it open, and that is not waited for."""
    for _ in range(_LAST_OUTPUT_TRIES):
        _, unfinished = await asyncio.wait(copies, timeout=_LAST_OUTPUT_S)
        if not unfinished or all(output.is_waiting for output in outputs):
            return


async def _feed(reader: Any, writer: asyncio.StreamWriter) -> None:
    import asyncssh

    with contextlib.suppress(OSError, asyncssh.Error):
        while not reader.at_eof():
            try:
                writer.write(await reader.read(_CHUNK))
                await writer.drain()
            except asyncssh.TerminalSizeChanged:
                continue
    writer.close()


def _report(process: Any, code: int) -> None:
    if code < 0:
        process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
    else:
        process.exit(code)


def _hang_up(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGHUP)

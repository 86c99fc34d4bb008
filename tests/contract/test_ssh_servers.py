"""SSH servers as administrators set them up: few sessions, no terminal, no SFTP, files only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import HostError, LoginError, UsageError, WaitTimeoutError
from OttoLibrary.run.session import Session
from OttoLibrary.transfer.files import Files
from tests.peers import processes

ANY = Expected(())
OpenBox = Callable[..., "Box"]


class Box:
    """A host with plain calls."""

    def __init__(self, session: Session) -> None:
        self.session, self.host = session, session.hosts.use("box")

    def call(self, work: Any) -> Any:
        return self.session.engine.call(work)

    def run(self, command: str, **options: Any) -> Any:
        return self.call(self.host.run(command, **({"timeout_s": 20.0, "expected": ANY} | options)))

    def put(self, source: Path, target: Path, **options: Any) -> Any:
        return self.call(Files(self.host, patience_s=lambda: 20.0).put([source], str(target), TransferOptions(**options)))

    def notes(self) -> list[str]:
        return [note for record in self.session.journal.take_records() for note in record.notes]


@pytest.fixture
def open_box(open_lab: Any, make_sshd: Any, keys: Any) -> OpenBox:
    """Start a server with some options, and open it as a host."""

    def opened(**options: str) -> Box:
        sshd = make_sshd(options=options)
        host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
        box = Box(open_lab(box=host))
        box.sshd = sshd  # type: ignore[attr-defined]
        return box

    return opened


@pytest.mark.parametrize("sessions", ["1", "2"])
def test_a_server_with_few_sessions_does_everything(open_box: OpenBox, tmp_path: Path, sessions: str) -> None:
    box = open_box(MaxSessions=sessions)
    box.run("cd /usr; X=kept")
    with pytest.raises(WaitTimeoutError):
        box.run(f"sleep 48{sessions}", timeout_s=1.0)
    assert box.run(f"echo $X; pwd; pgrep -x -f 'sleep 48{sessions}' || echo gone").stdout == "kept\n/usr\ngone\n"
    box.call(box.host.send("expr 6 \\* 7\n"))
    box.call(box.host.expect(["42"], timeout_s=10))
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 4000)
    for via in ("sftp", "scp", "console"):
        box.put(source, tmp_path / f"there-{via}", via=via)
        assert (tmp_path / f"there-{via}").read_bytes() == source.read_bytes()
    assert box.call(box.host.run_once("echo once")).stdout == "once\n"


def test_more_commands_in_the_background_than_a_connection_has_sessions(open_box: OpenBox) -> None:
    box = open_box()

    async def start() -> list[Any]:
        return await asyncio.gather(*(box.host.start(f"echo {number}; sleep 490") for number in range(25)))

    running = box.call(start())
    processes.wait_until(lambda: box.run("pgrep -c -x -f 'sleep 490'").stdout == "25\n", "25 commands run")

    async def stop() -> list[Any]:
        return await asyncio.gather(*(background.stop() for background in running))

    assert sorted(int(said) for said, _ in box.call(stop())) == list(range(25))
    assert box.run("pgrep -x -f 'sleep 490' || echo gone").stdout == "gone\n"
    box.session.hosts.close()
    processes.wait_until(lambda: not box.sshd.sessions(), "The end of all connections")  # type: ignore[attr-defined]


def test_the_number_of_connections_is_bounded(open_box: OpenBox) -> None:
    box = open_box(MaxSessions="1")

    async def start() -> list[Any]:
        work = (box.host.start("sleep 491", timeout_s=30) for _ in range(12))
        return await asyncio.gather(*work, return_exceptions=True)

    started = box.call(start())
    errors = [result for result in started if isinstance(result, Exception)]
    assert len(started) - len(errors) == 8
    assert {str(error) for error in errors} == {
        "Host 'box' opens no further session on 8 connections; its MaxSessions may be reached."
    }


def test_a_server_without_terminals_says_so_and_runs_commands(open_box: OpenBox) -> None:
    box = open_box(PermitTTY="no")
    assert box.run("echo here").stdout == "here\n"
    with pytest.raises(HostError, match=r"^Host 'box' gives no terminal \(PTY request failed\)\.$"):
        box.call(box.host.send("hello\n"))
    with pytest.raises(HostError, match=r"^Host 'box' gives no terminal"):
        box.call(box.host.answer("read X", {"x": "y"}))
    assert box.run("echo here").stdout == "here\n"


@pytest.mark.parametrize("program", ["missing", "/bin/false", "/nowhere/sftp-server"])
def test_a_server_without_sftp_gets_files_by_scp(open_box: OpenBox, tmp_path: Path, program: str) -> None:
    box = open_box(Subsystem=f"sftp {program}" if program != "missing" else "other /bin/true")
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 4000)
    for at in range(2):
        assert box.put(source, tmp_path / f"there{at}").protocol == "scp"
        assert (tmp_path / f"there{at}").read_bytes() == source.read_bytes()
        assert any("offers no SFTP" in note and "'scp' is used instead" in note for note in box.notes())
    with pytest.raises(UsageError, match="offers no SFTP"):
        box.put(source, tmp_path / "there", via="sftp")


def test_a_server_with_neither_gets_files_by_the_console(open_box: OpenBox, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if program.name != "scp" and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    box = open_box(Subsystem="other /bin/true", SetEnv=f"PATH={tools} SHLVL=2")
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 4000)
    assert box.put(source, tmp_path / "there").protocol == "console"
    assert (tmp_path / "there").read_bytes() == source.read_bytes()
    assert any("no scp program" in note for note in box.notes())


def test_an_account_for_files_only_gets_and_gives_files(open_box: OpenBox, tmp_path: Path) -> None:
    box = open_box(ForceCommand="internal-sftp")
    source = tmp_path / "file"
    source.write_bytes(bytes(range(256)) * 4000)
    source.chmod(0o640)
    folder = tmp_path / "there"
    folder.mkdir()
    for target, place in ((folder, folder / "file"), (folder / "new", folder / "new"), (folder / "new", folder / "new")):
        result = box.put(source, target)
        assert result.files[0].target == str(place)
        assert (place.read_bytes(), place.stat().st_mode & 0o777) == (source.read_bytes(), 0o640)
        assert any("gives no shell: the length was checked" in note for note in box.notes())
    files = Files(box.host, patience_s=lambda: 20.0)
    box.call(files.get(str(folder / "new"), str(tmp_path / "back")))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["file", "new"]
    with pytest.raises(HostError, match=r"/no/such/folder/x': No such file"):
        box.put(source, Path("/no/such/folder/x"))
    with pytest.raises(LoginError, match="refused the login"):
        box.run("echo hello")


def test_what_a_server_shows_before_a_refused_login_is_in_the_error(
    open_lab: Any, make_sshd: Any, keys: Any, tmp_path: Path
) -> None:
    banner = tmp_path / "banner"
    banner.write_text("Lab closed until Monday.\n\x1b]0;owned\x07Ask the owner.\n")
    sshd = make_sshd(options={"Banner": str(banner)})
    stranger = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.stranger_file)}
    box = Box(open_lab(box=stranger))
    with pytest.raises(LoginError, match=r"; it says 'Lab closed until Monday\. .*Ask the owner\.'") as caught:
        box.run("true")
    assert "\x1b" not in str(caught.value)

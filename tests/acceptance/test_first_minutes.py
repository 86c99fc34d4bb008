"""The newcomer of the README, with the packages that are here already: every command works, in its order."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.first_minutes import NOT_PLAYED, README, Newcomer, build_wheel, commands, play_all
from tests.peers.keys import Keys
from tests.peers.sshd import Sshd


def test_the_readme_can_be_typed_as_it_is(tmp_path: Path, sshd: Sshd, keys: Keys) -> None:
    (tmp_path / "dist").mkdir()
    newcomer = Newcomer(tmp_path, build_wheel(tmp_path / "dist"), sshd, keys.identity_file, installed=True)
    lines = commands(README.read_text())
    played = play_all(newcomer, lines)
    assert [(each.command, each.said) for each in played if each.rc] == []
    assert [each.command for each in played] == [line for line in lines if line not in NOT_PLAYED]
    assert played[-2].said.count(" up\n") == 3
    assert "1 test, 1 passed, 0 failed" in played[-1].said
    assert (tmp_path / "opt" / "fw.bin").read_text() == "firmware\n"


def test_every_line_that_is_not_played_is_in_the_readme() -> None:
    assert NOT_PLAYED.keys() <= set(commands(README.read_text()))


def test_a_line_is_read_without_its_comment() -> None:
    readme = "```console\npip install 'a[b]'    # why\nls | wc\n```\n```text\nno\n```\n"
    assert commands(readme) == ["pip install 'a[b]'", "ls | wc"]

"""The command line as a whole: its groups, exit statuses, and errors as one sentence."""

from __future__ import annotations

import json

import pytest

from OttoLibrary.cli.main import main
from OttoLibrary.version import VERSION

COMMANDS = {
    *("new", "completion", "convert", "environment", "deploy"),
    *("schema", "labs", "hosts", "check", "reservations", "release", "quarantine", "monitor", "dashboard"),
    *("pabot", "settings", "instructions", "options"),
    *("scenario", "tunnel", "load"),
}


def exit_status(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(str(ended.value.code))


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.startswith("    ") and line[4:5].strip()} == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS - {"pabot"}))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(command, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m OttoLibrary {command}")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("--version") == 0
    assert capsys.readouterr().out == f"OttoLibrary {VERSION}\n"


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "hosts" in json.loads(capsys.readouterr().out)["properties"]


def test_a_mistake_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "lab", "--port", "80"]) == 2
    assert capsys.readouterr() == ("", "--port, --bind and --tls are for the page: add --web.\n")


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("watch") == 2
    assert "There is no command 'watch'." in capsys.readouterr().err

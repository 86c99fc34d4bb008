"""Help with an example for each command, and mistakes in one line."""

from __future__ import annotations

import shlex

import pytest

from OttoLibrary.cli.command_parser import EXAMPLES, commands_of, overview
from OttoLibrary.cli.main import command_parser, main


def test_each_command_has_an_example_that_it_understands() -> None:
    parser = command_parser()
    commands = dict(commands_of(parser))
    missing = [name for name, command in commands.items() if "Example: python -m OttoLibrary " not in command.format_help()]
    assert not missing, f"Add an example to EXAMPLES for: {', '.join(missing)}"
    assert not EXAMPLES.keys() - commands.keys()
    for example in EXAMPLES.values():
        words = shlex.split(example.partition(" >")[0])
        if words[0] != "pabot":
            parser.parse_args(words)


def test_alone_it_says_what_there_is_and_what_to_try_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "python -m OttoLibrary check demo" in printed
    assert printed == overview(command_parser()) + "\n"
    assert max(map(len, printed.splitlines())) < 140


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch"], "There is no command 'watch'. See: python -m OttoLibrary --help\n"),
        (["monitr"], "There is no command 'monitr'. Did you mean 'monitor'? See: python -m OttoLibrary --help\n"),
        (["convert", "--from", "nagios", "x"], "There is no --from 'nagios'. See: python -m OttoLibrary convert --help\n"),
        (["monitor"], "The following arguments are required: lab. See: python -m OttoLibrary monitor --help\n"),
        (["hosts", "--wat"], "Unrecognized arguments: --wat. See: python -m OttoLibrary --help\n"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert (ended.value.code, capsys.readouterr().err) == (2, said)

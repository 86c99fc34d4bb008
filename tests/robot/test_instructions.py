"""Instructions and options as their user has them: a repository with settings, an init module and suites, in whole runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from robot.api import ExecutionResult

ROOT = Path(__file__).parents[2]
_TOO_LONG_S = 120
_ROBOT = ("robot",)
_PABOT = ("pabot.pabot", "--command", sys.executable, "-m", "robot", "--end-command", "--no-pabotlib", "--processes", "2")
_SETTINGS = 'name = "my-sut"\nversion = "1.0.0"\nlibs = ["python"]\ninit = ["{module}"]\n'
_MODULE = '''
import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from robot.api.types import Secret

from OttoLibrary import Hosts, OttoLibrary, instruction


@dataclass
class RepoOptions:
    """Of all.

    Attributes:
        debug: With debug symbols.
    """

    debug: bool = False
    product: str = "fw"


@dataclass
class SecretOptions(RepoOptions):
    """Of one.

    Attributes:
        token: Key of the server.
    """

    token: Secret | None = None


@instruction()
async def deploy_all(hosts: Hosts, product: str = "fw", *, debug: bool = False) -> dict[str, str]:
    """Brings a product to all hosts.

    Args:
        product: Which.
        debug: With symbols.
    """
    print("printed on the loop")
    logging.info("logged on the loop")

    async def deploy(name: str) -> str:
        result = await hosts.run(name, f"echo {product} {debug!r}")
        return result.stdout

    return await hosts.each("dut1 OR dut2", deploy)


@instruction(name="Ask Host", tags=["ask"])
def ask(first: str, otto: OttoLibrary, *more: str, options: RepoOptions, **rest: int):
    print("printed in the main thread")
    logging.info("logged in the main thread")
    said = [otto.run_on_host(host, f"echo {options.product}").stdout for host in (first, *more)]
    return said, options.debug, rest


@instruction()
async def move_files(hosts: Hosts, folder: Path) -> str:
    await hosts.put_file("dut1", folder / "here.txt", "~/there.txt")
    await hosts.put_directory("dut1", folder, "~/all")
    await hosts.get_file("dut1", "~/all/here.txt", folder / "back.txt")
    return (folder / "back.txt").read_text()


@instruction()
async def wait_for_ever(hosts: Hosts) -> None:
    await hosts.run("dut1", "sleep 1000", timeout_s=1000)


@instruction()
async def log_in(hosts: Hosts, options: SecretOptions, key: Secret) -> str:
    result = await hosts.run("dut1", f"echo {options.token.value} {key.value}")
    return result.stdout


@instruction()
async def fail_twice(hosts: Hosts) -> None:
    async def fail(number: int) -> None:
        raise ValueError(f"number {number}")

    async with asyncio.TaskGroup() as group:
        group.create_task(fail(1))
        group.create_task(fail(2))


@instruction()
async def fail_on_some(hosts: Hosts) -> None:
    async def look(name: str) -> None:
        await hosts.run(name, "test $OTTO_DEMO_HOST = dut1")

    await hosts.each("dut1 OR dut2", look)
'''
_HEAD = "*** Settings ***\nLibrary    OttoLibrary    lab=demo\n\n*** Tasks ***\n"


def repository(folder: Path, module: str, text: str, suites: dict[str, str]) -> Path:
    for path, content in {
        ".otto/settings.toml": _SETTINGS.format(module=module),
        f"python/{module}.py": text,
        **{f"suites/{name}.robot": _HEAD + suite for name, suite in suites.items()},
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


def python(folder: Path, *words: str) -> tuple[int, str]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {name: value for name, value in os.environ.items() if name not in {"OTTO_LAB", "OTTO_SUT_DIRS"}}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment | {"PYTHONPATH": paths, "INSTRUCTION_KEY": "hush-from-env"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TOO_LONG_S,
        check=False,
    )
    return done.returncode, done.stdout


def run(folder: Path, *options: str, runner: tuple[str, ...] = _ROBOT) -> tuple[int, str]:
    return python(folder, *runner, "--rpa", "--outputdir", "results", *options)


def outcomes(folder: Path) -> dict[str, Any]:
    return {test.name: test for test in ExecutionResult(folder / "results" / "output.xml").suite.all_tests}


_CALLS = """
Async
    ${said}=    Deploy All    rt    debug=yes
    Should Be Equal    ${said}    ${{{'dut1': 'rt True\\n', 'dut2': 'rt True\\n'}}}

Sync
    VAR    ${Pro duct}=    abc
    @{all}=    Ask Host    dut1    dut2    speed=3
    Should Be Equal    ${all}    ${{[['abc\\n', 'abc\\n'], False, {'speed': 3}]}}

Files
    Evaluate    pathlib.Path('folder').mkdir(exist_ok=True)
    Evaluate    pathlib.Path('folder/here.txt').write_text('text')
    ${text}=    Move Files    ${EXECDIR}/folder
    Should Be Equal    ${text}    text
"""
_OPTIONS = """
Loaded Ones Count Until The Test Ends
    VAR    ${DEBUG}=    yes
    ${options}=    Load Options    my_sut.SecretOptions
    Should Be True    ${options.debug}
    VAR    ${DEBUG}=    no
    ${said}    ${debug}    ${rest}=    Ask Host    dut1    options_are=1
    Should Be True    ${debug}

Then The Variables Count Again
    ${said}    ${debug}    ${rest}=    Ask Host    dut1
    Should Not Be True    ${debug}
"""


@pytest.mark.parametrize("runner", [_ROBOT, _PABOT], ids=["robot", "pabot"])
def test_instructions_are_keywords(tmp_path: Path, runner: tuple[str, ...]) -> None:
    folder = repository(tmp_path, "my_sut", _MODULE, {"calls": _CALLS, "options": _OPTIONS})
    code, said = run(folder, "suites", runner=runner)
    assert code == 0, said
    assert {name: test.status for name, test in outcomes(folder).items()} == dict.fromkeys(
        ["Async", "Sync", "Files", "Loaded Ones Count Until The Test Ends", "Then The Variables Count Again"], "PASS"
    )
    output = (folder / "results" / "output.xml").read_text()
    for how in ("printed", "logged"):
        for where in ("on the loop", "in the main thread"):
            assert output.count(f">{how} {where}") == {"on the loop": 1, "in the main thread": 3}[where], (how, where)
    keyword = outcomes(folder)["Async"].body[0]
    assert (keyword.full_name, keyword.doc, list(keyword.tags)) == (
        "OttoLibrary.Deploy All",
        "Brings a product to all hosts.",
        ["Instruction"],
    )
    # What hosts did is in the keyword's log.
    assert any("echo rt True" in message.message for message in keyword.messages)


_TROUBLE = """
Timed Out
    [Timeout]    1 s
    Wait For Ever

Usable Afterwards
    [Timeout]    20 s
    Deploy All

Two Errors
    Fail Twice

Some Hosts
    Fail On Some

Wrong Options
    VAR    ${DEBUG}=    maybe
    Ask Host    dut1
"""


def test_what_goes_wrong_is_told_and_leaves_the_hosts_usable(tmp_path: Path) -> None:
    folder = repository(tmp_path, "my_sut", _MODULE, {"trouble": _TROUBLE})
    code, said = run(folder, "suites")
    assert code == 4, said
    messages = {name: test.message for name, test in outcomes(folder).items()}
    assert messages["Timed Out"] == "Task timeout 1 second exceeded."
    assert messages["Usable Afterwards"] == ""
    assert messages["Two Errors"] == "Instruction 'Fail Twice' failed with 2 errors:\nValueError: number 1\nValueError: number 2"
    assert messages["Some Hosts"].startswith("Failed on 1 of 2 hosts:\nHost 'dut2' (through gateway): command 'test")
    assert messages["Wrong Options"].startswith("my_sut.RepoOptions: debug: Variable '${DEBUG}' got value 'maybe'")
    assert outcomes(folder)["Timed Out"].elapsed_time.total_seconds() < 10
    assert not [line for line in said.splitlines() if "never awaited" in line or "Traceback" in line], said


_SECRETS = """
Log In
    VAR    ${key: Secret}=    %{INSTRUCTION_KEY}
    ${options}=    Load Options    my_sut.SecretOptions
    Log    ${options}
    ${said}=    Log In    ${key}
    Should Contain    ${said}    hush

No Secret
    VAR    ${TOKEN}=    hush-in-the-clear
    Load Options    my_sut.SecretOptions
"""


def test_no_secret_of_options_or_arguments_is_in_the_log(tmp_path: Path) -> None:
    folder = repository(tmp_path, "my_sut", _MODULE, {"secrets": _SECRETS})
    code, said = run(folder, "--loglevel", "TRACE", "--variable", "TOKEN: Secret:hush-option", "suites")
    assert code == 1, said
    found = outcomes(folder)
    assert found["Log In"].passed, found["Log In"].message
    sentence = "my_sut.SecretOptions: token: variable ${TOKEN} has a value that is not a Secret."
    assert found["No Secret"].message.startswith(sentence)
    for name in ("output.xml", "log.html"):
        text = (folder / "results" / name).read_text()
        assert "hush-option" not in text
        assert "hush-from-env" not in text
    # A value in the clear is in the suite itself; what the library says of it is not.
    assert "hush" not in found["No Secret"].message
    load = next(keyword for keyword in found["No Secret"].body if keyword.name == "Load Options")
    assert not [message for message in load.messages if "hush" in message.message]


def test_a_dry_run_knows_instructions_and_runs_none(tmp_path: Path) -> None:
    suite = "Right\n    Wait For Ever\n\nWrong\n    Deploy All    a    b    c\n\nUnknown\n    Deploy Some\n"
    folder = repository(tmp_path, "my_sut", _MODULE, {"dry": suite})
    code, said = run(folder, "--dryrun", "suites")
    assert code == 2, said
    found = outcomes(folder)
    assert found["Right"].passed
    assert found["Wrong"].message == "Keyword 'OttoLibrary.Deploy All' expected 0 to 1 non-named arguments, got 3."
    assert found["Unknown"].message.startswith("No keyword with name 'Deploy Some' found.")


def test_libdoc_shows_instructions(tmp_path: Path) -> None:
    folder = repository(tmp_path, "my_sut", _MODULE, {})
    code, said = python(folder, "robot.libdoc", "OttoLibrary", "library.json")
    assert code == 0, said
    keywords = {keyword["name"]: keyword for keyword in json.loads((folder / "library.json").read_text())["keywords"]}
    found = keywords["Deploy All"]
    assert [argument["repr"] for argument in found["args"]] == ["product: str = fw", "*", "debug: bool = False"]
    assert found["shortdoc"] == "Brings a product to all hosts."
    assert found["tags"] == ["Instruction"]
    assert found["returnType"]["name"] == "dict"
    assert Path(found["source"]) == folder / "python" / "my_sut.py"
    assert (folder / "python" / "my_sut.py").read_text().splitlines()[found["lineno"] - 1] == "@instruction()"
    assert keywords["Ask Host"]["tags"] == ["ask", "Instruction"]
    assert [argument["repr"] for argument in keywords["Ask Host"]["args"]] == ["first: str", "*more: str", "**rest: int"]


_CLASH = "from OttoLibrary import instruction\n@instruction()\ndef {name}(): ...\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1 / 0\n", [".otto/settings.toml", "module 'my_broken' cannot be imported", "ZeroDivisionError", "line 1", "@ init"]),
        (
            _CLASH.format(name="load_lab"),
            ["Instruction 'Load Lab' (", "my_broken.py:2) has the name of a keyword of the library (", "keywords/lab.py:"],
        ),
        (
            _CLASH.format(name="deploy") + _CLASH.format(name="deploy_"),
            [".otto/settings.toml", "Instruction 'Deploy' (", "my_broken.py:5) has the name of another one (", "my_broken.py:2)"],
        ),
    ],
    ids=["import", "keyword", "instruction"],
)
def test_a_mistake_in_an_init_module_is_told_and_nothing_passes(tmp_path: Path, text: str, parts: list[str]) -> None:
    folder = repository(tmp_path, "my_broken", text, {"suite": "Runs\n    Get Hosts\n"})
    code, said = run(folder, "suites")
    assert code == 1, said
    error = next(line for line in said.replace("\n", " ").split("[ ERROR ]") if "OttoLibrary" in line)
    assert all(part in error for part in parts), said
    assert outcomes(folder)["Runs"].message.startswith("No keyword with name 'Get Hosts' found.")


def test_suites_of_two_repositories_in_one_run_have_their_own_instructions(tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = f"from OttoLibrary import instruction\n@instruction()\ndef say_{name}(): return '{name}'\n"
        suite = f"Say\n    ${{said}}=    Say {name.title()}\n    Should Be Equal    ${{said}}    {name}\n"
        repository(tmp_path / name, f"my_{name}", text, {"suite": suite})
    code, said = run(tmp_path, "one/suites", "two/suites")
    assert code == 0, said


def test_a_broken_init_module_of_a_later_suite_fails_that_suite(tmp_path: Path) -> None:
    for name, text in (("one", ""), ("two", "raise ValueError('no ${variable}')\n")):
        repository(tmp_path / name, f"my_{name}", text, {"suite": "Runs\n    Get Hosts\n"})
    code, said = run(tmp_path, "one/suites", "two/suites")
    assert code == 1, said
    first, second = ExecutionResult(tmp_path / "results" / "output.xml").suite.all_tests
    assert first.passed
    assert second.message.startswith("Parent suite setup failed:\ntwo/.otto/settings.toml: module 'my_two' cannot be imported:")
    assert "no ${variable}" in second.message


def test_the_command_line_lists_instructions_and_options(tmp_path: Path) -> None:
    folder = repository(tmp_path, "my_sut", _MODULE, {})
    module = folder / "python" / "my_sut.py"
    lines = module.read_text().splitlines()
    code, said = python(tmp_path, "OttoLibrary", "instructions", str(folder / "python"))
    assert code == 0, said
    line = lines.index('async def deploy_all(hosts: Hosts, product: str = "fw", *, debug: bool = False) -> dict[str, str]:')
    assert (
        f"Deploy All    product: str = fw, *, debug: bool = False\n    Brings a product to all hosts.\n    {module}:{line}\n"
        in said
    )
    assert "Ask Host    first: str, *more: str, **rest: int\n    (no documentation)\n    Options: my_sut.RepoOptions\n" in said
    code, said = python(folder, "OttoLibrary", "options")
    assert code == 0, said
    assert re.search(
        r"^my_sut\.RepoOptions\nVARIABLE +TYPE +DEFAULT +HELP\n\$\{DEBUG\} +bool +False +With debug symbols\.$", said, re.M
    )
    assert re.search(r"^my_sut\.SecretOptions$", said, re.M)
    code, said = python(folder, "OttoLibrary", "options", "my_sut.SecretOptions")
    assert code == 0, said
    assert re.search(r"^\$\{TOKEN\} +Secret \| None +None +Key of the server\.$", said, re.M)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["instructions"], "There are no instructions (no .otto/settings.toml here or above)."),
        (["instructions", "nowhere"], "There is no folder '"),
        (["options"], "There are no instructions (no .otto/settings.toml here or above)."),
        (["options", "no_sut.Options"], "There is no module 'no_sut' for options."),
    ],
)
def test_the_command_line_says_what_is_missing(tmp_path: Path, words: list[str], sentence: str) -> None:
    code, said = python(tmp_path, "OttoLibrary", *words)
    assert code == 2
    assert said.startswith(sentence), said


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "instructions.md").read_text()
    files = re.findall(r"`([\w./]+\.(?:toml|py|robot))`[^`]*?:\n\n```\w+\n(.*?)```", page, re.DOTALL)
    assert [path for path, _ in files] == [".otto/settings.toml", "python/my_sut.py", "suites/deploy.robot"]
    for path, text in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    commands = re.findall(r"^(robot|python -m OttoLibrary) (.*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) == 4
    for program, words in commands:
        module = "robot" if program == "robot" else "OttoLibrary"
        code, said = python(tmp_path, module, *words.split())
        assert code == 0, said
    code, said = python(tmp_path, "robot", "--rpa", "--variable", "LAB:demo", "suites")
    assert code == 0, said


def test_the_command_of_the_example_suites_runs(tmp_path: Path) -> None:
    suites = str(ROOT / "suites" / "instructions")
    code, said = run(tmp_path, "--variable", "LAB:demo", "--variable", "DEBUG:yes", "--task", "Deploy", suites)
    assert code == 0, said
    assert list(outcomes(tmp_path)) == ["Deploy"]

"""Output that is longer than memory keeps: its ends are the result, and all of it is a file beside the log."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from tests.robot.running import run

_SUITE = r"""*** Settings ***
Library     OttoLibrary    lab=bench.json    {options}

*** Test Cases ***
Long Output Is Kept
    ${{result}}=    Run On Host    box    seq 1 400000; echo "<script>$PW</script>"
    Should Start With    ${{result.stdout}}    1\n2\n
    Set Test Message    ${{result.stdout_file}}

Endless Errors Are Kept
    Run Keyword And Expect Error    *did not finish*    Run On Host    box    yes oops >&2    timeout=1 s

What Ends With Robot's Time Is Kept
    [Timeout]    3 s
    Run On Host    box    yes    timeout=60 s

Many Hosts
    Run On Hosts    box    seq 1 400000

In The Background
    ${{command}}=    Start On Host    box    seq 1 400000
    Wait For Command    ${{command}}
"""
_LAB = '{"hosts": {"box": {"transport": "local", "environment": {"PW": "${env:TOP_SECRET}"}}}}'


def _run(folder: Path, options: str) -> tuple[dict[str, str], dict[str, list[Path]]]:
    (folder / "bench.json").write_text(_LAB)
    done = run(folder, _SUITE.format(options=options), TOP_SECRET="hunter22")
    folders = {
        path.name.partition("-s1-")[0]: sorted(path.iterdir()) for path in (done.folder / "otto").iterdir() if path.is_dir()
    }
    linked = [done.folder / unquote(address) for address in re.findall(r'href="([^"]*)"', done.html)]
    assert all(file in linked for files in folders.values() for file in files)
    return {name: test.message for name, test in done.tests.items()}, folders


def test_all_of_a_long_output_is_in_the_artifacts_and_linked(tmp_path: Path) -> None:
    messages, folders = _run(tmp_path, "output_limit=1 MiB")
    (file,) = folders["Long_Output_Is_Kept"]
    assert str(file) == messages["Long Output Is Kept"]
    assert file.suffix == ".txt"
    assert file.read_text() == "".join(f"{number}\n" for number in range(1, 400001)) + "<script><secret></script>\n"
    for name in ("Many_Hosts", "In_The_Background"):
        (file,) = folders[name]
        assert file.read_text().count("\n") == 400000
    (file,) = folders["Endless_Errors_Are_Kept"]
    assert file.name == "box-stderr-1.txt"
    assert set(file.read_text().split()) <= {"oops", "o", "oo", "oop"}
    (file,) = folders["What_Ends_With_Robot_s_Time_Is_Kept"]
    assert file.stat().st_size > 1 << 20


def test_the_file_has_a_limit_of_its_own_and_says_so(tmp_path: Path) -> None:
    _, folders = _run(tmp_path, "output_limit=1 MiB    output_file_limit=2 MiB")
    (file,) = folders["Endless_Errors_Are_Kept"]
    text = file.read_text()
    assert text.endswith("\n[... the file ends here: it has 2.0 MiB, its limit ...]\n")
    assert len(text) < (2 << 20) + 100
    assert "The file below has the beginning of it." in (tmp_path / "results" / "output.xml").read_text()


def test_without_a_file_limit_there_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".otto").mkdir()
    settings = 'name = "sut"\nversion = "1.0.0"\n[output]\nlimit = "1 MiB"\nfile_limit = 0\n'
    (tmp_path / ".otto" / "settings.toml").write_text(settings)
    (tmp_path / "bench.json").write_text(_LAB)
    done = run(tmp_path, _SUITE.format(options=""), TOP_SECRET="hunter22", OTTO_SAFE_DIRECTORIES="*")
    assert "of its output were left out" in done.html
    assert [path for path in (done.folder / "otto").iterdir() if path.is_dir()] == []

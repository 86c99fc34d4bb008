"""``scenario check|show|schema``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OttoLibrary.cli.main import main


def test_check_tells_all_mistakes_of_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"events": [{"nme": 1}]}')
    assert main(["scenario", "check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("did you mean 'name'?") == 2


def test_show_prints_words_and_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "soak.json"
    file.write_text(json.dumps({"total_hours": 3, "events": [{"name": "play", "interval_min": 5}]}))
    assert main(["scenario", "show", str(file), "--times", "2", "--duration", "10 min"]) == 0
    said = capsys.readouterr().out
    assert "Scenario 'soak': 10 min, 1 event." in said
    assert "(2 times)" in said
    assert said.count("play 1") == said.count("play 2") == 1


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["total_hours"]


def test_what_is_no_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "check", str(tmp_path / "no.json")]) == 2
    assert "There is no description" in capsys.readouterr().err


def test_check_tells_every_wrong_disturbance_host_and_script_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        ({"service": "dut1 puase nginx"}, "Did you mean 'pause'?", "service"),
        ({"fill": "dut1 disk lots"}, "'lots'", "fill"),
        ({"fill": "dut1 dsk 1 MiB"}, "Did you mean 'disk'?", "fill"),
        ({"impairment": "dut1 dealy=20 ms"}, "Did you mean 'delay'?", "impairment"),
        ({"impairment": "dut1 delay=20 ms to="}, "to=", "impairment"),
        ({"clock": "dut1 soon"}, "Write 'HOST +1 h'", "clock"),
        ({"power": "pdu"}, "off=COMMAND on=COMMAND", "power"),
        ({"reboot": "dut1 dut2"}, "does not name one host", "reboot"),
        ({"load": "nofile.py"}, "there is no script 'nofile.py'", "load"),
        ({"command": "true", "hosts": "tag:dut AND ("}, "a selection has no parentheses", "hosts"),
        ({"command": "true", "hosts": "tag:dut AND"}, "selects no hosts", "hosts"),
        ({"command": "true", "hosts": "dut1 ADN dut2"}, "did you mean 'AND'?", "hosts"),
        ({"command": "true", "hosts": "tga:dut"}, "did you mean 'tag:'?", "hosts"),
        ({"command": "true", "hosts": "dut1", "params": {"evry": 1}}, "did you mean 'every'?", "params.evry"),
        ({"service": "dut1 pause nginx", "hosts": "dut2"}, "names its host itself", "hosts"),
    ]
    events = [{"name": f"event {number}", **given} for number, (given, _, _) in enumerate(wrong)]
    file = tmp_path / "night.json"
    file.write_text(json.dumps({"duration": 1, "events": events}))
    assert main(["scenario", "check", str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    for number, (_, words, place) in enumerate(wrong):
        (line,) = [line for line in lines if f"@ events[{number}].{place}" in line]
        assert "night.json" in line
        assert words in line


def test_check_passes_what_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = [
        {"service": "dut1 pause nginx"},
        {"fill": "dut1 disk 100 MiB path=/var"},
        {"impairment": "dut1 eth0 delay=20 ms loss=1 % to=dut2"},
        {"clock": "dut1 -30 s"},
        {"power": "pdu off=outlet 1 off on=outlet 1 on"},
        {"reboot": "dut1"},
        {"load": "users.py:Buys"},
        {"load": "A Keyword"},
        {"command": "true", "hosts": "tag:dut OR dut[12] AND NOT lab:north*"},
        {"command": "true", "hosts": "NOT dut1"},
    ]
    (tmp_path / "users.py").touch()
    (tmp_path / "night.json").write_text(
        json.dumps({"duration": 1, "events": [{"name": f"event {number}", **given} for number, given in enumerate(right)]})
    )
    assert main(["scenario", "check", str(tmp_path / "night.json")]) == 0, capsys.readouterr().err

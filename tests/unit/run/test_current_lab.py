"""The lab of a run: loaded on first use, replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from OttoLibrary import registry
from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.lab.settings import Repository, Settings
from OttoLibrary.masking import Masker
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.running_suite import RunningSuite
from OttoLibrary.text import MASK


def lab_file(folder: Path, name: str, *hosts: str) -> str:
    entries = ", ".join(f'"{host}": {{"address": "192.0.2.1", "password": "pass of {host}"}}' for host in hosts)
    (folder / f"{name}.json").write_text(f'{{"hosts": {{{entries}}}}}')
    return str(folder / f"{name}.json")


def lab_of(references: str, default: str = "", masker: Masker | None = None) -> CurrentLab:
    lab = {"default": default} if default else {}
    settings = Settings((Repository(Path("settings.toml"), "sut", "1.0.0", lab=lab),))
    return CurrentLab(references, RunningSuite(read=lambda folder: settings), masker or Masker())


def test_it_is_loaded_on_first_use(tmp_path: Path) -> None:
    lab = lab_of(str(tmp_path / "bench.json"))
    lab_file(tmp_path, "bench", "dut1")
    assert lab.loaded.names() == ["dut1"]
    assert lab.loaded is lab.loaded


def test_the_settings_name_one_when_nobody_else_does(tmp_path: Path) -> None:
    lab = lab_of("", default=lab_file(tmp_path, "bench", "dut1"))
    assert lab.loaded.names() == ["dut1"]
    assert lab.references == str(tmp_path / "bench.json")


def test_without_a_name_it_says_how_to_give_one() -> None:
    with pytest.raises(UsageError, match="No lab is named"):
        _ = lab_of("").loaded


def test_reading_another_changes_nothing_until_it_replaces(tmp_path: Path) -> None:
    lab = lab_of(lab_file(tmp_path, "one", "a"))
    other = lab_file(tmp_path, "two", "b")
    read = lab.read(other)
    assert lab.loaded.names() == ["a"]
    lab.replace(other, read)
    assert (lab.loaded.names(), lab.references) == (["b"], other)


def test_one_that_cannot_be_loaded_leaves_the_present_one(tmp_path: Path) -> None:
    lab = lab_of(lab_file(tmp_path, "one", "a"))
    assert lab.loaded.names() == ["a"]
    with pytest.raises(OttoError):
        lab.read(str(tmp_path / "none.json"))
    assert lab.loaded.names() == ["a"]


def test_a_selection_of_nothing_is_an_error(tmp_path: Path) -> None:
    lab = lab_of(lab_file(tmp_path, "one", "a", "b"))
    assert lab.select("a OR b") == ["a", "b"]
    with pytest.raises(UsageError, match=r"No host of the lab is selected by 'a AND b'\."):
        lab.select("a AND b")


def test_the_secrets_of_hosts_that_nobody_used_are_masked(tmp_path: Path) -> None:
    masker = Masker()
    lab = lab_of(lab_file(tmp_path, "one", "a", "b"), masker=masker)
    assert lab.loaded.names() == ["a", "b"]
    assert masker.mask("pass of a, pass of b, pass of c") == f"{MASK}, {MASK}, pass of c"
    other = lab_file(tmp_path, "two", "c")
    lab.replace(other, lab.read(other))
    assert masker.mask("pass of c") == MASK


class Asks:
    """References that ask somebody, so that they are resolved only when they are needed."""

    asked: ClassVar[list[str]] = []

    def resolve(self, argument: str) -> str:
        self.asked.append(argument)
        return f"value of {argument}"

    def close(self) -> None:
        """Nothing is open."""


def test_references_in_any_key_are_secrets_and_those_at_hand_are_known_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setenv("METRIC_TOKEN", "metric-token")
    registry.register_reference("asks", Asks)
    (tmp_path / "secret.txt").write_text("from-a-file\n")
    host = {
        "address": "${asks:address}",
        "metrics": {"queue": {"command": "q ${env:METRIC_TOKEN}"}},
        "evidence": [{"command": f"e ${{file:{tmp_path / 'secret.txt'}}}"}, {"command": "e ${asks:evidence}"}],
    }
    other = {"address": "b", "environment": {"X": "${env:NOT_SET}"}}
    (tmp_path / "lab.json").write_text(json.dumps({"hosts": {"a": host, "b": other}}))
    masker = Masker()
    lab = lab_of(str(tmp_path / "lab.json"), masker=masker)
    assert lab.loaded.names() == ["a", "b"]
    assert masker.mask("metric-token from-a-file") == f"{MASK} {MASK}"
    assert Asks.asked == []
    lab.facts("a")
    assert masker.mask("value of evidence, value of address") == f"{MASK}, value of address"


def test_a_closed_one_is_loaded_again(tmp_path: Path) -> None:
    lab = lab_of(lab_file(tmp_path, "one", "a"))
    first = lab.loaded
    lab.close()
    lab.close()
    assert lab.loaded is not first

"""A suite once for each host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from robot.api import TestSuite
from robot.errors import DataError  # type: ignore[import-untyped]

from OttoLibrary.run.modifiers import EachHost

LAB = """{"hosts": {
    "gate": {"address": "192.0.2.1"},
    "dut1": {"address": "192.0.2.2", "tags": ["dut"]},
    "dut2": {"address": "192.0.2.3", "tags": ["dut"]}
}}"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTTO_LAB", raising=False)
    (tmp_path / "bench.json").write_text(LAB)
    return f"lab={tmp_path / 'bench.json'}"


def suite() -> Any:
    made: Any = TestSuite(name="Soak")
    made.setup.config(name="Log", args=["once"])
    for name in ("First", "Second"):
        made.tests.create(name=name, tags=["own"]).body.create_keyword(name="Log", args=["x"])
    return made


def test_each_selected_host_has_a_copy_in_the_order_of_the_lab(lab: str) -> None:
    made = suite()
    made.visit(EachHost("tag", "dut", lab))
    assert [copy.name for copy in made.suites] == ["Soak on dut1", "Soak on dut2"]
    assert not made.tests
    for copy, host in zip(made.suites, ("dut1", "dut2"), strict=True):
        assert copy.metadata["Host"] == host
        assert [sorted(test.tags) for test in copy.tests] == [[f"host:{host}", "own"]] * 2
        assert [(each.name, tuple(each.value)) for each in copy.resource.variables] == [("${HOST}", (host,))]


def test_set_up_runs_in_each_copy_and_not_around_them(lab: str) -> None:
    made = suite()
    made.visit(EachHost(lab))
    assert not made.has_setup
    assert [copy.setup.name for copy in made.suites] == ["Log"] * 3


def test_suites_in_suites_are_copied_where_they_stand(lab: str) -> None:
    top: Any = TestSuite(name="Top")
    top.suites = [suite(), suite()]
    top.visit(EachHost("dut1", lab))
    assert [child.name for child in top.suites] == ["Soak", "Soak"]
    assert [copy.name for child in top.suites for copy in child.suites] == ["Soak on dut1"] * 2


def test_an_empty_suite_needs_no_lab() -> None:
    made: Any = TestSuite(name="Empty")
    made.visit(EachHost("lab=none-such"))
    assert not made.suites


def test_a_selection_that_fits_nothing_is_refused_and_the_tests_stay(lab: str) -> None:
    made = suite()
    with pytest.raises(DataError, match="No host of the lab is selected by 'tag:none'"):
        made.visit(EachHost("tag", "none", lab))
    assert len(made.tests) == 2


@pytest.mark.parametrize(
    "words",
    [["--variable", "LAB:{}"], ["-v", "LAB:other", "-v", "LAB:{}"], ["--variable=LAB:{}"], ["-v", "LABS:x", "-v", "LAB:{}"]],
)
def test_the_command_line_names_the_lab_and_its_last_word_counts(lab: str, words: list[str], monkeypatch: Any) -> None:
    path = lab.removeprefix("lab=")
    monkeypatch.setattr("sys.argv", ["robot", *(word.format(path) for word in words), "suites"])
    made = suite()
    made.visit(EachHost("dut2"))
    assert [copy.name for copy in made.suites] == ["Soak on dut2"]

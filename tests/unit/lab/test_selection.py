"""Which hosts an expression selects."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import UnknownNameError, ValueFormatError
from OttoLibrary.lab.lab import Lab


@pytest.mark.parametrize(
    ("expressions", "names"),
    [
        ([], "gw dut1 dut2 rig"),
        (["dut2"], "dut2"),
        (["rig", "dut1"], "dut1 rig"),
        (["dut*"], "dut1 dut2"),
        (["tag:dut"], "dut1 dut2"),
        (["tag:*"], "dut1 dut2 rig"),
        (["tag:nothing"], ""),
        (["lab:bench"], "gw dut1 dut2 rig"),
        (["tag:dut AND tag:arm"], "dut1"),
        (["tag:dut NOT dut2"], "dut1"),
        (["tag:dut AND NOT dut2"], "dut1"),
        (["NOT tag:dut"], "gw rig"),
        (["NOT tag:dut NOT gw"], "rig"),
        (["gw OR tag:dut AND tag:arm"], "gw dut1"),
        (["tag:dut OR tag:rig NOT tag:arm"], "dut2"),
    ],
)
def test_selection(lab: Lab, expressions: list[str], names: str) -> None:
    assert lab.select(*expressions) == names.split()


def test_an_unknown_exact_name_is_an_error(lab: Lab) -> None:
    with pytest.raises(UnknownNameError, match=r"No host named 'dut3'\. Did you mean 'dut2'\? Known: dut1, dut2, gw, rig\."):
        lab.select("tag:dut OR dut3")


@pytest.mark.parametrize("expression", ["", "AND", "NOT", "dut1 AND", "OR dut1", "dut1 OR NOT dut2", "dut1 AND OR dut2"])
def test_half_a_selection_is_an_error(lab: Lab, expression: str) -> None:
    with pytest.raises(ValueFormatError, match="selects no hosts"):
        lab.select(expression)

"""Labs that are far too large or far too deep: bounded in time, and one sentence."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.loading import load_lab

# Processor time, several times what is needed and a fraction of what it was.
LONG_S = 10


def load(folder: Path, content: Any) -> list[str]:
    """Return the names of a lab's hosts, or its mistakes."""
    file = folder / "huge.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    before = time.process_time()
    try:
        found = load_lab(str(file)).names()
    except LabError as error:
        found = list(error.problems)
    assert time.process_time() - before < LONG_S
    return found


def test_four_thousand_hosts_behind_one_hop_load_quickly(tmp_path: Path) -> None:
    duts = {f"dut{number}": {"address": "d", "hop": "gw"} for number in range(4000)}
    assert len(load(tmp_path, {"hosts": {"gw": {"address": "g"}, **duts}})) == 4001


def test_a_chain_of_five_thousand_hops_is_one_sentence(tmp_path: Path) -> None:
    hosts = {f"h{number}": {"address": "a", **({"hop": f"h{number - 1}"} if number else {})} for number in range(5000)}
    for order in (hosts, dict(reversed(hosts.items()))):
        (problem,) = load(tmp_path, {"hosts": order})
        assert problem.endswith("host 'h17' is behind 17 hops, and 16 are the most that a host can have @ hosts.h17.hop")


def test_a_circle_of_five_thousand_hops_is_one_short_sentence(tmp_path: Path) -> None:
    hosts = {f"h{number}": {"address": "a", "hop": f"h{(number + 1) % 5000}"} for number in range(5000)}
    (problem,) = load(tmp_path, {"hosts": hosts})
    assert "the hops run in a circle: h0 -> h1 -> " in problem
    assert " -> 4984 more -> h0 @ hosts.h0.hop" in problem


def test_duplicate_keys_in_a_huge_lab_are_found_quickly(tmp_path: Path) -> None:
    hosts = ",".join(f'"h{number}": {{"address": "a"}}' for number in range(30_000))
    problems = load(tmp_path, f'{{"hosts": {{{hosts}, "h0": {{"address": "b"}}, "h1": {{"address": "b"}}}}}}')
    assert [problem.partition(": ")[2] for problem in problems] == ["duplicate key 'h0' @ hosts", "duplicate key 'h1' @ hosts"]


def test_a_mistake_in_every_host_is_a_bounded_message(tmp_path: Path) -> None:
    hosts = {f"dut{number}": {"adress": "a", "hop": "gatewy"} for number in range(5000)}
    problems = load(tmp_path, {"hosts": {"gateway": {"address": "g"}, **hosts}})
    assert len(problems) == 15_000
    with pytest.raises(LabError, match=r"The lab has 15000 mistakes, the first 50 are:\n"):
        load_lab(str(tmp_path / "huge.json"))


def test_a_value_full_of_beginnings_of_references_ends(tmp_path: Path) -> None:
    text = "${env:" * 200_000
    assert load(tmp_path, {"hosts": {"dut1": {"address": "a", "metadata": {"x": text}, "environment": {"A": text}}}}) == ["dut1"]


def test_keys_of_a_megabyte_are_a_bounded_message(tmp_path: Path) -> None:
    problems = load(tmp_path, {"hosts": {"dut1": {"address": "a", **{f"{number}{'x' * 1_000_000}": 1 for number in range(10)}}}})
    assert len(problems) == 10


def test_an_unknown_host_of_a_huge_lab_is_a_short_sentence(tmp_path: Path) -> None:
    load(tmp_path, {"hosts": {f"dut{number}": {"address": "a"} for number in range(20_000)}})
    lab = load_lab(str(tmp_path / "huge.json"))
    with pytest.raises(LookupError, match=r"No host named 'dutt7'\. Did you mean '.*'\? Known: .*, and 19970 more\.$"):
        lab.select("dutt7")

"""Load plans: all keys of OCT, all mistakes at once, and the same from arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import OttoError
from OttoLibrary.load.plan import LoadPlanError, parse_rate, parse_stages, read_project, shape, without_comments

TURRET = {"name": "navigation", "cannons": 2, "rampup": 5, "script": "test_scripts/v_user.py"}
LEAST: dict[str, Any] = {"run_time": 30, "results_ts_interval": 10, "testing": False, "progress_bar": True, "turrets": [TURRET]}


def project(folder: Path, text: str) -> Path:
    (folder / "config.json").write_text(text)
    return folder


def test_every_key_of_oct_is_known(tmp_path: Path) -> None:
    (tmp_path / "second.json").write_text(json.dumps({**TURRET, "name": "second", "special": [1]}))
    whole = {
        **LEAST,
        "turrets": [TURRET, "second.json"],
        "console_logging": False,
        "hq_address": "127.0.0.1",
        "publish_port": 6000,
        "rc_port": 6001,
        "external_publisher": 6002,
        "min_turrets": 0,
        "turrets_requirements": ["requests"],
        "extra_turret_config": {"url": "http://x"},
        "hq_class": "oct.core.hq.HightQuarter",
        "results_database": {"db_uri": "default", "params": {}, "insert_limit": 150},
    }
    plan = read_project(project(tmp_path, json.dumps(whole)))
    assert (plan.publish_port, plan.rc_port, plan.external_publisher, plan.min_turrets) == (6000, 6001, 6002, 0)
    assert plan.turrets[1]["special"] == [1]
    assert plan.extra == {"url": "http://x"}


def test_comments_are_left_out_and_strings_kept(tmp_path: Path) -> None:
    text = json.dumps({**LEAST, "extra_turret_config": {"url": "http://x//y"}}).replace('"run_time"', '// a "comment\n"run_time"')
    assert read_project(project(tmp_path, text)).extra == {"url": "http://x//y"}
    assert without_comments(b'{"a": 1} // b\n') == b'{"a": 1}     \n'


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    wrong = {**LEAST, "run_tim": 3, "rc_port": 70000, "turrets": [{"name": "a", "cannons": 0}], "limits": ["p95<3"]}
    del wrong["testing"]
    with pytest.raises(LoadPlanError) as caught:
        read_project(project(tmp_path, json.dumps(wrong)))
    said = str(caught.value)
    for word in (
        "unknown key 'run_tim'",
        "'testing' is missing",
        "rc_port",
        "turrets[0].cannons",
        "'script' is missing",
        "no unit",
    ):
        assert word in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run_time": 0}, "longer than 0"),
        ({"turrets": [TURRET, TURRET]}, "two turrets are called 'navigation'"),
        ({"turrets": ["missing.json"]}, "cannot be read"),
        ({"hq_class": "my.Hq"}, "another HQ"),
        ({"results_database": {"db_uri": "postgres://x"}}, "only 'default'"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(LoadPlanError) as caught:
        read_project(project(tmp_path, json.dumps({**LEAST, **change})))
    assert said in str(caught.value)


def test_a_file_that_is_no_json_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(LoadPlanError, match="line 2"):
        read_project(project(tmp_path, '{\n"a" 1}'))


def test_users_with_a_ramp() -> None:
    found = shape(users=50, ramp="10 s", duration="2 min")
    assert found.firing["stages"] == [(10, 50), (110, 50)]
    assert found.phases == (("ramp", 0, 10), ("steady", 10, 120))
    assert found.users == 50


def test_users_at_once_are_steady_from_the_start() -> None:
    assert shape(users=5, duration=10).phases == (("steady", 0, 10),)


def test_stages_go_up_and_down() -> None:
    found = shape(stages="50 in 10 s, 50 for 1 min, 0 in 10 s")
    assert found.firing["stages"] == [(10, 50), (60, 50), (10, 0)]
    assert [name for name, _, _ in found.phases] == ["ramp", "steady", "ramp-down"]
    assert parse_stages("20 for 5 s") == [(0, 20), (5, 20)]


def test_a_rate_is_of_the_open_model() -> None:
    found = shape(rate="600/min", duration=10, users=30)
    assert (found.firing["model"], found.firing["all_users"], found.firing["stages"]) == ("open", 30, [(0, 10), (10, 10)])
    assert parse_rate("3600/h") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"users": 5}, "how long"),
        ({"users": 0, "duration": 5}, "cannot be 0 users"),
        ({"users": 5, "duration": 5, "ramp": 6}, "longer than the load"),
        ({"users": 5, "stages": "5 for 1 s", "duration": 5}, "Leave out"),
        ({"rate": "fast", "duration": 5}, "is not a rate"),
        ({"stages": "5 of 1 s"}, "is not a stage"),
        ({"stages": "0 for 1 s"}, "is empty"),
        ({"rate": "5/s", "duration": 5, "pacing": 1}, "closed model"),
        ({"rate": "5/s", "iterations": 5}, "closed model"),
        ({"users": 5, "duration": 5, "think_time": "3 s..1 s"}, "longer than the second"),
        ({"users": 5, "duration": "soon"}, "is not a duration"),
    ],
)
def test_what_makes_no_load_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(OttoError) as caught:
        shape(**arguments)
    assert said in str(caught.value)

"""Descriptions: files of pytest-orchestration as they are, our additions, and every mistake at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from OttoLibrary.errors import ScenarioError, UsageError
from OttoLibrary.scenario import description

# As the page of pytest-orchestration shows one, with its comments.
PAGE = """{
  "test_name": "my_orchestration_test",             // Name of the test
  "total_hours": 3,                                 // "hours"
  "unref_setup_fixtures": ["device_with_collectd"], // A list
  "events": [                                       // All "events"
    {
      "name": "start_playback",  // Mandatory
      "interval_sec": 300,
      "at_startup": true,
      "at_teardown": false,
      "params":{                 // Optional
        "video_path": "/home/orch-tests//high_res_clip.mp4"
      }
    },
    { "name": "start_streamer", "at_startup": true },
    { "name": "collect_system_report", "at_startup": false, "at_teardown": true }
  ]
}"""


def written(folder: Path, content: Any) -> Path:
    file = folder / "soak.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def mistakes(folder: Path, content: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        description.read(written(folder, content))
    return [problem.partition(": ")[2] for problem in caught.value.problems]


def test_the_description_of_their_page_loads_as_it_is(tmp_path: Path) -> None:
    found = description.read(written(tmp_path, PAGE))
    scenario = found.scenario
    assert (scenario.name, scenario.duration_s, scenario.setup) == ("my_orchestration_test", 10800.0, ("device_with_collectd",))
    playback, streamer, report = scenario.events
    assert (playback.every_s, playback.at_startup, playback.at_teardown) == (300.0, True, False)
    assert playback.params == {"video_path": "/home/orch-tests//high_res_clip.mp4"}
    assert (streamer.every_s, streamer.at_startup) == (None, True)
    assert (report.at_startup, report.at_teardown) == (False, True)
    assert not found.notes


@pytest.mark.parametrize(("key", "factor"), [("interval_sec", 1), ("interval_min", 60), ("interval_hour", 3600)])
def test_intervals_in_each_unit_and_zero_for_none(tmp_path: Path, key: str, factor: int) -> None:
    events = [{"name": "a", key: 2}, {"name": "b", key: 0}]
    first, second = description.read(written(tmp_path, {"total_hours": 1, "events": events})).scenario.events
    assert (first.every_s, second.every_s) == (2.0 * factor, None)


def test_two_slashes_in_a_text_are_no_comment_and_lines_stay(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, '{ // a "comment"\n  "duration": "5 s", "url": "a//b", // b\n  "events": [}')
    assert found.startswith("bad JSON")
    assert "@ line 3, column 14" in found


def test_all_mistakes_are_told_at_once_with_their_paths_and_near_names(tmp_path: Path) -> None:
    events = [
        {"nme": "x", "every": "5 parsecs"},
        {"name": "a", "interval_sec": 3, "every": 4, "depends_on": ["bb"], "phase": "rmp"},
        {"name": "b", "cron": "@reboot", "on_error": "stp"},
        {"name": "c", "for": 3},
        {"name": "d", "command": "x", "keyword": "y"},
        {"name": "e", "every": 5, "jitter": 5, "time_zone": "UTC"},
        {"name": "f", "every": 5, "for": 5, "impairment": "dut1 delay=1 ms"},
        5,
    ]
    found = mistakes(tmp_path, {"total_hours": 1, "duration": 2, "evnts": [], "phases": {"ramp": "1 s"}, "events": events})
    for expected in (
        "unknown key 'evnts' @ top level (did you mean 'events'?)",
        "'total_hours' and 'duration' both say how long it takes; write one of them @ top level",
        "unknown key 'nme' @ events[0] (did you mean 'name'?)",
        "'name' is missing @ events[0]",
        "'5 parsecs' is not a duration such as 10, '500ms' or '1 min 30 s' @ events[0].every",
        "'interval_sec' and 'every' both say when it is due; write one of them @ events[1]",
        "no event is called 'bb' @ events[1].depends_on (did you mean 'b'?)",
        "no phase is called 'rmp' @ events[1].phase (did you mean 'ramp'?)",
        "'@reboot' is no time of a clock. Leave 'cron' out: an event is due at the start by itself @ events[2].cron",
        "'stp' is not one of continue, fail, stop @ events[2].on_error (did you mean 'stop'?)",
        "what lasts needs an 'undo', the keyword or command that ends it @ events[3].for",
        "'keyword' and 'command' both say what it does; write one of them @ events[4]",
        "'command' needs 'hosts', a selection of where it runs @ events[4]",
        "5 s may be later than the next time, 5 s after this one @ events[5].jitter",
        "a time zone is for 'cron', and there is none @ events[5].time_zone",
        "it lasts 5 s, and is due again after 5 s @ events[6].for",
        "a number is not an object @ events[7]",
    ):
        assert expected in found
    assert len(found) == 17


@pytest.mark.parametrize("content", ["[]", "3", "", "{}", '{"events": []}', '{"events": null}', "\xff", '{"events": {}}'])
def test_what_is_no_description_is_a_sentence(tmp_path: Path, content: str) -> None:
    assert mistakes(tmp_path, content)


def test_events_that_wait_for_each_other_are_a_mistake(tmp_path: Path) -> None:
    events = [{"name": "a", "depends_on": "b"}, {"name": "b", "depends_on": "c"}, {"name": "c", "depends_on": "a"}]
    assert mistakes(tmp_path, {"duration": 1, "events": events}) == ["the events wait for each other: a -> b -> c -> a @ events"]


def test_what_is_never_due_is_noted_and_no_mistake(tmp_path: Path) -> None:
    events = [{"name": "never", "at_startup": False}, {"name": "late", "every": 9, "at_startup": False}]
    found = description.read(written(tmp_path, {"duration": "5 s", "events": events}))
    assert [note.split("'")[1] for note in found.notes] == ["never", "late"]


def test_a_function_that_comes_twice_is_two_events(tmp_path: Path) -> None:
    events = [{"name": "play", "params": {"a": 1}}, {"name": "play", "params": {"a": 2}}]
    first, second = description.read(written(tmp_path, {"duration": 1, "events": events})).scenario.events
    assert (first.name, second.name, second.target) == ("play", "play #2", "play")


def test_phases_follow_each_other_and_give_the_duration(tmp_path: Path) -> None:
    values = {"phases": {"ramp": "1 min", "steady": "10 min"}, "events": [{"name": "a", "phase": "steady", "every": 60}]}
    scenario = description.read(written(tmp_path, values)).scenario
    assert scenario.duration_s == 660.0
    assert scenario.window(scenario.events[0]) == (60.0, 660.0)


def test_shell_text_keeps_its_dollars(tmp_path: Path) -> None:
    events = [{"name": "a", "command": "echo ${HOME:-x}", "hosts": "dut1"}]
    assert description.read(written(tmp_path, {"duration": 1, "events": events})).scenario.events[0].target == "echo ${HOME:-x}"


def test_a_folder_has_its_descriptions_and_other_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.json", "deep/a.json", "readme.md"):
        (tmp_path / name).write_text("{}")
    assert [file.name for file in description.files_in(tmp_path)] == ["b.json", "a.json"]
    with pytest.raises(UsageError, match="no description"):
        description.files_in(tmp_path / "nowhere")


def test_the_schema_takes_what_the_reader_takes() -> None:
    validator = jsonschema.Draft202012Validator(description.schema())
    validator.validate(json.loads(description.without_comments(PAGE)))
    assert not validator.is_valid({"events": [{"nme": "x"}]})


def test_mistakes_behind_broken_events_have_their_own_places(tmp_path: Path) -> None:
    broken: list[Any] = [{"name": "first"}, 5, None, "x", [], {"name": "odd", "on_error": "stp"}]
    last = {"name": "last", "depends_on": ["frst", "odd"], "phase": "rmp", "cron": "* * * * *", "time_zone": "Mars/Base"}
    found = mistakes(tmp_path, {"duration": 9, "phases": {"ramp": 1}, "events": [*broken, {"name": "b", "every": "1 us"}, last]})
    assert "no event is called 'frst' @ events[7].depends_on (did you mean 'first'?)" in found
    assert "no phase is called 'rmp' @ events[7].phase (did you mean 'ramp'?)" in found
    assert "There is no time zone 'Mars/Base'. Write one such as 'Europe/Berlin' or 'UTC' @ events[7].time_zone" in found
    assert "1e-06 s from start to start is too short; write 1 ms or more @ events[6].every" in found
    assert not [problem for problem in found if "'odd'" in problem]

"""What a scenario would do, in words and times."""

from __future__ import annotations

import pytest

from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent
from OttoLibrary.scenario.plan_text import clock_text, span_text, times, words


@pytest.mark.parametrize(
    ("length_s", "text"), [(10800, "3 h"), (5400, "1 h 30 min"), (2.5, "2.5 s"), (0.02, "20 ms"), (0, "0 s"), (61, "1 min 1 s")]
)
def test_spans(length_s: float, text: str) -> None:
    assert span_text(length_s) == text


def test_clock() -> None:
    assert [clock_text(at) for at in (0, 300, 3661.25, 0.9999)] == ["0:00:00", "0:05:00", "1:01:01.250", "0:00:01"]


def test_words_name_everything_that_was_described() -> None:
    play = ScenarioEvent("play", every_s=300.0, params={"video": "a.mp4"}, phase="steady", timeout_s=9.0, overlap="queue")
    link = ScenarioEvent("link", "impairment", "dut1 delay=1 ms", every_s=60.0, lasts_s=5.0, on_error="stop", max_failures=2)
    scenario = Scenario("soak", 3600.0, (play, link), (Phase("ramp", 0, 600), Phase("steady", 600, 3600)), ("install",))
    said = "\n".join(words(scenario, 0.0))
    for part in (
        "Scenario 'soak': 1 h, 2 events.",
        "Before all: install.",
        "Phase 'steady': from 0:10:00 to 1:00:00.",
        "play: calls 'play', at the start and every 5 min (10 times); video=a.mp4; only in phase 'steady'; at most 9 s each",
        "link: impairment 'dut1 delay=1 ms', at the start and every 1 min (60 times); lasts 5 s; a failure ends the scenario",
    ):
        assert part in said


def test_times_are_in_the_order_of_the_schedule() -> None:
    events = (
        ScenarioEvent("a", every_s=2.0),
        ScenarioEvent("b", every_s=3.0),
        ScenarioEvent("c", at_startup=False, at_teardown=True),
    )
    found = [line.split()[0] + " " + " ".join(line.split()[-2:]) for line in times(Scenario("s", 5.0, events), 0.0, 10)]
    assert found == ["0:00:00 a 1", "0:00:00 b 1", "0:00:02 a 2", "0:00:03 b 2", "0:00:04 a 3", "at end c"]


def test_a_terminal_is_not_steered_by_a_description() -> None:
    event = ScenarioEvent("\x1b]0;x\x07a", params={"v": "\x1b[2J"})
    assert "\x1b" not in "\n".join([*words(Scenario("\x1bs", 1.0, (event,)), 0.0), *times(Scenario("s", 1.0, (event,)), 0.0, 3)])

"""Functions that events call."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import PluginError
from OttoLibrary.scenario import functions
from OttoLibrary.scenario.functions import find, mistake, scenario_event, takes


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_functions", {})


def test_a_function_is_found_by_its_name_or_the_one_it_was_given() -> None:
    @scenario_event
    def start_playback(video: str, kill_switch: object) -> None:
        pass

    @scenario_event(name="Report It")
    def other() -> None:
        pass

    assert find("Start Playback") is start_playback
    assert find("report_it") is other
    assert find("other") is None
    assert takes(start_playback, "kill_switch")
    assert mistake(start_playback, {"video": "x"}, {"kill_switch", "reporter"}) == ""
    assert "missing a required argument: 'video'" in mistake(start_playback, {}, {"kill_switch"})
    assert "unexpected keyword argument 'vido'" in mistake(start_playback, {"video": 1, "vido": 2}, {"kill_switch"})


def test_a_name_has_one_owner() -> None:
    def make(where: str) -> object:
        def same() -> None:
            pass

        same.__qualname__ = where
        return same

    scenario_event(make("here"))  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="Two functions are called 'same'"):
        scenario_event(make("there"))  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="is for functions"):
        scenario_event(3)  # type: ignore[call-overload]

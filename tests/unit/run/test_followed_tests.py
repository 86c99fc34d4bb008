"""Those who show the tests of a run hear of each, and of the one that runs already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from OttoLibrary.run.followed_tests import FollowedTests


def test_a_follower_hears_of_beginning_and_end() -> None:
    tests, heard = FollowedTests(), list[Mapping[str, Any]]()
    tests.follow(heard.append)
    tests.tell("Suite.Test", 10.0, None, "RUNNING")
    tests.tell("Suite.Test", 10.0, 12.0, "PASS")
    assert heard == [
        {"name": "Suite.Test", "began": 10.0, "ended": None, "status": "RUNNING", "link": ""},
        {"name": "Suite.Test", "began": 10.0, "ended": 12.0, "status": "PASS", "link": ""},
    ]


def test_one_that_comes_late_hears_of_the_test_that_runs() -> None:
    tests, heard = FollowedTests(), list[Mapping[str, Any]]()
    tests.tell("A", 1.0, None, "RUNNING")
    tests.tell("A", 1.0, 2.0, "PASS")
    tests.tell("B", 3.0, None, "RUNNING")
    tests.follow(heard.append)
    assert [test["name"] for test in heard] == ["B"]


def test_between_tests_there_is_nothing_to_hear() -> None:
    tests, heard = FollowedTests(), list[Mapping[str, Any]]()
    tests.tell("A", 1.0, None, "RUNNING")
    tests.tell("A", 1.0, 2.0, "PASS")
    tests.follow(heard.append)
    assert heard == []


def test_one_that_left_hears_nothing() -> None:
    tests, heard = FollowedTests(), list[Mapping[str, Any]]()
    tests.follow(heard.append)
    tests.leave(heard.append)
    tests.tell("A", 1.0, None, "RUNNING")
    assert heard == []

"""What an environment says about the life of its devices, and its mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.testbed.bench_plan import plan
from tests.unit.testbed.benches import environment, planned


def test_a_device_has_its_role_limits_and_attempts() -> None:
    device = {"name": "a", "role": "server", "boot_attempts": 3, "timeouts": {"boot": "5 s"}}
    one = planned(device, timeouts={"boot": 1, "server_configure": "7 s"}).devices["a"]
    assert (one.role, one.boot_attempts) == ("server", 3)
    assert [one.limit_s(hook) for hook in ("boot", "configure", "validate")] == [5, 7, 60]


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ({"type": "tracd"}, "inv.json: device type 'tracd' of 'a' is not known, known are "),
        ({"role": "serverr"}, "inv.json: 'serverr' is not "),
        ({"depends_on": ["bb"]}, "inv.json: device 'a' depends on 'bb', which is no device of the environment @ a.depends_on"),
        ({"depends_on": "a"}, "inv.json: device 'a' depends on itself @ a.depends_on"),
        ({"depends_on": ["b"]}, "inv.json: the devices depend on each other in a circle: a -> b -> a @ a.depends_on"),
        ({"timeouts": {"bot": 1}}, "inv.json: 'bot' is not "),
        ({"boot_attempts": 0}, "inv.json: 0 is not a number from 1 on @ a.boot_attempts"),
        ({"boot_attempts": 99}, "inv.json: 20 attempts are the most @ a.boot_attempts"),
        ({"power": "on"}, "inv.json: text is not an object @ a.power"),
        ({"power": {"pdudaemon": "http://x", "on": "y"}}, "inv.json: exactly one way to switch 'a' is needed"),
    ],
)
def test_a_mistake_is_named_where_it_is_written(device: dict[str, Any], problem: str) -> None:
    planned({"name": "x"})
    problems: list[str] = []
    plan(environment({"name": "a", **device}, {"name": "b", "depends_on": "a"}), problems)
    assert any(one.startswith(problem) for one in problems), problems


def test_a_wrong_limit_of_the_environment_is_named_there() -> None:
    problems: list[str] = []
    plan(environment(timeouts={"boot": "soon"}), problems)
    assert [problem.split(" @ ")[1] for problem in problems] == ["timeouts.boot"]

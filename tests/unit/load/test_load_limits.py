"""Limits on a load: how they are written, what breaks them, and when they end a run."""

from __future__ import annotations

import math

import pytest

from OttoLibrary.errors import UnknownNameError, UsageError
from OttoLibrary.load.load_limits import AbortWatch, LoadLimit, judge, parse_limits
from OttoLibrary.load.result_store import LoadPhase
from OttoLibrary.load.second import Second
from OttoLibrary.load.turret.batches import RESPONSE


def second(at: int, good: int = 0, bad: int = 0, took: float = 0.1, kind: str = RESPONSE) -> Second:
    made = Second(at, failed=bad)
    for _ in range(good + bad):
        made.histogram(RESPONSE).add(took)
        if kind != RESPONSE:
            made.histogram(kind).add(took)
    return made


@pytest.mark.parametrize(
    ("text", "kind", "statistic", "value", "window_s", "phase"),
    [
        ("p(95)<300ms", "response", "p95", 0.3, 0, ""),
        ("p95 < 300 ms", "response", "p95", 0.3, 0, ""),
        ("p(99.9)<=1.5s", "response", "p99.9", 1.5, 0, ""),
        ("checkout:p(99)<1s", "timer:checkout", "p99", 1.0, 0, ""),
        ("a/b <script>:max<2 min", "timer:a/b <script>", "max", 120.0, 0, ""),
        ("error_rate<1% window=10s phase=steady", "response", "error_rate", 0.01, 10, "steady"),
        ("error_rate<0.05 window=1 min", "response", "error_rate", 0.05, 60, ""),
        ("rate>100/s", "response", "rate", 100.0, 0, ""),
        ("errors==0", "response", "errors", 0.0, 0, ""),
        ("avg<1s", "response", "mean", 1.0, 0, ""),
        ("service:p(50)<10ms", "service", "p50", 0.01, 0, ""),
    ],
)
def test_limits_are_written_as_people_write_them(
    text: str, kind: str, statistic: str, value: float, window_s: float, phase: str
) -> None:
    limit = LoadLimit.parse(text)
    assert (limit.kind, limit.statistic, limit.window_s, limit.phase) == (kind, statistic, window_s, phase)
    assert limit.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p(95)<300", "has no unit"),
        ("error_rate<5", "has no unit"),
        ("p(101)<1s", "no percentile"),
        ("p95", "is not a limit"),
        ("latency<1s", "No statistic of a load named 'latency'"),
        ("eror_rate<1%", "Did you mean 'error_rate'"),
        ("p(95)<1s windo=3s", "No option of a limit named 'windo'"),
        ("p(95)<1s window=0s", "is not from"),
        ("checkout:error_rate<1%", "is of the whole load"),
        ("", "is not a limit"),
    ],
)
def test_what_is_no_limit_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        LoadLimit.parse(text)
    assert said in str(caught.value)


def test_an_unknown_timer_or_phase_is_an_error_and_never_a_pass() -> None:
    seconds = [second(10, 5, kind="timer:checkout")]
    with pytest.raises(UnknownNameError, match="Did you mean 'checkout'"):
        judge(LoadLimit.parse("chekout:p(95)<1s"), seconds, [])
    with pytest.raises(UnknownNameError, match="No phase of the load named 'stedy'"):
        judge(LoadLimit.parse("p(95)<1s phase=stedy"), seconds, [LoadPhase("steady", 0.0)])


def test_what_was_not_measured_did_not_pass() -> None:
    verdict = judge(LoadLimit.parse("p(95)<1s phase=late"), [second(10, 5)], [LoadPhase("late", 100.0)])
    assert not verdict.passed
    assert math.isnan(verdict.value)
    assert "nothing to measure" in str(verdict)


def test_a_phase_is_judged_by_itself() -> None:
    seconds = [*(second(at, 10, took=5.0) for at in range(10)), *(second(at, 10) for at in range(10, 20))]
    phases = [LoadPhase("ramp", 0.0, 10.0), LoadPhase("steady", 10.0, 20.0)]
    assert not judge(LoadLimit.parse("p(95)<1s"), seconds, phases).passed
    assert judge(LoadLimit.parse("p(95)<1s phase=steady"), seconds, phases).passed


def test_a_window_shows_what_the_whole_hides() -> None:
    seconds = [second(at, 100, 50 if 50 <= at < 55 else 0) for at in range(100)]
    assert judge(LoadLimit.parse("error_rate<5%"), seconds, []).passed
    verdict = judge(LoadLimit.parse("error_rate<5% window=10s"), seconds, [])
    assert not verdict.passed
    assert verdict.value == pytest.approx(0.2)
    assert str(verdict) == "error_rate<5% window=10s: but it was 20 %"


def first_abort(text: str, seconds: list[Second], until: float) -> float | None:
    """Return when a run would end that is looked at four times a second."""
    watch = AbortWatch(LoadLimit.parse(text))
    for step in range(int(until * 4)):
        now = step / 4
        if watch.is_broken([each for each in seconds if each.at + 1 <= now], [], now):
            return now
    return None


def test_a_limit_broken_for_longer_than_its_window_ends_the_run() -> None:
    # 960 good ones, 16 a second, then 60 bad ones, 6 a second.
    seconds = [*(second(at, 16) for at in range(60)), *(second(at, 0, 6) for at in range(60, 75))]
    at = first_abort("error_rate<5% window=10 s", seconds, 75)
    assert at is not None
    assert 70 < at <= 71


def test_a_short_breach_ends_nothing() -> None:
    seconds = [second(at, 16, 8 if at == 30 else 0) for at in range(60)]
    assert first_abort("error_rate<3% window=10 s", seconds, 60) is None


def test_all_limits_that_cannot_be_understood_are_named() -> None:
    with pytest.raises(UsageError) as caught:
        parse_limits(["p95<2s", "p(95)<2", "err_rate<1%"])
    assert "2 limits cannot be understood" in str(caught.value)
    assert "'2' has no unit" in str(caught.value)
    assert "err_rate" in str(caught.value)
    with pytest.raises(UnknownNameError):
        parse_limits(["p95<2s", "err_rate<1%"])

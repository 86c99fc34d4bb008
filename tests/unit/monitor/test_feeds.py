"""Ways to ask a host: what is made of its answer."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric
from OttoLibrary.errors import UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.feeds import LOOP, HostFeed, LocalFeed, script_of


class Word(BuiltInsMetric, LocalMetric):
    """A metric that counts the characters of its part."""

    main = "word_count"

    def script(self) -> str:
        return "say word"

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        return {self.main: float(len(printed.strip()))}

    def here(self, uptime_s: float) -> dict[str, float]:
        return {self.main: uptime_s}


def feed() -> HostFeed:
    host = Host("box", ("box",), lambda: HostFacts("box", address="127.0.0.1"), None, lambda record: None)
    return HostFeed(host, {"first": Word(), "second": Word()}, LOOP)


def answer(made: HostFeed, text: str) -> str:
    return text.replace("@", made._nonce)


def test_each_metric_gets_its_part_of_the_answer() -> None:
    made = feed()
    frame = made._frame(answer(made, "12.5 9.0\n1700.25\n=@ 1\nabc\n=@ 0\n"), 100.0, 0.5)
    assert (frame.at, frame.uncertainty_s, frame.uptime_s, frame.wall, frame.wall_step_s) == (
        100.0,
        0.5,
        12.5,
        1700.25,
        0.0,
    )
    assert made.values("second", frame) == {"word_count": 3.0}
    assert made.values("first", frame) == {"word_count": 0.0}


def test_a_part_that_is_missing_is_an_error() -> None:
    made = feed()
    frame = made._frame(answer(made, "12.5 9.0\n\n=@ 0\nx\n"), 100.0, 0.5)
    with pytest.raises(ValueError, match="the host did not answer"):
        made.values("second", frame)


@pytest.mark.parametrize(
    ("clock", "wall", "step_s"),
    [
        ("1700.5", 1700.5, 0.0),
        ("1700,5", 1700.5, 0.0),
        ("1700.N", 1700.5, 0.5),
        ("", None, 0.0),
    ],
)
def test_a_clock_is_as_fine_as_the_shell_prints_it(clock: str, wall: float | None, step_s: float) -> None:
    frame = feed()._frame(f"12.5 9.0\n{clock}\n", 100.0, 0.5)
    assert (frame.wall, frame.wall_step_s) == (wall, step_s)


@pytest.mark.parametrize("head", ["", "\n\n", "sh: not found\n"])
def test_a_host_without_uptime_is_not_linux(head: str) -> None:
    with pytest.raises(UsageError, match="Host 'box' has no /proc/uptime; only Linux hosts can be watched"):
        feed()._frame(head, 100.0, 0.5)


def test_this_machine_is_asked_by_the_metrics_themselves() -> None:
    made = LocalFeed({"word": Word()})
    frame = asyncio.run(made.ask(["word"], clock=True))
    assert made.values("word", frame) == {"word_count": frame.uptime_s}
    assert frame.wall is None


def test_a_script_has_a_part_for_each_metric_and_no_nonce_is_left_out() -> None:
    text = script_of([Word(), Word()], "n0nce")
    assert "part0() {\nsay word\n}\npart1() {\nsay word\n}\n" in text
    assert "@NONCE@" not in text


@pytest.mark.parametrize("uptime", ["nan", "inf", "-inf", "-1e300", "1e300", "-1"])
def test_an_uptime_that_no_host_has_is_no_answer(uptime: str) -> None:
    with pytest.raises(ValueError, match="it claims to have been up for"):
        feed()._frame(f"{uptime} 9.0\n\n", 100.0, 0.5)


@pytest.mark.parametrize("clock", ["9" * 400, "9" * 5000 + ".5", "²", "-1700", "1e300", "nan"])
def test_a_clock_that_no_host_has_is_no_clock(clock: str) -> None:
    assert feed()._frame(f"12.5 9.0\n{clock}\n", 100.0, 0.5).wall is None


@pytest.mark.parametrize("number", ["-1", "2", "9" * 5000, "x", ""])
def test_a_part_that_nobody_asked_for_is_ignored(number: str) -> None:
    made = feed()
    assert made._frame(answer(made, f"12.5 9.0\n\n=@ {number}\nabc\n"), 100.0, 0.5).parts == {}

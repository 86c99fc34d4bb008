"""How often a test runs, and when it has passed."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.run.repetition import FAIL, PASS, SKIP, Plan, Repetitions, RunOutcome, Tally, Tries, repetitions, tries


def run(plan: Plan, statuses: str, seconds_each: float = 0) -> tuple[int, RunOutcome]:
    """Return how many runs there were and the verdict; ``statuses`` has a letter for each run there may be."""
    tally = Tally()
    for letter in statuses:
        if not plan.goes_on(tally, tally.runs * seconds_each):
            break
        status = {"p": PASS, "f": FAIL, "s": SKIP}[letter]
        tally.add(RunOutcome(status, f"{status} of {letter}" if status != PASS else ""))
    else:
        assert not plan.goes_on(tally, tally.runs * seconds_each), "more runs are wanted than the test has"
    return tally.runs, plan.verdict(tally)


@pytest.mark.parametrize(
    ("iterations", "threshold", "statuses", "status", "said"),
    [
        (10, 95, "pppppppppf", FAIL, "9 of 10 passed (90 %), threshold 95 %"),
        (10, 90, "fppppppppp", PASS, "9 of 10 passed (90 %), threshold 90 %"),
        (3, 100, "ppp", PASS, "3 of 3 passed (100 %), threshold 100 %"),
        (3, 0.5, "fff", FAIL, "0 of 3 passed (0 %), threshold 0.5 %"),
        (3, 66.6, "fpp", PASS, "2 of 3 passed (66.6 %), threshold 66.6 %"),
        (3, 66.7, "fpp", FAIL, "2 of 3 passed (66.6 %), threshold 66.7 %"),
        (3, 100, "pss", PASS, "1 of 1 passed (100 %), threshold 100 %, 2 skipped"),
    ],
)
def test_enough_have_to_pass(iterations: int, threshold: float, statuses: str, status: str, said: str) -> None:
    runs, verdict = run(Repetitions(iterations, None, threshold), statuses)
    assert runs == iterations
    assert (verdict.status, verdict.message.partition("\n")[0]) == (status, said)


def test_what_is_not_all_does_not_read_as_all() -> None:
    _, verdict = run(Repetitions(2000), "p" * 1999 + "f")
    assert verdict.message.startswith("1999 of 2000 passed (99.9 %), threshold 100 %\n")


def test_failures_are_told_once_for_each_reason() -> None:
    tally = Tally()
    for number in range(1, 21):
        tally.add(RunOutcome(FAIL, "*HTML* <b>lost</b>\n&amp; gone" if number <= 7 else f"reason {number}"))
    verdict = Repetitions(20).verdict(tally)
    assert verdict.message.splitlines() == [
        "0 of 20 passed (0 %), threshold 100 %",
        "",
        "Iterations 1, 2, 3, 4, 5 and 2 more: lost & gone",
        "Iteration 8: reason 8",
        "Iteration 9: reason 9",
        "Iteration 10: reason 10",
        "Iteration 11: reason 11",
        "9 more failed for other reasons.",
    ]


def test_a_test_whose_first_run_is_skipped_is_skipped() -> None:
    assert run(Repetitions(10), "spppp") == (1, RunOutcome(SKIP, "SKIP of s"))


@pytest.mark.parametrize(("plan", "runs"), [(Repetitions(None, 5), 3), (Repetitions(2, 5), 2), (Repetitions(99, 0.1), 1)])
def test_whichever_limit_comes_first_ends_it(plan: Repetitions, runs: int) -> None:
    assert run(plan, "ppppp", seconds_each=2)[0] == runs


@pytest.mark.parametrize(
    ("retries", "statuses", "runs", "verdict"),
    [
        (2, "p", 1, RunOutcome(PASS)),
        (2, "ffp", 3, RunOutcome(PASS, "Passed at try 3 of 3.\n\nTries 1, 2: FAIL of f")),
        (1, "ff", 2, RunOutcome(FAIL, "Failed 2 of 2 tries. FAIL of f")),
        (0, "f", 1, RunOutcome(FAIL, "FAIL of f")),
        (2, "fs", 2, RunOutcome(SKIP, "SKIP of s\n\nTry 1: FAIL of f")),
        (2, "s", 1, RunOutcome(SKIP, "SKIP of s")),
    ],
)
def test_the_last_try_counts(retries: int, statuses: str, runs: int, verdict: RunOutcome) -> None:
    assert run(Tries(retries), statuses) == (runs, verdict)


def test_options_say_how_often_and_how_long() -> None:
    assert repetitions(["iterations=10", "threshold=95"]) == Repetitions(10, None, 95)
    assert repetitions(["duration=1 h", "threshold = 99.5 %"]) == Repetitions(None, 3600, 99.5)
    assert tries("otto:retry=2", "2") == Tries(2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "OttoLibrary.Repeat needs to know how often or how long: 'iterations=10', 'duration=1 h', or both."),
        (["threshold=95"], "OttoLibrary.Repeat needs to know how often or how long: 'iterations=10', 'duration=1 h', or both."),
        (["iteration=3"], "No option of OttoLibrary.Repeat named 'iteration'. Did you mean 'iterations'? "),
        (["10"], "No option of OttoLibrary.Repeat named '10'. "),
        (["iterations=0"], "OttoLibrary.Repeat got 'iterations=0', which is not a whole number from 1 on."),
        (["iterations=2.5"], "OttoLibrary.Repeat got 'iterations=2.5', which is not a whole number from 1 on."),
        (["iterations=2", "iterations=3"], "OttoLibrary.Repeat has the option 'iterations' twice."),
        (["duration=soon"], "OttoLibrary.Repeat got 'duration=soon': 'soon' is not a duration. "),
        (["duration=0"], "OttoLibrary.Repeat got 'duration=0', which is not longer than 0 seconds."),
        (
            ["iterations=2", "threshold=101"],
            "OttoLibrary.Repeat got 'threshold=101', which is not a percentage above 0 and up to 100.",
        ),
        (
            ["iterations=2", "threshold=0"],
            "OttoLibrary.Repeat got 'threshold=0', which is not a percentage above 0 and up to 100.",
        ),
        (["iterations=2", "threshold=most"], "OttoLibrary.Repeat got 'threshold=most', which is not a percentage above 0"),
    ],
)
def test_mistakes_in_options_are_one_sentence(options: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        repetitions(options)
    assert str(caught.value).startswith(sentence)


def test_a_tag_that_says_no_number_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"The tag 'otto:retry=often' does not say how often to try again\."):
        tries("otto:retry=often", "often")

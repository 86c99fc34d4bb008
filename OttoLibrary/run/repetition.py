"""How often a test runs, and when it has passed: many times in a row, or again when it failed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Protocol

from OttoLibrary.errors import UsageError, ValueFormatError
from OttoLibrary.masking import mask
from OttoLibrary.run.word_options import given_options
from OttoLibrary.units import seconds

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"
_OPTIONS = ("duration", "iterations", "threshold")
_MOST_REASONS = 5
_MOST_LETTERS = 200


@dataclass(frozen=True)
class RunOutcome:
    """How a test, or one run of it, ended.

    Attributes:
        status: ``PASS``, ``FAIL`` or ``SKIP``.
        message: Why, possibly empty.
    """

    status: str
    message: str = ""


@dataclass
class Tally:
    """The outcomes of the runs of a test so far.

    Attributes:
        passed: How many passed.
        failed: How many failed.
        skipped: How many were skipped; they count neither as passed nor as failed.
        reasons: Why some failed: the numbers of the runs by their message in one line, the first few different ones.
        last: How the last one ended.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: dict[str, list[int]] = field(default_factory=dict)
    last: RunOutcome | None = None

    @property
    def runs(self) -> int:
        """How many there were."""
        return self.passed + self.failed + self.skipped

    def add(self, outcome: RunOutcome) -> None:
        """Count one more."""
        self.last = outcome
        self.passed += outcome.status == PASS
        self.failed += outcome.status == FAIL
        self.skipped += outcome.status == SKIP
        reason = _one_line(outcome.message)
        if outcome.status == FAIL and (reason in self.reasons or len(self.reasons) < _MOST_REASONS):
            self.reasons.setdefault(reason, []).append(self.runs)


class Plan(Protocol):
    """How often a test runs, and what counts."""

    def title(self, number: int) -> str:
        """Return what the log calls a run, counted from 1."""

    def goes_on(self, tally: Tally, elapsed_s: float) -> bool:
        """Return True when the test runs once more."""

    def verdict(self, tally: Tally) -> RunOutcome:
        """Return how the test ended."""


@dataclass(frozen=True)
class Repetitions:
    """Runs a test again and again, whether it passes or fails, until the first limit is reached.

    Attributes:
        iterations: The highest number of runs, or None.
        duration_s: After this many seconds no new run begins, or None.
        threshold_percent: How many have to pass.
    """

    iterations: int | None = None
    duration_s: float | None = None
    threshold_percent: float = 100.0

    def title(self, number: int) -> str:
        """Return ``Iteration 3 of 10``, or ``Iteration 3`` when their number is not known."""
        return f"Iteration {number} of {self.iterations}" if self.iterations else f"Iteration {number}"

    def goes_on(self, tally: Tally, elapsed_s: float) -> bool:
        """Return True until a limit is reached; one whose first run skips has nothing to repeat."""
        if tally.runs == tally.skipped > 0:
            return False
        is_long = self.duration_s is not None and elapsed_s >= self.duration_s and tally.runs > 0
        return not is_long and tally.runs != self.iterations

    def verdict(self, tally: Tally) -> RunOutcome:
        """Return whether enough passed, and why the others did not."""
        counted = tally.passed + tally.failed
        if not counted:
            return tally.last or RunOutcome(SKIP)
        # Rounded down: what is not all does not read as 100 %.
        share = math.floor(tally.passed * 1000 / counted) / 10
        said = f"{tally.passed} of {counted} passed ({share:g} %), threshold {self.threshold_percent:g} %"
        skipped = f", {tally.skipped} skipped" if tally.skipped else ""
        is_enough = tally.passed * 100 >= self.threshold_percent * counted
        reasons = [_reason("Iteration", "Iterations", numbers, reason) for reason, numbers in tally.reasons.items()]
        others = tally.failed - sum(map(len, tally.reasons.values()))
        more = [f"{others} more failed for other reasons."] if others else []
        return RunOutcome(PASS if is_enough else FAIL, "\n".join([said + skipped, *([""] if reasons else []), *reasons, *more]))


@dataclass(frozen=True)
class Tries:
    """Runs a test again when it failed.

    Attributes:
        retries: How many more times at most.
    """

    retries: int

    def title(self, number: int) -> str:
        """Return ``Try 1 of 3``."""
        return f"Try {number} of {self.retries + 1}"

    def goes_on(self, tally: Tally, elapsed_s: float) -> bool:
        """Return True at first, and while it failed and may be tried again."""
        return tally.last is None or (tally.last.status == FAIL and tally.runs <= self.retries)

    def verdict(self, tally: Tally) -> RunOutcome:
        """Return how the last try ended, and that there were others."""
        last = tally.last or RunOutcome(FAIL, "It was not tried.")
        if not tally.failed or not self.retries:
            return last
        own = _one_line(last.message) if last.status == FAIL else None
        before = [_reason("Try", "Tries", numbers, reason) for reason, numbers in tally.reasons.items() if reason != own]
        said = {
            FAIL: f"Failed {tally.runs} of {tally.runs} tries. {last.message}",
            PASS: f"Passed at try {tally.runs} of {self.retries + 1}.",
        }.get(last.status, last.message)
        return RunOutcome(last.status, "\n".join([said, *([""] if before else []), *before]))


def repetitions(words: Sequence[str]) -> Repetitions:
    """Return what the options of ``Repeat`` say, ``NAME=VALUE`` each; raise UsageError."""
    given = given_options("OttoLibrary.Repeat", words, _OPTIONS)
    if not {"iterations", "duration"} & given.keys():
        raise UsageError("OttoLibrary.Repeat needs to know how often or how long: 'iterations=10', 'duration=1 h', or both.")
    return Repetitions(
        _iterations(given["iterations"]) if "iterations" in given else None,
        _duration_s(given["duration"]) if "duration" in given else None,
        _percent(given.get("threshold", "100")),
    )


def tries(tag: str, value: str) -> Tries:
    """Return what a tag says about trying again; raise UsageError.

    Args:
        tag: The whole tag, for the message.
        value: What stands behind its equals sign.
    """
    if not value.strip().isdecimal():
        raise UsageError(f"The tag '{tag}' does not say how often to try again. Write a number, such as otto:retry=2.")
    return Tries(int(value))


def _iterations(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueFormatError(f"OttoLibrary.Repeat got 'iterations={text}', which is not a whole number from 1 on.")
    return int(text)


def _duration_s(text: str) -> float:
    try:
        found = seconds(text)
    except ValueFormatError as error:
        raise ValueFormatError(f"OttoLibrary.Repeat got 'duration={text}': {error}") from error
    if not found:
        raise ValueFormatError(f"OttoLibrary.Repeat got 'duration={text}', which is not longer than 0 seconds.")
    return found


def _percent(text: str) -> float:
    try:
        found = float(text.removesuffix("%"))
    except ValueError:
        found = math.nan
    if not 0 < found <= 100:
        raise ValueFormatError(f"OttoLibrary.Repeat got 'threshold={text}', which is not a percentage above 0 and up to 100.")
    if found < 1 and not text.endswith("%"):
        raise ValueFormatError(
            f"OttoLibrary.Repeat got 'threshold={text}', which would be {found:g} percent. "
            f"Did you mean 'threshold={found * 100:g}'? If not, write '{found:g}%'."
        )
    return found


def _one_line(message: str) -> str:
    if message.startswith("*HTML*"):
        message = unescape(re.sub(r"<[^<>]*>", " ", message.removeprefix("*HTML*")))
    text = " ".join(mask(message).split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..."


def _reason(noun: str, nouns: str, numbers: Sequence[int], reason: str) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_REASONS]))
    more = f" and {len(numbers) - _MOST_REASONS} more" if len(numbers) > _MOST_REASONS else ""
    return f"{nouns if len(numbers) > 1 else noun} {shown}{more}: {reason or 'no message'}"

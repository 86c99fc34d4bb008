"""Limits on what a run measured: ``p(95)<300ms``, ``checkout:p(99)<1s``, ``error_rate<1% window=10s phase=steady``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from OttoLibrary.errors import OttoError, UnknownNameError, UsageError, ValueFormatError
from OttoLibrary.load.result_store import LoadPhase
from OttoLibrary.load.second import Second, together
from OttoLibrary.load.turret.batches import RESPONSE, SERVICE, TIMER
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.monitor.limit import RELATIONS
from OttoLibrary.units import duration_text, quantity, seconds

_TIMES = ("min", "mean", "med", "max", "stdev")
_COUNTS = ("count", "errors", "dropped")
_SHARES = ("error_rate", "dropped_rate")
_RATES = ("rate",)
_USERS = ("users",)
STATISTICS = (*_TIMES, "p50", "p80", "p90", "p95", "p99", "p99.9", *_COUNTS, *_SHARES, *_RATES, *_USERS)
_FORM = re.compile(
    r"(?:(?P<subject>.+):)?\s*(?P<statistic>p\(\s*[\d.]+\s*\)|p[\d.]+|[a-z_]+)\s*(?P<relation><=|>=|==|!=|<|>)\s*"
    r"(?P<value>[\d.]+\s*[a-zA-Z%/]*)(?P<options>(?:\s+[a-z]+\s*=\s*\S+(?:\s+(?:ms|s|sec|seconds?|min|minutes?|m|h)\b)?)*)\s*"
)
_OPTION = re.compile(r"([a-z]+)\s*=\s*(\S+(?:\s+(?:ms|s|sec|seconds?|min|minutes?|m|h)\b)?)")
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S = 1.0, 600.0
# How long a limit without a window of its own may be broken before the run ends.
_ABORT_WINDOW_S = 10.0


@dataclass(frozen=True)
class LoadLimit:
    """A relation that a statistic must have to a value.

    Attributes:
        kind: Of what: ``response``, ``service`` or ``timer:NAME``.
        statistic: Which, such as ``p95`` or ``error_rate``.
        relation: ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
        value: What it is compared with: seconds, a number, or a share of one.
        window_s: It must hold in every stretch of this length; 0 for the whole.
        phase: It must hold in this phase; empty for the whole run.
        text: As it was written.
    """

    kind: str
    statistic: str
    relation: str
    value: float
    window_s: float = 0.0
    phase: str = ""
    text: str = ""

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> LoadLimit:
        """Return the limit that a text means; raise UsageError or UnknownNameError."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise UsageError(
                f"'{text}' is not a limit. Write such as 'p(95)<300ms', 'checkout:p(99)<1s' or "
                "'error_rate<1% window=10s phase=steady'."
            )
        statistic = statistic_name(found["statistic"])
        window_s, phase = _options(text, found["options"])
        subject = (found["subject"] or "").strip()
        value = limit_value(statistic, found["value"].strip())
        return cls(kind_of_load(subject, statistic), statistic, found["relation"], value, window_s, phase, " ".join(text.split()))

    def holds(self, value: float) -> bool:
        """Return whether it holds for a value; for no value it does not."""
        return not math.isnan(value) and RELATIONS[self.relation](value, self.value)


def parse_limits(texts: Sequence[str]) -> list[LoadLimit]:
    """Return the limits that texts mean; raise UsageError with all mistakes, or the one of the only text that has one."""
    limits, mistakes = [], []
    for text in texts:
        try:
            limits.append(LoadLimit.parse(text))
        except OttoError as error:
            mistakes.append((text, error))
    if len(mistakes) == 1:
        raise mistakes[0][1]
    if mistakes:
        lines = "".join(f"\n  {text}: {error}" for text, error in mistakes)
        raise UsageError(f"{len(mistakes)} limits cannot be understood:{lines}")
    return limits


@dataclass(frozen=True)
class LimitVerdict:
    """How a limit stands.

    Attributes:
        limit: The limit.
        value: What was measured: of a limit with a window the worst of all windows. NaN when there was nothing.
        passed: Whether it holds.
        at: When the worst window ended, in seconds since 1970.
    """

    limit: LoadLimit
    value: float
    passed: bool
    at: float | None = None

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.limit}: there was nothing to measure"
        return f"{self.limit}: {'it was' if self.passed else 'but it was'} {load_value_text(self.limit.statistic, self.value)}"


def statistic_name(written: str) -> str:
    """Return ``p95`` for ``p(95)``, and other names as they are; raise UnknownNameError."""
    percent = re.fullmatch(r"p\(?\s*(\d+(?:\.\d+)?)\s*\)?", written)
    if percent is not None:
        if not 0 <= float(percent[1]) <= 100:
            raise UsageError(f"'{written}' is no percentile: write a number from 0 to 100, such as p(95).")
        return f"p{percent[1]}"
    name = {"avg": "mean", "median": "med"}.get(written, written)
    if name not in STATISTICS:
        raise UnknownNameError("statistic of a load", written, STATISTICS)
    return name


def kind_of_load(subject: str, statistic: str) -> str:
    """Return what a statistic is of: nothing means the response of all iterations, ``service`` their service, else a timer."""
    if subject in {"", RESPONSE}:
        return RESPONSE
    if statistic not in _TIMES and not statistic.startswith("p") and statistic != "count":
        raise UsageError(f"'{statistic}' is of the whole load, not of '{subject}'. Leave '{subject}:' out.")
    return SERVICE if subject == SERVICE else TIMER + subject.removeprefix(TIMER)


def limit_value(statistic: str, text: str) -> float:
    """Return what a statistic is compared with; raise ValueFormatError. What could mean two things has to say its unit."""
    if statistic in _TIMES or statistic.startswith("p"):
        if re.fullmatch(r"[\d.]+", text):
            raise ValueFormatError(f"'{text}' has no unit. Write {text}ms or {text}s.")
        return seconds(text)
    if statistic in _SHARES:
        if text.endswith("%"):
            return quantity(text, "%") / 100
        value = quantity(text, "")
        if value > 0 and not value < 1:
            raise ValueFormatError(f"'{text}' has no unit. Write {text}%, or a share of one such as 0.01.")
        return value
    return quantity(text, "/s" if statistic in _RATES else "")


def load_value_text(statistic: str, value: float) -> str:
    """Return a value as people write it."""
    if math.isnan(value):
        return "-"
    if statistic in _TIMES or statistic.startswith("p"):
        return duration_text(value)
    if statistic in _SHARES:
        return f"{value * 100:.3g} %"
    return f"{value:.1f}/s" if statistic in _RATES else f"{value:.0f}"


def measured(kind: str, statistic: str, seconds_of_it: Sequence[Second]) -> float:
    """Return a statistic of some seconds; NaN when there is nothing to measure."""
    whole = together(seconds_of_it)
    if statistic == "users":
        return float(whole.users) if seconds_of_it else math.nan
    if statistic == "dropped":
        return float(whole.dropped)
    if statistic in _SHARES:
        part, of = (whole.failed, whole.count) if statistic == "error_rate" else (whole.dropped, whole.count + whole.dropped)
        return part / of if of else math.nan
    if statistic == "errors":
        return float(whole.failed)
    histogram = whole.kinds.get(RESPONSE if kind == SERVICE and SERVICE not in whole.kinds else kind) or Histogram()
    if statistic == "count":
        return float(histogram.count)
    if statistic == "rate":
        length = seconds_of_it[-1].at - seconds_of_it[0].at + 1 if seconds_of_it else 0
        return histogram.count / length if length else math.nan
    return time_statistic(histogram, statistic)


def time_statistic(histogram: Histogram, statistic: str) -> float:
    """Return a statistic of durations."""
    if not histogram.count:
        return math.nan
    if statistic.startswith("p"):
        return histogram.percentile(float(statistic[1:]))
    values = {"min": histogram.low, "max": histogram.high, "mean": histogram.mean, "stdev": histogram.stdev}
    return histogram.percentile(50) if statistic == "med" else values[statistic]


def in_phase(seconds_of_run: Sequence[Second], phases: Sequence[LoadPhase], name: str) -> list[list[Second]]:
    """Return the stretches of a phase, of the whole run without a name; raise UnknownNameError."""
    if not name:
        return [list(seconds_of_run)]
    spans = [phase for phase in phases if phase.name == name]
    if not spans:
        raise UnknownNameError("phase of the load", name, {phase.name for phase in phases})
    return [
        [each for each in seconds_of_run if span.began <= each.at + 0.5 and (span.ended is None or each.at + 0.5 < span.ended)]
        for span in spans
    ]


def judge(limit: LoadLimit, seconds_of_run: Sequence[Second], phases: Sequence[LoadPhase]) -> LimitVerdict:
    """Return how a limit stands at the end of a run; raise UnknownNameError for a phase or a timer that there was not."""
    check_kind(limit.kind, seconds_of_run)
    stretches = in_phase(seconds_of_run, phases, limit.phase)
    if not limit.window_s:
        value = measured(limit.kind, limit.statistic, [each for stretch in stretches for each in stretch])
        return LimitVerdict(limit, value, limit.holds(value))
    worst: LimitVerdict | None = None
    for window in (window for stretch in stretches for window in _windows(stretch, limit.window_s)):
        value = measured(limit.kind, limit.statistic, window)
        if math.isnan(value):
            continue
        verdict = LimitVerdict(limit, value, limit.holds(value), window[-1].at + 1.0)
        if worst is None or _is_worse(verdict, worst):
            worst = verdict
    return worst or LimitVerdict(limit, math.nan, False)


def check_kind(kind: str, seconds_of_run: Sequence[Second]) -> None:
    """Raise UnknownNameError for a timer that was never measured."""
    # In the closed model, response and service are the same.
    if kind in {RESPONSE, SERVICE} or any(kind in each.kinds for each in seconds_of_run):
        return
    known = {name.removeprefix(TIMER) for each in seconds_of_run for name in each.kinds} - {RESPONSE, SERVICE}
    raise UnknownNameError("timer of the load", kind.removeprefix(TIMER), known)


class AbortWatch:
    """Watches a limit during a run: it ends the run when its window is broken for longer than the window is long.

    A breach counts from the first second that breaks the limit by itself, so that a short one, which leaves the window again,
    ends nothing, and one that lasts ends the run as soon as it has lasted for a window.
    """

    def __init__(self, limit: LoadLimit) -> None:
        self.limit = limit if limit.window_s else _with_window(limit)
        self._since: float | None = None

    def is_broken(self, seconds_of_run: Sequence[Second], phases: Sequence[LoadPhase], now: float) -> bool:
        """Return whether the run is to end."""
        limit = self.limit
        try:
            stretches = in_phase(seconds_of_run, phases, limit.phase)
        except UnknownNameError:
            return False
        window = [each for stretch in stretches for each in stretch if now - limit.window_s <= each.at <= now]
        value = measured(limit.kind, limit.statistic, window)
        if math.isnan(value) or limit.holds(value):
            self._since = None
            return False
        if self._since is None:
            alone = (each.at for each in window if _breaks_alone(limit, each))
            self._since = float(next(alone, now))
        return now - self._since > limit.window_s


def _breaks_alone(limit: LoadLimit, second: Second) -> bool:
    value = measured(limit.kind, limit.statistic, [second])
    return not math.isnan(value) and not limit.holds(value)


def _with_window(limit: LoadLimit) -> LoadLimit:
    return LoadLimit(limit.kind, limit.statistic, limit.relation, limit.value, _ABORT_WINDOW_S, limit.phase, limit.text)


def _windows(stretch: Sequence[Second], window_s: float) -> list[list[Second]]:
    """Return all stretches of a length; one that is shorter as a whole."""
    if not stretch:
        return []
    found = []
    first = 0
    for last, second in enumerate(stretch):
        while second.at - stretch[first].at >= window_s:
            first += 1
        if second.at - stretch[0].at + 1 >= window_s:
            found.append(list(stretch[first : last + 1]))
    return found or [list(stretch)]


def _is_worse(verdict: LimitVerdict, than: LimitVerdict) -> bool:
    if verdict.passed != than.passed:
        return than.passed
    is_upper = verdict.limit.relation in {"<", "<="}
    return verdict.value > than.value if is_upper else verdict.value < than.value


def _options(text: str, written: str) -> tuple[float, str]:
    window_s, phase = 0.0, ""
    for name, value in _OPTION.findall(written or ""):
        if name == "window":
            window_s = seconds(value)
            if not _SHORTEST_WINDOW_S <= window_s <= _LONGEST_WINDOW_S:
                raise UsageError(f"The window of '{text}' is not from {_SHORTEST_WINDOW_S:g} s to {_LONGEST_WINDOW_S:g} s.")
        elif name == "phase":
            phase = value
        else:
            raise UnknownNameError("option of a limit", name, ("window", "phase"))
    return window_s, phase

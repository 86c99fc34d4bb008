"""Robot Framework's keywords as events: found and checked before the start, and run so that they can be ended.

What is used of Robot Framework beyond its public interface stands here and in ``folded_log``.
"""

from __future__ import annotations

import inspect
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from typing import Any

from robot.errors import DataError, ExecutionFailed, TimeoutExceeded  # type: ignore[import-untyped]
from robot.running import Keyword  # type: ignore[import-untyped]
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]
from robot.running.signalhandler import STOP_SIGNAL_MONITOR  # type: ignore[import-untyped]
from robot.running.timeouts import KeywordTimeout  # type: ignore[import-untyped]
from robot.running.timeouts.posix import PosixRunner  # type: ignore[import-untyped]

from OttoLibrary.errors import OttoError, UsageError, did_you_mean
from OttoLibrary.scenario import functions
from OttoLibrary.scenario.description import OPTIONS

# An interrupt that is on its way when a keyword ends must not reach what comes next.
_SIGNAL_ARRIVES_S = 0.01
# How near an argument is to an option that was meant instead.
_NEARLY = 0.8
_LONGEST_S = 10 * 365 * 86400.0


class KeywordFailedError(OttoError):
    """A keyword of an event failed.

    Attributes:
        is_fatal: The whole execution has to end.
    """

    def __init__(self, message: str, *, is_fatal: bool = False) -> None:
        self.is_fatal = is_fatal
        super().__init__(message)


class EventKeyword:
    """One keyword with its arguments.

    Args:
        name: Its name.
        params: Its arguments by name; a list ``args`` are positional ones.
        offered: What is passed too if it has arguments of these names.
        options: What an event has besides arguments; one that was mistyped may be among them.

    Raises:
        UsageError: There is no such keyword, or it cannot be called like this.

    Attributes:
        takes: Which of what was offered it takes.
    """

    def __init__(self, name: str, params: Mapping[str, Any], offered: Mapping[str, Any], options: Collection[str] = ()) -> None:
        self.name, self._options = name, options
        known = _keyword(name)
        self._positional = tuple(params.get("args", ())) if _has_positional(known, params) else ()
        self._named = {key: value for key, value in params.items() if not (self._positional and key == "args")}
        names = {*known.args.positional_or_named, *known.args.named_only}
        self.takes = {key for key in offered if key in names and key not in self._named}
        self._check(known, {key: offered[key] for key in self.takes})

    def _check(self, known: Any, given: Mapping[str, Any]) -> None:
        if known.error:
            raise UsageError(str(known.error))
        try:
            known.args.resolve(list(self._positional), {**self._named, **given}, _variables(), _converters(known))
        except DataError as error:
            raise UsageError(f"{str(error).rstrip('.')}{self._meant(known)}") from error

    def _meant(self, known: Any) -> str:
        """Return the name that was meant by the first argument that the keyword does not have, or nothing."""
        names = [*known.args.positional_or_named, *known.args.named_only]
        unknown = next((key for key in self._named if key not in names), None)
        if unknown is None or known.args.var_named:
            return ""
        near = did_you_mean(unknown, [*names, *self._options])
        return f".{near}" if near else ""

    def run(self, given: Mapping[str, Any]) -> None:
        """Run it in the main thread, inside of the keyword that runs; raise KeywordFailedError.

        Args:
            given: The values of what it takes of that which was offered.
        """
        context = EXECUTION_CONTEXTS.current
        data, result, _ = context.steps[-1]
        named = {**self._named, **{key: given[key] for key in self.takes}}
        call = Keyword(self.name, args=self._positional, named_args=named, parent=data, lineno=data.lineno)
        try:
            with context.paused_timeouts if context.active_timeouts else nullcontext():
                call.run(result, context)
        except ExecutionFailed as error:
            context.timeout_occurred = False
            raise KeywordFailedError(str(error), is_fatal=bool(error.exit)) from error


def check_free_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise UsageError for an argument that is nearly an option of an event, and that a keyword or function takes under any name.

    Args:
        name: The keyword or function.
        arguments: What it would get beside the options of the event.
    """
    near = {key: get_close_matches(key, OPTIONS, n=1, cutoff=_NEARLY) for key in arguments if key != "host"}
    meant = {key: found[0] for key, found in near.items() if found}
    if not meant:
        return
    names = _free_names(name)
    for key, option in meant.items():
        if names is not None and key not in names:
            raise UsageError(
                f"An event has no '{key}'. Did you mean '{option}'? If '{name}' shall get it, "
                f"write params=${{{{{{'{key}': ...}}}}}}."
            )


def _free_names(name: str) -> Collection[str] | None:
    """Return the names that a keyword or function has for its arguments when it takes any other name too; None otherwise."""
    function = functions.find(name)
    if function is not None:
        parameters = inspect.signature(function).parameters
        return parameters if any(one.kind is one.VAR_KEYWORD for one in parameters.values()) else None
    try:
        spec = _keyword(name).args
    except UsageError:
        return None  # it is told with everything else that is wrong
    return {*spec.positional_or_named, *spec.named_only} if spec.var_named else None


class TimeLimit:
    """Bounds a keyword, and ends it when ``interrupt`` is called in any thread.

    Robot Framework ends a keyword by a signal to the main thread while one of its own time-outs is active. Here each keyword has
    one, whose time can be made to be over at any moment.

    Args:
        seconds: How long it may take, or None.
    """

    def __init__(self, seconds: float | None) -> None:
        self._timeout = KeywordTimeout(f"{seconds if seconds is not None else _LONGEST_S} s")
        self._lock = threading.Lock()
        self._is_running = self.is_interrupted = False

    @contextmanager
    def around(self) -> Iterator[None]:
        """Bound what runs inside, in the main thread."""
        context = EXECUTION_CONTEXTS.current
        with _own_timers():
            try:
                with context.keyword_timeout(self._timeout):
                    with self._lock:
                        self._is_running = True
                        if self.is_interrupted:
                            self._timeout.timeout = 0.0
                    yield
            finally:
                with self._lock:
                    self._is_running = False
                if self.is_interrupted:
                    time.sleep(_SIGNAL_ARRIVES_S)

    def interrupt(self) -> None:
        """End what runs inside, or let it not begin."""
        with self._lock:
            self.is_interrupted = True
            self._timeout.timeout = 0.0
            if self._is_running:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)


def look_for_signal() -> None:
    """Raise ExecutionFailed when the user has sent a signal; and let one end the keyword around, which a keyword inside undid."""
    STOP_SIGNAL_MONITOR.start_running_keyword(EXECUTION_CONTEXTS.current.in_teardown)


@contextmanager
def in_teardown() -> Iterator[None]:
    """Run what is inside as a teardown: no time-out ends it, and a signal of the user only the second time."""
    context = EXECUTION_CONTEXTS.current
    with _own_timers(), context.keyword_teardown(None):
        yield


@contextmanager
def _own_timers() -> Iterator[None]:
    """Stop the timer of the time-out around, so that time-outs inside have one; afterwards it goes on."""
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, _ignored)
    started, PosixRunner._started = PosixRunner._started, 0
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        PosixRunner._started = started
        signal.signal(signal.SIGALRM, handler if handler is not None else signal.SIG_DFL)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - began), 0.001))


def _ignored(number: int, frame: object) -> None:
    """Take a signal that came between two keywords."""


def reason_of(error: BaseException) -> str:
    """Return why Robot Framework interrupted the keyword that runs, in words."""
    if isinstance(error, TimeoutExceeded):
        return str(error).rstrip(".")
    if isinstance(error, ExecutionFailed):
        return f"Robot Framework ended it ({str(error).rstrip('.')})"
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was interrupted by a signal"
    return str(error).rstrip(".") or type(error).__name__


def _keyword(name: str) -> Any:
    context = EXECUTION_CONTEXTS.current
    runner = context.namespace.get_runner(name)
    known = getattr(runner, "keyword", None)
    if known is None or (getattr(known, "error", None) and known.type == known.INVALID_KEYWORD):
        raise UsageError(str(known.error) if known is not None else f"No keyword with name '{name}' found.")
    return known


def _has_positional(known: Any, params: Mapping[str, Any]) -> bool:
    spec = known.args
    names = {*spec.positional_or_named, *spec.named_only}
    return "args" not in names and isinstance(params.get("args"), list | tuple)


def _variables() -> Any:
    return EXECUTION_CONTEXTS.current.variables


def _converters(known: Any) -> Any:
    return getattr(known.owner, "converters", None)

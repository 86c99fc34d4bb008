"""Hides secrets in what Robot Framework writes by itself: names, arguments, values of loops, tags, documentation, messages."""

from __future__ import annotations

import functools
from collections.abc import MutableMapping
from typing import Any

from robot.api.types import Secret as RobotSecret
from robot.libraries.BuiltIn import BuiltIn
from robot.model import Tags  # type: ignore[import-untyped]
from robot.output import LOGGER, debugfile  # type: ignore[import-untyped]
from robot.output.loggerapi import LoggerApi  # type: ignore[import-untyped]

from OttoLibrary.masking import Masker

# What Robot's results of suites, tests, keywords and control structures hold that can come from variables.
_TEXTS = (
    *("name", "doc", "message", "tags", "metadata", "args", "assign"),
    *("value", "values", "condition", "limit", "on_limit_message", "patterns"),
)


def mask_result(result: Any, masker: Masker) -> None:
    """Hide secrets in a result of Robot Framework, in place.

    Args:
        result: A suite, a test, a keyword, or any control structure.
        masker: Knows them.
    """
    if masker.is_empty:
        return
    for name in _own_texts(result.__class__):
        before = getattr(result, name)
        after = _masked(before, masker)
        if after is not before and after != before:
            setattr(result, name, after)


def mask_suites_above(result: Any, masker: Masker) -> None:
    """Hide secrets in the suites around one: what it set in them is written when they end, whoever listens then."""
    while result.parent is not None:
        result = result.parent
        mask_result(result, masker)


def mask_before_output(masker: Masker) -> None:
    """Hide secrets in what Robot writes before it calls listeners, such as the names of groups; more calls change nothing."""
    loggers = LOGGER.start_loggers
    if any(isinstance(known, _BeforeOutput) for known in loggers):
        return
    # The debug file has registered before; who registers first is called first.
    debug_files = [known for known in loggers if type(known).__module__ == debugfile.__name__]
    LOGGER.unregister_logger(*debug_files)
    LOGGER.register_logger(_BeforeOutput(masker), *debug_files)


class _BeforeOutput(LoggerApi):  # type: ignore[misc]  # Robot Framework has no type hints for it
    """Called before the output and the console."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def start_suite(self, data: Any, result: Any) -> None:
        """Learn the secrets among the variables of a suite, and hide them in its name and documentation."""
        learn_variables(self._masker)
        mask_result(result, self._masker)

    def start_test(self, data: Any, result: Any) -> None:
        """Hide secrets in what is known of a test, a keyword or a control structure when it begins."""
        mask_result(result, self._masker)

    start_keyword = start_group = start_test
    start_for = start_for_iteration = start_while = start_while_iteration = start_test
    start_if_branch = start_try_branch = start_return = start_var = start_test


def learn_variables(masker: Masker) -> None:
    """Learn the secrets among the variables that the suite, or test, sees."""
    for value in BuiltIn().get_variables().values():
        learn(value, masker)


def learn(value: Any, masker: Masker) -> None:
    """Mask a Robot ``Secret``, or those in a list or dictionary, from now on."""
    if isinstance(value, RobotSecret):
        masker.add(value.value)
    elif isinstance(value, dict):
        for item in value.values():
            learn(item, masker)
    elif isinstance(value, list | tuple):
        for item in value:
            learn(item, masker)


@functools.cache
def _own_texts(kind: type) -> list[str]:
    """Return the attributes that can be set; some results have others of the same name for old listeners."""
    found = {name: getattr(kind, name, None) for name in _TEXTS}
    return [name for name, own in found.items() if own is not None and not (isinstance(own, property) and own.fset is None)]


def _masked(value: Any, masker: Masker) -> Any:
    if isinstance(value, str):
        # Robot cuts long values.
        return masker.mask_cut(value)
    if isinstance(value, Tags):
        return Tags([masker.mask(tag) for tag in value])
    if isinstance(value, tuple | list):
        return type(value)(_masked(item, masker) for item in value)
    if isinstance(value, MutableMapping):
        for key, item in value.items():
            value[key] = _masked(item, masker)
    return value

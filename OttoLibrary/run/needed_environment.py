"""Tests that say what they need of the environment: skipped when it is not there, checked before they run when it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from robot.utils import escape  # type: ignore[import-untyped]

from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.masking import mask
from OttoLibrary.run.bench import Bench, bench_of
from OttoLibrary.run.session import Session
from OttoLibrary.text import printable

TAG = "env_req:"
_FORM = f'Write {TAG}{{"device": {{"key": "value"}}}}.'


def requirement_of(text: str) -> Mapping[str, Any]:
    """Return what a requirement says; raise UsageError when it is no JSON object."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"The requirement '{text}' is not JSON: {error}. {_FORM}") from error
    if not isinstance(found, Mapping):
        raise UsageError(f"The requirement '{text}' is no JSON object. {_FORM}")
    return found


def unmet(bench: Bench, requirement: Mapping[str, Any]) -> str:
    """Return why an environment does not meet a requirement; when it does, run the contingency checks of its devices.

    Raises:
        DeployError: A check failed.
    """
    from OttoLibrary.testbed.requirements import mismatch

    why = mismatch(bench.environment, requirement)
    if not why and not bench.skips_checks:
        bench.session.engine.call(bench.deployment.check(requirement))
    return why


def begin_test(session: Session, data: Any) -> None:
    """Let a test be skipped, or fail, for the requirements in its tags; others begin as they are.

    Args:
        session: Whose bench counts.
        data: The test as Robot is about to run it.
    """
    requirements = list(_stated(data.tags))
    if not requirements or data.setup.name in ("BuiltIn.Skip", "BuiltIn.Fail"):
        return
    try:
        bench = bench_of(session)
        if bench.checked == data.id:
            return
        bench.checked = data.id
        why = [found for text in requirements if (found := unmet(bench, requirement_of(text)))]
        if why:
            _replace(data, "BuiltIn.Skip", f"The environment is not what the test needs: {'; '.join(why)}.")
    except OttoError as error:
        # What was not checked did not pass.
        _replace(data, "BuiltIn.Fail", str(error))


def _stated(tags: Iterable[str]) -> Iterable[str]:
    return (tag[len(TAG) :] for tag in tags if tag.lower().startswith(TAG))


def _replace(data: Any, keyword: str, message: str) -> None:
    data.setup.config(name=keyword, args=[escape(printable(mask(message)))])

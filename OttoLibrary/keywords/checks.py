"""The keyword for soft checks: the test continues, and fails at its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from robot.api.deco import keyword
from robot.libraries.BuiltIn import BuiltIn
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.keywords.component import Component
from OttoLibrary.masking import mask

_MOST_SHOWN = 80


class CheckKeywords(Component):
    """Check softly."""

    @keyword(tags=["Check"])
    def check(self, condition: Any, message: str = "") -> bool:
        """Checks a condition; when it does not hold, the test fails at its end.

        Args:
            condition: A Python expression as of `Should Be True`, or a value that is true or not.
            message: What it means that it does not hold.

        Returns:
            True when it holds.

        The message of the test lists every check that did not hold, with file, line and expression. A check in the set-up or
        teardown of a suite fails that when it is over. An expression that cannot be evaluated fails immediately.

        ```robotframework
        ${result}=    Run On Host    dut1    ./fw --version
        Check    $result.rc == 0    the firmware does not run
        Check    '2.1' in $result.stdout    it is another version
        ```
        """
        holds = _holds(condition)
        if not holds:
            data = _own_call()
            said = self.session.masker.mask(f"{message or 'It does not hold'}: {_shown(condition, data)}")
            self.session.breaches.add_failed_check(f"{_place(data)}: {said}")
            EXECUTION_CONTEXTS.current.fail(said)
        return holds


def _holds(condition: Any) -> bool:
    is_expression = isinstance(condition, str)
    return bool(BuiltIn().evaluate(condition) if is_expression else condition)


def _own_call() -> Any:
    """Return Robot's data of the keyword that runs."""
    return EXECUTION_CONTEXTS.current.steps[-1][0]


def _place(data: Any) -> str:
    return f"{Path(data.source).name if data.source else 'no file'}:{data.lineno or '?'}"


def _shown(condition: Any, data: Any) -> str:
    """Return the expression, and the values of the variables in it."""
    if not isinstance(condition, str):
        written = str(data.args[0]) if data.args else ""
        return f"{written} is {_short(condition)}"
    names = dict.fromkeys(re.findall(r"\$(\w+)", condition))
    values = ", ".join(f"${name} is {_short(BuiltIn().get_variable_value(f'${{{name}}}'))}" for name in names)
    return f"{condition} ({values})" if values else condition


def _short(value: object) -> str:
    text = " ".join(mask(repr(value) if isinstance(value, str) else str(value)).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."

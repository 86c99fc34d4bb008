"""The keyword for options."""

from __future__ import annotations

from dataclasses import MISSING
from html import escape
from typing import Any

from robot.api.deco import keyword
from robot.libraries.BuiltIn import BuiltIn

from OttoLibrary.instructions.options import Option, fill, load_class, options_of, value_text
from OttoLibrary.keywords.component import Component
from OttoLibrary.run.robot_results import learn
from OttoLibrary.run.session import Session


class OptionsKeywords(Component):
    """Fill a dataclass from variables."""

    @keyword(tags=["Options"])
    def load_options(self, options: str) -> Any:
        """Fills a dataclass from variables of the same names and returns it.

        Args:
            options: The class with its module, such as `my_sut.RepoOptions`.

        Returns:
            The object; its fields are attributes, such as `${options.debug}`.

        Raises:
            UsageError: There is no such class, or values are missing or wrong; the message lists all of them.

        A field `run_name` is filled by the variable `${RUN_NAME}`: case, spaces and underscores do not matter. Its type says how
        the value is converted, as for arguments of keywords; `bool` accepts only words for yes and no. A field without a variable
        keeps its default. Instructions that take options of this class get this object until the suite or test ends in which it
        was loaded.

        ```robotframework
        VAR    ${ROUNDS}    3
        ${options}=    Load Options    OttoLibrary.examples.options.DemoOptions
        Should Be Equal As Integers    ${options.rounds}    3
        Should Be Equal    ${options.product}    fw
        ```
        """
        kind = load_class(options)
        loaded = from_variables(self.session, kind)
        self.session.scopes.keep_options(loaded)
        self._log(kind, loaded)
        return loaded

    def _log(self, kind: type, loaded: Any) -> None:
        from OttoLibrary.report.blocks import table

        rows = [
            [escape(text) for text in (option.name, value_text(getattr(loaded, option.name)), _origin(option), option.help)]
            for option in options_of(kind)
        ]
        self.log_html(table(("option", "value", "from", ""), rows))


def current_options(session: Session, kind: type) -> Any:
    """Return the options of a class that were loaded last, or such as the variables say now; raise UsageError."""
    kept: Any = session.scopes.options(kind)
    return kept if kept is not None else from_variables(session, kind)


def from_variables(session: Session, kind: type) -> Any:
    """Return options filled from variables, their secrets masked from now on; raise UsageError."""

    def find(option: Option) -> Any:
        value = _value(option)
        learn(value, session.masker)
        if option.is_secret and isinstance(value, str):
            session.masker.add(value)
        return value

    return fill(kind, find)


def _value(option: Option) -> Any:
    return BuiltIn().get_variable_value(option.variable, MISSING)


def _origin(option: Option) -> str:
    return "default" if _value(option) is MISSING else option.variable

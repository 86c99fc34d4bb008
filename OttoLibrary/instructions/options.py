"""Options: a dataclass filled from variables, with Robot Framework's conversions and a list of all mistakes."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar, get_type_hints

from robot.api import TypeInfo
from robot.api.types import Secret as RobotSecret

from OttoLibrary.errors import UnknownNameError, UsageError
from OttoLibrary.text import plural
from OttoLibrary.units import duration_text

T = TypeVar("T")
_HELP = re.compile(r"(?P<indent> +)(?P<name>\w+)(?: \(.*\))?: *(?P<text>.*)")
_LONGEST = 200
_EMPTY = (dict, frozenset, list, set, tuple)


@dataclass(frozen=True)
class Option:
    """One field of an options class.

    Attributes:
        name: Name of the field.
        type: What its values are.
        required: True when it has no default.
        default: Its default, as people write it.
        help: What it is for.
    """

    name: str
    type: TypeInfo
    required: bool
    default: str
    help: str

    @property
    def variable(self) -> str:
        """The variable that fills it; case, spaces and underscores do not matter."""
        return f"${{{self.name.upper()}}}"

    @property
    def is_secret(self) -> bool:
        """True when its value must not show."""
        return _has_secret(self.type)

    @property
    def type_text(self) -> str:
        """Its type, for people."""
        kind = self.type.type
        members = f" ({', '.join(kind.__members__)})" if inspect.isclass(kind) and issubclass(kind, Enum) else ""
        return f"{self.type}{members}"


def is_options(kind: object) -> bool:
    """Return True for a dataclass."""
    return inspect.isclass(kind) and dataclasses.is_dataclass(kind)


def load_class(reference: str) -> type:
    """Return the dataclass of a name such as ``my_sut.RepoOptions``; raise UsageError."""
    module_name, _, name = reference.strip().rpartition(".")
    if not module_name or not name:
        raise UsageError(f"'{reference}' does not name an options class. Name it with its module, such as 'my_sut.RepoOptions'.")
    found = vars(_module(module_name))
    if name not in found:
        known = [key for key, value in found.items() if is_options(value)]
        raise UnknownNameError(f"options class in module '{module_name}'", name, known)
    if not is_options(found[name]):
        raise UsageError(f"'{reference}' is not a dataclass. Write '@dataclass' above it.")
    kind: type = found[name]
    return kind


def options_of(kind: type) -> list[Option]:
    """Return the options of a class; raise UsageError for a field that no variable can fill."""
    try:
        hints = get_type_hints(kind)
    except Exception as error:
        raise UsageError(f"{shown_class(kind)} has an annotation that cannot be resolved: {error}.") from error
    helps = _documented(kind)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    return [
        Option(
            field.name,
            TypeInfo.from_type_hint(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
            _default_text(field),
            str(field.metadata.get("help") or helps.get(field.name, "")),
        )
        for field in fields
    ]


def check_options(kind: type) -> None:
    """Raise UsageError when variables cannot fill a class, with every field that causes it."""
    _complain(kind, [problem for option in options_of(kind) if (problem := _unfit(option))])


def read_options(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return an options object filled from a mapping, such as ``os.environ``, without Robot Framework running.

    Args:
        kind: The dataclass.
        values: Texts, or values of the right type; names as fields or as variables: case, spaces and underscores do not matter.
            Names that are not options are ignored.

    Raises:
        UsageError: With every mistake: values that are missing or cannot be converted.
    """
    plain = {_plain(name): value for name, value in values.items()}
    return fill(kind, lambda option: plain.get(_plain(option.name), MISSING))


def fill(kind: type[T], find: Callable[[Option], Any]) -> T:
    """Return an options object.

    Args:
        kind: The dataclass.
        find: Returns the value for an option, or ``dataclasses.MISSING``.

    Raises:
        UsageError: With every mistake.
    """
    check_options(kind)
    values: dict[str, Any] = {}
    problems = []
    for option in options_of(kind):
        value = find(option)
        if value is MISSING:
            problems += [_missing(option)] if option.required else []
            continue
        try:
            values[option.name] = option.type.convert(value, option.variable, {bool: _boolean}, kind="Variable")
        except ValueError as error:
            problems.append(_wrong(option, value, error))
    _complain(kind, problems)
    try:
        return kind(**values)
    except Exception as error:
        raise UsageError(f"{shown_class(kind)} rejected its values: {error}") from error


def shown_class(kind: type) -> str:
    """Return how a sentence names an options class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def value_text(value: Any) -> str:
    """Return a default as people write it."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, timedelta):
        return duration_text(value.total_seconds())
    return "''" if value == "" else str(value)


# -- mistakes


def _complain(kind: type, problems: list[str]) -> None:
    if len(problems) == 1:
        raise UsageError(f"{shown_class(kind)}: {problems[0]}")
    if problems:
        told = "\n".join(f"  {problem}" for problem in problems)
        raise UsageError(f"{shown_class(kind)} has {plural(len(problems), 'mistake')}:\n{told}")


def _missing(option: Option) -> str:
    what = f" ({option.help})" if option.help else ""
    return f"{option.name}: there is no variable {option.variable}, and no default. Expected {option.type_text}{what}."


def _wrong(option: Option, value: Any, error: ValueError) -> str:
    if option.is_secret:
        how = f'--variable "{option.variable[2:-1]}: Secret:..."'
        return f"{option.name}: variable {option.variable} has a value that is not a Secret. Give it with {how}."
    shown = str(value)
    if len(shown) > _LONGEST:
        long = f"has a value of {len(shown)} characters"
        return f"{option.name}: variable {option.variable} {long} that is not of type {option.type_text}."
    return f"{option.name}: {str(error).replace(chr(10), ' ')}"


def _unfit(option: Option) -> str:
    if inspect.isclass(option.type.type) and dataclasses.is_dataclass(option.type.type):
        return f"{option.name}: is a dataclass itself ({option.type}), and options are not nested. Inherit from it instead."
    try:
        option.type.get_converter({bool: _boolean})
    except TypeError:
        return f"{option.name}: no text can be converted to {option.type}. Use a type that Robot Framework converts, such as str."
    return ""


# -- steps


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"There is no module '{error.name}' for options. Give its folder with '--pythonpath', or in 'libs' of "
                ".otto/settings.toml."
            ) from error
        raise UsageError(f"Module '{name}' cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"Module '{name}' cannot be imported: {type(error).__name__}: {error}") from error


def _boolean(value: str | int | float) -> bool:
    """Return what Robot Framework makes of a value, unless it leaves it as it is."""
    converted = TypeInfo.from_type_hint(bool).convert(value)
    if not isinstance(converted, bool):
        raise ValueError("Use one of yes, no, true, false, on, off, 1, 0")
    return converted


def _has_secret(info: TypeInfo) -> bool:
    return info.type is RobotSecret or any(_has_secret(nested) for nested in info.nested or ())


def _default_text(field: dataclasses.Field[Any]) -> str:
    if field.default is not MISSING:
        return value_text(field.default)
    if field.default_factory is MISSING:
        return ""
    factory: Any = field.default_factory
    return value_text(factory()) if factory in _EMPTY else getattr(factory, "__name__", "a new object")


def _documented(kind: type) -> dict[str, str]:
    """Return what the sections ``Attributes:`` of a class and of those it inherits from say."""
    helps: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        helps |= _attributes(inspect.cleandoc(base.__dict__.get("__doc__") or ""))
    return helps


def _attributes(documentation: str) -> dict[str, str]:
    _, _, section = f"\n{documentation}".partition("\nAttributes:\n")
    helps: dict[str, str] = {}
    indent, name = "", ""
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        found = _HELP.fullmatch(line)
        if found and (not indent or found["indent"] == indent):
            indent, name = found["indent"], found["name"]
            helps[name] = found["text"].strip()
        elif name:
            helps[name] = f"{helps[name]} {line.strip()}".strip()
    return helps


def _plain(name: str) -> str:
    return re.sub(r"[ _]", "", name).lower()

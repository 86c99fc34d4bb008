"""Makes keywords of instructions."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, get_args

from robot.api import TypeInfo, logger

from OttoLibrary.errors import OttoError
from OttoLibrary.instructions.instructions import Hosts, Instruction, plain_name, registered
from OttoLibrary.instructions.options import check_options, is_options, value_text
from OttoLibrary.keywords.component import Component
from OttoLibrary.keywords.options import current_options
from OttoLibrary.run.robot_results import learn
from OttoLibrary.run.session import Session
from OttoLibrary.text import plural

LogLevel = Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]
_LEVELS: tuple[tuple[int, LogLevel], ...] = ((40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG"), (0, "TRACE"))
_STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


@dataclass(frozen=True)
class Call:
    """How an instruction is called.

    Attributes:
        whole: All of its parameters.
        given: Those that the library supplies, and their types.
        signature: Those that are arguments of the keyword.
    """

    whole: inspect.Signature
    given: dict[str, Any]
    signature: inspect.Signature

    @property
    def arguments(self) -> str:
        """The arguments, for people: ``product: str, *, debug: bool = False``."""
        parameters = list(self.signature.parameters.values())
        texts = [_argument(one) for one in parameters]
        kinds = [one.kind for one in parameters]
        if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
            texts.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
        return ", ".join(texts)


def add_instructions(library: Any, session: Session) -> bool:
    """Make keywords of the instructions that init modules registered, and return True when one is new.

    Args:
        library: The library, complete but for these.
        session: Its session.

    Raises:
        PluginError: One cannot be called, or has the name of a keyword.
    """
    component = Component(session)
    owners = {plain_name(name): name for name in library.keywords}
    functions = {}
    for instruction in registered():
        key = plain_name(instruction.name)
        if key in owners:
            source = library.get_keyword_source(owners[key])
            if source == instruction.place:
                continue
            raise instruction.mistake(f"has the name of a keyword of the library ({source}). Rename it, or give it a 'name='")
        functions[key] = _keyword(instruction, library, component)
    library.add_library_components([SimpleNamespace(**functions)])
    return bool(functions)


def call_of(instruction: Instruction, library: type) -> Call:
    """Return how an instruction is called; raise PluginError for a parameter that nothing can supply.

    Args:
        instruction: The instruction.
        library: The class of the library.
    """
    whole = instruction.signature()
    for name, one in whole.parameters.items():
        if any(_is_given(inner, library) for inner in get_args(one.annotation)):
            raise instruction.mistake(f"always gets '{name}' from the library. Annotate it with only the class")
    given = {name: one.annotation for name, one in whole.parameters.items() if _is_given(one.annotation, library)}
    for name, kind in given.items():
        if kind is library and instruction.is_async:
            raise instruction.mistake(f"cannot await the keywords of '{name}'. Annotate it with 'Hosts' of OttoLibrary")
        if kind is Hosts and not instruction.is_async:
            raise instruction.mistake(f"must await '{name}'. Make it 'async def', or annotate '{name}' with 'OttoLibrary'")
        if is_options(kind):
            check_options(kind)
        if whole.parameters[name].kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            raise instruction.mistake(f"takes several '{name}', but there is only one. Remove the star")
    visible = [one for name, one in whole.parameters.items() if name not in given]
    return Call(whole, given, whole.replace(parameters=visible))


def _argument(one: inspect.Parameter) -> str:
    stars = _STARS.get(one.kind, "")
    kind = "" if one.annotation is one.empty else f": {TypeInfo.from_type_hint(one.annotation)}"
    default = "" if one.default is one.empty else f" = {value_text(one.default)}"
    return f"{stars}{one.name}{kind}{default}"


def _is_given(hint: Any, library: type) -> bool:
    return hint in (Hosts, library) or is_options(hint)


def _keyword(instruction: Instruction, library: Any, component: Component) -> Callable[..., Any]:
    """Return a function that PythonLibCore accepts as a keyword."""
    call = call_of(instruction, type(library))
    ready: dict[Any, Any] = {Hosts: Hosts(component.session), type(library): library}

    def keyword(*positional: Any, **named: Any) -> Any:
        bound = call.signature.bind(*positional, **named)
        learn(list(bound.arguments.values()), component.session.masker)
        for name, kind in call.given.items():
            bound.arguments[name] = ready[kind] if kind in ready else current_options(component.session, kind)
        return _run(instruction, _complete(call, bound.arguments), component)

    keyword.__name__, keyword.__doc__ = instruction.function.__name__, inspect.getdoc(instruction.function)
    types = {one.name: one.annotation for one in call.signature.parameters.values() if one.annotation is not one.empty}
    returned = call.signature.return_annotation
    attributes = {
        "__signature__": call.signature,
        "robot_name": instruction.name,
        "robot_tags": ["Instruction", *instruction.tags],
        "robot_types": types if returned is inspect.Signature.empty else types | {"return": returned},
        "robot_source": instruction.place,
    }
    for name, value in attributes.items():
        setattr(keyword, name, value)
    return keyword


def _complete(call: Call, arguments: dict[str, Any]) -> inspect.BoundArguments:
    """Return the arguments for all parameters: given ones may stand before the others."""
    bound = inspect.BoundArguments(call.whole, {name: arguments[name] for name in call.whole.parameters if name in arguments})
    bound.apply_defaults()
    return bound


def _run(instruction: Instruction, bound: inspect.BoundArguments, component: Component) -> Any:
    made = instruction.function(*bound.args, **bound.kwargs)
    if not inspect.iscoroutine(made):
        return made
    try:
        with _logged():
            return component.call(made)
    except ExceptionGroup as group:
        raise _first_of(group, instruction.name) from group


@contextmanager
def _logged() -> Iterator[None]:
    """Copy what other threads log in the meantime into Robot Framework's log, which ignores them."""
    keeper = _Keeper()
    logging.getLogger().addHandler(keeper)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(keeper)
        for text, level in keeper.lines:
            logger.write(text, level)


class _Keeper(logging.Handler):
    """Keeps the log records of all threads but the main one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, LogLevel]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        if record.thread != threading.main_thread().ident:
            level = next(name for least, name in _LEVELS if record.levelno >= least)
            self.lines.append((self.format(record), level))


def _first_of(group: ExceptionGroup, name: str) -> Exception:
    """Return the one error of a group, or one that lists them."""
    errors = _leaves(group)
    if len(errors) == 1:
        return errors[0]
    told = "\n".join(str(error) if isinstance(error, OttoError) else f"{type(error).__name__}: {error}" for error in errors)
    return OttoError(f"Instruction '{name}' failed with {plural(len(errors), 'error')}:\n{told}")


def _leaves(group: ExceptionGroup) -> list[Exception]:
    return [leaf for error in group.exceptions for leaf in (_leaves(error) if isinstance(error, ExceptionGroup) else [error])]

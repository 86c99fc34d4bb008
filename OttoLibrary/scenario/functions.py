"""Python functions that events call, and classes that hear each result; both are registered by those who import them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar, overload

from OttoLibrary.errors import PluginError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])
_functions: dict[str, tuple[str, Callable[..., Any]]] = {}


@overload
def scenario_event(function: F, /) -> F: ...
@overload
def scenario_event(*, name: str = "") -> Callable[[F], F]: ...
def scenario_event(function: Any = None, /, *, name: str = "") -> Any:
    """Let events of scenarios call a function by its name.

    A coroutine function runs on the library's event loop, any other in a thread. A parameter ``kill_switch`` or ``reporter`` gets
    those of the scenario, one named ``host`` the host of an event that has ``hosts``; all others are the event's ``params``.

    Args:
        function: The function, when the decorator is written without parentheses.
        name: What events call it; the name of the function by default.

    Raises:
        PluginError: Another function has this name.
    """
    if function is None:
        return lambda decorated: _register(decorated, name)
    return _register(function, name)


def known() -> dict[str, Callable[..., Any]]:
    """Return the functions that are registered, by their names."""
    return dict(_functions.values())


def find(name: str) -> Callable[..., Any] | None:
    """Return the function that a name means, blanks, underscores and capitals ignored; None when there is none."""
    found = _functions.get(_plain(name))
    return found[1] if found is not None else None


def mistake(function: Callable[..., Any], params: dict[str, Any], offered: set[str], options: Collection[str] = ()) -> str:
    """Return why a function cannot be called with these arguments, or nothing.

    Args:
        function: The function.
        params: The arguments.
        offered: What it may have too.
        options: What an event has besides arguments; one that was mistyped may be among them.
    """
    signature = inspect.signature(function)
    given = params | {name: None for name in offered & signature.parameters.keys() if name not in params}
    try:
        signature.bind(**given)
    except TypeError as error:
        unknown = next((name for name in params if name not in signature.parameters), "")
        near = did_you_mean(unknown, [*signature.parameters, *options]) if unknown else ""
        return f"the function '{function.__name__}' cannot be called with {sorted(params)}: {error}.{near}".removesuffix(".")
    return ""


def takes(function: Callable[..., Any], name: str) -> bool:
    """Return True when a function has a parameter of this name."""
    return name in inspect.signature(function).parameters


def _register(function: Any, name: str) -> Any:
    if not callable(function) or not hasattr(function, "__name__"):
        raise PluginError(f"@scenario_event is for functions, and {function!r} is none. Put it above a 'def'.")
    called = name.strip() or function.__name__
    present = _functions.get(_plain(called))
    if present is not None and (present[1].__module__, present[1].__qualname__) != (function.__module__, function.__qualname__):
        raise PluginError(f"Two functions are called '{called}' as events of scenarios. Rename one, or give it a 'name='.")
    _functions[_plain(called)] = (called, function)
    return function


def _plain(name: str) -> str:
    return name.replace(" ", "").replace("_", "").lower()

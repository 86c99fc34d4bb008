"""What a user does again and again: a class of an OCT script, or a function, sync or async."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 - the other one has no brackets in Python 3.8

from OttoLibrary.load.turret import oct_alias

# Makes what one user does; called in the user's own thread.
Maker = Callable[[], Any]


class ScriptError(Exception):
    """A script cannot be loaded, or does not have what was named."""


def load_maker(what: dict[str, Any], folder: Path, config: dict[str, Any], context: dict[str, Any]) -> Maker:
    """Return what makes the transactions of users.

    Args:
        what: ``script``: a file, relative to ``folder``, with a class ``transaction`` (by default ``Transaction``) or with a
            function ``function``. In place of a file there may be ``module``. ``arguments`` and ``named`` are for the function,
            ``owner`` and ``owner_arguments`` for a method of a class.
        folder: Where scripts are.
        config: What a transaction gets as its ``config``.
        context: What the HQ gave along.

    Raises:
        ScriptError: It cannot be loaded.
    """
    oct_alias.install()
    sys.path[:0] = [path for path in what.get("path", ()) if path not in sys.path]
    module = _module(what, folder)
    if not what.get("function"):
        name = str(what.get("transaction") or "Transaction")
        made = _attribute(module, name)
        return lambda: _Whole(_instance(made, config, context))
    owner = module
    if what.get("owner"):
        owner = _attribute(module, what["owner"])(*what.get("owner_arguments", ()))
    function = _attribute(owner, what["function"])
    arguments, named = tuple(what.get("arguments", ())), dict(what.get("named", {}))
    return lambda: FunctionTransaction(function, arguments, named)


class FunctionTransaction:
    """A function as the ``run`` of a transaction."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any] = (), named: dict[str, Any] | None = None) -> None:
        self.custom_timers: dict[str, float] = {}
        self._call = (function, tuple(arguments), dict(named or {}))
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_async(self) -> bool:
        """Whether it runs a loop of asyncio."""
        return inspect.iscoroutinefunction(self._call[0])

    def setup(self) -> None:
        """Do nothing."""

    def run(self) -> None:
        """Call it, and wait for what it awaits."""
        function, arguments, named = self._call
        found = function(*arguments, **named)
        if inspect.isawaitable(found):
            self._loop = self._loop or asyncio.new_event_loop()
            self._loop.run_until_complete(_awaited(found))

    def tear_down(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """End the loop of an async function."""
        if self._loop is not None:
            self._loop.close()


class _Whole:
    """An object of a script that may lack some of the three steps, or have async ones."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self._loop: asyncio.AbstractEventLoop | None = None
        self.setup, self.run, self.tear_down = (self._step(name) for name in ("setup", "run", "tear_down"))

    @property
    def is_async(self) -> bool:
        return self._loop is not None

    @property
    def custom_timers(self) -> dict[str, float]:
        found = getattr(self._made, "custom_timers", None)
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()

    def _step(self, name: str) -> Callable[[], Any]:
        found: Callable[[], Any] = getattr(self._made, name, _nothing)
        if not inspect.iscoroutinefunction(found):
            return found
        self._loop = loop = self._loop or asyncio.new_event_loop()
        return lambda: loop.run_until_complete(found())


def _nothing() -> None:
    pass


async def _awaited(found: Any) -> Any:
    return await found


def _instance(made: Any, config: dict[str, Any], context: dict[str, Any]) -> Any:
    try:
        parameters = [each for each in inspect.signature(made).parameters.values() if each.kind is not each.VAR_KEYWORD]
    except (TypeError, ValueError):
        return made(config, context)
    # The documentation of OCT shows one argument, its client gives two, and many classes need none.
    wide = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    return made(*(config, context)[: 2 if wide else len(parameters)])


def _module(what: dict[str, Any], folder: Path) -> Any:
    if what.get("module"):
        try:
            return importlib.import_module(what["module"])
        except Exception as error:
            raise ScriptError(f"The module '{what['module']}' cannot be imported: {_said(error)}") from error
    path = folder / str(what.get("script", ""))
    if not path.is_file():
        raise ScriptError(f"There is no script '{path}'")
    for place in (str(path.parent), str(folder)):
        if place not in sys.path:
            sys.path.insert(0, place)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ScriptError(f"The script '{path}' is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ScriptError(f"The script '{path}' cannot be loaded: {_said(error)}") from error
    return module


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise ScriptError(f"{getattr(owner, '__file__', owner)} has no '{name}'") from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

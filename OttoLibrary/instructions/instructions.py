"""Instructions: Python functions of an init module that become keywords, and the hosts that they work on."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints, overload

from OttoLibrary.errors import OttoError, PluginError

# An init module is imported in every process of a run: what is heavy comes with the first use.
if TYPE_CHECKING:
    from OttoLibrary.contracts.connections import CommandResult
    from OttoLibrary.contracts.transfers import TransferOptions, TransferResult
    from OttoLibrary.run.session import Session

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_NAMED_VARIABLE = ("$", "@", "&", "%")
_registered: dict[str, Instruction] = {}


class Hosts:
    """The hosts of the lab, for an instruction that is ``async def``: it takes a parameter annotated with this class.

    What hosts do shows in the log of the keyword, secrets masked. Time-outs are those given, or those that ``Set Host Timeout``
    set, or the lab's.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def names(self, selection: str = "*") -> list[str]:
        """Return the hosts of a selection such as ``tag:dut``; raise UsageError when it gives none."""
        return self._session.lab.select(selection)

    async def run(
        self, host: str, command: str, *, timeout_s: float | None = None, cwd: str | None = None, expected_rc: int | None = 0
    ) -> CommandResult:
        """Run a command in the host's command shell, as ``Run On Host`` does.

        Args:
            host: Name of the host.
            command: Shell text.
            timeout_s: Seconds, connecting included.
            cwd: Directory for this command alone.
            expected_rc: The right exit status, or None for any.

        Raises:
            CommandError: Another exit status.
            WaitTimeoutError: It took too long; all it started was ended.
        """
        from OttoLibrary.contracts.connections import Expected

        right = Expected(() if expected_rc is None else (expected_rc,))
        limit_s = timeout_s if timeout_s is not None else self._session.scopes.timeout(host)
        return await self._session.hosts.use(host).run(command, timeout_s=limit_s, cwd=cwd, expected=right)

    async def put_file(
        self, host: str, source: str | Path, target: str, options: TransferOptions | None = None
    ) -> TransferResult:
        """Copy a file of this machine to a host, as ``Put File To Host`` does; raise TransferError.

        Args:
            host: Name of the host.
            source: The file.
            target: A folder (it ends with ``/`` or exists), or the new name.
            options: How, such as ``TransferOptions(parents=True, mode=0o755)`` of ``OttoLibrary.contracts``.
        """
        from OttoLibrary.contracts.transfers import TransferOptions

        return await self._session.files.on(host).put([Path(source).expanduser()], target, options or TransferOptions())

    async def get_file(
        self, host: str, source: str, target: str | Path, options: TransferOptions | None = None
    ) -> TransferResult:
        """Copy files of a host to this machine, as ``Get File From Host`` does; raise TransferError.

        Args:
            host: Name of the host.
            source: The file, or a pattern.
            target: A folder (it ends with ``/`` or exists), or the new name.
            options: As of ``put_file``.
        """
        from OttoLibrary.contracts.transfers import TransferOptions

        return await self._session.files.on(host).get(source, os.fspath(target), options or TransferOptions())

    async def put_directory(
        self, host: str, source: str | Path, target: str, options: TransferOptions | None = None
    ) -> TransferResult:
        """Copy a folder of this machine to a host, as ``Put Directory To Host`` does; raise TransferError."""
        from OttoLibrary.contracts.transfers import TransferOptions

        return await self._session.files.folders_on(host).put(
            Path(source).expanduser(), target, options or TransferOptions(links="keep")
        )

    async def each(
        self, selection: str, work: Callable[[str], Awaitable[T]], *, limit: int = 20, stop_after: int = 0
    ) -> dict[str, T]:
        """Do the same on many hosts at once, and return the results by host.

        Args:
            selection: Which hosts.
            work: Does it on the host of a name.
            limit: How many at the same time.
            stop_after: After so many failures no further host is begun; 0 for all of them.

        Raises:
            HostError: It failed on at least one host; the message names each.
        """
        from OttoLibrary.run.fanout import whole

        return whole(await self.outcomes(selection, work, limit=limit, stop_after=stop_after), "Failed on")

    async def outcomes(
        self, selection: str, work: Callable[[str], Awaitable[T]], *, limit: int = 20, stop_after: int = 0
    ) -> dict[str, T | OttoError]:
        """Do the same as ``each``, and return for each host its result or its error."""
        from OttoLibrary.run.fanout import each

        return await each(self.names(selection), work, limit, stop_after)


@dataclass(frozen=True)
class Instruction:
    """A function that is a keyword.

    Attributes:
        name: Name of the keyword.
        function: The function, sync or async.
        tags: Tags of the keyword.
    """

    name: str
    function: Callable[..., Any]
    tags: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where it is written: ``file:line``."""
        return _place(self.function)

    @property
    def is_async(self) -> bool:
        """True when its calls are awaited."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def signature(self) -> inspect.Signature:
        """Return its parameters with their types; raise PluginError for an annotation that cannot be resolved."""
        try:
            hints = get_type_hints(self.function)
        except Exception as error:
            raise self.mistake(f"has an annotation that cannot be resolved: {error}") from error
        plain = inspect.signature(self.function)
        typed = [one.replace(annotation=hints.get(one.name, one.empty)) for one in plain.parameters.values()]
        return plain.replace(parameters=typed, return_annotation=hints.get("return", plain.empty))

    def mistake(self, what: str) -> PluginError:
        """Return the error that says what is wrong with it, and where."""
        return PluginError(f"Instruction '{self.name}' ({self.place}) {what}.")


@overload
def instruction(function: F, /) -> F: ...
@overload
def instruction(*, name: str = "", tags: Sequence[str] = ()) -> Callable[[F], F]: ...
def instruction(function: Any = None, /, *, name: str = "", tags: Sequence[str] = ()) -> Any:
    """Make a function of an init module a keyword of the library.

    The keyword has the function's name (``deploy_all`` is ``Deploy All``), documentation, types and defaults, and returns what
    the function returns. A coroutine function runs on the library's event loop, any other in Robot's main thread. A parameter
    annotated with ``Hosts`` (in a coroutine function), ``OttoLibrary`` (in any other) or an options dataclass is not an argument
    of the keyword: the library supplies it.

    Args:
        function: The function, when the decorator is written without parentheses.
        name: Name of the keyword.
        tags: Tags of the keyword.

    Returns:
        The function as it is.

    Raises:
        PluginError: It cannot be a keyword, or another instruction has its name.
    """
    if function is None:
        return lambda decorated: _register(decorated, name, tags)
    return _register(function, name, tags)


def registered() -> list[Instruction]:
    """Return the instructions of the init modules that were imported, in the order of their names."""
    return [_registered[key] for key in sorted(_registered)]


def plain_name(name: str) -> str:
    """Return what counts when Robot Framework compares names."""
    return name.replace(" ", "").replace("_", "").lower()


def _register(function: Any, name: str, tags: Sequence[str]) -> Any:
    _check_function(function)
    if isinstance(tags, str):
        raise PluginError(f"The tags of instruction '{function.__name__}' are the text '{tags}'. Write a list: tags=['{tags}'].")
    made = Instruction(name.strip() or _title(function.__name__), function, tuple(tags))
    _check_signature(made)
    present = _registered.get(plain_name(made.name))
    if present is not None and not _is_again(made, present):
        raise made.mistake(f"has the name of another one ({present.place}). Rename one, or give it a 'name='")
    _registered[plain_name(made.name)] = made
    return function


def _is_again(made: Instruction, present: Instruction) -> bool:
    """Return True for the same text in a new module: one whose import failed half-way is imported again."""
    return made.place == present.place and made.function.__globals__ is not present.function.__globals__


def _check_function(function: Any) -> None:
    """Raise PluginError unless it is a function with its own name."""
    shown = getattr(function, "__qualname__", repr(function))
    if not inspect.isfunction(function):
        raise PluginError(f"@instruction() is for functions, and '{shown}' is {_kind(function)}. Put it above a 'def'.")
    if function.__name__ == "<lambda>":
        raise PluginError(f"@instruction() is for functions with a name, and at {_place(function)} is a lambda. Write a 'def'.")


def _check_signature(made: Instruction) -> None:
    """Raise PluginError when Robot Framework could not call it."""
    if inspect.isgeneratorfunction(made.function) or inspect.isasyncgenfunction(made.function):
        raise made.mistake("yields. A keyword returns once: collect the values and return them")
    for one in inspect.signature(made.function).parameters.values():
        if one.kind is one.POSITIONAL_ONLY:
            raise made.mistake(f"has the positional-only parameter '{one.name}'. Remove the '/', so that it can be named")
        if one.name in {"self", "cls"}:
            raise made.mistake(f"has the parameter '{one.name}', as methods do. Write a function outside of the class")
    if any(f"{sign}{{" in made.name for sign in _NAMED_VARIABLE):
        raise made.mistake("has a variable in its name, which would be an embedded argument. Give it arguments instead")


def _place(function: Any) -> str:
    code = inspect.unwrap(function).__code__
    return f"{os.path.normpath(code.co_filename)}:{code.co_firstlineno}"


def _kind(thing: Any) -> str:
    if inspect.isclass(thing):
        return "a class"
    return "a built-in" if inspect.isbuiltin(thing) else f"of type {type(thing).__name__}"


def _title(name: str) -> str:
    """Return ``Deploy All`` for ``deploy_all``."""
    return " ".join(word[0].upper() + word[1:] for word in name.split("_") if word)

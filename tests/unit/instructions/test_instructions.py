"""Instructions: what the decorator takes, what it refuses, and how they are called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from OttoLibrary.errors import PluginError, UsageError
from OttoLibrary.instructions import instructions
from OttoLibrary.instructions.instructions import Hosts, instruction, registered
from OttoLibrary.keywords.instructions import call_of


@dataclass
class Options:
    debug: bool = False


class Library:
    """Stands for the class of the library."""


@pytest.fixture(autouse=True)
def none_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "_registered", {})


def only() -> instructions.Instruction:
    (found,) = registered()
    return found


def test_a_function_has_its_own_name_and_stays_a_function() -> None:
    @instruction()
    async def deploy_to_DUT(hosts: Hosts) -> int:  # noqa: N802
        """Deploys.

        And more.
        """
        return 1

    assert inspect.iscoroutinefunction(deploy_to_DUT)
    found = only()
    assert (found.name, found.summary, found.tags, found.is_async) == ("Deploy To DUT", "Deploys.", (), True)
    file, _, line = found.place.rpartition(":")
    assert file == __file__
    assert int(line) > 0


def test_name_and_tags_may_be_given_and_the_parentheses_left_out() -> None:
    @instruction(name="Bring Up", tags=["deploy"])
    def first() -> None: ...

    @instruction
    def second() -> None: ...

    assert [(one.name, one.tags) for one in registered()] == [("Bring Up", ("deploy",)), ("Second", ())]


def test_a_second_one_of_a_name_is_an_error_with_both_places() -> None:
    @instruction()
    def deploy_all() -> None: ...

    first = only().place
    with pytest.raises(PluginError) as caught:

        @instruction(name="deploy ALL")
        def other() -> None: ...

    told = str(caught.value)
    assert told.startswith(f"Instruction 'deploy ALL' ({__file__}:")
    assert told.endswith(f"has the name of another one ({first}). Rename one, or give it a 'name='.")


def test_a_module_that_is_imported_again_claims_nothing_twice() -> None:
    code = compile("from OttoLibrary import instruction\n@instruction()\ndef again(): ...\n", "sut.py", "exec")
    exec(code, {})
    exec(code, {})
    assert only().place == "sut.py:2"


def test_functions_behind_the_same_wrapper_have_places_of_their_own() -> None:
    def loud(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*arguments: Any) -> Any:
            return function(*arguments)

        return wrapper

    @instruction()
    @loud
    def one() -> None: ...

    @instruction()
    @loud
    def two() -> None: ...

    assert len({found.place for found in registered()}) == 2


def wrong_lambda() -> None:
    instruction()(lambda: 1)


def wrong_class() -> None:
    @instruction()
    class Deploy: ...


def wrong_value() -> None:
    instruction()(3)  # type: ignore[type-var]


def wrong_builtin() -> None:
    instruction()(len)


def wrong_method() -> None:
    class Holder:
        @instruction()
        def deploy(self) -> None: ...


def wrong_generator() -> None:
    @instruction()
    def deploy() -> Iterator[int]:
        yield 1


def wrong_async_generator() -> None:
    @instruction()
    async def deploy() -> AsyncIterator[int]:
        yield 1


def wrong_positional_only() -> None:
    @instruction()
    def deploy(host: str, /) -> None: ...


def wrong_embedded() -> None:
    @instruction(name="Deploy ${host}")
    def deploy(host: str) -> None: ...


def wrong_tags() -> None:
    @instruction(tags="deploy")
    def deploy() -> None: ...


@pytest.mark.parametrize(
    ("decorate", "sentence"),
    [
        (wrong_lambda, "is for functions with a name, and at "),
        (wrong_class, "is a class. Put it above a 'def'."),
        (wrong_value, "'3' is of type int. Put it above a 'def'."),
        (wrong_builtin, "'len' is a built-in. Put it above a 'def'."),
        (wrong_method, "has the parameter 'self', as methods do. Write a function outside of the class."),
        (wrong_generator, "yields. A keyword returns once: collect the values and return them."),
        (wrong_async_generator, "yields. A keyword returns once: collect the values and return them."),
        (wrong_positional_only, "has the positional-only parameter 'host'. Remove the '/', so that it can be named."),
        (wrong_embedded, "has a variable in its name, which would be an embedded argument. Give it arguments instead."),
        (wrong_tags, "The tags of instruction 'deploy' are the text 'deploy'. Write a list: tags=['deploy']."),
    ],
)
def test_what_cannot_be_a_keyword_is_one_clear_sentence(decorate: Any, sentence: str) -> None:
    with pytest.raises(PluginError) as caught:
        decorate()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not registered()


def test_what_the_library_gives_is_no_argument() -> None:
    @instruction()
    async def deploy(
        first: str, hosts: Hosts, second: int = 2, *more: str, options: Options, debug: bool = False, **rest: int
    ) -> None: ...

    call = call_of(only(), Library)
    assert call.given == {"hosts": Hosts, "options": Options}
    assert call.arguments == "first: str, second: int = 2, *more: str, debug: bool = False, **rest: int"


def test_arguments_that_must_be_named_follow_a_star() -> None:
    @instruction()
    def deploy(library: Library, product="fw", *, debug: bool = False): ...  # type: ignore[no-untyped-def]

    call = call_of(only(), Library)
    assert call.given == {"library": Library}
    assert call.arguments == "product = fw, *, debug: bool = False"


def wrong_hosts() -> None:
    @instruction()
    def deploy(hosts: Hosts) -> None: ...


def wrong_library() -> None:
    @instruction()
    async def deploy(otto: Library) -> None: ...


def wrong_star() -> None:
    @instruction()
    async def deploy(*hosts: Hosts) -> None: ...


def wrong_optional() -> None:
    @instruction()
    async def deploy(hosts: Hosts | None = None) -> None: ...


def wrong_annotation() -> None:
    @instruction()
    def deploy(host: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def wrong_options() -> None:
    @dataclass
    class Nested:
        inner: Options

    @instruction()
    def deploy(options: Any) -> None: ...

    deploy.__annotations__["options"] = Nested


@pytest.mark.parametrize(
    ("decorate", "sentence"),
    [
        (wrong_hosts, "must await 'hosts'. Make it 'async def', or annotate 'hosts' with 'OttoLibrary'."),
        (wrong_library, "cannot await the keywords of 'otto'. Annotate it with 'Hosts' of OttoLibrary."),
        (wrong_star, "takes several 'hosts', but there is only one. Remove the star."),
        (wrong_optional, "always gets 'hosts' from the library. Annotate it with only the class."),
        (wrong_annotation, "has an annotation that cannot be resolved: name 'Nowhere' is not defined."),
        (wrong_options, "inner: is a dataclass itself (Options), and options are not nested."),
    ],
)
def test_what_cannot_be_called_is_one_clear_sentence(decorate: Any, sentence: str) -> None:
    decorate()
    with pytest.raises(UsageError) as caught:
        call_of(only(), Library)
    assert sentence in str(caught.value)

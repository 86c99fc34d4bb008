"""Options: a dataclass filled from texts, and every mistake told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from robot.api.types import Secret

from OttoLibrary.errors import UsageError
from OttoLibrary.instructions.options import is_options, load_class, options_of, read_options


class Level(Enum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Base:
    """What all have.

    Attributes:
        debug: Build with
            debug symbols.
        rounds (int): How often.

    More of no interest:
        rounds: is not this.
    """

    debug: bool = False
    rounds: int = 1


@dataclass(frozen=True)
class All(Base):
    """Every type.

    Attributes:
        rounds: How often, really.
    """

    ratio: float = 0.5
    product: str = field(default="fw", metadata={"help": "What is deployed."})
    level: Level = Level.LOW
    mode: Literal["fast", "slow"] = "fast"
    where: Path | None = None
    settle: timedelta = timedelta(seconds=90)
    names: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    maybe: bool | None = None
    token: Secret | None = None
    made: str = field(default="here", init=False)


@dataclass
class Needed:
    token: Secret
    rounds: int
    debug: bool = False


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("debug", "Yes", True),
        ("debug", "off", False),
        ("DEBUG", True, True),
        ("R o_unds", "1_000", 1000),
        ("ratio", "1e-3", 0.001),
        ("product", 7, "7"),
        ("level", "high", Level.HIGH),
        ("mode", "SLOW", "slow"),
        ("where", "/tmp/x", Path("/tmp/x")),
        ("where", "None", Path("None")),
        ("settle", "1 min 5 s", timedelta(seconds=65)),
        ("settle", "2", timedelta(seconds=2)),
        ("names", "['a', 'b']", ["a", "b"]),
        ("names", ("a", "b"), ["a", "b"]),
        ("sizes", "{'a': '3'}", {"a": 3}),
        ("maybe", "no", False),
        ("maybe", None, None),
    ],
)
def test_values_are_converted_as_robot_does(name: str, text: object, value: object) -> None:
    attribute = name.lower().replace(" ", "").replace("_", "")
    assert getattr(read_options(All, {name: text}), attribute) == value


def test_what_no_variable_says_has_its_default_anew() -> None:
    one, other = read_options(All, {"UNKNOWN": "x", "made": "there"}), read_options(All, {})
    assert one == other == All()
    assert one.names is not other.names
    assert one.made == "here"


def test_all_mistakes_come_in_one_error_each_on_its_line() -> None:
    with pytest.raises(UsageError) as caught:
        read_options(
            All, {"debug": "maybe", "rounds": "3x", "level": "none", "mode": "odd", "maybe": "perhaps", "settle": "a\nb"}
        )
    head, *lines = str(caught.value).splitlines()
    assert head == f"{__name__}.All has 6 mistakes:"
    expected = [
        ("debug", "${DEBUG}", "'maybe'", "boolean: Use one of yes, no"),
        ("rounds", "${ROUNDS}", "'3x'", "integer"),
        ("level", "${LEVEL}", "'none'", "'HIGH' and 'LOW'"),
        ("mode", "${MODE}", "'odd'", "'fast' or 'slow'"),
        ("settle", "${SETTLE}", "'a b'", "timedelta"),
        ("maybe", "${MAYBE}", "'perhaps'", "None"),
    ]
    assert len(lines) == len(expected)
    for line, (name, *parts) in zip(lines, expected, strict=True):
        assert line.startswith(f"  {name}: "), line
        assert all(part in line for part in parts), line


def test_a_secret_must_be_one_and_never_shows() -> None:
    assert read_options(Needed, {"token": Secret("hush"), "rounds": "2"}).token.value == "hush"
    with pytest.raises(UsageError) as caught:
        read_options(Needed, {"token": "hush-hush", "debug": "2"})
    head, *lines = str(caught.value).splitlines()
    assert head == f"{__name__}.Needed has 3 mistakes:"
    assert '--variable "TOKEN: Secret:..."' in lines[0]
    assert lines[1] == "  rounds: there is no variable ${ROUNDS}, and no default. Expected int."
    assert "hush" not in str(caught.value)
    with pytest.raises(UsageError, match="not a Secret") as caught:
        read_options(All, {"token": ["hush-hush"]})
    assert "hush" not in str(caught.value)


def test_a_long_value_is_not_shown() -> None:
    with pytest.raises(
        UsageError, match=r"All: rounds: variable \$\{ROUNDS\} has a value of 5000 characters that is not of type int\."
    ):
        read_options(All, {"rounds": "x" * 5000})


def test_what_the_class_itself_refuses_is_told() -> None:
    @dataclass
    class Picky:
        rounds: int = 1

        def __post_init__(self) -> None:
            if self.rounds < 1:
                raise ValueError("rounds must be 1 or more")

    with pytest.raises(UsageError, match="Picky rejected its values: rounds must be 1 or more"):
        read_options(Picky, {"rounds": "0"})


def test_fields_that_no_text_can_fill_are_all_named() -> None:
    @dataclass
    class Odd:
        inner: Base
        thing: sys.__class__  # type: ignore[name-defined]
        fine: int = 1

    with pytest.raises(UsageError) as caught:
        read_options(Odd, {"inner": "x"})
    _, inner, thing = str(caught.value).splitlines()
    assert inner == "  inner: is a dataclass itself (Base), and options are not nested. Inherit from it instead."
    assert thing.startswith("  thing: no text can be converted to module.")


def test_an_annotation_that_means_nothing_is_told() -> None:
    @dataclass
    class Lost:
        thing: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UsageError, match=r"Lost has an annotation that cannot be resolved: name 'Nowhere' is not defined\."):
        read_options(Lost, {})


def test_options_tell_type_default_and_help() -> None:
    told = {one.name: (one.type_text, one.default, one.required, one.help) for one in options_of(All)}
    assert told == {
        "debug": ("bool", "False", False, "Build with debug symbols."),
        "rounds": ("int", "1", False, "How often, really."),
        "ratio": ("float", "0.5", False, ""),
        "product": ("str", "fw", False, "What is deployed."),
        "level": ("Level (LOW, HIGH)", "LOW", False, ""),
        "mode": ("Literal['fast', 'slow']", "fast", False, ""),
        "where": ("Path | None", "None", False, ""),
        "settle": ("timedelta", "1 min 30 s", False, ""),
        "names": ("list[str]", "[]", False, ""),
        "sizes": ("dict[str, int]", "{}", False, ""),
        "maybe": ("bool | None", "None", False, ""),
        "token": ("Secret | None", "None", False, ""),
    }
    assert [one.required for one in options_of(Needed)] == [True, True, False]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for modules, forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_class_is_found_by_its_name(modules: Path) -> None:
    (modules / "sut_a").mkdir()
    (modules / "sut_a" / "deep.py").write_text("from dataclasses import dataclass\n@dataclass\nclass Options:\n    a: int = 1\n")
    kind: Any = load_class(" sut_a.deep.Options ")
    assert is_options(kind)
    assert read_options(kind, {"a": "2"}).a == 2


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("Options", "'Options' does not name an options class. Name it with its module, such as 'my_sut.RepoOptions'."),
        ("", "'' does not name an options class."),
        (
            "sut_b.Option",
            "No options class in module 'sut_b' named 'Option'. Did you mean 'Options'? Known: Options.",
        ),
        ("sut_b.Plain", "'sut_b.Plain' is not a dataclass. Write '@dataclass' above it."),
        ("sut_b.made", "'sut_b.made' is not a dataclass."),
        ("sut_c.Options", "There is no module 'sut_c' for options. Give its folder with '--pythonpath', or in 'libs'"),
        ("sut_b.inner.Options", "There is no module 'sut_b.inner' for options."),
        ("sut_needs.Options", "Module 'sut_needs' cannot be imported: No module named 'sut_nowhere'."),
        ("sut_breaks.Options", "Module 'sut_breaks' cannot be imported: ZeroDivisionError: division by zero"),
        ("sut_exits.Options", "Module 'sut_exits' cannot be imported: SystemExit: 3"),
    ],
)
def test_a_name_that_is_no_options_class_is_one_sentence(modules: Path, reference: str, sentence: str) -> None:
    text = "from dataclasses import dataclass\n@dataclass\nclass Options:\n    a: int = 1\nclass Plain: ...\nmade = Options()\n"
    (modules / "sut_b.py").write_text(text)
    (modules / "sut_needs.py").write_text("import sut_nowhere\n")
    (modules / "sut_breaks.py").write_text("1 / 0\n")
    (modules / "sut_exits.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(UsageError) as caught:
        load_class(reference)
    assert str(caught.value).startswith(sentence)

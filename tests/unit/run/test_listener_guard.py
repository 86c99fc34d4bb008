"""An exception of a listener method is a warning and nothing else."""

from __future__ import annotations

import pytest

from OttoLibrary.run.listener_guard import harmless


class Listener:
    """A listener whose methods fail."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.seen: list[object] = []

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)

    @harmless
    def start_test(self, data: object, result: object) -> None:
        """Remember its arguments."""
        self.seen += [data, result]

    @harmless
    def end_test(self, data: object, result: object) -> None:
        raise LookupError("no such thing")

    @harmless
    def close(self) -> None:
        raise KeyboardInterrupt


def test_a_method_without_an_exception_does_what_it_did() -> None:
    listener = Listener()
    listener.start_test("data", "result")
    assert (listener.seen, listener.warnings) == (["data", "result"], [])
    assert listener.start_test.__doc__ == "Remember its arguments."


def test_an_exception_is_a_warning_that_names_the_listener() -> None:
    listener = Listener()
    listener.end_test("data", "result")
    assert listener.warnings == ["OttoLibrary.Listener: no such thing"]


def test_an_interrupt_is_not_held_back() -> None:
    listener = Listener()
    with pytest.raises(KeyboardInterrupt):
        listener.close()
    assert listener.warnings == []

"""Passwords in a keyring that the test makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from OttoLibrary.lab.references.keyring import Keyring

keyring = pytest.importorskip("keyring")
from keyring.backend import KeyringBackend  # noqa: E402
from keyring.errors import KeyringLocked  # noqa: E402


class Ring(KeyringBackend):  # type: ignore[misc]  # not typed everywhere
    """Passwords by service and user."""

    priority = 0

    def __init__(self) -> None:
        super().__init__()
        self.is_locked = False
        self.passwords = {("bench", "root"): "toor", ("https://site/a", "bob"): "pw", ("bench", "empty"): ""}

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("it is locked")
        return self.passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    before, made = keyring.get_keyring(), Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.mark.parametrize(("argument", "password"), [("bench/root", "toor"), ("https://site/a/bob", "pw"), ("bench/empty", "")])
def test_the_password_of_a_user_of_a_service(ring: Ring, argument: str, password: str) -> None:
    assert Keyring().resolve(argument) == password


@pytest.mark.parametrize("argument", ["", "bench", "/root", "bench/", "/"])
def test_what_does_not_name_both_is_refused(ring: Ring, argument: str) -> None:
    with pytest.raises(LookupError, match=f"^'{argument}' is not SERVICE/USER$"):
        Keyring().resolve(argument)


def test_a_password_that_is_not_there(ring: Ring) -> None:
    with pytest.raises(LookupError, match="the keyring has no password of 'bob' for 'bench'"):
        Keyring().resolve("bench/bob")


def test_a_keyring_that_is_locked(ring: Ring) -> None:
    ring.is_locked = True
    with pytest.raises(LookupError, match=r"the keyring cannot be read \(it is locked\)"):
        Keyring().resolve("bench/root")

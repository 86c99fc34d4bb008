"""``${keyring:SERVICE/USER}``: a password in the keyring of the desktop."""

from __future__ import annotations

import sys


class Keyring:
    """The keyring of this user."""

    def resolve(self, argument: str) -> str:
        """Return the password of ``SERVICE/USER``; the service may hold slashes itself."""
        service, slash, user = argument.rpartition("/")
        if not (service and slash and user):
            raise LookupError(f"'{argument}' is not SERVICE/USER")
        try:
            import keyring
        except ImportError:
            install = f"{sys.executable} -m pip install 'robotframework-ottolibrary[keyring]'"
            raise LookupError(f"the package 'keyring' is not installed, install it with: {install}") from None
        try:
            password = keyring.get_password(service, user)
        except keyring.errors.KeyringError as error:
            raise LookupError(f"the keyring cannot be read ({error})") from error
        if password is None:
            raise LookupError(f"the keyring has no password of '{user}' for '{service}'")
        return password

    def close(self) -> None:
        """Nothing is open."""

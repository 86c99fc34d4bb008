"""Files of known host keys, as in sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": a line that OpenSSH passes over is passed over here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KRL = b"SSHKRL\n"
_CA, _REVOKED = "@cert-authority", "@revoked"


@dataclass(frozen=True)
class KnownKey:
    """A key in a file.

    Attributes:
        key: What the SSH library made of it.
        marker: Empty for a host's own key, ``@cert-authority`` or ``@revoked``.
        place: The file and the line.
    """

    key: Any
    marker: str
    place: str

    @property
    def is_host_key(self) -> bool:
        """True for a host's own key."""
        return not self.marker

    @property
    def is_authority(self) -> bool:
        """True for a key that signs host certificates."""
        return self.marker == _CA

    @property
    def is_revoked(self) -> bool:
        """True for a key that must not be accepted."""
        return self.marker == _REVOKED

    @property
    def fingerprint(self) -> str:
        """Its SHA-256 fingerprint."""
        return str(self.key.get_fingerprint())


def known_keys(files: Sequence[Path], names: Sequence[str], parse: Callable[[str], Any]) -> list[KnownKey]:
    """Return what the files know about a host that has any of these names; a file that cannot be read knows nothing.

    Args:
        files: The files.
        names: As ``named`` returns them.
        parse: Returns the key that ``ssh-ed25519 AAAA...`` stands for; raises ValueError.
    """
    found = []
    for path in files:
        for number, line in enumerate(_lines(path), 1):
            if (entry := _entry(line, names, parse)) is not None:
                marker, key = entry
                found.append(KnownKey(key, marker, f"{path}:{number}"))
    return found


def revoked_keys(files: Sequence[Path], parse: Callable[[str], Any]) -> list[KnownKey]:
    """Return the keys in files that each list public keys, one a line, for no host to be accepted with.

    Args:
        files: The files, as ``RevokedHostKeys`` names them.
        parse: As for ``known_keys``.

    Raises:
        ValueError: A file cannot be read, or not all of it: then it is unknown what is revoked. Names file and line.
    """
    found = []
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(f"'{path}' of RevokedHostKeys cannot be read ({error.strerror})") from error
        if content.startswith(_KRL):
            raise ValueError(f"'{path}' of RevokedHostKeys is a binary list; only public keys as text, one a line, can be read")
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                found.append(KnownKey(_revoked(line, f"{path}:{number}", parse), _REVOKED, f"{path}:{number}"))
    return found


def _revoked(line: str, place: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(" ".join(line.split()[:2]))
    except ValueError as error:
        raise ValueError(f"{place} of RevokedHostKeys is not a public key") from error


def named(host: str, address: str, port: int | None) -> list[str]:
    """Return the names of a server in such files; ``port`` is None for the usual one."""
    names = [name.lower() for name in dict.fromkeys((host, address)) if name]
    return names if port is None else [f"[{name}]:{port}" for name in names]


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError:
        return


def _entry(line: str, names: Sequence[str], parse: Callable[[str], Any]) -> tuple[str, Any] | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#") or marker not in ("", _CA, _REVOKED):
        return None
    if not _matches(fields[0], names):
        return None
    try:
        return marker, parse(" ".join(fields[1:3]))
    except ValueError:
        return None


def _matches(patterns: str, names: Sequence[str]) -> bool:
    if patterns.startswith("|1|"):
        return any(_is_hash_of(name, patterns) for name in names)
    wanted = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        if any(_glob(pattern.removeprefix("!")).fullmatch(name) for name in names):
            if negated:
                return False
            wanted = True
    return wanted


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern))


def _is_hash_of(name: str, hashed: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed[3:].split("|"))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)

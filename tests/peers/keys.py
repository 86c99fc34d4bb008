"""The keys that clients of the real servers use."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.requirements import find

PASSPHRASE = "open sesame"


@dataclass(frozen=True)
class Keys:
    """Files of a client.

    Attributes:
        folder: Where they are.
        identity_file: An ed25519 key that the servers know.
        encrypted_file: Another one that they know, encrypted with ``passphrase``.
        certified_file: A key that they do not know; beside it, its certificate by an authority that they trust.
        stranger_file: A key that they do not know at all.
        authorized: What goes into authorized_keys.
        authority: The public key of the authority.
    """

    folder: Path
    identity_file: Path
    encrypted_file: Path
    certified_file: Path
    stranger_file: Path
    authorized: str
    authority: str
    passphrase: str = PASSPHRASE

    @property
    def certificate_file(self) -> Path:
        return self.certified_file.with_name(f"{self.certified_file.name}-cert.pub")


def make_keys(folder: Path, principals: list[str]) -> Keys:
    """Make the keys; the certificate is for logins of ``principals``."""
    identity, encrypted, certified, stranger, authority = (
        _generate(folder / name, PASSPHRASE if name == "encrypted" else "")
        for name in ("identity", "encrypted", "certified", "stranger", "authority")
    )
    keygen("-s", str(authority), "-I", "tests", "-n", ",".join(principals), "-V", "-5m:+1d", f"{certified}.pub")
    authorized = "".join(Path(f"{key}.pub").read_text() for key in (identity, encrypted))
    return Keys(folder, identity, encrypted, certified, stranger, authorized, Path(f"{authority}.pub").read_text())


def keygen(*arguments: str) -> str:
    done = subprocess.run([find("ssh-keygen") or "ssh-keygen", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def _generate(path: Path, passphrase: str) -> Path:
    # Few rounds: the passphrase guards nothing, and the tests derive its key often.
    keygen("-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-C", path.name, "-f", str(path))
    return path

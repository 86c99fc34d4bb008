"""OpenSSH client configurations, read by the lab source ``ssh_config`` and written down as a lab of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from OttoLibrary import registry
from OttoLibrary.lab.foreign.conversion import Conversion, table

_DEFAULT_PORT = 22
_CARRIED = {
    "host", "match", "include", "hostname", "port", "user", "identityfile", "proxyjump", "connecttimeout", "serveraliveinterval",
    "ciphers", "kexalgorithms", "macs", "hostkeyalgorithms", "proxycommand",
}  # fmt: skip
_LINE = re.compile(r"\s*([A-Za-z]\w*)(?:\s*=\s*|\s+)(\S.*?)\s*$")


def is_configuration(text: str) -> bool:
    """Return True for text with a ``Host`` or ``Match`` line, and no section of INI."""
    has_host = re.search(r"^\s*(?:Host|Match)[ \t=]+\S", text, re.MULTILINE | re.IGNORECASE)
    return has_host is not None and re.search(r"^\s*\[", text, re.MULTILINE) is None


def convert(text: str, file: Path, conversion: Conversion) -> None:
    """Add the hosts of a configuration and of the files that it includes."""
    source = registry.load("labsource", "ssh_config")
    loaded: dict[str, dict[str, Any]] = source.load_lab(str(file.absolute()))["hosts"]
    needs_file = re.search(r"^\s*ProxyCommand\b", text, re.MULTILINE | re.IGNORECASE) is not None
    for name, fields in loaded.items():
        conversion.add(conversion.name_of(name), _without_file(name, fields, needs_file, conversion))
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.match(line)
        if found and found[1].lower() not in _CARRIED:
            conversion.note("", f"line {number}: {found[1]} is not carried over; ~/.ssh/config still applies to every connection")


def _without_file(name: str, fields: dict[str, Any], needs_file: bool, conversion: Conversion) -> dict[str, Any]:
    """Return the fields of a host so that they suit other people too: without the file, where it can do without."""
    options = dict(table(fields.get("ssh")))
    if needs_file and fields.get("address") == name and "hop" not in fields:
        conversion.note(name, "if it is behind a ProxyCommand, that stays in the file, which the lab names as 'config_file'")
    else:
        options.pop("config_file", None)
    home = str(Path.home())
    key = str(fields.get("identity_file") or "")
    changed = {"identity_file": f"~{key.removeprefix(home)}"} if key.startswith(f"{home}/") else {}
    kept = {key: value for key, value in fields.items() if key != "port" or value != _DEFAULT_PORT}
    return {**kept, **changed, "ssh": options}

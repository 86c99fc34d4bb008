"""Words of the command line of OpenSSH's ``ssh``, as other tools' files hold them, in the fields of a host."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from OttoLibrary.lab.foreign.conversion import port_of

_WITH_VALUE = "BbcDEeFIiJLlmOoPpQRSWw"
_SILENT = frozenset("qTtvnxa46")
_SILENT_SETTINGS = frozenset({
    "controlmaster", "controlpath", "controlpersist", "loglevel", "batchmode", "userknownhostsfile", "requesttty",
    "identitiesonly", "preferredauthentications", "passwordauthentication", "pubkeyauthentication", "serveralivecountmax",
    "kbdinteractiveauthentication", "globalknownhostsfile",
})  # fmt: skip
_ALGORITHMS = {"ciphers": "ciphers", "kexalgorithms": "kex", "macs": "mac", "hostkeyalgorithms": "host_key_algorithms"}
ACCEPTED = (
    "StrictHostKeyChecking=no is not carried over: new host keys are accepted and remembered, changed ones refused; "
    'write "host_key": "ignore" for a host that is reinstalled often'
)


@dataclass
class SshWords:
    """What the words say.

    Attributes:
        fields: Fields of a host, without its hop.
        jumps: The hops on the way, the first one first, each ``[user@]host[:port]``.
        jump_fields: What a ``ProxyCommand`` says about the only hop.
        rest: What was not understood.
        destination: The first word that is no option.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    jumps: list[str] = field(default_factory=list)
    jump_fields: dict[str, Any] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)
    destination: str = ""
    others: list[str] = field(default_factory=list)


def read(text: str) -> SshWords:
    """Return what the words of ``text`` say; quotes are those of a shell, and nothing is run."""
    found = SshWords()
    try:
        words = shlex.split(text)
    except ValueError:
        found.rest.append("its options of ssh have a quote that does not end")
        return found
    for option, value in _options(words, found):
        _option(option, value, found)
    return found


def _options(words: Sequence[str], found: SshWords) -> Iterable[tuple[str, str]]:
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or len(word) < 2:
            found.destination = word
            # What follows is a command for the other side, unless there are more options first.
            if rest and not rest[0].startswith("-"):
                found.others, rest = rest, []
            continue
        for index, letter in enumerate(word[1:], 2):
            if letter in _WITH_VALUE:
                yield letter, word[index:] or (rest.pop(0) if rest else "")
                break
            yield letter, ""


def _option(letter: str, value: str, found: SshWords) -> None:
    simple: dict[str, Callable[[], None]] = {
        "i": lambda: found.fields.update(identity_file=value),
        "p": lambda: found.fields.update(port=port_of(value)),
        "l": lambda: found.fields.update(user=value),
        "J": lambda: _jump(value, found),
        "A": lambda: _ssh(found, "forward_agent", True),
        "C": lambda: _ssh(found, "compression", True),
        "o": lambda: _setting(*_split(value), found),
        "W": lambda: None,
    }
    if letter in simple:
        simple[letter]()
    elif letter not in _SILENT:
        found.rest.append(f"option -{letter} of ssh is not carried over")


def _split(value: str) -> tuple[str, str]:
    name, sign, setting = value.partition("=")
    if not sign or " " in name.strip():
        name, _, setting = value.strip().partition(" ")
    return name.strip(), setting.strip()


def _setting(name: str, value: str, found: SshWords) -> None:
    match name.lower():
        case "proxyjump":
            _jump(value, found)
        case "proxycommand":
            _proxy(value, found)
        case "user":
            found.fields["user"] = value
        case "port":
            found.fields["port"] = port_of(value)
        case "identityfile":
            found.fields["identity_file"] = value
        case "connecttimeout":
            found.fields["connect_timeout"] = port_of(value)
        case "serveraliveinterval":
            found.fields["keepalive"] = port_of(value)
        case "forwardagent":
            _ssh(found, "forward_agent", value.lower() == "yes")
        case "compression":
            _ssh(found, "compression", value.lower() == "yes")
        case "stricthostkeychecking":
            if value.lower() in {"yes", "ask"}:
                found.fields["host_key"] = "strict"
            elif value.lower() in {"no", "off"}:
                found.rest.append(ACCEPTED)
        case word if word in _ALGORITHMS:
            _ssh(found, _ALGORITHMS[word], value)
        case word if word not in _SILENT_SETTINGS:
            found.rest.append(f"option {name} of ssh is not carried over")


def _ssh(found: SshWords, key: str, value: object) -> None:
    found.fields.setdefault("ssh", {})[key] = value


def _jump(value: str, found: SshWords) -> None:
    if value.lower() != "none":
        found.jumps = [jump.strip() for jump in value.split(",") if jump.strip()]


def _proxy(command: str, found: SshWords) -> None:
    """Read a ``ProxyCommand`` that is ``ssh -W %h:%p HOP``, or the older ``ssh HOP nc %h %p``."""
    name, _, words = command.strip().strip("\"'").strip().partition(" ")
    inner = read(words) if name.rpartition("/")[2] == "ssh" else SshWords()
    is_jump = "-W" in words or inner.others[:1] in (["nc"], ["netcat"], ["ncat"])
    if not inner.destination or not is_jump:
        if command.lower() != "none":
            found.rest.append("its ProxyCommand is not carried over: it is no 'ssh -W %h:%p HOST'")
        return
    found.jumps = [*inner.jumps, inner.destination]
    found.jump_fields = inner.fields
    found.rest += inner.rest

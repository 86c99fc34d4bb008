"""What a client configuration of OpenSSH says about one host, read as ``ssh`` reads it; what does not apply here is passed over.

Format: ssh_config(5). ``docs/ssh.md`` lists each option and what becomes of it.
"""

from __future__ import annotations

import errno
import getpass
import glob
import hashlib
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.errors import UsageError

SYSTEM_FILE = Path("/etc/ssh/ssh_config")
_DEEPEST = 16
_LARGEST_BYTES = 1 << 20
_EXEC_S = 10.0
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}

# Each option that counts, and what its value must be.
_ANY, _FLAG, _PORT, _WORDS, _LINE = "any", "flag", "port", "words", "line"
_TAKEN = {
    "addressfamily": _ANY,
    "bindaddress": _ANY,
    "certificatefile": _ANY,
    "ciphers": _ANY,
    "compression": _FLAG,
    "forwardagent": _ANY,
    "globalknownhostsfile": _WORDS,
    "hostkeyalgorithms": _ANY,
    "hostkeyalias": _ANY,
    "hostname": _ANY,
    "identitiesonly": _FLAG,
    "identityagent": _ANY,
    "identityfile": _ANY,
    "kbdinteractiveauthentication": _FLAG,
    "kexalgorithms": _ANY,
    "macs": _ANY,
    "passwordauthentication": _FLAG,
    "port": _PORT,
    "preferredauthentications": _ANY,
    "proxycommand": _LINE,
    "proxyjump": _ANY,
    "pubkeyauthentication": _ANY,
    "revokedhostkeys": _ANY,
    "sendenv": _WORDS,
    "setenv": _WORDS,
    "tag": _ANY,
    "tcpkeepalive": _FLAG,
    "user": _ANY,
    "userknownhostsfile": _WORDS,
}
_OTHER_NAMES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
    "tisauthentication": "kbdinteractiveauthentication",
}
_REPEATED = {"certificatefile", "identityfile", "sendenv"}
# What is the lab's to say, or is about a person at a terminal: it says nothing about a connection of ours.
_NOT_ABOUT_US = frozenset(
    re.findall(
        r"\w+",
        """
    addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizemaxdots canonicalizepermittedcnames
    casignaturealgorithms channeltimeout checkhostip clearallforwardings connectionattempts connecttimeout controlmaster
    controlpath controlpersist enableescapecommandline enablesshkeysign escapechar exitonforwardfailure fingerprinthash
    forkafterauthentication forwardx11 forwardx11timeout forwardx11trusted gatewayports gssapiauthentication
    gssapiclientidentity gssapidelegatecredentials gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity
    gssapitrustdns hashknownhosts hostbasedacceptedalgorithms hostbasedauthentication ignoreunknown ipqos
    kbdinteractivedevices localcommand loglevel logverbose nohostauthenticationforlocalhost numberofpasswordprompts
    obscurekeystroketiming permitlocalcommand pubkeyacceptedalgorithms pubkeyacceptedkeytypes rekeylimit remotecommand
    requesttty requiredrsasize serveralivecountmax serveraliveinterval sessiontype stdinnull streamlocalbindmask
    streamlocalbindunlink stricthostkeychecking syslogfacility updatehostkeys usekeychain useroaming verifyhostkeydns
    versionaddendum visualhostkey warnweakcrypto xauthlocation
    """,
    )
)
# What would change something for the user: said in the log.
_PASSED_OVER = {
    "bindinterface": "the lab's 'address' and the routes of this machine decide",
    "canonicalizehostname": "names are taken as they are",
    "dynamicforward": "the lab's 'ssh.forwards' opens forwards",
    "knownhostscommand": "keys come from files",
    "localforward": "the lab's 'ssh.forwards' opens forwards",
    "permitremoteopen": "there are no remote forwards",
    "pkcs11provider": "keys of a token are offered through an agent",
    "proxyusefdpass": "ProxyCommand speaks over its own streams",
    "remoteforward": "the lab's 'ssh.forwards' opens forwards",
    "securitykeyprovider": "keys of a token are offered through an agent",
    "smartcarddevice": "keys of a token are offered through an agent",
    "tunnel": "no network devices are made",
    "tunneldevice": "no network devices are made",
}


@dataclass
class SshConfig:
    """What counts for one host.

    Attributes:
        notes: What was passed over, a sentence each.
    """

    options: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def text(self, option: str) -> str | None:
        """Return the value of an option, or None when it is not set or ``none``."""
        values = self.options.get(option)
        return values[0] if values and values[0].lower() != "none" else None

    def words(self, option: str) -> list[str] | None:
        """Return all values of an option, or None when it is not set; ``none`` alone is an empty list."""
        values = self.options.get(option)
        if values is None:
            return None
        return [] if [value.lower() for value in values] == ["none"] else [value for value in values if value.lower() != "none"]

    def flag(self, option: str) -> bool | None:
        """Return whether an option is on, or None when it is not set."""
        value = self.text(option)
        return None if value is None else _FLAGS.get(value.lower())


@dataclass(frozen=True)
class Asked:
    """Whom the configuration is asked about.

    Attributes:
        name: The host as the lab names its address.
        user: The lab's user, or None.
        port: The lab's port, or None.
    """

    name: str
    user: str | None = None
    port: int | None = None


def read_config(path: Path, asked: Asked, system: Path | None = None) -> SshConfig:
    """Return what a file says about a host, and behind it what the file of the whole machine says.

    Args:
        path: The file of the user, or the one that the lab names.
        asked: The host.
        system: The file of the whole machine, or None; with it, the file of the user need not be there.

    Raises:
        OSError: Without ``system``, the file cannot be read.
    """
    reader = _Reader(asked)
    reader.read_all(path, system)
    if reader.wants_second_pass:
        reader.final = True
        reader.read_all(path, system)
    return reader.finish()


class _Reader:
    """Reads files line by line; the first value of an option counts."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._config = SshConfig()
        self._me = getpass.getuser()
        self._passed_over: dict[str, str] = {}
        # Where the places that Include names begin.
        self._folder = ""
        self.final = self.wants_second_pass = False
        if asked.user is not None:
            self._config.options["user"] = [asked.user]
        if asked.port is not None:
            self._config.options["port"] = [str(asked.port)]

    def read_all(self, path: Path, system: Path | None) -> None:
        """Read the file of the user, and behind it the one of the machine."""
        self._folder = "~/.ssh"
        if system is None:
            self.read(path, 0)
            return
        self._read_if_there(path)
        self._folder = str(system.parent)
        self._read_if_there(system)

    def _read_if_there(self, path: Path) -> None:
        try:
            self.read(path, 0)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                self._note(f"{_shown(path)} cannot be read ({error.strerror}); it is passed over")

    def read(self, path: Path, depth: int, active: bool = True) -> None:
        """Read a file; what stands before its first ``Host`` or ``Match`` counts where ``active`` is True."""
        text = path.read_bytes()[:_LARGEST_BYTES].decode("utf-8-sig", "surrogateescape")
        counts = active
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{_shown(path)}:{number}"
            option, rest = _split(line)
            if not option:
                continue
            try:
                if option == "host":
                    counts = active and self._is_named(_words(rest))
                elif option == "match":
                    counts = active and self._matches(_words(rest), where)
                elif option == "include":
                    self._include(_words(rest), depth, counts)
                elif counts:
                    self._take(option, rest, where)
            except ValueError as error:
                counts = counts and option not in {"host", "match"}
                self._note(f"{where}: {error}; the line is passed over")

    def finish(self) -> SshConfig:
        """Return what counts, with the places of values filled in."""
        options = self._config.options
        if host := self._config.text("hostname"):
            options["hostname"] = [self._filled(host, {"h": self._asked.name})]
        for option in ("certificatefile", "identityagent", "identityfile", "proxycommand", "userknownhostsfile", "forwardagent"):
            if option in options:
                options[option] = [self._filled(value) for value in options[option]]
        if self._passed_over:
            listed = "; ".join(f"{option}, since {why}" for option, why in self._passed_over.items())
            self._note(f"ssh_config: passed over {listed}")
        return self._config

    def _note(self, sentence: str) -> None:
        if f"{sentence}." not in self._config.notes:
            self._config.notes.append(f"{sentence}.")

    # -- which lines count

    def _is_named(self, patterns: list[str]) -> bool:
        return _fits(self._asked.name, patterns)

    def _matches(self, words: list[str], where: str) -> bool:
        matches = True
        while words:
            word = words.pop(0).lower()
            negated, criterion = word.startswith("!"), word.removeprefix("!")
            if criterion in {"final", "canonical"}:
                self.wants_second_pass |= criterion == "final"
                result = self.final
            elif criterion == "all":
                result = True
            elif not words:
                raise ValueError(f"Match {criterion} needs a value")
            else:
                result = matches and self._meets(criterion, words.pop(0), where)
            matches = matches and result != negated
        return matches

    def _meets(self, criterion: str, value: str, where: str) -> bool:
        if criterion == "exec":
            return self._runs(self._filled(value))
        found = self._facts().get(criterion)
        if found is None:
            self._note(f"{where}: Match {criterion} is not known here, so its block does not count")
            return False
        return _fits(found, value.split(","))

    def _facts(self) -> dict[str, str]:
        """Return what the criteria of Match are compared with."""
        return {
            "host": self._config.text("hostname") or self._asked.name,
            "originalhost": self._asked.name,
            "user": self._config.text("user") or self._me,
            "localuser": self._me,
            "tagged": self._config.text("tag") or "",
            "sessiontype": "exec",
            "command": "",
        }

    def _runs(self, command: str) -> bool:
        """Return True when a program of the configuration ends with 0, as ``ssh`` runs it."""
        try:
            done = subprocess.run(
                [os.environ.get("SHELL") or "/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_EXEC_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _include(self, patterns: list[str], depth: int, counts: bool) -> None:
        if depth >= _DEEPEST:
            raise ValueError(f"Include goes deeper than {_DEEPEST} files")
        for pattern in patterns:
            place = os.path.expanduser(self._with_environment(pattern))
            for name in sorted(glob.glob(os.path.join(os.path.expanduser(self._folder), place))):  # noqa: PTH207 - absolute ones too
                try:
                    self.read(Path(name), depth + 1, counts)
                except OSError as error:
                    self._note(f"{_shown(Path(name))} cannot be read ({error.strerror}); it is passed over")

    # -- values

    def _take(self, option: str, rest: str, where: str) -> None:
        option = _OTHER_NAMES.get(option, option)
        kind = _TAKEN.get(option)
        if kind is None:
            self._pass_over(option, rest, where)
            return
        values = [rest] if kind == _LINE else _words(rest)
        if not values:
            raise ValueError(f"{option} has no value")
        if kind == _FLAG and values[0].lower() not in _FLAGS:
            raise ValueError(f"{option} is yes or no, not '{values[0]}'")
        if kind == _PORT and not (values[0].isdecimal() and 0 < int(values[0]) < 65536):
            raise ValueError(f"{option} is a number from 1 to 65535, not '{values[0]}'")
        options = self._config.options
        if option in _REPEATED and option in options:
            options[option] += [value for value in values if value not in options[option]]
        elif option not in options and not self._has_other_proxy(option):
            options[option] = values if kind == _WORDS or option in _REPEATED else values[:1]

    def _has_other_proxy(self, option: str) -> bool:
        other = {"proxyjump": "proxycommand", "proxycommand": "proxyjump"}.get(option)
        return other in self._config.options

    def _pass_over(self, option: str, rest: str, where: str) -> None:
        if option in _NOT_ABOUT_US:
            return
        if option in _PASSED_OVER:
            if rest.strip().lower() not in {"no", "none"}:
                self._passed_over.setdefault(option, _PASSED_OVER[option])
            return
        self._note(f"{where}: the option '{option}' is not known; it is passed over")

    def _filled(self, value: str, more: dict[str, str] | None = None) -> str:
        """Return a value with its ``%`` words and environment variables filled in; raise ValueError."""
        config = self._config
        here = socket.gethostname()
        host, user, port = (
            config.text("hostname") or self._asked.name,
            config.text("user") or self._me,
            config.text("port") or "22",
        )
        known = {
            "%": "%",
            "h": host,
            "n": self._asked.name,
            "p": port,
            "r": user,
            "u": self._me,
            "d": os.path.expanduser("~"),
            "i": str(os.getuid()),
            "l": here,
            "L": here.partition(".")[0],
            "k": config.text("hostkeyalias") or self._asked.name,
            "j": config.text("proxyjump") or "",
            "C": hashlib.sha1(f"{here}{host}{port}{user}".encode(), usedforsecurity=False).hexdigest(),
            **(more or {}),
        }
        filled = re.sub(r"%(.)", lambda found: known.get(found[1], found[0]), value)
        return self._with_environment(filled)

    def _with_environment(self, value: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), value)


def _split(line: str) -> tuple[str, str]:
    """Return the option of a line in small letters, and what follows it."""
    stripped = line.strip().rstrip("\f")
    if not stripped or stripped.startswith("#"):
        return "", ""
    found = re.match(r'"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+|$)(.*)', stripped, re.DOTALL)
    return (found[1].lower(), found[2].strip()) if found else ("", "")


def _words(text: str) -> list[str]:
    """Return the words of a value, without quotes and without a comment behind them."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in _tokens(lexer):
        if word.startswith("#"):
            break
        words.append(word)
    return words


def _tokens(lexer: shlex.shlex) -> Iterator[str]:
    try:
        yield from lexer
    except ValueError:
        raise ValueError("a quote is not closed") from None


def _fits(text: str, patterns: list[str]) -> bool:
    """Return True when one of the patterns fits, and none that begins with an exclamation mark does."""
    wanted = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        glob_pattern = pattern.removeprefix("!").replace("[", "[[]").lower()
        if fnmatchcase(text.lower(), glob_pattern):
            if negated:
                return False
            wanted = True
    return wanted


def _shown(path: Path) -> str:
    home = os.path.expanduser("~")
    return f"~{str(path)[len(home) :]}" if str(path).startswith(f"{home}/") else str(path)


def host_config(facts: HostFacts, system: Path = SYSTEM_FILE) -> SshConfig:
    """Return what OpenSSH says about a host: the file that the lab names alone, or those of the user and of the machine.

    Args:
        facts: The host.
        system: The file of the whole machine.

    Raises:
        UsageError: The file that the lab names cannot be read.
    """
    asked = Asked(facts.address, facts.user, facts.port)
    if not facts.ssh.config_file:
        return read_config(Path("~/.ssh/config").expanduser(), asked, system)
    path = Path(facts.ssh.config_file).expanduser()
    try:
        return read_config(path, asked)
    except OSError as error:
        raise UsageError(f"Host '{facts.name}' has the 'config_file' {path}, which cannot be read ({error.strerror}).") from error

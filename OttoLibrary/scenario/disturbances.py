"""The disturbances that are built in: what each does on a host, how it is undone, and how one sees it."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from OttoLibrary.errors import UsageError, ValueFormatError, did_you_mean
from OttoLibrary.scenario import impairments
from OttoLibrary.scenario.healing import NOT_BEGUN, as_root
from OttoLibrary.units import quantity, seconds

_NAME = re.compile(r"[\w.@+:-]{1,64}")
_OPTION = re.compile(r"\s(\w+)=")
_COMMANDS = re.compile(r"\s(off|on)=")
_LONGEST = 64
# More than any host has.
_MOST_BYTES = 1 << 60
# Files there have names that nobody can guess, are made by the account itself, and are for it alone.
_FOLDER = "/tmp"  # noqa: S108
# Stands for the peer of an impairment when only how it is written counts.
_ANY_ADDRESS = "192.0.2.1"
_BOUNDS = {"disk": "B", "memory": "B", "cpu": ""}


@dataclass(frozen=True)
class Recipe:
    """A disturbance as shell text.

    Attributes:
        host: Where.
        what: What it is, for people.
        do: Does it; says what is wrong, with an exit status, when it cannot: ``NOT_BEGUN`` when nothing was done.
        undo: Undoes it; it may run twice, and also when nothing was done.
        check: Prints ``disturbed`` or ``healthy``, or anything else to say nothing.
        needs_root: It runs as root.
    """

    host: str
    what: str
    do: str
    undo: str
    check: str
    needs_root: bool = False

    @property
    def wrap(self) -> Callable[[str], str]:
        """What makes shell text run as who it needs to be."""
        return as_root if self.needs_root else str


def recipe(kind: str, text: str, peers: Mapping[str, str] | None = None) -> Recipe:
    """Return what a disturbance does; raise UsageError for one that is not written as it should be.

    Args:
        kind: ``service``, ``fill``, ``clock``, ``power`` or ``impairment``.
        text: What it says, such as ``dut1 pause nginx``.
        peers: The addresses of hosts, for those that ``to=`` names.
    """
    words, options = split(text, kind)
    if not words:
        raise UsageError(f"The {kind} '{text}' names no host. {_FORMS[kind]}")
    _check_written(kind, words, options)
    return _KINDS[kind](words[0], words[1:], options, peers or {})


def mistake(kind: str, text: str) -> str:
    """Return what is wrong in how a disturbance is written, whatever hosts there are, or nothing; ``kind`` may be ``reboot``."""
    if kind == "reboot":
        return "" if len(text.split()) == 1 else f"'{text}' does not name one host to reboot. Write its name"
    _, options = split(text, kind)
    peer = options.get("to", "")
    try:
        recipe(kind, text, {peer: _ANY_ADDRESS} if peer else {})
    except UsageError as error:
        return str(error).removesuffix(".")
    return ""


def split(text: str, kind: str = "") -> tuple[list[str], dict[str, str]]:
    """Return the words of a disturbance, and its options ``NAME=VALUE``, whose values may have blanks."""
    parts = (_COMMANDS if kind == "power" else _OPTION).split(f" {text.strip()}")
    options = {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}
    return parts[0].split(), options


def _check_written(kind: str, words: list[str], options: Mapping[str, str]) -> None:
    """Raise UsageError for an option that the kind does not have, and for what no host can be told."""
    known = OPTIONS[kind]
    for name, value in options.items():
        if name not in known:
            article = "An" if kind == "impairment" else "A"
            raise UsageError(f"{article} {kind} has no '{name}'.{did_you_mean(name, [*known, 'for'])} {_FORMS[kind]}")
        if not value:
            raise UsageError(f"'{name}=' says nothing. {_FORMS[kind]}")
    values = [value for name, value in options.items() if name not in _FREE]
    for value in [*words[1:], *values]:
        if len(value) > _LONGEST:
            raise UsageError(f"'{value[:20]}...' is too long, with {len(value)} characters. {_FORMS[kind]}")
    if not " ".join([*words, *options.values()]).isprintable():
        raise UsageError(f"A {kind} has characters that do not show. {_FORMS[kind]}")


# The options of each kind, and those whose values may be long.
OPTIONS: dict[str, tuple[str, ...]] = {
    "service": (),
    "fill": ("path",),
    "clock": (),
    "power": ("off", "on"),
    "impairment": impairments.OPTIONS,
}
_FREE = ("off", "on", "path")

_FORMS = {
    "service": "Write 'HOST stop|kill|pause NAME'.",
    "fill": "Write 'HOST disk|memory|cpu AMOUNT', such as 'dut1 disk 100 MiB path=/var'.",
    "clock": "Write 'HOST +1 h' or 'HOST -30 s'.",
    "power": "Write 'HOST off=COMMAND on=COMMAND'; the commands run on that host, which switches the power of another one.",
    "impairment": "Write 'HOST [INTERFACE] delay=20 ms jitter=5 ms loss=1 % duplicate=1 % rate=10 Mbit/s partition=yes to=PEER'.",
}


# What the watcher consists of: without it nothing would be undone.
_OF_WATCHER = {"sh", "sleep", "dash", "bash"}


def _service(host: str, words: list[str], options: Mapping[str, str], _: Mapping[str, str]) -> Recipe:
    if len(words) != 2 or options or words[0] not in _SERVICES or not _NAME.fullmatch(words[1]):
        near = did_you_mean(words[0], _SERVICES) if words else ""
        raise UsageError(f"A service is disturbed otherwise.{near} {_FORMS['service']}")
    if words[1] in _OF_WATCHER and words[0] != "stop":
        raise UsageError(f"'{words[1]}' is also what the watcher on the host runs that undoes this. Give the process id instead.")
    return _SERVICES[words[0]](host, words[1])


def _paused(host: str, name: str) -> Recipe:
    pids = f"$(pgrep -x {_pattern(name)})" if not name.isdecimal() else name
    missing = shlex.quote(f"There is no process '{name}'.")
    look = (
        f'p="{pids}"; s=healthy; for i in $p; do '
        'case $(sed "s/.*) //" /proc/$i/stat 2>/dev/null) in T*) s=disturbed;; esac; done; '
    )
    left = shlex.quote(f"'{name}' does not go on.")
    # What was paused before is not for the undo to let go on.
    is_paused = shlex.quote(f"'{name}' is paused already.")
    do = (
        f'{look}[ -n "$p" ] || {{ echo {missing}; exit {NOT_BEGUN}; }}; '
        f"[ $s = healthy ] || {{ echo {is_paused}; exit {NOT_BEGUN}; }}; kill -STOP $p"
    )
    undo = f'p="{pids}"; [ -z "$p" ] || kill -CONT $p || :; {look}[ $s = healthy ] || {{ echo {left}; exit 1; }}'
    check = look + 'if [ -n "$p" ]; then echo $s; fi'
    return Recipe(host, f"'{name}' paused", do, undo, check)


def _killed(host: str, name: str) -> Recipe:
    pattern = _pattern(name)
    missing = shlex.quote(f"There is no process '{name}'.")
    gone = shlex.quote(f"'{name}' did not come back in 30 s.")
    do = f"pgrep -x {pattern} >/dev/null || {{ echo {missing}; exit {NOT_BEGUN}; }}; pkill -KILL -x {pattern}"
    undo = (
        f"n=0; until pgrep -x {pattern} >/dev/null; do n=$((n + 1)); [ $n -le 150 ] || {{ echo {gone}; exit 1; }}; "
        "sleep 0.2 2>/dev/null || sleep 1; done"
    )
    return Recipe(host, f"'{name}' killed", do, undo, f"pgrep -x {pattern} >/dev/null && echo healthy-after || :")


def _stopped(host: str, name: str) -> Recipe:
    unit = shlex.quote(name)
    missing = shlex.quote(f"There is no service '{name}'.")
    absent = f"{{ echo {missing}; exit {NOT_BEGUN}; }}"

    def control(verb: str) -> str:
        refused = shlex.quote(f"Nothing here {verb}s services: no systemd, OpenRC or /etc/init.d/{name}.")
        return (
            f"if [ -d /run/systemd/system ]; then systemctl cat {unit} >/dev/null 2>&1 || {absent}; systemctl {verb} {unit}; "
            f"elif command -v rc-service >/dev/null 2>&1; then rc-service -e {unit} || {absent}; rc-service {unit} {verb}; "
            f"elif [ -x /etc/init.d/{unit} ]; then /etc/init.d/{unit} {verb}; else echo {refused}; exit {NOT_BEGUN}; fi"
        )

    # 3 says that it does not run; anything else but 0 says nothing, as of scripts without 'status'.
    status = (
        f"if [ -d /run/systemd/system ]; then systemctl is-active --quiet {unit}; "
        f"elif command -v rc-service >/dev/null 2>&1; then rc-service {unit} status >/dev/null 2>&1; "
        f"elif [ -x /etc/init.d/{unit} ]; then /etc/init.d/{unit} status >/dev/null 2>&1; fi; s=$?; "
    )
    down = shlex.quote(f"The service '{name}' does not run, so it cannot be stopped, and would not be as before.")
    do = f"{status}[ $s != 3 ] || {{ echo {down}; exit {NOT_BEGUN}; }}; {control('stop')}"
    check = f"{status}case $s in 0) echo healthy;; 3) echo disturbed;; esac"
    return Recipe(host, f"service '{name}' stopped", do, control("start"), check, needs_root=True)


_SERVICES: dict[str, Callable[[str, str], Recipe]] = {"pause": _paused, "kill": _killed, "stop": _stopped}


def _fill(host: str, words: list[str], options: Mapping[str, str], _: Mapping[str, str]) -> Recipe:
    if options and words[:1] != ["disk"]:
        raise UsageError(f"Only a disk has a path. {_FORMS['fill']}")
    if len(words) < 2 or words[0] not in _BOUNDS:
        raise UsageError(f"A host is filled otherwise.{did_you_mean(words[0], _BOUNDS) if words else ''} {_FORMS['fill']}")
    try:
        given = quantity(" ".join(words[1:]), _BOUNDS[words[0]])
    except ValueFormatError:
        raise UsageError(f"'{' '.join(words[1:])}' is no amount. {_FORMS['fill']}") from None
    if not 1 <= given <= _MOST_BYTES:
        more = "more than any host has" if given > 1 else "nothing to fill it with"
        raise UsageError(f"'{' '.join(words[1:])}' is {more}. {_FORMS['fill']}")
    if words[0] == "cpu" and given != round(given):
        raise UsageError(f"'{' '.join(words[1:])}' processors cannot be kept busy; write a whole number. {_FORMS['fill']}")
    amount = round(given)
    token = secrets.token_hex(8)
    return {"disk": _disk, "memory": _memory, "cpu": _cpu}[words[0]](host, amount, token, options.get("path", ""))


def _disk(host: str, amount: int, token: str, folder: str) -> Recipe:
    place = shlex.quote(folder) if folder else f"${{TMPDIR:-{_FOLDER}}}"
    file = f"{place}/.otto-fill-{token}"
    kib = -(-amount // 1024)
    # A disk that is really full stops what a lab needs to be reached.
    do = (
        f"free=$(df -Pk {place} | awk 'NR==2 {{print $4}}'); [ -n \"$free\" ] || exit {NOT_BEGUN}; "
        f'[ $((free - {kib})) -ge 65536 ] || {{ echo "Only $free KiB are free, and 64 MiB have to stay."; exit {NOT_BEGUN}; }}; '
        f"umask 077; fallocate -l {amount} {file} 2>/dev/null || dd if=/dev/zero of={file} bs=1024 count={kib} 2>/dev/null || "
        f"{{ rm -f {file}; echo 'The file could not be written.'; exit 1; }}"
    )
    return Recipe(
        host,
        f"{amount} B of '{folder or _FOLDER}' filled",
        do,
        f"rm -f {file}",
        f"[ -e {file} ] && echo disturbed || echo healthy",
    )


def _memory(host: str, amount: int, token: str, _: str) -> Recipe:
    kib = -(-amount // 1024)
    guard = (
        "free=$(awk '/^MemAvailable/ {print $2}' /proc/meminfo); all=$(awk '/^MemTotal/ {print $2}' /proc/meminfo); "
        f"[ $((free - {kib})) -ge $((all / 10)) ] || "
        f'{{ echo "Only $free KiB are free, and a tenth of the memory has to stay."; exit {NOT_BEGUN}; }}; '
    )
    return _hog(host, f"{amount} B of memory filled", guard, f"{{ head -c {amount} /dev/zero; sleep 86400; }} | tail -n 1", token)


def _cpu(host: str, amount: int, token: str, _: str) -> Recipe:
    loops = f"i=0; while [ $i -lt {amount} ]; do (while :; do :; done) & i=$((i + 1)); done; wait"
    guard = f"[ {amount} -le 256 ] || {{ echo 'More than 256 loops are not begun.'; exit {NOT_BEGUN}; }}; "
    return _hog(host, f"{amount} processors kept busy", guard, loops, token)


def _hog(host: str, what: str, guard: str, work: str, token: str) -> Recipe:
    """Return a recipe whose work runs in a process group of its own, whose number is in a file."""
    file = f"${{TMPDIR:-{_FOLDER}}}/.otto-fill-{token}"
    begun = shlex.quote(f"umask 077; echo $$ >{file}; {work}")
    do = (
        f"{guard}setsid sh -c {begun} </dev/null >/dev/null 2>&1 & "
        f"n=0; while [ ! -s {file} ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done; [ -s {file} ]"
    )
    undo = (
        f"if [ -s {file} ]; then p=$(cat {file}); case $p in ''|*[!0-9]*) ;; *) kill -KILL -$p 2>/dev/null || :;; esac; "
        f"rm -f {file}; fi"
    )
    check = f"if [ -s {file} ] && kill -0 -$(cat {file}) 2>/dev/null; then echo disturbed; else echo healthy; fi"
    return Recipe(host, what, do, undo, check)


def _clock(host: str, words: list[str], options: Mapping[str, str], _: Mapping[str, str]) -> Recipe:
    text = "".join(words)
    if options or text[:1] not in {"+", "-"}:
        raise UsageError(f"A clock is set otherwise. {_FORMS['clock']}")
    try:
        step_s = round(seconds(" ".join(words)[1:]))
    except ValueFormatError:
        raise UsageError(f"'{' '.join(words)}' is no step of a clock. {_FORMS['clock']}") from None
    if not step_s:
        raise UsageError(f"'{' '.join(words)}' does not move the clock. {_FORMS['clock']}")
    forward, back = ("+", "-") if text[0] == "+" else ("-", "+")
    file = f"/run/otto-clock-{secrets.token_hex(8)}"
    do = f"(umask 077; : >{file}) && date -s @$(($(date +%s) {forward} {step_s})) >/dev/null || {{ rm -f {file}; exit 1; }}"
    # Undone twice, it would be wrong the other way round.
    undo = f"if [ -e {file} ]; then rm -f {file} && date -s @$(($(date +%s) {back} {step_s})) >/dev/null; fi"
    check = f"[ -e {file} ] && echo disturbed || echo healthy"
    return Recipe(host, f"the clock set by {text[0]}{step_s} s", do, undo, check, needs_root=True)


def _power(host: str, words: list[str], options: Mapping[str, str], _: Mapping[str, str]) -> Recipe:
    if words or set(options) != {"off", "on"}:
        raise UsageError(f"Power is switched otherwise. {_FORMS['power']}")
    return Recipe(host, "the power switched off", options["off"], options["on"], "")


def _pattern(name: str) -> str:
    return shlex.quote(re.sub(r"([.+])", r"\\\1", name))


_KINDS: dict[str, Callable[[str, list[str], Mapping[str, str], Mapping[str, str]], Recipe]] = {
    "service": _service,
    "fill": _fill,
    "clock": _clock,
    "power": _power,
    "impairment": lambda host, words, options, peers: Recipe(*impairments.parts(host, words, options, peers), needs_root=True),
}

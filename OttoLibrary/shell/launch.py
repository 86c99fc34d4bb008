"""Starting processes on a host, as any user, with a private environment, and ending all that a process started.

A process writes its process id in a first line of its own, ``@<nonce>:<pid>``, which also marks where login noise ends. What must
not show in a process list, environment and passwords, goes through standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from OttoLibrary.contracts.connections import (
    Channel,
    Connection,
    EndOfStream,
    ExitStatus,
    Process,
    ShellRefused,
    Terminal,
    UnexpectedAnswer,
)
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import shorten
from OttoLibrary.shell.output_file import OutputLimits
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from OttoLibrary.text import Secret, decode, quoted_path
from OttoLibrary.transport.channels import ResumedChannel

_PASSWORD_PROMPT = re.compile(rb"(?i)(password|passwort|passcode|mot de passe)[^\n]*:\s*$")
# What sudo says behind the reason, or when it is asked by somebody without a terminal.
_NO_REASON = re.compile("audit plugin|password is required|no password was provided|askpass")
_WANTS_TERMINAL = "must have a tty"
_STOP_BOUND_S = 6.0
_USUAL_LIMITS = OutputLimits()
_LONGEST_PATH, _PROMPT_LENGTH = 4096, 1024
_MOST_DIGITS = 10
_LONGEST_LIST = 1 << 14
# Linux starts no program with an argument of more than 128 KiB, and a login shell may need five characters for one.
_LONGEST_ARGUMENT = 16 << 10
_REFUSAL_S = 0.5
_REFUSAL_LINES, _REFUSAL_BYTES = 5, 2000
# When ps says that a process began: "Sat Nov 28 17:51:53 2026".
_BEGUN = re.compile(rb"[A-Za-z]{2,4}\.? +[A-Za-z0-9]{1,4} +[A-Za-z0-9]{1,4} +[0-9]{1,2}:[0-9]{2}:[0-9]{2} +[0-9]{4}")
# Where the fields of /proc/PID/stat stand behind the name of the program.
_SESSION_FIELD, _START_FIELD = 3, 19
# A command ends with us, however we end: when its standard input closes, a watcher hangs up its process group. It is no child
# of the command, whose own `wait` would wait for it.
_WATCHER = "exec 3<&0 </dev/null; ( (read -r line <&3; {unless}kill -s HUP -- -$$) >/dev/null 2>&1 & ); exec 3<&-"
LIFELINE = _WATCHER.format(unless="")
# The same for a command that is waited for: what it leaves running when it has ended is not hung up.
LIFELINE_OF_RUN = _WATCHER.format(unless="kill -s 0 $$ && ")


class UserChangeRefusedError(Exception):
    """su or sudo refused; carries what it wrote."""


@dataclass(frozen=True)
class Account:
    """Another user to be on the host, and how to become it: ``sudo`` or ``su``."""

    user: str
    method: str = "sudo"
    password: Secret | None = None


@dataclass(frozen=True)
class ProcessId:
    """A process on a host, told from a later one with the same number.

    Attributes:
        number: Its process id.
        session: The session that it is in; 0 when the host did not report it.
        started: When it began, in ticks since the host's boot; empty when the host did not report it.
    """

    number: int
    session: int = 0
    started: str = ""

    @classmethod
    def parsed(cls, number: bytes, stat: bytes) -> ProcessId:
        """Return what a host reported; raise UnexpectedAnswer when it cannot be true.

        Args:
            number: The digits of the process id.
            stat: Its ``/proc/PID/stat``; on a host without ``/proc`` when it began, in the words of ``ps``; or nothing.
        """
        if len(number) > _MOST_DIGITS or not number.isdigit() or int(number) <= 1:
            raise UnexpectedAnswer(f"it reported the process id '{shorten(decode(number[:100]))}'")
        if not stat.strip():
            return cls(int(number))
        if _BEGUN.fullmatch(stat.strip()):
            return cls(int(number), 0, " ".join(stat.decode().split()))
        fields = stat.rpartition(b")")[2].split()
        values = [field for at, field in enumerate(fields) if at in (_SESSION_FIELD, _START_FIELD)]
        if len(values) < 2 or not all(value.isdigit() and len(value) <= 2 * _MOST_DIGITS for value in values):
            raise UnexpectedAnswer(f"it reported process {int(number)} as '{shorten(decode(stat[:100]))}'")
        if stat.split()[0] != number:
            raise UnexpectedAnswer(f"it reported process {int(number)} with the data of another one")
        return cls(int(number), int(values[0]), values[1].decode())


@dataclass
class Launched:
    """A started process with its streams.

    Attributes:
        nonce: What its first line begins with, or None for a process that tells nothing of itself, as one on a line.
        pid: What it is on the host, or None when that is not known (a broken login shell).
        wrong: Why the host's answer cannot be true, or None.
    """

    process: Process
    output: PendingOutput
    errors: PendingOutput
    notifier: Notifier
    nonce: str | None
    pid: ProcessId | None = None
    wrong: UnexpectedAnswer | None = None

    @classmethod
    def listening(
        cls, process: Process, nonce: str | None, pid: ProcessId | None = None, limits: OutputLimits = _USUAL_LIMITS
    ) -> Launched:
        """Return a process whose streams are read from now on."""
        notifier = Notifier()
        output = PendingOutput(process.channel, notifier, limits.memory_bytes)
        errors = PendingOutput(process.errors, notifier, limits.memory_bytes)
        return cls(process, output, errors, notifier, nonce, pid)

    def find_pid(self) -> bool:
        """Take login noise and the first line off the output; return True once that is done."""
        if self.nonce is None or self.pid is not None or self.wrong is not None:
            return True
        at = self.output.find(f"@{self.nonce}:".encode())
        # A login shell that knows no $$ writes something else there.
        hello = (
            re.compile(rb"@%b:(\d+)(?::([^\n]*))?\r?\n" % self.nonce.encode()).search(self.output.data, at) if at >= 0 else None
        )
        if hello is None:
            return False
        number, stat = hello[1], hello[2] or b""
        self.output.take(hello.end())
        try:
            self.pid = ProcessId.parsed(number, stat)
        except UnexpectedAnswer as error:
            self.wrong = error
        noise_end = self.errors.data.find(f"@{self.nonce}\n".encode())
        if noise_end >= 0:
            self.errors.take(noise_end + len(self.nonce) + 2)
        return True

    async def until_begun(self) -> None:
        """Wait until it has begun; raise ShellRefused when it ended before that, UnexpectedAnswer when it lies."""
        while not self.find_pid():
            if self.output.ended:
                raise await self.refusal()
            await self.notifier.wait()
        self.check()

    async def refusal(self) -> EndOfStream:
        """Return why it ended before it had begun: the connection broke, or the login shell ended at once."""
        lost = self.output.ended.lost if self.output.ended else None
        status = None
        with contextlib.suppress(TimeoutError, EndOfStream):
            async with asyncio.timeout(_REFUSAL_S):
                status = await self.process.wait()
                while not (self.output.ended and self.errors.ended):
                    await self.notifier.wait()
        if status is None and lost:
            return EndOfStream(lost)
        said = decode(bytes(self.output.data[-_REFUSAL_BYTES:] + self.errors.data[-_REFUSAL_BYTES:]))
        lines = [line.strip() for line in said.splitlines() if line.strip() and str(self.nonce) not in line]
        if lines:
            return ShellRefused(f"its login shell ended immediately and said '{'; '.join(lines[-_REFUSAL_LINES:])}'")
        how = f" (exit status {status.rc})" if status else ""
        return ShellRefused(f"its login shell ended immediately{how} without a word; a start-up file of the account may end it")

    def check(self) -> None:
        """Raise UnexpectedAnswer when the host's answer cannot be true."""
        if self.wrong is not None:
            raise self.wrong

    async def hand_over(self, stop: Callable[[ProcessId], Awaitable[object]]) -> Process:
        """Return the process with all that it writes from its own first byte on, for a caller that reads its streams directly.

        Args:
            stop: Ends what a process id has started; used when the process is closed before anybody has seen its end.
        """
        await self.until_begun()
        self.output.stop()
        self.errors.stop()
        pid = self.pid
        assert pid is not None  # or the check had failed
        return _Continued(self.process, self.output.take(), self.errors.take(), lambda: stop(pid))

    async def close(self) -> None:
        """Stop reading and close the process."""
        self.output.stop()
        self.errors.stop()
        await self.process.close()


class _Continued:
    """A process whose first output was read already."""

    def __init__(self, process: Process, output: bytes, errors: bytes, stop: Callable[[], Awaitable[object]]) -> None:
        self._process, self._stop = process, stop
        self._ended = False
        self.channel: Channel = ResumedChannel(process.channel, output)
        self.errors: Channel | None = ResumedChannel(process.errors, errors) if process.errors else None

    async def end_input(self) -> None:
        await self._process.end_input()

    async def wait(self) -> ExitStatus:
        status = await self._process.wait()
        self._ended = True
        return status

    async def close(self) -> None:
        if not self._ended:
            self._ended = True
            with contextlib.suppress(EndOfStream, OSError, TimeoutError, UserChangeRefusedError):
                await asyncio.shield(asyncio.ensure_future(self._stop()))
        await self._process.close()


def prelude(environment: Mapping[str, str], cwd: str | None, former_cwd: str | None = None) -> str:
    """Return shell text that sets the environment and the working directory, and fails when it cannot.

    Args:
        environment: Variables to export.
        cwd: The directory that the lab wants.
        former_cwd: The directory of a shell before this one; when it is out of reach, home has to do.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if former_cwd:
        lines.append(f"{{ cd -- {shlex.quote(former_cwd)} || cd || cd /; }} 2>/dev/null")
    elif cwd:
        lines.append(f"cd -- {quoted_path(cwd)}")
    return " && ".join(lines)


def new_nonce() -> str:
    """Return what no other command line has."""
    return secrets.token_hex(6)


async def start(
    connection: Connection,
    script: str,
    *,
    terminal: Terminal | None = None,
    account: Account | None = None,
    private: str = "",
    limits: OutputLimits = _USUAL_LIMITS,
    login_shell: bool = False,
    nonce: str = "",
) -> Launched:
    """Start ``script`` with ``sh``, or as ``account``.

    Args:
        connection: The host.
        script: Shell text; it runs after the process id was written.
        terminal: The terminal to run on, or None for separate streams.
        account: Become this user first.
        private: Shell text to run before ``script`` that must not show in the process list.
        limits: How much of its output is kept.
        login_shell: Start it with the login shell instead, which must be known to be a POSIX shell.
        nonce: What its command line has and no other has, to find it by; made by chance when it is empty.

    Raises:
        UserChangeRefusedError: The user change was refused.
        ShellRefused: The login shell ended at once. EndOfStream: The connection is gone.
    """
    if len(script) > _LONGEST_ARGUMENT:
        private, script = f"{private}\n{script}", ""
    nonce = nonce or new_nonce()
    unseen = private.encode("utf-8", "surrogateescape")

    async def begun(command: str) -> Launched:
        process = await connection.execute(command, terminal, login_shell=login_shell)
        launched = Launched.listening(process, nonce, limits=limits)
        try:
            if account is not None:
                await _greet(launched, account)
            elif private:
                await launched.until_begun()
                launched.errors.take()
            if private:
                await process.channel.write(unseen)
        except BaseException:
            await launched.close()
            raise
        return launched

    command = f"{_hello(nonce, len(unseen), terminal)}\n{script}"
    if account is None:
        return await begun(command)
    try:
        return await begun(_become(account, command, nonce, own_terminal=False))
    except UserChangeRefusedError as error:
        if terminal is not None or account.method != "sudo" or _WANTS_TERMINAL not in str(error):
            raise
    return await begun(_become(account, command, nonce, own_terminal=True))


async def stop(
    connection: Connection, pid: ProcessId, *, account: Account | None = None, spare: tuple[str, list[int]] | None = None
) -> str:
    """End what a process started: INT, then TERM, then KILL, with a moment for each; return its working directory.

    Args:
        connection: The host.
        pid: The process; all of its session is ended.
        account: The user it runs as, when not the login user.
        spare: For a shell that must live on: the tag of its present command, and its older background jobs. The shell itself
            gets only INT; processes of older commands are left alone.
    """
    script = stop_script(pid, spare)
    deadline = Deadline(_STOP_BOUND_S)
    async with deadline.timeout():
        launched = await start(connection, script, account=account)
        try:
            await launched.process.wait()
            launched.find_pid()
            return decode(bytes(launched.output.data[:_LONGEST_PATH])).rstrip("\n")
        finally:
            await launched.close()


async def found(connection: Connection, nonce: str) -> list[ProcessId]:
    """Return the processes that were started with ``nonce`` and have not reported themselves yet."""
    half = len(nonce) // 2
    async with Deadline(_STOP_BOUND_S).timeout():
        launched = await start(connection, _FIND.format(first=nonce[:half], second=nonce[half:]))
        try:
            await launched.process.wait()
            while not launched.output.ended:
                await launched.notifier.wait()
            launched.find_pid()
            lines = bytes(launched.output.data[:_LONGEST_LIST]).splitlines()
            return [ProcessId.parsed(*line.partition(b":")[::2]) for line in lines]
        finally:
            await launched.close()


def stop_script(pid: ProcessId | None, spare: tuple[str, list[int]] | None = None) -> str:
    """Return the script that does what ``stop`` does; without a process id the shell runs it itself when its command is gone."""
    tag, jobs = spare or ("", [])
    idle = pid is None
    lives = "idle" if idle else "yes"
    number, started, session = (str(pid.number), pid.started, str(pid.session)) if pid else ("", "", "")
    words = {
        "PID": number,
        "STARTED": started,
        "SESSION": session,
        "TAG": tag,
        "KEEP": " ".join(map(str, jobs)),
        "SHELL_LIVES": lives if spare else "",
    }
    settings = "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())
    return settings + ('PID=$PPID KEEP="$KEEP $$"\n' if idle else "") + _STOP


async def _greet(launched: Launched, account: Account) -> None:
    """Answer su or sudo when it asks for a password, until the process has begun."""
    password = account.password
    while not launched.find_pid():
        if launched.output.ended and launched.errors.ended:
            raise UserChangeRefusedError(_reason(_said(launched), account))
        said = launched.errors if launched.process.errors else launched.output
        if _PASSWORD_PROMPT.search(said.data[-_PROMPT_LENGTH:]):
            if account.password is None:
                raise UserChangeRefusedError("it asks for a password, and the lab's 'accounts' has none")
            if password is None:
                raise UserChangeRefusedError("incorrect password")
            said.take()
            await launched.process.channel.write(password.value.encode() + b"\n")
            password = None
            continue
        await launched.notifier.wait()
    launched.check()
    launched.errors.take()


def _said(launched: Launched) -> str:
    return decode(bytes(launched.errors.data + launched.output.data)).strip()


def _reason(said: str, account: Account) -> str:
    """Return why su or sudo refused, from all that it said: it may quote what it was to run."""
    if found := re.search(r"user (\S+) is not allowed to execute", said):
        return f"sudo: user '{found[1]}' is not allowed to run commands as '{account.user}'"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"(/\S*/)?(sudo|su): ", line) and not _NO_REASON.search(line)]
    return (told or lines or ["it ended without any output"])[0 if told else -1].removesuffix(".")


def _hello(nonce: str, private_bytes: int, terminal: Terminal | None) -> str:
    asked = "{ read -r OTTO_STAT </proc/$$/stat || OTTO_STAT=$(LC_ALL=C ps -o lstart= -p $$); } 2>/dev/null"
    itself = f'{asked}; echo "@{nonce}:$$:$OTTO_STAT"; unset OTTO_STAT'
    hello = itself if terminal else f"echo @{nonce} >&2; {itself}"
    if not private_bytes:
        return hello
    read = f"OTTO_PRIVATE=$(dd bs=1 count={private_bytes} 2>/dev/null)"
    run = 'eval "unset OTTO_PRIVATE\n$OTTO_PRIVATE"'
    # A terminal would echo what we send, and cut lines at 4096 characters.
    return f"stty raw -echo; {hello}; {read}; stty -raw echo; {run}" if terminal else f"{hello}; {read}; {run}"


def _become(account: Account, command: str, nonce: str, *, own_terminal: bool) -> str:
    inner = f"exec sh -c {shlex.quote(command)}"
    if account.method == "su":
        return f"LC_ALL=C exec su {shlex.quote(account.user)} -c {shlex.quote(inner)}"
    words = f"sudo -S -p 'password {nonce}:' -u {shlex.quote(account.user)}"
    become = f"{words} -- sh -c {shlex.quote(command)}"
    if not own_terminal:
        return f"exec {become}"
    # sudo gets a terminal to look at, and the command keeps its streams.
    there = f"{become} <&3 >&4 2>&5 3<&- 4>&- 5>&-"
    return f"SHELL=/bin/sh exec script -qec {shlex.quote(there)} /dev/null 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1"


# Runs on the host. The command line of the script itself has the nonce in two halves, and grep gets it as input.
_FIND = """printf '%s\\n' "{first}""{second}" | grep -lFf - /proc/[0-9]*/cmdline 2>/dev/null | while read -r file; do
  number=${{file#/proc/}}; number=${{number%/cmdline}}
  {{ read -r stat <"/proc/$number/stat"; }} 2>/dev/null && echo "$number:$stat"
done"""
# Runs on the host. It names its victims by session, so that a command's background children go too, and reads /proc itself:
# minimal systems have no pkill. A shell that must live gets INT together with its whole process group, so that it sees its child
# die of it and gives up the command; background jobs of a shell without job control ignore INT (POSIX, 2.11): older ones live on.
# The leader of its session, such as login, lives too. It ends nothing unless the process is the one that was started, is not the
# first one or one of the kernel, and belongs to a session that itself or one of its ancestors leads.
_STOP = r"""
stat_of() {
  IFS= read -r line <"/proc/$1/stat" || return 1; set -- ${line##*) }
  state=$1 ppid=$2 group=$3 session=$4; shift 19; started=$1
}
[ "$PID" -gt 1 ] 2>/dev/null || exit 0
# BSD and macOS have no /proc: ps knows when the process began and whose children there are. Its group is ended with it where it
# leads that itself, as one that a server has started does.
if ! stat_of $$ 2>/dev/null; then
  began() { set -- $(LC_ALL=C ps -o lstart= -p "$PID" 2>/dev/null); echo "$*"; }
  found() {
    ps -A -o pid= -o ppid= -o pgid= -o stat= 2>/dev/null | awk -v root="$PID" -v leads="$leads" -v keep=" $KEEP " '
      $4 !~ /^Z/ { parent[$1] = $2; group[$1] = $3 }
      END {
        do {
          grown = 0
          for (p in parent) {
            if (p == root || p in ours || p in kept) continue
            if (index(keep, " " p " ") || parent[p] in kept) kept[p] = grown = 1
            else if (parent[p] == root || parent[p] in ours || (leads && group[p] == root)) ours[p] = grown = 1
          }
        } while (grown)
        for (p in ours) if (!(p in kept)) print p
      }'
  }
  [ "$SHELL_LIVES" = idle ] || { [ -n "$STARTED" ] && [ "$(began)" = "$STARTED" ]; } || exit 0
  [ "$(ps -o pgid= -p "$PID" 2>/dev/null | tr -d ' ')" = "$PID" ] && leads=1 || leads=0
  for signal in INT TERM KILL KILL; do
    victims=$(found)
    [ "$SHELL_LIVES" != yes ] || kill -s INT "$PID"
    [ -n "$SHELL_LIVES" ] || { [ "$(began)" = "$STARTED" ] && victims="$victims $PID"; }
    [ -z "$victims" ] || kill -s "$signal" $victims
    for pause in 0.01 0.04 0.2; do
      victims=$(found)
      [ -n "$SHELL_LIVES" ] || { [ "$(began)" = "$STARTED" ] && victims="$victims $PID"; }
      [ -n "$victims" ] || break
      sleep $pause || sleep 1
    done
    [ -n "$victims" ] || exit 0
  done 2>/dev/null
  exit 0
fi
stat_of "$PID" 2>/dev/null || exit 0
home=$session gang=$group
[ "$home" -gt 1 ] && [ "$gang" -gt 1 ] || exit 0
if [ "$SHELL_LIVES" != idle ]; then [ "$started" = "$STARTED" ] && [ "$home" = "$SESSION" ] || exit 0; fi
above=$PID
while [ "$above" != "$home" ]; do
  stat_of "$above" 2>/dev/null && [ "$ppid" -gt 1 ] || exit 0
  above=$ppid
done
readlink "/proc/$PID/cwd"
older() {
  [ -n "$TAG" ] || return 1
  found=$(tr '\0' '\n' <"/proc/$1/environ" | grep "^OTTO_COMMAND=${TAG%.*}\\.") || return 1
  [ "$found" != "OTTO_COMMAND=$TAG" ]
}
look() {
  victims=
  for folder in /proc/[0-9]*; do
    p=${folder#/proc/}
    stat_of "$p" || continue
    [ "$session" = "$home" ] && [ "$state" != Z ] || continue
    case $p in "$PID" | "$home") [ -z "$SHELL_LIVES" ] || continue ;; esac
    case " $KEEP " in *" $p "* | *" $ppid "*) KEEP="$KEEP $p"; continue ;; esac
    older "$p" && continue
    victims="$victims $p"
  done
}
{
  for signal in INT TERM KILL KILL; do
    look; look
    [ "$SHELL_LIVES" != yes ] || kill -s INT -- "-$gang"
    [ -z "$victims" ] || kill -s "$signal" $victims
    for pause in 0.01 0.04 0.2; do
      look
      [ -n "$victims" ] || break
      sleep $pause || sleep 1
    done
    [ -n "$victims" ] || exit 0
  done
} 2>/dev/null
"""

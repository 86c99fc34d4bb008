"""A disturbance on a host that heals by itself: a small watcher there undoes it when word from here does not come.

The watcher has its own session, so it outlives the connection, the controller and the command that started it. It counts by the
host's time since boot, which no step of a clock moves. Its folder is private to the account, and holds no secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
from collections.abc import Callable, Coroutine
from typing import Any

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import ScriptResult
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, ConnectionLostError, DisturbanceEndedError, HostError, subject
from OttoLibrary.host.host import Host
from OttoLibrary.text import decode

LEASE_S = 15
_STEP_S = 60.0
# What 'do' says when it did nothing, since it cannot be done there or somebody else disturbs: then nothing is to be undone.
NOT_BEGUN = 95
_NOT_YET = 94
_LOST = 98
_FOLDER = re.compile(r"/[\w./-]+/\.otto-heal-\w+")
# One process does it and undoes it, so nothing is done without one that undoes, nor after its lease has ended. The undo is kept
# in its memory, since a folder of temporary files may be swept.
_WATCH = r"""d=$1 limit=$(($2 * 100)) undo=$(cat "$1/undo") t=0
now() {
  if read -r t rest </proc/uptime; then t=${t%.*}${t#*.}; t=${t#0}; t=${t#0}; else t=$(date +%s)00; fi
} 2>/dev/null
in_time() {
  now
  if [ -e "$d/word" ]; then rm -f "$d/word"; last=$t; fi
  [ $((t - last)) -lt "$limit" ]
}
pause() { sleep 0.2 2>/dev/null || sleep 1; }
now; last=$t
echo $$ >"$d/pid.new"; mv "$d/pid.new" "$d/pid"
until [ -e "$d/go" ] || [ -e "$d/heal" ]; do
  [ -d "$d" ] && in_time || { rm -rf "$d"; exit 0; }
  pause
done
apart=; command -v setsid >/dev/null 2>&1 && apart=setsid
doing=
if [ -e "$d/go" ]; then
  now; last=$t
  $apart sh -c 'sh "$1/do" >"$1/did" 2>&1; echo $? >"$1/begun.new"; mv "$1/begun.new" "$1/begun"' do "$d" </dev/null &
  doing=$!
fi
early=
while [ -d "$d" ] && [ ! -e "$d/heal" ]; do
  [ ! -e "$d/begun" ] || doing=
  in_time || { early=1; break; }
  pause
done
if [ -n "$doing" ] && [ ! -e "$d/begun" ]; then { kill -KILL -"$doing" || kill -KILL "$doing"; } 2>/dev/null; wait "$doing"; fi
s=0 said=$d/said
[ -d "$d" ] || said=/dev/null
[ ! -e "$d/go" ] && [ -d "$d" ] || [ -e "$d/skip" ] || { sh -c "$undo" >"$said" 2>&1 </dev/null; s=$?; }
[ -d "$d" ] || exit 0
[ -z "$early" ] || : >"$d/early"
echo $s >"$d/status.new"; mv "$d/status.new" "$d/status"
if [ -n "$early" ]; then [ $s -ne 0 ] || rm -rf "$d"; exit 0; fi
n=0
while [ -d "$d" ] && [ $n -lt 150 ]; do n=$((n + 1)); pause; done
rm -rf "$d"
"""
# It removes what a first try left whose answer was lost: the watcher of that has done nothing, and ends.
_BEGIN = r"""umask 077
rm -rf "${{TMPDIR:-/tmp}}/.otto-heal-{tag}"*
d=$(mktemp -d "${{TMPDIR:-/tmp}}/.otto-heal-{tag}XXXXXXXXXX") || {{ echo 'There is no room for a lease.'; exit 97; }}
printf %s {do} >"$d/do" && printf %s {undo} >"$d/undo" && printf %s {watch} >"$d/watch" || {{
  echo 'There is no room for a lease.'; rm -rf "$d"; exit 97; }}
if command -v setsid >/dev/null 2>&1; then setsid sh "$d/watch" "$d" {lease} </dev/null >/dev/null 2>&1 &
else (trap '' HUP; exec sh "$d/watch" "$d" {lease}) </dev/null >/dev/null 2>&1 & fi
n=0
until [ -s "$d/pid" ]; do
  n=$((n + 1)); [ $n -le 100 ] || {{ echo 'The watcher did not begin.'; rm -rf "$d"; exit 97; }}
  sleep 0.1 2>/dev/null || sleep 1
done
echo "$d"
"""
_WATCHED = r"""d={folder}
watched() {{ [ -s "$d/pid" ] && [ ! -e "$d/status" ] && kill -0 "$(cat "$d/pid")" 2>/dev/null; }}
"""
# Each waits for a short time only, since on some hosts no other word can come meanwhile.
_DO = (
    _WATCHED
    + r"""watched || exit 98
: >"$d/word"; : >"$d/go"
n=0
until [ -e "$d/begun" ]; do
  watched || exit 98
  n=$((n + 1)); [ $n -le 15 ] || exit 94
  sleep 0.1 2>/dev/null || sleep 1
done
cat "$d/did"
exit "$(cat "$d/begun")"
"""
)
_RENEW = _WATCHED + r"""watched && : >"$d/word" || exit 98"""
_HEAL = (
    _WATCHED
    + r"""[ -d "$d" ] || exit 98
{skip}: >"$d/heal"
n=0
until [ -e "$d/status" ]; do
  watched || [ -e "$d/status" ] || exit 98
  n=$((n + 1)); [ $n -le 15 ] || exit 94
  sleep 0.1 2>/dev/null || sleep 1
done
[ ! -e "$d/said" ] || cat "$d/said"
s=$(cat "$d/status")
[ "$s" -ne 0 ] || [ ! -e "$d/early" ] || exit 98
exit "$s"
"""
)
_FORGET = "rm -rf {folder}"
_ABANDON = 'rm -rf "${{TMPDIR:-/tmp}}/.otto-heal-{tag}"*'


def as_root(script: str) -> str:
    """Return shell text that runs another one as root: directly, or by sudo without a password."""
    quoted = shlex.quote(script)
    refused = "This needs root, or sudo without a password."
    return (
        f'client=${{SSH_CONNECTION%% *}}; if [ "$(id -u)" = 0 ]; then OTTO_CLIENT=$client sh -c {quoted}; '
        f"elif sudo -n true 2>/dev/null; then sudo -n env OTTO_CLIENT=$client sh -c {quoted}; "
        f"else echo {shlex.quote(refused)}; exit 96; fi"
    )


class Healing:
    """One disturbance, from before it begins until it is undone.

    Args:
        host: The host.
        what: What it is, for people, such as ``'nginx' paused``.
        undo: Shell text that undoes it; it may run twice, and also when nothing was done.
        lease_s: When no word came for so long, the host undoes it itself.
        wrap: Makes shell text run as who it needs to be, such as ``as_root``.
        told: Called with a sentence when the lease could not be renewed, and when it has ended.
    """

    def __init__(
        self,
        host: Host,
        what: str,
        undo: str,
        *,
        lease_s: int = LEASE_S,
        wrap: Callable[[str], str] = str,
        told: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.host, self.what = host, what
        self._undo, self._lease_s, self._wrap, self._told = undo, lease_s, wrap, told
        self._folder = ""
        self._is_begun = True
        self._ended_early = ""
        self._renewing: asyncio.Task[None] | None = None

    async def begin(self, do: str) -> str:
        """Take the lease, then disturb; return what the host said.

        Raises:
            HostError: It could not be done; what was done of it is undone.
        """
        # The lease is counted from here, and a slow login is no part of it.
        await self._sent(":")
        tag = secrets.token_hex(8)
        script = _BEGIN.format(
            do=shlex.quote(do),
            undo=shlex.quote(self._undo),
            watch=shlex.quote(_WATCH),
            lease=self._lease_s,
            tag=tag,
        )
        try:
            heard_s, begun = await self._sent(script)
        except BaseException:
            await self._quietly(self._sent(_ABANDON.format(tag=tag)))
            raise
        folder = decode(begun.stdout).strip().rpartition("\n")[2]
        if begun.rc or not _FOLDER.fullmatch(folder):
            raise self._error("could not be prepared", begun)
        self._folder = folder
        self._renewing = asyncio.create_task(self._renew(folder, heard_s))
        try:
            done = await self._ended(_DO.format(folder=shlex.quote(folder)))
            if done.rc == _LOST:
                raise self._error("could not be done", _said("its lease on the host ended before it was done"))
            if done.rc:
                self._is_begun = done.rc != NOT_BEGUN
                raise self._error("could not be done", done)
        except BaseException:
            await self._quietly(self.heal())
            raise
        return decode(done.stdout).strip()

    async def heal(self) -> None:
        """Undo it. Idempotent.

        Raises:
            DisturbanceEndedError: It had ended before, and is undone.
            HostError: It could not be undone; the message says what is left.
        """
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        folder, self._folder = self._folder, ""
        if not folder:
            return
        healed = await self._healed(shlex.quote(folder))
        if healed.rc:
            raise self._error("is left as it is, because the undo failed", healed)
        if self._ended_early:
            raise DisturbanceEndedError(self._ended_early, host=self.host.name, path=self.host.path)

    async def _healed(self, folder: str) -> ScriptResult:
        """Return how the undo ended."""
        skip = "" if self._is_begun else ': >"$d/skip"; '
        try:
            healed = await self._ended(_HEAL.format(folder=folder, skip=skip))
            if healed.rc == _LOST and self._is_begun:
                # What is undone twice is undone once.
                self._end_early("its lease on the host had ended, as after a reboot or when no word comes")
                healed = (await self._sent(self._undo))[1]
            with contextlib.suppress(HostError, EndOfStream):
                await self._sent(_FORGET.format(folder=folder))
        except (HostError, EndOfStream) as error:
            left = f"{self.what} could not be undone from here, and the host undoes it itself within {self._lease_s} s"
            sentence = f"{subject(self.host.name, self.host.path)}: {left}: {error}"
            raise HostError(sentence, host=self.host.name, path=self.host.path) from error
        return ScriptResult(0, b"", b"") if healed.rc == _LOST else healed

    async def _quietly(self, work: Coroutine[Any, Any, object]) -> None:
        """Do what has to be done before an error goes on, whoever cancels it meanwhile; it has its own bounds."""
        doing = asyncio.ensure_future(work)
        while not doing.done():
            with contextlib.suppress(asyncio.CancelledError, HostError, EndOfStream):
                await asyncio.shield(doing)
        error = None if doing.cancelled() else doing.exception()
        if error is not None and not isinstance(error, DisturbanceEndedError):
            self._told(str(error))

    async def _renew(self, folder: str, heard_s: float) -> None:
        """Let the host hear from here, until it says that the lease has ended, or it could have."""
        loop, is_told = asyncio.get_running_loop(), False
        script = _RENEW.format(folder=shlex.quote(folder))
        while True:
            await asyncio.sleep(max(0.0, heard_s + self._lease_s / 3 - loop.time()))
            try:
                async with asyncio.timeout_at(heard_s + self._lease_s):
                    sent_s, renewed = await self._sent(script)
            except (HostError, EndOfStream, TimeoutError) as error:
                if not is_told:
                    is_told = True
                    cause = str(error) or "no answer came in time"
                    self._told(f"{subject(self.host.name, self.host.path)}: the lease of {self.what} was not renewed: {cause}")
                await asyncio.sleep(min(1.0, self._lease_s / 10))
                if loop.time() >= heard_s + self._lease_s:
                    self._end_early(f"no word has reached the host for {self._lease_s} s")
                    return
                continue
            if renewed.rc:
                self._end_early("its lease on the host has ended")
                return
            heard_s, is_told = sent_s, False

    def _end_early(self, why: str) -> None:
        """Note, and tell, that it is not there any more, or cannot be relied on."""
        if self._ended_early:
            return
        self._ended_early = (
            f"{subject(self.host.name, self.host.path)}: {self.what} ended before its time, so what was measured since "
            f"may be that of a host as it should be: {why}."
        )
        self._told(self._ended_early)

    async def _ended(self, script: str) -> ScriptResult:
        """Run a step as often as it says that it has not ended yet, within a bound."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _STEP_S
        while True:
            _, result = await self._sent(script)
            if result.rc != _NOT_YET:
                return result
            if loop.time() >= end_s:
                return _said(f"it did not end in {_STEP_S:.0f} s")

    async def _sent(self, script: str) -> tuple[float, ScriptResult]:
        """Run shell text, and return when it was sent, and what became of it.

        It is sent once more when the connection was lost under it, since all of it may run twice.
        """
        for is_last in (False, True):
            sent_s = asyncio.get_running_loop().time()
            try:
                return sent_s, await self.host.answer_of(self._wrap(script), Deadline(_STEP_S))
            except (EndOfStream, ConnectionLostError, ConnectError) as error:
                if is_last:
                    cause = str(error)
                    raise ConnectionLostError(self.host.name, self.host.path, cause) from error
        raise AssertionError  # one of the two returned or raised

    def _error(self, what: str, result: ScriptResult) -> HostError:
        said = (decode(result.stdout) + decode(result.stderr)).strip()
        sentence = f"{subject(self.host.name, self.host.path)}: {self.what} {what}: {said or f'exit status {result.rc}'}"
        return HostError(sentence, host=self.host.name, path=self.host.path, last_output=said)


def _said(text: str) -> ScriptResult:
    return ScriptResult(1, text.encode(), b"")

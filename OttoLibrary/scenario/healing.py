"""A disturbance on a host that heals by itself: a small watcher there undoes it when word from here does not come.

The watcher has its own session, so it outlives the connection, the controller and the command that started it. It counts by the
host's time since boot, which no step of a clock moves. Its folder is private to the account, and holds no secret.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from collections.abc import Callable

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import ScriptResult
from OttoLibrary.deadline import Deadline
from OttoLibrary.engine import BackOff, Failure, supervise
from OttoLibrary.errors import ConnectError, ConnectionLostError, HostError, subject
from OttoLibrary.host.host import Host
from OttoLibrary.text import decode

LEASE_S = 15
_STEP_S = 60.0
# What 'do' says when it did nothing, since it cannot be done there or somebody else disturbs: then nothing is to be undone.
NOT_BEGUN = 95
_LOST = 98
_FOLDER = re.compile(r"/[\w./-]+/\.otto-heal-\w+")
_WATCH = r"""d=$1 lease=$2
read -r up rest </proc/uptime; heard=${up%.*}
while [ -d "$d" ] && [ ! -e "$d/heal" ]; do
  read -r up rest </proc/uptime
  if [ -e "$d/word" ]; then rm -f "$d/word"; heard=${up%.*}; fi
  [ $((${up%.*} - heard)) -ge "$lease" ] && break
  sleep 0.2 2>/dev/null || sleep 1
done
[ -d "$d" ] || exit 0
s=0
[ -e "$d/skip" ] || { sh "$d/undo" >"$d/said" 2>&1; s=$?; }
echo $s >"$d/status.new"
mv "$d/status.new" "$d/status"
[ -e "$d/heal" ] || [ $s -ne 0 ] || rm -rf "$d"
"""
# It removes what a first try left whose answer was lost: the watcher of that would undo what the second has begun.
_BEGIN = r"""umask 077
rm -rf "${{TMPDIR:-/tmp}}/.otto-heal-{tag}"*
d=$(mktemp -d "${{TMPDIR:-/tmp}}/.otto-heal-{tag}XXXXXXXXXX") || {{ echo 'There is no room for a lease.'; exit 97; }}
printf %s {undo} >"$d/undo"
printf %s {watch} >"$d/watch"
: >"$d/word"
if command -v setsid >/dev/null 2>&1; then setsid sh "$d/watch" "$d" {lease} </dev/null >/dev/null 2>&1 &
else (trap '' HUP; exec sh "$d/watch" "$d" {lease}) </dev/null >/dev/null 2>&1 & fi
echo "$d"
"""
_HEAL = r"""d={folder}
[ -d "$d" ] || exit 98
{skip}: >"$d/heal"
n=0
while [ ! -e "$d/status" ]; do
  [ -d "$d" ] || exit 98
  n=$((n + 1)); [ $n -gt 250 ] && {{ echo 'The undo does not end.'; exit 99; }}
  sleep 0.1 2>/dev/null || sleep 1
done
[ ! -e "$d/said" ] || cat "$d/said"
s=$(cat "$d/status")
rm -rf "$d"
exit "$s"
"""
_RENEW = "[ -d {folder} ] && : >{folder}/word || exit 98"


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
        told: Called with a sentence when the lease could not be renewed.
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
        self._renewing: asyncio.Task[None] | None = None

    async def begin(self, do: str) -> str:
        """Take the lease, then disturb; return what the host said.

        Raises:
            HostError: It could not be done; what was done of it is undone.
        """
        undo, watch, tag = shlex.quote(self._undo), shlex.quote(_WATCH), secrets.token_hex(8)
        script = _BEGIN.format(undo=undo, watch=watch, lease=self._lease_s, tag=tag)
        begun = await self._run(script)
        folder = decode(begun.stdout).strip().rpartition("\n")[2]
        if begun.rc or not _FOLDER.fullmatch(folder):
            raise self._error("could not be prepared", begun)
        self._folder = folder
        self._renewing = asyncio.create_task(supervise(self._renew, self._not_renewed, BackOff(0.2, 1.0)))
        try:
            done = await self._run(do)
            if done.rc:
                self._is_begun = done.rc != NOT_BEGUN
                raise self._error("could not be done", done)
        except BaseException:
            await self._heal_quietly()
            raise
        return decode(done.stdout).strip()

    async def heal(self) -> None:
        """Undo it; raise HostError that says what is left. Idempotent."""
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        folder, self._folder = self._folder, ""
        if not folder:
            return
        skip = "" if self._is_begun else ': >"$d/skip"; '
        healed = await self._run(_HEAL.format(folder=shlex.quote(folder), skip=skip))
        if healed.rc == _LOST and self._is_begun:
            # The host has undone it itself, or has booted since; what is undone twice is undone once.
            healed = await self._run(self._undo)
        if healed.rc not in (0, _LOST):
            raise self._error("is left as it is, because the undo failed", healed)

    async def _heal_quietly(self) -> None:
        try:
            await asyncio.shield(self.heal())
        except (HostError, EndOfStream) as error:
            self._told(f"{error} The host undoes it itself within {self._lease_s} s.")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            renewed = await self._run(_RENEW.format(folder=shlex.quote(self._folder)))
            if renewed.rc == _LOST:
                self._told(f"{subject(self.host.name, self.host.path)}: {self.what} ended early, no word came in time.")
                return

    def _not_renewed(self, failure: Failure) -> None:
        self._told(f"{subject(self.host.name, self.host.path)}: the lease of {self.what} was not renewed: {failure}.")

    async def _run(self, script: str) -> ScriptResult:
        """Run shell text; once more when the connection was lost under it, since all of it may run twice."""
        for is_last in (False, True):
            try:
                return await self.host.answer_of(self._wrap(script), Deadline(_STEP_S))
            except (EndOfStream, ConnectionLostError, ConnectError) as error:
                if is_last:
                    cause = str(error)
                    raise ConnectionLostError(self.host.name, self.host.path, cause) from error
        raise AssertionError  # one of the two returned or raised

    def _error(self, what: str, result: ScriptResult) -> HostError:
        said = (decode(result.stdout) + decode(result.stderr)).strip()
        sentence = f"{subject(self.host.name, self.host.path)}: {self.what} {what}: {said or f'exit status {result.rc}'}"
        return HostError(sentence, host=self.host.name, path=self.host.path, last_output=said)

"""Profiles: how a host's console behaves, as data.

The factories at the end are the built-in profiles; the registry hands them out by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

POSIX, PROMPT = "posix", "prompt"


@dataclass(frozen=True)
class Profile:
    """How a console behaves.

    The regular expressions are looked for at the end of the console's output (``failed_login`` anywhere since the login
    began), after colours and other terminal sequences are taken out.

    Attributes:
        name: Its name.
        runs: What is behind the console: ``posix``, a shell with streams and exit status, or ``prompt``, only a prompt.
        prompt: What it shows when it waits for a command.
        newline: What ends a line that is typed.
        login_prompt: What asks for the user.
        password_prompt: What asks for the password.
        failed_login: What it answers to a wrong one.
        pager_off: Lines to type before the first command, so that long output does not stop.
        status: A line to type after a command that makes it print the exit status; empty when it has none.
        encoding: How its text is encoded.
    """

    name: str
    runs: str = PROMPT
    prompt: str = r"[>#$%] ?"
    newline: str = "\n"
    login_prompt: str = r"(?i)^(?!.*last login).*(login|user ?name|user):[ \t]*"
    password_prompt: str = r"(?i)(password|passwort|passcode)[^\n]*:[ \t]*"
    failed_login: str = (
        r"(?i)login incorrect|login failed|authentication fail|access denied|permission denied|"
        r"invalid (login|password)|bad (password|secrets)"
    )
    pager_off: tuple[str, ...] = ()
    status: str = ""
    encoding: str = "utf-8"

    @property
    def has_status(self) -> bool:
        """True when a command has an exit status."""
        return self.runs == POSIX or bool(self.status)


_NO_PAGER = ("export TERM=dumb PAGER=cat SYSTEMD_PAGER=cat GIT_PAGER=cat",)

linux = partial(Profile, "linux", POSIX, pager_off=_NO_PAGER)
bash = partial(Profile, "bash", POSIX, pager_off=_NO_PAGER)
busybox = partial(Profile, "busybox", POSIX, pager_off=("export TERM=dumb PAGER=cat",))
uboot = partial(Profile, "uboot", prompt=r"^(=>|[\w-]+[>#]|[\w-]+ =>) ?")
zephyr = partial(Profile, "zephyr", prompt=r"^[\w:~-]+[$>] ?")
cisco_ios = partial(
    Profile,
    "cisco-ios",
    prompt=r"^[\w./:()-]+[>#] ?",
    newline="\r",
    login_prompt=r"(?i)^(username|login):[ \t]*",
    failed_login=r"(?i)% ?(login invalid|bad (passwords|secrets)|authentication failed)|access denied",
    pager_off=("terminal length 0", "terminal width 0"),
)
raw = partial(Profile, "raw", prompt=r"^.{0,60}[>#$%:?] ?")

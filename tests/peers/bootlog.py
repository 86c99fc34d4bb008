"""Plays a device on its terminal: a boot log, a boot loader that can be stopped, a login, a busybox shell.

``OTTO_PASSWORD`` is the password of ``root``.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty

LOADER = [
    "U-Boot SPL 2024.01 (Jan 08 2024 - 15:37:48 +0000)",
    "Trying to boot from MMC1",
    "",
    "U-Boot 2024.01 (Jan 08 2024 - 15:37:48 +0000)",
    "CPU:   TEST9000 rev 1.2",
    "DRAM:  512 MiB",
    "Net:   eth0: ethernet@4a100000",
]
KERNEL = [
    "[    0.000000] Booting Linux on physical CPU 0x0",
    "[    0.000000] Machine model: Otto Test Board #1 $ % >",
    "[    1.402113] EXT4-fs (mmcblk0p2): mounted filesystem",
    "[    2.004711] random: crng init done",
    "Starting dropbear sshd: OK",
]
VARIABLES = {"bootdelay": "2", "ethaddr": "02:00:00:00:00:01"}


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def play(lines: list[str]) -> None:
    for line in lines:
        say(f"{line}\r\n")
        time.sleep(0.02)


def stopped() -> bool:
    say("Hit any key to stop autoboot:  2 ")
    for left in (1, 0):
        ready, _, _ = select.select([0], [], [], float(os.environ.get("OTTO_COUNT_S", "0.3")))
        if ready:
            os.read(0, 1)
            say("\r\n")
            return True
        say(f"\b\b\b {left} ")
    say("\r\n")
    return False


def read_line() -> str:
    """Read a line as a boot loader does: byte by byte, with its own echo."""
    line = ""
    while True:
        key = os.read(0, 1).decode("latin-1")
        if key in "\r\n":
            say("\r\n")
            return line
        if key == "\x03":
            say("<INTERRUPT>\r\n")
            return ""
        if key == "\x15":
            say("\b \b" * len(line))
            line = ""
            continue
        line += key
        say(key)


def loader() -> None:
    while True:
        say("=> ")
        name, _, argument = read_line().strip().partition(" ")
        if name in {"boot", "reset"}:
            return
        if name == "printenv":
            found = [f"{key}={value}" for key, value in VARIABLES.items() if argument in {"", key}]
            say("".join(f"{entry}\r\n" for entry in found) or f'## Error: "{argument}" not defined\r\n')
        elif name == "sleep":
            select.select([0], [], [], float(argument))
        elif name:
            say(f"Unknown command '{name}' - try 'help'\r\n")


def login() -> None:
    while True:
        say("\r\nWelcome to Otto\r\nbox login: ")
        user = read_line()
        if not user:
            continue
        say("Password: ")
        settings = termios.tcgetattr(0)
        word = b""
        while (key := os.read(0, 1)) not in b"\r\n":
            word += key
        termios.tcsetattr(0, termios.TCSANOW, settings)
        say("\r\n")
        if (user, word.decode()) == ("root", os.environ.get("OTTO_PASSWORD", "")):
            return
        time.sleep(0.1)
        say("Login incorrect\r\n")


def main() -> None:
    cooked = termios.tcgetattr(0)
    tty.setraw(0)
    if os.environ.get("OTTO_LOADER", "yes") == "yes":
        play(LOADER)
        if stopped():
            loader()
    play(KERNEL)
    login()
    termios.tcsetattr(0, termios.TCSANOW, cooked)
    os.environ["PS1"] = "box:\\w# "
    os.execvp("busybox", ["busybox", "sh", "-i"])


if __name__ == "__main__":
    main()

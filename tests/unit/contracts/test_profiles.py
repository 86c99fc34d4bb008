"""The built-in profiles: which lines they take for a prompt, for a login, and which have an exit status."""

from __future__ import annotations

import dataclasses

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts import profiles
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.transport.login import Prompts


def prompts(name: str) -> Prompts:
    return Prompts(getattr(profiles, name)())


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ("linux", "root@box:~# "),
        ("linux", "$ "),
        ("uboot", "=> "),
        ("uboot", "U-Boot> "),
        ("uboot", "imx8 => "),
        ("zephyr", "uart:~$ "),
        ("cisco_ios", "switch-1(config-if)#"),
        ("cisco_ios", "Router>"),
        ("raw", "Continue? [y/n]: "),
    ],
)
def test_its_prompt_is_known(profile: str, line: str) -> None:
    assert prompts(profile).prompt(f"Booting\n{line}")


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ("linux", "still working"),
        ("uboot", "Loading => from mmc"),
        ("zephyr", "[00:00:01] <inf> main: up"),
        ("cisco_ios", "% Unknown command"),
        ("raw", "x" * 70 + ">"),
        ("raw", ""),
    ],
)
def test_other_lines_are_no_prompt(profile: str, line: str) -> None:
    assert not prompts(profile).prompt(f"Booting\n{line}")


@pytest.mark.parametrize("line", ["login: ", "box login:", "Username: ", "User name:", "USER: "])
def test_what_asks_for_the_user(line: str) -> None:
    assert prompts("linux").asks(line) == "login"


@pytest.mark.parametrize("line", ["Password: ", "password for bob:", "Passwort: ", "Enter passcode: "])
def test_what_asks_for_the_password(line: str) -> None:
    assert prompts("linux").asks(line) == "password"


def test_the_last_login_that_is_greeted_with_is_no_question() -> None:
    assert prompts("linux").asks("Last login: ") == ""


@pytest.mark.parametrize("text", ["Login incorrect", "% Bad passwords", "Access denied", "Permission denied, please try again."])
def test_a_refused_login_is_known(text: str) -> None:
    assert prompts("linux").failure(f"box\n{text}\nlogin: ")


def test_a_shell_has_an_exit_status_and_a_prompt_only_when_a_line_prints_it() -> None:
    assert profiles.linux().has_status
    assert profiles.busybox().has_status
    assert not profiles.uboot().has_status
    assert Profile("own", status="echo $?").has_status


def test_every_built_in_profile_is_known_under_its_own_name() -> None:
    made = [getattr(profiles, name)() for name in ("linux", "bash", "busybox", "uboot", "zephyr", "cisco_ios", "raw")]
    assert {profile.name for profile in made} <= set(registry.names("profile"))


def test_a_profile_is_a_value() -> None:
    assert profiles.linux() == profiles.linux()
    with pytest.raises(dataclasses.FrozenInstanceError):
        profiles.linux().prompt = "x"  # type: ignore[misc]

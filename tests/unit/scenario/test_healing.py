"""A disturbance that heals: what is said to the host, and what becomes of its answers."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import ScriptResult
from OttoLibrary.errors import DisturbanceEndedError, HostError
from OttoLibrary.scenario.healing import NOT_BEGUN, Healing, as_root
from tests.unit.scenario.clocks import jump_through

FOLDER = "/tmp/.otto-heal-a1"


class AnsweringHost:
    """The part of a host that a disturbance uses; the test says what each step answers.

    Attributes:
        asked: What was asked for, in order: begin, do, renew, heal or undo; ``:`` connects, and forget leaves no trace.
    """

    name, path = "box", ("box",)

    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self.scripts: list[str] = []
        self._answers = {"begin": FOLDER, **answers}

    async def answer_of(self, script: str, deadline: object) -> ScriptResult:
        step = self._step(script)
        self.asked.append(step)
        self.scripts.append(script)
        answer = self._answers.get(step, 0)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer = await answer() or 0
        rc, text = (answer, "") if isinstance(answer, int) else (0, answer)
        return ScriptResult(rc, f"{text}\n".encode(), b"")

    def _step(self, script: str) -> str:
        marks = {"mktemp": "begin", '>"$d/heal"': "heal", '>"$d/go"': "do", '>"$d/word" ||': "renew", "rm -rf /": "forget"}
        return next((step for mark, step in marks.items() if mark in script), script)


def _healing(host: AnsweringHost, told: Callable[[str], None] = lambda sentence: None, **options: Any) -> Healing:
    return Healing(host, "'nginx' paused", "undo", told=told, **options)  # type: ignore[arg-type]


def test_the_lease_is_taken_before_anything_is_done_and_given_back_once() -> None:
    async def go() -> None:
        host = AnsweringHost(do="by hand")
        healing = _healing(host)
        assert await healing.begin("do") == "by hand"
        await healing.heal()
        await healing.heal()
        assert host.asked == [":", "begin", "do", "heal", "forget"]

    jump_through(go())


def test_nothing_is_done_without_a_lease() -> None:
    async def go(answer: object) -> None:
        host = AnsweringHost(begin=answer)
        with pytest.raises(HostError, match="'nginx' paused could not be prepared"):
            await _healing(host).begin("do")
        assert host.asked == [":", "begin"]

    for answer in (97, "", "/tmp/other", f"{FOLDER}; reboot", "relative/.otto-heal-a"):
        jump_through(go(answer))


def test_what_was_done_in_part_is_undone_and_what_somebody_else_did_is_not() -> None:
    async def go(rc: int) -> str:
        host = AnsweringHost(do=rc)
        with pytest.raises(HostError, match="could not be done: exit status"):
            await _healing(host).begin("do")
        assert host.asked == [":", "begin", "do", "heal", "forget"]
        return host.scripts[-2]

    assert "skip" not in jump_through(go(1))
    assert ': >"$d/skip"; : >"$d/heal"' in jump_through(go(NOT_BEGUN))


def test_a_beginning_that_is_cancelled_is_undone() -> None:
    async def go() -> None:
        started = asyncio.Event()

        async def never() -> None:
            started.set()
            await asyncio.Event().wait()

        host = AnsweringHost(do=never)
        task = asyncio.create_task(_healing(host, lease_s=600).begin("do"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert host.asked == [":", "begin", "do", "heal", "forget"]

    jump_through(go())


def test_a_beginning_that_is_cancelled_twice_is_undone_before_it_ends() -> None:
    async def go() -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        async def slow() -> None:
            await asyncio.sleep(5)

        host = AnsweringHost(do=never, heal=slow)
        task = asyncio.create_task(_healing(host, lease_s=600).begin("do"))
        for _ in range(3):
            await asyncio.sleep(1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert host.asked == [":", "begin", "do", "heal", "forget"]

    jump_through(go())


def test_a_lease_that_is_cancelled_while_it_is_taken_is_given_up() -> None:
    async def go() -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        host = AnsweringHost(begin=never)
        task = asyncio.create_task(_healing(host, lease_s=600).begin("do"))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        tag = host.scripts[1].split(".otto-heal-")[1][:16]
        assert host.scripts[2:] == [f'rm -rf "${{TMPDIR:-/tmp}}/.otto-heal-{tag}"*']

    jump_through(go())


def test_the_lease_is_renewed_three_times_in_its_length() -> None:
    async def go() -> None:
        host = AnsweringHost()
        healing = _healing(host, lease_s=15)
        await healing.begin("do")
        await asyncio.sleep(16)
        await healing.heal()
        await asyncio.sleep(60)
        assert host.asked == [":", "begin", "do", "renew", "renew", "renew", "heal", "forget"]

    jump_through(go())


def test_a_lease_that_was_lost_is_told_once_and_undone_from_here() -> None:
    async def go() -> None:
        told: list[str] = []
        host = AnsweringHost(renew=98, heal=98)
        healing = _healing(host, told.append)
        await healing.begin("do")
        await asyncio.sleep(100)
        with pytest.raises(DisturbanceEndedError, match="'nginx' paused ended before its time") as raised:
            await healing.heal()
        assert host.asked == [":", "begin", "do", "renew", "heal", "undo", "forget"]
        assert told == [str(raised.value)]
        await healing.heal()

    jump_through(go())


def test_an_undo_that_fails_says_what_is_left() -> None:
    async def go(**answers: object) -> None:
        healing = _healing(AnsweringHost(**answers))
        await healing.begin("do")
        with pytest.raises(HostError, match="'nginx' paused is left as it is, because the undo failed: exit status 3"):
            await healing.heal()

    jump_through(go(heal=3))
    jump_through(go(heal=98, undo=3))


def test_what_ended_on_the_host_without_a_word_is_told_when_it_is_undone() -> None:
    async def go() -> None:
        host = AnsweringHost(heal=98)
        healing = _healing(host)
        await healing.begin("do")
        with pytest.raises(DisturbanceEndedError, match="its lease on the host had ended, as after a reboot"):
            await healing.heal()
        assert host.asked[-2:] == ["undo", "forget"]

    jump_through(go())


@pytest.mark.parametrize("answer", [EndOfStream("cut"), "hang", 1])
def test_what_could_have_ended_since_no_word_came_there_is_not_believed_active(answer: object) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def go() -> None:
        told: list[str] = []
        host = AnsweringHost(renew=hang if answer == "hang" else answer)
        healing = _healing(host, told.append, lease_s=15)
        began = asyncio.get_running_loop().time()
        await healing.begin("do")
        while not (told and "ended before its time" in told[-1]):  # noqa: ASYNC110 - the clock jumps
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - began < 17
        renewals = host.asked.count("renew")
        await asyncio.sleep(100)
        assert host.asked.count("renew") == renewals
        with pytest.raises(DisturbanceEndedError):
            await healing.heal()

    jump_through(go())


def test_nothing_is_done_after_the_lease_has_ended() -> None:
    async def go() -> None:
        with pytest.raises(HostError, match="could not be done: its lease on the host ended before it was done"):
            await _healing(AnsweringHost(do=98, heal=98)).begin("do")

    jump_through(go())


def test_what_takes_long_is_asked_for_until_it_has_ended_or_too_long_is_over() -> None:
    async def wait_and_say_not_yet() -> int:
        await asyncio.sleep(1.5)
        return 94

    async def go() -> None:
        host = AnsweringHost(do=[94, 94, "done"], heal=[94, 0])
        healing = _healing(host)
        assert await healing.begin("do") == "done"
        await healing.heal()
        assert host.asked.count("do") == 3
        with pytest.raises(HostError, match="could not be done: it did not end in 60 s"):
            await _healing(AnsweringHost(do=wait_and_say_not_yet)).begin("do")

    jump_through(go())


def test_a_step_is_tried_again_on_a_new_connection_and_not_more_often() -> None:
    async def go() -> None:
        host = AnsweringHost(do=[EndOfStream("cut"), "done"], heal=[EndOfStream("cut"), EndOfStream("cut again")])
        healing = _healing(host)
        assert await healing.begin("do") == "done"
        with pytest.raises(HostError, match=r"could not be undone from here, and the host undoes it itself.*cut again"):
            await healing.heal()
        assert host.asked == [":", "begin", "do", "do", "heal", "heal"]

    jump_through(go())


def test_a_lease_whose_answer_was_lost_is_not_left_beside_the_second(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "setsid").write_text('#!/bin/sh\necho 1 >"$3/pid"\n')
    (tmp_path / "bin" / "setsid").chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}

    def taken(script: str) -> str:
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, timeout=30, check=True)
        return done.stdout.decode().strip()

    async def scripts() -> list[str]:
        host = AnsweringHost(begin=[EndOfStream("cut"), FOLDER])
        healing = _healing(host)
        await healing.begin("do")
        await healing.heal()
        other = AnsweringHost()
        await _healing(other).begin("do")
        return [*host.scripts[1:3], other.scripts[1]]

    lost, second, other = jump_through(scripts())
    folders = [taken(lost), taken(second), taken(other)]
    assert sorted(map(str, tmp_path.glob(".otto-heal-*"))) == sorted(folders[1:])
    assert {Path(folder).stat().st_mode & 0o777 for folder in folders[1:]} == {0o700}


def test_a_renewal_that_fails_is_told_and_tried_again() -> None:
    async def go() -> None:
        told: list[str] = []
        lost = [EndOfStream("cut"), EndOfStream("cut")]
        host = AnsweringHost(renew=[*lost, 0, 0, 0, 0, 0, 0])
        healing = _healing(host, told.append, lease_s=15)
        await healing.begin("do")
        await asyncio.sleep(14)
        await healing.heal()
        assert host.asked.count("renew") >= 3
        assert len(told) == 1
        assert "the lease of 'nginx' paused was not renewed" in told[0]

    jump_through(go())


def test_root_is_asked_for_without_a_password_and_told_who_asks(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "sudo").write_text('#!/bin/sh\necho "$*" >>"$SAID"\nexit 1\n')
    for name in ("id", "sudo"):
        (tmp_path / name).chmod(0o755)
    said = tmp_path / "said"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(said), "SSH_CONNECTION": "10.0.0.9 1 2 3"}
    script = as_root('echo "it\'s $OTTO_CLIENT"')
    refused = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, timeout=30, check=False)
    assert (refused.returncode, refused.stdout) == (96, b"This needs root, or sudo without a password.\n")
    assert said.read_text() == "-n true\n"
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, b"it's 10.0.0.9\n")

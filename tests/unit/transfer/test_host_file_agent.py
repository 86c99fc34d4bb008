"""The agent's questions and what it takes for an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import ScriptResult
from OttoLibrary.transfer.host_file_agent import FoundFile, HostFileAgent, IdleShells, RefusedError, Reply, glob, matches


class FakeSite:
    """A host that is one line, and replies what the test says; ``scripts`` is what it was asked."""

    parallel, user = False, ""
    facts: Any = None
    connection: Any = None

    def __init__(self, *replies: dict[str, str]) -> None:
        self.scripts: list[str] = []
        self._replies = list(replies)

    async def run(self, script: str) -> ScriptResult:
        self.scripts.append(script)
        found = re.search("K=(@[0-9a-f]+)", script)
        assert found is not None
        reply = self._replies.pop(0) if self._replies else {}
        said = "".join(f"\n{found[1]}:{key}:{value}" for key, value in reply.items())
        return ScriptResult(0, f"noise{said}\n{found[1]}:.:\n".encode(), b"")

    async def execute(self, script: str) -> Any:
        raise NotImplementedError

    async def dial(self, port: int) -> Any:
        raise NotImplementedError


def asked(site: FakeSite, work: Callable[[HostFileAgent], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with HostFileAgent(site, IdleShells()) as agent:
            return await work(agent)

    return asyncio.run(main())


def test_a_file_to_read() -> None:
    site = FakeSite({"path": "/a b", "facts": "3 -5 644", "tool": "cksum"})
    assert asked(site, lambda agent: agent.look("a b", ".tmp", "cksum")) == (FoundFile("/a b", 3, -5, 0o644), "cksum")
    assert "T='a b'\n" in site.scripts[0]


def test_a_refusal_is_the_host_s_reason() -> None:
    with pytest.raises(RefusedError, match=r"^No space left on device$"):
        asked(FakeSite({"fail": "sh: 1: mkdir: No space left on device."}), lambda agent: agent.make_folder("/a"))


def test_what_was_begun_is_removed_when_the_work_fails() -> None:
    site = FakeSite({"holds": "/a/.otto-1.part", "path": "/a/b", "temporary": "/a/.otto-1.part", "present": "0"})

    async def fails(agent: HostFileAgent) -> None:
        await agent.place("/a/b", "b", ".otto-1.part", 3, parents=False, with_tools="", resume=False)
        raise RefusedError("something")

    with pytest.raises(RefusedError):
        asked(site, fails)
    assert "Z=/a/.otto-1.part\n" in site.scripts[-1]
    assert "rm -rf" in site.scripts[-1]


def test_a_step_without_an_end_is_a_broken_connection() -> None:
    class Cut(FakeSite):
        async def run(self, script: str) -> ScriptResult:
            return ScriptResult(1, b"Segmentation fault", b"")

    with pytest.raises(EndOfStream, match="Segmentation fault"):
        asked(Cut(), lambda agent: agent.make_folder("/a"))


@pytest.mark.parametrize(
    "work",
    [
        lambda agent: agent.look("/a", ".tmp", ""),
        lambda agent: agent.place("/a", "a", ".tmp", 3, parents=False, with_tools="", resume=False),
        lambda agent: agent.place_folder("/a", "a", ".tmp", parents=False, with_tools=""),
        lambda agent: agent.look_folder("/a", ""),
        lambda agent: agent.pack("/a", ".tmp", follow=False),
        lambda agent: agent.points_to("/a"),
        lambda agent: agent.checksum_of("/a", "cksum"),
        lambda agent: agent.checksums("/a", ["b"], "cksum", follow=False),
        lambda agent: agent.tree("/a", follow=False),
        lambda agent: agent.measure("/a", follow=False),
    ],
)
def test_an_empty_reply_is_not_what_was_agreed(work: Callable[[HostFileAgent], Awaitable[Any]]) -> None:
    with pytest.raises(RefusedError, match="the host's reply is not what was agreed"):
        asked(FakeSite(), work)


def test_a_listing() -> None:
    class Lists(FakeSite):
        async def run(self, script: str) -> ScriptResult:
            mark = re.findall("K=(@[0-9a-f]+)", script)[0]
            tree = f"\n{mark}-d:.\n{mark}-f:a\nb\n{mark}-l:c\n{mark}-?:d\n{mark}-"
            return ScriptResult(0, f"\n{mark}:tree:{tree}\n{mark}:.:\n".encode(), b"")

    found = asked(Lists(), lambda agent: agent.tree("/a", follow=False))
    assert found == [("folder", "."), ("file", "a\nb"), ("link", "c"), ("other", "d")]


@pytest.mark.parametrize("output", ["@1:a", "@1:a:b\0c"])
def test_a_report_of_another_form(output: str) -> None:
    with pytest.raises(RefusedError):
        Reply.read(output, "@1:")


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1" * 19, "0x1", "\u0661"])
def test_a_number_of_another_form(text: str) -> None:
    with pytest.raises(RefusedError):
        Reply({"n": text}).number("n")


MATCHING = [
    ("/a/*.log", "/a/b.log"),
    ("/a/[bc]?.log", "/a/b1.log"),
    ("/a/[^b].log", "/a/c.log"),
    ("/a/[[:digit:]].log", "/a/7.log"),
    ("*/x", "sub/x"),
    ("~/*.log", "/home/me/a.log"),
    ("/a/.b*", "/a/.bashrc"),
    ("/a/[x].log", "/a/[x].log"),
    ("~/[x]", "/root/[x]"),
    ("/../*.log", "/../a.log"),
    ("??.log", "ä.log"),
]


@pytest.mark.parametrize(("pattern", "path"), MATCHING)
def test_a_path_that_a_shell_makes_of_a_pattern(pattern: str, path: str) -> None:
    assert matches(pattern, path)


OTHERS = [
    ("/a/*.log", "/a/.b.log"),
    ("/a/*.log", "/a/b/c.log"),
    ("/a/*.log", "/b/c.log"),
    ("/a/*.log", "c.log"),
    ("*.log", "/a/c.log"),
    ("~/*.log", ".log"),
    ("~/*.log", "/home/me/.log"),
    ("/a/*", "/a/.."),
    ("/a/.*", "/a/.."),
    ("/a/*", "/a/"),
    ("/a/[!b].log", "/a/b.log"),
]


@pytest.mark.parametrize(("pattern", "path"), OTHERS)
def test_a_path_that_was_not_asked_for(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


def test_a_pattern_as_shell_text() -> None:
    assert glob("~/a b*[0-9]?;$(x)'") == "~/a' 'b*[0-9]?';''$''('x')'\\'"

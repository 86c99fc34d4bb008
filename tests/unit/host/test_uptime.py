"""What is not waited for until a host is up; waiting and rebooting are tested with hosts."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import LoginError, WaitTimeoutError
from OttoLibrary.host.uptime import wait_until_up
from tests.unit.host.hosts import make_host


def test_a_refused_login_is_not_waited_for() -> None:
    async def wait() -> None:
        refused = LoginError("box", ("box",), "the password is wrong")
        host = make_host(refused)
        with pytest.raises(LoginError, match="the password is wrong"):
            await wait_until_up(host, Deadline(3600))
        await host.close()

    asyncio.run(wait())


def test_without_time_it_says_that_nothing_was_tried() -> None:
    async def wait() -> None:
        host = make_host()
        with pytest.raises(WaitTimeoutError, match="Last try: it was not tried"):
            await wait_until_up(host, Deadline(0))

    asyncio.run(wait())

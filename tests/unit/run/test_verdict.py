"""What fails a test that is over, and what its message says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from robot import result

from OttoLibrary.errors import LimitError, OttoError
from OttoLibrary.run import verdict
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session("demo", "none", RunContext(suite_folder=tmp_path))
    yield made
    made.close()


def test_one_that_broke_nothing_passes(session: Session) -> None:
    test = result.TestCase(status="PASS", message="fine")
    verdict.conclude(session, test)
    assert (test.status, test.message) == ("PASS", "fine")


def test_everything_that_was_broken_is_in_its_message_once(session: Session) -> None:
    session.breaches.add(OttoError("the lease was lost"))
    session.breaches.add_for_end([LimitError("dut1", "cpu", "cpu was 99 %"), LimitError("dut1", "cpu", "cpu was 99 %")])
    test = result.TestCase(status="PASS", message="fine")
    verdict.conclude(session, test)
    assert (test.status, test.message) == ("FAIL", "the lease was lost\ncpu was 99 %")


def test_what_failed_anyhow_keeps_its_message(session: Session) -> None:
    session.breaches.add(OttoError("the lease was lost"))
    test = result.TestCase(status="FAIL", message="the lease was lost, said the keyword")
    session.breaches.add_failed_check("a.robot:3: x")
    verdict.conclude(session, test)
    assert test.message == "the lease was lost, said the keyword\n\n1 check failed:\n  a.robot:3: x"


def test_a_skipped_one_stays_skipped(session: Session) -> None:
    session.breaches.add_failed_check("a.robot:3: x")
    test = result.TestCase(status="SKIP", message="not today")
    verdict.conclude(session, test)
    assert (test.status, test.message) == ("SKIP", "not today\n\n1 check failed:\n  a.robot:3: x")


def test_an_html_message_stays_html(session: Session) -> None:
    session.breaches.add(OttoError("1 < 2"))
    test = result.TestCase(status="FAIL", message="*HTML* <b>no</b>")
    verdict.conclude(session, test)
    assert test.message == "*HTML* <b>no</b>\n\n1 &lt; 2"


@pytest.mark.parametrize("judge", [verdict.conclude, lambda session, test: verdict.refuse(test)])
def test_a_limit_that_nobody_watched_did_not_hold(session: Session, judge: Callable[[Session, Any], None]) -> None:
    test = result.TestCase(status="PASS", tags=["otto:limit=dut1 cpu max < 90"])
    judge(session, test)
    assert test.status == "FAIL"
    assert test.message == "The tag 'otto:limit=dut1 cpu max < 90' states a limit, and no monitor is running."


def test_a_fixture_fails_for_its_checks_alone(session: Session) -> None:
    session.breaches.add(OttoError("the lease was lost"))
    session.breaches.add_failed_check("a.robot:3: x")
    setup = result.Keyword(status="PASS")
    verdict.conclude_fixture(session, setup)
    assert (setup.status, setup.message) == ("FAIL", "1 check failed:\n  a.robot:3: x")
    assert [str(error) for error in session.breaches.take()] == ["the lease was lost"]


def test_a_keyword_fails_at_once_for_what_is_urgent(session: Session) -> None:
    passed, failed = result.Keyword(status="PASS"), result.Keyword(status="FAIL", message="its own")
    verdict.fail_at_once(session, passed)
    assert passed.status == "PASS"
    session.breaches.add(OttoError("too hot"))
    verdict.fail_at_once(session, passed)
    verdict.fail_at_once(session, failed)
    assert (passed.status, passed.message, failed.message) == ("FAIL", "too hot", "its own")

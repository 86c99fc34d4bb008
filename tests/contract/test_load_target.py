"""A real server under a real load: it has known times, then it stalls, errs and dies, and each of that is in the results."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from OttoLibrary.load.hq_process import LoadOrder, TurretOrder
from OttoLibrary.load.load_limits import measured
from OttoLibrary.load.plan import shape
from OttoLibrary.load.result_store import FILE, ResultReader
from OttoLibrary.load.turret.batches import RESPONSE, SERVICE
from tests.peers.hqs import start_hq
from tests.peers.target import target

_PATIENCE_S = 90.0
_STALL_S = 5.0
# A busy machine answers later than it says.
_SLACK_S = 0.25
_USER = """
import urllib.error
import urllib.request

def ask(url):
    try:
        urllib.request.urlopen(url + "/work", timeout=20).read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"HTTP status {error.code}") from None
"""


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[round(percent / 100 * (len(values) - 1))]


def test_what_a_server_does_under_load_is_in_the_results(tmp_path: Path) -> None:
    """One run for all of it, since a stall of five seconds and a window of ten take their time."""
    (tmp_path / "user.py").write_text(_USER)
    with target(tmp_path) as server:
        made = shape(rate="50/s", users=40, duration=120)
        script = {"script": str(tmp_path / "user.py"), "function": "ask", "arguments": [server.url]}
        plan = {
            "duration_s": made.duration_s,
            "firing": made.firing,
            "script": script,
            "grace_s": 10.0,
            "limits": ["error_rate<5% window=10s"],
        }
        process = start_hq(LoadOrder(str(tmp_path / "results"), plan, [TurretOrder({"name": "t"})]))
        try:
            assert process.stdout is not None
            results, end = None, time.monotonic() + _PATIENCE_S

            def answered(count: int) -> None:
                while len(server.answers()) < count:
                    assert time.monotonic() < end, server.answers()
                    time.sleep(0.05)

            answered(150)
            calm, calm_until = server.answers(), time.time()
            server.tell(f"/stall?{_STALL_S:g}")
            answered(150 + 50 * 6)
            server.tell("/err")
            began_to_fail = time.monotonic()
            while sum(status == 500 for status, _ in server.answers()) < 10:
                assert time.monotonic() < end
                time.sleep(0.05)
            server.tell("/die")
            stands: dict[str, object] = {}
            while stands.get("state") != "over":
                assert time.monotonic() < end, stands
                stands = json.loads(process.stdout.readline())
            aborted_s = time.monotonic() - began_to_fail
        finally:
            process.kill()
            process.communicate()
    results = ResultReader(tmp_path / "results" / FILE)
    seconds = results.seconds()

    # Known times: what a user sees is what the server took, and the way there and back.
    before = [second for second in seconds if second.at + 1 < calm_until]
    for percent in (50, 95):
        theirs = percentile([took_s for _, took_s in calm], percent)
        assert theirs * 0.9 <= measured(SERVICE, f"p{percent}", before) <= theirs + _SLACK_S

    # The stall: who was to start in it waited, also those for whom no user was free.
    stalled = [second for second in seconds if calm_until - 1 <= second.at <= calm_until + _STALL_S + 3]
    assert measured(RESPONSE, "p99", stalled) >= 0.9 * _STALL_S
    assert measured(RESPONSE, "p50", before) < 1.0

    # Errors, and the end of the server.
    failed = {error.type: error for error in results.errors()}
    assert "HTTP status 500" in failed["RuntimeError"].message
    assert failed["URLError"].count > failed["RuntimeError"].count
    assert "Connection refused" in failed["URLError"].message
    assert sum(error.count for error in failed.values()) == sum(second.failed for second in seconds)

    # The limit ended the run, a window and a second after the first error; a busy machine may add to that.
    assert results.run()["state"] == "aborted"
    assert "error_rate<5% window=10s was broken" in results.run()["reason"]
    assert 8 <= aborted_s < 20
    (turret,) = results.turrets()
    assert turret.planned == turret.done + (turret.dropped or 0)
    assert turret.done == turret.stored == pytest.approx(sum(second.count for second in seconds))

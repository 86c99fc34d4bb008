"""What users do: scripts of OCT as they are, functions, and async ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from OttoLibrary.load.turret.cannons import Cannon, RunClock
from OttoLibrary.load.turret.counters import Counters
from OttoLibrary.load.turret.firing import FiringPlan
from OttoLibrary.load.turret.transactions import ScriptError, load_maker

OCT_SCRIPT = """
from oct_turrets.base import BaseTransaction
from oct_turrets.tools import CustomTimer

class Transaction(BaseTransaction):
    def __init__(self, config, context=None):
        super(Transaction, self).__init__(config, context)
        self.number = 0
        self.failing = config.get('failing')

    def setup(self):
        self.number += 1
        if self.failing == 'setup' and self.number == 2:
            raise RuntimeError('no login')

    def run(self):
        if self.number == 1:
            with CustomTimer(self, 'first'):
                pass
        if self.failing == 'run' and self.number == 2:
            raise ValueError()
        if self.failing == 'exit' and self.number == 2:
            raise SystemExit(3)

    def tear_down(self):
        if self.failing == 'tear_down' and self.number == 2:
            raise OSError('no logout')
"""


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("oct_turrets")]:
        monkeypatch.delitem(sys.modules, name)


def fired(folder: Path, what: dict[str, object], config: dict[str, object], times: int = 4) -> list[dict[str, object]]:
    """Return what became of some iterations of one user."""
    plan = FiringPlan(stages=((0, 1), (60, 1)), iterations=times)
    found = []
    maker = load_maker(what, folder, config, {"given": 1})
    cannon = Cannon(0, maker, plan, RunClock(0.0), Counters(1).slot(0), lambda note: found.append(note._asdict()))
    cannon.run()
    return found


def script(tmp_path: Path, text: str) -> dict[str, object]:
    (tmp_path / "v_user.py").write_text(text)
    return {"script": "v_user.py"}


def test_a_script_of_oct_runs_unchanged_and_its_timers_are_of_one_iteration(tmp_path: Path) -> None:
    found = fired(tmp_path, script(tmp_path, OCT_SCRIPT), {})
    assert [note["failure"] for note in found] == [None] * 4
    assert [list(note["timers"] or ()) for note in found] == [["first"], [], [], []]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("failing", "failure"),
    [
        ("setup", ("RuntimeError", "setup: no login")),
        ("run", ("ValueError", "ValueError")),
        ("exit", ("SystemExit", "3")),
        ("tear_down", ("OSError", "tear_down: no logout")),
    ],
)
def test_a_failure_of_any_step_is_one_failed_iteration_and_the_user_lives(
    tmp_path: Path, failing: str, failure: tuple[str, str]
) -> None:
    found = fired(tmp_path, script(tmp_path, OCT_SCRIPT), {"failing": failing})
    assert [note["failure"] for note in found] == [None, failure, None, None]


def test_a_class_may_take_one_argument_and_have_run_alone(tmp_path: Path) -> None:
    text = "class Transaction:\n    def __init__(self, config):\n        assert config['a']\n    def run(self):\n        pass\n"
    assert [note["failure"] for note in fired(tmp_path, script(tmp_path, text), {"a": 1})] == [None] * 4


def test_functions_take_arguments_and_may_be_async(tmp_path: Path) -> None:
    what = script(
        tmp_path,
        "import asyncio\nasync def buy(what, count=1):\n    await asyncio.sleep(0)\n    assert (what, count) == ('b', 2)\n",
    )
    found = fired(tmp_path, {**what, "function": "buy", "arguments": ["b"], "named": {"count": 2}}, {})
    assert [note["failure"] for note in found] == [None] * 4


def test_an_async_class_runs(tmp_path: Path) -> None:
    text = "import asyncio\nclass Transaction:\n    async def run(self):\n        raise KeyError('k')\n"
    found = fired(tmp_path, script(tmp_path, text), {})
    assert [note["failure"] for note in found] == [("KeyError", "'k'")] * 4


@pytest.mark.parametrize(
    ("text", "what", "said"),
    [
        ("raise RuntimeError('broken')", {"script": "v_user.py"}, "cannot be loaded: RuntimeError: broken"),
        ("a = 1", {"script": "v_user.py"}, "has no 'Transaction'"),
        ("a = 1", {"script": "other.py"}, "There is no script"),
        ("a = 1", {"module": "no_such_module_here"}, "cannot be imported"),
    ],
)
def test_what_cannot_be_loaded_is_said_at_once(tmp_path: Path, text: str, what: dict[str, object], said: str) -> None:
    script(tmp_path, text)
    with pytest.raises(ScriptError, match=said):
        load_maker(what, tmp_path, {}, {})

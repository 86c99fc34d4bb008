"""OttoLibrary: a Robot Framework library for deploying to, testing and watching lab hosts.

What it offers is loaded when it is asked for, so that all below Robot Framework is usable, and starts, without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from OttoLibrary.version import VERSION

if TYPE_CHECKING:
    from OttoLibrary.dashboard.live_page import Metrics
    from OttoLibrary.instructions.instructions import Hosts, instruction
    from OttoLibrary.library import OttoLibrary
    from OttoLibrary.run.deploy_listener import Deploy
    from OttoLibrary.run.evidence_listener import Evidence
    from OttoLibrary.run.modifiers import EachHost
    from OttoLibrary.run.repeat import Repeat
    from OttoLibrary.run.scenario_tests import Scenarios
    from OttoLibrary.scenario.functions import scenario_event
    from OttoLibrary.scenario.reporter import register_reporter
    from OttoLibrary.testbed.device import Device
    from OttoLibrary.testbed.hooks import hookimpl

__version__ = VERSION
_MODULES = {
    "Deploy": "OttoLibrary.run.deploy_listener",
    "Device": "OttoLibrary.testbed.device",
    "EachHost": "OttoLibrary.run.modifiers",
    "Evidence": "OttoLibrary.run.evidence_listener",
    "Hosts": "OttoLibrary.instructions.instructions",
    "Metrics": "OttoLibrary.dashboard.live_page",
    "OttoLibrary": "OttoLibrary.library",
    "Repeat": "OttoLibrary.run.repeat",
    "hookimpl": "OttoLibrary.testbed.hooks",
    "Scenarios": "OttoLibrary.run.scenario_tests",
    "instruction": "OttoLibrary.instructions.instructions",
    "register_reporter": "OttoLibrary.scenario.reporter",
    "scenario_event": "OttoLibrary.scenario.functions",
}
__all__ = [
    "Deploy",
    "Device",
    "EachHost",
    "Evidence",
    "Hosts",
    "Metrics",
    "OttoLibrary",
    "Repeat",
    "Scenarios",
    "__version__",
    "hookimpl",
    "instruction",
    "register_reporter",
    "scenario_event",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'OttoLibrary' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)

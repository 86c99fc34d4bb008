"""OttoLibrary: a Robot Framework library for deploying to, testing and watching lab hosts.

What it offers is loaded when it is asked for, so that all below Robot Framework is usable, and starts, without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from OttoLibrary.version import VERSION

if TYPE_CHECKING:
    from OttoLibrary.evidencelistener import Evidence
    from OttoLibrary.instructions import Hosts, instruction
    from OttoLibrary.library import OttoLibrary
    from OttoLibrary.modifiers import EachHost
    from OttoLibrary.repeat import Repeat
    from OttoLibrary.watcher import Metrics

__version__ = VERSION
_MODULES = {
    "EachHost": "OttoLibrary.modifiers",
    "Evidence": "OttoLibrary.evidencelistener",
    "Hosts": "OttoLibrary.instructions",
    "Metrics": "OttoLibrary.watcher",
    "OttoLibrary": "OttoLibrary.library",
    "Repeat": "OttoLibrary.repeat",
    "instruction": "OttoLibrary.instructions",
}
__all__ = ["EachHost", "Evidence", "Hosts", "Metrics", "OttoLibrary", "Repeat", "__version__", "instruction"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'OttoLibrary' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)

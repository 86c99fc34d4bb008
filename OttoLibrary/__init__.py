"""OttoLibrary: a Robot Framework library for deploying to, testing and watching lab hosts.

The class of the same name, and the listener ``Metrics``, are loaded when they are asked for, so that all below them is
usable, and starts, without Robot Framework.
"""

from typing import Any

from OttoLibrary.version import VERSION

__version__ = VERSION
__all__ = ["EachHost", "Metrics", "OttoLibrary", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "OttoLibrary":
        from OttoLibrary.library import OttoLibrary

        return OttoLibrary
    if name == "Metrics":
        from OttoLibrary.watcher import Metrics

        return Metrics
    if name == "EachHost":
        from OttoLibrary.modifiers import EachHost

        return EachHost
    raise AttributeError(f"module 'OttoLibrary' has no attribute '{name}'")

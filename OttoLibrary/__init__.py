"""OttoLibrary: a Robot Framework library for deploying to, testing and watching lab hosts.

The class of the same name is loaded when it is asked for, so that all below it is usable, and starts, without Robot Framework.
"""

from typing import Any

from OttoLibrary.version import VERSION

__version__ = VERSION
__all__ = ["OttoLibrary", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "OttoLibrary":
        from OttoLibrary.library import OttoLibrary

        return OttoLibrary
    raise AttributeError(f"module 'OttoLibrary' has no attribute '{name}'")

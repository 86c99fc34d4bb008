"""A lab source that keeps its labs in memory: all that a source needs.

A module that the settings name under ``init`` registers it::

    from OttoLibrary.registry import register_lab_repository

    register_lab_repository("memory", MemoryLabs)

Then ``--variable LAB:memory:east`` uses it, and ``--variable LAB:east`` when ``backend`` in the table ``[lab]`` is ``memory``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_LABS: dict[str, Any] = {
    "east": {
        "description": "Two hosts behind a gateway.",
        "hosts": {
            "gateway": {"address": "203.0.113.7", "user": "tester", "tags": ["gateway"]},
            "dut1": {"address": "10.0.0.11", "user": "tester", "hop": "gateway", "tags": ["dut"], "resources": ["rack-1"]},
            "dut2": {"address": "10.0.0.12", "user": "tester", "hop": "gateway", "tags": ["dut"], "resources": ["rack-2"]},
        },
    },
    "west": {
        "description": "One host with a Telnet console.",
        "hosts": {"board": {"address": "198.51.100.4", "transport": "telnet", "user": "tester", "resources": ["bench"]}},
    },
}


class MemoryLabs:
    """Two labs, ``east`` and ``west``.

    >>> labs = MemoryLabs()
    >>> labs.list_labs()
    ['east', 'west']
    >>> list(labs.load_lab("east")["hosts"])
    ['gateway', 'dut1', 'dut2']

    An unknown name is a ``LookupError``; the library lists the known names.

    >>> labs.load_lab("north")
    Traceback (most recent call last):
    LookupError: north

    The caller gets a copy.

    >>> labs.load_lab("west")["hosts"].clear()
    >>> list(labs.load_lab("west")["hosts"])
    ['board']
    """

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a lab; ``preferences`` can set the user of its hosts.

        >>> MemoryLabs().load_lab("west", {"user": "alice"})["hosts"]["board"]["user"]
        'alice'
        """
        if name not in _LABS:
            raise LookupError(name)
        lab: dict[str, Any] = copy.deepcopy(_LABS[name])
        for host in lab["hosts"].values():
            host["user"] = (preferences or {}).get("user", host["user"])
        return lab

    def list_labs(self) -> list[str]:
        """Return the names of its labs."""
        return sorted(_LABS)

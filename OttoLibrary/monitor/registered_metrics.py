"""Metrics by name: those of the registry, and those that a lab defines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from OttoLibrary import registry
from OttoLibrary.contracts.facts import OwnMetric
from OttoLibrary.contracts.metrics import Metric
from OttoLibrary.errors import PluginError, UnknownNameError, UsageError
from OttoLibrary.monitor import own_metrics

DEFAULT_METRICS = ("cpu", "memory", "disk", "network", "load")


def make_metrics(names: Sequence[str], owned: Mapping[str, OwnMetric]) -> dict[str, Metric]:
    """Return metrics by name, such as ``cpu`` or ``process:nginx``; raise UnknownNameError, PluginError or UsageError.

    Args:
        names: Which; none means the usual ones and all that the lab defines.
        owned: Those of the lab.
    """
    return {
        name: own_metrics.from_lab(name, owned[name]) if name in owned else _registered(name, owned)
        for name in names or (*DEFAULT_METRICS, *owned)
    }


def _registered(name: str, owned: Mapping[str, OwnMetric]) -> Metric:
    kind, _, argument = name.partition(":")
    try:
        made = registry.load("metric", kind, *([argument] if argument else []))
    except TypeError as error:
        form = f"'{kind}:NAME'" if not argument else f"'{kind}'"
        raise UsageError(f"Metric '{name}' is not written like this. Write {form}.") from error
    except UnknownNameError as error:
        raise UnknownNameError("metric", name, sorted({*registry.names("metric"), *owned})) from error
    if not isinstance(made, Metric):
        raise PluginError(f"Metric '{kind}' ({type(made).__qualname__}) is not a subclass of contracts.metrics.Metric.")
    return made

"""Metrics by name: those of the registry, and those that a lab defines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from OttoLibrary import registry
from OttoLibrary.contracts.facts import OwnMetric
from OttoLibrary.contracts.metrics import Metric
from OttoLibrary.errors import PluginError, UnknownNameError, UsageError, did_you_mean
from OttoLibrary.monitor import own_metrics
from OttoLibrary.units import quantity, unit_of

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


def check_limit(metric: str, value: str, owned: Collection[str]) -> None:
    """Look at a limit before anything is read.

    Args:
        metric: A metric or series. One that is like no known name may be a series that a test records.
        value: What its readings are to be compared with.
        owned: The metrics that the lab defines for the host.

    Raises:
        UnknownNameError: It is probably a metric with a typing mistake.
        UsageError: The metric is not written like this.
        ValueFormatError: The unit of the value is not that of the metric.
    """
    base = metric.partition("[")[0]
    kind, known = base.partition(":")[0], sorted({*registry.names("metric"), *owned})
    if kind in owned:
        return
    if kind in known:
        unit = unit_of(_registered(base, {}).main)
        if unit:  # a metric of a plug-in may not know its series before the first reading
            quantity(value, unit)
    elif not any(base.startswith(f"{name}_") for name in known) and did_you_mean(base, known):
        raise UnknownNameError("metric", base, known)


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

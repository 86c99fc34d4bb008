"""What a test needs of the environment: Vitro's matching rules, against the merged devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from OttoLibrary.errors import UsageError, did_you_mean
from OttoLibrary.lab.environment import Environment, without_secrets

_WHOLE = "environment_def"
_WORDS = {
    "contains_exact": lambda wanted, text: wanted in text,
    "not_contains_exact": lambda wanted, text: wanted not in text,
    "contains_regex": lambda wanted, text: re.search(wanted, text) is not None,
    "not_contains_regex": lambda wanted, text: re.search(wanted, text) is None,
}


def mismatch(environment: Environment, requirement: Mapping[str, Any]) -> str:
    """Return why the environment is not what a test needs, empty when it is.

    Args:
        environment: The merged devices.
        requirement: What is needed: device -> what its data must hold; also below ``environment_def``, as in the file.

    Raises:
        UsageError: The requirement cannot be understood.
    """
    wanted = requirement.get(_WHOLE, requirement) if set(requirement) == {_WHOLE} else requirement
    devices = {device.name: device.config for device in environment.devices}
    for name, request in wanted.items():
        if not matches(request, devices.get(name), name in devices):
            there = without_secrets(devices[name]) if name in devices else "no such device"
            meant = _meant(name, request, devices)
            return f"device '{name}' is needed with {request!r}, and there is {_short(there)}{meant}"
    return ""


def _meant(name: str, request: object, devices: Mapping[str, Any]) -> str:
    """Return `` (Did you mean 'model'?)`` for the first name of a device or key that is not there and is near one that is."""
    if name not in devices:
        near = did_you_mean(name, devices).strip()
        return f" ({near})" if near else ""
    found = devices[name]
    if not isinstance(request, Mapping) or not isinstance(found, Mapping):
        return ""
    return next((text for key, value in request.items() if value is not None and (text := _meant(key, value, found))), "")


def matches(request: object, found: object, is_there: bool = True) -> bool:
    """Return True when what is found is what is requested; None requests nothing, not even that it is there."""
    if request is None:
        return True
    if not is_there:
        return False
    if isinstance(request, Mapping):
        if isinstance(found, list):
            return any(matches(request, item) for item in found)
        if not isinstance(found, Mapping):
            return False
        return all(matches(value, found.get(key), key in found) for key, value in request.items())
    if isinstance(request, list):
        return _list_matches(request, found)
    if isinstance(found, list):
        return any(matches(request, item) for item in found)
    return type(request) is type(found) and request == found if isinstance(request, bool) else request == found


def _list_matches(request: list[Any], found: object) -> bool:
    if isinstance(found, str) and request and all(isinstance(one, Mapping) and len(one) == 1 for one in request):
        return all(_word_holds(word, wanted, found) for one in request for word, wanted in one.items())
    if isinstance(found, list):
        return all(any(matches(one, item) for item in found) for one in request)
    return any(matches(one, found) for one in request)


def _word_holds(word: str, wanted: object, text: str) -> bool:
    if word not in _WORDS or not isinstance(wanted, str):
        raise UsageError(f"'{word}: {wanted!r}' cannot be compared with text. Use one of {', '.join(_WORDS)} and text.")
    try:
        return _WORDS[word](wanted, text)
    except re.error as error:
        raise UsageError(f"{wanted!r} is not a regular expression: {error}.") from error


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}..."

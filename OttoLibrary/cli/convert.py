"""The command ``convert``: a lab file from the file of another tool."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from OttoLibrary.errors import LabError, OttoError, UsageError
from OttoLibrary.lab.foreign import ansible, ansible_ini, labgrid, netbox, openssh, otto_array, pyats
from OttoLibrary.lab.foreign.conversion import Conversion
from OttoLibrary.lab.plain_file import read_plain_file
from OttoLibrary.text import printable

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_LARGEST_BYTES = 8 << 20
_FORMATS = ("otto", "labgrid", "pyats", "ansible", "netbox", "openssh")
_YAML_START = re.compile(r"^(?:---|[\"']?[\w.-]+[\"']?:(?:\s|$))")


def add_commands(commands: Commands) -> None:
    """Add the command to the parser."""
    convert = commands.add_parser(
        "convert",
        help="print a lab file made from the file of otto, labgrid, pyATS, Ansible, NetBox or OpenSSH",
        description="Prints a lab file on standard output, and on standard error, line by line, what it could not carry over. "
        "Passwords become references to environment variables.",
    )
    convert.add_argument(
        "file", help="hosts.json, an environment, a testbed, an inventory, an export in JSON, or a configuration of ssh"
    )
    convert.add_argument("--from", dest="format", choices=_FORMATS, help="whose file it is (default: what it looks like)")
    convert.add_argument("--name", help="name of the lab (default: what the file says, or its name)")
    convert.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> int:
    file = Path(options.file).expanduser()
    conversion = Conversion(options.name or _name_of(file))
    try:
        _read(file, options.format or "", conversion)
        conversion.name = options.name or conversion.name
        if not conversion.hosts:
            raise LabError(["No host could be carried over."])
        content = conversion.finished()
    except OttoError as error:
        _print_notes(file, conversion)
        raise UsageError(f"{file} is not converted: {error}") from error
    _print_notes(file, conversion)
    print(json.dumps(content, indent=2, ensure_ascii=False))
    return 0


def _name_of(file: Path) -> str:
    """Return the name of a lab from a file: of its folder, where every file has the same name."""
    generic = {"hosts", "inventory", "environment", "env", "testbed", "config", "local", "remote", "devices"}
    return file.stem if file.stem not in generic else file.absolute().parent.name.lstrip(".") or file.stem


def _print_notes(file: Path, conversion: Conversion) -> None:
    for line in conversion.notes():
        print(f"{printable(str(file))}: {line}", file=sys.stderr)


def _read(file: Path, wanted: str, conversion: Conversion) -> None:
    """Add what the file holds; raise LabError when it is nobody's."""
    try:
        text = read_plain_file(file, _LARGEST_BYTES).decode("utf-8")
    except OSError as error:
        raise LabError([f"it cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError:
        raise LabError(["it is not UTF-8 text."]) from None
    if wanted == "openssh" or (not wanted and openssh.is_configuration(text)):
        openssh.convert(text, file, conversion)
        return
    content = _data(text, file)
    if content is None and (wanted == "ansible" or (not wanted and ansible_ini.is_inventory(text))):
        ansible_ini.convert(text, conversion)
        _note_neighbours(file, conversion)
        return
    _read_data(content, wanted, file, conversion)


def _data(text: str, file: Path) -> Any:
    """Return the content of JSON or YAML; None for other text."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if file.suffix == ".json":
                raise LabError([f"it is no JSON: {error}."]) from None
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    if file.suffix.lower() not in {".yml", ".yaml"} and not _YAML_START.match(next(lines, "")):
        return None
    from OttoLibrary.cli.yaml_file import parse

    return parse(text)


def _read_data(content: Any, wanted: str, file: Path, conversion: Conversion) -> None:
    devices = netbox.devices_in(content)
    looks = {
        "otto": otto_array.is_array(content),
        "netbox": devices is not None,
        "labgrid": isinstance(content, dict) and isinstance(content.get("targets"), dict),
        "pyats": isinstance(content, dict) and isinstance(content.get("devices"), dict),
        "ansible": _is_inventory(content) if wanted else _is_surely_inventory(content),
    }
    found = wanted or next((name for name, is_it in looks.items() if is_it), "")
    if not looks.get(found):
        known = "a file of otto, labgrid, pyATS, Ansible, NetBox or OpenSSH"
        what_to_do = "" if wanted else " If it is one, say whose with --from."
        raise LabError([f"it does not look like {wanted or known}.{what_to_do}"])
    match found:
        case "otto":
            otto_array.convert(content, file, conversion)
        case "netbox":
            netbox.convert(devices or [], content, conversion)
        case "labgrid":
            labgrid.convert(content, conversion)
        case "pyats":
            pyats.convert(content, conversion)
        case _:
            ansible.convert(content, conversion)
            _note_neighbours(file, conversion)


def _is_inventory(content: Any) -> bool:
    if not isinstance(content, dict) or not content:
        return False
    keys = {"hosts", "children", "vars", "hostvars"}
    groups = [group for group in content.values() if group is not None]
    return bool(groups) and all(
        isinstance(group, list) or (isinstance(group, dict) and (not group or keys & group.keys())) for group in groups
    )


def _is_surely_inventory(content: Any) -> bool:
    """Return True for groups of which one says what it has: lists alone may be variables, as in Ansible's group_vars."""
    if not _is_inventory(content):
        return False
    return "_meta" in content or any(isinstance(group, dict) and group for group in content.values())


def _note_neighbours(file: Path, conversion: Conversion) -> None:
    for name in ("group_vars", "host_vars"):
        if (file.absolute().parent / name).is_dir():
            conversion.note(
                "", f"the folder {name} beside it is not read; 'ansible-inventory --list -i {file}' prints an inventory with it"
            )

"""Keywords about the lab itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

from robot.api.deco import keyword
from robot.api.types import Secret as RobotSecret

from OttoLibrary.keywords.component import Component, dotted
from OttoLibrary.text import Secret


class LabKeywords(Component):
    """Load, look at and choose from the lab."""

    @keyword(tags=["Lab"])
    def load_lab(self, lab: str) -> list[str]:
        """Loads another lab in place of the present one.

        Args:
            lab: A name, a path, or `SOURCE:NAME` such as `ssh_config:~/.ssh/config`; or several joined by commas.

        Returns:
            The names of its hosts.

        Raises:
            LabError: Labs cannot be loaded or have mistakes; the message lists all of them.

        Hosts of the old lab are closed.

        ```robotframework
        ${hosts}=    Load Lab    demo
        Should Contain    ${hosts}    gateway
        ```
        """
        self.session.load_lab(lab)
        return self.session.lab.loaded.names()

    @keyword(tags=["Lab", "Getter"])
    def get_host(self, host: str) -> dict[str, Any]:
        """Returns what the lab says about a host.

        Args:
            host: Name of the host.

        Returns:
            A dictionary of all host keys, and `path`, the hosts on the way to it; secrets are `Secret` values.

        Raises:
            LabError: A reference such as `${env:NAME}` has no value.

        ```robotframework
        ${facts}=    Get Host    dut1
        Should Be Equal    ${facts.hop}    gateway
        ```
        """
        facts = self.session.lab.facts(host)
        plain = _plain(facts)
        return dotted({"path": list(self.session.hosts.use(host).path)} | plain)

    @keyword(tags=["Lab", "Getter"])
    def get_hosts(self, *selection: str, allow_empty: bool = False) -> list[str]:
        """Returns the names of hosts, in the order of the lab.

        Args:
            selection: Names, globs, `tag:x` or `lab:x`, joined with `AND`, `OR` and `NOT`; several arguments are joined with OR.
                Without any, all hosts.
            allow_empty: Return an empty list when no host is selected.

        Raises:
            UsageError: No host is selected; a loop over none would test nothing.
            UnknownNameError: A plain name that no host has.

        ```robotframework
        ${duts}=    Get Hosts    tag:dut NOT dut3
        Should Be Equal    ${duts}    ${{['dut1', 'dut2']}}
        ```
        """
        if not selection:
            return self.session.lab.loaded.names()
        if allow_empty:
            return self.session.lab.loaded.select(*selection)
        return self.session.lab.select(*selection)

    @keyword(tags=["Lab"])
    def log_lab(self) -> None:
        """Logs a table of the hosts and a picture of the hops between them.

        ```robotframework
        Log Lab
        ```
        """
        from OttoLibrary.report.blocks import table, topology

        lab = self.session.lab.loaded
        rows = []
        for name in lab.names():
            entry = lab.entry(name)
            way = " ← ".join(reversed(lab.path(name)[:-1]))
            cells = (name, entry.transport, entry.address, way, ", ".join(entry.tags), ", ".join(entry.labs))
            rows.append([escape(str(cell)) for cell in cells])
        titles = ("host", "transport", "address", "through", "tags", "labs")
        self.log_html(
            f"<b>{escape(lab.name)}</b> {escape(lab.description)}"
            f"{table(titles, rows)}{topology([lab.path(name) for name in lab.names()])}"
        )


def _plain(value: Any) -> Any:
    """Return a value of a host's facts as plain data, secrets as Robot Framework's."""
    if isinstance(value, Secret):
        return RobotSecret(value.value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value

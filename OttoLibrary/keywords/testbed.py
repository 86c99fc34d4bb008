"""Keywords about the devices of a testbed."""

from __future__ import annotations

from html import escape

from robot.api.deco import keyword

from OttoLibrary.errors import UsageError
from OttoLibrary.keywords.component import Component
from OttoLibrary.lab.environment import Environment


class TestbedKeywords(Component):
    """Look at the environment, deploy its devices, and use them."""

    __test__ = False  # no class of tests, whatever its name looks like to pytest

    @keyword(tags=["Testbed"])
    def log_environment(self) -> None:
        """Logs the merged devices of the environment, and which file says what.

        Raises:
            UsageError: The lab is no environment.

        Each value is shown with the file that it comes from and the value of the inventory that it replaces.

        ```robotframework
        Create File    environment.json    {"environment_def": {"box": {"software": "2.0"}}}
        Create File    inventory.json    {"bench-1": {"devices": [{"name": "box", "type": "local", "transport": "local"}]}}
        Load Lab    demo,environment:environment.json,inventory.json,bench-1
        Log Environment
        ```
        """
        from OttoLibrary.report.blocks import table

        for environment in self._environments():
            rows = [
                tuple(escape(cell) for cell in (device.name, *row))
                for device in environment.devices
                for row in device.origin_texts()
            ]
            title = f"<b>{escape(environment.board)}</b> {escape(' + '.join(environment.sources))}"
            self.log_html(title + table(("device", "key", "value", "from", "replaces"), rows))

    def _environments(self) -> list[Environment]:
        from OttoLibrary.lab.source import environment_of, split

        _ = self.session.lab.loaded
        suite = self.session.suite
        found = [environment_of(reference, suite.folder, suite.settings) for reference in split(self.session.lab.references)]
        environments = [environment for environment in found if environment is not None]
        if not environments:
            raise UsageError(
                "The lab is no environment. Name one on the import of the library: "
                "lab=environment:environment.json,inventory.json,BOARD."
            )
        return environments

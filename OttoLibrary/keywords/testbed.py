"""Keywords about the devices of a testbed."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from robot.api import SkipExecution, logger
from robot.api.deco import keyword

from OttoLibrary.errors import DeployError, OttoError, UsageError
from OttoLibrary.keywords.component import Component
from OttoLibrary.run.bench import (
    END_S,
    LEASE_S,
    NOT_ENDED,
    Bench,
    BenchOptions,
    bench_of,
    default_options,
    deployed,
    environment_reference,
)
from OttoLibrary.run.needed_environment import requirement_of, unmet
from OttoLibrary.run.testbed_log import bench_html, step_line
from OttoLibrary.text import printable

if TYPE_CHECKING:
    from OttoLibrary.lab.environment import Environment
    from OttoLibrary.testbed.device import Device


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

    @keyword(tags=["Testbed"])
    def deploy_devices(
        self,
        *,
        skip_boot: bool = False,
        on_failure: Literal["fail", "skip"] = "fail",
        wait: timedelta = timedelta(0),
        lease: timedelta = timedelta(seconds=LEASE_S),
        purpose: str = "testbed",
        skip_contingency_checks: bool = False,
    ) -> list[str]:
        """Reserves and brings up the devices of the environment, until the suite ends.

        Args:
            skip_boot: Use the devices as they are: only their hook `skip_boot` is called.
            on_failure: `fail` the suite when devices do not come up, or `skip` it.
            wait: How long to wait for hosts that others have reserved; by default not at all.
            lease: How long they stay reserved when this process hangs; while it runs, it renews them.
            purpose: What for; others see it.
            skip_contingency_checks: Run none before tests with requirements.

        Returns:
            The names of the devices.

        Raises:
            LabError: The files have mistakes; all of them are in the message, and nothing was reserved.
            DeployError: Devices did not come up; each failure is in the message. All were shut down and released.
            NotFreeError: Somebody else has reserved a host.

        Phases follow each other: validate, boot and configure of the servers, of the devices, of what is attached. All devices of
        a phase run at once; one with `depends_on` is booted as soon as those are up. Devices are shut down, and then released,
        when the suite or test ends that deployed them, however that ends; a shutdown that fails is a failure of the teardown of
        the suite, or of the test. What the listener `OttoLibrary.Deploy` has
        deployed is used as it is.

        ```robotframework
        Create File    environment.json    {"environment_def": {}}
        Create File    inventory.json    {"bench-1": {"devices": [{"name": "box", "type": "local", "transport": "local"}]}}
        Load Lab    demo,environment:environment.json,inventory.json,bench-1
        Deploy Devices
        ${box}=    Get Device    box
        Run On Host    ${box.name}    true
        ```
        """
        reference = environment_reference(self.session)
        present = deployed(reference)
        if present is not None:
            return list(present.devices)
        options = BenchOptions(
            skip_boot,
            wait.total_seconds(),
            lease.total_seconds(),
            purpose,
            skip_contingency_checks,
            given=default_options(),
        )
        bench = Bench(self.session, reference, options, lambda step: self.session.tell(step_line(step)))
        try:
            bench.deploy(self.session.breaches.call)
            self.session.scopes.on_end(self._ender(bench), END_S, is_judged=True)
        except (DeployError, OttoError) as error:
            if on_failure == "skip":
                raise SkipExecution(printable(self.session.masker.mask(str(error)))) from error
            raise
        finally:
            self._show(bench)
        return list(bench.devices)

    @keyword(tags=["Testbed"])
    def release_devices(self) -> None:
        """Shuts down the devices and releases their hosts, before the suite does.

        Raises:
            DeployError: The shutdown of devices failed; each was tried, and their hosts are released.

        ```robotframework
        Create File    environment.json    {"environment_def": {}}
        Create File    inventory.json    {"bench-1": {"devices": [{"name": "box", "type": "local", "transport": "local"}]}}
        Load Lab    demo,environment:environment.json,inventory.json,bench-1
        Deploy Devices
        Release Devices
        ```
        """
        bench = bench_of(self.session)
        failed = bench.session.engine.call(bench.end())
        self._show(bench)
        if failed:
            bench.session.journal.take_warnings()
            raise DeployError(bench.board, failed, NOT_ENDED)

    @keyword(tags=["Testbed", "Getter"])
    def get_device(self, name: str = "", *, type: str = "") -> Any:
        """Returns a deployed device.

        Args:
            name: Its name.
            type: Its type as the environment calls it, the name of its class, or what it must be able to do: `HasConsole`,
                `HasPower`, `RunsCommands`, `CanPing`, `CanFlash`, `ServesDhcp` or `ServesHttp`. The first one is returned.

        Returns:
            The device: `${box.name}`, `${box.config}`, and what its driver offers.

        Raises:
            UnknownNameError: There is none.

        ```robotframework
        Create File    environment.json    {"environment_def": {}}
        Create File    inventory.json    {"bench-1": {"devices": [{"name": "box", "type": "local", "transport": "local"}]}}
        Load Lab    demo,environment:environment.json,inventory.json,bench-1
        Deploy Devices
        ${box}=    Get Device    type=local
        Should Be Equal    ${box.config}[name]    box
        ```
        """
        if not name and not type:
            raise UsageError("Which device? Give its name or type=.")
        device: Device = bench_of(self.session).deployment.device(name, type)
        return device

    @keyword(tags=["Testbed"])
    def require_environment(self, requirement: dict[str, Any] | str) -> None:
        """Skips the test unless the deployed environment is what it needs.

        Args:
            requirement: A dictionary, or JSON text: device -> what its data must hold. `None` needs nothing; a list means
                any of its values, or that all of them are in a list; texts are compared by `contains_exact`,
                `not_contains_exact`, `contains_regex` and `not_contains_regex` in a list of objects with one of these.

        Raises:
            UsageError: Nothing is deployed, or the requirement cannot be understood.
            DeployError: It is met, and the contingency check of a device failed.

        The tag `env_req:{"box": {"model": "b"}}` says the same of a test before it begins.

        ```robotframework
        Create File    environment.json    {"environment_def": {"box": {"model": "b"}}}
        Create File    inventory.json    {"bench-1": {"devices": [{"name": "box", "type": "local", "transport": "local"}]}}
        Load Lab    demo,environment:environment.json,inventory.json,bench-1
        Deploy Devices
        Require Environment    {"box": {"model": ["a", "b"]}}
        ```
        """
        wanted = requirement_of(requirement) if isinstance(requirement, str) else requirement
        why = unmet(bench_of(self.session), wanted)
        if why:
            raise SkipExecution(printable(self.session.masker.mask(f"The environment is not what the test needs: {why}.")))

    def _ender(self, bench: Bench) -> Any:
        async def end() -> None:
            failed = await bench.end()
            if failed:
                bench.session.breaches.add_failed_end(DeployError(bench.board, failed, NOT_ENDED))

        return end

    def _show(self, bench: Bench) -> None:
        self.session.journal.take_records()
        html = bench_html(bench)
        if html:
            self.log_html(html)
        for warning in self.session.journal.take_warnings():
            logger.warn(warning)

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

"""Keywords that disturb hosts for a while; each disturbance heals by itself when the controller is gone."""

from __future__ import annotations

from typing import Any, Literal

from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.errors import UsageError, did_you_mean
from OttoLibrary.keywords.component import Component
from OttoLibrary.units import seconds

Kind = Literal["service", "fill", "clock", "power", "impairment"]


class DisturbanceKeywords(Component):
    """Disturb and heal."""

    @keyword(tags=["Disturbance"])
    def disturb_host(self, host: str, kind: Kind, what: str = "", **options: Any) -> None:
        """Disturbs a host until `Heal Host`, for a time, or until the test or suite ends.

        Args:
            host: Name of the host.
            kind: `service`, `fill`, `clock`, `power` or `impairment`.
            what: What is done: `pause nginx`, `kill nginx`, `stop nginx`; `disk 100 MiB path=/var`, `memory 1 GiB`, `cpu 2`;
                `+1 h`; `off=COMMAND on=COMMAND`; `eth0 delay=20 ms`.
            **options: `for=1 min`: it is healed after this time. What `what` says with `=` may also be arguments of their own:
                `path=/var`.

        Raises:
            HostError: It could not be done; nothing of it is left.
            UsageError: It is not written like this.

        A small watcher on the host undoes it when it hears nothing from here for 15 seconds: `kill -9` of robot, a cut cable and
        a time-out heal by themselves. A hog never takes the last 64 MiB of a disk, or the last tenth of the memory.

        ```robotframework
        Disturb Host    dut1    fill    disk 1 MiB    path=/tmp
        Heal Host    dut1
        ```
        """
        lasts = {name: options.pop(name) for name in ("for",) if name in options}
        words = [what, *(f"{name}={value}" for name, value in options.items())]
        self._disturb(kind, " ".join([host, *filter(None, words)]), lasts)

    @keyword(tags=["Disturbance"])
    def heal_host(self, host: str) -> None:
        """Undoes all that disturbs a host, the newest first.

        Args:
            host: Name of the host.

        Raises:
            NotOpenError: It is not disturbed.
            DisturbanceEndedError: The host had undone it before, or could have, since no word reached it for 15 seconds.
            HostError: Something could not be undone; the message says what is left.

        ```robotframework
        Disturb Host    dut1    fill    cpu 1
        Heal Host    dut1
        ```
        """
        self._heal(host, "")

    @keyword(tags=["Disturbance"])
    def impair_link(
        self,
        host: str,
        interface: str = "",
        *,
        to: str = "",
        delay: str = "",
        jitter: str = "",
        loss: str = "",
        duplicate: str = "",
        rate: str = "",
        partition: bool = False,
        **lasting: Any,
    ) -> None:
        """Makes the network of a host worse, for what it sends.

        Args:
            host: Name of the host.
            interface: The interface; by default that of the way to the peer, or of the default route.
            to: One peer, a host of the lab or an address; by default all.
            delay: How late each packet is.
            jitter: By how much that varies, at most as much as `delay`.
            loss: How many percent are lost.
            duplicate: How many percent come twice.
            rate: How much goes at most, such as `10 Mbit/s`.
            partition: Nothing passes, by any interface; with `to`, nothing to that peer.
            **lasting: `for=1 min`: it is healed after this time.

        Raises:
            HostError: The host can do nothing of the kind, has a qdisc that is not ours, or would be cut off from here. Nothing
                is left.
            UsageError: It is not written like this.

        It needs root on the host, or `sudo` without a password. What does it is in the log: `tc netem`, `tc tbf` for a rate
        alone, `nft` for loss, or, for one peer, a relay in Python where the kernel has no netem. On the way by which the host is
        reached from here, more than 25 % loss, 2 s of delay, or less than 64 kbit/s is refused. It heals as `Disturb Host` says.

        ```robotframework
        Run Keyword And Expect Error    *Nothing is impaired*    Impair Link    dut1
        ```
        """
        options = {"delay": delay, "jitter": jitter, "loss": loss, "duplicate": duplicate, "rate": rate, "to": to}
        words = [f"{name}={value}" for name, value in options.items() if value] + (["partition=yes"] if partition else [])
        self._disturb("impairment", " ".join(filter(None, [host, interface, *words])), lasting)

    @keyword(tags=["Disturbance"])
    def heal_link(self, host: str) -> None:
        """Undoes what `Impair Link` did to a host.

        Args:
            host: Name of the host.

        Raises:
            NotOpenError: It is not impaired.
            HostError: It could not be undone; the message says what is left.

        ```robotframework
        Run Keyword And Expect Error    Host 'dut1' is not disturbed*    Heal Link    dut1
        ```
        """
        self._heal(host, "impairment")

    @keyword(tags=["Disturbance"])
    def pause_process(self, host: str, name: str, **lasting: Any) -> None:
        """Stops a process where it is, until `Resume Process` or for a time.

        Args:
            host: Name of the host.
            name: Name of the process, as `pgrep -x` knows it; all of that name are paused.
            **lasting: `for=1 min`: it goes on after this time.

        Raises:
            HostError: There is no such process.

        ```robotframework
        ${job}=    Start On Host    dut1    cp "$(command -v sleep)" pump && exec ./pump 30
        Wait Until Keyword Succeeds    5 s    0.1 s    Pause Process    dut1    pump
        Resume Process    dut1
        ```
        """
        self._disturb("service", f"{host} pause {name}", lasting)

    @keyword(tags=["Disturbance"])
    def resume_process(self, host: str) -> None:
        """Lets the processes of a host go on that were paused.

        Args:
            host: Name of the host.

        Raises:
            NotOpenError: None is.

        What else was done to its services is undone too.

        ```robotframework
        ${job}=    Start On Host    dut1    cp "$(command -v sleep)" valve && exec ./valve 30
        Wait Until Keyword Succeeds    5 s    0.1 s    Pause Process    dut1    valve    for=10 s
        Resume Process    dut1
        ```
        """
        self._heal(host, "service")

    def _disturb(self, kind: str, text: str, lasting: dict[str, Any]) -> None:
        unknown = next((name for name in lasting if name != "for"), None)
        if unknown is not None:
            raise UsageError(f"There is no argument '{unknown}'.{did_you_mean(unknown, ['for'])} Only 'for=TIME' may follow.")
        lasts_s = seconds(lasting["for"]) if "for" in lasting else None
        disturbances = self.session.disturbances
        recipe = disturbances.recipe(kind, text)
        said = disturbances.hold(kind, recipe, lasts_s, self.call)
        logger.info(f"Host '{recipe.host}': {recipe.what} {said}".rstrip() + ".")

    def _heal(self, host: str, kind: str) -> None:
        for what in self.call(self.session.disturbances.heal_host(host, kind)):
            logger.info(f"Host '{host}': {what} is undone.")

"""Init module of the demo product: its options, and its instructions."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from OttoLibrary import Hosts, OttoLibrary, instruction
from OttoLibrary.contracts.transfers import TransferOptions


@dataclass(frozen=True)
class ProductOptions:
    """What all instructions of the demo product take.

    Attributes:
        debug: Log what happens inside.
        hosts: Where it runs, a selection.
    """

    debug: bool = False
    hosts: str = "tag:dut"


@dataclass(frozen=True)
class SelfTestOptions(ProductOptions):
    """What its tests take besides.

    Attributes:
        rounds: How often it tests itself.
        patience: How long one round may take.
    """

    rounds: int = 1
    patience: timedelta = timedelta(seconds=10)


@instruction(tags=["Deploy"])
async def deploy_product(hosts: Hosts, options: ProductOptions, version: str = "2.1") -> list[str]:
    """Brings the product to all of its hosts at once.

    Args:
        version: Which one.

    Returns:
        The hosts that have it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "product.conf")
        file.write_text(f"version={version}\nlog={'debug' if options.debug else 'quiet'}\n")

        async def deploy(host: str) -> None:
            await hosts.put_file(host, file, "~/product/", TransferOptions(parents=True, mode=0o640))
            await hosts.run(host, "grep -q version ~/product/product.conf", timeout_s=10)

        return list(await hosts.each(options.hosts, deploy))


@instruction()
def product_should_work(otto: OttoLibrary, host: str, options: SelfTestOptions) -> None:
    """Fails unless the product passes its self test as often as the options say.

    Args:
        host: Name of the host.
    """
    for _ in range(options.rounds):
        result = otto.run_on_host(host, "~/fw selftest", timeout=options.patience)
        assert "flash ok" in result.stdout, f"Host '{host}' said: {result.stdout}"

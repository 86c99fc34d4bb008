"""The product of the guide: its options, and an instruction. The page about instructions shows it."""

from dataclasses import dataclass

from OttoLibrary import Hosts, instruction


@dataclass(frozen=True)
class ProductOptions:
    """What is installed.

    Attributes:
        version: Which version.
        debug: Log what happens inside.
    """

    version: str = "2.1"
    debug: bool = False


@instruction(tags=["deploy"])
async def install_product(hosts: Hosts, options: ProductOptions, selection: str = "tag:dut") -> list[str]:
    """Brings the product to many hosts at once.

    Args:
        selection: Which hosts.

    Returns:
        The hosts that have it.
    """

    async def install(host: str) -> None:
        await hosts.run(host, f"echo version={options.version} debug={options.debug} > ~/product.conf", timeout_s=10)

    return list(await hosts.each(selection, install))

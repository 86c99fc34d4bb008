"""A user as scripts for OCT describe one."""

from __future__ import annotations

import time

from oct_turrets.base import BaseTransaction
from oct_turrets.tools import CustomTimer


class Transaction(BaseTransaction):
    """Fills a basket and pays."""

    def run(self) -> None:
        """Do both; each has a timer of its own."""
        with CustomTimer(self, "basket/fill"):
            time.sleep(0.002)
        with CustomTimer(self, "<pay>"):
            time.sleep(0.004)

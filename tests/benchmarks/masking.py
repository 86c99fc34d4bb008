"""What many secrets cost: to be learned, and for each megabyte of text that they are hidden in, in time of the processor."""

from __future__ import annotations

import random
import statistics
import string
import time

from OttoLibrary.masking import Masker
from OttoLibrary.text import MASK
from tests.benchmarks.measure import ROUNDS, Row

_SECRETS = 250
_MEGABYTE = 1_000_000
_LETTERS = string.ascii_letters + string.digits + "!$%&/()=?'\"<>+-_."


def all_rows() -> list[Row]:
    """Measure 250 secrets and a log of one megabyte with each of them in it."""
    chance = random.Random(250)
    secrets = ["".join(chance.choices(_LETTERS, k=chance.randint(8, 40))) for _ in range(_SECRETS)]
    text = _log(secrets)
    learned, masked = zip(*(_costs_ms(secrets, text) for _ in range(ROUNDS)), strict=True)
    return [
        Row(f"learn {_SECRETS} secrets", statistics.median(learned), "", None, 50, absolute=True),
        Row(f"hide {_SECRETS} secrets in a megabyte", statistics.median(masked), "", None, 200, absolute=True),
    ]


def _costs_ms(secrets: list[str], text: str) -> tuple[float, float]:
    masker = Masker()
    began = time.process_time()
    masker.add(*secrets)
    masker.mask("compiles what was learned")
    learned = time.process_time()
    assert masker.mask(text).count(MASK) == len(secrets), "Not every secret was hidden."
    return (learned - began) * 1000, (time.process_time() - learned) * 1000


def _log(secrets: list[str]) -> str:
    line = "2026-11-28 12:00:00 host dut1 service[4711]: an ordinary line of a log, which says nothing that must be hidden"
    count = _MEGABYTE // len(line)
    lines = [f"{line} {number}" for number in range(count)]
    for index, secret in enumerate(secrets):
        lines[index * (count // len(secrets))] += f" token={secret} "
    return "\n".join(lines)

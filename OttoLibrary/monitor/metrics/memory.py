"""How much memory is used: ``/proc/meminfo``, proc_meminfo(5)."""

from __future__ import annotations

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric

_KIB = 1024


class Memory(BuiltInsMetric, LocalMetric):
    """The metric ``memory``: used is what a new program could not get (all but ``MemAvailable``)."""

    main = "memory_used_percent"

    def script(self) -> str:
        """Print the first lines, up to the last that is needed, whose number depends on the kernel."""
        return """[ -n "$memory_lines" ] || { memory_lines=0; while read -r memory_line; do memory_lines=$((memory_lines + 1))
case $memory_line in SReclaimable*) break;; esac; done </proc/meminfo; }
take /proc/meminfo "$memory_lines"
"""

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return sizes in bytes, and the share that is used."""
        sizes: dict[str, int] = {}
        for line in printed.splitlines():
            name, _, rest = line.partition(":")
            number = rest.removesuffix("kB").strip()
            if number.isdecimal():
                sizes[name] = int(number) * _KIB
        if not sizes.get("MemTotal") or "MemFree" not in sizes:
            raise ValueError("/proc/meminfo has no MemTotal or no MemFree")
        cached = sizes.get("Cached", 0)
        # Before Linux 3.14 the kernel did not say what is available; this is what free(1) showed then.
        available = sizes.get("MemAvailable", sizes["MemFree"] + sizes.get("Buffers", 0) + cached)
        swap = max(0, sizes.get("SwapTotal", 0) - sizes.get("SwapFree", 0))
        return _readings(sizes["MemTotal"], available, cached + sizes.get("SReclaimable", 0), swap)

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        memory = psutil.virtual_memory()
        return _readings(memory.total, memory.available, getattr(memory, "cached", 0), psutil.swap_memory().used)


def _readings(total: int, available: int, cached: int, swap: int) -> dict[str, float]:
    # In a container, what is available on the host may be more than the container's total.
    used = max(0, total - available)
    return {
        "memory_used_percent": 100 * used / total,
        "memory_used_bytes": used,
        "memory_available_bytes": available,
        "memory_cached_bytes": cached,
        "memory_total_bytes": total,
        "swap_used_bytes": swap,
    }

"""Carries the packets of a TUN device to a network, late or not at all. It is sent to a host without netem, and runs there.

Nothing but the standard library is used, of Python 3.9 and newer. The device, and with it every route through it, ends with this
process, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000
_SO_MARK = 36
_MOST_BYTES = 16 << 20


def main(name: str, mark: int, delay_s: float, jitter_s: float, loss: float, duplicate: float, rate_bits: float) -> None:
    """Relay until the end of the process.

    Args:
        name: The device to make.
        mark: The mark of packets that the routes let pass by the device.
        delay_s: How late each is.
        jitter_s: By how much that varies, at random.
        loss: Which share is dropped, from 0 to 1.
        duplicate: Which share is sent twice.
        rate_bits: How many bits a second go at most; 0 for any number.
    """
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    waiting: list[tuple[float, int, bytes]] = []
    number, held, free_at = 0, 0, 0.0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            packet = heapq.heappop(waiting)[2]
            held -= len(packet)
            _send(out, packet)
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        # A wait for less than a millisecond would be one of none.
        if timeout is not None and timeout < 0.001:
            timeout = 0.0
        if not select.select([tun], [], [], timeout)[0]:
            continue
        for _ in range(64):
            try:
                packet = os.read(tun, 65535)
            except BlockingIOError:
                break
            now = time.monotonic()
            if packet[0] >> 4 != 4 or random.random() < loss or held + len(packet) > _MOST_BYTES:
                continue
            if rate_bits:
                free_at = max(now, free_at) + len(packet) * 8 / rate_bits
                # What waits longer than this is dropped, as a router does.
                if free_at - now > 0.5:
                    free_at -= len(packet) * 8 / rate_bits
                    continue
            at = max(now, free_at) + delay_s + (random.uniform(-jitter_s, jitter_s) if jitter_s else 0.0)
            for _copy in range(2 if random.random() < duplicate else 1):
                number += 1
                held += len(packet)
                heapq.heappush(waiting, (at, number, packet))


def _send(out: socket.socket, packet: bytes) -> None:
    # A full queue, or a network that is gone: a packet is lost, as it would be.
    with contextlib.suppress(OSError):
        out.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *(float(word) for word in sys.argv[3:8]))

"""Worse networks: what makes packets of a host late, few or gone, by what its kernel has.

In this order, and the log says which: ``tc netem``; ``tc tbf`` for a rate alone; nft for loss, with ``tc tbf`` for a rate beside
it; a relay in Python behind a TUN device, for one peer; nft for a rate alone. A partition is a route into nothing. All of it is
named so that it can be told from what others made: a qdisc with our handle, a table of nft with our name, tables of routes and
rules with our numbers.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
import socket
from collections.abc import Mapping, Sequence
from importlib import resources

from OttoLibrary.errors import UsageError, ValueFormatError, did_you_mean
from OttoLibrary.scenario.healing import NOT_BEGUN
from OttoLibrary.units import seconds

_HANDLE = "7e0:"
# Numbers of tables and rules that nobody else uses; the mark lets packets of the relay, and of the library, pass by.
_TABLE, _MARK, _PREF = 7077, 7077, 7070
_TUN = "otto-relay"
_NFT = "inet otto_impairment"
OPTIONS = ("delay", "jitter", "loss", "duplicate", "rate", "partition", "to")
_INTERFACE = re.compile(r"[\w.@-]{1,15}")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|K|M|G)?bit(?:/s)?")
_PREFIXES = {None: 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
_FORM = "Write 'HOST [INTERFACE] delay=20 ms jitter=5 ms loss=1 % duplicate=1 % rate=10 Mbit/s partition=yes to=PEER'."
# What is worse than this on the way by which the library reaches a host may end its connection, and is refused there.
_SLOWEST_BITS, _MOST_LOSS, _LATEST_S = 64_000, 0.25, 2.0
_FASTEST_BITS = 1e12


def parts(
    host: str, words: Sequence[str], options: Mapping[str, str], peers: Mapping[str, str]
) -> tuple[str, str, str, str, str]:
    """Return host, description, do, undo and check of an impairment; raise UsageError.

    Args:
        host: The host.
        words: The interface, or none for that of the default route, or of the way to the peer.
        options: What is impaired.
        peers: The addresses of hosts.
    """
    unknown = next((name for name in options if name not in OPTIONS), None)
    if unknown is not None:
        raise UsageError(f"An impairment has no '{unknown}'.{did_you_mean(unknown, OPTIONS)} {_FORM}")
    if len(words) > 1 or (words and not _INTERFACE.fullmatch(words[0])):
        raise UsageError(f"'{' '.join(words)}' is no interface. {_FORM}")
    peer = _address(options["to"], peers) if "to" in options else ""
    what = " ".join(f"{name}={options[name]}" for name in OPTIONS if name in options)
    if _is_partition(options):
        if len(set(options) - {"partition", "to"}):
            raise UsageError(f"A partition lets nothing pass, so nothing else can be said about it. {_FORM}")
        if words:
            raise UsageError("A partition is of the whole host, or from a peer with to=, and not of an interface. Leave it out.")
        return host, f"partition {f'from {peer}' if peer else ''}".strip(), _partition(peer), _UNDO_ROUTES, _check()
    given = _given(options)
    interface = words[0] if words else ""
    return host, f"network impaired: {what}", _impair(interface, peer, given), _undo(interface, peer), _check()


class _Given:
    """What is impaired, as numbers."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.delay_s = _time(options, "delay")
        self.jitter_s = _time(options, "jitter")
        self.loss = _share(options, "loss")
        self.duplicate = _share(options, "duplicate")
        self.rate_bits = _rate(options["rate"]) if "rate" in options else 0.0

    @property
    def is_rate_alone(self) -> bool:
        return bool(self.rate_bits) and not self.loss and not self.is_queued

    @property
    def is_queued(self) -> bool:
        """True when packets have to be kept, or made; a filter alone cannot do it."""
        return bool(self.delay_s or self.jitter_s or self.duplicate)

    @property
    def would_cut(self) -> bool:
        """True when a connection over it may not live."""
        is_slow = 0 < self.rate_bits < _SLOWEST_BITS
        return is_slow or self.loss > _MOST_LOSS or self.delay_s + self.jitter_s > _LATEST_S

    def netem(self) -> str:
        words = []
        if self.delay_s or self.jitter_s:
            words.append(f"delay {self.delay_s * 1e6:.0f}us" + (f" {self.jitter_s * 1e6:.0f}us" if self.jitter_s else ""))
        if self.loss:
            words.append(f"loss {self.loss * 100:g}%")
        if self.duplicate:
            words.append(f"duplicate {self.duplicate * 100:g}%")
        if self.rate_bits:
            words.append(f"rate {self.rate_bits:.0f}bit")
        return " ".join(words)


def _given(options: Mapping[str, str]) -> _Given:
    given = _Given(options)
    if not given.netem():
        raise UsageError(f"Nothing is impaired. {_FORM}")
    if given.jitter_s > given.delay_s:
        raise UsageError("A jitter is at most the delay: no packet comes before it was sent.")
    return given


def _is_partition(options: Mapping[str, str]) -> bool:
    word = options.get("partition", "no").lower()
    if word not in {"yes", "no", "true", "false"}:
        raise UsageError(f"'partition={word}' is neither yes nor no. {_FORM}")
    return word in {"yes", "true"}


def _time(options: Mapping[str, str], name: str) -> float:
    try:
        return seconds(options.get(name, "0"))
    except ValueFormatError as error:
        raise UsageError(f"{name}: {error}") from error


def _share(options: Mapping[str, str], name: str) -> float:
    text = options.get(name, "0").removesuffix("%").strip()
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise UsageError(f"'{name}={options.get(name)}' is no percentage from 0 to 100. {_FORM}")
    return percent / 100


def _rate(text: str) -> float:
    found = _RATE.fullmatch(text.strip())
    # Less than one would reach the kernel as none, which is no bound.
    if found is None or not 1 <= float(found[1]) * _PREFIXES[found[2]] <= _FASTEST_BITS:
        raise UsageError(f"'rate={text}' is no rate. Write one such as '10 Mbit/s' or '512 kbit/s'.")
    return float(found[1]) * _PREFIXES[found[2]]


def _address(peer: str, peers: Mapping[str, str]) -> str:
    if not peer:
        raise UsageError("'to=' names no peer. Write a host of the lab or an IPv4 address.")
    name = peers.get(peer, peer)
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        pass
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        raise UsageError(f"'to={peer}' is no host of the lab and no IPv4 address.{did_you_mean(peer, peers)}") from error


# -- shell text

# The number of the network namespace, since hosts of one machine may share its files.
_FILE = "f=/run/otto-relay-$(readlink /proc/self/ns/net | tr -dc 0-9); "
_END_RELAY = (
    f"{_FILE}if [ -s $f ]; then p=$(cat $f); case $p in ''|*[!0-9]*) ;; *) "
    f'case $(tr "\\0" " " </proc/$p/cmdline 2>/dev/null) in *{_TUN}*) kill -KILL $p 2>/dev/null;; esac;; esac; rm -f $f; fi; '
    f"n=0; while ip link show {_TUN} >/dev/null 2>&1 && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done; "
)
_UNDO_ROUTES = (
    f"for p in {_PREF} {_PREF + 1}; do while ip rule del pref $p 2>/dev/null; do :; done; done; "
    f"ip route flush table {_TABLE} 2>/dev/null; {_END_RELAY}"
    f'if ip rule show | grep -q "^{_PREF + 1}:"; then echo "A rule of routes is left."; exit 1; fi; :'
)


_REFUSE_TWICE = f"echo 'It is impaired already. Heal it first.'; exit {NOT_BEGUN}"
_NOT_TWICE = f'if ip rule show | grep -q "^{_PREF + 1}:" || nft list table {_NFT} >/dev/null 2>&1; then {_REFUSE_TWICE}; fi; '


def _dev(interface: str, peer: str) -> str:
    """Return shell text that sets ``dev``: the interface that was named, or the one of the way."""
    if interface:
        missing = shlex.quote(f"There is no interface '{interface}'.")
        return f"dev={interface}; ip link show dev $dev >/dev/null 2>&1 || {{ echo {missing}; exit 1; }}; "
    way = f"ip -o route get {peer}" if peer else "ip -o route show default"
    return (
        f"dev=$({way} 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1); "
        "[ -n \"$dev\" ] || { echo 'There is no route there, so no interface is known. Name one.'; exit 1; }; "
    )


def _impair(interface: str, peer: str, given: _Given) -> str:
    own_way = _spare_own_way(peer) if given.would_cut else ""
    foreign = (
        'q=$(tc qdisc show dev "$dev" root 2>/dev/null | head -n 1); '
        f'case $q in ""|*" 0: "*) ;; *" {_HANDLE} "*) {_REFUSE_TWICE};; '
        "*) echo \"Interface '$dev' has a qdisc that is not ours, and it is left as it is: $q\"; "
        f"exit {NOT_BEGUN};; esac; {_NOT_TWICE}"
    )
    tries = [_netem(peer, given)]
    if given.is_rate_alone:
        tries.append(_tbf(peer, given))
    if given.loss and not given.is_queued:
        tries.append(_nft(peer, given))
    if peer:
        tries.append(_relay(peer, given))
    if given.is_rate_alone:
        # It drops what is too much at once, where the others let it wait.
        tries.append(_nft(peer, given))
    advice = "" if peer else " With to=PEER a relay in Python would do."
    otherwise = f"echo {shlex.quote('This host has no netem, and nothing else does this.' + advice)}; exit 1"
    chain = " || ".join(f"({one})" for one in tries)
    return f"{_dev(interface, peer)}{own_way}{foreign}{chain} || {{ {otherwise}; }}"


def _spare_own_way(peer: str) -> str:
    """Return shell text that ends it when the way by which the library reaches the host would go: it must stay."""
    refused = "That would cut the way by which this host is reached. Impair another interface, or one peer with to=."
    is_spared = f'[ "$OTTO_CLIENT" != {peer} ]' if peer else '[ -z "$OTTO_CLIENT" ] || [ "$own" != "$dev" ]'
    return (
        'own=$(ip -o route get "$OTTO_CLIENT" 2>/dev/null | sed -n "s/.* dev \\([^ ]*\\).*/\\1/p"); '
        f"{is_spared} || {{ echo {shlex.quote(refused)}; exit 1; }}; "
    )


def _netem(peer: str, given: _Given) -> str:
    return _shaped(peer, f"netem {given.netem()}", "tc netem")


def _tbf(peer: str, given: _Given) -> str:
    # The burst is what the kernel needs at this rate with a clock of 250 a second, and at least two large packets.
    burst = max(4000, round(given.rate_bits / 8 / 250))
    return _shaped(peer, f"tbf rate {given.rate_bits:.0f}bit burst {burst} latency 50ms", "tc tbf")


def _shaped(peer: str, qdisc: str, name: str) -> str:
    if not peer:
        return f'tc qdisc add dev "$dev" root handle {_HANDLE} {qdisc} 2>/dev/null && echo "by {name} on $dev"'
    tidy = f'tc qdisc del dev "$dev" root handle {_HANDLE} 2>/dev/null; false'
    return (
        f'tc qdisc add dev "$dev" root handle {_HANDLE} prio bands 4 2>/dev/null && '
        f'{{ {{ tc qdisc add dev "$dev" parent {_HANDLE}4 {qdisc} && tc filter add dev "$dev" parent {_HANDLE} protocol ip u32 '
        f'match ip dst {peer}/32 flowid {_HANDLE}4; }} 2>/dev/null || {{ {tidy}; }}; }} && echo "by {name} on $dev to {peer}"'
    )


def _nft(peer: str, given: _Given) -> str:
    """Return shell text that drops what is lost, and, where there is no tbf, what is above the rate."""
    match = f'oifname \\"$dev\\" {f"ip daddr {peer} " if peer else ""}'
    lost = f"numgen random mod 1000000 < {round(given.loss * 1e6)} " if given.loss < 1 else ""
    # What the kernel hands down at once may be 64 KiB.
    burst = max(65536, round(given.rate_bits / 400))
    rate = f"limit rate over {max(1, round(given.rate_bits / 8))} bytes/second burst {burst} bytes "
    base = f"add table {_NFT}; add chain {_NFT} out {{ type filter hook postrouting priority 0; }}"
    to_peer = f" to {peer}" if peer else ""

    def filtered(*conditions: str) -> str:
        rules = "".join(f"; add rule {_NFT} out {match}{condition}drop" for condition in conditions)
        return f'nft "{base}{rules}" 2>/dev/null && echo "by nft on $dev{to_peer}"'

    if not given.rate_bits:
        return filtered(lost)
    if not given.loss:
        return filtered(rate)
    return f"{filtered(lost)} && {{ ({_tbf(peer, given)}) || {{ nft delete table {_NFT}; false; }}; }}"


def _relay(peer: str, given: _Given) -> str:
    source = resources.files("OttoLibrary.scenario").joinpath("relay.py").read_text(encoding="utf-8")
    numbers = f"{given.delay_s} {given.jitter_s} {given.loss} {given.duplicate} {given.rate_bits}"
    # It is read as -c, so that nothing has to be kept in a file.
    start = (
        f"setsid python3 -c {shlex.quote(source)} {_TUN} {_MARK} {numbers} </dev/null >$f.said 2>&1 & echo $! >$f; n=0; "
        "until grep -q ready $f.said 2>/dev/null; do n=$((n + 1)); "
        "[ $n -le 100 ] || { cat $f.said; rm -f $f.said; exit 1; }; sleep 0.1; done; rm -f $f.said; "
    )
    return (
        f"command -v python3 >/dev/null 2>&1 && [ -c /dev/net/tun ] || exit 1; {_FILE}umask 077; rm -f $f; "
        f'src=$(ip -o route get {peer} | sed -n "s/.* src \\([^ ]*\\).*/\\1/p"); [ -n "$src" ] || exit 1; {start}'
        f"ip link set dev {_TUN} up mtu 1500 && ip route add {peer}/32 dev {_TUN} src $src table {_TABLE} && "
        f"ip rule add fwmark {_MARK} lookup main pref {_PREF} && ip rule add to {peer}/32 lookup {_TABLE} pref {_PREF + 1} && "
        f'echo "by a relay in Python on $dev to {peer}"'
    )


def _partition(peer: str) -> str:
    if peer:
        refused = "That would cut the way by which this host is reached."
        return (
            f'{_NOT_TWICE}[ "$OTTO_CLIENT" != {peer} ] || {{ echo {shlex.quote(refused)}; exit 1; }}; '
            f"ip route add blackhole {peer}/32 table {_TABLE} && ip rule add to {peer}/32 lookup {_TABLE} pref {_PREF + 1} && "
            f'echo "by a route into nothing to {peer}"'
        )
    return (
        f'{_NOT_TWICE}{{ [ -z "$OTTO_CLIENT" ] || ip rule add to "$OTTO_CLIENT" lookup main pref {_PREF}; }} && '
        f"ip route add blackhole default table {_TABLE} && ip rule add to 127.0.0.0/8 lookup main pref {_PREF} && "
        f'ip rule add lookup {_TABLE} pref {_PREF + 1} && echo "by a route into nothing to all but $OTTO_CLIENT"'
    )


def _undo(interface: str, peer: str) -> str:
    every = "$(ls /sys/class/net)"
    qdiscs = (
        f"for i in {interface or every}; do "
        f'tc qdisc del dev "$i" root handle {_HANDLE} 2>/dev/null; done; '
        f'if tc qdisc show | grep -q " {_HANDLE} "; then echo "A qdisc of ours is left."; exit 1; fi; '
        f"nft delete table {_NFT} 2>/dev/null; "
        f'if nft list table {_NFT} >/dev/null 2>&1; then echo "A table of nft is left."; exit 1; fi; '
    )
    return qdiscs + _UNDO_ROUTES


def _check() -> str:
    return (
        f'if tc qdisc show 2>/dev/null | grep -q " {_HANDLE} " || ip rule show | grep -q "^{_PREF + 1}:" || '
        f"nft list table {_NFT} >/dev/null 2>&1; "
        "then echo disturbed; else echo healthy; fi"
    )

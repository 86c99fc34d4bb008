"""What an impairment is asked for in, and the shell text that makes it, ends it and looks for it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.scenario.impairments import parts

PEERS = {"db": "10.0.0.2"}


def _do(*words: str, **options: str) -> str:
    return parts("box", words, options, PEERS)[2]


def test_what_it_is_is_told_in_one_order() -> None:
    host, what, *_ = parts("box", ["eth0"], {"loss": "1 %", "delay": "20 ms"}, PEERS)
    assert (host, what) == ("box", "network impaired: delay=20 ms loss=1 %")
    assert parts("box", [], {"partition": "yes", "to": "db"}, PEERS)[1] == "partition from 10.0.0.2"
    assert parts("box", [], {"partition": "True"}, PEERS)[1] == "partition"


@pytest.mark.parametrize(
    ("options", "netem"),
    [
        ({"delay": "20 ms"}, "netem delay 20000us "),
        ({"delay": "20 ms", "jitter": "5 ms"}, "netem delay 20000us 5000us "),
        ({"loss": "0.5 %"}, "netem loss 0.5% "),
        ({"duplicate": "100"}, "netem duplicate 100% "),
        ({"rate": "1.5 Mbit/s"}, "netem rate 1500000bit "),
        ({"rate": "1 bit/s"}, "netem rate 1bit "),
        ({"delay": "1s", "loss": "2%", "rate": "512 kbit"}, "netem delay 1000000us loss 2% rate 512000bit "),
    ],
)
def test_the_numbers_reach_netem(options: Mapping[str, str], netem: str) -> None:
    assert netem in _do(**options)


@pytest.mark.parametrize(
    ("words", "options", "sentence"),
    [
        ([], {}, "Nothing is impaired"),
        ([], {"delay": "0", "loss": "0 %"}, "Nothing is impaired"),
        ([], {"partition": "no"}, "Nothing is impaired"),
        ([], {"delya": "1s"}, "no 'delya'. Did you mean 'delay'"),
        ([], {"delay": "1s", "jitter": "2s"}, "A jitter is at most the delay"),
        ([], {"jitter": "5 ms"}, "A jitter is at most the delay"),
        ([], {"delay": "-1s"}, "delay: "),
        ([], {"loss": "101 %"}, "'loss=101 %' is no percentage"),
        ([], {"loss": "nan"}, "'loss=nan' is no percentage"),
        ([], {"duplicate": "-1"}, "'duplicate=-1' is no percentage"),
        ([], {"rate": "0 Mbit/s"}, "'rate=0 Mbit/s' is no rate"),
        ([], {"rate": "0.2 bit/s"}, "'rate=0.2 bit/s' is no rate"),
        ([], {"rate": "10 MB/s"}, "'rate=10 MB/s' is no rate"),
        ([], {"partition": "maybe"}, "neither yes nor no"),
        ([], {"partition": "yes", "delay": "1s"}, "A partition lets nothing pass"),
        (["eth0", "eth1"], {"delay": "1s"}, "'eth0 eth1' is no interface"),
        (["eth0;reboot"], {"delay": "1s"}, "'eth0;reboot' is no interface"),
        (["$(reboot)"], {"delay": "1s"}, "is no interface"),
        (["eth0\n"], {"delay": "1s"}, "is no interface"),
        (["eth0"], {"partition": "yes"}, "A partition is of the whole host"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(words: list[str], options: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        parts("box", words, options, PEERS)
    assert sentence in str(raised.value)


def test_the_way_of_the_library_is_spared_where_little_or_nothing_would_pass() -> None:
    refused = "That would cut the way by which this host is reached"
    assert refused in _do(loss="100 %")
    assert refused in _do(rate="1 kbit/s")
    assert refused in _do(partition="yes", to="db")
    assert refused in _do(loss="26 %")
    assert refused in _do(delay="1 h")
    assert refused in _do(delay="1500 ms", jitter="1 s")
    assert refused not in _do(loss="25 %", rate="1 Mbit/s", delay="2 s")
    assert 'ip rule add to "$OTTO_CLIENT" lookup main' in _do(partition="yes")


def test_only_what_can_do_it_is_tried() -> None:
    assert "tbf" in _do(rate="1 Mbit/s")
    assert "tbf" not in _do(rate="1 Mbit/s", delay="1 ms")
    assert "numgen random mod 1000000 < 15000 drop" in _do(loss="1.5 %")
    assert 'oifname \\"$dev\\" ip daddr 10.0.0.2 drop' in _do(loss="100 %", to="db")
    assert "limit rate over 125000 bytes/second" in _do(rate="1 Mbit/s")
    assert "add rule" not in _do(loss="1 %", delay="1 ms")
    assert all(word in _do(loss="1 %", rate="1 Mbit/s") for word in ("numgen", "tbf", "nft delete"))
    assert "relay" not in _do("eth0", delay="1 ms").replace("a relay in Python would do", "")
    to_peer = _do(delay="1 ms", to="db")
    assert "match ip dst 10.0.0.2/32" in to_peer
    assert "otto-relay 7077 0.001 0.0 0.0 0.0 0.0" in to_peer


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {"delay": "1s"}),
        (["eth0.7"], {"rate": "1 Mbit/s"}),
        (["eth0.7"], {"rate": "1 Mbit/s", "loss": "1 %"}),
        ([], {"loss": "100", "to": "db"}),
        ([], {"partition": "yes"}),
        ([], {"partition": "yes", "to": "10.1.2.3"}),
    ],
)
def test_all_of_it_is_posix_shell_text(words: list[str], options: Mapping[str, str]) -> None:
    for script in parts("box", words, options, PEERS)[2:]:
        checked = subprocess.run(["sh", "-n", "-c", script], capture_output=True, timeout=30, check=False)
        assert (checked.returncode, checked.stderr) == (0, b"")

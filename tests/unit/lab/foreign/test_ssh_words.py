"""Options of ssh in other tools' files."""

from __future__ import annotations

import pytest

from OttoLibrary.lab.foreign import ssh_words


@pytest.mark.parametrize(
    ("text", "jumps"),
    [
        ("-J ops@gw:2200,inner", ["ops@gw:2200", "inner"]),
        ("-o ProxyJump=gw", ["gw"]),
        ("-oProxyJump=gw", ["gw"]),
        ("-o 'ProxyJump gw'", ["gw"]),
        ("-o ProxyCommand='ssh -W %h:%p -q ops@gw'", ["ops@gw"]),
        ('-o ProxyCommand="ssh -o ProxyJump=outer -W %h:%p gw"', ["outer", "gw"]),
        ("-o ProxyCommand='ssh ops@gw nc -w 5 %h %p'", ["ops@gw"]),
        ("-o ProxyJump=none", []),
    ],
)
def test_jumps(text: str, jumps: list[str]) -> None:
    found = ssh_words.read(text)
    assert (found.jumps, found.rest) == (jumps, [])


def test_the_fields_of_a_jump() -> None:
    found = ssh_words.read("-o ProxyCommand='ssh -p 2200 -i ~/.ssh/gw -W %h:%p -l ops gw'")
    assert found.jump_fields == {"port": 2200, "identity_file": "~/.ssh/gw", "user": "ops"}


def test_settings() -> None:
    found = ssh_words.read(
        "-C -o ConnectTimeout=5 -o ServerAliveInterval=30 -o Ciphers=aes128-ctr -o StrictHostKeyChecking=yes -vv -p22"
    )
    assert found.fields == {
        "ssh": {"compression": True, "ciphers": "aes128-ctr"},
        "connect_timeout": 5,
        "keepalive": 30,
        "host_key": "strict",
        "port": 22,
    }


def test_what_is_not_understood_is_told_without_its_value() -> None:
    found = ssh_words.read("-L 80:a:80 -o SendEnv=TOKEN=abc -o StrictHostKeyChecking=no -o ProxyCommand='sshpass -p pw ssh gw'")
    assert [sentence.partition(" is not")[0] for sentence in found.rest] == [
        "option -L of ssh",
        "option SendEnv of ssh",
        "StrictHostKeyChecking=no",
        "its ProxyCommand",
    ]
    assert "abc" not in str(found.rest)
    assert ssh_words.read("-o 'ProxyJump=gw").rest == ["its options of ssh have a quote that does not end"]

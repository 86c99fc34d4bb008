"""What every conversion promises: it loads, it shows no secret, and it says what is missing."""

from __future__ import annotations

import json

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign.conversion import Conversion, Tagged, environment


def test_the_same_secret_of_the_same_login_is_one_variable() -> None:
    conversion = Conversion("bench")
    references = [conversion.secret(host, "root", "pw-1234") for host in ("a", "b")]
    assert references == ["${env:BENCH_ROOT_PASSWORD}"] * 2
    assert conversion.secret("c", "root", "other-pw") == "${env:BENCH_C_ROOT_PASSWORD}"
    assert conversion.secret("c", "admin", "pw-1234") == "${env:BENCH_ADMIN_PASSWORD}"
    assert (
        next(iter(conversion.notes()))
        == "a, b: its password of root is not in the lab file: set the environment variable BENCH_ROOT_PASSWORD"
    )


def test_variables_never_share_a_name() -> None:
    conversion = Conversion("1-bench")
    made = {conversion.secret("a", user, word) for user in ("x.y", "x-y", "x y") for word in ("one-1", "two-2")}
    assert len(made) == 6
    assert all(str(name).startswith("${env:LAB_1_BENCH_X_Y") for name in made if "_A_" not in name)


def test_no_note_shows_a_secret() -> None:
    conversion = Conversion("bench")
    conversion.secret("a", "root", "pw-1234")
    conversion.note("a", "option pw-1234 is not carried over")
    assert "pw-1234" not in "\n".join(conversion.notes())


@pytest.mark.parametrize(
    "metadata",
    [
        {"db_password": "x"}, {"api_key": "x"}, {"nested": {"token": "x"}}, {"key": "-----BEGIN RSA PRIVATE KEY-----"},
        {"url": "https://user:pw@host/"}, {"snmp_community": "x"}, {"again": "it is pw-1234"}, {"v": Tagged.made("!vault", "x")},
        {"r": "${file:/etc/shadow}"}, {"r": {"${env:HOME}": 1}},
    ],
)  # fmt: skip
def test_metadata_hold_no_secret_and_no_foreign_reference(metadata: dict[str, object]) -> None:
    conversion = Conversion("bench")
    conversion.add("a", {"address": "h", "password": conversion.secret("a", "root", "pw-1234")})
    conversion.add("a", {"metadata": conversion.metadata("a", {"rack": 3, **metadata})})
    assert conversion.finished()["hosts"]["a"]["metadata"] == {"rack": 3}
    assert any(f"{next(iter(metadata))!r} is not carried over" in note for note in conversion.notes())


def test_a_reference_of_the_file_is_never_resolved() -> None:
    conversion = Conversion("bench")
    conversion.add("a", {"address": "${env:AWS_SECRET}.evil.example", "user": environment("USER"), "tags": ["${file:/x}"]})
    assert conversion.hosts["a"] == {"user": "${env:USER}"}


def test_a_wrong_field_is_left_out_with_the_reason() -> None:
    conversion = Conversion("bench")
    conversion.add("a", {"address": "h", "port": "many", "timeout": None, "hop": "gone"})
    assert conversion.finished()["hosts"] == {"a": {"address": "h"}}
    assert list(conversion.notes()) == [
        "a: 'port' is not carried over: 'many' is not a port from 1 to 65535",
        "a: its hop 'gone' is not carried over: there is no such host",
    ]


def test_what_cannot_load_is_an_error() -> None:
    conversion = Conversion("bench")
    conversion.add("a", {"address": "h", "hop": "b"})
    conversion.add("b", {"address": "h", "hop": "a"})
    with pytest.raises(LabError, match="circle"):
        conversion.finished()


def test_names_stay_unique() -> None:
    conversion = Conversion("bench")
    names = [conversion.name_of(name) for name in ("a b", "a-b", "a/b", "AND", "", "a b")]
    assert names == ["a-b", "a-b-2", "a-b-3", "host-AND", "host", "a-b"]


def test_a_hop_is_a_host_that_is_there_or_a_new_one() -> None:
    conversion = Conversion("bench")
    conversion.add(conversion.name_of("gw"), {"address": "10.0.0.1", "user": "ops"})
    conversion.add(conversion.name_of("a"), {"address": "10.0.0.2"})
    assert conversion.hop("a", "ops@10.0.0.1") == "gw"
    assert conversion.hop("a", "root@10.0.0.1:2222") == "10.0.0.1"
    assert conversion.hosts["10.0.0.1"] == {"address": "10.0.0.1", "user": "root", "port": 2222, "tags": ["hop"]}
    assert conversion.hop("a", "not a host") is None
    assert json.dumps(conversion.finished())

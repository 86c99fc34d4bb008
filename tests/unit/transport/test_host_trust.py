"""Which host keys are accepted, by what the lab says and by what is on file."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from OttoLibrary.contracts.facts import HostFacts, SshOptions
from OttoLibrary.errors import HostKeyError
from OttoLibrary.transport.host_trust import HostTrust

RIGHT, WRONG = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))


def _line(key: asyncssh.SSHKey) -> str:
    return key.export_public_key("openssh").decode().strip()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OTTO_KNOWN_HOSTS", str(tmp_path / "otto" / "known_hosts"))
    return tmp_path / "otto" / "known_hosts"


class Lab:
    """A host, and the files of the user who reaches it."""

    def __init__(self, folder: Path) -> None:
        self.users, self.config = folder / "users", folder / "config"
        self.config.write_text(f"UserKnownHostsFile {self.users}\nGlobalKnownHostsFile none\n")

    def trust(self, policy: str, *hops: str, address: str = "10.0.0.1", port: int | None = None) -> HostTrust:
        ssh = SshOptions(config_file=str(self.config))
        facts = HostFacts("dut", address=address, port=port, host_key=policy, ssh=ssh)
        trust = HostTrust(facts, (*hops, "dut"))
        trust.read_config()
        return trust

    def accepts(self, trust: HostTrust, key: asyncssh.SSHKey, port: int = 22) -> bool:
        """Judge as AsyncSSH does: what is revoked never, what is on file at once, anything else by being asked."""
        public = key.convert_to_public()
        keys, _, revoked, *_ = trust.known_hosts("10.0.0.1", "10.0.0.1", None if port == 22 else port)
        if public in revoked:
            return False
        return public in keys or trust.validate_host_public_key("10.0.0.1", "10.0.0.1", port, public)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_the_first_key_is_noted_and_no_other_is_accepted_from_then_on(lab: Lab, own: Path) -> None:
    assert lab.accepts(lab.trust("accept-new"), RIGHT)
    assert own.read_text() == f"10.0.0.1 {_line(RIGHT)}\n"
    assert own.parent.stat().st_mode & 0o777 == 0o700
    assert lab.accepts(lab.trust("accept-new"), RIGHT)
    again = lab.trust("accept-new")
    assert not lab.accepts(again, WRONG)
    assert again.problem == (
        f"its host key has changed: it shows {WRONG.get_fingerprint()}, known is {RIGHT.get_fingerprint()} ({own}:1)"
    )
    assert own.read_text().count("\n") == 1


def test_a_key_that_another_process_noted_meanwhile_counts(lab: Lab) -> None:
    first, second = lab.trust("accept-new"), lab.trust("accept-new")
    second.known_hosts("10.0.0.1", "10.0.0.1", None)
    assert lab.accepts(first, RIGHT)
    assert not second.validate_host_public_key("10.0.0.1", "10.0.0.1", 22, WRONG.convert_to_public())


def test_a_key_is_noted_on_a_line_of_its_own_after_one_without_an_end(lab: Lab, own: Path) -> None:
    own.parent.mkdir()
    own.write_text(f"10.0.0.9 {_line(WRONG)}")
    assert lab.accepts(lab.trust("accept-new"), RIGHT)
    assert not lab.accepts(lab.trust("accept-new"), WRONG)
    assert own.read_text() == f"10.0.0.9 {_line(WRONG)}\n10.0.0.1 {_line(RIGHT)}\n"


def test_hosts_with_one_address_behind_different_hops_or_ports_are_different_hosts(lab: Lab, own: Path) -> None:
    for trust, key in (
        (lab.trust("accept-new"), RIGHT),
        (lab.trust("accept-new", "gate"), WRONG),
        (lab.trust("accept-new", "gate", "inner"), RIGHT),
        (lab.trust("accept-new", port=2222), WRONG),
    ):
        assert lab.accepts(trust, key)
    names = [line.split()[0] for line in own.read_text().splitlines()]
    assert names == ["10.0.0.1", "10.0.0.1/via/gate", "10.0.0.1/via/gate/inner", "[10.0.0.1]:2222"]
    assert not lab.accepts(lab.trust("accept-new", "gate"), RIGHT)


def test_what_the_users_file_has_counts_for_a_host_reached_directly(lab: Lab, own: Path) -> None:
    lab.users.write_text(f"10.0.0.1 {_line(RIGHT)}\n")
    assert lab.accepts(lab.trust("accept-new"), RIGHT)
    assert not lab.accepts(lab.trust("accept-new"), WRONG)
    # Behind a hop lives another machine with this address.
    assert lab.accepts(lab.trust("accept-new", "gate"), WRONG)


def test_a_host_behind_a_hop_keeps_the_key_noted_for_it(lab: Lab) -> None:
    assert lab.accepts(lab.trust("accept-new", "gate"), RIGHT)
    lab.users.write_text(f"10.0.0.1 {_line(WRONG)}\n")
    assert not lab.accepts(lab.trust("accept-new", "gate"), WRONG)


@pytest.mark.parametrize("is_known", [True, False])
def test_strict_accepts_only_what_is_on_file_and_notes_nothing(lab: Lab, own: Path, is_known: bool) -> None:
    if is_known:
        lab.users.write_text(f"10.0.0.1 {_line(RIGHT)}\n")
    assert lab.accepts(lab.trust("strict"), RIGHT) == is_known
    trust = lab.trust("strict")
    assert not lab.accepts(trust, WRONG)
    assert ("has changed" if is_known else "'host_key' is 'strict'") in trust.problem
    assert not own.exists()


@pytest.mark.parametrize("pin", [RIGHT.get_fingerprint(), _line(RIGHT)], ids=["fingerprint", "key"])
def test_the_pinned_key_is_the_only_one_whatever_is_on_file(lab: Lab, own: Path, pin: str) -> None:
    lab.users.write_text(f"10.0.0.1 {_line(WRONG)}\n")
    assert lab.accepts(lab.trust(pin), RIGHT)
    trust = lab.trust(pin)
    assert not lab.accepts(trust, WRONG)
    assert trust.problem == f"it shows the key {WRONG.get_fingerprint()}, the lab pins {RIGHT.get_fingerprint()}"
    assert not own.exists()


def test_ignore_accepts_all_but_a_revoked_key_and_notes_nothing(lab: Lab, own: Path) -> None:
    lab.users.write_text(f"@revoked 10.0.0.1 {_line(WRONG)}\n")
    trust = lab.trust("ignore")
    assert lab.accepts(trust, RIGHT)
    assert not lab.accepts(trust, WRONG)
    assert trust.refusal("Host key is revoked") == f"its host key is revoked ({lab.users}:1)"
    assert not own.exists()


@pytest.mark.parametrize(
    "policy",
    ["accept-new", "strict", "ignore", RIGHT.get_fingerprint(), _line(RIGHT)],
    ids=["accept-new", "strict", "ignore", "fingerprint", "key"],
)
def test_a_key_in_a_revoked_list_is_never_accepted(lab: Lab, tmp_path: Path, policy: str) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(f"{_line(RIGHT)}\n")
    lab.config.write_text(f"{lab.config.read_text()}RevokedHostKeys {revoked}\n")
    lab.users.write_text(f"10.0.0.1 {_line(RIGHT)}\n")
    assert not lab.accepts(lab.trust(policy), RIGHT)


def test_a_revoked_list_that_cannot_be_read_ends_it(lab: Lab, tmp_path: Path) -> None:
    lab.config.write_text(f"RevokedHostKeys {tmp_path / 'missing'}\n")
    with pytest.raises(HostKeyError, match="it is unknown whether its key is revoked"):
        lab.trust("ignore")


def test_an_unknown_authority_is_believed_only_where_all_is(lab: Lab) -> None:
    judged = {
        policy: lab.trust(policy).validate_host_ca_key("10.0.0.1", "10.0.0.1", 22, RIGHT.convert_to_public())
        for policy in ("accept-new", "strict", "ignore", RIGHT.get_fingerprint())
    }
    assert [policy for policy, is_believed in judged.items() if is_believed] == ["ignore"]

"""Real peers for all tests; each starts on first use and ends with the run."""

from __future__ import annotations

import getpass
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from OttoLibrary import masking, registry
from tests.peers.accounts import Accounts, Guest
from tests.peers.consoles import SerialConsole
from tests.peers.keys import Keys, make_keys
from tests.peers.network import Network
from tests.peers.proxy import Proxy
from tests.peers.requirements import is_root, require
from tests.peers.sshd import Sshd
from tests.peers.telnetd import Telnetd

if TYPE_CHECKING:
    from tests.peers.faulty_ssh import FaultySsh


# Ctrl-C counts in what tests start, also where they were started themselves by a shell in the background, which ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test depends on how busy the machine is.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers there are: tests wait for processes more than they compute."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is no other test's."""
    monkeypatch.setattr(registry, "_registered", {kind: dict(known) for kind, known in registry._registered.items()})


@pytest.fixture(scope="session", autouse=True)
def own_leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no reservation of another run, or of a person, count in ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTTO_LEASES", str(tmp_path_factory.mktemp("leases")))
        yield


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no secret of another test be hidden in the texts of this one."""
    monkeypatch.setattr(masking, "_process", masking.Masker())


@pytest.fixture(scope="session")
def accounts() -> Iterator[Accounts | None]:
    """Two accounts with known passwords; None unless the tests run as root."""
    if not is_root():
        yield None
        return
    require("useradd")
    with Accounts() as made:
        yield made


@pytest.fixture
def guest() -> Iterator[Guest]:
    """An account of the test's own; it skips the test unless it runs as root."""
    require("root", "useradd")
    with Guest() as made:
        yield made


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory, accounts: Accounts | None) -> Keys:
    """The keys that the real servers let in, and some that they do not."""
    require("ssh-keygen")
    logins = [getpass.getuser(), *([accounts.test.login, accounts.peer.login] if accounts else [])]
    return make_keys(tmp_path_factory.mktemp("keys"), logins)


@pytest.fixture(scope="session")
def shared_sshd(keys: Keys) -> Iterator[Sshd]:
    require("sshd")
    with Sshd(keys) as running:
        yield running


@pytest.fixture
def sshd(shared_sshd: Sshd) -> Iterator[Sshd]:
    """A real OpenSSH server on a loopback port; what a test did to it is made right after the test."""
    yield shared_sshd
    shared_sshd.resume()
    if not shared_sshd.running:
        shared_sshd.start()


@pytest.fixture
def make_sshd(keys: Keys) -> Iterator[Callable[..., Sshd]]:
    """Start servers with further arguments of ``Sshd``."""
    require("sshd")
    with ExitStack() as started:
        yield lambda **arguments: started.enter_context(Sshd(keys, **arguments))


@pytest.fixture(scope="session")
def shared_network(keys: Keys, accounts: Accounts | None) -> Iterator[Network]:
    require("sshd", *(["ip", "unshare", "hostname"] if is_root() else []))
    with Network(keys, accounts, isolated=is_root()) as network:
        yield network


@pytest.fixture
def network(shared_network: Network) -> Iterator[Network]:
    """Controller - hop1 - hop2 - dut1, dut2; what a test did to it is made right after the test."""
    yield shared_network
    shared_network.mend_all()


@pytest.fixture
def proxy() -> Iterator[Callable[[str, int], Proxy]]:
    """Start proxies: ``proxy(address, port)``."""
    with ExitStack() as started:
        yield lambda address, port: started.enter_context(Proxy(address, port))


@pytest.fixture
def faulty_ssh() -> Iterator[Callable[[str], FaultySsh]]:
    """Start servers with a fault: ``faulty_ssh("silent")``."""
    from tests.peers.faulty_ssh import FaultySsh

    with ExitStack() as started:
        yield lambda fault: started.enter_context(FaultySsh(fault))


@pytest.fixture
def telnetd() -> Iterator[Callable[..., Telnetd]]:
    """Start Telnet servers: ``telnetd("inetutils")``."""
    with ExitStack() as started:

        def start(kind: str, **arguments: Any) -> Telnetd:
            require("busybox telnetd" if kind == "busybox" else "telnetd", *([] if "login" in arguments else ["root"]))
            return started.enter_context(Telnetd(kind, **arguments))

        yield start


@pytest.fixture
def serial_console() -> Iterator[Callable[..., SerialConsole]]:
    """Start devices with a serial console: ``serial_console(consoles.shell)``."""
    require("busybox", "setsid")
    with ExitStack() as started:
        yield lambda *arguments, **options: started.enter_context(SerialConsole(*arguments, **options))


@pytest.fixture(scope="session")
def root_folder() -> Path:
    """The folder of the project."""
    return Path(__file__).parent.parent

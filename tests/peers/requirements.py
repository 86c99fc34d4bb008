"""What the tests start, where it comes from, and what happens when it is missing.

``python -m tests.peers.requirements`` installs what is missing when it runs as root, and says what is missing otherwise.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import NoReturn

from tests.peers import environments

PACKAGES = {
    "bash": "bash",
    "busybox": "busybox-static",
    "busybox telnetd": "busybox-static",  # the package busybox has no telnetd
    "chromium": "chromium",
    "curl": "curl",
    "dash": "dash",
    "fish": "fish",
    "hostname": "hostname",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "mount": "mount",
    "nc.openbsd": "netcat-openbsd",
    "nc.traditional": "netcat-traditional",
    "ncat": "ncat",
    "node": "nodejs",
    "npm": "npm",
    "nft": "nftables",
    "nsenter": "util-linux",
    "pdudaemon": "pdudaemon",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "ps": "procps",
    "redis-server": "redis-server",
    "ser2net": "ser2net",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "snmpd": "snmpd",
    "ssh": "openssh-client",
    "ssh-add": "openssh-client",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "start-stop-daemon": "dpkg",
    "su": "util-linux",
    "sudo": "sudo",
    "tcsh": "tcsh",
    "telnet": "inetutils-telnet",
    "telnetd": "inetutils-telnetd",
    "umount": "mount",
    "unshare": "util-linux",
    "useradd": "passwd",
    "vsftpd": "vsftpd",
    "zsh": "zsh",
}
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")


def find(program: str) -> str | None:
    """Return the path of a program, also of one that only root has on its PATH; ``busybox telnetd`` asks for an applet too."""
    name, _, applet = program.partition(" ")
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS]))
    if path is None or not applet:
        return path
    applets = subprocess.run([path, "--list"], capture_output=True, text=True, check=False).stdout.split()
    return path if applet in applets else None


def is_root() -> bool:
    return os.geteuid() == 0


def require(*names: str) -> None:
    """Skip the test unless all of the programs are here; with ``OTTO_PEERS=required`` fail it. ``root`` asks for root."""
    programs = [name for name in names if name != "root" and find(name) is None]
    reasons = [f"{', '.join(programs)} is missing. Install it: {install_command(programs)}"] if programs else []
    if "root" in names and not is_root():
        reasons.append("This test needs root.")
    if reasons:
        miss(" ".join(reasons))


def miss(reason: str) -> NoReturn:
    """Skip the test, which cannot be run here; with ``OTTO_PEERS=required`` fail it."""
    import pytest

    if os.environ.get("OTTO_PEERS") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def install_command(programs: list[str]) -> str:
    packages = sorted({PACKAGES.get(program, program) for program in programs})
    return f"apt-get install --yes {' '.join(packages)}"


def main() -> int:
    return _install_programs() or _make_environments()


def _make_environments() -> int:
    for name in environments.PACKAGES:
        if environments.is_ready(name):
            continue
        try:
            environments.make(name)
        except subprocess.CalledProcessError as error:
            print(f"'{shlex.join(map(str, error.cmd))}' failed with {error.returncode}.", file=sys.stderr)
            return 1
    return 0


def _install_programs() -> int:
    missing = [program for program in PACKAGES if find(program) is None]
    if not missing:
        return 0
    command = install_command(missing)
    if not is_root() or shutil.which("apt-get") is None:
        print(f"Tests that need {', '.join(missing)} will be skipped. To run them: sudo {command}")
        return 0
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get update --quiet", f"{command} --quiet --no-install-recommends"):
        done = subprocess.run(step.split(), env=environment, check=False)
        if done.returncode:
            print(f"'{step}' failed with {done.returncode}.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Tunnels end with their scope, and the command line has them too."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.robot.running import ROOT, run, surroundings

SUITE = """
*** Settings ***
Library    OttoLibrary    lab=demo
Library    Collections

*** Test Cases ***
Opened In A Test
    ${port}=    Start Tunnel    dut1    %d
    Set Suite Variable    ${PORT}    ${port}
    Evaluate    socket.create_connection(("127.0.0.1", ${port}), 5).close()    modules=socket
Gone After It
    Run Keyword And Expect Error    *ConnectionRefusedError*    Evaluate
    ...    socket.create_connection(("127.0.0.1", ${PORT}), 5)    modules=socket
    Run Keyword And Expect Error    Host 'dut1' has no tunnel for port 80. Open: none. 'Start Tunnel' opens one.
    ...    Stop Tunnel    dut1    80
From Each Host Back
    &{ports}=    Open Tunnel For Hosts    tag:dut    %d
    Length Should Be    ${ports}    3
    FOR    ${port}    IN    @{ports.values()}
        Evaluate    socket.create_connection(("127.0.0.1", ${port}), 5).close()    modules=socket
    END
"""


def test_tunnels_end_with_the_test_that_opened_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run(tmp_path, SUITE % (port, port))
    assert done.rc == 0, done.said


def test_the_command_line_opens_one_until_it_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words = [sys.executable, "-m", "OttoLibrary", "tunnel", "demo", "dut1", str(port)]
        with subprocess.Popen(words, cwd=ROOT, env=surroundings(), stdout=subprocess.PIPE, text=True) as command:
            assert command.stdout is not None
            said = command.stdout.readline()
            opened = int(said.split()[0].rpartition(":")[2])
            assert f"127.0.0.1:{port} of 'dut1'" in said
            with socket.create_connection(("127.0.0.1", opened), timeout=20) as client:
                server.settimeout(20)
                accepted, _ = server.accept()
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"
                accepted.close()
            command.send_signal(signal.SIGINT)
            assert command.wait(30) == 0

*** Settings ***
Documentation       Throughput between two hosts. With iperf3 the server is ``iperf3 -s -1``, the client ``iperf3 -c ADDRESS -J``;
...                 here both are a few lines of Python, so that nothing has to be installed.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}          demo
${ADDRESS}      127.0.0.1
${SERVER}       import socket; s = socket.create_server(('127.0.0.1', 0)); print('port', s.getsockname()[1], flush=True)
...             c = s.accept()[0]
...             while c.recv(1 << 16): pass    separator=\n
${CLIENT}       import socket, sys, time; c = socket.create_connection((sys.argv[1], int(sys.argv[2]))); began = time.time()
...             [c.sendall(bytes(1 << 20)) for _ in range(20)]; c.close(); print(20 / (time.time() - began))    separator=\n

*** Test Cases ***
Two Devices Exchange Data Fast Enough
    Start Monitor    dut2    interval=500 ms    metrics=load    store=none
    ${server}=    Start On Host    dut1    python3 -c "${SERVER}"
    ${said}=    Wait Until Command Prints    ${server}    port (\\d+)    timeout=20 s
    ${result}=    Run On Host    dut2    python3 -c "${CLIENT}" ${ADDRESS} ${said.groups}[0]
    Record Metric    dut2    throughput_mib_per_s    ${result.stdout}
    Should Be True    float($result.stdout) > 1

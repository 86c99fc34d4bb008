*** Settings ***
Documentation       A link that gets slow and heals. It needs root on the host: ``--exclude network`` on the demo lab.
...                 ``loss=5 %`` in place of the delay loses packets, where the kernel of the host has netem.
Metadata            Lab    network
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook    network

*** Variables ***
${LAB}          ${EMPTY}
${ACCOUNT}      ${EMPTY}

*** Test Cases ***
The Device Still Answers Over A Slow Link
    Skip If    not $ACCOUNT    Networks can only be changed as root.
    ${neighbour}=    Run On Host    dut1    echo \${SSH_CONNECTION%% *}
    Impair Link    dut1    to=${neighbour.stdout.strip()}    delay=100 ms
    ${slow}=    Run On Host    dut1    true
    Should Be True    ${slow.duration_s} > 0.09
    Heal Link    dut1
    Run On Host    dut1    true

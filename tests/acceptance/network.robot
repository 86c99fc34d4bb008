*** Settings ***
Documentation       The main job on real servers: two hops deep, with SSHLibrary and user changes.
Metadata            Lab    network
Library             OttoLibrary    lab=${LAB}
Library             SSHLibrary

*** Variables ***
${LAB}              ${EMPTY}
${ACCOUNT}          ${EMPTY}

*** Test Cases ***
Run Behind Two Hops
    ${r}=    Run On Host    dut1    cd /usr && echo "$OTTO_PEER in $PWD"    timeout=10 s
    Should Be Equal    ${r.stdout}    dut1 in /usr\n
    &{all}=    Run On Hosts    tag:dut    echo $OTTO_PEER    limit=20
    Should Be Equal    ${all.dut2.stdout}    dut2\n

Talk Behind Two Hops
    Send To Host    dut1    python3\n
    Expect From Host    dut1    >>>${SPACE}
    Send To Host    dut1    6*7\n
    Expect From Host    dut1    ^42
    Send To Host    dut1    exit()\n

SSHLibrary Works On A Host Behind Hops
    Share Host With SSHLibrary    dut1
    ${output}=    Execute Command    echo $OTTO_PEER
    Should Be Equal    ${output}    dut1
    Share Host With SSHLibrary    dut2
    ${output}=    Execute Command    echo $OTTO_PEER
    Should Be Equal    ${output}    dut2
    Switch Connection    dut1
    ${output}=    Execute Command    echo $OTTO_PEER
    Should Be Equal    ${output}    dut1
    [Teardown]    Close All Connections

Another User And Back
    Skip If    not $ACCOUNT    Accounts can only be made as root.
    Switch User On Host    dut2    ${ACCOUNT}    method=su
    ${r}=    Run On Host    dut2    whoami
    Should Be Equal    ${r.stdout}    ${ACCOUNT}\n
    Switch User On Host    dut2
    ${r}=    Run On Host    dut2    whoami
    Should Not Be Equal    ${r.stdout}    ${ACCOUNT}\n

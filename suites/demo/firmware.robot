*** Settings ***
Documentation       A first look: hosts behind a gateway, run, fan out, background, console.
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}      demo

*** Test Cases ***
Firmware Answers Behind A Hop
    [Documentation]    One command in the command shell of a host that only the gateway can reach.
    ${result}=    Run On Host    dut1    ./fw --version    timeout=10 s
    Should Contain    ${result.stdout}    2.1

State Lasts From Call To Call
    [Documentation]    Directory, variables and functions stay, until the suite ends.
    Run On Host    dut1    cd /tmp && STAGE=two && greet() { echo "stage $STAGE in $PWD"; }
    ${result}=    Run On Host    dut1    greet
    Should Be Equal    ${result.stdout}    stage two in /tmp\n
    [Teardown]    Run On Host    dut1    cd

Every Dut Passes Its Self Test
    [Documentation]    One command on many hosts, one table in the log.
    &{all}=    Run On Hosts    tag:dut    ~/fw selftest    limit=20
    FOR    ${name}    ${result}    IN    &{all}
        Should Contain    ${result.stdout}    flash ok    msg=${name} failed
    END

A Failing Command Says Why
    [Documentation]    An exit status other than 0 fails unless the test expects it; stderr is kept apart.
    ${result}=    Run On Host    dut2    ./fw explode    expected_rc=2
    Should Be Empty    ${result.stdout}
    Should Start With    ${result.stderr}    usage:

*** Settings ***
Documentation       Logs of a host are with the test that failed. The listener OttoLibrary.Evidence needs no keyword.
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
A Failure Brings The Log Of The Host
    Write Host File    dut1    cookbook.log    boot\nERROR: no carrier\n
    TRY
        Run On Host    dut1    grep -q 'carrier up' cookbook.log
    EXCEPT
        ${folder}=    Get Artifact Directory
        Get File From Host    dut1    cookbook.log    ${folder}/dut1/    parents=yes
        ${log}=    Get File    ${folder}/dut1/cookbook.log
        Should Contain    ${log}    no carrier
    END
    [Teardown]    Remove Host File    dut1    cookbook.log

*** Settings ***
Documentation       A rolling deploy: one host after the other, each checked before the next; the first bad one stops it.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
Every Device Gets The Build In Turn
    @{names}=    Get Hosts    tag:dut
    FOR    ${name}    IN    @{names}
        Deploy To    ${name}    2.2.0
    END
    [Teardown]    Run On Hosts    tag:dut    rm -rf rolling

A Bad Build Stops At The First Device
    @{names}=    Get Hosts    tag:dut
    TRY
        FOR    ${name}    IN    @{names}
            Deploy To    ${name}    broken
        END
    EXCEPT    *is not healthy*    type=GLOB
        Host File Should Not Exist    ${names}[1]    rolling/version
    ELSE
        Fail    The bad build went to every device.
    END
    [Teardown]    Run On Hosts    tag:dut    rm -rf rolling

*** Keywords ***
Deploy To
    [Documentation]    Puts a build on one host and asks the host whether it is healthy.
    [Arguments]    ${name}    ${version}
    Run On Host    ${name}    mkdir -p rolling
    Write Host File    ${name}    rolling/version    ${version}
    ${health}=    Run On Host    ${name}    grep -q '^[0-9]' rolling/version    expected_rc=any
    IF    ${health.rc} != 0    Fail    ${name} is not healthy with ${version}.

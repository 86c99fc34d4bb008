*** Settings ***
Documentation       Talking to a console, and processes in the background.
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}      demo

*** Test Cases ***
The Lab Is As Drawn
    [Documentation]    The log has a table and a picture of the lab.
    Log Lab
    ${duts}=    Get Hosts    tag:dut NOT dut3
    Should Be Equal    ${duts}    ${{['dut1', 'dut2']}}

Python Calculates On A Console
    [Documentation]    Send and expect, as a person would type.
    Send To Host    dut1    python3\n
    Expect From Host    dut1    >>>${SPACE}
    Send To Host    dut1    6*7\n
    ${match}=    Expect From Host    dut1    ^(\\d+)$    Error
    Should Be Equal    ${match.groups}[0]    42
    Send To Host    dut1    exit()\n

A Question Is Answered
    [Documentation]    A command that asks gets its answers.
    ${result}=    Run On Host    dut2    read -p "Erase flash? " yes && echo "erased: $yes"
    ...    answers=${{{'Erase flash. ': 'y'}}}
    Should Contain    ${result.stdout}    erased: y

A Background Command Ticks
    [Documentation]    Started here, ended at the latest with this test.
    ${ticker}=    Start On Host    dut3    while sleep 0.1; do echo tick; done
    Run On Host    dut3    sleep 0.5
    ${stdout}    ${stderr}=    Stop Command    ${ticker}
    Should Contain    ${stdout}    tick\ntick
    Should Be Empty    ${stderr}

*** Settings ***
Documentation       The same tests on every host, with --prerunmodifier OttoLibrary.EachHost:tag:dut; without it, on one.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}      demo
${HOST}     dut1

*** Test Cases ***
The Host Has Room
    ${result}=    Run On Host    ${HOST}    df -P / | tail -n 1
    Should Match Regexp    ${result.stdout}    \\d+%

The Clock Of The Host Is Right
    ${result}=    Run On Host    ${HOST}    date +%s
    ${difference}=    Evaluate    abs(int($result.stdout) - time.time())
    Should Be True    ${difference} < 300

*** Settings ***
Documentation       Send, expect, read and interrupt.
Library             OttoLibrary    lab=${LAB}

*** Variables ***
${LAB}      demo

*** Test Cases ***
The Console Starts Like The Command Shell
    Run On Host    local    cd /tmp && export STAGE="it's two"
    Send To Host    local    echo "$STAGE in $PWD" | tr a-z A-Z\n
    Expect From Host    local    IT'S TWO IN /TMP

One Of Several Patterns Matches
    Send To Host    dut1    echo code-$((6*7))\n
    ${m}=    Expect From Host    dut1    nothing    code-(\\d+)$
    Should Be Equal As Integers    ${m.index}    1
    Should Be Equal    ${m.groups}[0]    42

An Expectation That Fails Shows What Was There
    Send To Host    dut1    echo something\n
    ${error}=    Run Keyword And Expect Error    *    Expect From Host    dut1    never    timeout=300 ms
    Should Start With    ${error}    Host 'dut1' (through gateway) did not show 'never' in 0.3 seconds.
    Should Contain    ${error}    something

Interrupt Ends What Runs
    Send To Host    dut2    sleep 66\n
    Read From Host    dut2
    Interrupt Host    dut2
    Send To Host    dut2    echo back-$((1+1))\n
    Expect From Host    dut2    back-2    timeout=5 s

Questions Are Answered
    ${r}=    Run On Host    dut1    read -p "user: " u; read -sp "word: " w; echo; echo "<$u><$w>"
    ...    answers=${{{'user: ': 'ann', 'word: ': 'secret-ish'}}}
    Should Contain    ${r.stdout}    <ann><secret-ish>

A Broken Expression Is Told
    Run Keyword And Expect Error
    ...    STARTS: '(' is not a regular expression:
    ...    Expect From Host    dut1    (

*** Settings ***
Documentation       Hosts that are one line: Telnet behind a hop, a board on a serial port, its boot loader.
Metadata            Lab    lines
Library             OperatingSystem
Library             String
Library             OttoLibrary    lab=${LAB}

*** Test Cases ***
A Telnet Host Behind A Hop Is A Host Like Any Other
    ${result}=    Run On Host    rack    cd /usr; echo out; echo err >&2; exit_() { return 3; }; exit_    expected_rc=3
    Should Be Equal    ${result.stdout}    out\n
    Should Be Equal    ${result.stderr}    err\n
    ${result}=    Run On Host    rack    pwd
    Should Be Equal    ${result.stdout}    /usr\n
    Run Keyword And Expect Error
    ...    STARTS: Host 'rack' (through gateway) did not finish 'sleep 30' in 0.5 seconds.
    ...    Run On Host    rack    sleep 30    timeout=500 ms
    Run On Host    rack    pwd

A Telnet Host Runs Things Beside Its Shell
    Run Once On Host    rack    exit 4    expected_rc=4
    ${job}=    Start On Host    rack    echo ticking; sleep 30
    Wait Until Keyword Succeeds    5 s    50 ms    Job Should Say    ${job}    ticking
    Stop Command    ${job}
    Open Shell    rack    other
    Run On Host    rack    cd /tmp    shell=other

A Command Beside A Telnet Shell Starts Where That Is
    Run On Host    rack    cd /usr
    ${job}=    Start On Host    rack    pwd; exit 3
    Wait Until Command Prints    ${job}    ^/usr$    timeout=10 s
    Wait For Command    ${job}    expected_rc=3
    Reset Shell    rack
    ${result}=    Run On Host    rack    pwd
    Should Not Be Equal    ${result.stdout}    /usr\n

A Telnet Host Has A Console
    Send To Host    rack    echo $((6*7))\n
    Expect From Host    rack    ^42
    ${result}=    Run On Host    rack    read -p "Sure? " yes && test $yes = y    answers=${{{'Sure. ': 'y'}}}
    Should Contain    ${result.stdout}    Sure?

A Wrong Password Is Told At Once
    Run Keyword And Expect Error
    ...    Host 'rack-wrong' (through gateway) refused the login: user 'tester': it answered 'Login incorrect'.
    ...    Open Host    rack-wrong

A Board Boots And Is Used
    Expect From Host    loader    stop autoboot    timeout=10 s
    Send To Host    loader    ${SPACE}
    ${result}=    Run On Host    loader    printenv bootdelay    expected_rc=any
    Should Be Equal    ${result.stdout}    bootdelay=2\n
    Run Keyword And Expect Error
    ...    Host 'loader' (profile 'uboot') has no exit status; pass expected_rc=any.
    ...    Run On Host    loader    printenv
    Send To Host    loader    boot\n
    Expect From Host    loader    box login:    timeout=10 s
    Close Host    loader
    ${result}=    Run On Host    board    uname; pwd
    Should Start With    ${result.stdout}    Linux\n

A Board Has One Line
    Run Keyword And Expect Error
    ...    STARTS: Host 'board' has one line only, its serial console
    ...    Run Once On Host    board    true

All That A Board Said Is On File
    ${text}=    Get File    ${OUTPUT DIR}/otto/console-loader.log
    Should Match Regexp    ${text}    (?m)^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3}\\S+ CPU: +TEST9000 rev 1\\.2$
    ${text}=    Get File    ${OUTPUT DIR}/otto/console-board.log
    Should Not Contain    ${text}    board-word

*** Keywords ***
Job Should Say
    [Documentation]    A job in the background has said something.
    [Arguments]    ${job}    ${text}
    ${output}=    Get Command Output    ${job}
    Should Contain    ${output}[0]    ${text}

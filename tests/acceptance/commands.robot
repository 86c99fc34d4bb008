*** Settings ***
Documentation       Every promise about commands, through keywords.
Library             OttoLibrary    lab=${LAB}

*** Variables ***
${LAB}      demo
# Part of what pgrep looks for: this suite may run twice at once on one machine.
${OWN}      ${{__import__('os').getpid()}}

*** Test Cases ***
Streams And Bytes Are Exact
    ${r}=    Run On Host    dut1    printf 'a\\n\\n b \\n\\n'; printf 'e\\n' >&2
    Should Be Equal    ${r.stdout}    a\n\n b \n\n
    Should Be Equal    ${r.stderr}    e\n
    ${r}=    Run On Host    dut1    printf 'x\\377y'
    Should Be Equal    ${r.stdout}    x\\xffy

Syntax Errors Are Told At Once
    [Timeout]    5 s
    ${r}=    Run On Host    dut1    echo 'unclosed    expected_rc=2
    Should Contain    ${r.stderr}    unexpected EOF
    ${r}=    Run On Host    dut1    if then fi    expected_rc=2
    Should Contain    ${r.stderr}    syntax error

Comments Heredocs And Readers Do Not Hang
    [Timeout]    10 s
    ${r}=    Run On Host    dut1    echo a \# comment
    Should Be Equal    ${r.stdout}    a\n
    ${r}=    Run On Host    dut1    cat <<EOF\nb\nEOF
    Should Be Equal    ${r.stdout}    b\n
    Run On Host    dut1    cat
    Run On Host    dut1    sleep 30 &
    Run On Host    dut1    kill %1 2>/dev/null || kill $!

An Exit Gets A New Shell
    Run On Host    dut1    cd /tmp
    ${r}=    Run On Host    dut1    exit 3    expected_rc=3
    Should Be True    ${r.shell_ended}
    ${r}=    Run On Host    dut1    pwd
    Should Not Be Equal    ${r.stdout}    /tmp\n

A Failure Shows The Last Lines Of Stderr
    Run Keyword And Expect Error
    ...    STARTS: Host 'dut1' (through gateway): command 'ls /nope' exited with 2, expected 0.\nLast lines of stderr:\nls:
    ...    Run On Host    dut1    ls /nope
    Run On Host    dut1    ls /nope    expected_rc=any
    Run On Host    dut1    exit 7    expected_rc=${{[0, 7]}}

A Time Out Ends The Command And Keeps The Shell
    Run On Host    dut2    cd /tmp && KEPT=yes
    Run Keyword And Expect Error
    ...    STARTS: Host 'dut2' (through gateway) did not finish 'echo part; sleep 77.${OWN}' in 0.3 seconds.\nLast output:\npart
    ...    Run On Host    dut2    echo part; sleep 77.${OWN}    timeout=300 ms
    ${r}=    Run On Host    dut2    echo $KEPT $PWD; pgrep -x -f 'sleep 77.${OWN}' || echo gone
    Should Be Equal    ${r.stdout}    yes /tmp\ngone\n

Cwd Counts For One Command
    Run On Host    dut2    cd /
    ${r}=    Run On Host    dut2    pwd    cwd=/usr
    Should Be Equal    ${r.stdout}    /usr\n
    ${r}=    Run On Host    dut2    pwd
    Should Be Equal    ${r.stdout}    /\n

A Fan Out Names Every Failure
    ${error}=    Run Keyword And Expect Error    *    Run On Hosts    tag:dut    test $OTTO_DEMO_HOST \= dut1
    Should Start With    ${error}    'test $OTTO_DEMO_HOST = dut1' failed on 2 of 3 hosts:
    Should Contain    ${error}    Host 'dut2'
    Should Contain    ${error}    Host 'dut3'

Run Once Has No State
    Run On Host    dut1    export SEEN=yes
    ${r}=    Run Once On Host    dut1    echo "[$SEEN]"; exit 4    expected_rc=4
    Should Be Equal    ${r.stdout}    []\n

Background Commands Wait And Stop
    ${job}=    Start On Host    dut1    echo ready; sleep 0.2; exit 5
    ${r}=    Wait For Command    ${job}    timeout=5 s    expected_rc=5
    Should Be Equal    ${r.stdout}    ready\n
    ${job}=    Start On Host    dut1    echo begun; sleep 88.${OWN}
    Wait Until Keyword Succeeds    5 s    50 ms    Output Should Begin    ${job}
    Stop Command    ${job}
    Run On Host    dut1    pgrep -x -f 'sleep 88.${OWN}'    expected_rc=1

A Background Command Is Watched By Its Lines
    ${job}=    Start On Host    dut1    echo booting; sleep 0.2; echo 'ready on 80' >&2; sleep 66.${OWN}
    ${match}=    Wait Until Command Prints    ${job}    ^ready on (\\d+)$    timeout=10 s
    Should Be Equal    ${match.groups}[0]    80
    Wait Until Command Prints    ${job}    booting    timeout=10 s
    Command Should Be Running    ${job}
    Run Keyword And Expect Error
    ...    STARTS: Host 'dut1' (through gateway) printed no line that matches 'never' from 'echo booting; sleep
    ...    Wait Until Command Prints    ${job}    never    timeout=200 ms
    Command Should Be Running    ${job}

A Background Command That Has Ended Says How
    ${job}=    Start On Host    dut1    echo gave up; exit 7
    Run Keyword And Expect Error
    ...    *: command 'echo gave up; exit 7' exited with 7 before it printed a line that matches 'ready'.\nLast output:\ngave up
    ...    Wait Until Command Prints    ${job}    ready    timeout=10 s
    Run Keyword And Expect Error
    ...    Host 'dut1' (through gateway): command 'echo gave up; exit 7' exited with 7 already.*
    ...    Command Should Be Running    ${job}
    ${stdout}    ${stderr}=    Stop Command    ${job}
    Should Be Equal    ${stdout}${stderr}    gave up\n

A Background Command Begins Where The Shell Is
    Run On Host    dut1    cd /usr
    ${job}=    Start On Host    dut1    pwd
    ${r}=    Wait For Command    ${job}
    Should Be Equal    ${r.stdout}    /usr\n
    ${job}=    Start On Host    dut1    pwd    cwd=/tmp
    ${r}=    Wait For Command    ${job}
    Should Be Equal    ${r.stdout}    /tmp\n

A Shell Begins Anew When It Is Asked To
    ${fresh}=    Run Once On Host    dut1    pwd
    Run On Host    dut1    cd /usr && LEFT=over
    Reset Shell    dut1
    ${r}=    Run On Host    dut1    echo "[$LEFT]"; pwd
    Should Be Equal    ${r.stdout}    []\n${fresh.stdout}
    Run Keyword And Expect Error    *has no open shell 'other'.*    Reset Shell    dut1    shell=other

An Extra Shell Begins Anew Under Its Name
    Open Shell    dut1    side
    Run On Host    dut1    LEFT=over    shell=side
    Reset Shell    dut1    shell=side
    ${r}=    Run On Host    dut1    echo "[$LEFT]"    shell=side
    Should Be Equal    ${r.stdout}    []\n
    [Teardown]    Close Shell    dut1    side

A Background Command Is Left Running
    Start On Host    dut3    sleep 99.${OWN}

The Test Before Has Cleaned Up
    Run On Host    dut3    pgrep -x -f 'sleep 99.${OWN}'    expected_rc=1

Extra Shells Are Apart
    Open Shell    dut1    two
    Run On Host    dut1    WHO=second    shell=two
    ${r}=    Run On Host    dut1    echo "[$WHO]"
    Should Be Equal    ${r.stdout}    []\n
    ${r}=    Run On Host    dut1    echo "[$WHO]"    shell=two
    Should Be Equal    ${r.stdout}    [second]\n

Extra Shells End With Their Test
    Run Keyword And Expect Error
    ...    Host 'dut1' has no open shell 'two'. Open: none. Open it with 'Open Shell'.
    ...    Run On Host    dut1    true    shell=two

Long Output Is A File Beside The Log
    ${r}=    Run On Host    dut1    seq 1 100000
    Length Should Be    ${r.stdout}    588895

Unknown Hosts Get A Suggestion
    Run Keyword And Expect Error
    ...    No host named 'dut4'. Did you mean 'dut3'? Known: dut1, dut2, dut3, gateway, local.
    ...    Run On Host    dut4    true

*** Keywords ***
Output Should Begin
    [Documentation]    Fails until the background command has said its first line.
    [Arguments]    ${job}
    ${output}=    Get Command Output    ${job}
    Should Be Equal    ${output}[0]    begun\n

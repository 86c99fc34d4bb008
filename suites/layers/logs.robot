*** Settings ***
Documentation       What hosts wrote during a test is checked, also after a rotation, and kept with the log of the run.
Library             OttoLibrary    lab=${LAB}
Resource            OttoLibrary/resources/logs.resource
Test Setup          Begin And Mark Logs
Test Tags           demo

*** Variables ***
${LAB}      demo

*** Test Cases ***
Nothing Bad Is Written
    [Documentation]    Only what was written since the mark counts.
    Run On Hosts    tag:dut    echo "self test passed" >> ~/log/app.log
    New Log Lines Should Contain    tag:dut    passed
    New Log Lines Should Not Match    tag:dut    ERROR|FATAL
    ${lines}=    Get New Log Lines    dut2    ~/log/app.log
    Should Be Equal    ${lines}    ${{['self test passed']}}

An Error Is Found After A Rotation
    [Documentation]    The log was renamed and packed meanwhile; the message names the host, the log and the lines.
    Run On Host    dut1    echo "ERROR: disk <sda>" >> app.log; gzip app.log; mv app.log.gz app.log.1.gz; echo well > app.log
    ...    cwd=log
    ${lines}=    Get New Log Lines    dut1    ~/log/app.log
    Should Be Equal    ${lines}    ${{['ERROR: disk <sda>', 'well']}}
    Run Keyword And Expect Error
    ...    New log lines match 'ERROR'.\nHost 'dut1' wrote to '~/log/app.log', 1 of 2 new lines:\nERROR: disk <sda>
    ...    New Log Lines Should Not Match    tag:dut    ERROR

What Comes Later Is Waited For
    [Documentation]    A text that a host writes in a moment.
    Start On Host    dut3    sleep 0.5; echo "ready for work" >> ~/log/app.log
    New Log Lines Should Contain    dut3    ready for    timeout=10 s

Logs Are Kept With The Run
    [Documentation]    Files, patterns and commands; the table in the log has links.
    ${folder}=    Collect Logs    tag:dut    ~/log/app*    command:~/fw selftest    limit_mb=1
    ${text}=    Evaluate    pathlib.Path($folder, 'dut2', 'command-_fw_selftest.txt').read_text()    modules=pathlib
    Should Contain    ${text}    flash ok

*** Keywords ***
Begin And Mark Logs
    [Documentation]    Each test, and each run of one, begins with a log of its own.
    Run On Hosts    tag:dut    mkdir -p ~/log && rm -f ~/log/app* && echo "app 1.0 starts" > ~/log/app.log
    Mark Logs    tag:dut    ~/log/app.log

*** Settings ***
Documentation       The keyword layers when one host of several does not answer.
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB},${DEAD}
Resource            OttoLibrary/resources/deploy.resource
Resource            OttoLibrary/resources/health.resource
Resource            OttoLibrary/resources/logs.resource
Suite Teardown      Remove File    ${DEAD}

*** Variables ***
${LAB}          demo
${DEAD}         ${TEMPDIR}/otto-dead-${{__import__('os').getpid()}}.json
${NOT THERE}    Host 'dead': reachable: Host 'dead' cannot be reached: *

*** Test Cases ***
A Host That Does Not Answer Is A Row Among The Others
    [Setup]    Create File    ${DEAD}    {"hosts": {"dead": {"address": "127.0.0.1", "port": 1}}}
    Run Keyword And Expect Error    1 of 2 hosts are not healthy:\n${NOT THERE}    Hosts Should Be Reachable    dut1 OR dead
    Run Keyword And Expect Error    2 of 2 hosts are not healthy:\nHost 'dut1': port 1: nobody listens*\n${NOT THERE}
    ...    Host Port Should Listen    dut1 OR dead    1

Nothing Is Deployed Anywhere When One Does Not Answer
    Create File    ${TEMPDIR}/otto-app    1.0
    ${error}=    Run Keyword And Expect Error    *    Deploy Build    dut1 OR dead    ${TEMPDIR}/otto-app    to=~/lost
    Should Match    ${error}
    ...    Build 'otto-app-*' was not deployed anywhere: *failed on 1 of 2 hosts:\nHost 'dead' cannot be reached*
    # A script is named by its first line, not shown as a whole.
    Should Not Contain    ${error}    set +efu
    Host File Should Not Exist    dut1    ~/lost

What Can Be Had Is Collected
    Run Keyword And Expect Error    Not all logs could be collected.\nHost 'dead': all: Host 'dead' cannot be reached*
    ...    Collect Logs    dead OR dut1    command:uname    timeout=20 s
    ${folder}=    Get Artifact Directory
    File Should Exist    ${folder}/dut1/command-uname.txt
    Run Keyword And Expect Error    Not all logs could be collected.\nHost 'dut1': /no/such*: There is no such file.
    ...    Collect Logs    dut1    /no/such*    ~/fw
    Run Keyword And Expect Error    Not all logs could be collected.\nHost 'dut1': /*/fw: left out, total_mb is used up
    ...    Collect Logs    dut1    ~/fw    total_mb=0.0001

The End Of A Long Log Is Collected
    Run On Host    dut1    for i in $(seq 2000); do echo "line $i"; done > long.log; printf '\\377\\000' > odd.bin
    ${folder}=    Collect Logs    dut1    ~/long.log    ~/odd.bin    limit_mb=0.001
    ${files}=    Evaluate    {path.name: path for path in pathlib.Path($folder).rglob('*')}
    ${end}=    Get File    ${files}[long.log.end.txt]
    Should End With    ${end}    line 1999\nline 2000\n
    Should Be Equal As Integers    ${{$files['long.log.end.txt'].stat().st_size}}    1000
    Should Be Equal As Integers    ${{$files['odd.bin.txt'].stat().st_size}}    2

Marks Are Asked For
    Run Keyword And Expect Error    No log of host 'dut2' is marked. Use 'Mark Logs' first.
    ...    New Log Lines Should Not Match    dut2    ERROR
    Mark Logs    dut2    ~/later.log
    Run Keyword And Expect Error    Host 'dut2' has no mark of '/other', only of ~/later.log. Use 'Mark Logs'.
    ...    Get New Log Lines    dut2    /other
    Run Keyword And Expect Error    The log '~/later.log' of host 'dut2' does not exist any more.
    ...    New Log Lines Should Not Match    dut2    ERROR
    Run On Host    dut2    echo first > later.log
    New Log Lines Should Contain    dut2    first
    Run Keyword And Expect Error    Host 'dut2' wrote no 'second' since the mark, but 1 other lines. The last: 'first'
    ...    New Log Lines Should Contain    dut2    second

A Log That Is Another One Now Is Told
    Run On Host    dut2    echo other > later.log
    Mark Logs    dut2    ~/later.log
    Run On Host    dut2    echo new > later.log
    Run Keyword And Expect Error
    ...    The log '~/later.log' of host 'dut2' was rotated, and the file with the mark cannot be found.
    ...    New Log Lines Should Not Match    dut2    ERROR

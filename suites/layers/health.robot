*** Settings ***
Documentation       Are the hosts fit for testing? One table in the log, one message with everything that is wrong.
Library             OttoLibrary    lab=${LAB}
Resource            OttoLibrary/resources/health.resource
Test Tags           demo

*** Variables ***
${LAB}      demo

*** Test Cases ***
The Bench Is Fit
    [Documentation]    The check before a long run; a busy machine serves the demo lab, so the limits are wide.
    Hosts Should Be Healthy    tag:dut    disk_free=0    inodes_free=0    memory_free=1    load=200    clock_offset=10 s

Its Services Are There
    [Documentation]    A process by its name and by its command line, and the port of the gateway.
    Start On Host    dut1    sleep 61
    ${gateway}=    Get Host    gateway
    Host Process Should Run    dut1    sleep,sleep 61
    Host Port Should Listen    gateway    ${gateway.port}

All That Is Wrong Is Told At Once
    [Documentation]    The checks that failed, with reading and limit, for each host.
    ${error}=    Run Keyword And Expect Error    *    Hosts Should Be Healthy    dut1 OR dut3    disk_free=101    memory_free=0
    ...    load=None    inodes_free=None    folders=/,/no/such    processes=no-such-app    ports=1
    ${wrong}=    Catenate    disk /: \\d+ % free \\(wanted: at least 101 % free\\);
    ...    disk /no/such: no such file system \\(wanted: at least 101 % free\\);
    ...    process no-such-app: does not run \\(wanted: runs\\);
    ...    port 1: nobody listens \\(wanted: listens\\)\\.
    Should Match Regexp    ${error}    ^2 of 2 hosts are not healthy:\nHost 'dut1': ${wrong}\nHost 'dut3': ${wrong}$

Errors Of The Kernel Count From A Time On
    [Documentation]    A dmesg of the test stands in for the kernel's: one old message, one of now, one without a time.
    [Setup]    Run On Host    dut2    mkdir -p ~/bin; PATH=~/bin:$PATH
    Say By Kernel    [${SPACE*4}0.100000] BUG: long ago\n
    Kernel Should Be Healthy    dut2    since=1 s
    Run Keyword And Expect Error
    ...    EQUALS: Host 'dut2': kernel: 1 errors, the last: [${SPACE*4}0.100000] BUG: long ago (wanted: no errors).
    ...    Kernel Should Be Healthy    dut2
    Say By Kernel    [99999999999.5] Out of memory: Killed process 7 (app)\n
    Run Keyword And Expect Error    Host 'dut2': kernel: 1 errors, * Out of memory: Killed process 7 (app) (wanted: no errors).
    ...    Kernel Should Be Healthy    dut2    since=1 s
    Say By Kernel    Oops: 0002 without a time\n
    Run Keyword And Expect Error    Host 'dut2': kernel: 1 errors, *    Kernel Should Be Healthy    dut2    since=1 s
    [Teardown]    Run On Host    dut2    rm ~/bin/dmesg

A Wrong Clock Is Told
    [Documentation]    A date of the test, two minutes behind.
    [Setup]    Run On Host    dut3    mkdir -p ~/bin; PATH=~/bin:$PATH
    Write Host File    dut3    bin/date    \#!/bin/sh\necho $(($(/bin/date +%s) - 120))\n    mode=0755
    Clock Should Be Right    dut3    offset=3 min
    ${error}=    Run Keyword And Expect Error    *    Clock Should Be Right    tag:dut    offset=30 s
    Should Match Regexp    ${error}
    ...    ^1 of 3 hosts are not healthy:\nHost 'dut3': clock: -1\\d\\d\\.\\d s \\(wanted: at most 30 s\\)\\.$
    [Teardown]    Run On Host    dut3    rm ~/bin/date

*** Keywords ***
Say By Kernel
    [Documentation]    Puts a dmesg on the host that prints a text.
    [Arguments]    ${text}
    Write Host File    dut2    bin/messages    ${text}
    Write Host File    dut2    bin/dmesg    \#!/bin/sh\ncat ~/bin/messages\n    mode=0755

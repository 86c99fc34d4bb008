*** Settings ***
Documentation       A soak: events that come due again and again, and a host that is disturbed meanwhile.
...                 ``--variable "SOAK:8 h"`` makes a night of it.
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}      demo
${SOAK}     1 s
${BUSY}     500 ms

*** Test Cases ***
The Firmware Answers While A Host Is Busy
    [Documentation]    One core is kept busy for a while, and is free again after; the log has a timeline, charts the cpu.
    Start Monitor    tag:dut    interval=300 ms    metrics=cpu,memory,load
    Add Scenario Event    ask    command=~/fw --version    hosts=tag:dut    every=400 ms    jitter=50 ms    overlap=queue
    Add Scenario Event    measure    keyword=Measure Answer    every=1 s
    Add Scenario Event    burn    fill=dut2 cpu 1    start_after=${BUSY}    for=${BUSY}    times=1    every=1 h
    &{found}=    Run Scenario    duration=${SOAK}
    Should Be True    ${found.ask.run} >= 1
    Scenario Should Meet    failures=0

*** Keywords ***
Measure Answer
    [Documentation]    Reports how long the firmware takes to answer; charts show it beside cpu and memory.
    ${result}=    Run On Host    dut1    ~/fw --version
    Report From Event    answer=${{$result.duration_s * 1000}} ms    host=dut1

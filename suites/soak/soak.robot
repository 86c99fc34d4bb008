*** Settings ***
Documentation       A long test as events that come due: in a file, or in the suite. Copy this folder, and write your own.
Library             OttoLibrary    lab=${LAB}
Library             soak_events.py
Test Tags           demo

*** Variables ***
${LAB}      demo
${LENGTH}   3 s    # robot --variable LENGTH:8h suites/soak

*** Test Cases ***
The Firmware Answers For A While
    [Documentation]    The description says what happens when; the monitor shows what hosts did meanwhile.
    Start Monitor    tag:dut    interval=200 ms    metrics=cpu,load
    Run Scenario    soak.json
    Scenario Should Meet    failures=0    late_p99<10 s    ask.run>=2

Two Things At Once
    [Documentation]    Events may be written in the suite too.
    Add Scenario Event    measure    keyword=Measure Answer    every=500 ms    name of host=dut1
    Add Scenario Event    ask    command=~/fw selftest    hosts=dut2    every=400 ms    jitter=50 ms    overlap=queue
    &{found}=    Run Scenario    duration=2 s
    Should Be True    ${found.measure.run} >= 1

Trouble Heals And Is Counted
    [Documentation]    A disk that fills up, an event that fails, and a long one that ends with the scenario.
    Start Monitor    tag:dut    interval=500 ms    metrics=cpu,load
    Add Scenario Event    play    function=play_until_the_end
    Add Scenario Event    disk    fill=dut1 disk 1 MiB    every=1 s    for=300 ms    overlap=queue
    Add Scenario Event    broken    keyword=Broken Self Test    every=1 s    on_error=continue
    &{found}=    Run Scenario    duration=${LENGTH}
    Should Be True    ${found.broken.failed} == ${found.broken.run} and ${found.disk.failed} == 0
    Scenario Should Meet    play.run=1    play.failures=0    disk.run>=1

*** Keywords ***
Broken Self Test
    [Documentation]    Fails, as a host does that is not as it should be; the log has each failure.
    Run On Host    dut2    ~/fw selftest && false

Self Test Passes
    [Documentation]    Fails when the firmware of a host fails its self test.
    [Arguments]    ${host}
    Run On Host    ${host}    ~/fw selftest

Measure Answer
    [Documentation]    Reports how long the firmware takes to answer; charts show it beside cpu and memory.
    [Arguments]    ${name of host}
    ${result}=    Run On Host    ${name of host}    ~/fw --version
    Report From Event    answer=${{$result.duration_s * 1000}} ms    host=${name of host}

Collect Report
    [Documentation]    Runs after the end, however that came.
    ${result}=    Run On Host    dut1    ~/fw --version
    Log    ${result.stdout}

*** Settings ***
Documentation       What hosts do while tests run: charts in the log, limits that fail a test, spans, numbers for other tools.
Library             OttoLibrary    lab=${LAB}
Suite Setup         Start Monitor    tag:dut    interval=200 ms    metrics=cpu,memory,load
Test Tags           demo

*** Variables ***
${LAB}      demo

*** Test Cases ***
A Self Test Stays Within Its Limits
    [Documentation]    The memory is watched while it runs; the test fails by itself when a limit is broken.
    Fail If Metric    tag:dut    memory    max    >    99 %
    Run On Hosts    tag:dut    ~/fw selftest
    Get Metric    dut1    load    max    <    1000
    Log Metrics    dut1

A Load Has A Name In The Charts
    [Documentation]    A span is a stretch of time to query, a mark is a moment.
    Start Monitor Span    burn-in
    Run On Host    dut1    for i in $(seq 20000); do :; done; sleep 0.5
    Mark Monitor Event    the load is over    host=dut1
    Run On Host    dut1    sleep 0.3
    End Monitor Span    burn-in
    ${percent}=    Get Metric    dut1    cpu    max    span=burn-in
    Log    The busiest moment of the burn-in: ${percent} %

Own Measurements Are Readings Too
    [Documentation]    What the suite measured itself is checked, charted and exported like any other reading.
    FOR    ${host}    IN    dut1    dut2    dut3
        ${result}=    Run On Host    ${host}    ~/fw --version
        Record Metric    ${host}    answer_s    ${result.duration_s}
        Get Metric    ${host}    answer_s    max    <    10 s
    END
    Export Metrics    metrics.csv

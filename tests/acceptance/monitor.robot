*** Settings ***
Documentation       Every promise about watching hosts, through keywords.
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}

*** Variables ***
${LAB}      demo

*** Test Cases ***
The Usual Metrics Of All Hosts Are Read
    Start Monitor    interval=100 ms    store=none
    FOR    ${host}    IN    local    gateway    dut1    dut2    dut3
        ${percent}=    Get Metric    ${host}    cpu
        Should Be True    0 <= ${percent} <= 100
        Get Metric    ${host}    memory    last    >    0
        Get Metric    ${host}    disk    last    >    0
        Get Metric    ${host}    network    last    >=    0
        Get Metric    ${host}    load    last    >=    0
    END

A Monitor Ends With Its Test
    Run Keyword And Expect Error
    ...    No monitor is running. Start one with 'Start Monitor' or with '--listener OttoLibrary.Metrics'.
    ...    Get Metric    dut1    cpu

A Second Start Joins The First And Gives Back What It Added
    Start Monitor    dut1    interval=1 s    metrics=load    store=none
    Start Monitor    dut1 OR dut2    interval=100 ms    metrics=memory
    Get Metric    dut2    memory
    Get Metric    dut1    load
    ${found}=    Stop Monitor
    Should Be Equal    ${found.dut2.memory_used_percent.host}    dut2
    Run Keyword And Expect Error
    ...    No watched host is selected by 'dut2'. Watched: dut1.
    ...    Fail If Metric    dut2    memory    max    >    100
    Stop Monitor
    Run Keyword And Expect Error    No monitor is running. *    Stop Monitor
    Start Monitor    dut1    interval=100 ms    metrics=load    store=none

An Interval That Is Too Short Is Refused
    [Template]    Run Keyword And Expect Error
    An interval of 0.01 s is too short. The shortest is 0.1 s.    Start Monitor    dut1    interval=10 ms
    An interval of 0 s is too short. The shortest is 0.1 s.    Start Monitor    dut1    interval=0

Mistakes Are Told At Once
    Run Keyword And Expect Error
    ...    STARTS: No metric named 'cpuu'. Did you mean 'cpu'? Known: cpu, disk,
    ...    Start Monitor    dut1    metrics=cpuu
    Run Keyword And Expect Error
    ...    Metric 'process:' is not written like this. Write 'process:NAME'.
    ...    Start Monitor    dut1    metrics=process:
    Run Keyword And Expect Error
    ...    No host of the lab is selected by 'tag:nobody'. 'Get Hosts' shows what a selection gives.
    ...    Start Monitor    tag:nobody
    Create File    ${OUTPUT DIR}/no recording.db    just text
    Run Keyword And Expect Error
    ...    '${OUTPUT DIR}/no recording.db' is not a recording of OttoLibrary.
    ...    Start Monitor    dut1    store=no recording.db
    # None of them has left a monitor behind.
    Start Monitor    dut1    interval=100 ms    metrics=load    store=none

The Statistics Are Returned
    Start Monitor    dut1 OR local    interval=100 ms    metrics=load,memory    store=none
    Get Metric    dut1    load
    Get Metric    local    load
    ${found}=    Stop Monitor
    FOR    ${host}    IN    dut1    local
        Should Be True    $found[$host].load_1min.count >= 1
        Should Be True    $found[$host].memory_used_percent.unit == '%'
        Should Be True    $found[$host].load_1min.min <= $found[$host].load_1min.mean <= $found[$host].load_1min.max
    END
    Should Not Contain    ${found}    dut2

A Statistic Is Asked And Checked
    Start Monitor    dut1    interval=100 ms    metrics=memory,load    store=none
    ${bytes}=    Get Metric    dut1    memory_used_bytes    min    >    1 MiB
    Get Metric    dut1    memory_used_bytes    max    >=    ${bytes}
    Get Metric    dut1    load    slope    last=1 min
    Get Metric    dut1    memory    max    validate    0 < value < 100
    Run Keyword And Expect Error
    ...    REGEXP: Metric 'memory' of host 'dut1' max \\S+ % should be less than 0 % \\(at [\\d:]{8}, since [\\d:]{8}\\)\\.
    ...    Get Metric    dut1    memory    max    <    0
    Run Keyword And Expect Error
    ...    too much memory
    ...    Get Metric    dut1    memory    max    <    0 %    message=too much memory
    Run Keyword And Expect Error
    ...    '5 MiB' is not a value to compare with. Write a number in %, or one with its unit.
    ...    Get Metric    dut1    memory    max    <    5 MiB
    Run Keyword And Expect Error
    ...    No watched host named 'dut2'. Did you mean 'dut1'? Known: dut1.
    ...    Get Metric    dut2    load
    Run Keyword And Expect Error
    ...    STARTS: No metric or series named 'memry'. Did you mean 'memory'? Known:
    ...    Get Metric    dut1    memry

No Reading Is Told With Those There Are
    Start Monitor    dut1    interval=100 ms    metrics=cpu    store=none
    Get Metric    dut1    cpu
    Run Keyword And Expect Error
    ...    STARTS: Metric 'cpu[999]' of host 'dut1' has no reading of 'cpu_percent[999]' in this period. Series with readings:
    ...    Get Metric    dut1    cpu[999]    timeout=200 ms

A Limit That Is Kept Fails Nothing
    # One that is broken fails its test whatever the test expects: tests/robot/test_metrics_listener.py.
    Start Monitor    dut1    interval=100 ms    metrics=memory,load    store=none
    Fail If Metric    dut1    memory    max    >    100 %
    Fail If Metric    dut1    load    max    >    5000    at_once=yes
    Get Metric    dut1    memory

A Limit Needs A Host That Is Watched
    Run Keyword And Expect Error    No monitor is running. *    Fail If Metric    dut1    cpu    max    >    90
    Start Monitor    dut1    interval=100 ms    metrics=memory    store=none
    Run Keyword And Expect Error
    ...    No watched host is selected by 'dut2'. Watched: dut1.
    ...    Fail If Metric    dut2    memory    max    >    90
    Run Keyword And Expect Error
    ...    'hot' is not a value to compare with. Write a number in %, or one with its unit.
    ...    Fail If Metric    dut1    memory    max    >    hot

Own Readings Count As Any Other
    Start Monitor    dut1    interval=100 ms    metrics=load    store=none
    FOR    ${latency}    IN    10    30    20
        Record Metric    dut1    latency_ms    ${latency}
    END
    Get Metric    dut1    latency_ms    max    ==    30
    Get Metric    dut1    latency_ms    last    ==    0.02 s
    Get Metric    dut1    latency_ms    delta    ==    10
    ${mean}=    Get Metric    dut1    latency_ms    mean
    Should Be Equal As Numbers    ${mean}    20
    Run Keyword And Expect Error
    ...    No watched host named 'dut2'. Did you mean 'dut1'? Known: dut1.
    ...    Record Metric    dut2    latency_ms    5
    Run Keyword And Expect Error
    ...    The reading of 'latency_ms' is nan. Only finite numbers can be recorded.
    ...    Record Metric    dut1    latency_ms    nan
    Run Keyword And Expect Error
    ...    A reading needs the name of a series, such as 'latency_ms'.
    ...    Record Metric    dut1    ${EMPTY}    5

Events Are Marked
    Start Monitor    dut1    interval=100 ms    metrics=load
    Mark Monitor Event    everywhere
    Mark Monitor Event    only here    host=dut1
    Run Keyword And Expect Error
    ...    No watched host named 'dut2'. Did you mean 'dut1'? Known: dut1.
    ...    Mark Monitor Event    nowhere    host=dut2
    Get Metric    dut1    load
    ${file}=    Export Metrics    events.jsonl
    ${kept}=    Get File    ${file}
    Should Contain    ${kept}    everywhere
    Should Contain    ${kept}    only here

A Span Is Asked About
    Start Monitor    dut1    interval=100 ms    metrics=load    store=none
    Start Monitor Span    warm-up
    Get Metric    dut1    load    last    span=warm-up
    Record Metric    dut1    latency_ms    10
    End Monitor Span    warm-up
    Record Metric    dut1    latency_ms    99
    Get Metric    dut1    latency_ms    max    ==    10    span=warm-up
    Get Metric    dut1    latency_ms    max    ==    99

Spans Have Names
    Start Monitor    dut1    interval=100 ms    metrics=load    store=none
    Start Monitor Span    warm-up
    Run Keyword And Expect Error
    ...    The span 'warm-up' is open already. End it with 'End Monitor Span', or give this one another name.
    ...    Start Monitor Span    warm-up
    End Monitor Span    warm-up
    Run Keyword And Expect Error    No open span named 'warm-up'. Known: none.    End Monitor Span    warm-up
    Run Keyword And Expect Error
    ...    No span named 'warmup'. Did you mean 'warm-up'? Known: warm-up.
    ...    Get Metric    dut1    load    span=warmup

Charts Are Logged On Demand
    Start Monitor    dut1 OR local    interval=100 ms    metrics=load    store=none
    Get Metric    dut1    load
    Get Metric    local    load
    Log Metrics
    Log Metrics    dut1    last=1 min
    Run Keyword And Expect Error
    ...    No watched host is selected by 'dut2'. Watched: local, dut1.
    ...    Log Metrics    dut2

A Recording Has Its Place
    Start Monitor    dut1    interval=100 ms    metrics=load    store=own/recording.db    label=acceptance
    Get Metric    dut1    load
    Stop Monitor
    File Should Exist    ${OUTPUT DIR}/own/recording.db

Readings Are Written For Other Tools
    Start Monitor    dut1    interval=100 ms    metrics=load
    Get Metric    dut1    load
    ${csv}=    Export Metrics    load.csv
    Should Be Equal    ${csv}    ${OUTPUT DIR}/load.csv
    File Should Have Line    ${csv}    host,series,unit,time,uptime_s,value
    File Should Have Line    ${csv}    dut1,load_1min,,\\d{4}-\\d\\d-\\d\\dT[^,]+,[\\d.]+,[\\d.]+
    ${prometheus}=    Export Metrics    load.txt
    File Should Have Line    ${prometheus}    otto_load_1min{host="dut1"} [\\d.]+ \\d+
    ${influx}=    Export Metrics    load.out    format=influx    last=1 min
    File Should Have Line    ${influx}    load_1min,host=dut1 value=[\\d.]+ \\d{19}

A Format Is Known By The Ending
    Start Monitor    dut1    interval=100 ms    metrics=load
    Run Keyword And Expect Error
    ...    No format of metrics named '.xls'. Known: csv, influx, jsonl, prometheus.
    ...    Export Metrics    load.xls

Without A Recording There Is Nothing To Export
    Start Monitor    dut1    interval=100 ms    metrics=load    store=none
    Get Metric    dut1    load
    Run Keyword And Expect Error
    ...    There is nothing to export: the monitor was started with store=none.
    ...    Export Metrics    load.csv

*** Keywords ***
File Should Have Line
    [Documentation]    Fails unless a whole line of the file is as the pattern says.
    [Arguments]    ${path}    ${pattern}
    ${text}=    Get File    ${path}
    Should Match Regexp    ${text}    (?m)^${pattern}\\r?$

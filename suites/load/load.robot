*** Settings ***
Documentation       Virtual users against a shop, beside a host that is watched.

Library             OttoLibrary    lab=${LAB}
Library             shop.py

*** Variables ***
${LAB}              demo
${TITLE}            A Book

*** Test Cases ***
Users Of A Python Keyword
    [Documentation]    A closed model: each user waits for its answer.
    Start Load    A Book    keyword=Order Book    users=4    ramp=200 ms    duration=1500 ms
    ${found}=    Wait For Load
    Should Be True    ${found.count} > 20
    Should Be True    ${found.errors} == 0
    Load Should Meet    p(95)<1s    error_rate<1%    dropped==0    p(99)<2s phase=steady
    Get Load Statistic    p95    <    1 s

Users Of A User Keyword
    [Documentation]    Each user is a warm process of its own; variables of the suite are there.
    Start Load    keyword=Order What The Suite Wants    users=3    iterations=30
    ${found}=    Wait For Load
    Should Be Equal As Integers    ${found.count}    30
    Should Be Equal As Integers    ${found.errors}    0

Arrivals At A Rate
    [Documentation]    An open model: iterations start when they are due, and none is missing.
    Start Load    A Book    keyword=Order Book    rate=40/s    duration=1500 ms    users=10
    ${found}=    Wait For Load
    Should Be Equal As Integers    ${found.planned}    60
    Should Be True    ${found.count} + ${found.dropped} == 60

A Script Of OCT
    [Documentation]    Unchanged; its timers have limits of their own.
    Start Load    script=shop_user.py    users=2    duration=1200 ms
    Wait For Load
    Load Should Meet    basket/fill:p(95)<500ms    <pay>:max<2s
    Get Load Statistic    count    >    10    timer=<pay>

Load And Host On One Axis
    [Documentation]    Readings of the load stand beside those of hosts.
    Start Monitor    dut1    interval=200 ms    metrics=load    store=none
    Start Load    A Book    keyword=Order Book    users=2    duration=10 min
    Run On Host    dut1    true
    Wait Until Keyword Succeeds    20 s    200 ms    Get Metric    load    response_p95_ms    max    <    1000
    Mark Load Phase    backup
    ${found}=    Stop Load
    Should Be True    ${found.count} > 0
    Stop Monitor

A Broken Limit Is Named With Its Value
    [Documentation]    All broken limits are in one message.
    Start Load    Missing Book    keyword=Order Book    users=1    iterations=20
    Wait For Load
    TRY
        Load Should Meet    error_rate<5%    errors==0
    EXCEPT    2 limits of the load are broken:*error_rate<5%: but it was 100 %*errors==0: but it was 20    type=GLOB
        No Operation
    END

A Limit Ends The Load
    [Documentation]    As soon as it is broken for longer than its window.
    Start Load    Missing Book    keyword=Order Book    users=1    duration=10 min
    Load Should Meet    error_rate<5% window=1s    abort=yes
    Run Keyword And Expect Error    The load was aborted: the limit error_rate<5% window=1s was broken*    Wait For Load

*** Keywords ***
Order What The Suite Wants
    [Documentation]    A step that needs Robot Framework: a variable of the suite.
    Order Book    ${TITLE}

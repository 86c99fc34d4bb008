*** Settings ***
Documentation       Labs and hosts as a whole.
Library             OttoLibrary    lab=${LAB}

*** Variables ***
${LAB}      demo

*** Test Cases ***
Hosts Are Selected
    ${all}=    Get Hosts
    Should Be Equal    ${all}    ${{['local', 'gateway', 'dut1', 'dut2', 'dut3']}}
    ${some}=    Get Hosts    tag:dut NOT dut2
    Should Be Equal    ${some}    ${{['dut1', 'dut3']}}

Facts Of A Host
    ${facts}=    Get Host    dut1
    Should Be Equal    ${facts.path}    ${{['gateway', 'dut1']}}
    Should Be Equal    ${{str($facts.password)}}    <secret>

Open And Close
    Open Host    dut1
    Close Host    dut1
    Run On Host    dut1    true
    Close All Hosts
    Host Should Be Up    dut1
    Wait Until Host Is Up    dut2    timeout=10 s

A Time Out Can Be Set
    Set Host Timeout    dut1    200 ms    scope=Test
    Run Keyword And Expect Error    *in 0.2 seconds.    Run On Host    dut1    sleep 5

A Set Time Out Ends With Its Test
    Run On Host    dut1    sleep 0.4

A Wrong Hop Is Told
    Run Keyword And Expect Error    *    Open Host    dut1    hop=dut1

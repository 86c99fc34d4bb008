*** Settings ***
Documentation       Reserving hosts, through keywords, and what each says when it cannot.
Library             OttoLibrary    lab=${LAB}

*** Variables ***
${LAB}      demo

*** Test Cases ***
Some Of Many Are Reserved
    ${hosts}=    Reserve Hosts    tag:dut    count=2    wait=2 min    purpose=acceptance
    Length Should Be    ${hosts}    2
    Hosts Should Be Reserved    ${hosts}[0]
    ${all}=    Get Reservations
    Should Contain    ${{ [one['purpose'] for one in $all] }}    acceptance
    Extend Lease    1 h    ${hosts}[0]
    ${free}=    Release Hosts    ${hosts}[0]
    Should Be Equal    ${free}    ${hosts}

What A Test Reserved Ends With It
    Run Keyword And Expect Error
    ...    1 host not reserved by this run: dut1. Who has what: *
    ...    Hosts Should Be Reserved    dut1

Who Selects Nobody Is Told So
    Run Keyword And Expect Error
    ...    No host of the lab is selected by 'tag:nobody'. 'Get Hosts' shows what a selection gives.
    ...    Hosts Should Be Reserved    tag:nobody
    Run Keyword And Expect Error
    ...    No host of the lab is selected by 'tag:nobody'. 'Get Hosts' shows what a selection gives.
    ...    Reserve Hosts    tag:nobody

Too Many Are Refused At Once
    Run Keyword And Expect Error
    ...    9 hosts were requested, but only 3 hosts can be chosen from. Ask for fewer, or select more.
    ...    Reserve Hosts    tag:dut    count=9    wait=1 h

What We Have Nobody Gets Twice
    Reserve Hosts    local    wait=2 min
    Run Keyword And Expect Error
    ...    'local' did not become free. Who has what: '*local': * Wait longer with wait=, or ask a holder to release it.
    ...    Reserve Hosts    local

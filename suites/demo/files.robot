*** Settings ***
Documentation       A build goes to the hosts, their logs come back.
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}          demo
${BUILD}        ${TEMPDIR}/otto demo ${{__import__('os').getpid()}}

*** Test Cases ***
A Build Reaches Every Dut
    [Documentation]    One fan-out; a second one sends nothing, since all have it.
    Create File    ${BUILD}/app.conf    level=debug\n
    &{sent}=    Put File To Hosts    tag:dut    ${BUILD}/app.conf    release/    parents=yes    mode=0600
    Should Be Equal As Integers    ${sent.dut3.size_bytes}    12
    &{again}=    Put File To Hosts    tag:dut    ${BUILD}/app.conf    release/    skip_same=yes
    Should Be Equal As Integers    ${again.dut1.sent_bytes}    0

A Folder Goes There And Back
    [Documentation]    Many small files are sent as one stream, each of them verified.
    FOR    ${number}    IN RANGE    50
        Create File    ${BUILD}/web/pages/${number}.html    <h1>Page ${number}</h1>
    END
    ${sent}=    Put Directory To Host    dut1    ${BUILD}/web    www
    Length Should Be    ${sent.files}    50
    Get Directory From Host    dut1    www    ${BUILD}/copy
    ${page}=    Get File    ${BUILD}/copy/pages/7.html
    Should Be Equal    ${page}    <h1>Page 7</h1>

Hosts That Cannot See Each Other Share A File
    [Documentation]    It is copied through this machine.
    Run On Host    dut1    ./fw selftest > selftest.log
    Copy File Between Hosts    dut1    selftest.log    dut2    from-dut1.log
    ${log}=    Read Host File    dut2    from-dut1.log
    Should Contain    ${log}    flash ok

A Log Is Fetched And Tidied Up
    [Documentation]    Patterns on the host, and looks at its files.
    Write Host File    dut3    run-1.log    one\n
    Write Host File    dut3    run-2.log    two\n
    ${got}=    Get File From Host    dut3    run-*.log    ${OUTPUT DIR}/dut3/    parents=yes
    Length Should Be    ${got.files}    2
    Remove Host File    dut3    run-*.log
    Host File Should Not Exist    dut3    run-*.log

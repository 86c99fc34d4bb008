*** Settings ***
Documentation       Virtual users ask the devices again and again; their answers stand on one axis with the cpu of the hosts.
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}      demo
${LOAD}     1 s

*** Test Cases ***
Four Users Ask The Devices
    [Documentation]    The report of the load is among the artifacts, with times, rates and errors of each second.
    Start Monitor    tag:dut    interval=300 ms    metrics=cpu,memory,load
    Start Load    command=~/fw --version    hosts=tag:dut    users=4    pacing=200 ms    duration=${LOAD}
    ${found}=    Wait For Load
    Should Be True    ${found.count} > 0
    Load Should Meet    p(95)<30s    errors==0

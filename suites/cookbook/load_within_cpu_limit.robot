*** Settings ***
Documentation       Load, and a limit on the cpu of the host that bears it, in one verdict.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}          demo
${CPU LIMIT}    101 %

*** Test Cases ***
The Device Bears Four Users
    Start Monitor    dut1    interval=200 ms    metrics=cpu    store=none
    Start Load    command=~/fw --version    hosts=dut1    users=4    pacing=100 ms    duration=1 s
    Wait For Load
    Load Should Meet    p(95)<30s    errors==0
    Wait Until Keyword Succeeds    20 s    200 ms    Get Metric    dut1    cpu    max    <    ${CPU LIMIT}

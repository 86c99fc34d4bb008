*** Settings ***
Documentation       A soak overnight: ``--variable "NIGHT:8 h"``. With ``resume=yes`` it goes on where a killed run was.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}      demo
${NIGHT}    1 s

*** Test Cases ***
The Product Survives The Night
    Start Monitor    dut1    interval=300 ms    metrics=memory,load    store=none
    Add Scenario Event    ask    command=~/fw selftest    hosts=tag:dut    every=300 ms    overlap=queue
    Add Scenario Event    nightly    keyword=Back Up    every=400 ms    at_startup=no
    &{found}=    Run Scenario    duration=${NIGHT}
    Should Be True    ${found.ask.run} >= 1
    Scenario Should Meet    failures=0
    Get Metric    dut1    memory    max    <    100 %

*** Keywords ***
Back Up
    [Documentation]    What else happens at night.
    Run On Host    dut1    tar -cf backup.tar fw && rm backup.tar

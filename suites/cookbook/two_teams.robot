*** Settings ***
Documentation       Two teams on one lab: a suite takes any free device, uses it, and gives it back.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
Any One Device Will Do
    ${hosts}=    Reserve Hosts    tag:dut    count=1    wait=2 min    purpose=cookbook
    Hosts Should Be Reserved    ${hosts}[0]
    Run On Host    ${hosts}[0]    true
    Release Hosts    ${hosts}[0]

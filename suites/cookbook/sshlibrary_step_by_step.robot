*** Settings ***
Documentation       A suite of SSHLibrary moves one test at a time: the lab opens the connection, and old keywords go on.
Library             SSHLibrary
Library             OttoLibrary    lab=${LAB}
Suite Teardown      Close All Connections
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
First, SSHLibrary Gets Its Connection From The Lab
    Share Host With SSHLibrary    dut1
    ${output}=    Execute Command    echo old keyword
    Should Be Equal    ${output}    old keyword

Then A Keyword Is Exchanged
    ${result}=    Run On Host    dut1    echo new keyword
    Should Be Equal    ${result.stdout}    new keyword\n

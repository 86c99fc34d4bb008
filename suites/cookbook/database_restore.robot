*** Settings ***
Documentation       A database is dumped, damaged and restored, and is what it was, to the byte.
Library             OttoLibrary    lab=${LAB}
Test Setup          Run On Host    dut1    mkdir -p restored && seq 1 1000 > restored/data
Test Teardown       Run On Host    dut1    rm -rf restored
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
A Restored Database Is What It Was
    ${before}=    Get Host File Checksum    dut1    restored/data
    ${folder}=    Get Artifact Directory
    Get File From Host    dut1    restored/data    ${folder}/dump    parents=yes
    Run On Host    dut1    head -c 100 restored/data > restored/cut && mv restored/cut restored/data
    Put File To Host    dut1    ${folder}/dump    restored/data
    ${after}=    Get Host File Checksum    dut1    restored/data
    Should Be Equal    ${after}    ${before}

*** Settings ***
Documentation       A disk that fills up while the product works: the disturbance heals by itself, also when this machine dies.
Library             OttoLibrary    lab=${LAB}
Test Teardown       Heal Host    dut1
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
The Product Goes On While The Disk Fills
    Disturb Host    dut1    fill    disk 2 MiB
    ${result}=    Run On Host    dut1    ~/fw selftest
    Should Contain    ${result.stdout}    flash ok

*** Settings ***
Documentation       What a testbed needs apart from where it is; the merged devices are an ordinary lab.

Library             OttoLibrary    lab=environment:${FILES}/environment.json,${FILES}/inventory.json,bench-1

*** Variables ***
${FILES}    ${CURDIR}/../../labs/testbed

*** Test Cases ***
The Environment Wins Over The Inventory
    ${box}=    Get Host    box
    Should Be Equal    ${box.metadata}[software][image]    box-7.1
    Should Be Equal    ${box.metadata}[software][options]    ${{{'verify': True, 'reset': True}}}
    Log Environment

A Device With A Connection Is A Host
    ${result}=    Run On Host    box    echo here
    Should Be Equal    ${result.stdout}    here\n

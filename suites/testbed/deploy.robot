*** Settings ***
Documentation       Devices that are brought up before the first test and given back after the last one.

Library             OttoLibrary    lab=environment:${FILES}/environment.json,${FILES}/inventory.json,bench-1

Suite Setup         Deploy Devices    wait=2 min    purpose=example

*** Variables ***
${FILES}    ${CURDIR}/../../labs/testbed

*** Test Cases ***
A Device Is Found By Its Name And By What It Is
    ${box}=    Get Device    box
    Should Be Equal    ${box.config}[software][image]    box-7.1
    ${server}=    Get Device    type=RunsCommands
    Run On Host    ${server.name}    true

A Device Has A Console That Pexpect Knows
    ${box}=    Get Device    box
    ${said}=    Call Method    ${box.console}    execute_command    echo from the console
    Should Be Equal    ${said}    from the console

A Test Says What It Needs
    [Tags]    env_req:{"box":{"software":{"image":["box-7.1","box-7.2"]}}}
    Require Environment    {"server": {"role": "server"}}

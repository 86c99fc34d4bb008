*** Settings ***
Documentation       A firmware upgrade with a reboot: what ran before, what is sent, what runs after. On a host of your own, pass
...                 ``--variable REBOOT:yes``; the demo lab has nothing that could be rebooted, so its firmware only starts anew.
Library             OttoLibrary    lab=${LAB}
Test Setup          Install    2.1
Suite Teardown      Run On Host    dut1    rm -rf upgrade
Test Tags           cookbook

*** Variables ***
${LAB}          demo
${REBOOT}       no

*** Test Cases ***
The New Firmware Runs After The Upgrade
    Installed Version Should Be    2.1
    Install    2.2
    IF    '${REBOOT}' == 'yes'    Reboot Host    dut1    command=sudo reboot    timeout=5 min
    Installed Version Should Be    2.2

A Truncated Image Is Refused Before It Is Used
    Install    2.2
    Run On Host    dut1    head -c 5 upgrade/fw > upgrade/new
    Run Keyword And Expect Error    *exited with*    Run On Host    dut1    sh -n upgrade/new && sh upgrade/new | grep -q '^[0-9]'
    Installed Version Should Be    2.2

*** Keywords ***
Install
    [Documentation]    Puts an image on the host; it is complete there, or not there at all.
    [Arguments]    ${version}
    Run On Host    dut1    mkdir -p upgrade
    Write Host File    dut1    upgrade/fw    echo ${version}\n    mode=0755

Installed Version Should Be
    [Documentation]    Asks the firmware itself.
    [Arguments]    ${version}
    ${result}=    Run On Host    dut1    sh upgrade/fw
    Should Be Equal    ${result.stdout}    ${version}\n

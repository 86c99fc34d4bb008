*** Settings ***
Documentation       An old switch over Telnet: no shell, no exit status, only a prompt.
...                 In a lab: "transport": "telnet", "profile": "cisco-ios".
Library             OttoLibrary    lab=bench-lines
Test Tags           cookbook

*** Test Cases ***
The Switch Has The Software We Tested With
    ${version}=    Run On Host    switch    show version    expected_rc=any
    Should Contain    ${version.stdout}    15.2

The Lab Has Its VLAN
    ${vlans}=    Run On Host    switch    show vlan brief    expected_rc=any
    Should Match Regexp    ${vlans.stdout}    (?m)^10\\s+lab\\s+active

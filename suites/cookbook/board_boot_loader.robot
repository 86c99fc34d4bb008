*** Settings ***
Documentation       A board on a serial line: stop its boot loader, change a setting, reset, and see that it is kept.
...                 In a lab: "transport": "serial", "port": "/dev/ttyUSB0", "profile": "uboot".
Library             OttoLibrary    lab=bench-lines
Test Tags           cookbook

*** Test Cases ***
The Boot Loader Keeps A Setting
    Stop Autoboot
    Send To Host    loader    setenv bootdelay 1\n
    Expect From Host    loader    =>${SPACE}    timeout=10 s
    Send To Host    loader    reset\n
    Stop Autoboot
    Send To Host    loader    printenv bootdelay\n
    Expect From Host    loader    bootdelay=1    timeout=10 s

*** Keywords ***
Stop Autoboot
    [Documentation]    Presses a key in time, and waits for the prompt.
    Expect From Host    loader    stop autoboot    timeout=30 s
    Send To Host    loader    \n
    Expect From Host    loader    =>${SPACE}    timeout=10 s

*** Settings ***
Documentation       A build goes to all duts, is checked there, and is rolled back when it does not work.
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}
Resource            OttoLibrary/resources/deploy.resource
Suite Setup         Make Builds
Suite Teardown      Remove Directory    ${HERE}    recursive=True
Test Teardown       Remove All Builds    tag:dut    to=${TO}
Test Tags           demo

*** Variables ***
${LAB}          demo
# This suite may run twice at once on one machine.
${HERE}         ${TEMPDIR}/otto deploy ${{__import__('os').getpid()}}
${TO}           ~/opt/my app
&{APP}          to=${TO}    install=chmod +x app    check=./app --version

*** Test Cases ***
A Build Reaches Every Dut
    [Documentation]    It is sent, installed and checked; the second time there is nothing to do.
    ${build}=    Deploy Build    tag:dut    ${HERE}/1.0/app    &{APP}
    Should Match Regexp    ${build}    ^app-[0-9a-f]{12}$
    Installed Build Should Be    tag:dut    ${HERE}/1.0/app    to=${TO}
    &{all}=    Run On Hosts    tag:dut    ~/opt/my\\ app/current/app --version
    Should Be Equal    ${all.dut2.stdout}    app 1.0\n
    ${again}=    Deploy Build    tag:dut    ${HERE}/1.0/app    &{APP}
    Should Be Equal    ${again}    ${build}

A Folder Is A Build Too
    [Documentation]    Everything in it is copied, names with blanks too.
    Deploy Build    dut1    ${HERE}/folder    to=${TO}    check=grep debug "etc/my app.conf"
    Host File Should Exist    dut1    ${TO}/current/etc/my app.conf

A Bad Build Is Rolled Back
    [Documentation]    Its check fails: the message has its output, and the old build is in use again.
    ${good}=    Deploy Build    tag:dut    ${HERE}/1.0/app    &{APP}
    ${error}=    Run Keyword And Expect Error    *
    ...    Deploy Build    dut1    ${HERE}/broken/app    &{APP}
    ${right}=    Catenate    ^Build 'app-\\w{12}' was not deployed on host 'dut1': check './app --version' ended with 3
    ...    and said: flash is broken. It has build '${good}', as before.$
    Should Match Regexp    ${error}    ${right}
    Installed Build Should Be    dut1    ${HERE}/1.0/app    to=${TO}
    ${names}=    List Host Directory    dut1    ${TO}/releases
    Should Be Equal    ${names}    ${{['.history', $good + '/']}}

One Host Fails And The Others Do Not
    [Documentation]    One host has its old build again, the others the new one; the message names both.
    Deploy Build    tag:dut    ${HERE}/1.0/app    &{APP}
    ${error}=    Run Keyword And Expect Error    *
    ...    Deploy Build    tag:dut    ${HERE}/2.0/app    to=${TO}    check=test "$OTTO_DEMO_HOST" != dut2
    Should Match    ${error}    Build 'app-*' was not deployed on 1 of 3 hosts, but on dut1, dut3:\nhost 'dut2': check *
    Installed Build Should Be    dut2    ${HERE}/1.0/app    to=${TO}
    Installed Build Should Be    dut1 OR dut3    ${HERE}/2.0/app    to=${TO}
    ${error}=    Run Keyword And Expect Error    *    Installed Build Should Be    tag:dut    ${HERE}/2.0/app    to=${TO}
    Should Match    ${error}    Build 'app-*' should be in use in ${TO}: host 'dut2' has 'app-*'.

We Go Back And Forth
    [Documentation]    The previous build comes back; the bad one is gone.
    ${old}=    Deploy Build    tag:dut    ${HERE}/1.0/app    &{APP}
    Deploy Build    tag:dut    ${HERE}/2.0/app    &{APP}
    &{builds}=    Roll Back Build    tag:dut    to=${TO}    check=./app --version
    Should Be Equal    ${builds.dut3}    ${old}
    Installed Build Should Be    tag:dut    ${HERE}/1.0/app    to=${TO}

*** Keywords ***
Make Builds
    [Documentation]    Three versions of an app, one of them broken, and a folder.
    Create File    ${HERE}/1.0/app    \#!/bin/sh\necho app 1.0\n
    Create File    ${HERE}/2.0/app    \#!/bin/sh\necho app 2.0\n
    Create File    ${HERE}/broken/app    \#!/bin/sh\necho flash is broken >&2\nexit 3\n
    Create File    ${HERE}/folder/etc/my app.conf    level=debug\n

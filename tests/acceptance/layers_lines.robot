*** Settings ***
Documentation       The keyword layers on a host that is one line.
Metadata            Lab    lines
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}
Resource            OttoLibrary/resources/deploy.resource
Resource            OttoLibrary/resources/health.resource
Resource            OttoLibrary/resources/logs.resource
Suite Setup         Create File    ${HERE}/app    echo app 1.0\n
Suite Teardown      Remove Directory    ${HERE}    recursive=True

*** Variables ***
${LAB}      demo
# This suite may run twice at once on one machine, and the hosts share its file system.
${HERE}     ${TEMPDIR}/otto lines ${{__import__('os').getpid()}}
${LOG}      ${HERE}/its.log

*** Test Cases ***
A Build Comes And Goes
    ${build}=    Deploy Build    rack    ${HERE}/app    to=${HERE}/on it    check=sh ./app
    Run Keyword And Expect Error    Build '${build}' should be in use in /nowhere: host 'rack' has none.
    ...    Installed Build Should Be    rack    ${HERE}/app    to=/nowhere
    Remove All Builds    rack    to=${HERE}/on it
    Directory Should Not Exist    ${HERE}/on it

It Is Healthy
    Hosts Should Be Healthy    rack    disk_free=0    inodes_free=None    memory_free=1    load=200    clock_offset=10 s

Its Log Is Read
    Run On Host    rack    echo old > "${LOG}"
    Mark Logs    rack    ${LOG}
    Run On Host    rack    echo new >> "${LOG}"; mv "${LOG}" "${LOG}.1"; echo newer > "${LOG}"
    ${lines}=    Get New Log Lines    rack    ${LOG}
    Should Be Equal    ${lines}    ${{['new', 'newer']}}
    Collect Logs    rack    ${LOG}*    command:echo $((6 * 7))

*** Settings ***
Documentation       Deploys on real servers behind two hops: what fails leaves nothing, and says so.
Metadata            Lab    network
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}
Resource            OttoLibrary/resources/deploy.resource
Suite Setup         Make Builds
Suite Teardown      Remove What Was Made

*** Variables ***
${LAB}          ${EMPTY}
# This suite may run twice at once on one machine, and the hosts share its file system.
${HERE}         ${TEMPDIR}/otto layers ${{__import__('os').getpid()}}
${TO}           ${HERE}/on dut1
&{SERVICE}      to=${TO}    stop=kill $(cat ../../pid)    start=sh ./serve    check=kill -0 $(cat ../../pid)

*** Test Cases ***
A Service Changes With Its Build
    Deploy Build    dut1    ${HERE}/v1    &{SERVICE}
    ${first}=    Get File    ${TO}/pid
    Deploy Build    dut1    ${HERE}/v2    &{SERVICE}
    # Where nobody reaps them, dead processes stay as zombies.
    Run On Host    dut1    grep -q ^State:[^Z]*$ /proc/${first.strip()}/status    expected_rc=[1, 2]
    Roll Back Build    dut1    &{SERVICE}
    Installed Build Should Be    dut1    ${HERE}/v1    to=${TO}
    Should Fail    The build was not rolled back on host 'dut1': there is no build before it. It has build 'v1-*', as before.
    ...    Roll Back Build    dut1    &{SERVICE}
    Run On Host    dut1    kill -0 $(cat "${TO}/pid")

A Service That Does Not Start Leaves The Old One Running
    Deploy Build    dut1    ${HERE}/v1    &{SERVICE}
    Should Fail    Build 'v3-*' was not deployed on host 'dut1': start 'sh ./serve' ended with 4 and said: no licence. It has*
    ...    Deploy Build    dut1    ${HERE}/v3    &{SERVICE}
    Installed Build Should Be    dut1    ${HERE}/v1    to=${TO}
    Run On Host    dut1    kill -0 $(cat "${TO}/pid")
    Remove All Builds    dut1    to=${TO}    stop=${SERVICE.stop}
    ${left}=    List Directory    ${TO}
    Should Be Equal    ${left}    ${{['pid']}}

A First Deploy That Fails Leaves Nothing
    Should Fail    Build 'v1-*' was not deployed on host 'dut1': install 'ls; exit 7' ended with 7 and said: serve. It has no*
    ...    Deploy Build    dut1    ${HERE}/v1    to=${HERE}/none    install=ls; exit 7
    Directory Should Not Exist    ${HERE}/none
    Should Fail    Build 'v1-*' was not deployed on host 'dut1': check 'false' ended with 1*no build, as before.
    ...    Deploy Build    dut1    ${HERE}/v1    to=${HERE}/none    check=false
    Directory Should Not Exist    ${HERE}/none

A Deploy That Takes Too Long Is Undone
    Deploy Build    dut1    ${HERE}/v1    to=${HERE}/slow
    Should Fail    Build 'v2-*' was not deployed everywhere; where it was not finished, it is undone:*slow...' in 2 *
    ...    Deploy Build    dut1    ${HERE}/v2    to=${HERE}/slow    check=sleep 30    timeout=2 s
    Installed Build Should Be    dut1    ${HERE}/v1    to=${HERE}/slow
    ${left}=    List Directory    ${HERE}/slow/releases    v*
    Length Should Be    ${left}    1

Only So Many Builds Are Kept
    FOR    ${version}    IN    v1    v2    v3    v1
        Deploy Build    dut1    ${HERE}/${version}    to=${HERE}/kept    keep=2
    END
    ${left}=    List Directory    ${HERE}/kept/releases    v*
    Should Be Equal    ${{[name[:2] for name in $left]}}    ${{['v1', 'v3']}}
    Roll Back Build    dut1    to=${HERE}/kept
    Installed Build Should Be    dut1    ${HERE}/v3    to=${HERE}/kept

A Relative Folder Starts Where Shells Start And One Dictionary Serves All
    VAR    &{app}=    to=relative/app    install=true    check=test -f serve    keep=2    via=sftp
    Run On Host    dut1    cd /
    Deploy Build    dut1    ${HERE}/v1    &{app}
    Deploy Build    dut1    ${HERE}/v2    &{app}
    Installed Build Should Be    dut1    ${HERE}/v2    to=relative/app
    Roll Back Build    dut1    &{app}
    Installed Build Should Be    dut1    ${HERE}/v1    &{app}
    Run Once On Host    dut1    test -d relative/app/releases && rm -r relative
    [Teardown]    Run Once On Host    dut1    rm -rf relative

Every Way Of Sending Will Do
    FOR    ${via}    IN    sftp    scp    console
        Deploy Build    dut1    ${HERE}/v1    to=${HERE}/by ${via}    via=${via}    check=test -f serve
        Deploy Build    dut1    ${HERE}/v2/serve    to=${HERE}/by ${via}    via=${via}    check=test -f serve
    END

What Is Not Ours Stays
    Create Directory    ${HERE}/taken/current
    Should Fail    Build 'v1-*' was not deployed on host 'dut1': ${HERE}/taken/current exists and does not point to a build of*
    ...    Deploy Build    dut1    ${HERE}/v1    to=${HERE}/taken
    Should Fail    to\=/ is not a folder for builds. Give a folder of its own, such as /opt/app or ~/app.
    ...    Deploy Build    dut1    ${HERE}/v1    to=/
    Should Fail    There is no build '/no/such' here: it is neither a file nor a folder.
    ...    Deploy Build    dut1    /no/such    to=${HERE}/x

*** Keywords ***
Should Fail
    [Documentation]    Fails unless a keyword fails with a message like this.
    [Arguments]    ${message}    @{words}    &{named}
    Run Keyword And Expect Error    ${message}    @{words}    &{named}

Make Builds
    [Documentation]    Three versions of a service; the third does not start.
    FOR    ${version}    IN    v1    v2
        Create File    ${HERE}/${version}/serve    sleep 300 >/dev/null 2>&1 & echo $! > ../../pid \# ${version}\n
    END
    Create File    ${HERE}/v3/serve    echo no licence >&2; exit 4\n

Remove What Was Made
    [Documentation]    Processes and files.
    Run On Host    dut1    kill $(cat "${TO}/pid")    expected_rc=any
    Remove Directory    ${HERE}    recursive=True

*** Settings ***
Documentation       Every promise about files, through keywords, and what each says when it is used wrongly.
Library             OperatingSystem
Library             OttoLibrary    lab=${LAB}
Suite Setup         Create File    ${HERE}/fw.bin    version 3
Suite Teardown      Remove Directory    ${HERE}    recursive=True

*** Variables ***
${LAB}      demo
# This suite may run twice at once on one machine.
${HERE}     ${TEMPDIR}/otto-files-${{__import__('os').getpid()}}

*** Test Cases ***
A File Goes There And Back
    ${sent}=    Put File To Host    dut1    ${HERE}/fw.bin    build/    parents=yes    mode=0750
    Should Be Equal    ${sent.host} ${sent.protocol}    dut1 sftp
    Should End With    ${sent.target}    /build/fw.bin
    Should Be Equal As Integers    ${sent.files}[0][sent_bytes]    9
    ${result}=    Run On Host    dut1    stat -c %a build/fw.bin
    Should Be Equal    ${result.stdout}    750\n
    ${got}=    Get File From Host    dut1    build/fw.bin    ${HERE}/back.bin    via=scp    verify=sha256
    Should Be Equal    ${got.files[0].checksum}    ${{__import__('hashlib').sha256(b'version 3').hexdigest()}}
    ${text}=    Get File    ${HERE}/back.bin
    Should Be Equal    ${text}    version 3

The Same Is Not Sent Again
    Put File To Host    dut2    ${HERE}/fw.bin    same.bin
    ${again}=    Put File To Host    dut2    ${HERE}/fw.bin    same.bin    skip_same=yes
    Should Be True    ${again.files[0].skipped}

Every Way Of The Demo Lab Works
    FOR    ${via}    IN    sftp    scp    console
        Put File To Host    dut3    ${HERE}/fw.bin    by-${via}.bin    via=${via}
        ${text}=    Read Host File    dut3    by-${via}.bin
        Should Be Equal    ${text}    version 3
    END
    Put File To Host    local    ${HERE}/fw.bin    ${HERE}/copied.bin
    File Should Exist    ${HERE}/copied.bin

Folders Go There And Back
    Create File    ${HERE}/web/css/a b.css    body {}
    Create Directory    ${HERE}/web/empty
    ${sent}=    Put Directory To Host    dut1    ${HERE}/web    site
    Length Should Be    ${sent.files}    1
    ${names}=    List Host Directory    dut1    site
    Should Be Equal    ${names}    ${{['css/', 'empty/']}}
    Get Directory From Host    dut1    site    ${HERE}/web2
    File Should Exist    ${HERE}/web2/css/a b.css
    Directory Should Exist    ${HERE}/web2/empty

Files Are Looked At And Tidied Up
    Write Host File    dut2    notes.txt    käse    mode=0600
    ${text}=    Read Host File    dut2    notes.txt
    Should Be Equal    ${text}    käse
    ${sum}=    Get Host File Checksum    dut2    notes.txt
    Should Be Equal    ${sum}    ${{__import__('hashlib').sha256('käse'.encode()).hexdigest()}}
    Host File Should Exist    dut2    notes.*
    Run Keyword And Expect Error    Host 'dut2' has '*/notes.txt', which should not exist.
    ...    Host File Should Not Exist    dut2    ~/notes.*
    Remove Host File    dut2    notes.txt
    Host File Should Not Exist    dut2    notes.txt
    Run Keyword And Expect Error    Host 'dut2' has no 'notes.txt'.    Host File Should Exist    dut2    notes.txt

Many Hosts Get It At Once
    &{sent}=    Put File To Hosts    tag:dut    ${HERE}/fw.bin    fan.bin    limit=2
    Should Be Equal    ${{list($sent)}}    ${{['dut1', 'dut2', 'dut3']}}
    Run On Host    dut2    mkdir -p only-here
    TRY
        Put File To Hosts    tag:dut    ${HERE}/fw.bin    only-here/x
    EXCEPT    AS    ${message}
        Should Start With    ${message}    '${HERE}/fw.bin' did not reach 2 of 3 hosts:\nHost 'dut1' (through gateway)
        Should Not Contain    ${message}    Host 'dut2'
    END
    Host File Should Exist    dut2    only-here/x

Hosts Share A File Through Us
    Write Host File    dut1    shared.txt    for dut2
    Copy File Between Hosts    dut1    shared.txt    dut2    from-dut1.txt
    ${text}=    Read Host File    dut2    from-dut1.txt
    Should Be Equal    ${text}    for dut2

Wrong Use Says What To Do
    [Template]    Should Be Refused
    *the folder '*/none' does not exist; create it, or use parents\=yes.
    ...    Put File To Host    dut1    ${HERE}/fw.bin    none/fw.bin
    Host 'dut1' (through gateway) was sent nothing, because '/none' cannot be read on this machine: No such file or directory.
    ...    Put File To Host    dut1    /none    x
    No file on this machine matches '/none*'.
    ...    Put File To Host    dut1    /none*    x
    Host 'dut1' (through gateway) did not give '/none' as '*/none': '/none' does not exist.
    ...    Get File From Host    dut1    /none    ${HERE}/
    Host 'dut1' (through gateway) did not give '/none*': no file there matches it.
    ...    Get File From Host    dut1    /none*    ${HERE}/
    *it is a directory; use 'Put Directory To Host'.
    ...    Put File To Host    dut1    ${HERE}    x
    *'/etc' is a directory; use 'Get Directory From Host'.
    ...    Get File From Host    dut1    /etc    ${HERE}/
    *'/etc/passwd' is not a folder; use 'Get File From Host'.
    ...    Get Directory From Host    dut1    /etc/passwd    ${HERE}/
    The folder '/none' does not exist on this machine. Create it, or use parents\=yes.
    ...    Get File From Host    dut1    /etc/passwd    /none/passwd

Wrong Wishes Say What There Is
    [Template]    Should Be Refused
    No transfer named 'stfp'. Did you mean 'sftp'? Known: *
    ...    Put File To Host    dut1    ${HERE}/fw.bin    x    via=stfp
    Host 'local' cannot use 'sftp': sftp needs an SSH host.
    ...    Put File To Host    local    ${HERE}/fw.bin    ${HERE}/x    via=sftp
    A cut transfer by scp cannot be resumed. Use via\=sftp or via\=nc, or leave out resume.
    ...    Put File To Host    dut1    ${HERE}/fw.bin    x    via=scp    resume=yes
    mode\=9 is not a file mode. Write octal digits, such as 0644 or 755.
    ...    Put File To Host    dut1    ${HERE}/fw.bin    x    mode=9
    No host named 'dut9'. *
    ...    Put File To Host    dut9    ${HERE}/fw.bin    x
    *did not take '*fw.bin' as '/dev/null': '/dev/null' is not a regular file.
    ...    Put File To Host    dut1    ${HERE}/fw.bin    /dev/null

A Time Out Ends It And Leaves Nothing
    Run On Host    dut1    truncate -s 4G big.bin
    Run Keyword And Expect Error
    ...    Host 'dut1' (through gateway) did not finish 'big.bin → *' in 0.3 seconds. Nothing unfinished is left.
    ...    Get File From Host    dut1    big.bin    ${HERE}/    timeout=300 ms    verify=no
    ${left}=    List Files In Directory    ${HERE}    .otto-*
    Should Be Empty    ${left}
    Remove Host File    dut1    big.bin

*** Keywords ***
Should Be Refused
    [Documentation]    The keyword fails with exactly this message.
    [Arguments]    ${message}    ${keyword}    @{arguments}    &{named}
    Run Keyword And Expect Error    ${message}    ${keyword}    @{arguments}    &{named}

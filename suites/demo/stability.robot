*** Settings ***
Documentation       Flaky things found and tolerated: soft checks, tests that are tried again, files kept beside the log.
...                 Run it with --prerunmodifier OttoLibrary.Repeat:iterations=10 to see which tests are stable, and with
...                 --listener OttoLibrary.Evidence to keep evidence from the hosts of a failed test.
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}          demo
${FW ANSWER}    flash ok
${PACE}         0

*** Test Cases ***
All Of The Firmware Is Looked At
    [Documentation]    A failed check fails the test at its end, so that one run finds everything.
    FOR    ${host}    IN    dut1    dut2    dut3
        ${result}=    Run On Host    ${host}    ./fw --version
        Check    '2.1' in $result.stdout    another version
        Check    $result.duration_s < 30    slow to answer
    END

A Device That Needs A Second Boot Gets One
    [Documentation]    A test that fails is tried again, with set-up and teardown; the log shows all tries.
    [Tags]    otto:retry=2
    [Setup]    Run On Host    dut1    echo up >> boots
    Run On Host    dut1    ./fw selftest && test $(wc -l < boots) -ge 1

What A Test Finds Out Is Kept With It
    [Documentation]    The folder is the test's own, whatever its name, also under pabot, and is linked in the log.
    ${folder}=    Get Artifact Directory
    Run On Host    dut1    ./fw selftest > selftest.log
    Get File From Host    dut1    selftest.log    ${folder}/

A Failure Brings Its Evidence
    [Documentation]    ``make demo`` lets it fail, by --variable "FW ANSWER:flash is worn out", to show a failed test:
    ...    the sentence, the charts up to that moment, and the log of the host, which OttoLibrary.Evidence fetched.
    Run On Host    dut1    for round in 1 2 3; do ./fw selftest; sleep ${PACE}; done > selftest.log
    ${result}=    Run On Host    dut1    tail -n 1 selftest.log
    Should Contain    ${result.stdout}    ${FW ANSWER}    The last self test does not say '${FW ANSWER}'    values=no

*** Settings ***
Documentation       Two builds side by side: the same questions to both, and one message that says all that differs.
Library             Collections
Library             OttoLibrary    lab=${LAB}
Suite Setup         Install Both
Suite Teardown      Run On Hosts    dut1 OR dut2    rm -rf compared
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
Both Builds Give The Same Answers
    &{answers}=    Run On Hosts    dut1 OR dut2    sh compared/build.sh answer
    Should Be Equal    ${answers.dut1.stdout}    ${answers.dut2.stdout}

Only The Version Differs
    &{versions}=    Run On Hosts    dut1 OR dut2    sh compared/build.sh version
    Should Be Equal    ${versions.dut1.stdout}    1\n
    Should Be Equal    ${versions.dut2.stdout}    2\n

*** Keywords ***
Install Both
    [Documentation]    Puts an old build on one host and a new one on the other.
    Run On Hosts    dut1 OR dut2    mkdir -p compared
    FOR    ${name}    ${version}    IN    dut1    1    dut2    2
        Write Host File    ${name}    compared/build.sh    case $1 in version) echo ${version};; answer) echo 42;; esac\n
    END

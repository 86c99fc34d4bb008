*** Settings ***
Documentation       The first suite: do the hosts answer, and do files arrive?
Resource            ../resources/product.resource
Suite Setup         Open Product Hosts
Suite Teardown      Close All Hosts

*** Test Cases ***
Every Host Answers
    &{results}=    Run On Hosts    ${HOSTS}    uname -n
    Log    ${results}

A File Arrives As It Was
    VAR    ${text}    one\ntwo\n
    Create File    ${TEMPDIR}/hello.txt    ${text}
    Put File To Host    ${FIRST HOST}    ${TEMPDIR}/hello.txt    hello.txt
    ${result}=    Run On Host    ${FIRST HOST}    cat hello.txt
    Should Be Equal    ${result.stdout}    ${text}
    [Teardown]    Run On Host    ${FIRST HOST}    rm -f hello.txt

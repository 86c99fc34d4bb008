# robocop: off=VAR02
*** Settings ***
Documentation       Options are variables: of the suite, or of the command line, which wins.
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}      demo
${DEBUG}    yes
${HOSTS}    dut1 OR dut2

*** Test Cases ***
Deploy With Debug
    [Documentation]    The same instruction, other options.
    ${hosts}=    Deploy Product
    Should Be Equal    ${hosts}    ${{['dut1', 'dut2']}}
    ${conf}=    Read Host File    dut1    ~/product/product.conf
    Should Be Equal    ${conf}    version=2.1\nlog=debug\n

Mistakes Come All At Once
    [Documentation]    What is wrong stands beside what is expected.
    VAR    ${ROUNDS}=    many
    VAR    ${PATIENCE}=    a while
    Run Keyword And Expect Error    *rounds: *'many'*patience: *'a while'*
    ...    Load Options    demo_product.SelfTestOptions

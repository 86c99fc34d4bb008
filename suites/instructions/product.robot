*** Settings ***
Documentation       Instructions in place of a command line:
...                 ``robot -v LAB:demo -v DEBUG:yes --test Deploy suites/instructions``
Library             OttoLibrary    lab=${LAB}
Test Tags           demo

*** Variables ***
${LAB}      demo

*** Test Cases ***
Deploy
    [Documentation]    The product goes to all hosts of the options.
    ${hosts}=    Deploy Product    version=2.2
    Should Not Be Empty    ${hosts}

Check
    [Documentation]    Each host that has it tests it.
    ${options}=    Load Options    demo_product.SelfTestOptions
    ${hosts}=    Get Hosts    ${options.hosts}
    FOR    ${host}    IN    @{hosts}
        Product Should Work    ${host}
    END

*** Settings ***
Documentation       A program asks for a password: it is typed on a terminal, and neither log nor report shows it.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}                  demo
${PASSWORD: Secret}     %{COOKBOOK_PASSWORD=only-for-the-example}

*** Test Cases ***
The Installer Gets Its Password
    ${result}=    Run On Host    dut1    stty -echo; printf 'Password: '; read -r word; echo; test -n "$word" && echo accepted
    ...    answers=${{{'Password. ': $PASSWORD}}}
    Should Contain    ${result.stdout}    accepted

*** Settings ***
Documentation       A process that hangs, and one that comes back: what the rest of the product makes of it.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}          demo
${NAME}         pump${{__import__('os').getpid()}}
${LOOP}         while sleep 0.1; do echo beat; done

*** Test Cases ***
A Hanging Worker Is Noticed, And Goes On
    ${worker}=    Start On Host    dut1    cp "$(command -v sh)" ${NAME} && exec ./${NAME} -c '${LOOP}'
    Wait Until Command Prints    ${worker}    beat    timeout=20 s
    Pause Process    dut1    ${NAME}
    Wait Until Keyword Succeeds    20 s    100 ms
    ...    Run On Host    dut1    ps -o stat= -p $(pgrep -x ${NAME} | head -n 1) | grep ^T
    Resume Process    dut1
    Wait Until Command Prints    ${worker}    beat    timeout=20 s
    [Teardown]    Run On Host    dut1    rm -f ${NAME}

*** Settings ***
Documentation       Does a process leak? Its memory is read while it works; soak for hours in a lab.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}          demo
${WORKER}       grow${{__import__('os').getpid()}}

*** Test Cases ***
The Worker Does Not Grow
    ${process}=    Start On Host    dut1    cp "$(command -v sleep)" ${WORKER} && exec ./${WORKER} 60
    Start Monitor    dut1    interval=200 ms    metrics=process:${WORKER}    store=none
    Wait Until Keyword Succeeds    20 s    200 ms    Get Metric    dut1    process_rss_bytes[${WORKER}]    last    >    0.1 MB
    Run On Host    dut1    sleep 0.6
    Get Metric    dut1    process_rss_bytes[${WORKER}]    delta    <    10 MB
    Stop Command    ${process}
    [Teardown]    Run On Host    dut1    rm -f ${WORKER}

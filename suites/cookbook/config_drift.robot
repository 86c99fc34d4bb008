*** Settings ***
Documentation       Is a configuration the same everywhere? One message names every host that differs, not only the first.
Library             OttoLibrary    lab=${LAB}
Suite Setup         Run On Hosts    tag:dut    echo "level=info" > drift.conf
Suite Teardown      Run On Hosts    tag:dut    rm -f drift.conf
Test Tags           cookbook

*** Variables ***
${LAB}      demo

*** Test Cases ***
All Devices Have The Same Configuration
    &{sums}=    Run On Hosts    tag:dut    cksum < drift.conf
    FOR    ${name}    ${sum}    IN    &{sums}
        Check    $sum.stdout == $sums.dut1.stdout    ${name} differs from dut1
    END

The Configuration Is The One Of The Repository
    &{texts}=    Run On Hosts    tag:dut    cat drift.conf
    FOR    ${name}    ${text}    IN    &{texts}
        Check    $text.stdout == 'level=info\\n'    ${name} has another one
    END

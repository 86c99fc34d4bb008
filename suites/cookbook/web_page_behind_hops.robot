*** Settings ***
Documentation       A web page of a device that only the gateway reaches: a tunnel leads to it, for any library.
Library             OttoLibrary    lab=${LAB}
Test Tags           cookbook

*** Variables ***
${LAB}          demo
${SERVER}       import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)
...             print('port', s.server_port, flush=True); s.serve_forever()    separator=\n

*** Test Cases ***
The Page Of The Device Is There
    Run On Host    dut1    mkdir -p page && echo "<h1>device</h1>" > page/index.html
    ${server}=    Start On Host    dut1    cd page && exec python3 -c "${SERVER}"
    ${said}=    Wait Until Command Prints    ${server}    port (\\d+)    timeout=20 s
    ${port}=    Start Tunnel    dut1    ${said.groups}[0]
    ${page}=    Evaluate    urllib.request.urlopen('http://127.0.0.1:${port}/', timeout=20).read().decode()    modules=urllib.request
    Should Contain    ${page}    <h1>device</h1>
    [Teardown]    Run On Host    dut1    rm -rf page

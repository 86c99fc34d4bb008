"""The command that makes a lab file of another tool's file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OttoLibrary.cli.main import main
from OttoLibrary.lab.loading import load_lab

FILES = {
    "hosts.json": '[{"ip": "10.0.0.9", "creds": {"root": "pw-1234"}, "ne": "dut1"}]',
    "env.yaml": "targets:\n  dut1:\n    resources:\n"
    "      NetworkService: {address: 10.0.0.9, username: root, password: pw-1234}\n",
    "tb.yml": "devices:\n  dut1:\n    connections: {cli: {protocol: ssh, ip: 10.0.0.9}}\n"
    "    credentials: {default: {username: root, password: pw-1234}}\n",
    "inv.yml": "all:\n  hosts:\n    dut1: {ansible_host: 10.0.0.9, ansible_user: root, ansible_password: pw-1234}\n",
    "inv.ini": "[duts]\ndut1 ansible_host=10.0.0.9 ansible_user=root ansible_password=pw-1234\n",
    "inventory": "dut1 ansible_host=10.0.0.9 ansible_user=root ansible_password=pw-1234\n",
    "list.json": '{"_meta": {"hostvars": {"dut1": {"ansible_host": "10.0.0.9", "ansible_user": "root", '
    '"ansible_password": "pw-1234"}}}}',
    "netbox.json": '{"results": [{"name": "dut1", "device_type": {}, "primary_ip4": {"address": "10.0.0.9/8"}}]}',
    "ssh.conf": "Host dut1\n    HostName 10.0.0.9\n    User root\n",
}


@pytest.mark.parametrize("name", FILES)
def test_the_printed_lab_loads_and_no_secret_is_printed(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text(FILES[name])
    assert main(["convert", str(tmp_path / name), "--name", "bench"]) == 0
    printed = capsys.readouterr()
    assert "pw-1234" not in printed.out + printed.err
    (tmp_path / "bench.json").write_text(printed.out)
    lab = load_lab(str(tmp_path / "bench.json"))
    assert (lab.name, lab.entry("dut1").address) == ("bench", "10.0.0.9")
    has_password = "pw-1234" in FILES[name]
    assert json.loads(printed.out)["hosts"]["dut1"].get("password") == ("${env:BENCH_ROOT_PASSWORD}" if has_password else None)
    assert ("set the environment variable BENCH_ROOT_PASSWORD" in printed.err) is has_password


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.json", "{", "it is no JSON"),
        ("x.json", '{"a": 1}', "it does not look like a file of otto"),
        ("x.yml", "a: [", "is no YAML in line 2"),
        ("x.yml", "- 1\n", "it does not look like"),
        ("x.ini", "[a]\nx y z\n", "line 2: a line of hosts is a name"),
        ("x.ini", "\n", "No host could be carried over"),
        ("x.yml", "targets: {a: {}}\n", "No host could be carried over"),
        ("letter.txt", "Dear reader,\nthis is no lab.\n", "it does not look like a file of otto"),
        ("words", "alpha\nbeta\n", "If it is one, say whose with --from."),
        (".env", "NAME=dut1\nLEVEL=22\n", "it does not look like"),
        ("setup.cfg", "[metadata]\nname = product\nversion = 1\n", "it does not look like"),
        ("pyproject.toml", '[project]\nname = "product"\n', "it does not look like"),
        ("hosts", "127.0.0.1 localhost\n", "it does not look like"),
        ("duts.yml", "packages:\n  - a\n  - b\n", "it does not look like"),
        ("package.json", '{"files": ["a", "b"]}', "it does not look like"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(
    name: str, text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["convert", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err.splitlines()[-1]


@pytest.mark.parametrize(("name", "text"), [("words", "alpha\nbeta\n"), ("old.json", '{"duts": ["alpha", "beta"]}')])
def test_bare_names_are_hosts_when_the_user_says_so(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["convert", str(tmp_path / name), "--from", "ansible"]) == 0
    assert json.loads(capsys.readouterr().out)["hosts"].keys() == {"alpha", "beta"}


@pytest.mark.parametrize(
    "text", ["[duts]\nalpha\nbeta\n", "alpha ansible_host=10.0.0.1\nbeta port=2\n", "[a:vars]\nx = 1\n[a]\nalpha\nbeta\n"]
)
def test_sections_or_variables_make_an_inventory(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inventory").write_text(text)
    assert main(["convert", str(tmp_path / "inventory")]) == 0
    assert json.loads(capsys.readouterr().out)["hosts"].keys() == {"alpha", "beta"}


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "nowhere.yml"]) == 2
    assert capsys.readouterr().err == "nowhere.yml is not converted: it cannot be read: No such file or directory.\n"


def test_the_lab_is_called_after_the_folder_where_the_file_has_a_common_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "north"
    folder.mkdir()
    (folder / "hosts.json").write_text(FILES["hosts.json"])
    assert main(["convert", str(folder / "hosts.json")]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "north"


def test_variables_beside_an_inventory_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "inv.ini").write_text(FILES["inv.ini"])
    assert main(["convert", str(tmp_path / "inv.ini")]) == 0
    assert "the folder group_vars beside it is not read" in capsys.readouterr().err

"""Log blocks: everything escaped, long output cut with the whole in a file."""

from __future__ import annotations

from pathlib import Path

from OttoLibrary.contracts.connections import CommandResult, Record
from OttoLibrary.report.blocks import Attachments, block, fan_out, log_address, plain, topology


def _record(stdout: str, command: str = "cat file") -> Record:
    result = CommandResult("dut1", command, 0, stdout, "", None, 0.01)
    return Record("Run", "dut1", ("gateway", "dut1"), command, result, duration_s=0.01)


def _attachments(folder: Path | None = None) -> Attachments:
    return Attachments(folder, lambda text: text.replace("hunter2", "<secret>"))


def test_nothing_from_a_host_is_markup() -> None:
    html = block(_record("<script>alert(1)</script>", "echo '<b>'"), _attachments())
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html


def test_long_output_is_cut_in_the_middle_and_kept_whole(tmp_path: Path) -> None:
    text = "".join(f"line {number} hunter2\n" for number in range(5000))
    html = block(_record(text), _attachments(tmp_path))
    assert len(html) < 12_000
    assert "line 0 " in html
    assert "line 4999 " in html
    assert "cut here" in html
    assert "otto/dut1-stdout-1.txt" in html
    assert (tmp_path / "otto" / "dut1-stdout-1.txt").read_text() == text.replace("hunter2", "<secret>")


def test_a_link_under_pabot_leads_from_the_merged_log(tmp_path: Path) -> None:
    child = tmp_path / "pabot_results" / "3"
    child.mkdir(parents=True)
    assert _attachments(child).keep("x", "text") == "pabot_results/3/otto/x-1.txt"
    # With argument files there is one level more.
    child = tmp_path / "pabot_results" / "1" / "3"
    assert log_address(child, child / "otto" / "a b") == "pabot_results/1/3/otto/a%20b"
    assert log_address(tmp_path, tmp_path / "otto") == "otto"


def test_control_characters_show_and_escapes_go() -> None:
    assert plain("\x1b[31mred\x1b[0m\x00\r\nend") == "red\\x00\nend"


def test_a_fan_out_is_one_table_with_failures_named() -> None:
    html = fan_out("uptime", [("a", ("a",), _record("up").result), ("b", ("g", "b"), ValueError("<gone>"))])  # type: ignore[list-item]
    assert html.count("<tr>") == 3
    assert "1 failed" in html
    assert "&lt;gone&gt;" in html


def test_a_topology_draws_each_host_once() -> None:
    svg = topology([("gateway",), ("gateway", "dut1"), ("gateway", "dut2"), ("<x>",)])
    assert svg.count("<rect") == 5
    assert svg.count("<path") == 4
    assert "<x>" not in svg

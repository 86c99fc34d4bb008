"""Log blocks: everything escaped, long output cut with the whole in a file."""

from __future__ import annotations

from pathlib import Path

from OttoLibrary import masking
from OttoLibrary.contracts.connections import CommandResult, Record
from OttoLibrary.report.blocks import Attachments, block, fan_out, log_address, plain, topology


def _record(stdout: str, command: str = "cat file") -> Record:
    result = CommandResult("dut1", command, 0, stdout, "", None, 0.01)
    return Record("Run", "dut1", ("gateway", "dut1"), command, result, duration_s=0.01)


def _attachments(folder: Path | None = None, warnings: list[str] | None = None) -> Attachments:
    return Attachments(folder, lambda text: text.replace("hunter2", "<secret>"), ([] if warnings is None else warnings).append)


def test_no_room_beside_the_log_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "otto").write_text("a file in the place of the folder")
    warnings: list[str] = []
    attachments = _attachments(tmp_path, warnings)
    for _ in range(2):
        html = block(_record("line\n" * 5000), attachments)
        assert "cut here" in html
        assert "whole output" not in html
    assert warnings == [f"Long output is not kept beside the log: File exists ({tmp_path}/otto)."]


def test_a_secret_at_the_cut_is_hidden() -> None:
    masking.process_masker().add("hunter2-longer")
    for before in range(3970, 4010):
        assert "hunter" not in block(_record("x" * before + "hunter2-longer" + "y" * 20_000), _attachments())
        assert "longer" not in block(_record("x" * 20_000 + "hunter2-longer" + "y" * before), _attachments())
    for before in range(180, 210):
        assert "hunter" not in block(_record("", "echo " + "x" * before + "hunter2-longer"), _attachments())
    outcome = CommandResult("dut1", "true", 0, "x" * 295 + "hunter2-longer" + "y" * 400, "", None, 0.01)
    assert "hunt" not in fan_out("true", [("dut1", ("dut1",), outcome)], _attachments())


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
    html = fan_out("uptime", [("a", ("a",), _record("up").result), ("b", ("g", "b"), ValueError("<gone>"))], _attachments())  # type: ignore[list-item]
    assert html.count("<tr>") == 3
    assert "1 failed" in html
    assert "&lt;gone&gt;" in html


def test_a_topology_draws_each_host_once() -> None:
    svg = topology([("gateway",), ("gateway", "dut1"), ("gateway", "dut2"), ("<x>",)])
    assert svg.count("<rect") == 5
    assert svg.count("<path") == 4
    assert "<x>" not in svg

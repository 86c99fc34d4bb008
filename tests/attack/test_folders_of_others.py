"""Settings, labs and init modules that another user of this machine put on the way up are not used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from OttoLibrary.errors import LabError, PluginError, SettingsError
from OttoLibrary.lab import settings
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.lab.trust import distrust

MALLORY = 54321
Change = Callable[[Path], None]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTTO_SAFE_DIRECTORIES", "OTTO_SUT_DIRS", "OTTO_LABS", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a folder as /tmp is: everybody may write, and nobody may touch what others have."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def suites(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of suites of this user below it."""
    folder = shared / "ours" / "suites"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def put_repository(folder: Path, module: str) -> Path:
    """Put settings, a module that leaves a trace when it runs, and a lab into a folder; return the settings."""
    for name in (".otto", "python", "labs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "python" / f"{module}.py").write_text(f"open({str(folder / 'it_ran')!r}, 'w').close()\n")
    (folder / "labs" / "bench.json").write_text(json.dumps({"hosts": {"dut1": {"address": "192.0.2.66"}}}))
    file = folder / ".otto" / "settings.toml"
    file.write_text(f'name = "x"\nversion = "1.0.0"\nlibs = ["python"]\ninit = ["{module}"]\n')
    return file


def give(path: Path) -> None:
    os.chown(path, MALLORY, MALLORY)


def refused(start: Path) -> str:
    """Return why the settings for a folder are refused."""
    with pytest.raises(SettingsError) as raised:
        settings.import_init(settings.read(start))
    return str(raised.value)


@needs_root
@pytest.mark.parametrize("which", [".otto/settings.toml", ".otto", "."])
def test_settings_of_another_user_are_refused_and_nothing_runs(shared: Path, suites: Path, which: str) -> None:
    file = put_repository(shared / "ours", "otto_attack_owner")
    give(shared / "ours" / which)
    reason = f"'{shared / 'ours' / which}' belongs to user {MALLORY}"
    assert refused(suites) == (
        f"{file} is not used, because {reason}: another user of this machine may have written it. "
        f"If you trust it, name the folder: OTTO_SAFE_DIRECTORIES={shared / 'ours'}"
    )
    assert not (shared / "ours" / "it_ran").exists()


@needs_root
def test_settings_in_a_folder_for_everybody_are_refused(shared: Path, suites: Path) -> None:
    put_repository(shared, "otto_attack_tmp")
    give(shared / ".otto")
    give(shared / ".otto" / "settings.toml")
    assert f"belongs to user {MALLORY}" in refused(suites)
    assert not (shared / "it_ran").exists()


def test_ours_below_a_folder_for_everybody_is_used(shared: Path, suites: Path) -> None:
    put_repository(shared / "ours", f"otto_ours_{suites.parents[2].name}".replace("-", "_").replace("[", "_").replace("]", "_"))
    settings.import_init(settings.read(suites))
    assert (shared / "ours" / "it_ran").exists()
    assert load_lab("bench", suites).names() == ["dut1"]


@pytest.mark.parametrize(
    ("which", "mode", "reason"),
    [
        (".otto/settings.toml", 0o666, "everybody may write to "),
        (".otto", 0o777, "everybody may write to "),
        ("", 0o777, "everybody may write to "),
        ("..", 0o777, "everybody may write to "),
    ],
)
def test_what_everybody_may_write_is_refused(shared: Path, suites: Path, which: str, mode: int, reason: str) -> None:
    put_repository(shared / "ours", "otto_attack_mode")
    path = Path(os.path.normpath(shared / "ours" / which))
    path.chmod(mode)
    assert f"{reason}'{path}'" in refused(suites)


@needs_root
def test_what_a_group_of_others_may_write_is_refused(shared: Path, suites: Path) -> None:
    file = put_repository(shared / "ours", "otto_attack_group")
    os.chown(file, -1, 12345)
    file.chmod(0o664)
    assert f"the group 12345 may write to '{file}'" in refused(suites)


@needs_root
def test_a_lab_of_another_user_is_refused(shared: Path, suites: Path) -> None:
    put_repository(shared, "otto_attack_lab")
    (shared / ".otto" / "settings.toml").unlink()
    give(shared / "labs" / "bench.json")
    with pytest.raises(LabError, match=f"bench.json is not used, because .* belongs to user {MALLORY}: another user"):
        load_lab("bench", suites)
    file = str(shared / "labs" / "bench.json")
    assert load_lab(file).names() == ["dut1"], "named by its path it is this user's choice"


@needs_root
def test_an_otto_file_of_another_user_is_not_even_read(shared: Path, suites: Path) -> None:
    (shared / "labs").mkdir()
    file = shared / "labs" / "hosts.json"
    file.write_text('[{"ip": "192.0.2.66", "ne": "x", "creds": {"u": "p"}, "labs": ["bench"]}]')
    assert load_lab("bench", suites).names() == ["x"]
    give(file)
    with pytest.raises(LabError, match=f"No lab named 'bench'.*\n.*hosts.json is not used, because .* belongs to user {MALLORY}"):
        load_lab("bench", suites)


@needs_root
@pytest.mark.parametrize("allowed", ["", "..", "*"])
def test_a_folder_that_is_named_is_used(shared: Path, suites: Path, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"otto_allowed_{ {'': 'a', '..': 'b', '*': 'c'}[allowed] }"
    file = put_repository(shared / "ours", module)
    for path in (file, file.parent, shared / "ours" / "labs" / "bench.json", shared / "ours" / "python" / f"{module}.py"):
        give(path)
    where = allowed if allowed == "*" else os.path.normpath(shared / "ours" / allowed)
    monkeypatch.setenv("OTTO_SAFE_DIRECTORIES", os.pathsep.join(["/nowhere", where]))
    settings.import_init(settings.read(suites))
    assert (shared / "ours" / "it_ran").exists()
    assert load_lab("bench", suites).names() == ["dut1"]


@needs_root
def test_another_folder_that_is_named_does_not_help(shared: Path, suites: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(put_repository(shared / "ours", "otto_attack_other"))
    monkeypatch.setenv("OTTO_SAFE_DIRECTORIES", str(shared / "our"))
    assert f"belongs to user {MALLORY}" in refused(suites)


@needs_root
def test_an_init_module_of_another_user_does_not_run(shared: Path, suites: Path) -> None:
    put_repository(shared / "ours", "otto_attack_init")
    give(shared / "ours" / "python" / "otto_attack_init.py")
    with pytest.raises(PluginError, match=f"module 'otto_attack_init' is not imported.* belongs to user {MALLORY}"):
        settings.import_init(settings.read(suites))
    assert not (shared / "ours" / "it_ran").exists()


@needs_root
def test_a_link_of_another_user_is_not_followed(shared: Path, suites: Path) -> None:
    put_repository(shared / "ours", "otto_attack_link")
    (shared / "link").symlink_to(shared / "ours")
    os.lchown(shared / "link", MALLORY, MALLORY)
    assert f"the link '{shared / 'link'}' belongs to user {MALLORY}" in refused(shared / "link" / "suites")


@needs_root
def test_a_folder_that_nobody_else_can_look_into_stops_no_run() -> None:
    code = "import os, sys; from pathlib import Path; from OttoLibrary.lab import settings; os.setuid(65534)\n"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / ".otto").mkdir(mode=0o700)
        (Path(folder) / "suites").mkdir()
        command = [sys.executable, "-c", code + "print(settings.read(Path(sys.argv[1])))", f"{folder}/suites"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout == "Settings(repositories=())\n", ran.stderr


@needs_root
def test_the_user_who_called_sudo_is_this_user(shared: Path, suites: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put_repository(shared / "ours", "otto_attack_sudo")
    for path in (file, file.parent, shared / "ours"):
        give(path)
    assert distrust(file)
    monkeypatch.setenv("SUDO_UID", str(MALLORY))
    assert distrust(file) is None

"""Settings: found upwards and in OTTO_SUT_DIRS, checked as a whole, and what they import."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from OttoLibrary.errors import NotFreeError, PluginError, SettingsError
from OttoLibrary.lab import settings
from OttoLibrary.run.run_monitor import monitor_option
from OttoLibrary.run.session import Session

HEAD = 'name = "sut"\nversion = "1.2.3"\n'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTTO_SUT_DIRS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])


def write(folder: Path, text: str) -> Path:
    (folder / ".otto").mkdir(parents=True)
    (folder / ".otto" / "settings.toml").write_text(text)
    return folder


def test_none_is_fine(tmp_path: Path) -> None:
    assert settings.read(tmp_path) == settings.Settings()


def test_the_nearest_upwards_counts(tmp_path: Path) -> None:
    write(tmp_path, HEAD)
    inner = write(tmp_path / "inner", 'name = "inner"\nversion = "1.0.0"\n')
    (inner / "suites" / "deep").mkdir(parents=True)
    found = settings.read(inner / "suites" / "deep")
    assert [repository.name for repository in found.repositories] == ["inner"]
    assert [repository.name for repository in settings.read().repositories] == ["sut"]


def test_sut_dirs_follow_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near = write(tmp_path / "near", HEAD + 'init = ["a"]\n[lab]\ndefault = "near"\n')
    far = write(tmp_path / "far", HEAD + 'init = ["b"]\n[lab]\ndefault = "far"\n[monitor]\ninterval = "5 s"\n')
    third = write(tmp_path / "third", HEAD + 'init = ["c"]\n')
    monkeypatch.setenv("OTTO_SUT_DIRS", f"{far}, {near}:{third}")
    found = settings.read(near)
    assert found.init == ("a", "b", "c")
    assert found.lab == {"default": "near"}
    assert found.monitor == {"interval": 5.0}
    assert found.reservations == {}


def test_folders_are_of_the_repository(tmp_path: Path) -> None:
    for name in ("labs", "py", "suites"):
        (tmp_path / name).mkdir()
    write(
        tmp_path, HEAD + 'labs = ["${sutDir}/labs"]\nlibs = ["py"]\ntests = ["./suites"]\n[lab.preferences]\nat = "${sutDir}/x"\n'
    )
    found = settings.read(tmp_path)
    assert (found.labs, found.libs, found.tests) == ((tmp_path / "labs",), (tmp_path / "py",), (tmp_path / "suites",))
    assert found.lab["preferences"] == {"at": f"{tmp_path}/x"}


def test_defaults_are_host_keys_as_written(tmp_path: Path) -> None:
    write(tmp_path, HEAD + '[defaults]\nuser = "tester"\npassword = "${env:PASSWORD}"\n[defaults.ssh]\nagent = false\n')
    assert settings.read(tmp_path).defaults == {"user": "tester", "password": "${env:PASSWORD}", "ssh": {"agent": False}}


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        'nam = "sut"\nversion = "1.2"\nlabs = ["nowhere"]\ninit = ["my-sut"]\ntests = "suites"\n[lb]\n[defaults]\nusr = "x"\n'
        '[monitor]\ninterval = "soon"\n[reservations]\nbackend = 3\n',
    )
    with pytest.raises(SettingsError) as caught:
        settings.read(tmp_path)
    assert str(caught.value).splitlines() == [
        "The settings have 10 mistakes:",
        "  .otto/settings.toml: unknown key 'nam' @ top level (did you mean 'name'?)",
        "  .otto/settings.toml: unknown key 'lb' @ top level (did you mean 'lab'?)",
        "  .otto/settings.toml: 'name' is missing @ top level",
        "  .otto/settings.toml: '1.2' is not a version such as '1.2.3' @ version",
        f"  .otto/settings.toml: there is no folder '{tmp_path}/nowhere' @ labs[0]",
        "  .otto/settings.toml: 'my-sut' is not the name of a Python module, such as 'my_sut.init' @ init[0]",
        "  .otto/settings.toml: text is not a list @ tests",
        "  .otto/settings.toml: unknown key 'usr' @ defaults (did you mean 'user'?)",
        "  .otto/settings.toml: 'soon' is not a duration such as 10, '500ms' or '1 min 30 s' @ monitor.interval",
        "  .otto/settings.toml: a number is not text with something in it @ reservations.backend",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "x\n', r"bad TOML: .*line 1"),
        (HEAD + 'name = "again"\n', "bad TOML"),
        (HEAD + '[reservations]\nurl = "${env:URL}"\n', "a reference is not allowed here"),
        (HEAD + "lab = 3\n", "a number is not an object @ lab"),
    ],
)
def test_one_mistake_names_file_and_place(tmp_path: Path, text: str, sentence: str) -> None:
    write(tmp_path, text)
    with pytest.raises(SettingsError, match=rf"^\.otto/settings\.toml: .*{sentence}"):
        settings.read(tmp_path)


def test_a_sut_dir_without_settings_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_SUT_DIRS", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"OTTO_SUT_DIRS names '.*/nowhere', where there is no \.otto/settings\.toml\."):
        settings.read(tmp_path)


def test_init_modules_come_from_libs(tmp_path: Path) -> None:
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "sut_init_fine.py").write_text("VALUE = 7\n")
    write(tmp_path, HEAD + 'libs = ["py"]\ninit = ["sut_init_fine"]\n')
    settings.import_init(settings.read(tmp_path))
    assert sys.modules["sut_init_fine"].VALUE == 7
    assert sys.path[-1] == str(tmp_path / "py")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import os\n\nraise ValueError('boom')\n", r"ValueError: boom \(py/{name}\.py, line 3\) @ init$"),
        ("def broken(:\n", r"SyntaxError: invalid syntax \({name}\.py, line 1\) @ init$"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(py/{name}\.py, line 2\) @ init$"),
        (None, r"ModuleNotFoundError: No module named '{name}' @ init$"),
    ],
)
def test_an_init_module_that_fails_names_file_and_key(tmp_path: Path, source: str | None, sentence: str) -> None:
    name = f"sut_init_{abs(hash(sentence))}"
    (tmp_path / "py").mkdir()
    if source is not None:
        (tmp_path / "py" / f"{name}.py").write_text(source)
    write(tmp_path, HEAD + f'libs = ["py"]\ninit = ["{name}"]\n')
    with pytest.raises(
        PluginError, match=rf"^\.otto/settings\.toml: module '{name}' cannot be imported: " + sentence.format(name=name)
    ):
        settings.import_init(settings.read(tmp_path))


def test_nothing_else_of_the_repository_is_executed(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    for folder in (tmp_path, tmp_path / "suites"):
        (folder / "test_evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
        (folder / "conftest.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    write(tmp_path, HEAD + 'tests = ["suites"]\nlibs = ["."]\n')
    settings.import_init(settings.read(tmp_path))
    assert not (tmp_path / "executed").exists()


def test_a_session_takes_lab_and_watching_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTTO_LAB", raising=False)
    write(tmp_path, HEAD + '[lab]\ndefault = ["demo"]\n[monitor]\ninterval = "3 s"\nmetrics = ["cpu", "load"]\n')
    session = Session()
    assert session.lab.loaded.name == "demo"
    assert monitor_option(session.suite, "interval", None, 1.0) == 3.0
    assert monitor_option(session.suite, "interval", 5.0, 1.0) == 5.0
    assert monitor_option(session.suite, "metrics", "", "") == "cpu,load"
    assert monitor_option(session.suite, "hosts", "", "*") == "*"
    session.close()


def test_a_session_takes_reservations_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTTO_RESERVATION_BACKEND", raising=False)
    (tmp_path / "who.json").write_text('{"version": 1, "reservations": [{"user": "bob", "resources": ["demo/dut1"]}]}')
    write(tmp_path, HEAD + '[reservations]\nbackend = "json"\npath = "${sutDir}/who.json"\n')
    session = Session("demo")
    assert session.reservations.backend.backend_name() == "json"
    with pytest.raises(NotFreeError):
        session.hosts.use("dut1")
    session.hosts.use("dut2")
    session.close()
    assert Session("demo", "none").reservations.backend.backend_name() == "none"
    monkeypatch.setenv("OTTO_RESERVATION_BACKEND", "none")
    assert Session("demo").reservations.backend.backend_name() == "none"

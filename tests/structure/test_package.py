"""What is released: the wheel and sdist, their description, and the packages that they need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from OttoLibrary.version import VERSION

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NOT_IN_ALL = {"all", "dev", "vitro"}


def package(requirement: str) -> str:
    return re.split(r"[<>=\[;]", requirement)[0].strip().lower()


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pypi_can_show_it(dist: Path) -> None:
    pytest.importorskip("twine")
    words = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_what_is_no_module_too(dist: Path) -> None:
    names = set(zipfile.ZipFile(next(dist.glob("*.whl"))).namelist())
    kept = [path for path in (ROOT / "OttoLibrary").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    wanted = {path.relative_to(ROOT).as_posix() for path in kept}
    assert len(wanted) > 200
    missing = (wanted | {"OttoLibrary/resources/deploy.resource", "OttoLibrary/listeners/metrics.py"}) - names
    assert not missing
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_the_sdist_holds_what_a_packager_needs(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "mkdocs.yml",
        "docs/guide/getting-started.robot.md",
        "resources/deploy.resource",
    }


def test_all_has_every_extra_but_those_that_say_so() -> None:
    listed = re.fullmatch(r"robotframework-ottolibrary\[(.*)\]", EXTRAS["all"][0])
    assert listed
    assert set(listed[1].split(",")) == EXTRAS.keys() - NOT_IN_ALL


def test_robot_framework_is_bound() -> None:
    assert [requirement for requirement in PROJECT["dependencies"] if package(requirement) == "robotframework"] == [
        "robotframework>=7.4,<8"
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="A release is a tag of git.")
def test_a_release_and_its_tag_agree(tmp_path: Path) -> None:
    for name in (".ci/release", "OttoLibrary/version.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text("## Unreleased\n")

    def run(*words: str) -> tuple[int, str]:
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHON": sys.executable}
        who = {f"GIT_{role}_{part}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        done = subprocess.run(words, cwd=tmp_path, env=variables | who, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    assert "HEAD has no tag" in run(".ci/release", "version")[1]
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x"), ("tag", "v9.9.9")):
        assert run("git", *words)[0] == 0
    assert run(".ci/release", "version") == (1, f"The tag is v9.9.9, but OttoLibrary/version.py says {VERSION}.\n")
    run("git", "tag", "-d", "v9.9.9")
    run("git", "tag", f"v{VERSION}")
    assert run(".ci/release", "version")[0] == 1
    changes.write_text(f"## {VERSION}\n")
    assert run(".ci/release", "version")[0] == 0


def test_the_decision_on_dependencies_names_each() -> None:
    text = (ROOT / "docs" / "decisions" / "0003-dependencies.md").read_text().lower()
    needed = [*PROJECT["dependencies"], *(each for extra in EXTRAS.keys() - {"all", "dev"} for each in EXTRAS[extra])]
    missing = {package(each) for each in needed} - {"robotframework"}
    assert not {name for name in missing if name not in text and name.removeprefix("robotframework-") not in text}


@pytest.mark.parametrize("words", [["hosts", "demo"], ["labs"], ["schema"], []], ids=" ".join)
def test_no_command_imports_what_draws_on_a_terminal(words: list[str]) -> None:
    drawn = "{'rich', 'yaml', 'argcomplete'}"
    script = f"import sys\nfrom OttoLibrary.cli.main import main\nmain({words!r})\nassert not {drawn} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_library_imports_nothing_that_draws_on_a_terminal() -> None:
    script = (
        "import sys\nfrom OttoLibrary import OttoLibrary\nOttoLibrary().get_keyword_names()\nassert 'rich' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

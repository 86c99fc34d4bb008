"""The names that suites, command lines and plug-ins use, each as the documentation shows it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from robot.utils import find_file
from robot.utils.importer import Importer

import OttoLibrary

ROOT = Path(__file__).parents[2]
CLASSES = ("OttoLibrary", "Metrics", "Evidence", "EachHost", "Repeat", "Hosts")
KINDS = ("labsource", "reservation", "transport", "transfer", "metric", "profile", "reference")


def answer_of(script: str, *folders: Path) -> str:
    """Return what a Python of its own prints; nothing that this one has imported is there."""
    paths = f"import sys\nsys.path[:0] = {[str(folder) for folder in folders]!r}\n"
    words = [sys.executable, "-c", paths + textwrap.dedent(script)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_ottolibrary_import() -> None:
    script = f"""
    from OttoLibrary import {", ".join(CLASSES)}, instruction, __version__
    for name in {CLASSES!r}:
        assert vars()[name].__name__ == name, name
    @instruction
    def flash_firmware(): "Flashes."
    assert flash_firmware.__name__ == "flash_firmware"
    print(__version__)
    """
    assert answer_of(script).strip() == OttoLibrary.__version__


def test_a_folder_hides_no_public_name() -> None:
    script = f"""
    import importlib, pkgutil, OttoLibrary
    for found in pkgutil.walk_packages(OttoLibrary.__path__, "OttoLibrary."):
        if found.name != "OttoLibrary.__main__" and not found.name.startswith("OttoLibrary.listeners"):
            importlib.import_module(found.name)
    for name in {CLASSES!r}:
        assert isinstance(getattr(OttoLibrary, name), type), name
    assert callable(OttoLibrary.instruction)
    print(sorted(set(OttoLibrary.__all__) - set(dir(OttoLibrary)) - set(OttoLibrary._MODULES)))
    """
    assert answer_of(script).strip() == "[]"


@pytest.mark.parametrize("name", [f"OttoLibrary.{name}" for name in CLASSES if name != "Hosts"])
def test_robot_framework_finds_it(name: str) -> None:
    # As of 'Library', '--listener' and '--prerunmodifier'.
    found = Importer().import_class_or_module(name)
    assert found is getattr(OttoLibrary, name.partition(".")[2])


def test_robot_framework_finds_the_library_by_its_short_name() -> None:
    assert Importer("library").import_class_or_module("OttoLibrary") is OttoLibrary.OttoLibrary


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "OttoLibrary.registry",
            "register_lab_repository register_metric register_reservation_backend register_transfer register_transport",
        ),
        ("OttoLibrary.testing", "AcquiringTests LabRepositoryTests ReservationTests"),
        ("OttoLibrary.instructions.options", "read_options"),
        ("OttoLibrary.contracts.transfers", "Transfer TransferOptions"),
        ("OttoLibrary.contracts.connections", "Transport"),
        ("OttoLibrary.contracts.labs", "LabFiles LabRepository Reference"),
        ("OttoLibrary.contracts.reservations", "Acquiring Leasing Reservations"),
        ("OttoLibrary.contracts.metrics", "Metric"),
        ("OttoLibrary.contracts.profiles", "Profile"),
        ("OttoLibrary.examples.options", "DemoOptions"),
    ],
)
def test_a_module_for_plug_ins_has_its_names(module: str, names: str) -> None:
    found = Importer().import_module(module)
    assert [name for name in names.split() if not hasattr(found, name)] == []


@pytest.mark.parametrize("name", ["deploy", "health", "logs"])
def test_a_resource_file_is_found_beside_the_package(name: str) -> None:
    assert Path(find_file(f"OttoLibrary/resources/{name}.resource", file_type="Resource file")).is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_point_brings_an_adapter(kind: str, tmp_path: Path) -> None:
    facts = tmp_path / "own_plugin-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugin\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[otto.{kind}s]\nours = own_plugin:Ours\n")
    script = f"""
    from OttoLibrary import registry
    print("ours" in registry.names({kind!r}))
    """
    assert answer_of(script, tmp_path).strip() == "True"


def test_the_command_line_is_the_package() -> None:
    words = [sys.executable, "-m", "OttoLibrary", "--version"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, OttoLibrary.__version__ in done.stdout) == (0, True), done.stderr

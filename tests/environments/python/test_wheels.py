"""A distribution that is installed, packed into a wheel again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mltrack.environments.interpreter import Interpreter
from mltrack.environments.python.distributions import Distribution, File, read_answer
from mltrack.environments.python.probe import probe
from mltrack.environments.python.wheels import fitting, info_directories, pack_installed, wheel_tags
from mltrack.errors import EnvironmentFailed
from tests.environments.making import variables, venv
from tests.helpers import write

DATA = {
    "gamma/__init__.py": "VERSION = '1.0'\n",
    "gamma/run.sh": "#!/bin/sh\n",
    "gamma/with, comma.txt": "x",
    "gamma-1.0.data/scripts/gamma-tool": "#!python\nimport gamma; print('tool', gamma.VERSION)\n",
    "gamma-1.0.data/data/share/gamma/settings.ini": "[a]\n",
    "gamma-1.0.data/headers/gamma.h": "int x;\n",
    "gamma-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: gamma\nVersion: 1.0\nRequires-Dist: alpha>=1; extra == 'x'\n",
    "gamma-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n",
    "gamma-1.0.dist-info/entry_points.txt": "[console_scripts]\ngamma = gamma:print\n",
}


def rich_wheel(directory: Path) -> Path:
    """A wheel with everything that a wheel may have."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "gamma-1.0-py2.py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in DATA.items():
            archive.writestr(name, text)
        lines = [f'"{name}",,' if "," in name else f"{name},," for name in DATA]
        archive.writestr(
            "gamma-1.0.dist-info/RECORD", "".join(f"{line}\n" for line in [*lines, "gamma-1.0.dist-info/RECORD,,"])
        )
    return path


def look(interpreter: Path, tmp_path: Path) -> tuple[Distribution, Path, Path]:
    """The only distribution of an environment, its .dist-info directory and the environment's prefix."""
    answer = probe(Interpreter((str(interpreter),), tmp_path, variables()), tmp_path / "cache")
    (found,) = read_answer(answer, tmp_path / "project").distributions
    return found, info_directories(answer)[found.name], Path(answer["prefix"])


def test_what_is_packed_installs_the_same_files(tmp_path: Path) -> None:
    first = venv(tmp_path / "first", str(rich_wheel(tmp_path / "house")))
    found, info, prefix = look(first, tmp_path)
    packed = pack_installed(found, info, prefix, tmp_path / "packed")
    assert packed.name == "gamma-1.0-py2.py3-none-any.whl"
    second = venv(tmp_path / "second", str(packed))
    again, _, _ = look(second, tmp_path)
    assert again.installed == found.installed
    assert again.tags == found.tags == ("py2-none-any", "py3-none-any")
    assert again.requires == ("alpha",)

    def files(top: Path) -> dict[str, bytes]:
        names = ("site-packages/gamma/", "share/gamma", "gamma.h", "bin/gamma")
        return {
            name: path.read_bytes().replace(bytes(top), b"TOP")
            for path in top.rglob("*")
            if path.is_file()
            and any(part in (name := str(path.relative_to(top))) for part in names)
            and ".pyc" not in name
        }

    assert len(files(tmp_path / "first")) == 7
    assert files(tmp_path / "first") == files(tmp_path / "second")


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    made = venv(tmp_path / "venv", str(rich_wheel(tmp_path / "house")))
    first, second = (pack_installed(*look(made, tmp_path), tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_changed_or_missing_file_is_not_packed(tmp_path: Path) -> None:
    made = venv(tmp_path / "venv", str(rich_wheel(tmp_path / "house")))
    found, info, prefix = look(made, tmp_path)
    write(info.parent, {"gamma/__init__.py": "VERSION = 'other'\n"})
    record = (info / "RECORD").read_text()
    if "gamma/__init__.py,sha256=" in record:
        with pytest.raises(EnvironmentFailed, match="was changed after"):
            pack_installed(found, info, prefix, tmp_path / "packed")
    (info.parent / "gamma/__init__.py").unlink()
    with pytest.raises(EnvironmentFailed, match="gone"):
        pack_installed(found, info, prefix, tmp_path / "packed")
    (info / "RECORD").unlink()
    with pytest.raises(EnvironmentFailed, match="no RECORD"):
        pack_installed(found, info, prefix, tmp_path / "packed")
    assert not list((tmp_path / "packed").glob("*"))


def test_the_installed_wheel_is_known_by_its_tags() -> None:
    files = tuple(
        File(f"x-1-{tags}.whl", "0" * 64)
        for tags in (
            "cp310-cp310-manylinux_2_17_x86_64",
            "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
            "cp311-cp311-win_amd64",
        )
    )
    found = Distribution("x", "1", "index", wheels=files, tags=("cp311-cp311-manylinux_2_17_x86_64",))
    assert fitting(found) == files[1]
    assert fitting(Distribution("x", "1", "index", wheels=files, tags=("cp312-cp312-linux_x86_64",))) is None
    assert fitting(Distribution("x", "1", "index", wheels=files)) is None
    assert wheel_tags("x-1-2build-py2.py3-none-any.whl") == {"py2-none-any", "py3-none-any"}
    assert wheel_tags("x-1.tar.gz") == frozenset()

"""What starts fast stays fast: which modules each way in imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "git",
    "docker",
    "fsspec",
    "sqlite_utils",
    "matplotlib",
    "numpy",
    "pydantic",
    "psutil",
    "rich",
    "typer",
    "click",
}


def imported_by(code: str) -> set[str]:
    """Top-level modules after some code ran in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_importing_mltrack_costs_nothing() -> None:
    assert not imported_by("import mltrack") & (HEAVY | {"json", "dataclasses", "subprocess", "inspect", "sqlite3"})


def test_the_version_is_told_without_the_command_line() -> None:
    code = "import sys; sys.argv = ['mltrack', '--version']\nimport mltrack.__main__ as m\ntry: m.main()\nexcept SystemExit: pass"
    assert not imported_by(code) & (HEAVY | {"json", "dataclasses", "subprocess"})


@pytest.mark.parametrize(
    "module", ["mltrack.cli.start", "mltrack.operations.run", "mltrack.executors.local", "mltrack.snapshot.code"]
)
def test_the_road_to_a_commands_start_imports_nothing_heavy(module: str) -> None:
    assert not imported_by(f"import {module}") & (HEAVY | {"yaml", "sqlite3", "zstandard"})


def test_a_table_of_commands_imports_no_command() -> None:
    assert not imported_by("import mltrack.cli.group") & (HEAVY - {"typer", "click", "rich"})


def test_the_version_is_the_same_in_both_places() -> None:
    import mltrack
    from mltrack.version import VERSION

    assert mltrack.__version__ == VERSION

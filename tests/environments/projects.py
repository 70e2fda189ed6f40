"""Real projects, made by pip, uv, poetry and pdm, with distributions of the package index that this machine knows.

Used by tests and benchmarks. poetry and pdm are installed once a machine, beside the cache of the other parts; where
they or the index cannot be had, `tool` says so and the test skips.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mltrack.environments.python.indexes import default_index
from tests.environments.making import UV
from tests.helpers import git_repository

TOOLS = ("pip", "uv", "poetry", "pdm")

WITH_LOCKED = {"pdm": "pdm[locked]"}
"""pdm of today does not start with the newest of what it needs."""

ONE = ("six==1.17.0",)
TWENTY = [
    "attrs==25.3.0",
    "certifi==2025.8.3",
    "charset-normalizer==3.4.3",
    "click==8.2.1",
    "colorama==0.4.6",
    "idna==3.10",
    "iniconfig==2.1.0",
    "jinja2==3.1.6",
    "markdown-it-py==4.0.0",
    "markupsafe==3.0.2",
    "mdurl==0.1.2",
    "packaging==25.0",
    "pluggy==1.6.0",
    "pygments==2.19.2",
    "pyyaml==6.0.2",
    "requests==2.32.5",
    "rich==14.1.0",
    "six==1.17.0",
    "tomli==2.2.1",
    "urllib3==2.5.0",
]
"""Twenty that need nothing else: plain ones, some with compiled parts, some with programs."""

TRAIN = """import importlib.metadata as metadata
names = sorted(found.metadata["Name"].lower() for found in metadata.distributions())
open("out.txt", "w").write(" ".join(names))
"""


@dataclass(frozen=True)
class Project:
    """A project in a git repository, with its environment."""

    root: Path
    python: Path


def tool(name: str, home: Path, variables: dict[str, str]) -> Path | None:
    """The program; poetry and pdm are installed below `home` at the first time. None if that cannot be done."""
    if name in ("pip", "uv", "uv pip"):
        return Path(UV)
    program = home / name / "bin" / name
    if not program.exists():
        made = run([UV, "venv", "-q", "--no-project", "--python", sys.executable, str(home / name)], variables)
        made = made and run(
            [UV, "pip", "install", "-q", "--python", str(home / name / "bin/python"), WITH_LOCKED.get(name, name)],
            variables,
        )
        if not made:
            return None
    return program


def many(variables: dict[str, str]) -> tuple[str, ...]:
    """The pins of everything that these tests run with, some 170, and PyTorch where a wheel of it lies here."""
    words = [UV, "pip", "freeze", "--quiet", "--python", sys.executable]
    listed = subprocess.run(words, env=variables, capture_output=True, text=True, check=True).stdout.splitlines()
    pins = [line for line in listed if "==" in line and " @ " not in line and not line.startswith(("-", "torch=="))]
    places = f"{variables.get('PIP_FIND_LINKS', '')} {variables.get('UV_FIND_LINKS', '')}".replace(",", " ").split()
    torches = sorted(path for place in places for path in Path(place).glob("torch-*.whl"))
    return (*pins, *(f"torch=={path.name.split('-')[1]}" for path in torches[:1]))


def run(words: Sequence[str], variables: dict[str, str], cwd: Path | None = None) -> bool:
    """Run a program that may have to ask an index; did it do it?"""
    try:
        done = subprocess.run(words, cwd=cwd, env=variables, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
    return done.returncode == 0


def make_project(
    root: Path, name: str, program: Path, wanted: Sequence[str], variables: dict[str, str]
) -> Project | None:
    """A project whose environment `.venv` one of TOOLS filled with these pins; None if no index has them."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    files = {"train.py": TRAIN, ".gitignore": ".venv/\n__pycache__/\n.pdm-python\n"}
    if name in ("uv", "poetry", "pdm"):
        files["pyproject.toml"] = project_file(wanted)
    git_repository(root, files)
    venv = root / ".venv"
    given = {**variables, "POETRY_VIRTUALENVS_IN_PROJECT": "true", "VIRTUAL_ENV": str(venv), "PDM_CHECK_UPDATE": "0"}
    steps: dict[str, list[list[str]]] = {
        "pip": [
            [str(base), "-m", "venv", str(venv)],
            [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", *wanted],
        ],
        "uv pip": [
            [UV, "venv", "--quiet", "--no-project", "--python", str(base), str(venv)],
            [UV, "pip", "install", "--quiet", "--no-deps", "--python", str(venv / "bin/python"), *wanted],
        ],
        "uv": [[str(program), "sync", "--quiet", "--python", str(base), "--no-install-project"]],
        "poetry": [
            [UV, "venv", "--quiet", "--no-project", "--python", str(base), str(venv)],
            [str(program), "install", "--no-interaction", "--quiet", "--no-root"],
        ],
        "pdm": [
            [UV, "venv", "--quiet", "--no-project", "--python", str(base), str(venv)],
            [str(program), "use", "--quiet", "--first", str(venv / "bin/python")],
            [str(program), "install", "--quiet", "--no-self"],
        ],
    }
    if name == "uv":
        given.pop("VIRTUAL_ENV")
    done = all(run(words, given, root) for words in steps[name])
    return Project(root, venv / "bin/python") if done else None


def project_file(wanted: Sequence[str]) -> str:
    """A pyproject.toml that all of the tools read."""
    lines = "".join(f'    "{pin}",\n' for pin in wanted)
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f'[project]\nname = "subject"\nversion = "0.1"\nrequires-python = "=={minor}.*"\ndependencies = [\n{lines}]\n\n'
        "[tool.poetry]\npackage-mode = false\n\n[tool.pdm]\ndistribution = false\n\n[tool.uv]\npackage = false\n"
        # poetry asks an interface of its own where it is not given an index by its URL.
        f'[[tool.poetry.source]]\nname = "simple"\nurl = "{default_index()}/"\npriority = "primary"\n'
    )


def own_variables(home: Path) -> dict[str, str]:
    """This machine's settings of pip and uv, in a home of their own."""
    kept = {name: text for name, text in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return {**kept, "HOME": str(home)}

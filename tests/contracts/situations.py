"""For each kind, a command in a project in which it applies. A new kind adds a function to `SITUATIONS`.

`build(root)` makes what the command needs below `root` and gives back a Situation; the project itself, `root/project`,
exists already and holds `train.py`. What is in `secrets` must turn up nowhere in what is recorded.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.environments.making import pip_install, venv, wheel
from tests.helpers import write

SECRET = "s3cr3t-T0k3n-Pl4nted"


@dataclass(frozen=True)
class Situation:
    """A command, and what it prints when it is run in the rebuilt environment."""

    argv: tuple[str, ...]
    prints: str
    gone: tuple[str, ...] = ()
    """What, below the root, is removed before it is built again: nothing of the old environment may be used."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """For capturing and for building."""
    options: Mapping[str, Any] = field(default_factory=dict)
    is_found: bool = True
    """Does `auto` choose this kind for it?"""


def python(root: Path) -> Situation:
    wheel(root / "wheels", "alpha", "1.0")
    own = wheel(root / "own", "gamma", "3.0")
    made = venv(root / "venv", "alpha", wheels=root / "wheels")
    pip_install(made, str(own))
    index = f"https://user:{SECRET}@index.example.org/simple"
    variables = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(root / "wheels"), "UV_INDEX": index, "API_TOKEN": SECRET}
    return Situation((str(made), "-c", "import alpha; print(alpha.VERSION)"), "1.0\n", ("venv",), variables)


def system(root: Path) -> Situation:
    return Situation(("sh", "-c", "echo hello"), "hello\n", variables={"API_TOKEN": SECRET})


def conda(root: Path) -> Situation:
    """Without Python, which takes long to copy; `tests/environments/conda` has it."""
    import json

    from tests.environments.conda.channel import HOLDER, package, prefix, program

    archives = [package(root / "chan", "tool", program(f'tool:[ -d {HOLDER} ] && echo "tool $1"'))]
    archives.append(package(root / "chan", "data", {"share/data": (b"x", 0o644)}, depends=["tool"], bz2=True))
    made = prefix(root / "env", f"file://{root}/chan".replace(" ", "%20"), *archives)
    metadata = made / "conda-meta" / "data-1.0-0.json"
    table = json.loads(metadata.read_text())
    table["channel"] = f"https://user:{SECRET}@host.example.org/t/{SECRET}/chan"
    metadata.unlink()
    metadata.write_text(json.dumps(table))
    return Situation((str(made / "bin" / "tool"), "one"), "tool one\n", ("env",), {"API_TOKEN": SECRET})


@lru_cache(maxsize=1)
def r_library() -> Path:
    """A library with one package: R takes a second to install it."""
    from tests.environments.r.packages import install, source

    place = Path(tempfile.mkdtemp(prefix="mltrack-r-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    install(place / "library", source(place / "cran", "first", "1.0"))
    return place / "library"


def r(root: Path) -> Situation:
    shutil.copytree(r_library(), root / "library")
    argv = ("Rscript", "-e", "cat(first::told(), '\\n')")
    return Situation(argv, "first 1.0 \n", variables={"R_LIBS": str(root / "library"), "API_TOKEN": SECRET})


def julia(root: Path) -> Situation:
    """The `julia` is a stand-in: see tests/environments/julia."""
    from tests.environments.julia.test_julia import NEW, PROJECT, stand_in

    path = stand_in(root, "1.10.4", 'echo "trained $1"')
    write(root / "project", {"env/Project.toml": PROJECT, "env/Manifest.toml": NEW.replace("s3cret", SECRET)})
    argv = ("julia", "--project=env", "train.jl")
    return Situation(argv, "trained train.jl\n", variables={"PATH": path, "API_TOKEN": SECRET})


def apptainer(root: Path) -> Situation:
    """The plug-in of docs/examples, where it is installed; the `apptainer` is a stand-in."""
    from tests.environments.plug_in.test_plug_in import APPTAINER

    write(root, {"bin/apptainer": APPTAINER, "project/model.sif": "image"})
    (root / "bin" / "apptainer").chmod(0o755)
    path = os.pathsep.join([str(root / "bin"), os.environ["PATH"]])
    variables = {"PATH": path, "APPTAINER_LOG": os.devnull, "API_TOKEN": SECRET}
    argv = ("sh", "-c", 'echo "in $APPTAINER_NAME"')
    return Situation(argv, "in image\n", ("project/model.sif",), variables, {"image": "model.sif"}, is_found=False)


SITUATIONS: dict[str, Callable[[Path], Situation]] = {
    "conda": conda,
    "r": r,
    "julia": julia,
    "python": python,
    "system": system,
    "apptainer": apptainer,
}

NEEDS = {"conda": "rattler", "r": "Rscript", "docker": "docker"}
"""Kind -> the part of `tests/conftest.py` without which its tests are skipped."""

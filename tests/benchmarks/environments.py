"""An environment captured, locked and built again, beside what pip and uv need for a part of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from mltrack.environments.python.indexes import installer_settings
from tests.benchmarks.timing import Case, case_table, quiet_variables, side_by_side

UV = os.fspath(find_uv_bin())
TWENTY = [
    "attrs",
    "certifi",
    "charset-normalizer",
    "click",
    "colorama",
    "idna",
    "iniconfig",
    "jinja2",
    "markupsafe",
    "mdurl",
    "packaging",
    "pluggy",
    "pygments",
    "pyyaml",
    "requests",
    "rich",
    "six",
    "tomli",
    "urllib3",
    "wheel",
]
PROGRAM = """
import os, sys
from pathlib import Path
from mltrack.environments import Request, python
from mltrack.environments.python import capturing, venv, resolve, probe, locking
words, cache, may_ask = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
request = Request((words, "x.py"), cache, dict(os.environ), cache / "mltrack", cache, may_ask=may_ask == "ask")
if may_ask != "import":
    found = python.capture(request)
    assert found.environment.packages
"""


def measure(scratch: Path) -> None:
    variables = dict(installer_settings({**os.environ, **quiet_variables(scratch)}).variables)
    requirements = Path(__file__).parents[2] / "requirements-dev.txt"
    many = [*(["torch==2.13.0"] if "UV_FIND_LINKS" in variables else []), "-r", str(requirements)]
    for number, wanted in ((1, ["six"]), (20, TWENTY), (120, many)):
        place = scratch / f"venv-{number}"
        subprocess.run([UV, "venv", "-q", "--seed", "--python", sys.executable, place], check=True, env=variables)
        words = [UV, "pip", "install", "-q", "--no-deps", "--python", place / "bin/python", *wanted]
        subprocess.run(words, check=True, env=variables)
        capture_table(place / "bin" / "python", scratch / f"cache-{number}", variables)


def capture_table(python: Path, cache: Path, variables: dict[str, str]) -> None:
    cache.mkdir()
    count = len(list(python.parent.parent.glob("lib/python3*/site-packages/*.dist-info")))

    def forget() -> None:
        shutil.rmtree(cache / "mltrack", ignore_errors=True)

    def case(name: str, ask: str, prepare: object = None) -> Case:
        work = [sys.executable, "-c", PROGRAM, str(python), str(cache), ask]
        return Case(name, work, None, prepare)  # type: ignore[arg-type]

    base = case("limit: our own imports", "import")
    cases = [
        base,
        case("capture, nothing remembered", "no", forget),
        case("capture and lock, nothing remembered", "ask", forget),
        case("capture and lock, remembered", "ask"),
        Case("a part of it: uv pip freeze", [UV, "pip", "freeze", "--python", str(python)]),
        Case("a part of it: pip freeze", [str(python), "-m", "pip", "freeze"]),
        Case("a part of it: pip inspect", [str(python), "-m", "pip", "inspect", "--local"]),
    ]
    side_by_side(cases, rounds=5, variables=variables)
    case_table(
        f"An environment of {count} distributions, captured (goal: under 0.4 s of CPU over the first)", cases, base
    )

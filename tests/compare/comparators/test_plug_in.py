"""The comparator of docs/examples, built as a wheel and put beside mltrack, in the way of every plug-in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mltrack import plugins
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents
from tests.compare.comparators import samples_outside
from tests.compare.comparators.samples import AROUND
from tests.environments.making import uv

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "comparator"

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the example needs sqlite3's deserialize")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the wheel is installed: a wheel of Python alone only has to be unpacked."""
    place = tmp_path_factory.mktemp("comparator")
    copy = shutil.copytree(EXAMPLE, place / "source")
    uv("build", "--wheel", "--offline", "--python", sys.executable, "--out-dir", str(place), str(copy))
    with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
        wheel.extractall(place / "site")
    return place / "site"


@pytest.mark.skipif(SOAK == 1, reason="MLTRACK_SOAK: the suite takes ten seconds")
def test_the_plug_in_keeps_to_what_every_comparator_keeps_to(site: Path) -> None:
    """The conformance suite, with the plug-in installed."""
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    words = [sys.executable, "-m", "pytest", "-q", "tests/contracts/test_comparators.py"]
    done = subprocess.run(words, cwd=ROOT, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert (
        "sqlite"
        in subprocess.run([*words, "--collect-only"], cwd=ROOT, env=given, capture_output=True, text=True).stdout
    )


def test_its_databases_come_to_their_grades_once_it_is_installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = samples_outside.databases()
    before = [compare_contents(name, Held(a), Held(b), AROUND).grade for name, a, b, _ in pairs]
    assert set(before) == {"different"}
    monkeypatch.syspath_prepend(str(site))
    assert "sqlite" in plugins.names("comparators")
    for name, a, b, grade in pairs:
        found = compare_contents(name, Held(a), Held(b), AROUND)
        assert found.grade == compare_contents(name, Held(b), Held(a), AROUND).grade == grade, found
        broken = bytearray(a)
        for place in range(0, len(a), 97):
            broken[place] ^= 0x55
        assert compare_contents(name, Held(a), Held(bytes(broken)), AROUND).grade == "different"


def test_the_guide_shows_the_very_module() -> None:
    guide = (ROOT / "docs" / "guides" / "comparators.md").read_text()
    module = (EXAMPLE / "mltrack_sqlite" / "__init__.py").read_text()
    for part in module.split("\n\n\n"):
        assert part.strip() in guide

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mltrack.environments import answers
from mltrack.environments.interpreter import Interpreter, ask
from mltrack.environments.python import probe as room
from mltrack.environments.python.probe import probe
from mltrack.errors import EnvironmentFailed
from tests.environments.making import uv, variables, venv


def interpreter(path: Path, cwd: Path | None = None, *flags: str, **more: str) -> Interpreter:
    return Interpreter((str(path),), cwd or Path("/"), variables(**more), flags)


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(found["name"] for found in answer["distributions"])


def make_old(place: Path) -> None:
    """Let everything below a place be older than the time in which a second change might not show."""
    past = time.time() - 60
    for directory, folders, files in os.walk(place):
        for name in [*folders, *files]:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.utime(path, (past, past))
    os.utime(place, (past, past))


@pytest.fixture
def own(tmp_path: Path, wheels: Path) -> Path:
    """An environment that a test may change; old enough for answers about it to be kept."""
    made = venv(tmp_path / "venv", "alpha==1.0", wheels=wheels)
    make_old(tmp_path / "venv")
    return made


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The interpreters that were started, one entry each time."""
    started: list[str] = []
    real = room.run_probe

    def counted(asked: Interpreter, given: dict[str, str], source: bytes) -> dict[str, Any]:
        started.append(asked.start[0])
        return real(asked, given, source)

    monkeypatch.setattr(room, "run_probe", counted)
    return started


@pytest.mark.parametrize(("flags", "word"), [("d", "+debug"), ("t", "+freethreaded"), ("td", "+freethreaded+debug")])
def test_a_build_that_others_wheels_do_not_fit_says_so(env: Path, tmp_path: Path, flags: str, word: str) -> None:
    """This interpreter, which is told to be such a build; the lock and who looks for another know the same words."""
    from mltrack.environments.python.bases import VARIANTS
    from mltrack.environments.python.lock import IMPLEMENTATION

    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"import sys\nsys.abiflags = {flags!r}\n")
    said = probe(interpreter(env, None, PYTHONPATH=str(site)), tmp_path)["implementation"]
    assert said == f"cpython{word}" == "cpython" + "".join(VARIANTS[letter] for letter in flags)
    assert re.fullmatch(IMPLEMENTATION, said)


def wrapper(place: Path, text: str) -> Path:
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


def test_what_an_interpreter_leaves_running_is_not_waited_for(
    env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the output open for longer than a probe may take."""
    monkeypatch.setattr(room, "SECONDS", 20)
    left = tmp_path / "left"
    program = wrapper(tmp_path / "python", f'sleep 600 & echo $! >> "{left}"\nexec {env} "$@"')
    try:
        began = time.monotonic()
        assert probe(interpreter(program), tmp_path)["prefix"] == str(env.parent.parent)
        shim = wrapper(tmp_path / "shim", f'sleep 600 & echo $! >> "{left}"\necho /found')
        assert ask((str(shim),), tmp_path, variables()) == "/found"
        assert time.monotonic() - began < 60
    finally:
        for line in left.read_text().split():
            os.kill(int(line), signal.SIGKILL)


def test_at_the_limit_it_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SECONDS", 1)
    program = wrapper(tmp_path / "python", f'sleep 600 & echo $! > "{tmp_path}/left"\nwait')
    with pytest.raises(EnvironmentFailed, match="timed out"):
        probe(interpreter(program), tmp_path)
    left = Path("/proc") / (tmp_path / "left").read_text().strip() / "stat"
    for _ in range(100):
        if not left.exists() or left.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        raise AssertionError("it still runs")


def test_an_interpreter_describes_itself(env: Path, tmp_path: Path) -> None:
    answer = probe(interpreter(env), tmp_path)
    told = subprocess.run(
        [env, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True
    )
    assert answer["version"] == told.stdout.strip()
    assert answer["implementation"] == "cpython"
    assert answer["executable"] == str(env)
    assert answer["prefix"] == str(env.parent.parent)
    assert answer["prefix"] != answer["base_prefix"]
    assert names(answer) == ["alpha", "beta"]
    assert all(found["installer"] == "uv" and found["metadata"] for found in answer["distributions"])


def test_it_sees_what_importlib_metadata_sees(tmp_path: Path) -> None:
    ask = (
        "import importlib.metadata as m, json, sys; sys.path.pop(0);"
        "print(json.dumps(sorted({(d.metadata['Name'], d.version) for d in m.distributions()})))"
    )
    for place in ("python3", "/usr/bin/python3"):
        path = shutil.which(place)
        if path is None:
            continue
        told = subprocess.run([path, "-c", ask], cwd="/", env=variables(), capture_output=True, check=True)
        answer = probe(interpreter(Path(path)), tmp_path)
        seen = sorted({(found["name"], found["version"]) for found in answer["distributions"]})
        assert [list(pair) for pair in seen] == json.loads(told.stdout)


def test_system_site_packages_are_seen(tmp_path: Path, env: Path) -> None:
    uv("venv", "--no-project", "--system-site-packages", "--python", "/usr/bin/python3", str(tmp_path / "venv"))
    here = names(probe(interpreter(tmp_path / "venv" / "bin" / "python"), tmp_path / "cache"))
    assert here == names(probe(interpreter(Path("/usr/bin/python3")), tmp_path / "cache"))


def test_what_lies_where_the_command_starts_neither_shadows_nor_counts(tmp_path: Path, env: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    (tmp_path / "stray.egg-info").mkdir()
    (tmp_path / "stray.egg-info" / "PKG-INFO").write_text("Name: stray\nVersion: 1\n")
    assert names(probe(interpreter(env, tmp_path), tmp_path / "cache")) == ["alpha", "beta"]


def test_what_is_on_pythonpath_counts_but_for_our_own_part(tmp_path: Path, env: Path) -> None:
    (tmp_path / "lib" / "stray.egg-info").mkdir(parents=True)
    (tmp_path / "lib" / "stray.egg-info" / "PKG-INFO").write_text("Name: stray\nVersion: 1\n")
    path = os.pathsep.join([room.INSIDE, str(tmp_path / "lib")])
    assert names(probe(interpreter(env, PYTHONPATH=path), tmp_path / "cache")) == ["alpha", "beta", "stray"]
    assert names(probe(interpreter(env, None, "-E", PYTHONPATH=path), tmp_path / "cache")) == ["alpha", "beta"]


def test_the_probe_is_not_part_of_the_run(env: Path) -> None:
    given = variables(MLTRACK_RUN_ID="x", PYTHONPATH=room.INSIDE, PYTHONINSPECT="1", PYTHONWARNINGS="error", LANG="C")
    cleaned = room.clean(given)
    assert not {"MLTRACK_RUN_ID", "PYTHONPATH", "PYTHONINSPECT", "PYTHONWARNINGS"} & set(cleaned)
    assert cleaned["LANG"] == "C"


def test_noise_at_the_interpreters_start_is_no_harm(tmp_path: Path, own: Path) -> None:
    site = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    (site / "noise.pth").write_text("import sys; print('MLTRACK', end=''); sys.stderr.write('hello')\n")
    assert names(probe(interpreter(own), tmp_path / "cache")) == ["alpha"]


def test_the_second_time_no_interpreter_is_started(tmp_path: Path, own: Path, starts: list[str]) -> None:
    first = probe(interpreter(own), tmp_path / "cache")
    assert probe(interpreter(own), tmp_path / "cache") == first
    assert len(starts) == 1


def test_what_was_installed_a_moment_ago_is_not_kept_yet(tmp_path: Path, wheels: Path, starts: list[str]) -> None:
    made = venv(tmp_path / "venv", "alpha", wheels=wheels)
    probe(interpreter(made), tmp_path / "cache")
    probe(interpreter(made), tmp_path / "cache")
    assert len(starts) == 2
    assert not (tmp_path / "cache").exists()


CHANGES = {
    "install": lambda place, wheels: uv(
        *("pip", "install", "--python", str(place / "bin/python"), "--no-index", "--find-links", str(wheels), "beta")
    ),
    "remove": lambda place, wheels: uv("pip", "uninstall", "--python", str(place / "bin/python"), "alpha"),
    "update": lambda place, wheels: uv(
        *("pip", "install", "--python", str(place / "bin/python"), "--no-index", "-f", str(wheels), "alpha==2.0")
    ),
    "settings": lambda place, wheels: append(place / "pyvenv.cfg", "include-system-site-packages = true\n"),
    "a path file": lambda place, wheels: append(next(place.rglob("extra.pth")), f"{wheels}\n"),
}


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(tmp_path: Path, own: Path, wheels: Path, starts: list[str], change: str) -> None:
    site = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    (site / "extra.pth").write_text("\n")
    make_old(tmp_path / "venv")
    probe(interpreter(own), tmp_path / "cache")
    CHANGES[change](tmp_path / "venv", wheels)
    assert probe(interpreter(own), tmp_path / "cache") == probe(interpreter(own), tmp_path / "none")
    assert len(starts) == 3


def test_variables_that_matter_have_answers_of_their_own(tmp_path: Path, own: Path, starts: list[str]) -> None:
    for more in ({}, {"PYTHONPATH": "/nowhere"}, {"PYTHONNOUSERSITE": "1"}, {"HOME": str(tmp_path)}):
        probe(interpreter(own, **more), tmp_path / "cache")
    assert len(starts) == 4
    probe(interpreter(own, UNRELATED="1", MLTRACK_RUN_ID="2"), tmp_path / "cache")
    assert len(starts) == 4
    probe(interpreter(own, None, "-I"), tmp_path / "cache")
    assert len(starts) == 5


@pytest.mark.parametrize("damage", [b"", b"\n", b"b3:0\n{}", b"\xff\xfe", None])
def test_a_damaged_cache_costs_time_and_no_more(
    tmp_path: Path, own: Path, starts: list[str], damage: bytes | None
) -> None:
    first = probe(interpreter(own), tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "probes").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content.replace(b"alpha", b"alphq") if damage is None else damage)
    assert probe(interpreter(own), tmp_path / "cache") == first
    assert len(starts) == 2
    assert kept.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_no_harm(tmp_path: Path, own: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert names(probe(interpreter(own), tmp_path / "cache")) == ["alpha"]


def test_the_cache_does_not_grow_without_end(tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "KEPT", 3)
    for number in range(5):
        probe(interpreter(own, PYTHONPATH=f"/nowhere/{number}"), tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "probes").iterdir())) == 3


def test_a_version_switchers_answer_depends_on_its_files(
    tmp_path: Path, own: Path, env: Path, starts: list[str]
) -> None:
    shim, project = tmp_path / "shims" / "python", tmp_path / "project"
    shim.parent.mkdir()
    project.mkdir()
    shim.write_text(f'#!/bin/sh\n[ -e .python-version ] && exec {env} "$@"\nexec {own} "$@"\n')
    shim.chmod(0o755)
    make_old(shim.parent)
    shim_python = interpreter(shim, project)
    for _ in range(2):
        assert names(probe(shim_python, tmp_path / "cache")) == ["alpha"]
    assert len(starts) == 1
    (project / ".python-version").write_text("other\n")
    assert names(probe(shim_python, tmp_path / "cache")) == ["alpha", "beta"]


@pytest.mark.parametrize("body", ["exit 1", "echo broken >&2; exit 127", "true"])
def test_an_interpreter_that_does_not_answer_is_an_error_that_says_so(tmp_path: Path, body: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{body}\n")
    fake.chmod(0o755)
    with pytest.raises(EnvironmentFailed) as raised:
        probe(interpreter(fake), tmp_path / "cache")
    assert str(fake) in raised.value.message
    assert raised.value.hint


def test_old_interpreters_answer_too(tmp_path: Path) -> None:
    found = [path for name in ("2.7", "3.6", "3.7", "3.8", "3.9") if (path := shutil.which(f"python{name}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", "/nowhere")) / "versions"
    found += [str(place / "bin" / "python") for place in pyenv.glob("[23].[6789].*") if place.is_dir()]
    for path in found:
        if subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            answer = probe(interpreter(Path(path)), tmp_path)
            assert answer["version"].startswith(("2.7", "3."))
            assert "pip" in names(answer)


def test_requirements_after_a_folded_license_are_seen(own: Path) -> None:
    """matplotlib's METADATA has a thousand lines of license before them, the empty ones filled with blanks."""
    (path,) = own.parent.parent.rglob("alpha-1.0.dist-info/METADATA")
    folded = "License: AGREEMENT\n        \n        Name: none\n        \n"
    path = unlinked(path)
    path.write_text(
        f"{path.read_text().rstrip()}\n{folded}Requires-Dist: beta>=1\n\nRequires-Dist: not in the header\n"
    )
    (found,) = probe(interpreter(own), own.parent.parent / "cache")["distributions"]
    assert (found["name"], found["requires"]) == ("alpha", ["beta"])


def unlinked(path: Path) -> Path:
    """The same file as a copy of its own: uv links what it installs from its cache, which others share."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    return path

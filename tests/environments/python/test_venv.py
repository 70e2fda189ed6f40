from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mltrack.environments import Found, Rebuilt, python
from mltrack.environments.python import venv as room
from mltrack.errors import Damaged, EnvironmentFailed
from tests.environments.making import capture, pip_install, rebuild_request, variables, venv, wheel
from tests.environments.python.test_kind import PROJECT, make_project
from tests.helpers import git, git_repository


@pytest.fixture
def found(tmp_path: Path, env: Path) -> Found:
    return capture(tmp_path, env, "train.py")


@pytest.fixture
def offline(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come from the wheelhouse alone."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))


def output(rebuilt: Rebuilt, cwd: Path) -> str:
    """What the mapped command prints."""
    given = variables()
    for name, text in rebuilt.variables.items():
        if text is None:
            given.pop(name, None)
        else:
            given[name] = text
    done = subprocess.run(rebuilt.argv, cwd=cwd, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def records(place: Path) -> dict[str, list[str]]:
    """The RECORD of every installed distribution, but for programs, whose first line names the environment."""
    found = {path.parent.name: path.read_text().splitlines() for path in place.rglob("*.dist-info/RECORD")}
    return {name: [line for line in lines if "/bin/" not in line] for name, lines in found.items()}


def test_an_environment_is_built_again(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha, beta, sys; print(alpha.VERSION, sys.prefix)")
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == f"1.0 {asked.place}\n"
    assert rebuilt.argv[0] == str(asked.place / "bin" / "python")
    assert rebuilt.python == found.environment.python
    assert rebuilt.warnings == ()
    again = capture(tmp_path, rebuilt.argv[0])
    assert (again.environment.digest, again.lock) == (found.environment.digest, found.lock)
    assert records(asked.place) == records(env.parent.parent)


def test_bytecode_is_compiled_beforehand(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    asked = rebuild_request(found, tmp_path, env)
    python.rebuild(asked)
    assert list(asked.place.rglob("__pycache__/alpha.*.pyc"))


def test_the_second_time_the_environment_is_there(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    asked = rebuild_request(found, tmp_path, env)
    first = python.rebuild(asked)
    (asked.place / "mine").write_text("kept")
    assert python.rebuild(asked) == first
    assert (asked.place / "mine").exists()


@pytest.mark.parametrize("damage", ["unfinished", "another", "broken", "no python"])
def test_what_is_not_complete_is_built_again(
    tmp_path: Path, found: Found, env: Path, offline: None, damage: str
) -> None:
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha")
    python.rebuild(asked)
    marker = asked.place / room.MARKER
    said = json.loads(marker.read_text())
    if damage == "unfinished":
        marker.write_text(json.dumps({**said, "is_complete": False}))
    elif damage == "another":
        marker.write_text(json.dumps({**said, "identity": "b3:0"}))
    elif damage == "broken":
        marker.write_text("{")
    else:
        (asked.place / "bin" / "python").unlink()
    next(asked.place.rglob("alpha.py")).unlink()
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_a_build_that_was_killed_is_built_again(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha")
    program = (
        "import os, sys, json; from pathlib import Path; from mltrack.environments import RebuildRequest; from mltrack.environments.python import venv as r;"
        "from mltrack.records import Environment; real = r.run_uv;"
        "r.install = lambda *a: os.kill(os.getpid(), 9);"
        "r.rebuild_python(RebuildRequest(Environment(), Path(sys.argv[1]).read_bytes(), ('x',), Path(sys.argv[2]),"
        "Path(sys.argv[3]), dict(os.environ)))"
    )
    (tmp_path / "lock").write_bytes(found.lock or b"")
    words = [sys.executable, "-c", program, tmp_path / "lock", asked.workspace, asked.place]
    assert subprocess.run(words, capture_output=True).returncode == -9
    assert (asked.place / "pyvenv.cfg").exists()
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_two_at_once_build_it_once(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha, beta")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: python.rebuild(asked), range(4)))
    assert len(set(map(str, results))) == 1
    assert output(results[0], asked.workspace) == ""


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    asked = rebuild_request(found, tmp_path, env)
    asked.place.mkdir(parents=True)
    (asked.place / "thesis.tex").write_text("all my work")
    with pytest.raises(EnvironmentFailed, match="not empty"):
        python.rebuild(asked)
    assert (asked.place / "thesis.tex").read_text() == "all my work"


def test_the_installers_own_words_are_in_the_error(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    lock = (found.lock or b"").replace(b"alpha==1.0", b"alpha==7.0")
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(replace(rebuild_request(found, tmp_path, env), lock=lock))
    assert "alpha==7.0" in (raised.value.hint or "")


def test_a_run_without_a_lock_cannot_be_built(tmp_path: Path, found: Found, env: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="no lock"):
        python.rebuild(replace(rebuild_request(found, tmp_path, env), lock=None))


def test_a_damaged_lock_is_refused_before_anything_is_written(tmp_path: Path, found: Found, env: Path) -> None:
    asked = rebuild_request(found, tmp_path, env)
    with pytest.raises(Damaged):
        python.rebuild(replace(asked, lock=(found.lock or b"") + b"-r /etc/passwd\n"))
    assert not asked.place.parent.exists()


def test_a_place_in_the_lock_stays_in_the_tree(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    lock = (found.lock or b"") + b"-e ${PROJECT_ROOT}/../elsewhere  # x\n"
    make_project(tmp_path / "elsewhere")
    with pytest.raises(Damaged, match="outside"):
        python.rebuild(replace(rebuild_request(found, tmp_path, env), lock=lock))


def test_the_project_is_installed_from_the_restored_tree(tmp_path: Path, offline: None) -> None:
    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", "--editable", str(project))
    found = capture(tmp_path, made)
    asked = rebuild_request(found, tmp_path, made, "-c", "import proj; print(proj.WHERE)")
    make_project(asked.workspace)
    assert output(python.rebuild(asked), asked.workspace) == f"{asked.workspace}/src/proj.py\n"


def test_two_trees_with_one_lock_have_an_environment_each(tmp_path: Path, offline: None) -> None:
    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", "--editable", str(project))
    found = capture(tmp_path, made)
    asked = rebuild_request(found, tmp_path, made, "-c", "import proj; print(proj.WHERE)")
    trees = [make_project(tmp_path / name) for name in ("first tree", "second tree")]
    built = [python.rebuild(replace(asked, workspace=tree)) for tree in trees]
    assert [output(one, asked.workspace) for one in built] == [f"{tree}/src/proj.py\n" for tree in trees]


def test_what_nobody_has_is_left_out_and_said(tmp_path: Path, env: Path, offline: None) -> None:
    found = capture(tmp_path, env)
    extra = b"# from a directory outside of the project: mine==1\n# from the operating system: beta==0.5\n"
    extra += b"# from conda: python-apt==2.6.0\n"
    lock = (found.lock or b"").replace(b"beta==0.5\n", b"") + extra
    asked = replace(rebuild_request(found, tmp_path, env, "-c", "import beta"), lock=lock)
    for _ in range(2):  # the second time from the marker
        rebuilt = python.rebuild(asked)
        assert [warning.message.partition(": ")[2] for warning in rebuilt.warnings] == ["mine, python-apt."]
    assert output(rebuilt, asked.workspace) == ""


def test_a_local_wheel_is_asked_for_by_name_and_hash(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = venv(tmp_path / "venv")
    pip_install(made, str(wheels / "alpha-1.0-py3-none-any.whl"))
    found = capture(tmp_path, made)
    assert b"sha256=" in (found.lock or b"")
    asked = rebuild_request(found, tmp_path, made, "-c", "import alpha", UV_NO_INDEX="1")
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(asked)
    assert "alpha-1.0-py3-none-any.whl" in (raised.value.hint or "")
    assert "UV_FIND_LINKS" in (raised.value.hint or "")
    other = wheel(tmp_path / "others", "alpha", "1.0", {"more": "main"})
    with pytest.raises(EnvironmentFailed, match="filled"):
        python.rebuild(replace(asked, variables=variables(UV_NO_INDEX="1", UV_FIND_LINKS=str(other.parent))))
    again = python.rebuild(replace(asked, variables=variables(UV_NO_INDEX="1", UV_FIND_LINKS=str(wheels))))
    assert output(again, asked.workspace) == ""


def test_settings_of_pip_are_enough(tmp_path: Path, found: Found, env: Path, wheels: Path) -> None:
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert output(python.rebuild(asked), asked.workspace) == ""
    (tmp_path / "second").mkdir()
    (tmp_path / "pip.conf").write_text(
        f"[global]\nno-index = true\n[install]\nfind-links =\n    /nowhere\n    {wheels}\n"
    )
    asked = rebuild_request(
        found, tmp_path / "second", env, "-c", "import alpha", PIP_CONFIG_FILE=str(tmp_path / "pip.conf")
    )
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_a_package_index_is_used(tmp_path: Path, wheels: Path, found: Found, env: Path) -> None:
    """A static index on the disk, as the standard lays it out, where two indexes have different versions."""
    for place, version in (("one", "2.0"), ("two", "1.0")):
        simple = tmp_path / place / "alpha"
        simple.mkdir(parents=True)
        name = f"alpha-{version}-py3-none-any.whl"
        (simple / "index.html").write_text(f'<a href="file://{wheels}/{name}">{name}</a>')
    lock = (found.lock or b"").replace(b"beta==0.5\n", b"")
    settings = {
        "PIP_INDEX_URL": (tmp_path / "one").as_uri(),
        "PIP_EXTRA_INDEX_URL": f"{(tmp_path / 'none').as_uri()} {(tmp_path / 'two').as_uri()}",
    }
    asked = replace(rebuild_request(found, tmp_path, env, "-c", "import alpha", **settings), lock=lock)
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_variables_of_another_environment_do_not_lead_astray(
    tmp_path: Path, found: Found, env: Path, offline: None
) -> None:
    elsewhere = {
        "VIRTUAL_ENV": str(env.parent.parent),
        "UV_PROJECT_ENVIRONMENT": "/nowhere",
        "UV_PYTHON": "3.1",
        "UV_TARGET": str(tmp_path / "target"),
        "PYTHONPATH": "/nowhere",
        "PYTHONHOME": "/nowhere",
        "UV_REQUIRE_HASHES": "1",
        "UV_EXCLUDE_NEWER": "2001-01-01",
    }
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha", **elsewhere)
    rebuilt = python.rebuild(asked)
    assert rebuilt.variables["PYTHONHOME"] is None
    assert output(rebuilt, asked.workspace) == ""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory, and the URL that a server on the loopback interface gives it."""
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_archive_is_fetched_by_its_url_and_checked(tmp_path: Path, served: tuple[Path, str], offline: None) -> None:
    root, url = served
    path = wheel(root, "gamma", "1.0")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    made = venv(tmp_path / "venv")
    pip_install(made, f"gamma @ {url}/{path.name}")
    found = capture(tmp_path, made)
    assert f"gamma @ {url}/{path.name}#sha256={sha256}  # 1.0\n".encode() in (found.lock or b"")
    asked = rebuild_request(found, tmp_path, made, "-c", "import gamma", UV_CACHE_DIR=str(tmp_path / "uv"))
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == ""
    assert capture(tmp_path, rebuilt.argv[0]).environment.digest == found.environment.digest
    wheel(root, "gamma", "1.0", {"more": "main"})
    other = replace(asked, place=tmp_path / "other", variables=variables(UV_CACHE_DIR=str(tmp_path / "uv2")))
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(other)
    assert sha256 in (raised.value.hint or "")


def test_a_repository_is_fetched_at_its_commit(tmp_path: Path, served: tuple[Path, str], offline: None) -> None:
    root, url = served
    git_repository(tmp_path / "source", {f"sub/{name}": text for name, text in PROJECT.items()})
    git(root, "clone", "-q", "--bare", str(tmp_path / "source"), "repo.git")
    git(root / "repo.git", "update-server-info")
    commit = git(tmp_path / "source", "rev-parse", "HEAD").decode().strip()
    made = venv(tmp_path / "venv", f"proj @ git+{url}/repo.git#subdirectory=sub")
    found = capture(tmp_path, made)
    assert f"proj @ git+{url}/repo.git@{commit}#subdirectory=sub  # 0.1\n".encode() in (found.lock or b"")
    asked = rebuild_request(found, tmp_path, made, "-c", "import proj")
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == ""
    assert capture(tmp_path, rebuilt.argv[0]).environment.digest == found.environment.digest


def test_a_console_script_is_started_in_the_new_environment(
    tmp_path: Path, found: Found, env: Path, offline: None
) -> None:
    asked = rebuild_request(found, tmp_path, "alpha")
    rebuilt = python.rebuild(asked)
    assert rebuilt.argv == (str(asked.place / "bin" / "alpha"),)
    assert output(rebuilt, asked.workspace) == "alpha 1.0\n"


def test_the_nearest_interpreter_is_taken_and_said(tmp_path: Path, found: Found, env: Path, offline: None) -> None:
    recorded = found.environment.python or ""
    other = recorded.rpartition(".")[0] + ".99"
    lock = (found.lock or b"").replace(recorded.encode(), other.encode())
    asked = replace(rebuild_request(found, tmp_path, env, "-c", "import alpha"), lock=lock)
    rebuilt = python.rebuild(asked)
    assert rebuilt.python != other
    (warning,) = rebuilt.warnings
    assert (warning.kind, other in warning.message) == ("interpreter", True)


def test_an_interpreter_that_nobody_has_is_an_error_that_says_how_to_get_it(
    tmp_path: Path, found: Found, env: Path
) -> None:
    lock = (found.lock or b"").replace((found.environment.python or "").encode(), b"3.1.5")
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(replace(rebuild_request(found, tmp_path, env), lock=lock))
    assert "3.1.5" in raised.value.message
    assert "uv python install 3.1.5" in (raised.value.hint or "")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, found: Found, env: Path) -> None:
    asked = rebuild_request(found, tmp_path, env)
    (tmp_path / "built").write_text("a file")
    with pytest.raises(Exception, match="cannot be built") as raised:
        python.rebuild(asked)
    assert getattr(raised.value, "exit_code", None) == 3


@pytest.mark.needs("ip")
def test_no_network_is_needed_where_there_is_a_wheelhouse(
    tmp_path: Path, found: Found, env: Path, wheels: Path
) -> None:
    asked = rebuild_request(found, tmp_path, env, "-c", "import alpha; print(alpha.VERSION)")
    (tmp_path / "lock").write_bytes(found.lock or b"")
    program = (
        "import os, subprocess, sys; from pathlib import Path; from mltrack.environments import RebuildRequest, python;"
        "from mltrack.records import Environment; lock, place, work = sys.argv[1:];"
        "assert 'eth' not in subprocess.run(['ip', 'link'], capture_output=True, text=True).stdout;"
        "done = python.rebuild(RebuildRequest(Environment(), Path(lock).read_bytes(),"
        "('python', '-c', 'import alpha; print(alpha.VERSION)'), Path(work), Path(place), dict(os.environ)));"
        "raise SystemExit(subprocess.run(done.argv).returncode)"
    )
    words = ["unshare", "--net", sys.executable, "-c", program, tmp_path / "lock", asked.place, asked.workspace]
    given = {**os.environ, "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels), "UV_CACHE_DIR": str(tmp_path / "empty")}
    done = subprocess.run(words, env=given, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("1.0\n", 0), done.stderr

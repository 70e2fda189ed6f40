from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mltrack.environments import Found, python
from mltrack.environments.python.distributions import Distribution
from mltrack.environments.python.lock import Lock, read_lock
from mltrack.errors import Damaged, EnvironmentFailed, StorageError
from tests.environments.index import Index, serve_index
from tests.environments.making import capture, pip_install, uv, variables, venv, wheel
from tests.environments.offline import run_offline
from tests.environments.python.rebuilding import (
    asked_for,
    building,
    captured,
    changed,
    output,
    records,
    settings,
    with_lock,
    without_hashes,
)
from tests.environments.python.test_kind import PROJECT, make_project
from tests.helpers import git, git_repository, write


@pytest.fixture
def index(wheels: Path, tmp_path: Path) -> Iterator[Index]:
    """An index of the wheels that `env` was made from."""
    with serve_index(wheels) as served:
        yield served


@pytest.fixture
def found(tmp_path: Path, env: Path, index: Index) -> Found:
    return captured(tmp_path, env, index)


def add(*more: Distribution) -> object:
    return lambda lock: replace(lock, distributions=(*lock.distributions, *more))


def test_an_environment_is_built_again(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    command = (env, "-c", "import alpha, beta, sys; print(alpha.VERSION, sys.prefix)")
    asked = asked_for(found, tmp_path, *command, index=index)
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == f"1.0 {asked.place}\n"
    assert rebuilt.argv[0] == str(asked.place / "bin" / "python")
    assert rebuilt.python == found.environment.python
    assert rebuilt.warnings == ()
    again = captured(tmp_path, Path(rebuilt.argv[0]), index)
    assert (again.environment.digest, again.lock) == (found.environment.digest, found.lock)
    assert records(asked.place) == records(env.parent.parent)


def test_bytecode_is_compiled_beforehand(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    asked = asked_for(found, tmp_path, env, index=index)
    python.rebuild(asked)
    assert list(asked.place.rglob("__pycache__/alpha.*.pyc"))


def test_where_it_is_known_what_the_run_imported_only_that_is_compiled(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    asked = asked_for(found, tmp_path, env, index=index)
    python.rebuild(changed(asked, environment=replace(found.environment, imported=("Alpha",))))
    assert [path.name.split(".")[0] for path in asked.place.rglob("__pycache__/*.pyc")] == ["alpha"]


def test_the_steps_are_told(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    told: list[str] = []
    python.rebuild(changed(asked_for(found, tmp_path, env, index=index), tell=told.append))
    assert told[0].startswith(f"the interpreter is Python {found.environment.python}, ")
    assert "found 2 distributions" in told
    assert told[-1] == "installed 2 distributions, from the package indexes configured here"


def test_silence_of_the_installer_is_told(
    tmp_path: Path, found: Found, env: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltrack.environments.python import installer

    monkeypatch.setattr(installer, "TOLD_EVERY_S", 0.1)
    index.delay_s = 0.3
    told: list[str] = []
    python.rebuild(changed(asked_for(found, tmp_path, env, index=index), tell=told.append))
    assert any(line.startswith("still at work, for ") for line in told)


def test_a_file_with_another_hash_is_refused(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    name = "alpha-1.0-py3-none-any.whl"
    other = wheel(tmp_path / "other", "alpha", "1.0", {"more": "main"})
    index.replaced[name] = other.read_bytes()
    asked = asked_for(found, tmp_path, env, index=index, UV_CACHE_DIR=str(tmp_path / "uv"))
    with pytest.raises(EnvironmentFailed, match="filled") as raised:
        python.rebuild(asked)
    assert "hash" in (raised.value.hint or "").lower()
    assert not asked.place.exists()


def test_bytes_that_do_not_match_the_index_are_refused(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    index.corrupted.add("alpha-1.0-py3-none-any.whl")
    with pytest.raises(EnvironmentFailed):
        python.rebuild(asked_for(found, tmp_path, env, index=index, UV_CACHE_DIR=str(tmp_path / "uv")))


def test_a_lock_without_hashes_is_built_by_version_and_that_is_said(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    asked = with_lock(asked_for(found, tmp_path, env, "-c", "import alpha", index=index), without_hashes)
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == ""
    (warning,) = rebuilt.warnings
    assert warning.message == "Not verified by hashes, installed by version alone: alpha, beta."


def test_another_build_of_the_same_version_is_said(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    other = wheel(tmp_path / "other", "alpha", "1.0", {"more": "main"})
    index.replaced["alpha-1.0-py3-none-any.whl"] = other.read_bytes()
    asked = with_lock(asked_for(found, tmp_path, env, index=index, UV_CACHE_DIR=str(tmp_path / "uv")), without_hashes)
    for _ in range(2):  # the second time from the marker
        messages = [warning.message for warning in python.rebuild(asked).warnings]
        assert "Another build than the run's, whose files differ: alpha 1.0." in messages


def test_the_recorded_index_is_asked_where_the_configured_one_lacks_something(
    tmp_path: Path, wheels: Path, found: Found, env: Path, index: Index
) -> None:
    """As for `torch==2.13.0+cpu`, which only its authors' own index has."""
    with serve_index(tmp_path / "other files") as other:
        shutil.copy(wheels / "alpha-1.0-py3-none-any.whl", other.files)
        index.removed.add("alpha")

        def move(lock: Lock) -> Lock:
            moved = [replace(one, index=(other if one.name == "alpha" else index).url) for one in lock.distributions]
            return replace(lock, distributions=tuple(moved))

        told: list[str] = []
        asked = with_lock(asked_for(found, tmp_path, env, "-c", "import alpha, beta", index=index), move)
        rebuilt = python.rebuild(changed(asked, tell=told.append))
        assert output(rebuilt, asked.workspace) == ""
        assert other.url in told[-1]
        assert not [path for path in other.asked if "beta" in path]


def test_an_index_that_was_recorded_and_is_not_reached_does_no_harm(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    def move(lock: Lock) -> Lock:
        away = "http://127.0.0.1:9/simple"
        return replace(lock, distributions=tuple(replace(one, index=away) for one in lock.distributions))

    asked = with_lock(asked_for(found, tmp_path, env, "-c", "import alpha", index=index), move)
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_an_index_that_wants_a_password_gets_it_and_nobody_else(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    index.users["me"] = "s3cret-pass-word"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret-pass-word\n")
    asked = asked_for(found, tmp_path, env, "-c", "import alpha", index=index, NETRC=str(tmp_path / "netrc"))
    assert output(python.rebuild(asked), asked.workspace) == ""
    shutil.rmtree(asked.place)
    url = index.with_credentials("me", "wrong-s3cret-pass")
    told: list[str] = []
    wrong = asked_for(found, tmp_path, env, UV_DEFAULT_INDEX=url, UV_CACHE_DIR=str(tmp_path / "uv"))
    variables = {key: text for key, text in wrong.recorded.variables.items() if key != "UV_NO_INDEX"}
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(changed(wrong, tell=told.append, variables=variables))
    assert "401" in (raised.value.hint or "")
    assert "s3cret" not in f"{raised.value.hint}{told}"


@pytest.mark.parametrize("name", ["PIP_PROXY", "HTTP_PROXY"])
def test_a_proxy_is_gone_through(tmp_path: Path, found: Found, env: Path, index: Index, name: str) -> None:
    """The index of the tests answers for any host that it is asked about."""
    proxy = index.url.removesuffix("/simple/")
    known = {"PIP_INDEX_URL": "http://packages.example.org/simple/", "PIP_CONFIG_FILE": os.devnull, name: proxy}
    given = variables(UV_CACHE_DIR=str(tmp_path / "uv"), **known)
    asked = changed(asked_for(found, tmp_path, env, "-c", "import alpha"), variables=given)
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_a_server_that_fails_for_a_moment_is_asked_again(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    index.failures = 1
    asked = asked_for(found, tmp_path, env, index=index, UV_HTTP_RETRIES="3", UV_CACHE_DIR=str(tmp_path / "uv"))
    python.rebuild(asked)


def test_the_second_time_the_environment_is_there(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    asked = asked_for(found, tmp_path, env, index=index)
    first = python.rebuild(asked)
    (asked.place / "mine").write_text("kept")
    count, told = len(index.asked), []
    assert python.rebuild(changed(asked, tell=told.append)) == first
    assert told == [f"the environment is there already, in {asked.place}"]
    assert (asked.place / "mine").exists()
    assert len(index.asked) == count


def test_an_installer_that_outlives_a_killed_build_does_no_harm(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    asked = asked_for(found, tmp_path, env, "-c", "import alpha, beta", index=index, UV_CACHE_DIR=str(tmp_path / "uv"))
    index.delay_s = 0.5
    first = subprocess.Popen(building(asked), env=asked.recorded.variables, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not [path for path in index.asked[2:] if "alpha" in path] and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    first.wait()
    assert not asked.place.exists()
    assert output(python.rebuild(asked), asked.workspace) == ""
    time.sleep(1)  # the installer is still at it, in a directory of its own
    assert output(python.rebuild(asked), asked.workspace) == ""
    assert records(asked.place) == records(env.parent.parent)


def test_the_installers_own_words_are_in_the_error_and_all_of_them_in_a_file(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    def other(lock: Lock) -> Lock:
        more = [Distribution(f"never-heard-of-{number}", "1", "index") for number in range(3)]
        return replace(without_hashes(lock), distributions=(*lock.distributions, *more))

    asked = with_lock(asked_for(found, tmp_path, env, index=index), other)
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(asked)
    assert "never-heard-of" in (raised.value.hint or "")
    assert not asked.place.exists()
    assert not list(asked.place.parent.glob(".*.new"))


def test_a_long_complaint_is_kept_in_a_file_that_is_named(tmp_path: Path, index: Index) -> None:
    """An sdist whose build talks a lot, and fails."""
    import io
    import tarfile

    text = "import sys\nfor n in range(100):\n    print('line', n, file=sys.stderr)\nraise SystemExit(7)\n"
    files = {"setup.py": text, "PKG-INFO": "Metadata-Version: 1.0\nName: noisy\nVersion: 1\n"}
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files |= {"pyproject.toml": project, "backend.py": text}
    house = tmp_path / "sdists"
    house.mkdir()
    with tarfile.open(house / "noisy-1.tar.gz", "w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(f"noisy-1/{name}")
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body.encode()))
    made = venv(tmp_path / "venv")
    found = captured(tmp_path, made, index)
    with serve_index(house) as noisy:
        asked = with_lock(
            asked_for(found, tmp_path, made, index=noisy),
            add(Distribution("noisy", "1", "index")),  # type: ignore[arg-type]
        )
        with pytest.raises(EnvironmentFailed) as raised:
            python.rebuild(asked)
    log = asked.place.with_name("env.log")
    assert str(log) in (raised.value.hint or "")
    assert "line 0\n" in log.read_text()
    assert "line 0\n" not in (raised.value.hint or "")


def test_a_run_without_a_lock_cannot_be_built(tmp_path: Path, found: Found, env: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="no lock"):
        python.rebuild(changed(asked_for(found, tmp_path, env), lock=None))


def test_a_damaged_lock_is_refused_before_anything_is_written(tmp_path: Path, found: Found, env: Path) -> None:
    asked = asked_for(found, tmp_path, env)
    with pytest.raises(Damaged):
        python.rebuild(changed(asked, lock=b"-r /etc/passwd\n"))
    assert not asked.place.parent.exists()


def test_a_place_in_the_lock_stays_in_the_tree(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    make_project(tmp_path / "elsewhere")
    evil = Distribution("x", "", "project", place="../elsewhere", is_editable=True)
    with pytest.raises(Damaged, match="outside"):
        python.rebuild(with_lock(asked_for(found, tmp_path, env, index=index), add(evil)))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [("--editable",), ()])
def test_the_project_is_installed_from_the_restored_tree(
    tmp_path: Path, index: Index, options: tuple[str, ...]
) -> None:
    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", *options, str(project))
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import proj; print(proj.WHERE)", index=index)
    make_project(asked.workspace)
    printed = output(python.rebuild(asked), asked.workspace)
    assert printed.startswith(str(asked.workspace) if options else str(asked.place.parent))


def test_the_code_of_today_is_not_taken_from_an_earlier_environment(tmp_path: Path, index: Index) -> None:
    """A project that is copied on installation, in a directory that had another version before."""
    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", str(project))
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import proj; print(proj.N)", index=index)
    for number in ("1", "2"):
        make_project(asked.workspace)
        (asked.workspace / "src/proj.py").write_text(f"N = {number}\n")
        assert output(python.rebuild(asked), asked.workspace) == f"{number}\n"


def test_two_trees_with_one_lock_share_all_but_the_project(tmp_path: Path, wheels: Path, index: Index) -> None:
    project = make_project(tmp_path / "project")
    made = venv(tmp_path / "venv", "alpha==1.0", wheels=wheels)
    uv("pip", "install", "--python", str(made), "--editable", str(project))
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import alpha, proj; print(proj.WHERE, alpha.__file__)", index=index)
    trees = [make_project(tmp_path / name) for name in ("first tree", "second tree")]
    built = [python.rebuild(replace(asked, workspace=tree)) for tree in trees]
    words = [output(one, asked.workspace) for one in built]
    assert [line.rpartition(" ")[0] for line in words] == [f"{tree}/src/proj.py" for tree in trees]
    modules = [Path(line.strip().rpartition(" ")[2]) for line in words]
    assert modules[0] != modules[1]
    assert modules[0].stat().st_ino == modules[1].stat().st_ino


def test_an_editable_project_needs_no_builder(tmp_path: Path, index: Index) -> None:
    """Where what builds it cannot be had, it is put on the path with its programs."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["no-such-builder"]\n[project]\nname = "proj"\nversion = "0.7"\n'
        '[project.scripts]\ntrain = "proj.cli:main"\n"../evil" = "proj:main"\n',
        "src/proj/__init__.py": "",
        "src/proj/cli.py": "def main():\n    import importlib.metadata as m\n    print('train', m.version('proj'))\n",
    }
    made = venv(tmp_path / "venv")
    found = captured(tmp_path, made, index)
    mine = Distribution("proj", "", "project", place=".", is_editable=True)
    asked = with_lock(asked_for(found, tmp_path, "train", index=index), add(mine))  # type: ignore[arg-type]
    write(asked.workspace, files)
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == "train 0.7\n"
    (warning,) = rebuilt.warnings
    assert warning.message == "proj was put on the path as it is: what builds it could not be had."
    again = read_lock(
        captured(tmp_path / "again", asked.place.parent / Path(rebuilt.argv[0]).parent / "python").lock or b""
    )
    (one,) = again.distributions
    assert (one.name, one.is_editable) == ("proj", True)


@pytest.mark.parametrize("options", [("--editable",), ()])
def test_a_directory_beside_the_project_is_installed_from_its_copy(
    tmp_path: Path, index: Index, options: tuple[str, ...]
) -> None:
    beside = make_project(tmp_path / "beside")
    made = venv(tmp_path / "venv", *options, str(beside))
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import proj; print(proj.WHERE)", index=index)
    shutil.rmtree(beside)
    rebuilt = python.rebuild(asked)
    shutil.rmtree(tmp_path / "laid out")
    assert output(rebuilt, asked.workspace).startswith(str(Path(rebuilt.argv[0]).parent.parent))
    assert rebuilt.warnings == ()


def test_what_nobody_has_is_left_out_and_said(tmp_path: Path, env: Path, found: Found, index: Index) -> None:
    def change(lock: Lock) -> Lock:
        (alpha, beta) = lock.distributions
        more = (
            Distribution("mine", "1", "outside"),
            replace(beta, source="system", index=None, wheels=()),
            Distribution("python-apt", "2.6.0", "system"),
            Distribution("strange", "unknown", "index"),
        )
        return replace(lock, distributions=(alpha, *more))

    asked = with_lock(asked_for(found, tmp_path, env, "-c", "import beta", index=index), change)
    for _ in range(2):  # the second time from the marker
        rebuilt = python.rebuild(asked)
        assert [warning.message.partition(": ")[2] for warning in rebuilt.warnings] == ["mine, python-apt, strange."]
    assert output(rebuilt, asked.workspace) == ""


def test_a_local_wheel_comes_back_from_the_store(tmp_path: Path, wheels: Path, index: Index) -> None:
    made = venv(tmp_path / "venv")
    pip_install(made, str(wheels / "alpha-1.0-py3-none-any.whl"))
    index.removed.add("alpha")
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import alpha")
    told: list[str] = []
    rebuilt = python.rebuild(changed(asked, tell=told.append))
    assert output(rebuilt, asked.workspace) == ""
    assert told[-1] == "installed 1 distribution, from the wheels that were stored with the run"
    assert captured(tmp_path, Path(rebuilt.argv[0]), index).environment.digest == found.environment.digest


def test_a_local_wheel_that_was_not_kept_is_asked_for_by_name_and_hash(
    tmp_path: Path, wheels: Path, index: Index
) -> None:
    made = venv(tmp_path / "venv")
    pip_install(made, str(wheels / "alpha-1.0-py3-none-any.whl"))
    found = captured(tmp_path, made, index)

    def forget(lock: Lock) -> Lock:
        return replace(lock, distributions=tuple(replace(one, stored=None, wheels=()) for one in lock.distributions))

    bare = with_lock(asked_for(replace(found, trees={}), tmp_path, made, "-c", "import alpha"), forget)
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(bare)
    assert "alpha-1.0-py3-none-any.whl" in (raised.value.hint or "")
    assert "UV_FIND_LINKS" in (raised.value.hint or "")
    other = wheel(tmp_path / "others", "alpha", "1.0", {"more": "main"})
    with pytest.raises(EnvironmentFailed, match="filled"):
        python.rebuild(changed(bare, variables=variables(**settings(UV_FIND_LINKS=str(other.parent)))))
    again = python.rebuild(changed(bare, variables=variables(**settings(UV_FIND_LINKS=str(wheels)))))
    assert output(again, bare.workspace) == ""


def test_stored_wheels_of_another_platform_do_not_count(
    tmp_path: Path, env: Path, wheels: Path, found: Found, index: Index
) -> None:
    """The index is asked, as if nothing had been stored."""
    laid = tmp_path / "laid out" / "wheels"
    laid.mkdir(parents=True)
    for name in ("alpha-1.0", "beta-0.5"):
        (laid / f"{name}-cp36-cp36m-win32.whl").write_bytes(b"of no use here")

    def elsewhere(lock: Lock) -> Lock:
        return replace(lock, platform="win32-AMD64")

    asked = with_lock(asked_for(found, tmp_path, env, "-c", "import alpha, beta", index=index), elsewhere)
    assert output(python.rebuild(asked), asked.workspace) == ""


def test_what_is_not_stored_comes_from_the_index(
    tmp_path: Path, env: Path, wheels: Path, found: Found, index: Index
) -> None:
    laid = tmp_path / "laid out" / "wheels"
    laid.mkdir(parents=True)
    shutil.copy(wheels / "alpha-1.0-py3-none-any.whl", laid)
    index.removed.add("alpha")
    asked = asked_for(found, tmp_path, env, "-c", "import alpha, beta", index=index)
    told: list[str] = []
    rebuilt = python.rebuild(changed(asked, tell=told.append))
    assert output(rebuilt, asked.workspace) == ""
    assert told[-1].endswith("the package indexes configured here and the wheels that were stored with the run")


@pytest.mark.needs("ip")
def test_no_network_is_needed_where_all_wheels_are_stored(
    tmp_path: Path, found: Found, env: Path, wheels: Path
) -> None:
    laid = tmp_path / "laid out" / "wheels"
    laid.mkdir(parents=True)
    for name in ("alpha-1.0", "beta-0.5"):
        shutil.copy(wheels / f"{name}-py3-none-any.whl", laid)
    asked = asked_for(found, tmp_path, "python", "-c", "import alpha; print(alpha.VERSION)")
    given = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "empty")}
    run = "import subprocess\nsubprocess.run(rebuilt.argv)"
    done = run_offline(building(asked, after=run), variables=given)
    assert (done.stdout.splitlines()[1:], done.returncode) == (["1.0"], 0), done.stderr


def test_settings_of_pip_are_enough(tmp_path: Path, found: Found, env: Path, wheels: Path) -> None:
    words = ("-c", "import alpha")
    settled = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    asked = changed(asked_for(found, tmp_path, env, *words), variables=variables(**settled))
    assert output(python.rebuild(asked), asked.workspace) == ""
    text = f"[global]\nno-index = true\n[install]\nfind-links =\n    /nowhere\n    {wheels}\n"
    (tmp_path / "pip.conf").write_text(text)
    other = replace(asked, place=tmp_path / "second" / "env")
    other = changed(other, variables=variables(PIP_CONFIG_FILE=str(tmp_path / "pip.conf")))
    assert output(python.rebuild(other), asked.workspace) == ""


def test_a_package_index_on_the_disk_is_used(tmp_path: Path, wheels: Path, found: Found, env: Path) -> None:
    """A static index, as the standard lays it out, where two indexes have different versions."""
    for place, version in (("one", "2.0"), ("two", "1.0")):
        simple = tmp_path / place / "alpha"
        simple.mkdir(parents=True)
        name = f"alpha-{version}-py3-none-any.whl"
        (simple / "index.html").write_text(f'<a href="file://{wheels}/{name}">{name}</a>')
    settled = {
        "PIP_INDEX_URL": (tmp_path / "one").as_uri(),
        "PIP_EXTRA_INDEX_URL": f"{(tmp_path / 'none').as_uri()} {(tmp_path / 'two').as_uri()}",
        "PIP_CONFIG_FILE": os.devnull,
    }
    asked = changed(asked_for(found, tmp_path, env, "-c", "import alpha"), variables=variables(**settled))
    only = with_lock(asked, lambda lock: replace(lock, distributions=lock.distributions[:1]))
    assert output(python.rebuild(only), asked.workspace) == ""


def test_variables_of_another_environment_do_not_lead_astray(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    elsewhere = {
        "VIRTUAL_ENV": str(env.parent.parent),
        "UV_PROJECT_ENVIRONMENT": "/nowhere",
        "UV_PYTHON": "3.1",
        "UV_TARGET": str(tmp_path / "target"),
        "PYTHONPATH": "/nowhere",
        "PYTHONHOME": "/nowhere",
        "UV_REQUIRE_HASHES": "1",
        "UV_NO_BINARY": "1",
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "GIT_DIR": "/nowhere",
    }
    asked = asked_for(found, tmp_path, env, "-c", "import alpha", index=index, **elsewhere)
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


def test_an_archive_is_fetched_by_its_url_and_checked(tmp_path: Path, served: tuple[Path, str], index: Index) -> None:
    root, url = served
    path = wheel(root, "gamma", "1.0")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    made = venv(tmp_path / "venv")
    pip_install(made, f"gamma @ {url}/{path.name}")
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import gamma", index=index, UV_CACHE_DIR=str(tmp_path / "uv"))
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == ""
    assert rebuilt.warnings == ()
    assert captured(tmp_path, Path(rebuilt.argv[0]), index).environment.digest == found.environment.digest
    wheel(root, "gamma", "1.0", {"more": "main"})
    cold = variables(**settings(index, UV_CACHE_DIR=str(tmp_path / "uv2")))
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(changed(replace(asked, place=tmp_path / "other"), variables=cold))
    assert sha256 in (raised.value.hint or "")


def test_an_archive_whose_address_is_gone_comes_from_the_store_and_keeps_its_origin(
    tmp_path: Path, served: tuple[Path, str], index: Index
) -> None:
    root, url = served
    path = wheel(root, "gamma", "1.0")
    made = venv(tmp_path / "venv")
    pip_install(made, f"gamma @ {url}/{path.name}")
    found = captured(tmp_path, made, index)
    laid = tmp_path / "laid out" / "wheels"
    laid.mkdir(parents=True)
    shutil.move(path, laid)
    asked = asked_for(found, tmp_path, made, "-c", "import gamma", UV_CACHE_DIR=str(tmp_path / "uv"))
    rebuilt = python.rebuild(asked)
    assert captured(tmp_path, Path(rebuilt.argv[0]), index).environment.digest == found.environment.digest


def test_a_repository_is_fetched_at_its_commit(tmp_path: Path, served: tuple[Path, str], index: Index) -> None:
    root, url = served
    git_repository(tmp_path / "source", {f"sub/{name}": text for name, text in PROJECT.items()})
    git(root, "clone", "-q", "--bare", str(tmp_path / "source"), "repo.git")
    git(root / "repo.git", "update-server-info")
    made = venv(tmp_path / "venv", f"proj @ git+{url}/repo.git#subdirectory=sub")
    found = captured(tmp_path, made, index)
    asked = asked_for(found, tmp_path, made, "-c", "import proj", index=index)
    rebuilt = python.rebuild(asked)
    assert output(rebuilt, asked.workspace) == ""
    assert captured(tmp_path, Path(rebuilt.argv[0]), index).environment.digest == found.environment.digest


def test_a_console_script_is_started_in_the_new_environment(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    asked = asked_for(found, tmp_path, "alpha", index=index)
    rebuilt = python.rebuild(asked)
    assert rebuilt.argv == (str(asked.place / "bin" / "alpha"),)
    assert output(rebuilt, asked.workspace) == "alpha 1.0\n"
    again = capture(tmp_path, rebuilt.argv[0], **settings(index))
    assert again.environment.digest == found.environment.digest


def test_the_nearest_interpreter_is_taken_and_said(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    recorded = found.environment.python or ""
    other = recorded.rpartition(".")[0] + ".99"
    asked = with_lock(
        asked_for(found, tmp_path, env, "-c", "import alpha", index=index), lambda lock: replace(lock, python=other)
    )
    rebuilt = python.rebuild(asked)
    assert rebuilt.python != other
    (warning,) = rebuilt.warnings
    assert (warning.kind, other in warning.message) == ("interpreter", True)
    assert not asked.place.exists(), "the place is for the version that the run used"


def test_an_interpreter_that_nobody_has_is_an_error_that_says_how_to_get_it(
    tmp_path: Path, found: Found, env: Path
) -> None:
    asked = with_lock(asked_for(found, tmp_path, env), lambda lock: replace(lock, python="3.1.5"))
    with pytest.raises(EnvironmentFailed) as raised:
        python.rebuild(asked)
    assert "3.1.5" in raised.value.message
    assert "uv python install 3.1.5" in (raised.value.hint or "")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, found: Found, env: Path) -> None:
    asked = asked_for(found, tmp_path, env)
    (tmp_path / "built").write_text("a file")
    with pytest.raises(StorageError, match="cannot be built"):
        python.rebuild(asked)


def test_a_cache_of_uv_that_cannot_be_written_is_done_without(
    tmp_path: Path, found: Found, env: Path, index: Index
) -> None:
    (tmp_path / "file").write_text("")
    asked = asked_for(found, tmp_path, env, "-c", "import alpha", index=index, UV_CACHE_DIR=str(tmp_path / "file/uv"))
    assert output(python.rebuild(asked), asked.workspace) == ""
    assert sorted(path.name for path in asked.place.parent.iterdir()) == [".env.lock", "env"]


@pytest.mark.needs("mount")
def test_a_full_disk_is_said_in_one_line(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    asked = asked_for(found, tmp_path, env, index=index)
    asked.place.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", asked.place.parent], check=True)
    try:
        with pytest.raises(StorageError, match="cannot be"):
            python.rebuild(asked)
    finally:
        subprocess.run(["umount", "-l", asked.place.parent], check=True)

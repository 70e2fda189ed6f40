"""Hashes that are learned late, and the wheels of an environment put together for a remote."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments import Found, Gathered, Recorded, python
from mltrack.environments.python.lock import read_lock
from tests.environments.index import serve_index
from tests.environments.making import capture, uv, variables, venv, wheel
from tests.environments.python.test_kind import make_project


@pytest.fixture
def house(tmp_path: Path) -> Path:
    wheel(tmp_path / "house", "alpha", "1.0", {"alpha": "main"})
    wheel(tmp_path / "house", "beta", "0.5")
    return tmp_path / "house"


def again(found: Found, tmp_path: Path, **more: str) -> Recorded:
    """As it comes back from a record that was made elsewhere."""
    return Recorded(found.environment, found.lock, variables(**more), tmp_path / "cache2")


def gather(recorded: Recorded, tmp_path: Path) -> Gathered:
    return python.gather(recorded, "wheels", tmp_path / "scratch")


def test_an_offline_capture_says_so_and_is_completed_later(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=house)
    found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", UV_HTTP_RETRIES="0")
    (warning,) = found.warnings
    assert warning.kind == "unhashed"
    assert "2 packages" in warning.message and "mltrack env lock" in warning.message
    assert [one.is_locked for one in read_lock(found.lock or b"").distributions] == [False, False]
    with serve_index(house) as index:
        done = python.complete(again(found, tmp_path, UV_DEFAULT_INDEX=index.url), tmp_path)
    assert done.warnings == ()
    lock = read_lock(done.lock or b"")
    assert [one.is_locked for one in lock.distributions] == [True, True]
    assert lock.distributions[0].installed == read_lock(found.lock or b"").distributions[0].installed


def test_the_very_files_of_the_index_are_carried(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=house)
    with serve_index(house) as index:
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
        shutil.rmtree(tmp_path / "venv")
        done = gather(again(found, tmp_path), tmp_path)
    assert done.warnings == ()
    assert done.tree is not None
    assert {name: path.read_bytes() for name, path in done.tree.items()} == {
        path.name: path.read_bytes() for path in house.iterdir()
    }
    assert [one.stored for one in read_lock(done.lock or b"").distributions] == sorted(done.tree)


def test_what_the_index_lost_is_packed_from_what_is_installed(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=house)
    with serve_index(house) as index:
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
        (house / "alpha-1.0-py3-none-any.whl").unlink()
        done = gather(replace(again(found, tmp_path), is_ours=True), tmp_path)
    assert done.warnings == ()
    assert done.tree is not None and set(done.tree) == {"alpha-1.0-py3-none-any.whl", "beta-0.5-py3-none-any.whl"}
    lock = read_lock(done.lock or b"")
    packed = done.tree["alpha-1.0-py3-none-any.whl"]
    assert hashlib.sha256(packed.read_bytes()).hexdigest() in {file.sha256 for file in lock.distributions[0].wheels}


def test_what_is_nowhere_is_named(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=house)
    with serve_index(house) as index:
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
        (house / "alpha-1.0-py3-none-any.whl").unlink()
        shutil.rmtree(tmp_path / "venv")
        done = gather(again(found, tmp_path), tmp_path)
    (warning,) = done.warnings
    assert "alpha 1.0 is not carried" in warning.message
    assert done.tree is not None and set(done.tree) == {"beta-0.5-py3-none-any.whl"}


def test_an_environment_that_was_changed_since_is_not_packed(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", wheels=house)
    found = capture(tmp_path, made)
    wheel(tmp_path / "other", "alpha", "2.0")
    uv(
        "pip",
        "install",
        "-q",
        "--python",
        str(made),
        "--no-index",
        "--find-links",
        str(tmp_path / "other"),
        "alpha==2.0",
    )
    (warning,) = gather(again(found, tmp_path), tmp_path).warnings
    assert "alpha 1.0 is not carried" in warning.message


def test_a_file_that_was_replaced_on_the_index_is_not_taken(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", wheels=house)
    with serve_index(house) as index:
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
        index.corrupted.add("alpha-1.0-py3-none-any.whl")
        shutil.rmtree(tmp_path / "venv")
        done = gather(again(found, tmp_path), tmp_path)
    assert done.tree == {}
    assert ["alpha 1.0 is not carried" in warning.message for warning in done.warnings] == [True]


def test_a_password_of_the_index_is_used_for_its_host(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", wheels=house)
    with serve_index(house) as index:
        index.users["me"] = "hunter2secret"
        url = index.with_credentials("me", "hunter2secret")
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=url)
        assert b"hunter2secret" not in (found.lock or b"")
        shutil.rmtree(tmp_path / "venv")
        done = gather(again(found, tmp_path, UV_DEFAULT_INDEX=url), tmp_path)
        refused = gather(replace(again(found, tmp_path), cache=tmp_path / "cache3"), tmp_path / "x")
    assert done.tree is not None and set(done.tree) == {"alpha-1.0-py3-none-any.whl"}
    assert refused.tree == {}


def test_what_builds_the_project_is_carried_too(tmp_path: Path, house: Path) -> None:
    project = make_project(tmp_path / "project")
    text = (project / "pyproject.toml").read_text().replace("requires = []", 'requires = ["beta>=0.1"]')
    (project / "pyproject.toml").write_text(text)
    words = ("--no-index", "--find-links", str(house), "--editable", str(project))
    made = venv(tmp_path / "venv")
    uv("pip", "install", "-q", "--python", str(made), *words)
    with serve_index(house) as index:
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
        assert read_lock(found.lock or b"").build == ("beta>=0.1",)
        done = gather(again(found, tmp_path, UV_DEFAULT_INDEX=index.url), tmp_path)
    assert done.warnings == ()
    assert done.tree is not None and set(done.tree) == {"beta-0.5-py3-none-any.whl"}


def test_a_private_build_is_kept_with_the_run_itself(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=house)
    (house / "beta-0.5-py3-none-any.whl").unlink()
    with serve_index(house) as index:
        found = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
        again = capture(tmp_path, made, may_ask=True, UV_DEFAULT_INDEX=index.url)
    assert found.warnings == ()
    assert list(found.trees["wheels"]) == ["beta-0.5-py3-none-any.whl"]
    assert [one.is_locked for one in read_lock(found.lock or b"").distributions] == [True, True]
    assert again == found


def test_a_later_lock_must_say_the_same_of_what_was_installed(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", "beta", wheels=house)
    with serve_index(house) as index:
        found = capture(tmp_path, made)
        done = python.complete(again(found, tmp_path, UV_DEFAULT_INDEX=index.url), tmp_path)
    assert found.lock is not None and done.lock is not None
    assert python.agrees(found.lock, done.lock)
    assert not python.agrees(found.lock, done.lock.replace(b'version = "1.0"', b'version = "1.1"'))
    installed = read_lock(found.lock).distributions[0].installed or ""
    assert not python.agrees(found.lock, done.lock.replace(installed.encode(), b"sha256:" + b"0" * 64))


def test_the_interpreter_of_a_strangers_record_is_not_started(tmp_path: Path, house: Path) -> None:
    made = venv(tmp_path / "venv", "alpha", wheels=house)
    found = capture(tmp_path, made)
    evil = tmp_path / "python3"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    evil.chmod(0o755)
    recorded = again(replace(found, environment=replace(found.environment, interpreter=str(evil))), tmp_path)
    gather(recorded, tmp_path)
    python.check(replace(recorded, variables=variables(UV_NO_INDEX="1")))
    assert not (tmp_path / "started").exists()

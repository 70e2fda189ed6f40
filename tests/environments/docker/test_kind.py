"""What every kind keeps to, for containers: the image in the record, and everything that is asked of it later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrack.environments import Found, LayOut, RebuildRequest, Recorded, Request, StartRequest, docker, nothing_kept
from mltrack.environments.docker.asides import output_of
from mltrack.environments.docker.engine import connect
from mltrack.environments.docker.lock import read_lock
from mltrack.errors import Damaged, EnvironmentFailed, UsageError
from tests.engines import IMAGE
from tests.engines import docker as engine_client
from tests.environments.docker.test_run import wait_for
from tests.helpers import tree_of, write

pytestmark = pytest.mark.usefixtures("engine")


def asked(tmp_path: Path, *argv: str, **options: Any) -> Request:
    project = tmp_path / "project"
    write(project, {"train.py": "print()\n"})
    chosen = options or {"image": IMAGE}
    return Request(argv or ("python3", "train.py"), project, dict(os.environ), tmp_path / "cache", project, chosen)


def recorded(found: Found, tmp_path: Path, lay_out: LayOut = nothing_kept, **options: Any) -> Recorded:
    return Recorded(found.environment, found.lock, dict(os.environ), tmp_path / "cache", lay_out, options)


def lay_out_of(tree: Mapping[str, Path], place: Path, name: str) -> LayOut:
    for path, source in tree.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(source.read_bytes())
        (place / path).chmod(source.stat().st_mode)
    return lambda asked: place if asked == name else None


def to_rebuild(environment: Recorded, tmp_path: Path) -> RebuildRequest:
    return RebuildRequest(environment, ("python3", "train.py"), tmp_path / "project", tmp_path / "built")


def unique(engine: str, tmp_path: Path) -> str:
    """An image of its own, on top of the base."""
    name = f"own-{uuid.uuid4().hex[:12]}:1"
    write(tmp_path / "image", {"Dockerfile": f"FROM {IMAGE}\nCOPY passwd /etc/passwd\nENV ID={name}\n"})
    write(tmp_path / "image", {"passwd": "root:x:0:0::/root:/bin/sh\nme:x:1234:1234::/home/me:/bin/sh\n"})
    engine_client(engine, "build", "-q", "-t", name, str(tmp_path / "image"))
    return name


def test_it_is_never_chosen_by_itself(tmp_path: Path) -> None:
    for argv in ((), ("",), ("\0",), ("docker", "run", "x"), ("python",)):
        assert docker.applies(replace(asked(tmp_path), argv=argv)) is False


def test_capturing_twice_says_the_same_wherever_the_project_lies(tmp_path: Path) -> None:
    first = docker.capture(asked(tmp_path / "one"))
    assert first == docker.capture(asked(tmp_path / "one"))
    other = docker.capture(asked(tmp_path / "another place"))
    assert (other.lock, other.environment.digest) == (first.lock, first.environment.digest)
    assert str(tmp_path).encode() not in (first.lock or b"")
    lock = read_lock(first.lock)
    assert lock.python == first.environment.python
    assert lock.image["layers"]


def test_capturing_changes_nothing_and_needs_no_cache(tmp_path: Path) -> None:
    request = asked(tmp_path)
    before = tree_of(request.cwd)
    (tmp_path / "file").write_text("")
    found = docker.capture(replace(request, cache=tmp_path / "file" / "cache"))
    assert found.environment.kind == "docker"
    assert tree_of(request.cwd) == before


def test_an_image_without_python_has_none(tmp_path: Path, engine: str) -> None:
    name = f"bare-{uuid.uuid4().hex[:12]}:1"
    write(tmp_path / "bare", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    engine_client(engine, "build", "-q", "-t", name, str(tmp_path / "bare"))
    found = docker.capture(asked(tmp_path, "true", image=name))
    assert (found.environment.python, found.environment.packages) == (None, {})
    assert found.environment.image is not None
    engine_client(engine, "image", "rm", name)


def test_distributions_are_those_in_the_image(tmp_path: Path, engine: str) -> None:
    name = f"with-{uuid.uuid4().hex[:12]}:1"
    metadata = "Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.5\n"
    write(tmp_path / "with", {"Dockerfile": f"FROM {IMAGE}\nCOPY s /usr/local/lib/python3.11/dist-packages\n"})
    write(
        tmp_path / "with",
        {"s/some_thing-1.5.dist-info/METADATA": metadata, "s/some_thing-1.5.dist-info/INSTALLER": "pip\n"},
    )
    engine_client(engine, "build", "-q", "-t", name, str(tmp_path / "with"))
    assert docker.capture(asked(tmp_path, image=name)).environment.packages == {"some-thing": "1.5"}


def test_the_interpreter_that_the_command_names_is_asked(tmp_path: Path) -> None:
    found = docker.capture(asked(tmp_path, "/usr/bin/python3.11", "train.py"))
    assert found.environment.interpreter == "/usr/bin/python3.11"


def test_what_is_not_certain_is_said(tmp_path: Path, engine: str) -> None:
    engine_client(engine, "tag", IMAGE, "moving:latest")
    messages = [warning.message for warning in docker.capture(asked(tmp_path, image="moving")).warnings]
    assert len(messages) == 2
    assert "no digest in any registry" in messages[0]
    assert "moves" in messages[1]
    assert all(message.endswith(".") for message in messages)


def test_secrets_among_the_arguments_of_a_build_are_not_recorded(tmp_path: Path) -> None:
    write(tmp_path / "project", {"Dockerfile": f"FROM {IMAGE}\nARG API_TOKEN\nARG A\n"})
    args = {"API_TOKEN": "ghp_" + "x1" * 18, "A": "b"}
    found = docker.capture(asked(tmp_path, build={"dockerfile": "Dockerfile", "args": args}))
    assert b"x1x1" not in (found.lock or b"")
    assert "x1x1" not in json.dumps(found.environment.options)
    assert read_lock(found.lock).build.args["A"] == "b"
    told = [warning.message for warning in found.warnings if "API_TOKEN" in warning.message]
    assert len(told) == 1
    assert "history" in told[0]
    (tmp_path / "scratch").mkdir()
    with pytest.raises(EnvironmentFailed, match="holds the secret that its build was given as API_TOKEN"):
        docker.gather(recorded(found, tmp_path), "image", tmp_path / "scratch")
    environment = recorded(found, tmp_path, lay_out_of(found.trees["context"], tmp_path / "laid", "context"))
    engine_client(os.environ["DOCKER_HOST"], "image", "rm", "-f", found.environment.image.id)
    with pytest.raises(EnvironmentFailed, match="was a secret"):
        docker.rebuild(to_rebuild(environment, tmp_path))


def asides(engine: str, image: str) -> list[str]:
    """Containers that were made to ask the image, and are there."""
    return engine_client(engine, "ps", "-aq", "--filter", f"label=mltrack.aside={image}").split()


def sleepy(engine: str, tmp_path: Path) -> str:
    """An image whose Python never answers."""
    name = f"sleepy-{uuid.uuid4().hex[:12]}:1"
    write(tmp_path / "sleepy", {"Dockerfile": f"FROM {IMAGE}\nCOPY python /usr/local/bin/\nENV ID={name}\n"})
    write(tmp_path / "sleepy", {"python": "#!/bin/sh\nsleep 1000\n"})
    (tmp_path / "sleepy" / "python").chmod(0o755)
    engine_client(engine, "build", "-q", "-t", name, str(tmp_path / "sleepy"))
    return name


def test_a_python_that_never_answers_costs_the_packages_and_nothing_else(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sleepy(engine, tmp_path)
    monkeypatch.setattr("mltrack.environments.docker.asides.LIMIT_S", 1.0)
    found = docker.capture(asked(tmp_path, "true", image=name))
    assert found.environment.image.reference == name
    assert any("gave no answer in time" in warning.message for warning in found.warnings)
    assert asides(engine, found.environment.image.id) == []


def test_a_program_that_never_stops_talking_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltrack.environments.docker.asides.LIMIT_BYTES", 1 << 20)
    request = asked(tmp_path)
    with connect(request.variables) as connection, pytest.raises(EnvironmentFailed, match="no answer"):
        output_of(connection, request.variables, {"Image": IMAGE, "Cmd": ["yes"]})


def test_who_asks_an_image_and_is_killed_leaves_no_container(tmp_path: Path, engine: str) -> None:
    name = sleepy(engine, tmp_path)
    image = engine_client(engine, "image", "inspect", name, "--format", "{{.Id}}")
    code = (
        "import os, pathlib, sys; from mltrack.environments import Request, docker; place = pathlib.Path(sys.argv[1]);"
        "docker.capture(Request(('true',), place, dict(os.environ), place, place, {'image': sys.argv[2]}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], start_new_session=True)
    wait_for(lambda: asides(engine, image))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not asides(engine, image))


def test_a_damaged_lock_is_an_error_of_ours(tmp_path: Path) -> None:
    found = docker.capture(asked(tmp_path))
    for lock in ((found.lock or b"") + b"\xff\xfe x\n", b"# x\n\0", None):
        with pytest.raises(Damaged):
            docker.rebuild(to_rebuild(recorded(replace(found, lock=lock), tmp_path), tmp_path))


def test_an_image_is_carried_and_comes_back_the_same(tmp_path: Path, engine: str) -> None:
    name = unique(engine, tmp_path)
    found = docker.capture(asked(tmp_path, image=name))
    image = found.environment.image
    (tmp_path / "scratch").mkdir()
    tree = docker.gather(recorded(found, tmp_path), "image", tmp_path / "scratch").tree
    assert tree is not None
    engine_client(engine, "image", "rm", "-f", image.id)
    finding = docker.check(recorded(found, tmp_path))[0]
    assert finding.name == name
    assert "no digest in any registry" in (finding.problem or "")
    with pytest.raises(EnvironmentFailed, match="not on this engine any more"):
        docker.gather(recorded(found, tmp_path), "image", tmp_path / "scratch")
    lay_out = lay_out_of(tree, tmp_path / "laid", "image")
    for _ in range(2):
        rebuilt = docker.rebuild(to_rebuild(recorded(found, tmp_path, lay_out), tmp_path))
        assert rebuilt.options["pinned"] == image.id
        assert rebuilt.warnings == ()
    assert docker.check(recorded(found, tmp_path))[0].problem is None
    with pytest.raises(UsageError):
        docker.gather(recorded(found, tmp_path), "wheels", tmp_path / "scratch")


def test_another_image_in_its_place_is_refused(tmp_path: Path, engine: str) -> None:
    found = docker.capture(asked(tmp_path, image=unique(engine, tmp_path)))
    other = docker.capture(asked(tmp_path))
    (tmp_path / "scratch").mkdir()
    tree = docker.gather(recorded(other, tmp_path), "image", tmp_path / "scratch").tree
    engine_client(engine, "image", "rm", "-f", found.environment.image.id)
    with pytest.raises(Damaged, match="not the recorded one"):
        docker.rebuild(
            to_rebuild(recorded(found, tmp_path, lay_out_of(tree or {}, tmp_path / "laid", "image")), tmp_path)
        )


def test_a_user_that_the_image_knows_has_its_home_if_it_may_write_there(tmp_path: Path, engine: str) -> None:
    name = unique(engine, tmp_path)
    request = asked(tmp_path, "env", image=name, user="1234:1234")
    (tmp_path / "run").mkdir()
    started = docker.start(StartRequest(request, tmp_path / "run", {}))
    assert started.facts["variables"]["HOME"] == "/tmp"  # the image has no /home/me
    assert "USER" not in started.facts["variables"]
    assert (tmp_path / "run" / "container.json").stat().st_mode & 0o777 == 0o600


def test_words_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match="must be UTF-8"):
        docker.start(StartRequest(asked(tmp_path, "echo", "a\udcff"), tmp_path / "run", {}))

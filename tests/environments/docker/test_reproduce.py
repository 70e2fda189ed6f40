"""A run in a container comes back on a machine that has nothing: from a registry, from a remote, from its Dockerfile."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from tests.engines import IMAGE, docker, own_engine
from tests.environments.docker.conftest import left, long
from tests.helpers import git, write
from tests.stories.typing import Person

DOCKERFILE = f"FROM {IMAGE}\nARG WORD=none\nCOPY lib /opt/lib\nENV WORD=$WORD PYTHONPATH=/opt/lib\n"
USES = "import os, sys, ours\nopen('result.txt', 'w').write(f'{ours.VALUE} {os.environ[\"WORD\"]} {sys.version}')\n"


def elsewhere(tmp_path: Path, person: Person, host: str, name: str = "second machine") -> Person:
    """Another machine: a home of its own, an engine of its own."""
    place = tmp_path / name
    (place / "home").mkdir(parents=True)
    own = {key: str(place / "home" / key.lower()) for key in os.environ if key.startswith("XDG_")}
    return Person(place, person.path, {"HOME": str(place / "home"), "DOCKER_HOST": host, **own})


def built(person: Person) -> dict[str, Any]:
    """A run in an image that is built from the project, its remote beside it."""
    word = uuid.uuid4().hex
    files = {
        "env/Dockerfile": DOCKERFILE,
        "env/lib/ours.py": "VALUE = 42\n",
        "env/lib/skipped.txt": "no\n",
        "env/.dockerignore": "**/skipped.txt\n",
        "use.py": USES,
        "mltrack.yaml": f"environment: {{build: {{context: env, args: {{WORD: {word}}}}}}}\n",
    }
    write(person.cwd, files)
    git(person.cwd, "add", "-A")
    git(person.cwd, "commit", "-qm", "built")
    person.type("run", "--", "python3", "use.py")
    person.type("remote", "add", "origin", str(person.cwd.parent / "remote"))
    return dict(person.json("show", "@"))


def forget(host: str, image: str) -> None:
    docker(host, "image", "rm", "-f", image)


def test_a_built_image_is_pushed_deleted_and_comes_back_the_same(person: Person, engine: str, tmp_path: Path) -> None:
    run = built(person)
    image = run["environment"]["image"]
    assert run["environment"]["trees"].keys() == {"context"}
    assert image["labels"]["mltrack.context"].startswith("b3:")
    person.type("push", "--images")
    forget(engine, image["id"])
    with own_engine() as state:
        other = elsewhere(tmp_path, person, state["host"])
        done = other.json("reproduce", run["id"], "--from", str(tmp_path / "remote"), "--into", "again")
        assert done["verdict"]["grade"] == "identical"
        assert done["run"]["environment"]["image"]["id"] == image["id"]
        assert done["run"]["artifacts"][0]["digest"] == run["artifacts"][0]["digest"]
        assert (other.cwd / "again" / "result.txt").read_text() == (person.cwd / "result.txt").read_text()
        assert docker(state["host"], "image", "ls", "-q", "--no-trunc") == image["id"]
        assert docker(state["host"], "image", "ls", "mltrack", "-q")
        assert left(other) == []


def test_without_the_image_it_is_built_again_and_the_verdict_says_so(
    person: Person, engine: str, tmp_path: Path
) -> None:
    run = built(person)
    person.type("push")
    forget(engine, run["environment"]["image"]["id"])
    other = elsewhere(tmp_path, person, engine)
    done = other.json("reproduce", run["id"], "--from", str(tmp_path / "remote"), "--into", "again")
    conditions = [condition["now"] for condition in done["verdict"]["conditions"] if condition["what"] == "image"]
    assert "a rebuilt image is not the same image" in conditions[0]
    assert done["verdict"]["grade"] == "identical"
    assert done["run"]["environment"]["image"]["id"] != run["environment"]["image"]["id"]


def test_what_git_ignores_is_built_with_and_not_kept(person: Person, engine: str, tmp_path: Path) -> None:
    write(person.cwd, {".gitignore": "env/lib/.env\n", "env/lib/.env": "HUNTER=zx81-not-to-be-seen\n"})
    run = built(person)
    told = [warning["message"] for warning in run["warnings"] if "git ignores" in warning["message"]]
    assert len(told) == 1
    assert told[0].startswith("1 file of the build's context")
    image = run["environment"]["image"]["id"]
    assert "zx81" in person.type("run", "--image", image, "--", "cat", "/opt/lib/.env")
    context = person.json("show", run["id"])["environment"]["trees"]["context"]
    forget(engine, image)
    person.type("push", run["id"])
    other = elsewhere(tmp_path, person, engine)
    done = other.json("reproduce", run["id"], "--from", str(tmp_path / "remote"), "--into", "again")
    assert done["verdict"]["grade"] == "identical"
    assert any("lacks 1 file" in str(condition["now"]) for condition in done["verdict"]["conditions"])
    assert done["run"]["environment"]["trees"].get("context", context) == context
    found = [path for path in (tmp_path / "second machine").rglob("*") if path.is_file()]
    assert not any(b"zx81" in path.read_bytes() for path in found)


def test_an_image_of_a_registry_is_pulled_by_its_digest(
    person: Person, engine: str, registry: str, tmp_path: Path
) -> None:
    name = f"{registry}/train-{uuid.uuid4().hex[:8]}:1"
    write(person.cwd, {"mltrack.yaml": "", "base/Dockerfile": f"FROM {IMAGE}\nENV A={name}\n"})
    docker(engine, "build", "-q", "-t", name, str(person.cwd / "base"))
    docker(engine, "push", "-q", name)
    identity = docker(engine, "image", "inspect", name, "--format", "{{.Id}}")
    forget(engine, identity)
    said = person.try_("run", "--image", name, "--", "python3", "train.py").stderr
    assert f"pulling {name}" in said
    run = person.json("show", "@")
    image = run["environment"]["image"]
    assert image["id"] == identity
    assert image["digest"].startswith("sha256:")
    assert run["warnings"] == []
    docker(engine, "build", "-q", "-t", name, "--label", "moved=yes", str(person.cwd / "base"))
    docker(engine, "push", "-q", name)  # the tag moves; the digest stays
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    forget(engine, identity)
    other = elsewhere(tmp_path, person, engine)
    done = other.json("reproduce", run["id"], "--from", str(tmp_path / "remote"), "--into", "again")
    assert done["verdict"]["grade"] == "identical"
    assert done["run"]["environment"]["image"]["id"] == identity


def test_an_image_that_is_nowhere_is_a_verdict_that_names_what_was_tried(
    person: Person, engine: str, tmp_path: Path
) -> None:
    name = f"nowhere-{uuid.uuid4().hex[:8]}:1"
    write(person.cwd, {"base/Dockerfile": f"FROM {IMAGE}\nENV A={name}\n"})
    docker(engine, "build", "-q", "-t", name, str(person.cwd / "base"))
    person.type("run", "--image", name, "--", "python3", "train.py")
    run = person.json("show", "@")
    person.type("remote", "add", "origin", str(tmp_path / "remote"))
    person.type("push")
    forget(engine, name)
    other = elsewhere(tmp_path, person, engine)
    done = other.json("reproduce", run["id"], "--from", str(tmp_path / "remote"), "--into", "again", code=1)
    assert (done["verdict"]["grade"], done["verdict"]["phase"]) == ("could not run", "environment")
    assert "mltrack push --images" in done["verdict"]["cause"]
    for way in ("on this engine: none", "from a registry: none", "from the store or a remote: none"):
        assert way in done["verdict"]["cause"]


@long
def test_the_project_lies_where_it_lay(person: Person, engine: str, tmp_path: Path) -> None:
    """A command that names the project's path finds it, wherever it is laid out."""
    person.type("run", "--", "sh", "-c", f"cat {person.cwd}/train.py > copy")
    run = person.json("show", "@")
    done = person.json("reproduce", "@")
    assert done["verdict"]["grade"] == "identical"
    assert done["run"]["environment"]["options"]["at"] == run["environment"]["options"]["at"] == str(person.cwd)


@long
def test_a_full_disk_of_the_engine_is_said(person: Person, engine: str, tmp_path: Path) -> None:
    run = built(person)
    person.type("push", "--images")
    with own_engine(size="60m") as state:
        other = elsewhere(tmp_path, person, state["host"])
        done = other.json("reproduce", run["id"], "--from", str(tmp_path / "remote"), "--into", "again", code=1)
    assert done["verdict"]["grade"] == "could not run"
    assert "The disk of the container engine is full." in done["verdict"]["cause"]


@long
def test_two_versions_of_an_image_share_their_layers_in_the_store(person: Person, engine: str, tmp_path: Path) -> None:
    built(person)
    first = sizes(person, tmp_path)
    write(person.cwd, {"env/lib/ours.py": "VALUE = 43\n"})
    person.type("run", "--", "python3", "use.py")
    assert sizes(person, tmp_path) - first < 200_000  # of a base of some 90 MiB


def sizes(person: Person, tmp_path: Path) -> int:
    person.type("push", "--images")
    return sum(path.stat().st_size for path in (tmp_path / "remote").rglob("*") if path.is_file())


def test_a_build_that_fails_shows_its_output(person: Person) -> None:
    write(person.cwd, {"Dockerfile": f"FROM {IMAGE}\nRUN echo a clear word >&2; exit 3\n"})
    write(person.cwd, {"mltrack.yaml": "environment: {build: ./Dockerfile, network: none}\n"})
    done = person.try_("run", "--", "true")
    assert done.returncode == 125
    assert "a clear word" in done.stderr
    assert "returned a non-zero code: 3" in done.stderr
    write(person.cwd, {"Dockerfile": f"FROM {IMAGE}\nRUN --mount=type=cache,target=/c true\n"})
    assert "BuildKit" in person.try_("run", "--", "true").stderr
    write(person.cwd, {"Dockerfile": "FROM example.invalid/none:1\n"})
    assert "error: " in person.try_("run", "--", "true").stderr


def test_a_mount_that_is_not_here_can_be_said_anew(person: Person, tmp_path: Path, engine: str) -> None:
    write(tmp_path / "data", {"points": "1 2 3"})
    setting = "environment: {{image: '{}', mounts: ['{}/data:/data:ro']}}\n"
    write(person.cwd, {"mltrack.yaml": setting.format(IMAGE, tmp_path)})
    person.type("run", "--", "sh", "-c", "cat /data/points > out.txt")
    (tmp_path / "data").rename(tmp_path / "moved")
    done = person.json("reproduce", "@", code=1)
    assert "which is not on this machine" in done["verdict"]["cause"]
    write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', mounts: ['{tmp_path}/moved:/data:ro']}}\n"})
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"


def test_a_rerun_is_in_a_container_too(person: Person) -> None:
    person.type("run", "--image", IMAGE, "--", "python3", "train.py")
    write(person.cwd, {"mltrack.yaml": ""})
    person.type("rerun", "@")
    assert person.json("show", "@")["environment"]["image"]["reference"] == IMAGE

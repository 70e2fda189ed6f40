"""`mltrack env` as it is typed: real environments, a real package index on the loopback, files that other tools read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engines import IMAGE, docker, own_engine
from tests.environments.index import Index, serve_index
from tests.environments.making import UV, uv, venv, wheel
from tests.helpers import git_repository, tree_of
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
SCRIPT = "import alpha\nopen('out.txt', 'w').write(alpha.VERSION)\n"


class User(Person):
    """A person whose packages come from one index and from nowhere else."""

    @property
    def python(self) -> Path:
        return self.cwd / ".venv" / "bin" / "python"

    def install(self, *words: str) -> None:
        uv("pip", "install", "-q", "--python", str(self.python), *words, **self.variables)

    def run(self) -> str:
        """Record a run; its id."""
        self.type("run", "--quiet", "--", ".venv/bin/python", "train.py")
        return str(self.json("show", "@")["id"])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """Knows `alpha` in two versions, which needs `beta`, and `gamma`, which nothing needs."""
    house = tmp_path / "index"
    wheel(house, "alpha", "1.0", requires=["beta>=0.1", 'gamma ; extra == "more"'], code="import beta")
    wheel(house, "alpha", "2.0", requires=["beta"], code="import beta")
    wheel(house, "beta", "0.5")
    wheel(house, "gamma", "3.0")
    with serve_index(house) as index:
        yield index


@pytest.fixture
def user(tmp_path: Path, index: Index, command_path: str) -> User:
    """In a project whose environment has alpha 1.0, beta and gamma; nothing of it has run yet."""
    project = git_repository(tmp_path / "project", {"train.py": SCRIPT, ".gitignore": ".venv/\n"})
    settings = {"UV_INDEX_URL": index.url, "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull}
    settings |= {"UV_CACHE_DIR": str(tmp_path / "uv"), "UV_NO_CONFIG": "1", "PIP_FIND_LINKS": ""}
    settings |= {"MLTRACK_CONFIG_ENVIRONMENT_LOCK": "true"}
    user = User(project, command_path, settings)
    venv(project / ".venv")
    user.install("alpha==1.0", "gamma")
    return user


def fresh(tmp_path: Path, name: str) -> Path:
    """The interpreter of an empty environment."""
    return venv(tmp_path / name)


def versions(python: Path) -> dict[str, str]:
    return {one["name"]: one["version"] for one in json.loads(uv("pip", "list", "-p", str(python), "--format", "json"))}


INSTALLED = {"alpha": "1.0", "beta": "0.5", "gamma": "3.0"}


def test_show_tells_everything_of_a_runs_environment(user: User, index: Index) -> None:
    run = user.run()
    shown = user.json("env", "show", run)
    assert {one["name"]: one["version"] for one in shown["packages"]} == INSTALLED
    assert all(one["hashes"] == 1 and one["problem"] is None for one in shown["packages"])
    assert all(one["place"].startswith(index.url.rstrip("/")) for one in shown["packages"])
    assert shown["locked"] == {
        "is_there": True, "packages": 3, "hashed": 3, "certain": 0, "uncertain": 0, "stored": 0,
    }  # fmt: skip
    assert shown["run"] == run and shown["implementation"] == "cpython"
    page = user.type("env", "show", "@")
    assert re.search(r"^  ●  alpha +1\.0 +127\.0\.0\.1:\d+\S* +1 hash$", page, re.MULTILINE)
    assert "3 by hash" in page and run[:8] in page


def test_show_without_a_run_says_what_a_run_would_record_and_writes_nothing(user: User) -> None:
    before = tree_of(user.cwd)
    shown = user.json("env", "show", "--python", ".venv/bin/python")
    assert (shown["run"], shown["environment"]["packages"]) == (None, INSTALLED)
    assert tree_of(user.cwd) == before and not (user.cwd / ".mltrack").exists()
    user.run()
    recorded = user.json("env", "show", "@")
    assert recorded["environment"]["digest"] == shown["environment"]["digest"]
    assert recorded["packages"] == shown["packages"]


def test_show_takes_the_python_that_is_on_the_path(user: User) -> None:
    user.path = f"{user.path.split(os.pathsep)[0]}{os.pathsep}{user.python.parent}{os.pathsep}/usr/bin"
    place = user.cwd / "bin"
    place.mkdir()
    (place / "mltrack").symlink_to(Path(user.path.split(os.pathsep)[0]) / "mltrack")
    user.path = os.pathsep.join([str(place), str(user.python.parent), "/usr/bin", "/bin"])
    assert user.json("env", "show")["environment"]["packages"] == INSTALLED


def test_without_a_command_its_help_is_shown(command_path: str, tmp_path: Path) -> None:
    done = Person(tmp_path, command_path).try_("env")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: mltrack env") and "\n  check " in done.stderr


def test_what_is_wrong_is_said(user: User, tmp_path: Path) -> None:
    assert "no mltrack project" in user.fails("env", "show", "@", code=4)[0]
    user.run()
    assert "--python" in user.fails("env", "show", "@", "--python", "x", code=2)[0]
    assert "no Python" in user.fails("env", "show", "--python", "/bin/ls", code=4)[0]
    assert "nothing-like-it" in user.fails("env", "show", "nothing-like-it", code=4)[0]
    error, hint = user.fails("env", "export", "@", "--format", "msi", code=2)
    assert "'msi'" in error and "pylock, requirements, conda, dockerfile" in hint


def test_diff_names_what_moved_between_a_run_and_now(user: User) -> None:
    run = user.run()
    assert user.json("env", "diff", run, "now", "--python", ".venv/bin/python", "--exit-code")["is_empty"]
    user.install("alpha==2.0")
    uv("pip", "uninstall", "-q", "--python", str(user.python), "gamma")
    words = ("env", "diff", run, "now", "--python", ".venv/bin/python")
    found = user.json(*words, "--exit-code", code=1)
    assert found["packages"] == [
        {"name": "alpha", "kind": "up", "a": "1.0", "b": "2.0"},
        {"name": "gamma", "kind": "removed", "a": "3.0", "b": None},
    ]
    assert (found["a"], found["b"]) == (run, None)
    page = user.type(*words)
    assert "They differ in 2 packages." in page and "1 up, 1 removed" in page
    assert re.search(r"▲ +alpha +1\.0 +→ +2\.0", page) and re.search(r"- +gamma +3\.0", page)
    other = user.run()
    mirrored = user.json("env", "diff", other, run)["packages"]
    assert [(one["name"], one["kind"]) for one in mirrored] == [("alpha", "down"), ("gamma", "added")]
    assert user.json("env", "diff", other, other)["is_empty"]


def test_diff_sees_another_build_of_the_same_version(user: User, tmp_path: Path, index: Index) -> None:
    run = user.run()
    user.install("--reinstall", "--no-deps", str(wheel(tmp_path / "mine", "gamma", "3.0", code="# mine")))
    other = user.run()
    found = user.json("env", "diff", run, other, "--exit-code", code=1)
    assert [(one["name"], one["kind"]) for one in found["packages"]] == [("gamma", "build")]
    assert "another build: the same version, other files" in user.type("env", "diff", run, other)


def test_check_names_what_an_index_has_no_more(user: User, index: Index) -> None:
    run = user.run()
    fine = user.json("env", "check", run)
    assert fine["holds"] and {one["name"] for one in fine["findings"]} >= {"alpha 1.0", "beta 0.5", "gamma 3.0"}
    assert user.json("env", "check", "--python", ".venv/bin/python")["run"] is None
    index.removed.add("gamma")
    for words in ((run,), ("--python", ".venv/bin/python")):
        found = user.json("env", "check", *words, code=1)
        assert [one["name"] for one in found["findings"] if one["problem"]] == ["gamma 3.0"]
        assert any("push --wheels" in text for text in found["remedies"])
    page = user.type("env", "check", run, code=1)
    assert "could not be built on this machine" in page and re.search(r"^  gamma 3\.0 ", page, re.MULTILINE)


def write_export(user: User, tmp_path: Path, format: str, name: str) -> Path:
    target = tmp_path / format / name
    said = user.type("env", "export", "@", "--format", format, "-o", str(target))
    assert said.startswith(f"Wrote {target}")
    return target


def test_an_exported_pylock_is_what_uv_installs(user: User, tmp_path: Path, index: Index) -> None:
    user.run()
    lock = write_export(user, tmp_path, "pylock", "pylock.toml")
    assert user.type("env", "export", "@") == lock.read_text()
    assert "tool" not in lock.read_text()
    other = fresh(tmp_path, "other")
    uv("pip", "sync", "-q", "--preview-features", "pylock", "-p", str(other), str(lock), cwd=Path("/"))
    assert versions(other) == INSTALLED
    changed = wheel(tmp_path / "changed", "alpha", "1.0", code="import beta  # and more")
    index.replaced[changed.name] = changed.read_bytes()
    words = [UV, "pip", "sync", "--no-cache", "-p", str(fresh(tmp_path, "third")), str(lock)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode != 0 and "mismatch for `alpha==1.0`" in done.stderr


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_exported_requirements_are_installed_with_hashes(user: User, tmp_path: Path, tool: str) -> None:
    user.run()
    target = write_export(user, tmp_path, "requirements", "requirements.txt")
    other = fresh(tmp_path, "other")
    words = [UV, "pip", "install", "-p", str(other)]
    if tool == "pip":
        words = [sys.executable, "-m", "pip", "--python", str(other), "install"]
    words += ["--no-deps", "--require-hashes", "-r", str(target)]
    done = subprocess.run(words, env={**user.environment()}, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert versions(other) == INSTALLED


def test_a_conda_file_names_the_interpreter_and_gives_the_rest_to_pip(user: User) -> None:
    user.run()
    text = user.type("env", "export", "@", "--format", "conda")
    document = yaml.safe_load(text)
    python = user.json("show", "@")["environment"]["python"]
    assert document["dependencies"] == [
        f"python={python}", "pip", {"pip": ["alpha==1.0", "beta==0.5", "gamma==3.0"]},
    ]  # fmt: skip


def test_the_words_of_a_dockerfile_work_in_its_directory(user: User, tmp_path: Path) -> None:
    """What an engine would do, without one: the files are copied, the words after RUN are started."""
    user.install("--reinstall", "--no-deps", str(wheel(tmp_path / "mine", "private", "7.0")))
    user.run()
    target = write_export(user, tmp_path, "dockerfile", "Dockerfile")
    assert sorted(path.name for path in target.parent.iterdir()) == ["Dockerfile", "requirements.txt", "wheels"]
    text = target.read_text()
    assert f"FROM python:{user.json('show', '@')['environment']['python']}-slim\n" in text
    other = fresh(tmp_path, "other")
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert copied == {"requirements.txt", "wheels/"}
    for line in re.findall(r"^RUN (pip .*)$", text, re.MULTILINE):
        words = [sys.executable, "-m", "pip", "--python", str(other), *line.split()[1:]]
        done = subprocess.run(words, cwd=target.parent, env=user.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert versions(other) == {**INSTALLED, "private": "7.0"}


@pytest.mark.needs("docker")
@pytest.mark.skipif(SOAK < 2, reason="its words are tried without an engine too; this takes 15 s")
def test_an_engine_builds_the_exported_dockerfile(user: User, tmp_path: Path, index: Index) -> None:
    """`python:<version>-slim` is a stand-in: no registry can be reached, so that it is made of Debian's Python."""
    user.install("--reinstall", "--no-deps", str(wheel(tmp_path / "mine", "private", "7.0")))
    user.run()
    target = write_export(user, tmp_path, "dockerfile", "Dockerfile")
    with own_engine(has_image=True) as engine:
        stand_in = tmp_path / "stand-in"
        stand_in.mkdir()
        settings = f"PIP_INDEX_URL={index.url} PIP_ROOT_USER_ACTION=ignore PATH=/usr/local/bin:/usr/bin:/bin"
        (stand_in / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN python3 -m venv /usr/local\nENV {settings}\n")
        name = re.findall(r"^FROM (.*)$", target.read_text(), re.MULTILINE)[0]
        docker(engine["host"], "build", "--network=host", "-t", name, str(stand_in))
        docker(engine["host"], "build", "--network=host", "-t", "exported", str(target.parent))
        said = docker(engine["host"], "run", "--rm", "--network=none", "exported", "pip", "list", "--format=freeze")
    assert {*INSTALLED.items(), ("private", "7.0")} <= {tuple(line.split("==")) for line in said.split()}


def test_nothing_is_written_over_unless_forced(user: User, tmp_path: Path) -> None:
    user.run()
    target = tmp_path / "requirements.txt"
    target.write_text("mine")
    words = ("env", "export", "@", "--format", "requirements", "-o", str(target))
    error, hint = user.fails(*words, code=2)
    assert str(target) in error and "--force" in hint and target.read_text() == "mine"
    user.type(*words, "--force")
    assert "alpha==1.0" in target.read_text()
    (tmp_path / "docker" / "requirements.txt").parent.mkdir()
    (tmp_path / "docker" / "requirements.txt").write_text("mine")
    user.fails("env", "export", "@", "--format", "dockerfile", "-o", str(tmp_path / "docker" / "Dockerfile"), code=2)
    assert [path.name for path in (tmp_path / "docker").iterdir()] == ["requirements.txt"]


def test_what_has_no_hash_is_not_silently_missing(user: User) -> None:
    user.variables |= {"MLTRACK_CONFIG_ENVIRONMENT_LOCK": "false"}
    user.run()
    shown = user.json("env", "show", "@")
    assert shown["locked"]["uncertain"] == 3 and "No hash: alpha, beta, gamma." in shown["not_recorded"]
    done = user.try_("env", "export", "@")
    assert "packages = []" in done.stdout and "# Not in here: alpha==1.0: no hash" in done.stdout
    assert "3 of 3 packages have no hash" in done.stderr
    assert "Without hashes:\nalpha==1.0\n" in user.type("env", "export", "@", "--format", "requirements")


def test_a_lock_without_hashes_is_completed_later(user: User, index: Index) -> None:
    user.variables |= {"MLTRACK_CONFIG_ENVIRONMENT_LOCK": "false"}
    run = user.run()
    record = user.json("show", run)["record_digest"]
    user.variables |= {"MLTRACK_CONFIG_ENVIRONMENT_LOCK": "true"}
    index.removed.add("gamma")
    first = user.json("env", "lock", run, code=1)
    assert (first["before"]["hashed"], first["after"]["hashed"], first["missing"]) == (0, 2, ["gamma"])
    index.removed.clear()
    assert "gamma" in user.type("env", "show", run)
    assert user.json("show", run)["record_digest"] == record


def test_trim_keeps_what_the_run_imported(user: User, tmp_path: Path) -> None:
    run = user.run()
    assert user.json("env", "show", run)["environment"]["imported"] == ["alpha", "beta"]
    target = tmp_path / "small.txt"
    found = user.json("env", "trim", run, "--run", "--format", "requirements", "-o", str(target))
    assert (found["kept"], found["dropped"], found["grade"]) == (["alpha", "beta"], ["gamma"], "identical")
    assert found["holds"] and found["written"] == [str(target)] and "gamma" not in target.read_text()
    assert user.json("show", "@")["environment"]["packages"] == {"alpha": "1.0", "beta": "0.5"}
    page = user.type("env", "trim", run)
    assert "3 packages → 2" in page and "Nothing was written." in page
    user.fails("env", "trim", run, "-o", str(target), code=2)


def test_a_clone_knows_the_environments_too(user: User, tmp_path: Path) -> None:
    run = user.run()
    text = user.type("env", "export", run)
    user.type("remote", "add", "origin", str(tmp_path / "remote"))
    user.type("push")
    user.type("clone", str(tmp_path / "remote"), str(tmp_path / "clone"))
    user.cwd = tmp_path / "clone"
    assert user.type("env", "export", run) == text
    assert user.json("env", "check", run)["holds"]
    assert user.json("env", "trim", run)["kept"] == ["alpha", "beta"]


def test_without_its_lock_an_environment_is_still_shown(user: User, tmp_path: Path) -> None:
    run = user.run()
    user.type("remote", "add", "origin", str(tmp_path / "remote"))
    user.type("push")
    user.type("clone", str(tmp_path / "remote"), str(tmp_path / "clone"))
    (tmp_path / "remote").rename(tmp_path / "away")
    user.cwd = tmp_path / "clone"
    shown = user.json("env", "show", run)
    assert {one["name"]: one["version"] for one in shown["packages"]} == INSTALLED
    assert "Its lock is neither here nor on a remote: it cannot be built again." in shown["not_recorded"]
    assert "The lock of a is not here" in user.type("env", "diff", run, run)
    user.fails("env", "export", run, code=6)


def test_the_cache_is_listed_and_cleared(user: User) -> None:
    assert "No environment" in user.type("env", "cache") and user.json("env", "cache") == []
    run = user.run()
    user.type("reproduce", run)
    (found,) = user.json("env", "cache")
    assert found["packages"] == 3 and found["is_complete"] and not found["is_used"] and found["size_bytes"] > 1000
    page = user.type("env", "cache")
    assert found["lock"][:10] in page and "1 environment" in page
    assert "1 environment removed" in user.type("env", "cache", "--clear")
    assert user.json("env", "cache") == [] and not Path(found["path"]).exists()


def secrets_of(text: str) -> list[Any]:
    return [word for word in ("s3cret", "hunter2") if word in text]


def test_no_password_of_an_index_is_shown(user: User, index: Index, tmp_path: Path) -> None:
    index.users["me"] = "s3cret"
    address = index.with_credentials("me", "s3cret")
    user.variables |= {"UV_INDEX_URL": address, "PIP_INDEX_URL": address}
    user.run()
    now = ("--python", ".venv/bin/python", "--json")
    for words in (("show", "@", "--json"), ("export", "@"), ("diff", *now), ("check", "@"), ("show", *now)):
        done = user.try_("env", *words)
        assert not secrets_of(done.stdout + done.stderr), words
    for format in ("requirements", "conda", "dockerfile"):
        assert not secrets_of(user.type("env", "export", "@", "--format", format))

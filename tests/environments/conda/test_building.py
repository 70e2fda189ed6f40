"""Real conda packages, installed by the real py-rattler; nothing is imitated but where a test says so."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments import Found, conda
from mltrack.environments.conda import tools
from mltrack.environments.conda.lock import read_lock, write_lock
from mltrack.environments.conda.meta import read_prefix
from mltrack.errors import Damaged, DataMissing, EnvironmentFailed
from tests.environments.conda.channel import (
    PLATFORM,
    output,
    package,
    prefix,
    program,
    rebuild_request,
    recorded,
    request,
)
from tests.environments.conda.server import Quiet, served
from tests.helpers import write

pytestmark = pytest.mark.needs("rattler")

CODE = "import alpha, beta, sys; print(alpha.VERSION, beta.VERSION, sys.prefix)"


@pytest.fixture
def offline(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's packages come from the wheelhouse alone."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))


@pytest.fixture
def found(env: Path, tmp_path: Path, offline: None) -> Found:
    return conda.capture(request(tmp_path, env / "bin/python", "-c", CODE))


def small(tmp_path: Path, channel: str, **index: object) -> Path:
    """A prefix with one package `tool`, from a channel below `tmp_path/small`."""
    archive = package(tmp_path / "small", "tool", program("tool:echo one"), **index)
    return prefix(tmp_path / "env", channel or f"file://{tmp_path}/small", archive)


def test_an_environment_comes_back_with_what_pip_added(found: Found, env: Path, tmp_path: Path) -> None:
    built = conda.rebuild(rebuild_request(found, tmp_path, env / "bin/python", "-c", CODE))
    place = tmp_path / "built/x/env"
    assert built.argv == (str(place / "bin/python"), "-c", CODE)
    assert output(built, tmp_path) == f"1.0 2.0 {place}\n"
    assert not built.warnings
    files = [path.relative_to(env) for path in env.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    told = ("conda-meta", "bin")
    for name in files:
        if name.parts[0] not in told and "dist-info" not in str(name):
            assert (place / name).read_bytes() == (env / name).read_bytes()


def test_a_run_in_what_was_built_records_the_same(found: Found, tmp_path: Path) -> None:
    built = conda.rebuild(rebuild_request(found, tmp_path, "python", "-c", CODE))
    again = conda.capture(request(tmp_path, *built.argv))
    assert again.environment.digest == found.environment.digest
    assert again.lock == found.lock
    assert again.trees["wheels"].keys() == found.trees["wheels"].keys()


def test_building_twice_makes_nothing_anew_and_another_tree_shares_it(found: Found, tmp_path: Path) -> None:
    asked = rebuild_request(found, tmp_path, "python", "-c", CODE)
    conda.rebuild(asked)
    mark = (tmp_path / "built/x/env/conda-meta/history").stat().st_ino
    shutil.rmtree(tmp_path / "laid-out")
    conda.rebuild(replace(asked, workspace=tmp_path))
    assert (tmp_path / "built/x/env/conda-meta/history").stat().st_ino == mark


def test_a_build_that_was_killed_is_made_anew(found: Found, tmp_path: Path) -> None:
    asked = rebuild_request(found, tmp_path, "tool")
    conda.rebuild(asked)
    marker = tmp_path / "built/x/mltrack.json"
    from mltrack.environments.cache import release

    release(tmp_path / "built/x")
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "is_complete": False}))
    (tmp_path / "built/x/env/bin/tool").unlink()
    built = conda.rebuild(asked)
    assert (tmp_path / "built/x/env/bin/tool").exists()
    assert built.argv == (str(tmp_path / "built/x/env/bin/tool"),)


def test_variables_are_those_of_the_new_prefix_and_of_its_packages_scripts(tmp_path: Path) -> None:
    text = b'export TOOL_SAYS="a b"\nunset UNWANTED\nexport OLD_PATH="$CONDA_PREFIX"\n'
    files = {**program("tool:echo $TOOL_SAYS $OLD_PATH"), "etc/conda/activate.d/tool.sh": (text, 0o644)}
    archive = package(tmp_path / "small", "tool", files)
    env = prefix(tmp_path / "env", f"file://{tmp_path}/small", archive)
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    path = f"{env}/bin:{os.environ['PATH']}"
    asked = rebuild_request(found, tmp_path, "tool", PATH=path, UNWANTED="1", CONDA_PREFIX=str(env), CONDA_SHLVL="1")
    built = conda.rebuild(asked)
    place = tmp_path / "built/x/env"
    assert output(built, tmp_path) == f"a b {place}\n"
    assert built.variables["CONDA_PREFIX"] == str(place)
    assert built.variables["CONDA_SHLVL"] is None
    assert built.variables["UNWANTED"] is None
    assert str(env / "bin") not in (built.variables["PATH"] or "").split(os.pathsep)


def test_a_script_finds_the_programs_of_the_new_prefix(tmp_path: Path) -> None:
    env = small(tmp_path, "")
    active = {"PATH": f"{env}/bin:{os.environ['PATH']}", "CONDA_PREFIX": str(env)}
    found = conda.capture(request(tmp_path, "sh", "-c", "tool", **active))
    shutil.rmtree(env)
    for command in (("sh", "-c", "tool"), ("conda", "run", "-n", "ml", "tool")):
        built = conda.rebuild(rebuild_request(found, tmp_path, *command))
        assert output(built, tmp_path) == "one\n"


def test_a_script_that_names_a_program_of_the_old_prefix_is_started_by_the_new_one(tmp_path: Path) -> None:
    archive = package(tmp_path / "small", "tool", program('tool:echo "tool $*"'))
    env = prefix(tmp_path / "env", f"file://{tmp_path}/small", archive)
    for place in ("project", "workspace"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "train").write_text(f"#!{env}/bin/tool -x\n")
        (tmp_path / place / "train").chmod(0o755)
    found = conda.capture(request(tmp_path, "./train"))
    shutil.rmtree(env)
    built = conda.rebuild(rebuild_request(found, tmp_path, "nice", "./train", "a"))
    assert output(built, tmp_path / "workspace") == "tool -x ./train a\n"


def test_two_processes_that_build_the_same_get_the_same(tmp_path: Path) -> None:
    import subprocess
    import sys

    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        Quiet.asked.clear()
        code = (
            "import sys, pathlib; from mltrack.environments import *; from mltrack.environments import conda;"
            "from mltrack.records import Environment; import os; t = pathlib.Path(sys.argv[1]);"
            "r = Recorded(Environment(kind='conda'), (t / 'lock').read_bytes(), dict(os.environ), t / 'cache');"
            "print(conda.rebuild(RebuildRequest(r, ('tool',), t, t / 'built' / 'x')).argv[0])"
        )
        (tmp_path / "lock").write_bytes(found.lock or b"")
        words = [sys.executable, "-c", code, str(tmp_path)]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        told = [process.communicate()[0] for process in both]
        assert told == [f"{tmp_path}/built/x/env/bin/tool\n"] * 2
        assert len(Quiet.asked) == 1


def test_packages_are_fetched_from_their_channel_and_say_so(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        assert not found.trees
        Quiet.asked.clear()
        built = conda.rebuild(rebuild_request(found, tmp_path, "tool"))
        assert Quiet.asked == [f"GET /{PLATFORM}/tool-1.0-0.conda"]
    assert output(built, tmp_path) == "one\n"
    assert read_prefix(tmp_path / "built/x/env", tmp_path / "c").packages == read_prefix(env, tmp_path / "c").packages


def test_what_a_remote_carries_needs_no_channel(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        Quiet.trouble[".conda"] = 1
        gathered = conda.gather(recorded(found, tmp_path), "wheels", tmp_path / "scratch")
    assert not gathered.warnings
    assert gathered.tree is not None
    kept = replace(found, trees={"wheels": gathered.tree})
    built = conda.rebuild(rebuild_request(kept, tmp_path, "tool"))
    assert output(built, tmp_path) == "one\n"
    again = conda.capture(request(tmp_path, *built.argv))
    assert again.lock == found.lock  # it says the channel, not the directory that the archive lay in


def test_gathering_tells_what_cannot_be_had(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        archive = next((tmp_path / "small").glob("*/*.conda"))
        archive.write_bytes(archive.read_bytes()[:-1] + b"x")
        told = conda.gather(recorded(found, tmp_path), "wheels", tmp_path / "scratch").warnings
        assert "another file of this name" in told[0].message
        archive.unlink()
        told = conda.gather(recorded(found, tmp_path), "wheels", tmp_path / "scratch").warnings
        assert "404" in told[0].message
    told = conda.gather(recorded(found, tmp_path), "wheels", tmp_path / "scratch").warnings
    assert "refused" in told[0].message
    assert not list((tmp_path / "scratch").rglob("*.conda"))


def test_a_package_cache_of_this_machine_is_used_when_its_archives_are_right(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
    pkgs = tmp_path / "pkgs"
    pkgs.mkdir()
    archive = next((tmp_path / "small").glob("*/*.conda"))
    shutil.copy(archive, pkgs)
    with_cache = recorded(found, tmp_path, CONDA_PKGS_DIRS=str(pkgs))
    assert conda.gather(with_cache, "wheels", tmp_path / "s").tree == {
        f"conda/{PLATFORM}/tool-1.0-0.conda": pkgs / "tool-1.0-0.conda"
    }
    assert conda.check(with_cache)[2].place == "this machine"
    (pkgs / "tool-1.0-0.conda").write_bytes(b"x" * archive.stat().st_size)
    assert conda.gather(with_cache, "wheels", tmp_path / "s").tree == {}


def test_checking_names_what_is_gone_replaced_or_only_kept(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        Quiet.trouble[".conda"] = 2
        assert [finding.problem for finding in conda.check(recorded(found, tmp_path))] == [None, None, None]
        assert conda.check(recorded(found, tmp_path))[2].place == url
        archive = next((tmp_path / "small").glob("*/*.conda"))
        kept = tmp_path / "kept.conda"
        shutil.copy(archive, kept)
        archive.write_bytes(archive.read_bytes() + b"x")
        assert "another file" in (conda.check(recorded(found, tmp_path))[2].problem or "")
        archive.unlink()
        assert "404" in (conda.check(recorded(found, tmp_path))[2].problem or "")
        stored = replace(found, trees={"wheels": {f"conda/{PLATFORM}/tool-1.0-0.conda": kept}})
        assert conda.check(recorded(stored, tmp_path))[2].place == "stored"


def test_an_archive_that_was_damaged_in_the_store_is_not_installed(tmp_path: Path) -> None:
    env = small(tmp_path, "")
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    archive = next((tmp_path / "small").glob("*/*.conda"))
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(Damaged, match=r"tool 1\.0 0"):
        conda.rebuild(rebuild_request(found, tmp_path, "tool"))


def test_a_local_package_that_was_not_kept_is_named(tmp_path: Path) -> None:
    env = small(tmp_path, "")
    found = replace(conda.capture(request(tmp_path, env / "bin/tool")), trees={})
    with pytest.raises(EnvironmentFailed, match=r"No channel has .* tool 1\.0 0"):
        conda.rebuild(rebuild_request(found, tmp_path, "tool"))


def test_kept_archives_out_of_reach_leave_the_channels(tmp_path: Path) -> None:
    def out_of_reach(name: str) -> Path | None:
        raise DataMissing("The remote is not reachable.")

    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        asked = rebuild_request(found, tmp_path, "tool")
        built = conda.rebuild(replace(asked, recorded=replace(asked.recorded, lay_out=out_of_reach)))
    assert output(built, tmp_path) == "one\n"


def test_a_failure_has_the_tools_own_words(tmp_path: Path) -> None:
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        next((tmp_path / "small").glob("*/*.conda")).unlink()
        with pytest.raises(EnvironmentFailed, match="py-rattler failed") as caught:
            conda.rebuild(rebuild_request(found, tmp_path, "tool"))
        assert "404" in (caught.value.hint or "")


def test_another_platform_is_told_before_anything_is_made(tmp_path: Path) -> None:
    env = small(tmp_path, "")
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    lock = read_lock(found.lock)
    moved = tuple(replace(item, subdir="osx-arm64") for item in lock.packages)
    other = replace(found, lock=write_lock(replace(lock, platform="osx-arm64", packages=moved)))
    with pytest.raises(EnvironmentFailed, match="for osx-arm64, and this machine is"):
        conda.rebuild(rebuild_request(other, tmp_path, "tool"))
    assert not (tmp_path / "built").exists()
    assert "osx-arm64" in (conda.check(recorded(other, tmp_path))[0].problem or "")


def test_without_any_tool_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = small(tmp_path, "")
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    monkeypatch.setattr(tools, "has_rattler", lambda: False)
    with pytest.raises(EnvironmentFailed, match="no micromamba") as caught:
        conda.rebuild(rebuild_request(found, tmp_path, "tool", PATH="/usr/bin:/bin"))
    assert "single file" in (caught.value.hint or "")
    assert conda.check(recorded(found, tmp_path, PATH="/usr/bin:/bin"))[1].problem


@pytest.mark.parametrize("name", tools.CREATES)
def test_a_tool_is_started_with_the_explicit_list(tmp_path: Path, name: str) -> None:
    """The tool is a stand-in: it proves which words it is started with and how its failure is told, not that the real
    one takes them."""
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        lines = f'echo "$0 $*" >{tmp_path}/words; cat "${{@: -1}}" >{tmp_path}/list; echo "cannot solve this"; exit 3'
        program_file = tmp_path / "bin" / name
        program_file.parent.mkdir()
        program_file.write_text(f"#!/bin/bash\n{lines}\n")
        program_file.chmod(0o755)
        with pytest.raises(EnvironmentFailed, match=f"{name} failed with exit code 3") as caught:
            conda.rebuild(rebuild_request(found, tmp_path, "tool", PATH=f"{program_file.parent}:{os.environ['PATH']}"))
    assert "cannot solve this" in (caught.value.hint or "")
    md5 = read_lock(found.lock).packages[0].md5
    assert (tmp_path / "list").read_text() == f"@EXPLICIT\n{url}/{PLATFORM}/tool-1.0-0.conda#{md5}\n"
    words = (tmp_path / "words").read_text()
    assert words.startswith(f"{program_file} create --yes")
    assert f"--prefix {tmp_path}/built/x/env --file " in words


def test_a_tool_that_makes_something_else_is_not_believed(tmp_path: Path) -> None:
    """The stand-in makes a prefix that lacks the package and has another."""
    with served(tmp_path / "small") as url:
        env = small(tmp_path, url)
        found = conda.capture(request(tmp_path, env / "bin/tool"))
        other = prefix(tmp_path / "other", f"file://{tmp_path}/b", package(tmp_path / "b", "extra", program("extra:")))
        stand_in = tmp_path / "bin" / "micromamba"
        stand_in.parent.mkdir()
        stand_in.write_text(f"#!/bin/sh\ncp -r {other} {tmp_path}/built/x/env\n")
        stand_in.chmod(0o755)
        with pytest.raises(EnvironmentFailed, match=r"lacks tool 1\.0 0 and has extra besides"):
            conda.rebuild(rebuild_request(found, tmp_path, "tool", PATH=f"{stand_in.parent}:{os.environ['PATH']}"))


@pytest.mark.parametrize("name", [tools.RATTLER, "micromamba"])
def test_an_archive_that_has_a_sha256_alone_is_verified(tmp_path: Path, name: str) -> None:
    """An explicit list cannot say a sha256. The stand-in for micromamba notes the list, and fails."""
    with served(tmp_path / "small") as url:
        found = conda.capture(request(tmp_path, small(tmp_path, url) / "bin/tool"))
        lock = read_lock(found.lock)
        alone = tuple(replace(item, md5=None) for item in lock.packages)
        asked = replace(found, lock=write_lock(replace(lock, packages=alone)))
        write(tmp_path / "bin", {"micromamba": f'#!/bin/bash\ncat "${{@: -1}}" >{tmp_path}/list\nexit 1\n'})
        (tmp_path / "bin/micromamba").chmod(0o755 if name == "micromamba" else 0o644)
        given = rebuild_request(asked, tmp_path, "tool", PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
        if name == "micromamba":
            with pytest.raises(EnvironmentFailed, match="micromamba failed"):
                conda.rebuild(given)
            assert (tmp_path / "list").read_text().startswith("@EXPLICIT\nfile://")
        else:
            built = conda.rebuild(given)
            assert output(built, tmp_path) == "one\n"
            assert read_prefix(tmp_path / "built/x/env", tmp_path / "cache").packages[0].url == alone[0].url
            shutil.rmtree(tmp_path / "built")
        package(tmp_path / "small", "tool", program("tool:echo other"))
        (tmp_path / "list").unlink(missing_ok=True)
        with pytest.raises(EnvironmentFailed, match="another file of this name"):
            conda.rebuild(given)
        assert not (tmp_path / "list").exists()


def test_pixi_is_taken_from_the_users_path_and_not_from_the_records(tmp_path: Path) -> None:
    env = small(tmp_path, "")
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    asked = rebuild_request(found, tmp_path, "env", "PATH=bin", "pixi", "run", "tool", PATH="/usr/bin:/bin")
    write(asked.workspace, {"bin/pixi": f"#!/bin/sh\ntouch {tmp_path}/ran\n", "pixi.toml": "", "pixi.lock": ""})
    (asked.workspace / "bin/pixi").chmod(0o755)
    conda.rebuild(asked)
    assert not (tmp_path / "ran").exists()


def test_a_project_of_pixi_is_built_and_run_by_pixi(tmp_path: Path) -> None:
    """pixi is a stand-in: it proves the words, and that what it made is compared."""
    env = small(tmp_path, "")
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    asked = rebuild_request(found, tmp_path, "pixi", "run", "-e", "gpu", "train", PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    with pytest.raises(EnvironmentFailed, match="'train' is no program of the environment"):
        conda.rebuild(asked)
    stand_in = tmp_path / "bin" / "pixi"
    stand_in.parent.mkdir()
    made = asked.workspace / ".pixi" / "envs" / "gpu"
    stand_in.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/words; mkdir -p {made}; cp -r {env}/* {made}\n')
    stand_in.chmod(0o755)
    for name in ("pixi.toml", "pixi.lock"):
        (asked.workspace / name).write_text("")
    built = conda.rebuild(asked)
    assert built.argv == (str(stand_in), "run", "--frozen", "-e", "gpu", "train")
    assert (tmp_path / "words").read_text() == f"install --frozen --manifest-path {asked.workspace}/pixi.toml -e gpu\n"
    (env / "conda-meta" / "tool-1.0-0.json").unlink()
    shutil.rmtree(made)
    with pytest.raises(EnvironmentFailed, match="pixi made is not the recorded one"):
        conda.rebuild(asked)

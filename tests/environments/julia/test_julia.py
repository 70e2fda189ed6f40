"""No Julia can be had here: the `julia` of these tests is a stand-in that prints what Julia prints. What is proved is
how projects are found and read, which words Julia is started with, and how its failures are told. Manifests are of the
forms that Julia 1.6 and 1.10 write."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments import Found, RebuildRequest, Recorded, Request, choose, julia
from mltrack.environments.julia.lock import packages_of, read_lock, write_lock
from mltrack.environments.julia.projects import find_julia
from mltrack.errors import Damaged, EnvironmentFailed
from tests.environments.making import variables
from tests.helpers import write

NEW = """# This file is machine-generated - editing it directly is not advised

julia_version = "1.10.4"
manifest_format = "2.0"
project_hash = "d0bdd3dad0f2ef3a2fd1a2e3d1d4e7a9cf6a9ed1"

[[deps.Adapt]]
deps = ["LinearAlgebra"]
git-tree-sha1 = "76289dc51920fdc6e0013c872ba9551d54961c24"
uuid = "79e6a3ab-5dfb-504d-930d-738a2a938a0e"
version = "3.6.2"
weakdeps = ["StaticArrays"]

    [deps.Adapt.extensions]
    AdaptStaticArraysExt = "StaticArrays"

[[deps.Forked]]
git-tree-sha1 = "9c2e32e9d3a1a9d0b4c59ed2d8ce9ee24f2ff6a5"
repo-rev = "main"
repo-url = "https://user:s3cret@example.org/Forked.jl.git"
uuid = "0c68f7d7-f131-5f86-a1c3-88cf8149b2d7"
version = "0.2.0"

[[deps.LinearAlgebra]]
uuid = "37e2e46d-f89d-539d-b4ee-838fcccc9c8e"

[[deps.Mine]]
path = "lib/Mine"
uuid = "2c68f7d7-f131-5f86-a1c3-88cf8149b2d7"
version = "0.1.0"
"""

OLD = """[[Adapt]]
deps = ["LinearAlgebra"]
git-tree-sha1 = "84918055d15b3114ede17ac6a7182f68870c16f7"
uuid = "79e6a3ab-5dfb-504d-930d-738a2a938a0e"
version = "3.3.1"

[[LinearAlgebra]]
uuid = "37e2e46d-f89d-539d-b4ee-838fcccc9c8e"
"""

PROJECT = '[deps]\nAdapt = "79e6a3ab-5dfb-504d-930d-738a2a938a0e"\n'


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with the stand-in, which notes the words that it is started with."""
    return stand_in(tmp_path, "1.10.4")


def stand_in(tmp_path: Path, version: str, then: str = "exit 0") -> str:
    place = tmp_path / "bin" / "julia"
    place.parent.mkdir(exist_ok=True)
    told = f'if [ "$1" = --version ]; then echo "julia version {version}"; exit 0; fi'
    place.write_text(f'#!/bin/sh\n{told}\necho "$*" >>"{tmp_path}/words"\n{then}\n')
    place.chmod(0o755)
    return f"{place.parent}{os.pathsep}{os.environ['PATH']}"


def request(tmp_path: Path, path: str, *argv: str, **more: str) -> Request:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    return Request(argv, project, variables(PATH=path, **more), tmp_path / "cache", project)


def rebuild_request(found: Found, tmp_path: Path, path: str, *command: str) -> RebuildRequest:
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    recorded = Recorded(found.environment, found.lock, variables(PATH=path), tmp_path / "cache")
    return RebuildRequest(recorded, command, workspace, tmp_path / "built" / "x")


@pytest.fixture
def found(tmp_path: Path, path: str) -> Found:
    write(tmp_path / "project", {"Project.toml": PROJECT, "Manifest.toml": NEW})
    return julia.capture(request(tmp_path, path, "julia", "--project", "train.jl"))


def test_julia_is_seen_behind_prefixes_and_shebangs(tmp_path: Path, path: str) -> None:
    write(tmp_path / "project", {"train.jl": "#!/usr/bin/env julia\n"})
    (tmp_path / "project" / "train.jl").chmod(0o755)
    for words in (("julia", "train.jl"), ("./train.jl",), ("nice", "julia", "x.jl")):
        assert choose(request(tmp_path, path, *words)).NAME == "julia"
    for words in (("cat", "julia"), ("juliaup",), ("julia.sh",)):
        asked = request(tmp_path, path, *words)
        assert find_julia(asked.argv, asked.cwd, asked.variables) is None


def test_a_manifest_is_recorded_with_its_hashes_and_without_credentials(found: Found) -> None:
    assert found.environment.packages == {"julia": "1.10.4", "Adapt": "3.6.2", "Forked": "0.2.0", "Mine": "0.1.0"}
    lock = read_lock(found.lock)
    assert (lock.version, lock.place, lock.project) == ("1.10.4", ".", PROJECT)
    assert b"s3cret" not in (found.lock or b"")
    assert "76289dc51920fdc6e0013c872ba9551d54961c24" in (lock.manifest or "")
    assert not found.warnings


def test_manifests_of_older_versions_are_read() -> None:
    assert [(one.name, one.version) for one in packages_of(OLD)] == [("Adapt", "3.3.1")]


@pytest.mark.parametrize(
    ("argv", "more", "place"),
    [
        (("julia", "--project=sub", "x.jl"), {}, "sub"),
        (("julia", "x.jl"), {"JULIA_PROJECT": "sub"}, "sub"),
        (("julia", "x.jl"), {"JULIA_PROJECT": "@."}, "."),
        (("julia", "-t", "4"), {}, None),
        (("julia", "--project=@ml", "x.jl"), {"JULIA_DEPOT_PATH": "{depot}"}, None),
        (("julia", "x.jl", "--project=sub"), {"JULIA_DEPOT_PATH": "{depot}"}, None),
    ],
)
def test_the_project_is_the_one_that_julia_activates(
    tmp_path: Path, path: str, argv: tuple[str, ...], more: dict[str, str], place: str | None
) -> None:
    depot = tmp_path / "depot"
    write(tmp_path / "project", {"Project.toml": PROJECT, "sub/Project.toml": PROJECT, "sub/Manifest.toml": OLD})
    write(depot / "environments", {"ml/Project.toml": PROJECT, "v1.10/Project.toml": PROJECT})
    given = {name: text.format(depot=depot) for name, text in more.items()}
    found = julia.capture(request(tmp_path, path, *argv, **given))
    assert read_lock(found.lock).place == place


def test_packages_under_development_elsewhere_and_a_missing_manifest_are_told(tmp_path: Path, path: str) -> None:
    write(tmp_path / "project", {"Project.toml": PROJECT, "Manifest.toml": NEW.replace("lib/Mine", "../Mine")})
    found = julia.capture(request(tmp_path, path, "julia", "--project", "x.jl"))
    assert "outside of the project" in found.warnings[0].message
    (tmp_path / "project" / "Manifest.toml").unlink()
    assert "has no manifest" in julia.capture(request(tmp_path, path, "julia", "--project", "x.jl")).warnings[0].message
    write(tmp_path / "project", {"Manifest.toml": "[[["})
    warnings = julia.capture(request(tmp_path, path, "julia", "--project", "x.jl")).warnings
    assert "cannot be understood" in warnings[0].message


def test_a_project_restored_with_the_code_is_instantiated_where_it_is(found: Found, tmp_path: Path, path: str) -> None:
    lock = read_lock(found.lock)
    write(tmp_path / "workspace", {"Project.toml": PROJECT, "Manifest.toml": lock.manifest or ""})
    built = julia.rebuild(rebuild_request(found, tmp_path, path, "julia", "--project=.", "train.jl"))
    assert built.argv == (str(tmp_path / "bin/julia"), "train.jl")
    assert built.variables["JULIA_PROJECT"] == str(tmp_path / "workspace")
    words = (tmp_path / "words").read_text()
    assert words == f"--project={tmp_path}/workspace --startup-file=no -e using Pkg; Pkg.instantiate()\n"


def test_a_manifest_that_git_ignores_is_restored_aside_with_its_paths(found: Found, tmp_path: Path, path: str) -> None:
    built = julia.rebuild(rebuild_request(found, tmp_path, path, "julia", "--project", "train.jl"))
    place = Path(built.variables["JULIA_PROJECT"] or "")
    assert place.parent == tmp_path / "built"
    assert f'path = "{tmp_path}/workspace/lib/Mine"' in (place / "Manifest.toml").read_text()
    assert (place / "Project.toml").read_text() == PROJECT
    assert not any((tmp_path / "workspace").iterdir())


def test_a_path_that_leaves_the_tree_is_refused(found: Found, tmp_path: Path, path: str) -> None:
    text = (found.lock or b"").replace(b"lib/Mine", b"../../etc")
    with pytest.raises(Damaged):
        julia.rebuild(rebuild_request(replace(found, lock=text), tmp_path, path, "julia", "x.jl"))


@pytest.mark.parametrize(
    "line",
    [
        'path = "/etc"',
        '  path = "../../etc"',
        "path = '../../etc'",
        "path = '/etc'",
        '"path" = "../../etc"',
        'path = """../../etc"""',
        '"path" = "lib/Mine"',
        'path = "lib/link"',
    ],
)
@pytest.mark.parametrize("is_restored", [True, False])
def test_no_form_of_a_path_leads_out_of_the_tree(
    found: Found, tmp_path: Path, path: str, line: str, is_restored: bool
) -> None:
    lock = read_lock(found.lock)
    manifest = (lock.manifest or "").replace('path = "lib/Mine"', line)
    (tmp_path / "workspace" / "lib").mkdir(parents=True)
    (tmp_path / "workspace" / "lib" / "link").symlink_to("/etc")
    if is_restored:
        write(tmp_path / "workspace", {"Project.toml": PROJECT, "Manifest.toml": manifest})
    asked = replace(found, lock=write_lock(replace(lock, manifest=manifest)))
    with pytest.raises(Damaged):
        julia.rebuild(rebuild_request(asked, tmp_path, path, "julia", "x.jl"))
    assert not (tmp_path / "words").exists()


@pytest.mark.parametrize("line", ["    path = 'lib/Mine'", 'path="lib/./Mine"', 'path = "lib/Mine" # mine'])
def test_every_form_of_a_path_inside_of_it_is_moved(found: Found, tmp_path: Path, path: str, line: str) -> None:
    lock = read_lock(found.lock)
    manifest = (lock.manifest or "").replace('path = "lib/Mine"', line)
    project = f'{PROJECT}\n[sources]\nMine = {{path = "lib/Mine"}}\n'
    asked = replace(found, lock=write_lock(replace(lock, manifest=manifest, project=project)))
    built = julia.rebuild(rebuild_request(asked, tmp_path, path, "julia", "x.jl"))
    place = Path(built.variables["JULIA_PROJECT"] or "")
    for name in ("Manifest.toml", "Project.toml"):
        assert f'"{tmp_path}/workspace/lib/Mine"' in (place / name).read_text()


def test_a_source_of_the_project_that_leaves_the_tree_is_refused(found: Found, tmp_path: Path, path: str) -> None:
    project = f"{PROJECT}\n[sources]\nMine = {{url = 'x', path = '../../etc'}}\n"
    asked = replace(found, lock=write_lock(replace(read_lock(found.lock), project=project)))
    with pytest.raises(Damaged, match="etc"):
        julia.rebuild(rebuild_request(asked, tmp_path, path, "julia", "x.jl"))


def test_a_failure_has_julias_own_words(found: Found, tmp_path: Path) -> None:
    path = stand_in(tmp_path, "1.10.4", "echo 'ERROR: could not download'; exit 1")
    with pytest.raises(EnvironmentFailed, match="exit code 1") as caught:
        julia.rebuild(rebuild_request(found, tmp_path, path, "julia", "x.jl"))
    assert "could not download" in (caught.value.hint or "")


def test_another_patch_version_is_told_another_minor_one_is_refused(found: Found, tmp_path: Path) -> None:
    near = julia.rebuild(rebuild_request(found, tmp_path, stand_in(tmp_path, "1.10.9"), "julia", "x.jl"))
    assert near.warnings[0].message == "The run used Julia 1.10.4; here is Julia 1.10.9."
    with pytest.raises(EnvironmentFailed, match="resolves other packages"):
        julia.rebuild(rebuild_request(found, tmp_path, stand_in(tmp_path, "1.11.0"), "julia", "x.jl"))
    with pytest.raises(EnvironmentFailed, match="not on this machine"):
        julia.rebuild(rebuild_request(found, tmp_path, "/nowhere", "julia", "x.jl"))


def test_checking_and_exporting(found: Found, tmp_path: Path, path: str) -> None:
    recorded = rebuild_request(found, tmp_path, path, "julia").recorded
    assert [item.name for item in julia.check(recorded)] == [
        "julia 1.10.4",
        "Adapt 3.6.2",
        "Forked 0.2.0",
        "Mine 0.1.0",
    ]
    assert julia.export(recorded, "manifest") == read_lock(found.lock).manifest
    assert [item.source for item in julia.packages(recorded)] == ["registry", "vcs", "project"]


@pytest.mark.parametrize("change", [{"julia": "1"}, {"place": "../x"}, {"place": 3}, {"manifest": "[[["}, {"evil": 1}])
def test_a_strange_lock_is_refused(found: Found, change: dict[str, object]) -> None:
    table = {**json.loads(found.lock or b""), **change}
    with pytest.raises(Damaged):
        read_lock((json.dumps(table, sort_keys=True, indent=1) + "\n").encode())

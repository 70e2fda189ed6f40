"""Real R, real packages; renv, which Debian does not have, is imitated where a test says so."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments import Found, Rebuilt, choose, r
from mltrack.environments.r.interpreter import find_r
from mltrack.environments.r.lock import read_lock
from mltrack.errors import Damaged, EnvironmentFailed
from tests.environments.conda.channel import output
from tests.environments.conda.server import served
from tests.environments.making import venv
from tests.environments.r.packages import install, rebuild_request, request, source
from tests.helpers import write

pytestmark = pytest.mark.needs("Rscript")

SCRIPT = "library(second); cat(first::told(), second::told(), '\\n')\n"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository `cran` with `first` in an old and a new version, and `second`, which needs it; a library with the
    old one."""
    place = tmp_path_factory.mktemp("r")
    old = source(place / "cran", "first", "1.0", is_old=True)
    source(place / "cran", "first", "2.0")
    install(place / "library", old, source(place / "cran", "second", "0.5-1", imports="first (>= 0.9), stats"))
    return place


@pytest.fixture
def repository(made: Path) -> Path:
    return made / "cran"


@pytest.fixture
def library(tmp_path: Path, made: Path) -> Path:
    write(tmp_path / "project", {"train.R": SCRIPT})
    return shutil.copytree(made / "library", tmp_path / "library")


@pytest.fixture
def found(tmp_path: Path, library: Path) -> Found:
    return r.capture(request(tmp_path, "Rscript", "train.R", R_LIBS=str(library)))


def renv_lock(url: str, first: str = "1.0") -> str:
    rows = {"first": first, "second": "0.5-1"}
    packages = {name: {"Package": name, "Version": version, "Source": "Repository"} for name, version in rows.items()}
    return json.dumps({"R": {"Version": "4.2.2", "Repositories": [{"Name": "CRAN", "URL": url}]}, "Packages": packages})


@pytest.mark.parametrize(
    "words",
    [("Rscript", "a.R"), ("R", "-f", "a.R"), ("nice", "Rscript", "a.R"), ("./a.R",), ("uv", "run", "Rscript", "a.R")],
)
def test_r_is_seen_behind_prefixes_and_shebangs_even_in_a_virtual_environment(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    write(tmp_path / "project", {"a.R": "#!/usr/bin/env Rscript\n"})
    (tmp_path / "project" / "a.R").chmod(0o755)
    python = venv(tmp_path / "venv")
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    assert choose(request(tmp_path, *words, PATH=path, VIRTUAL_ENV=str(tmp_path / "venv"))).NAME == "r"


@pytest.mark.parametrize(
    "words", [("python", "a.R"), ("sh", "R"), ("cat", "Rscript"), ("Rscriptx",), ("uv", "run", "a.py")]
)
def test_what_is_not_r_is_not_taken_for_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    asked = request(tmp_path, *words)
    assert find_r(asked.argv, asked.cwd, asked.variables) is None


def test_installed_packages_are_recorded_without_renv(found: Found) -> None:
    packages = dict(found.environment.packages)
    version = packages.pop("R")
    assert packages["first"] == "1.0"
    assert packages["second"] == "0.5-1"
    assert "base" not in packages
    lock = read_lock(found.lock)
    assert lock.version == version
    second = next(package for package in lock.packages if package.name == "second")
    assert second.needs == ("first", "stats")
    assert second.repository == "CRAN"
    assert not found.warnings


def test_the_first_library_with_a_package_counts(tmp_path: Path, library: Path, repository: Path) -> None:
    install(tmp_path / "newer", repository / "src/contrib/first_2.0.tar.gz")
    both = f"{tmp_path / 'newer'}{os.pathsep}{library}"
    assert r.capture(request(tmp_path, "Rscript", "x.R", R_LIBS=both)).environment.packages["first"] == "2.0"


def test_the_projects_profile_is_not_run_by_the_capture(tmp_path: Path, library: Path) -> None:
    write(tmp_path / "project", {".Rprofile": f'cat("x", file = "{tmp_path}/ran")\n'})
    r.capture(request(tmp_path, "Rscript", "train.R", R_LIBS=str(library)))
    assert not (tmp_path / "ran").exists()


def test_what_a_project_sets_for_r_is_read_and_nothing_of_it_is_run(tmp_path: Path, library: Path) -> None:
    """R_LIBS of its .Renviron counts, as in the run; a profile that this names, and its packages, are code."""
    evil = f'cat("x", file = "{tmp_path}/ran")\n'
    settings = "R_PROFILE=evil.R\nR_PROFILE_USER=evil.R\nR_DEFAULT_PACKAGES=eager\nPLACE=..\nR_LIBS=${PLACE}/library\n"
    write(tmp_path / "project", {".Renviron": settings, "evil.R": evil, ".Rprofile": evil})
    description = "Package: eager\nVersion: 1.0\nTitle: A Test\nDescription: It acts.\nLicense: MIT\n"
    code = f".onLoad <- function(...) {evil}"
    write(tmp_path / "eager", {"DESCRIPTION": description, "NAMESPACE": "", "R/eager.R": code})
    install(library, tmp_path / "eager")
    (tmp_path / "ran").unlink()  # the installation tries to load it
    found = r.capture(request(tmp_path, "Rscript", "train.R"))
    assert found.environment.packages["first"] == "1.0"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["R_LIBS", "R_LIBS_USER"])
def test_a_relative_library_is_one_of_the_directory_that_the_command_starts_in(
    tmp_path: Path, library: Path, name: str
) -> None:
    found = r.capture(request(tmp_path, "Rscript", "train.R", **{name: "../library"}))
    assert found.environment.packages["first"] == "1.0"
    write(tmp_path / "home", {".Renviron": f"{name}={library}\n"})
    at_home = r.capture(request(tmp_path, "Rscript", "train.R", HOME=str(tmp_path / "home")))
    assert at_home.environment.packages["first"] == "1.0"
    write(tmp_path / "project", {".Renviron": ""})
    near = r.capture(request(tmp_path, "Rscript", "train.R", HOME=str(tmp_path / "home")))
    assert "first" not in near.environment.packages
    named = {"HOME": str(tmp_path), "R_ENVIRON_USER": str(tmp_path / "home" / ".Renviron")}
    assert r.capture(request(tmp_path, "Rscript", "train.R", **named)).environment.packages["first"] == "1.0"


def test_renvs_own_library_counts_where_renv_is_active(tmp_path: Path, library: Path, repository: Path) -> None:
    minor = ".".join(read_lock(r.capture(request(tmp_path, "Rscript", "x.R")).lock).version.split(".")[:2])
    platform = read_lock(r.capture(request(tmp_path, "Rscript", "x.R")).lock).platform
    project = tmp_path / "project"
    install(
        project / "renv/library/linux-debian-bookworm" / f"R-{minor}" / platform,
        repository / "src/contrib/first_2.0.tar.gz",
    )
    write(
        project,
        {".Rprofile": 'source("renv/activate.R")\n', "renv/activate.R": "stop()\n", "renv.lock": renv_lock("x")},
    )
    found = r.capture(request(tmp_path, "Rscript", "train.R", R_LIBS=str(library)))
    assert found.environment.packages["first"] == "2.0"
    assert "second" not in found.environment.packages
    assert found.warnings[0].message == "What is installed is not what renv.lock says: first, second."
    off = {"R_LIBS": str(library), "RENV_CONFIG_AUTOLOADER_ENABLED": "FALSE"}
    assert r.capture(request(tmp_path, "Rscript", "train.R", **off)).environment.packages["first"] == "1.0"


def test_where_everything_is_installed_here_nothing_is_built(found: Found, library: Path, tmp_path: Path) -> None:
    built = r.rebuild(rebuild_request(found, tmp_path, "Rscript", "train.R", R_LIBS=str(library)))
    assert not (tmp_path / "built").exists()
    assert "its libraries are used" in built.warnings[0].message
    assert run(built, tmp_path, R_LIBS=str(library)) == "first 1.0 second 0.5-1 \n"


def run(built: Rebuilt, tmp_path: Path, **more: str) -> str:
    given = {**more, **built.variables}
    return output(replace(built, variables=given), tmp_path / "workspace")


def test_packages_come_back_in_their_versions_from_a_repository_and_its_archive(
    found: Found, library: Path, repository: Path, tmp_path: Path
) -> None:
    shutil.rmtree(library)
    with served(repository) as url:
        write(tmp_path / "project", {"renv.lock": renv_lock(url)})
        source_lock = replace(read_lock(found.lock), renv=renv_lock(url))
        from mltrack.environments.r.lock import write_lock

        kept = replace(found, lock=write_lock(source_lock))
        asked = rebuild_request(kept, tmp_path, "Rscript", "train.R")
        built = r.rebuild(asked)
        assert run(built, tmp_path) == "first 1.0 second 0.5-1 \n"
        again = r.capture(
            replace(
                request(tmp_path, *built.argv),
                variables={**os.environ, **{k: v for k, v in built.variables.items() if v}},
            )
        )
        assert again.environment.digest == found.environment.digest
    assert r.rebuild(asked).argv == built.argv  # the repository has gone: what was built is used again
    other = rebuild_request(kept, tmp_path, "/old/place/bin/Rscript", "train.R")
    assert Path(r.rebuild(other).argv[0]).exists()


def test_a_package_that_no_repository_has_fails_with_rs_own_words(found: Found, library: Path, tmp_path: Path) -> None:
    from mltrack.environments.r.lock import write_lock

    shutil.rmtree(library)
    (tmp_path / "empty").mkdir()
    with served(tmp_path / "empty") as url:
        kept = replace(found, lock=write_lock(replace(read_lock(found.lock), renv=renv_lock(url))))
        with pytest.raises(EnvironmentFailed, match="R failed with exit code") as caught:
            r.rebuild(rebuild_request(kept, tmp_path, "Rscript", "train.R"))
        assert "first 1.0 is in none of" in (caught.value.hint or "")
        problems = {item.name: item.problem for item in r.check(rebuild_request(kept, tmp_path).recorded)}
        assert "404" in (problems["first 1.0"] or "")


def test_checking_looks_into_libraries_repository_and_archive(
    found: Found, library: Path, repository: Path, tmp_path: Path
) -> None:
    from mltrack.environments.r.lock import write_lock

    with served(repository) as url:
        kept = replace(found, lock=write_lock(replace(read_lock(found.lock), renv=renv_lock(url))))
        away = r.check(rebuild_request(kept, tmp_path).recorded)
        assert [(item.problem, item.place) for item in away[1:] if item.name[:5] in ("first", "secon")] == [
            (None, url)
        ] * 2
    here = r.check(rebuild_request(kept, tmp_path, R_LIBS=str(library)).recorded)
    assert all(item.problem is None and item.place == "this machine" for item in here)


def test_renv_is_what_restores_where_it_is_installed(
    found: Found, library: Path, repository: Path, tmp_path: Path
) -> None:
    """This `renv` is a stand-in: an R package that notes what it is asked, and installs as it is told by a file."""
    shutil.copytree(library, tmp_path / "copy")
    shutil.rmtree(library)
    code = f"""restore <- function(project, library, lockfile, packages, prompt) {{
  stopifnot(identical(prompt, FALSE), any(grepl("first", readLines(lockfile))))
  file.copy(file.path("{tmp_path}/copy", packages), library, recursive = TRUE)
}}
"""
    description = "Package: renv\nVersion: 1.0.7\nTitle: A Test\nDescription: A stand-in.\nLicense: MIT\n"
    folder = tmp_path / "unpacked"
    write(folder / "renv", {"DESCRIPTION": description, "NAMESPACE": "export(restore)\n", "R/restore.R": code})
    install(tmp_path / "tools", folder / "renv")
    built = r.rebuild(rebuild_request(found, tmp_path, "Rscript", "train.R", R_LIBS=str(tmp_path / "tools")))
    assert run(built, tmp_path) == "first 1.0 second 0.5-1 \n"


def test_a_script_that_names_an_r_that_is_not_here_is_started_by_the_one_that_is(
    found: Found, library: Path, tmp_path: Path
) -> None:
    asked = rebuild_request(found, tmp_path, "./train.R", R_LIBS=str(library))
    (asked.workspace / "train.R").write_text(f"#!/opt/old/bin/Rscript\n{SCRIPT}")
    (asked.workspace / "train.R").chmod(0o755)
    assert run(r.rebuild(asked), tmp_path, R_LIBS=str(library)) == "first 1.0 second 0.5-1 \n"


def test_an_export_is_an_renv_lock(found: Found, tmp_path: Path) -> None:
    from mltrack.environments.r.lock import pinned

    text = r.export(rebuild_request(found, tmp_path).recorded, "renv")
    assert pinned(text)["first"] == "1.0"


def test_without_r_the_error_says_how_to_get_it(found: Found, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="R is not on this machine"):
        r.rebuild(rebuild_request(found, tmp_path, "Rscript", "train.R", PATH="/nowhere"))
    assert r.check(rebuild_request(found, tmp_path, PATH="/nowhere").recorded)[0].problem


def test_an_r_that_does_not_work_is_an_error_of_ours(tmp_path: Path) -> None:
    write(tmp_path, {"bin/Rscript": "#!/bin/sh\necho broken >&2; exit 1\n"})
    (tmp_path / "bin/Rscript").chmod(0o755)
    with pytest.raises(EnvironmentFailed, match="broken"):
        r.capture(request(tmp_path, tmp_path / "bin/Rscript", "x.R"))


@pytest.mark.parametrize(
    "change", [{"packages": 3}, {"r": "4; rm"}, {"evil": 1}, {"renv": []}, {"packages": [{"name": "a/b"}]}]
)
def test_a_strange_lock_is_refused(found: Found, tmp_path: Path, change: dict[str, object]) -> None:
    table = {**json.loads(found.lock or b""), **change}
    text = (json.dumps(table, sort_keys=True, indent=1) + "\n").encode()
    with pytest.raises(Damaged):
        read_lock(text)

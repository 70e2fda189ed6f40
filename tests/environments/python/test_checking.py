from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments import Finding, Found, python
from mltrack.environments.python import availability
from mltrack.environments.python.distributions import Distribution
from mltrack.environments.python.lock import Lock
from mltrack.errors import EnvironmentFailed
from tests.environments.index import Index, serve_index
from tests.environments.making import pip_install, variables, venv, wheel
from tests.environments.python.rebuilding import asked_for, captured, changed, settings, with_lock
from tests.environments.python.test_kind import PROJECT, make_project
from tests.helpers import git, git_repository


@pytest.fixture
def index(wheels: Path) -> Iterator[Index]:
    with serve_index(wheels) as served:
        yield served


@pytest.fixture
def found(tmp_path: Path, env: Path, index: Index) -> Found:
    return captured(tmp_path, env, index)


def check(found: Found, tmp_path: Path, index: Index | None, change: object = None, **more: str) -> dict[str, Finding]:
    """The findings by name, of what was captured or of another lock."""
    asked = asked_for(found, tmp_path, index=index, **more)
    if change is not None:
        asked = with_lock(asked, change)  # type: ignore[arg-type]
    return {finding.name: finding for finding in python.check(asked.recorded)}


def problems(findings: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.problem for name, finding in findings.items() if finding.problem is not None}


def test_everything_is_found(tmp_path: Path, found: Found, env: Path, index: Index) -> None:
    findings = check(found, tmp_path, index)
    version = found.environment.python
    assert list(findings) == [f"Python {version}", "alpha 1.0", "beta 0.5"]
    assert problems(findings) == {}
    assert findings["alpha 1.0"].place == index.url
    assert findings[f"Python {version}"].place == str(env.resolve())


def test_a_removed_package_is_named(tmp_path: Path, found: Found, index: Index) -> None:
    index.removed.add("beta")
    findings = check(found, tmp_path, index)
    assert problems(findings) == {"beta 0.5": "Gone: no index that is configured here knows it."}
    index.removed = {"beta", "alpha-1.0-py3-none-any.whl"}
    assert problems(check(found, tmp_path, index)) == {
        "alpha 1.0": "Gone: no index that is configured here has this version.",
        "beta 0.5": "Gone: no index that is configured here knows it.",
    }


def test_nothing_is_downloaded(tmp_path: Path, env: Path, found: Found, index: Index) -> None:
    """But for the metadata, which this index has in the wheels alone: uv reads these at the end of small files."""
    index.asked.clear()
    check(found, tmp_path, index)
    assert {path for path in index.asked if path.startswith("/simple/")} == {"/simple/alpha/", "/simple/beta/"}
    assert not (tmp_path / "built").exists()


def test_many_missing_ones_take_few_questions(
    tmp_path: Path, found: Found, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is missing is named at a time; a hundred in a row would take minutes."""
    rounds: list[int] = []
    real = availability.halves
    monkeypatch.setattr(availability, "halves", lambda names, parts: rounds.append(1) or real(names, parts))
    gone = tuple(Distribution(f"gone-{number:02}", "1", "index") for number in range(12))

    def change(lock: Lock) -> Lock:
        return replace(lock, distributions=(*lock.distributions, *gone))

    findings = check(found, tmp_path, index, change)
    assert len(problems(findings)) == 12
    assert findings["alpha 1.0"].problem is None
    assert len(rounds) <= 6


def test_a_replaced_file_is_told(tmp_path: Path, found: Found, index: Index) -> None:
    other = wheel(tmp_path / "other", "alpha", "1.0", {"more": "main"})
    index.replaced["alpha-1.0-py3-none-any.whl"] = other.read_bytes()
    findings = check(found, tmp_path, index)
    assert "replaced" in problems(findings)["alpha 1.0"]


def test_a_yanked_version_can_be_had_and_that_is_said(tmp_path: Path, found: Found, index: Index) -> None:
    index.yanked["alpha-1.0-py3-none-any.whl"] = "it eats data"
    finding = check(found, tmp_path, index)["alpha 1.0"]
    assert finding.problem is None
    assert finding.place == f"{index.url}, yanked: it eats data"


def test_the_index_that_the_lock_names_is_asked_too(tmp_path: Path, wheels: Path, found: Found, index: Index) -> None:
    with serve_index(tmp_path / "other files") as other:
        shutil.copy(wheels / "alpha-1.0-py3-none-any.whl", other.files)
        index.removed.add("alpha")

        def move(lock: Lock) -> Lock:
            moved = [replace(one, index=(other if one.name == "alpha" else index).url) for one in lock.distributions]
            return replace(lock, distributions=tuple(moved))

        findings = check(found, tmp_path, index, move)
        assert problems(findings) == {}
        assert findings["alpha 1.0"].place == other.url


def test_an_index_that_does_not_answer_is_named_and_nothing_is_called_gone(
    tmp_path: Path, found: Found, index: Index
) -> None:
    index.failures = 1000
    findings = check(found, tmp_path, index)
    assert "500" in (findings[index.url].problem or "")
    assert findings["alpha 1.0"].problem == "Not known: no index could be asked."
    away = check(found, tmp_path, None, UV_DEFAULT_INDEX="http://127.0.0.1:9/simple/", UV_NO_INDEX="")
    assert "refused" in (away["http://127.0.0.1:9/simple/"].problem or "")


def test_an_index_that_wants_a_password_is_named(tmp_path: Path, found: Found, index: Index) -> None:
    index.users["me"] = "s3cret-pass-word"
    findings = check(found, tmp_path, index)
    assert findings[index.url].problem == "It wants credentials that are not known here, or refuses them."
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret-pass-word\n")
    assert problems(check(found, tmp_path, index, NETRC=str(tmp_path / "netrc"))) == {}


def test_what_was_stored_is_not_asked_for(tmp_path: Path, wheels: Path, index: Index) -> None:
    made = venv(tmp_path / "venv")
    pip_install(made, str(wheels / "alpha-1.0-py3-none-any.whl"))
    index.removed.add("alpha")
    found = captured(tmp_path, made, index)
    index.asked.clear()
    assert check(found, tmp_path, index)["alpha 1.0"] == Finding("alpha 1.0", None, "stored")
    assert index.asked == []

    def elsewhere(lock: Lock) -> Lock:
        (one,) = lock.distributions
        return replace(lock, platform="win32-AMD64", distributions=(replace(one, stored="alpha-1.0-cp36-x-win32.whl"),))

    findings = check(found, tmp_path, index, elsewhere)
    assert problems(findings)["alpha 1.0"] == "Its stored wheel is for win32-AMD64."
    assert "another platform" in problems(findings)["win32-AMD64"]


def test_what_fits_no_interpreter_here_is_told(tmp_path: Path, index: Index, wheels: Path, found: Found) -> None:
    with serve_index(tmp_path / "house") as other:
        for name in ("alpha-1.0", "beta-0.5"):
            shutil.copy(wheels / f"{name}-py3-none-any.whl", other.files / f"{name}-cp36-cp36m-win_amd64.whl")
        index.removed = {"alpha", "beta"}
        text = problems(check(found, tmp_path, other))["alpha 1.0"]
    assert text.startswith("It has no wheels with a matching Python ABI tag")


def test_a_distribution_that_is_only_there_as_source_is_found(tmp_path: Path, found: Found, index: Index) -> None:
    import io
    import tarfile

    with serve_index(tmp_path / "sdists") as other:
        with tarfile.open(other.files / "alpha-1.0.tar.gz", "w:gz") as archive:
            info = tarfile.TarInfo("alpha-1.0/setup.py")
            body = b"raise SystemExit('must not be run')"
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
        findings = check(found, tmp_path, other)
    assert findings["alpha 1.0"].problem is None
    assert findings["alpha 1.0"].place == "the index, as source that must be built"


def test_what_was_not_kept_is_told(tmp_path: Path, found: Found, index: Index) -> None:
    def change(lock: Lock) -> Lock:
        more = (
            Distribution("by-path", "1", "path"),
            Distribution("elsewhere", "1", "outside"),
            Distribution("kept", "1", "outside", tree="kept"),
            Distribution("mine", "", "project", place="."),
            Distribution("strange", "unknown", "index"),
        )
        return replace(lock, distributions=more)

    findings = check(found, tmp_path, index, change)
    assert set(problems(findings)) == {"by-path 1", "elsewhere 1", "strange unknown"}
    assert (findings["kept 1"].place, findings["mine"].place) == ("stored", "the run's own code")


def test_another_interpreter_is_told(tmp_path: Path, found: Found, index: Index) -> None:
    minor = (found.environment.python or "").rpartition(".")[0]
    near = check(found, tmp_path, index, lambda lock: replace(lock, python=f"{minor}.99"))
    assert "would be used" in problems(near)[f"Python {minor}.99"]
    none = check(found, tmp_path, index, lambda lock: replace(lock, python="3.99.1"))
    assert "uv python install 3.99.1" in problems(none)["Python 3.99.1"]
    assert none["alpha 1.0"].place == index.url


def test_an_archive_is_looked_for_at_its_url(tmp_path: Path, index: Index, wheels: Path) -> None:
    made = venv(tmp_path / "venv")
    url = index.url.replace("/simple/", "/files/alpha-1.0-py3-none-any.whl")
    pip_install(made, f"alpha @ {url}")
    found = captured(tmp_path, made, index)
    assert check(found, tmp_path, index)["alpha 1.0"] == Finding("alpha 1.0", None, url)
    gone = url.replace("alpha-1.0", "alpha-9.0")

    def move(lock: Lock) -> Lock:
        return replace(lock, distributions=tuple(replace(one, url=gone) for one in lock.distributions))

    assert problems(check(found, tmp_path, index, move))["alpha 1.0"] == "Its URL answers 404 Not Found."
    index.users["me"] = "secret"
    assert "401" in problems(check(found, tmp_path, index))["alpha 1.0"]
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert problems(check(found, tmp_path, index, NETRC=str(tmp_path / "netrc"))) == {}


def test_a_commit_is_looked_for_in_its_repository(tmp_path: Path, index: Index) -> None:
    """At the tip of a branch, behind it, and nowhere; served by git itself over a URL of this machine."""
    from mltrack.environments.python.addresses import look_at_repository

    source = git_repository(tmp_path / "source", PROJECT)
    first = git(source, "rev-parse", "HEAD").decode().strip()
    git(source, "commit", "-q", "--allow-empty", "-m", "more")
    tip = git(source, "rev-parse", "HEAD").decode().strip()
    git(source, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(source, "config", "uploadpack.allowFilter", "true")
    given = variables()
    assert look_at_repository(f"git+file://{source}@{tip}", given) is None
    assert look_at_repository(f"git+file://{source}@{first}#subdirectory=x", given) is None
    text = look_at_repository(f"git+file://{source}@{'0' * 40}", given)
    assert text == "Its repository does not give commit 000000000000."
    shutil.rmtree(source)
    assert "cannot be read" in (look_at_repository(f"git+file://{source}@{tip}", given) or "")


def test_a_project_is_its_own_code(tmp_path: Path, index: Index) -> None:
    made = venv(tmp_path / "venv", "--editable", str(make_project(tmp_path / "project")))
    assert check(captured(tmp_path, made, index), tmp_path, index)["proj"].place == "the run's own code"


def test_an_environment_without_a_lock_cannot_be_checked(tmp_path: Path, found: Found) -> None:
    with pytest.raises(EnvironmentFailed, match="no lock"):
        python.check(changed(asked_for(found, tmp_path), lock=None).recorded)


def test_settings_of_pip_count(tmp_path: Path, found: Found, index: Index) -> None:
    asked = asked_for(found, tmp_path)
    given = variables(PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=index.url)
    findings = python.check(changed(asked, variables=given).recorded)
    assert [finding.problem for finding in findings] == [None, None, None]
    assert settings(index)["UV_DEFAULT_INDEX"] == index.url

"""What `reproduce --plan` finds out, and what it would be without: on made records, with nothing run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.operations.fetch import ensure_here
from mltrack.operations.outside.places import Outside, Way
from mltrack.operations.repeating.plan import Foretelling, Foretold, foretell
from mltrack.operations.repeating.repetition import needed
from mltrack.operations.request import silent
from mltrack.operations.share import clone_records
from mltrack.project import Project
from mltrack.records import CodeState, Concern, Environment, Input, Preflight, Run
from mltrack.store.keep import keep_path
from tests.helpers import git_repository, write
from tests.operations.keeping import Keeping, flip


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    git_repository(tmp_path / "project")
    return Keeping(tmp_path / "project")


def made(keeping: Keeping, **changes: object) -> Run:
    with keeping.open() as project:
        return keeping.run_in(project, {}, None, **{"environment": Environment(kind="system"), **changes})


def plan_of(keeping: Keeping, run: Run, into: Path | None = None) -> Foretold:
    return foretell(Foretelling(run.id, keeping.root, into=into))


def test_all_that_is_needed_is_there(keeping: Keeping) -> None:
    found = plan_of(keeping, made(keeping))
    assert (found.answer, found.missing, found.obstacles, found.conditions, found.secrets) == ("yes", (), (), (), ())


def test_what_came_through_a_pipe_would_not_be_there(keeping: Keeping) -> None:
    concern = Concern("stdin", "C", "Standard input is a pipe.", "Write it to a file.")
    found = plan_of(keeping, made(keeping, preflight=Preflight("C", (concern,))))
    assert found.answer == "yes, but" and "standard input" in found.conditions[0]


def test_a_secret_variable_must_be_set_here(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"HF_ENDPOINT": "https://<redacted>@hub.example.org", "OMP_NUM_THREADS": "1"}
    options = {"env": {"API_TOKEN": None, "PLAIN": "text"}}
    run = made(keeping, environment=Environment(kind="system", variables=variables, options=options))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.delenv("API_TOKEN", raising=False)
    found = plan_of(keeping, run)
    assert found.answer == "yes, but"
    assert [text.split(" ")[2] for text in found.secrets] == ["API_TOKEN", "HF_ENDPOINT"]
    monkeypatch.setenv("API_TOKEN", "x")
    monkeypatch.setenv("HF_ENDPOINT", "y")
    assert plan_of(keeping, run).answer == "yes"


def test_what_is_damaged_here_is_as_good_as_missing(keeping: Keeping) -> None:
    run = made(keeping)
    (pack,) = [pack for pack in keeping.packs() if b"PACK of the code" in pack.read_bytes()]
    flip(pack, b"PACK of the code")
    found = plan_of(keeping, run)
    assert found.answer == "no" and "(code)" in found.missing[0]


def test_a_directory_that_is_not_empty_stands_against_it(keeping: Keeping, tmp_path: Path) -> None:
    run = made(keeping)
    (tmp_path / "into").mkdir()
    assert plan_of(keeping, run, tmp_path / "into").answer == "yes"
    write(tmp_path / "into", {"mine": "x"})
    found = plan_of(keeping, run, tmp_path / "into")
    assert (found.answer, found.missing) == ("no", ()) and "is not an empty directory" in found.obstacles[0]


@pytest.fixture
def clone(keeping: Keeping, tmp_path: Path) -> Iterator[tuple[Project, Run]]:
    """Another project that has the record of a run, and nothing of its data, which lies at its place beside it."""
    write(tmp_path / "data", {"train.csv": "1,2\n", "set/a": "a"})
    with keeping.open() as project:
        inputs = []
        for name in ("train.csv", "set"):
            place = tmp_path / "data" / name
            kept = keep_path(place, project.store)
            inputs.append(Input(str(place), kept.kind, kept.digest, kept.size_bytes, kept.files, kept=True))
        origin = {"replica": project.ledger.replica, "root": str(keeping.root), "home": str(tmp_path)}
        changes = {"code": CodeState(), "environment": Environment(kind="system"), "origin": origin}
        run = keeping.run_in(project, {}, None, inputs=tuple(inputs), **changes)
    keeping.push_to(tmp_path / "remote")
    with clone_records(str(tmp_path / "remote"), tmp_path / "second", silent) as second:
        yield second, run


def test_data_at_its_place_is_not_to_be_fetched(clone: tuple[Project, Run], tmp_path: Path) -> None:
    """Though the command might look for it beside the workspace too, where it is not."""
    project, run = clone
    found = foretell(Foretelling(run.id, project.root))
    assert [item.way for item in found.inputs] == ["there", "there"]
    assert (found.fetch_objects, found.fetch_bytes, found.missing) == (0, 0, ())
    (tmp_path / "data" / "train.csv").write_text("1,3\n")
    assert foretell(Foretelling(run.id, project.root)).fetch_objects == 1


def test_data_at_its_place_needs_no_remote(clone: tuple[Project, Run], tmp_path: Path) -> None:
    project, run = clone
    (tmp_path / "remote").rename(tmp_path / "gone")
    outside = Outside(project, run, Way(project.work / "outside-x", project.work / "again"), silent)
    there = outside.already_there()
    assert there == set(), "the command may look in other places too"
    outside.take_in(there)
    ensure_here(project, needed(run, there))
    assert project.store.missing(str(item.digest) for item in run.inputs) == set()

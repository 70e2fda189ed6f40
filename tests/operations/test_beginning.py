"""A repetition begins: from which remote, of which run, in which directory; and what failed leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltrack.config import CHECKOUT_FILE
from mltrack.errors import CheckFailed, DataMissing, MltrackError, NotFound, UsageError
from mltrack.operations.fetch import bring
from mltrack.operations.judging.judging import of_ancestor
from mltrack.operations.repeating.beginning import begin, to_repeat
from mltrack.operations.repeating.reproduce import reproduce
from mltrack.operations.request import silent
from mltrack.operations.share import push
from mltrack.records import Parent, Run, new_id
from mltrack.redact import PLACEHOLDER
from tests.operations.keeping import Keeping


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def first(tmp_path: Path, place: Path) -> Run:
    keeping = Keeping(tmp_path / "first")
    run = keeping.run({"a": b"1"}, {"x": b"2"}, name="best")
    keeping.push_to(place)
    return run


def test_a_remote_that_is_named_for_one_command_does_not_become_one_of_the_projects(
    first: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Keeping(tmp_path / "other")
    monkeypatch.chdir(other.root)
    project, run, _ = begin("best", other.root, "../remote", None, silent)
    with project:
        assert run.id == first.id
        bring(project, [first.artifacts[0].digest])
        assert not project.store.missing([first.artifacts[0].digest])
    with other.open() as project:
        assert not project.config.remotes and not (project.state / CHECKOUT_FILE).exists()
        with pytest.raises(NotFound, match="no remote"):
            push(project)


def test_a_url_that_is_wrong_leaves_no_trace(tmp_path: Path) -> None:
    other, wrong = Keeping(tmp_path / "other"), tmp_path / "wrong"
    with pytest.raises(MltrackError):
        begin("best", other.root, str(wrong), None, silent)
    with other.open() as project:
        assert not project.config.remotes and not wrong.exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_what_fails_in_a_directory_of_its_own_leaves_it_as_it_was(
    first: Run, place: Path, tmp_path: Path, is_there: bool
) -> None:
    secret = Keeping(tmp_path / "first").run({}, command=("a", PLACEHOLDER))
    Keeping(tmp_path / "first").push_to(place)
    lose_objects(place)
    fresh, top = tmp_path / "fresh", tmp_path / "fresh" / "there"
    (top if is_there else fresh).mkdir(parents=True)
    for ref, error in (("nobody", NotFound), (secret.id, CheckFailed), (first.id, DataMissing)):
        for _ in range(2):
            with pytest.raises(error):
                reproduce(ref, fresh, str(place), top)
            assert list(fresh.rglob("*")) == ([top] if is_there else [])


def test_a_project_that_was_there_is_never_taken_for_a_clone_that_came_to_nothing(
    first: Run, place: Path, tmp_path: Path
) -> None:
    kept = Keeping(tmp_path / "kept" / "mine")
    run = kept.run({"a": b"3"})
    for into in (kept.root, tmp_path / "kept"):
        with pytest.raises(UsageError, match="not an empty directory"):
            begin("best", tmp_path, str(place), into, silent)
    with pytest.raises(MltrackError):
        reproduce("nobody", kept.root, str(place), kept.root)
    with kept.open() as project:
        assert run.id in project.ledger.ids() and not project.config.remotes


def test_what_only_repeats_a_run_is_not_taken_for_it_unless_its_id_is_named(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path / "project")
    run = keeping.run({"a": b"1"}, name="exp", created_at="2026-11-21T01:00:00.000000Z")
    again = keeping.run({"a": b"2"}, name="exp", parent=Parent("reproduce", run.id))
    once_more = keeping.run({}, parent=Parent("reproduce", again.id), created_at="2026-11-22T01:00:00.000000Z")
    rerun = keeping.run({}, parent=Parent("rerun", run.id), created_at="2026-11-20T01:00:00.000000Z", name="other")
    lost = keeping.run({}, parent=Parent("calibrate", new_id()), name="lost")
    told: list[str] = []
    with keeping.open() as project:
        refs = ("exp", "@", again.id, once_more.id[:10], "other", "lost")
        found = [to_repeat(project, ref, told.append).id for ref in refs]
        project.ledger.add_event("verdict", again.id, {"grade": "different", "of": run.id})
        remarks = of_ancestor(project.ledger.get(again.id))
    assert found == [run.id, run.id, again.id, once_more.id, rerun.id, lost.id]
    assert told == [
        f"exp is {again.id}, a repetition of {run.id}: that is taken",
        f"@ is {once_more.id}, a repetition of {run.id}: that is taken",
    ]
    assert remarks == [f"{again.id} is itself a reproduction of {run.id} (different)."]
    assert of_ancestor(run) == of_ancestor(rerun) == []


def test_what_is_missing_is_named_by_what_it_is_to_the_run(first: Run, place: Path, tmp_path: Path) -> None:
    other = Keeping(tmp_path / "other")
    lose_objects(place)
    with pytest.raises(DataMissing) as caught:
        reproduce("best", other.root, str(place))
    assert caught.value.message == f"Of {first.id}, this is neither here nor on a remote: code, input data."
    hint = caught.value.hint or ""
    assert f"mltrack push {first.id}" in hint and "the remote --from does not have all of them" in hint
    assert "b3:" not in hint


def lose_objects(place: Path) -> None:
    for kind in ("packs", "indexes"):
        for one in (place / kind).rglob("*"):
            if one.is_file():
                one.unlink()

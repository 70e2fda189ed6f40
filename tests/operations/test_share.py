"""The verbs of the road: what remotes have, what would be moved, what is wrong there and what goes there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mltrack.errors import NotFound
from mltrack.operations.share import (
    RemoteGcRequest,
    add_remote,
    gc_remote,
    plan_pull,
    plan_push,
    pull,
    push,
    remotes,
    verify_remote,
)
from tests.operations.keeping import Keeping, flip


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path / "project")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "remote"


def other(tmp_path: Path, place: Path) -> Keeping:
    made = Keeping(tmp_path / "other")
    with made.open() as project:
        add_remote(project, "origin", str(place))
    return made


def test_a_plan_says_what_a_push_then_does(keeping: Keeping, place: Path) -> None:
    keeping.run({"a": os.urandom(5000)}, {"x": b"1"})
    with keeping.open() as project:
        add_remote(project, "origin", str(place))
        plan = plan_push(project)
        assert not place.exists()
        moved = push(project)
        assert (plan.runs, plan.objects, plan.lacking) == (moved.records, moved.objects, 0)
        assert 0 < plan.bytes <= moved.bytes and plan.packs == 1
        again = plan_push(project)
        assert (again.runs, again.objects, again.bytes) == (0, 0, 0)


def test_a_plan_says_what_a_pull_then_does(keeping: Keeping, place: Path, tmp_path: Path) -> None:
    run = keeping.run({"a": os.urandom(3 << 20)}, {"x": b"1", "y": os.urandom(3000)})
    keeping.push_to(place)
    with other(tmp_path, place).open() as project:
        plan = plan_pull(project, data=True)
        assert project.ledger.ids() == set() and plan.runs == 1
        moved = pull(project, data=True)
        assert (plan.objects, plan.lacking) == (moved.objects, 0) and plan.bytes <= moved.bytes
        assert project.ledger.ids() == {run.id}
        again = plan_pull(project, data=True)
        assert (again.runs, again.objects, again.bytes) == (0, 0, 0)


def test_a_row_says_what_a_remote_has_or_why_not(keeping: Keeping, place: Path, tmp_path: Path) -> None:
    keeping.run({"a": os.urandom(5000)})
    keeping.push_to(place)
    with keeping.open() as project:
        add_remote(project, "gone", str(tmp_path / "not" / "there"))
        rows = {row.name: row for row in remotes(project)}
        assert (rows["origin"].runs, rows["origin"].replicas, rows["origin"].error) == (1, 1, None)
        assert (rows["origin"].size_bytes or 0) > 5000 and (rows["origin"].last_push_at or "").startswith("20")
        assert rows["gone"].error and rows["gone"].runs is None
        assert all(row.runs is None and row.error is None for row in remotes(project, look=False))
        remote = project.remote("origin")
        from mltrack.sync.planning import overview

        overview(remote, project.ledger)
        assert remote.requests <= 5


def test_damage_on_a_remote_is_told_with_where_a_good_copy_is_and_repaired(
    keeping: Keeping, place: Path, tmp_path: Path
) -> None:
    data = os.urandom(3000)
    run = keeping.run({"model.bin": data})
    keeping.push_to(place)
    shutil.copytree(place, tmp_path / "second")
    with keeping.open() as project:
        add_remote(project, "second", str(tmp_path / "second"))
        (pack,) = (path for path in place.rglob("packs/*/*") if path.is_file())
        flip(pack, data)
        problems = verify_remote(project, "origin")
        touched = next(problem for problem in problems if problem.run)
        assert (touched.run, touched.path) == (run.id, "model.bin")
        assert touched.copies == ("the store here", "remote second") and not touched.repaired
        assert all(problem.repaired for problem in verify_remote(project, "origin", repair=True))
    with other(tmp_path, place).open() as project:
        assert pull(project, data=True).records == 1
        assert project.store.get_bytes(run.artifacts[0].digest) == data


def test_what_nobody_has_stays_unrepaired(keeping: Keeping, place: Path, tmp_path: Path) -> None:
    data = os.urandom(3000)
    keeping.run({"model.bin": data})
    keeping.push_to(place)
    (pack,) = (path for path in place.rglob("packs/*/*") if path.is_file())
    flip(pack, data)
    with other(tmp_path, place).open() as project:
        problems = verify_remote(project, "origin", repair=True)
        assert any(problem.path == "model.bin" and not problem.repaired for problem in problems)


def test_data_let_go_by_name_goes_for_every_checkout(keeping: Keeping, place: Path, tmp_path: Path) -> None:
    keep, drop = keeping.run({"a": b"keep"}), keeping.run({"a": os.urandom(9000)})
    keeping.push_to(place)
    with keeping.open() as project:
        dry = gc_remote(project, RemoteGcRequest(grace_s=0.0, drop=(drop.id,)))
        assert dry.condemned and not project.ledger.dropped_ids()
        gc_remote(project, RemoteGcRequest(grace_s=0.0, drop=(drop.id,), apply=True))
    with other(tmp_path, place).open() as project:
        assert gc_remote(project, RemoteGcRequest(grace_s=0.0, apply=True)).removed
        assert verify_remote(project, None) == []
        assert project.ledger.dropped_ids() == {drop.id}
        pull(project, [keep.id], data=True)
        assert project.store.get_bytes(keep.artifacts[0].digest) == b"keep"
        with pytest.raises(NotFound):
            gc_remote(project, RemoteGcRequest(drop=("nobody",)))

"""`ls --best`: a run that did not finish is not the best, however good its numbers are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.ledger.asking.queries import RunQuery
from mltrack.operations.seeing.best_first import best_documents, best_runs, tell_unfinished
from mltrack.project import Project
from tests.views import nasty

BEST = RunQuery(sort="-metrics.acc", brief=True)
MADE = (
    ("good", 0.9, "finished"),
    ("broken", 0.99, "failed"),
    ("lost", 0.1, "lost"),
    ("weak", 0.5, "finished"),
    ("nan", "NaN", "finished"),
    ("other", None, "finished"),
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(tmp_path) as project:
        some = [
            nasty.run(place, name=name, status=status, metrics={} if acc is None else {"acc": nasty.metric(acc)})
            for place, (name, acc, status) in enumerate(MADE)
        ]
        nasty.put(project, some)
        yield project


def told(project: Project, query: RunQuery) -> list[str]:
    said: list[str] = []
    tell_unfinished(project, query, said.append)
    return said


def test_runs_that_finished_and_have_a_value_come_first_then_the_others_in_the_same_order(project: Project) -> None:
    found = [run.name for run in best_runs(project, BEST)]
    assert found[:4] == ["good", "weak", "broken", "lost"] and set(found[4:]) == {"nan", "other"}
    assert [one["name"] for one in best_documents(project, replace(BEST, sort="metrics.acc"))][:2] == ["weak", "good"]
    for limit in range(1, 7):
        some = [one["name"] for one in best_documents(project, replace(BEST, limit=limit))]
        assert some == [run.name for run in best_runs(project, replace(BEST, limit=limit))] == found[:limit]


def test_a_better_run_that_did_not_finish_is_told_and_that_none_did(project: Project) -> None:
    from mltrack.ledger.language.parser import parse

    (said,) = told(project, BEST)
    assert said.endswith("(failed) is better in acc (0.99), but did not finish: it is not the best")
    (said,) = told(project, replace(BEST, where=parse("status != finished")))
    assert said == "no run that has acc finished: the first is the best of those that did not"
    assert told(project, replace(BEST, where=parse("name != broken"))) == []

"""Which runs are compared, against which, and what else is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.errors import NotFound
from mltrack.noun_json import to_dict
from mltrack.operations.seeing.comparison import NEWEST, compare
from mltrack.operations.seeing.selection import Choice
from mltrack.project import Project
from mltrack.records import Environment, Parent
from mltrack.verdicts import Calibration, Spread
from tests.views import nasty


def run(number: int, **changes: object) -> nasty.Run:
    made = nasty.run(number, created_at=f"2026-11-{number:02d}T01:02:03.000000Z", **changes)
    packages = {"numpy": "2.1" if number < 4 else "2.2"}
    return replace(made, environment=Environment(f"b3:{number // 4}", "python", "3.11", packages=packages))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(tmp_path) as project:
        nasty.put(project, [run(one, name=f"run-{one}", metrics={"gap": nasty.metric(one)}) for one in range(1, 8)])
        yield project


def names(project: Project, choice: Choice, against: str | None = None) -> list[str | None]:
    return [one.name for one in compare(project, choice, against, print).runs]


def test_without_any_word_the_newest_are_compared_and_that_is_said(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(project, Choice()) == [f"run-{one}" for one in range(8 - NEWEST, 8)]
    assert "these are 5 of the runs" in capsys.readouterr().out
    assert len(names(project, Choice(limit=6))) == 6
    assert capsys.readouterr().out == ""


def test_the_baseline_is_the_first_or_the_run_that_is_named(project: Project) -> None:
    chosen = Choice(("run-1", "run-2"))
    assert compare(project, chosen, None, print).baseline == 0
    assert compare(project, chosen, "run-2", print).baseline == 1
    assert names(project, chosen, "run-5") == ["run-5", "run-1", "run-2"]
    with pytest.raises(NotFound):
        compare(project, chosen, "run-99", print)


def test_runs_of_a_query_are_told_from_the_oldest_on_and_the_baseline_first(project: Project) -> None:
    asked = Choice(where="metrics.gap >= 4")
    assert names(project, asked) == ["run-4", "run-5", "run-6", "run-7"]
    assert names(project, replace(asked, sort="-created_at", limit=2)) == ["run-7", "run-6"]
    project.ledger.add_event("tag", nasty.run_id(6), "baseline")
    assert names(project, asked) == ["run-6", "run-4", "run-5", "run-7"]
    assert compare(project, asked, "run-5", print).baseline == 2
    assert names(project, Choice(("run-7", "run-4"))) == ["run-7", "run-4"]
    assert names(project, Choice(("run-7", "metrics.gap in (5, 6)"))) == ["run-7", "run-5", "run-6"]


def test_packages_are_compared_however_the_runs_were_chosen(project: Project) -> None:
    for chosen in (
        Choice(("run-1", "run-7")),
        Choice(where="name in (run-1, run-7)"),
        Choice(("run-1", "name = run-7")),
    ):
        found = {row.name: row.values for row in compare(project, chosen, "run-1", print).differing}
        assert set(found["packages.numpy"]) == {"2.1", "2.2"}


def test_goals_of_the_settings_say_which_is_better(project: Project) -> None:
    (project.root / "mltrack.yaml").write_text("goals: {gap: min}\n")
    found = compare(project, Choice(("run-3", "run-2")), None, print)
    row = next(one for one in found.rows if one.field == "metrics.gap")
    assert (row.goal, row.best, row.worst) == ("min", (1,), (0,))


def test_a_change_within_the_noise_of_a_calibration_is_known_also_of_a_run_that_repeats_the_calibrated_one(
    project: Project,
) -> None:
    one, two = (project.ledger.get(nasty.run_id(number)) for number in (1, 2))
    spread = Spread((1.0, 2.0, 1.5), 1.5, 0.5, 0.0, 3.5)
    known = Calibration("c", one.id, "nothing", ("r",) * 3, (None,) * 3, None, "", 0.95, 0.95, metrics={"gap": spread})
    project.ledger.add_event("calibration", one.id, to_dict(known))
    nasty.put(project, [replace(run(20, metrics={"gap": nasty.metric(3)}), parent=Parent("reproduce", one.id))])
    found = compare(project, Choice(("run-2", nasty.run_id(20), "run-7")), None, print)
    row = next(each for each in found.rows if each.field == "metrics.gap")
    assert {place: noted.is_inside for place, noted in row.noise.items()} == {1: True}
    against = compare(project, Choice((two.id, "run-7")), one.id, print)
    row = next(each for each in against.rows if each.field == "metrics.gap")
    assert [row.noise[place].is_inside for place in (1, 2)] == [True, False]

"""Runs in groups, held against what the standard library says of the same numbers."""

from __future__ import annotations

import math
import os
import random
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.ledger.asking.grouping import Group, GroupMetric
from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.language.fields import FIELDS
from mltrack.noun_json import to_dict
from mltrack.operations.seeing.groups import Best, Grouped, by_tables, grouped, one_valued
from mltrack.operations.seeing.listing import Rows
from mltrack.project import Project
from mltrack.records import Run
from mltrack.views.tables.groups import groups_rows, groups_table, spreads
from mltrack.views.text import cell_width, parse_time
from tests.compare.samples import metric, sample_run
from tests.ledger.questions import random_run
from tests.views.nasty import nasty_runs, put, sweep

NOW = parse_time("2026-11-28T00:00:00Z")
SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def groups(runs: Sequence[Run], *by: str, best: str = "", goals: dict[str, str] | None = None) -> Grouped:
    chosen = Best(one_valued(best.lstrip("-")), best.startswith("-")) if best else None
    return grouped([plain(to_dict(run)) for run in runs], tuple(map(one_valued, by)), goals or {}, chosen)


def made(number: int, status: str, model: Any, acc: Any) -> Run:
    return sample_run(
        id=f"{number:016d}", status=status, params={} if model is None else {"model": model, "seed": number},
        metrics={} if acc is None else {"acc": metric(acc)}, created_at=f"2026-11-{number % 28 + 1:02d}T00:00:00.000000Z",
    )  # fmt: skip


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["finished", "failed", "running"]),
        st.sampled_from([None, "lstm", "1", 1, 1.0, True, "NaN", [1, 2]]),
        st.one_of(st.none(), st.sampled_from(["NaN", "Infinity"]), st.floats(-1e6, 1e6).map(lambda n: round(n, 3))),
    ),
    max_size=25,
)


@settings(max_examples=25 * SOAK, deadline=None)
@given(RUNS)
def test_a_group_counts_its_runs_and_sums_up_the_finished_ones(told: list[tuple[str, Any, Any]]) -> None:
    runs = [made(number, *one) for number, one in enumerate(told)]
    found = groups(runs, "params.model").groups
    assert sum(group.runs for group in found) == len(runs)
    for group in found:
        own = [one for one in told if same(one[1], group.value[0])]
        assert group.runs == len(own) == sum(group.statuses.values())
        values = [one[2] for one in own if one[0] == "finished" and isinstance(one[2], float)]
        if not values:
            assert "acc" not in group.metrics
            continue
        summary = group.metrics["acc"]
        assert summary.count == len(values) and math.isclose(summary.mean or 0, statistics.mean(values), abs_tol=1e-6)
        wanted = statistics.stdev(values) if len(values) > 1 else None
        assert (summary.deviation is None) == (wanted is None)
        assert wanted is None or math.isclose(summary.deviation or 0, wanted, rel_tol=1e-6, abs_tol=1e-6)
        assert summary.best_value == max(values)


def same(value: Any, of_group: Any) -> bool:
    if value == "NaN" or (isinstance(of_group, float) and math.isnan(of_group)):
        return value == "NaN" and isinstance(of_group, float) and math.isnan(of_group)
    if isinstance(value, list):
        return bool(of_group == "[1,2]")
    return isinstance(value, bool) is isinstance(of_group, bool) and bool(value == of_group)


def test_groups_stand_by_their_values_and_those_without_one_last() -> None:
    values = ["b", None, 10, 2, True, "a", "NaN"]
    runs = [made(number, "finished", value, 0.5) for number, value in enumerate(values)]
    found = [group.value[0] for group in groups(runs, "params.model").groups]
    assert found[:5] == [2, 10, True, "a", "b"] and math.isnan(found[5]) and found[6] is None
    versions = [sample_run(id=f"{n:016d}", environment=sample_run().environment) for n in range(1)]
    assert groups(versions, "python").groups[0].value == (versions[0].environment.python,)


def test_with_best_each_group_is_its_best_run_and_the_best_group_is_first() -> None:
    runs = [made(1, "finished", "a", 0.5), made(2, "finished", "a", 0.9), made(3, "failed", "b", 0.99),
            made(4, "finished", "b", 0.7), made(5, "finished", "c", None)]  # fmt: skip
    found = groups(runs, "params.model", best="metrics.acc")
    assert [group.value[0] for group in found.groups] == ["a", "b", "c"]
    assert [one and one.document["id"] for one in found.chosen] == [runs[1].id, runs[3].id, None]
    least = groups(runs, "params.model", best="-metrics.acc")
    assert [one and one.value for one in least.chosen] == [0.5, 0.7, None]
    header, *lines = groups_table(found, now=NOW).render(100, False).split("\n")
    assert header.split()[:5] == ["model", "acc", "best", "run", "params.seed"]
    assert lines[0].split()[:4] == ["a", "0.9", runs[1].id[:8], "2"]


def test_several_fields_make_a_group_for_each_pair_that_there_is() -> None:
    found = groups(sweep(30), "params.model", "params.amp")
    assert len(found.groups) == 6 and found.groups[0].value == ("gru", False)
    assert sum(group.runs for group in found.groups) == 30


def test_a_field_of_several_values_makes_no_groups() -> None:
    with pytest.raises(UsageError, match="a run may have several"):
        one_valued("tag")
    with pytest.raises(UsageError, match="no column"):
        one_valued("nothing.here")


def test_a_mean_has_the_digits_that_its_deviation_has() -> None:
    group = groups([made(n, "finished", "a", 0.85 + n / 100) for n in range(4)], "params.model").groups[0]
    assert spreads([group.metrics["acc"], None]) == ["0.865 ± 0.013 (4)", ""]
    alone = groups([made(1, "finished", "a", 0.123456)], "params.model").groups[0]
    assert spreads([alone.metrics["acc"]]) == ["0.1235 (1)"]


def test_rows_for_other_programs_have_the_same_in_full() -> None:
    found = groups(sweep(30), "params.model", best="metrics.acc")
    names, rows = groups_rows(found)
    assert all(len(row) == len(names) for row in rows) and len(set(names)) == len(names)
    first = dict(zip(names, rows[0], strict=True))
    assert first["best"] == first["metrics.acc.best"] and first["best_run"] == first["metrics.acc.best_run"]
    assert first["runs"] == sum(first.get(status, 0) for status in ("finished", "failed"))
    assert len(groups_rows(found, 2)[1]) == 2


@pytest.mark.parametrize("width", [20, 60, 80, None])
@pytest.mark.parametrize("by", ["params.lr", "name", "status", "params.nothing", "created"])
def test_odd_runs_are_grouped_at_any_width(width: int | None, by: str) -> None:
    for best in ("", "metrics.acc", "-params.lr"):
        text = groups_table(groups(nasty_runs(), by, best=best), 5, NOW).render(width, False)
        lines = [line for line in text.split("\n") if not line.startswith("No room")]
        assert width is None or width < 60 or all(cell_width(line) <= width for line in lines)
        assert "None" not in text


ONE_VALUED = [name for name, field in FIELDS.items() if not field.many and name != "command"]
KEYED = ["params.lr", 'params."a b"', "metrics.lr", 'metrics."acc.min"', "metrics.acc.min.count", "packages.lr"]


if SOAK == 1:
    ONE_VALUED = [
        "status",
        "seed",
        "duration_s",
        "created_at",
        "code.dirty",
        "environment.python",
        "hardware.cpu",
        "verdict",
    ]

World = tuple[Project, list[Any]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("groups")
    (root / ".mltrack").mkdir()
    dice = random.Random(3)
    with Project(root) as project:
        put(project, [*(random_run(dice) for _ in range(40)), *sweep(20)])
        yield project, list(Rows(project, EVERY))


EVERY = RunQuery(include_deleted=True, without_packages=False)


@pytest.mark.parametrize("by", [*ONE_VALUED, *KEYED, "params.model,params.amp", "status,params.lr,seed"])
def test_the_tables_and_the_records_make_the_same_groups(world: World, by: str) -> None:
    fields = tuple(map(one_valued, by.split(",")))
    for best in (None, Best(one_valued("metrics.acc"), False), Best(one_valued("metrics.lr"), True)):
        quick, slow = by_tables(world[0], EVERY, fields, {}, best), grouped(world[1], fields, {}, best)
        assert list(map(told_of, quick.groups)) == list(map(told_of, slow.groups))
        for one, other in zip(quick.groups, slow.groups, strict=True):
            for name, summary in one.metrics.items():
                assert_same_spread(summary, other.metrics[name])
        assert [one and one.value for one in quick.chosen] == [one and one.value for one in slow.chosen]
        assert quick.goals == slow.goals


def told_of(group: Group) -> Any:
    values = [repr(float(one)) if type(one) is int else repr(one) for one in group.value]
    metrics = {name: (one.count, one.best_value) for name, one in sorted(group.metrics.items())}
    return values, group.runs, group.statuses, group.newest_at, metrics


def assert_same_spread(one: GroupMetric, other: GroupMetric) -> None:
    assert one.mean is not None and other.mean is not None
    size = abs(one.deviation or one.mean)
    if math.isfinite(size) and size < 1e150:  # squares of more than that are no floats
        assert math.isclose(one.mean, other.mean, rel_tol=1e-9, abs_tol=1e-9 * size)
        assert (one.deviation is None) == (other.deviation is None)
        assert math.isclose(one.deviation or 0, other.deviation or 0, rel_tol=1e-6, abs_tol=1e-9)

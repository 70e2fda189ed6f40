"""Groups that are counted in the tables are those that are counted from the runs."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import pytest

from mltrack.errors import UsageError
from mltrack.ledger.asking.crossing import crossed
from mltrack.ledger.language.parser import parse
from mltrack.ledger.ledger import Ledger, RunQuery, sealed_bytes
from mltrack.records import MetricSummary
from tests.ledger.made import run


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def test_groups_are_those_of_the_runs(ledger: Ledger) -> None:
    dice = random.Random(3)
    made = [
        run(
            status=dice.choice(["finished", "failed"]),
            created_at=f"2026-11-21T01:02:03.{number:06}Z",
            params=dice.choice([{"model": "lstm"}, {"model": True}, {"model": 1}, {"model": [1]}, {}]),
            metrics={"loss": MetricSummary(dice.choice([0.5, 0.25, 1e9, "NaN", "Infinity"]), 0.0, 1.0, 1)},
        )
        for number in range(200)
    ]
    ledger.merge_records(map(sealed_bytes, made))
    asked = RunQuery(where=parse("status = finished"))
    groups = crossed(ledger, asked, ["params.model"], {"loss": "min", "none": None})
    assert {repr(group.value[0]) for group in groups} == {"'lstm'", "True", "1", "'[1]'", "None"}
    for group in groups:
        value = [1] if group.value == ("[1]",) else group.value[0]
        own = [
            one
            for one in made
            if one.status == "finished" and one.params.get("model") == value
            and isinstance(one.params.get("model"), bool) is isinstance(value, bool)
        ]  # fmt: skip
        assert (group.runs, group.statuses) == (len(own), {"finished": len(own)})
        assert group.newest == max(own, key=lambda one: one.created_at).id
        values = [one.metrics["loss"].last for one in own if isinstance(one.metrics["loss"].last, float)]
        loss = group.metrics["loss"]
        assert loss.count == len(values) and loss.best_value == min(values)
        assert loss.mean is not None and math.isclose(loss.mean, statistics.fmean(values))
        assert loss.deviation is not None and math.isclose(loss.deviation, statistics.stdev(values), abs_tol=1e-6)
        assert loss.best in {one.id for one in own if one.metrics["loss"].last == loss.best_value}
        assert list(group.metrics) == ["loss"]


def test_a_field_of_many_values_makes_no_groups(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="grouped by tag"):
        crossed(ledger, RunQuery(), ["tag"], {})
    with pytest.raises(UsageError, match="grouped by modle"):
        crossed(ledger, RunQuery(), ["status", "modle"], {})

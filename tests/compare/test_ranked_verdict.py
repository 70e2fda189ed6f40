"""A metric's tolerance, or its being ignored, is that of all its ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mltrack.compare.verdict.judge import judge
from mltrack.compare.verdict.rules import Rules
from mltrack.config import Tolerance
from mltrack.records import MetricSummary, Run

RUN = Run(1, "3kq8f2zxm1n4p7rt", None, None, "finished", ("torchrun",), ".", 0)


def with_loss(value: float) -> Run:
    return replace(RUN, metrics={"loss[rank=3]": MetricSummary(value, value, value, 1, 1)})


@pytest.mark.parametrize(
    ("rules", "grade"),
    [
        (Rules(), "different"),
        (Rules({"loss": Tolerance(rel=0.1)}), "within tolerance"),
        (Rules({"lo*": Tolerance(rel=0.1)}), "within tolerance"),
        (Rules({"loss[rank=3]": Tolerance(rel=0.001), "loss": Tolerance(rel=0.1)}), "different"),
        (Rules(ignore=("loss",)), "nothing to compare"),
        (Rules(ignore=("l*s",)), "nothing to compare"),
    ],
)
def test_the_rules_of_a_metric_are_those_of_its_ranks(rules: Rules, grade: str) -> None:
    assert judge(with_loss(1.0), with_loss(1.05), rules).grade == grade

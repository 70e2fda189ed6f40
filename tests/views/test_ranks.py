"""The ranks of a run on its page."""

from __future__ import annotations

from dataclasses import replace

from mltrack.cli.start import summary
from mltrack.records import Log, MetricSummary, Rank, Run
from mltrack.views.ranks import metric_rows, span
from mltrack.views.show import run_page
from mltrack.views.tables.table import runs_table

LOG = Log("b3:" + "a" * 64, 2048)
RUN = replace(
    Run(1, "3kq8f2zxm1n4p7rt", None, None, "failed", ("torchrun", "train.py"), ".", 1, host="one"),
    metrics={
        "loss": MetricSummary(0.25, 0.25, 1.0, 10, 9),
        "loss[rank=1]": MetricSummary(0.5, 0.125, 2.0, 10, 9),
        "loss[rank=2]": MetricSummary("NaN", 0.5, 3.0, 10, 9),
        "acc": MetricSummary(0.9, 0.1, 0.9, 1, 9),
    },
    ranks=(
        Rank(0, 0, "one", ended="cut off", log=LOG),
        Rank(1, 1, "one", "0,1", ended="ValueError", log=LOG),
        Rank(2, 0, "two", ended="of itself"),
    ),
)


def page(run: Run) -> str:
    return run_page(run).render(None, False)


def test_rank_0_comes_first_and_the_one_that_failed_is_pointed_to() -> None:
    text = page(RUN)
    assert text.index("0          local 0") < text.index("ValueError") < text.index("on two")
    assert "Rank 1 says why: mltrack log 3kq8f2zx --rank 1" in text


def test_a_run_of_one_process_has_no_section_of_ranks() -> None:
    assert "Ranks" not in page(replace(RUN, ranks=(), metrics={}))


def test_other_ranks_are_one_row_below_the_first() -> None:
    first, others, single = metric_rows(RUN.metrics)
    assert [cell if isinstance(cell, str) else cell[0] for cell in first] == ["loss", "0.25", "0.25", "1", "10"]
    assert [cell[0] for cell in others] == ["  2 more ranks", "0.5", "0.125", "3", "20"]
    assert single[0] == "acc"


def test_a_range_is_of_the_finite_values() -> None:
    assert span([0.5, "NaN", 0.25]) == "0.25 .. 0.5"
    assert span(["NaN", "NaN"]) == "NaN"


def test_lists_and_summaries_have_the_first_rank_only() -> None:
    assert "rank=" not in summary(RUN)
    assert "rank=" not in runs_table([RUN]).render(None, False)
    assert "acc 0.9" in summary(RUN)

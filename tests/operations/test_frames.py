"""Runs as data frames: names, types, what is missing; and in a notebook."""

from __future__ import annotations

import builtins
import math
from html.parser import HTMLParser
from typing import Any

import pytest

from mltrack.digest import plain
from mltrack.flat import flat, text
from mltrack.noun_json import to_dict
from mltrack.operations.seeing.frames import KNOWN, columns_of
from mltrack.operations.seeing.runs import POINTS, Points, Runs, Seen
from tests.compare.samples import metric, sample_run
from tests.views.nasty import EVIL, nasty_runs, sweep, wide_run

RUNS = Runs(
    [
        sample_run(id="a" * 16, params={"lr": 0.1, "depth": 3, "amp": True, "mixed": 1, "big": 1 << 70, "none": None},
                   metrics={"acc": metric(0.5), "loss": metric("NaN")}),
        sample_run(id="b" * 16, params={"lr": 1, "mixed": "x", "amp": False}, metrics={"acc": metric("Infinity")}, exit_code=None),
    ]
)  # fmt: skip


def test_pandas_has_numbers_as_numbers_times_as_times_and_holes_as_missing() -> None:
    frame = RUNS.to_pandas()
    assert list(frame["id"]) == ["a" * 16, "b" * 16] and list(frame.index) == [0, 1]
    types = {name: str(frame[name].dtype) for name in frame.columns}
    assert types["params.lr"] == types["metrics.acc"] == "float64"
    assert (types["params.depth"], types["params.amp"], types["exit_code"]) == ("Int64", "bool", "Int64")
    assert types["created_at"] == "datetime64[us, UTC]" and types["params.mixed"] == "object"
    assert frame["metrics.acc"].tolist() == [0.5, math.inf] and frame["metrics.loss"].isna().all()
    assert list(frame["params.mixed"]) == [1, "x"] and frame["params.none"].isna().all()
    assert frame["created_at"][0].isoformat() == "2026-11-21T01:02:03.123456+00:00"


def test_polars_and_arrow_have_the_same_columns() -> None:
    polars, arrow, pandas = RUNS.to_polars(), RUNS.to_arrow(), RUNS.to_pandas()
    assert polars.columns == arrow.column_names == list(pandas.columns)
    assert polars["params.mixed"].to_list() == arrow["params.mixed"].to_pylist() == ["1", "x"]
    assert polars["params.depth"].to_list() == arrow["params.depth"].to_pylist() == [3, None]
    assert polars["created_at"].to_list() == arrow["created_at"].to_pylist()
    assert str(polars["created_at"].dtype) == "Datetime(time_unit='us', time_zone='UTC')"
    assert polars["metrics.acc"].to_list() == arrow["metrics.acc"].to_pylist() == [0.5, math.inf]


def test_a_row_is_what_the_json_of_its_run_says() -> None:
    for run in [*nasty_runs(), wide_run(5, 5), *RUNS]:
        for summaries in (False, True):
            row = flat(plain(to_dict(run)), summaries=summaries)
            seen = flat(Seen(run), summaries=summaries)
            assert list(seen) == list(row)
            assert {name: text(value) for name, value in seen.items()} == {n: text(v) for n, v in row.items()}


def test_summaries_are_asked_for() -> None:
    assert "metrics.acc.min" not in RUNS.to_polars().columns
    assert RUNS.to_polars(summaries=True)["metrics.acc.count"].to_list() == [1, 1]


def test_no_runs_have_the_columns_that_all_runs_have() -> None:
    frame = Runs().to_pandas()
    assert frame.shape == (0, len(KNOWN)) and str(frame["created_at"].dtype) == "datetime64[us, UTC]"
    assert Runs().to_polars().shape == (0, len(KNOWN)) and Runs().to_arrow().num_rows == 0


def test_odd_runs_and_thousands_of_columns_are_a_frame() -> None:
    runs = Runs([*nasty_runs(), wide_run(200, 400)])
    for frame in (runs.to_pandas(), runs.to_polars()):
        assert frame.shape[0] == len(runs)
    assert runs.to_arrow().num_rows == len(runs)


@pytest.mark.parametrize("package, extra", [("pandas", "pandas"), ("polars", "polars"), ("pyarrow", "arrow")])
def test_what_is_not_installed_is_said_with_the_extra(monkeypatch: Any, package: str, extra: str) -> None:
    def refuse(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("mltrack.operations.seeing.frames.import_module", refuse)
    with pytest.raises(ImportError, match=rf'{package} is needed.*pip install "mltrack-ledger\[{extra}\]"'):
        getattr(RUNS, f"to_{extra}")()


def test_a_part_of_runs_is_runs_too() -> None:
    assert isinstance(RUNS[:1], Runs) and RUNS[1].id == "b" * 16 and isinstance(RUNS, builtins.list)
    assert repr(RUNS) == f"<2 runs: {'a' * 16}, {'b' * 16}>" and repr(Runs()) == "<0 runs>"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.add(tag)
        assert all(name == "style" for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_notebook_shows_a_short_table_and_obeys_no_text() -> None:
    for runs in (Runs(nasty_runs()), Runs(nasty_runs()[4:5]), Runs(sweep(40)), Runs(), Runs([wide_run(300, 300)])):
        page = Tags()
        page.feed(runs._repr_html_())
        assert page.found <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
        assert len(runs._repr_html_()) < 60_000
    assert "40 runs, of which 20 are shown" in Runs(sweep(40))._repr_html_()
    assert EVIL not in Runs(nasty_runs())._repr_html_()


def test_points_are_long_rows() -> None:
    rows = [{"run": "a", "metric": "loss", "step": 0, "time": "2026-11-21T01:02:03.000000+00:00", "value": 0.5}]
    columns = columns_of(rows, list(POINTS), POINTS)
    assert list(columns.to_pandas()["value"]) == [0.5]
    with pytest.raises(ValueError, match="in no project"):
        len(Points(RUNS, ["acc"]))

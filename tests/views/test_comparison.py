"""A comparison in the layout that fits: columns for few runs, lines for more, ranges for very many; all of it in a pipe."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.many import Comparison, compare_runs, with_noise
from mltrack.compare.noise.intervals import Noted
from mltrack.errors import UsageError
from mltrack.records import Run
from mltrack.views.comparison import comparison_view
from mltrack.views.text import cell_width
from tests.compare.strategies import runs
from tests.views import nasty

few = settings(max_examples=15 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)


def run(number: int, acc: float | str = 0.5, **changes: object) -> Run:
    return nasty.run(number, metrics={"acc": nasty.metric(acc)}, **changes)


def shown(some: Sequence[Run] | Comparison, width: int | None = 100, every: bool = False, colour: bool = False) -> str:
    comparison = some if isinstance(some, Comparison) else compare_runs(some)
    view = comparison_view(comparison, "table", comparison.rows if every else None)
    assert not isinstance(view, str)
    return view.render(width, colour)


def line_of(text: str, label: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [label])


def test_few_runs_are_columns_with_changes_and_marks() -> None:
    text = shown([run(1, 0.5, name="first"), run(2, 0.75), run(3, 0.25)])
    assert "3 runs. They differ in metrics." in text and "(first). ★ best, ▽ worst of a metric." in text
    line = re.sub(" +", " ", line_of(text, "acc")).strip()
    assert line == "acc 0.5 0.75 ★ +0.25 +50 % 0.25 ▽ -0.25 -50 %"
    assert "depth" not in text


def test_what_is_equal_is_shown_on_demand_only() -> None:
    some = [run(1), run(2, 0.6)]
    assert "lr" not in shown(some)
    assert "lr" in shown(some, every=True)


def test_one_run_and_equal_runs_are_told_in_a_sentence() -> None:
    assert shown([run(1)]).startswith("Only one run: ")
    assert "No differences" in shown([run(1), run(1)])


def test_runs_that_do_not_fit_are_lines_and_what_has_no_room_is_named() -> None:
    some = [run(one, one / 10, params={f"param-{name}": one for name in range(9)}) for one in range(1, 7)]
    text = shown(some, 60)
    assert len([line for line in text.splitlines() if line.startswith(tuple(one.id[:8] for one in some))]) == 6
    assert "No room for params.param-" in text and "more; a pipe, --format csv and --json have" in text
    assert "No room" not in shown(some, None)


def test_what_has_no_room_beside_a_value_stands_below_it_and_sentences_are_wrapped() -> None:
    some = [run(one, one / 7, name=f"run-{one}") for one in range(1, 7)]
    text = shown(some, 90)
    lines = text.splitlines()
    at = next(place for place, line in enumerate(lines) if line.split()[:1] == ["acc"])
    assert lines[at + 1].split()[:4] == ["+100", "%", "+200", "%"] and "No room for changes" not in text
    assert all(cell_width(line) <= 60 for line in shown(some, 60).split("\n\n")[0].splitlines())


def test_a_better_run_that_did_not_finish_is_told_and_gets_no_star() -> None:
    text = shown([run(1, 0.8), run(2, 0.9), run(3, 0.99, status="failed")])
    assert "(failed) is better in acc (0.99), but did not finish: it is not the best." in text
    assert "0.9 ★" in line_of(text, "acc") and text.count("★") == 2
    assert "No run that has acc finished" in shown([run(1, 0.8, status="failed"), run(2, 0.9, status="lost")])


def test_very_many_are_summed_up_on_a_terminal_and_whole_in_a_pipe() -> None:
    some = [run(one, one / 200 if one else "NaN", params={"model": "ab"[one % 2]}) for one in range(150)]
    text = shown(some, 80)
    assert "Too many to show one by one" in text and len(text.splitlines()) < 15
    assert "a ×75, b ×75" in text and "0.005 to 0.745, NaN ×1" in text and "★ 0.745" in text
    whole = shown(some, None)
    assert all(one.id[:8] in whole for one in some)


def test_of_thousands_of_fields_a_terminal_shows_the_telling_ones() -> None:
    names = {f"layer/{place}/norm": nasty.metric(place) for place in range(200)}
    some = [
        nasty.run(one, metrics={**{name: nasty.metric(one) for name in names}, "val_loss": nasty.metric(one)})
        for one in (1, 2)
    ]
    text = shown(some)
    assert "val_loss" in text and "... and 161 more" in text
    assert "more" not in shown(some, None)


def test_a_change_within_noise_is_marked() -> None:
    noted = {
        1: {"acc": Noted(True, 10, "nothing", 0.4, 0.7, "c")},
        2: {"acc": Noted(False, 10, "nothing", 0.4, 0.7, "c")},
    }
    text = shown(with_noise(compare_runs([run(1), run(2, 0.6), run(3, 0.9)]), noted))
    assert "≈ within noise" in text and line_of(text, "acc").count("≈") == 1
    assert "≈" not in shown([run(1), run(2, 0.6)])


def test_colours_are_never_the_only_sign() -> None:
    some = [run(1), run(2, 0.75), run(3, 0.25)]
    assert re.sub("\x1b\\[[0-9;]*m", "", shown(some, colour=True)) == shown(some)


def test_one_row_a_run_for_other_programs_with_exact_values() -> None:
    comparison = compare_runs([run(1, 0.1 + 0.2), run(2, "NaN", params={"lr": "a,b"})])
    text = comparison_view(comparison, "csv")
    assert isinstance(text, str)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["metrics.acc"] for row in rows] == ["0.30000000000000004", "NaN"] and rows[1]["params.lr"] == "a,b"
    lines = comparison_view(comparison, "jsonl")
    assert isinstance(lines, str) and [json.loads(line)["metrics.acc"] for line in lines.splitlines()][1] == "NaN"
    with pytest.raises(UsageError):
        comparison_view(comparison, "xml")


def test_markdown_of_few_runs_has_them_as_columns() -> None:
    text = comparison_view(compare_runs([run(1, name="a|b"), run(2, 0.75)]), "md")
    assert isinstance(text, str)
    assert "| metrics.acc | 0.5 ▽ | 0.75 ★ (+50 %) |" in text and "a\\|b" in text


@pytest.mark.parametrize("width", [20, 60, 80, 120, 200])
def test_nasty_runs_fit_and_send_nothing_to_the_terminal(width: int) -> None:
    some = nasty.nasty_runs()
    for chosen in (some[:2], some):
        text = shown(chosen, width)
        assert "\x1b" not in text and "\u202e" not in text
        table = text.split("\n\n", 1)[1].split("No room")[0] if width >= 60 else ""
        assert all(cell_width(line) <= width for line in table.splitlines()), table


@few
@given(st.lists(runs, min_size=1, max_size=10), st.sampled_from([None, 30, 60, 100]), st.booleans())
def test_any_runs_can_be_shown_in_any_form(some: list[Run], width: int | None, every: bool) -> None:
    comparison = compare_runs(some, len(some) - 1)
    assert shown(comparison, width, every).endswith("\n")
    for form in ("csv", "json", "jsonl", "md"):
        assert isinstance(comparison_view(comparison, form, comparison.rows if every else None), str)

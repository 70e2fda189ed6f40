from __future__ import annotations

from mltrack.operations.observing.observed import Line
from mltrack.views.observed import observed_json, observed_page

RULES = {"data": "an input: it was read", "environment": "left out: part of the environment"}


def test_many_paths_of_one_directory_are_one_row_and_the_letters_are_explained() -> None:
    lines = [Line("a.csv", "input", "data", "rf"), *(Line(f"d/{n}.csv", "input", "data", "rf") for n in range(30))]
    lines.append(Line("/usr/lib/x", "left out", "environment", "d"))
    page = observed_page(lines, RULES, False, ()).render(100, False)
    assert "d/     rf  data  30 paths" in page and "7.csv" not in page and "a.csv  rf  data" in page
    assert "r  read" in page and "f  was there before" in page and "d  removed" not in page
    assert "d  removed" in observed_page(lines, RULES, True, ()).render(100, False)
    assert len(observed_json(lines, False)) == 31


def test_a_few_paths_of_one_directory_stay_apart() -> None:
    lines = [Line(f"d/{n}.csv", "input", "data", "rf") for n in range(12)]
    assert observed_page(lines, RULES, False, ()).render(100, False).count(".csv") == 12

"""Any table in any form: read back, it is what was written."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import UsageError
from mltrack.views.tables.tabular import FORMATS, checked_form, lines_of, markdown, table, tabular
from mltrack.views.text import cell_width
from tests.views.nasty import EVIL, LONG, RIGHT_TO_LEFT, WIDE

TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["", " a ", 'a"b,c', "x\r\ny", EVIL, LONG, WIDE, RIGHT_TO_LEFT])
)
NUMBERS = st.one_of(st.integers(), st.floats())
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.lists(st.integers(), max_size=2))
TABLES = st.integers(1, 4).flatmap(
    lambda wide: st.tuples(
        st.lists(TEXTS, min_size=wide, max_size=wide, unique=True),
        st.lists(st.lists(VALUES, min_size=wide, max_size=wide), max_size=4),
    )
)


def written(names: list[str], rows: list[list[Any]], form: str) -> str:
    return "".join(lines_of(names, rows, form))


@settings(max_examples=80, deadline=None)
@given(TABLES)
def test_csv_is_read_back_as_it_was(made: tuple[list[str], list[list[Any]]]) -> None:
    names, rows = made
    found = list(csv.reader(io.StringIO(written(names, rows, "csv"), newline="")))
    assert [list(map(surrogates, names))] == found[:1]
    for row, read in zip(rows, found[1:], strict=True):
        for value, text in zip(row, read, strict=True):
            if isinstance(value, str):
                assert text == surrogates(value)
            elif isinstance(value, float):
                assert float(text) == value or (math.isnan(value) and text == "NaN")
            elif value is None:
                assert text == ""
            else:
                assert json.loads(text) == value


def surrogates(text: str) -> str:
    """As it is written: halves of a pair cannot be."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@settings(max_examples=60, deadline=None)
@given(TABLES)
def test_json_and_its_lines_say_the_same(made: tuple[list[str], list[list[Any]]]) -> None:
    names, rows = made
    lines = written(names, rows, "jsonl").split("\n")
    assert json.loads(written(names, rows, "json")) == [json.loads(line) for line in lines[:-1]]
    assert lines[-1] == "" and len(lines) == len(rows) + 1


@settings(max_examples=80, deadline=None)
@given(TABLES)
def test_a_markdown_table_keeps_its_shape_whatever_is_in_it(made: tuple[list[str], list[list[Any]]]) -> None:
    names, rows = made
    lines = written(names, rows, "md").split("\n")
    assert len(lines) == len(rows) + 3
    for line in lines[:-1]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(names) + 1
        assert line.isprintable() or "\u200d" in line or "\u200c" in line or " " in line
        assert "<" not in line.replace("<br>", "")


def test_an_empty_text_and_nothing_are_told_apart() -> None:
    assert written(["a", "b"], [["", None]], "csv") == 'a,b\n"",\n'
    assert written(["a"], [["=SUM(A1)"], [-1], [True], [math.nan], [math.inf]], "csv").split("\n")[1:-1] == [
        "=SUM(A1)", "-1", "true", "NaN", "Infinity",
    ]  # fmt: skip


def test_markdown_shows_marks_as_signs() -> None:
    assert markdown("a|b *c* _d_ val_loss `x` [y](z)") == r"a\|b \*c\* \_d\_ val_loss \`x\` \[y\](z)"
    assert markdown("<b>&\n$x$") == r"&lt;b&gt;&amp;<br>\$x\$"
    assert written(["n", "t"], [[1, "x"], [None, None]], "md") == "| n | t |\n| ---: | --- |\n| 1 | x |\n|  |  |\n"


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
def test_rows_are_written_as_they_come(form: str) -> None:
    taken = 0

    def rows() -> Iterator[list[int]]:
        nonlocal taken
        for taken in range(1, 100_000):
            yield [taken]

    lines = lines_of(["n"], rows(), form)
    next(lines), next(lines)
    assert taken < 5


@pytest.mark.parametrize("width", [20, 60, 200])
def test_a_table_fits_the_terminal_and_cuts_no_number(width: int) -> None:
    names = [f"column {place}" for place in range(300)]
    text = table(names, [[place / 7 for place in range(300)], [None] * 300, [WIDE] * 300]).render(width, False)
    lines = text.split("\n")
    assert all(cell_width(line) <= width for line in lines if not line.startswith("No room"))
    shown = tabular(["a", "b"], [[1 / 3, "x"], [None, math.nan]], "table")
    assert not isinstance(shown, str) and shown.render(80, False) == "      a  b\n0.33333  x\n         NaN\n"


def test_a_table_of_nothing_has_its_names() -> None:
    assert [part for form in FORMATS[1:] for part in [written(["a"], [], form)]] == [
        "a\n", "[]\n", "", "| a |\n| --- |\n",
    ]  # fmt: skip
    assert table(["a", "b"], []).render(80, False) == "a  b\n"


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="no format 'xml'"):
        checked_form("xml")
    with pytest.raises(UsageError):
        tabular(["a"], [], "xml")

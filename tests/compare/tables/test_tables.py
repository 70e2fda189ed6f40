"""Tables in files: what is read is what is there, and each number is the one that its definition gives."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.comparators import Unreadable
from mltrack.compare.contents.contents import Held
from mltrack.compare.tables.drift import (
    ALIKE,
    FAR,
    MOVED,
    SAME,
    ColumnChange,
    TableChange,
    ks_distance,
    of_columns,
    of_tables,
    stability,
    table_json,
)
from mltrack.compare.tables.profile import of_column
from mltrack.compare.tables.read import Draw, Table, read_table
from mltrack.noun_json import to_dict
from tests.compare.strategies import quick


def table(text: str | bytes, name: str = "t.csv", **options: Any) -> Table:
    return read_table(name, Held(text.encode() if isinstance(text, str) else text), **options)


def column(a: list[Any], b: list[Any]) -> ColumnChange:
    return of_columns("x", of_column(a), of_column(b))


# -- reading


def test_a_table_has_its_columns_by_name() -> None:
    found = table('\ufeffname,"of, it",name\r\na,1,x\r\n"b\nc",,y\r\n')
    assert found.names == ("name", "of, it", "name (2)")
    assert found.columns == {"name": ["a", "b\nc"], "of, it": ["1", ""], "name (2)": ["x", "y"]}
    assert (found.rows, found.is_sample) == (2, False)


@pytest.mark.parametrize(
    ("text", "name", "names", "rows"),
    [
        ("1,2\n3,4\n", "t.csv", ("1", "2"), 2),
        ("a;b\n1,5;2\n", "t.csv", ("a", "b"), 1),
        ("a\tb\n1\t2\n", "t.tsv", ("a", "b"), 1),
        ("", "t.csv", (), 0),
        ("a,b\n", "t.csv", ("a", "b"), 0),
        ("a,b\n1\n1,2,3\n", "t.csv", ("a", "b"), 2),
    ],
)
def test_what_stands_for_a_table_is_read_as_one(text: str, name: str, names: tuple[str, ...], rows: int) -> None:
    found = table(text, name)
    assert (found.names, found.rows) == (names, rows)
    assert all(len(values) == rows for values in found.columns.values())


def test_what_is_no_table_is_refused() -> None:
    for data in (b"\xff\xfe,\n", b'a,b\n"open,1\n'):
        with pytest.raises(Unreadable):
            table(data)
    with pytest.raises(Unreadable):
        table(",".join(f"c{n}" for n in range(5000)) + "\n")


def test_a_long_table_is_compared_by_a_sample_that_is_the_same_every_time() -> None:
    text = "x,row\n" + "".join(f"{n % 2},{n}\n" for n in range(5000))
    found = table(text, exact_rows=1000)
    assert found.rows == 5000 and 500 <= found.drawn <= 1000
    assert found == table(text, exact_rows=1000)
    assert abs(sum(map(int, found.columns["x"])) / found.drawn - 0.5) < 0.06
    assert found.columns["row"] == sorted(found.columns["row"], key=int)


@quick
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 30))
def test_blocks_are_drawn_as_single_rows_are(lengths: list[int], most: int) -> None:
    single, blocks = Draw(most), Draw(most)
    rows = list(range(sum(lengths)))
    single.add(rows)
    start = 0
    for length in lengths:
        blocks.add_block(length, lambda places, start=start: [start + at for at in places])  # type: ignore[misc]
        start += length
    assert single.rows() == blocks.rows()
    assert single.count == blocks.count == len(rows)
    assert single.rows() == rows if len(rows) <= most else len(single.rows()) <= most


def test_a_compressed_table_is_read_as_what_is_in_it() -> None:
    import gzip

    assert table(gzip.compress(b"a\tb\n1\t2\n"), "T.TSV.gz").columns == {"a": ["1"], "b": ["2"]}
    with pytest.raises(Unreadable):
        table(gzip.compress(b"a,b\n" * 1000)[:-9], "t.csv.gz")
    with pytest.raises(Unreadable):
        table(b"a,b\n", "t.csv.gz")


def test_parquet_has_types_of_its_own() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import datetime

    import pyarrow.parquet as parquet

    def stored(**columns: Any) -> Table:
        file = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), file, row_group_size=2)
        return table(file.getvalue(), "t.parquet")

    day = datetime.date(2026, 11, 21)
    old = stored(n=pyarrow.array([1, 2, None], "int32"), day=[day] * 3, b=[b"x", None, b"y"])
    new = stored(n=pyarrow.array([1, 2, 3, 4], "int64"), day=[day] * 4, b=[b"x", b"y", b"x", b"y"])
    found = of_tables(old, new)
    assert found.rows == (3, 4)
    assert [(one.name, one.a, one.b) for one in found.retyped] == [("n", "int32", "int64")]
    assert found.columns[0].a.missing == 1 and found.columns[0].b.mean == 2.5
    assert found.columns[1].a.kind == "time" and found.columns[1].b.max == "2026-11-21"


# -- one column


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        (["1", "-2", "NA"], "integer", 1),
        (["1.5", "2e3", "inf", ""], "number", 1),
        (["007", "1"], "text", 0),
        (["true", "False"], "boolean", 0),
        (["2026-11-21", "2026-11-21T01:02:03Z"], "time", 0),
        ([None, "nan", "NULL"], "empty", 3),
        ([1, 2.5, math.nan], "number", 1),
        ([True, None], "boolean", 1),
    ],
)
def test_the_kind_of_a_column_is_what_all_its_values_are(values: list[Any], kind: str, missing: int) -> None:
    profile = of_column(values).profile
    assert (profile.kind, profile.missing, profile.count) == (kind, missing, len(values))


def test_a_profile_is_what_a_statistician_computes() -> None:
    profile = of_column(["2", "4", "4", "4", "5", "5", "7", "9", ""]).profile
    assert (profile.mean, profile.min, profile.max, profile.distinct) == (5.0, 2, 9, 5)
    assert profile.sd is not None and math.isclose(profile.sd, math.sqrt(32 / 7))
    huge = of_column([1e308, -1e308, 1e308]).profile
    assert huge.sd is None and huge.max == 1e308


# -- how far it moved


def test_the_distance_of_kolmogorov_and_smirnov_is_the_textbook_s() -> None:
    # Conover 1999, 6.3, example 1: the largest distance is 0.4.
    x = [7.6, 8.4, 8.6, 8.7, 9.3, 9.9, 10.1, 10.6, 11.2]
    y = [5.2, 5.7, 5.9, 6.5, 6.8, 8.2, 9.1, 9.8, 10.8, 11.3, 11.5, 12.3, 12.5, 13.4, 14.6]
    found = ks_distance(x, y)
    assert found is not None and math.isclose(found, 0.4)


@quick
@given(st.lists(st.integers(-5, 5), min_size=1), st.lists(st.integers(-5, 5), min_size=1))
def test_the_distance_is_that_of_its_definition(a: list[int], b: list[int]) -> None:
    def below(values: list[int], x: int) -> float:
        return sum(value <= x for value in values) / len(values)

    expected = max(abs(below(a, x) - below(b, x)) for x in (*a, *b))
    found = ks_distance(sorted(a), sorted(b))
    assert found is not None and math.isclose(found, expected, abs_tol=1e-12)


def test_the_stability_index_is_the_one_of_its_definition() -> None:
    p, q = {"a": 0.5, "b": 0.5}, {"a": 0.8, "b": 0.2}
    expected = sum((q[key] - p[key]) * math.log(q[key] / p[key]) for key in p)
    assert math.isclose(stability(["a", "b"] * 5, ["a"] * 8 + ["b"] * 2), expected)
    assert stability(["a"], ["a"]) == 0 < stability(["a"], ["b"]) < math.inf


def test_a_column_is_the_same_in_any_order_alike_by_chance_moved_or_far() -> None:
    from random import Random

    draw = Random(7).gauss
    old = [draw(0, 1) for _ in range(2000)]
    assert column(old, old[::-1]).grade == SAME
    assert column(old, [draw(0, 1) for _ in range(2000)]).grade == ALIKE
    shifted = column(old, [draw(0.3, 1) for _ in range(2000)])
    assert shifted.grade == MOVED and shifted.smd is not None and abs(shifted.smd - 0.3) < 0.1
    assert column(old, [draw(2, 1) for _ in range(2000)]).grade == FAR
    few = column([draw(0, 1) for _ in range(12)], [draw(0.3, 1) for _ in range(12)])
    assert few.grade == ALIKE, "of twelve values chance says as much"


def test_categories_that_come_and_go_are_told() -> None:
    found = column(["a", "b"] * 50, ["a", "c"] * 50)
    assert (found.grade, found.new, found.vanished) == (FAR, 0.5, 0.5)
    names = column([f"u{n}" for n in range(100)], [f"u{n}" for n in range(90)] + [f"v{n}" for n in range(10)])
    assert (names.psi, names.new, names.grade) == (None, 0.1, MOVED)
    assert column(["a", "b"] * 500, ["b", "a", "b", "a", "a"] * 200).grade == ALIKE


def test_more_missing_values_are_a_change() -> None:
    found = column(["1", "2", "3", "4"] * 10, ["1", "2", "3", ""] * 10)
    assert found.grade == FAR and found.b.missing == 10
    assert column(["1"] * 10, [""] * 10).grade == FAR


def test_tables_differ_in_rows_columns_types_and_order() -> None:
    found = of_tables(table("a,b,gone\n1,x,1\n2,y,1\n"), table("b,a,new\nx,1.5,1\ny,2,1\nz,3,1\n"))
    assert (found.rows, found.added, found.removed, found.is_reordered) == ((2, 3), ("new",), ("gone",), True)
    assert [to_dict(one) for one in found.retyped] == [{"name": "a", "a": "integer", "b": "number"}]
    value = table_json(found)
    assert value["columns"][1]["b"]["max"] == 3.0 and value["sample"] is False


cells = st.text("019.,-eaNn \n日\x1b", max_size=4)
rows_of_text = st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8)


@quick
@given(rows_of_text, rows_of_text)
def test_any_two_tables_can_be_compared_and_one_has_no_difference_to_itself(a: list[Any], b: list[Any]) -> None:
    import csv

    def written(rows: list[Any]) -> Table:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([["x", "y"], *rows])
        return table(text.getvalue(), "t.csv")

    first, second = written(a), written(b)
    found = of_tables(first, second)
    assert isinstance(found, TableChange)
    for one in found.columns:
        for number in (one.ks, one.psi, one.new, one.vanished):
            assert number is None or (math.isfinite(number) and number >= 0)
    assert all(one.grade == SAME for one in of_tables(first, first).columns)

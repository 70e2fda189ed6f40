"""Which first row of a table names its columns; the same for diffs of data and for verdicts."""

from __future__ import annotations

import pytest

from mltrack.compare.contents.headers import is_header
from mltrack.compare.tables.read import is_number


@pytest.mark.parametrize(
    "text",
    [
        "a,b\nc,d",
        "0,1,2\n4,7,1\n8,9,2\n9,9,0",
        "0,1\n4,5\n8,2",
        ",0,1\n0,1.5,2.5\n1,4.5,0.1",
        "country,2019,2020\nFR,5,6\nDE,7,8",
        "country,2019\nFR,5\nDE,7",
        "0\n0.1\n0.4\n0.5",
        "y,1\n3,2",
    ],
)
def test_a_header_with_numbers_is_one(text: str) -> None:
    first, *below = (line.split(",") for line in text.split("\n"))
    assert is_header(first, below, is_number)


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n7,8,9",
        "1,2\n3,4",
        "1,2\n1,2\n1,2",
        "0,1",
        "alice,1987\nbob,1990",
        "alice,30\nbob,41",
        "5.1,3.5,setosa\n4.9,3.0,setosa",
        "0\n1\n0",
        "NA,3\n4,5",
        "2019,2020\n2021,2022",
        "1,0.93\n2,0.9\n3,.8\n4,.7",
        "007,008,009\nx,y,z",
    ],
)
def test_data_in_the_first_row_stays_data(text: str) -> None:
    first, *below = (line.split(",") for line in text.split("\n"))
    assert not is_header(first, below, is_number)


def test_both_readers_of_tables_count_rows_below_a_header_of_numbers() -> None:
    from mltrack.compare.comparators import Around
    from mltrack.compare.comparators.csv_files import compare
    from mltrack.compare.contents.contents import Held
    from mltrack.compare.tables.read import read_table

    sides = [Held(b"0,1,2\n" + b"".join(b"%d,%d,%d\n" % (n, n * n, n % 7) for n in range(rows))) for rows in (100, 110)]
    found = [read_table("t.csv", side) for side in sides]
    assert [(one.rows, one.names) for one in found] == [(100, ("0", "1", "2")), (110, ("0", "1", "2"))]
    assert compare(*sides, Around(name="t.csv")).reason == "rows: 100 then, 110 now"

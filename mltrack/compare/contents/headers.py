"""Is the first row of a table of text its header? One rule for all who read such tables. Pure.

A row without a number names the columns. A row with numbers is data, unless it does not fit the rows below it, or
counts as names of columns do: 0, 1, 2 (a data frame without names), or years.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

SAMPLE = 100
"""Rows below the first one that are looked at."""
MISSING = frozenset(["", "#n/a", "<na>", "n/a", "na", "nan", "none", "null"])
YEARS = range(1900, 2101)
FEW = 3
"""So many rows must have a point before a whole number above them is no number of theirs."""

Row = Sequence[str]
Test = Callable[[str], bool]


def is_header(first: Row, below: Sequence[Row], is_number: Test) -> bool:
    """Does `first` name the columns of the rows `below` it (the next ones, some are enough)?"""
    cells = [cell.strip() for cell in first]
    numbers = [cell for cell in cells if is_number(cell)]
    if not numbers:
        return bool(cells)
    columns = [present(below, place) for place in range(len(cells))]
    if any(is_misfit(cell, column, is_number) for cell, column in zip(cells, columns)):
        return True
    under = [column for cell, column in zip(cells, columns) if is_number(cell)]
    if all(map(is_whole, numbers)) and all(len(column) >= FEW and have_points(column) for column in under):
        return True
    rows = [[cell.strip() for cell in row if is_number(cell)] for row in below]
    if are_years(numbers):
        return not all(map(are_years, rows))
    return count_up(numbers) and (len(numbers) >= FEW or int(numbers[0]) < 2) and not all(map(count_up, rows))


def present(below: Sequence[Row], place: int) -> list[str]:
    """The values of a column that are there."""
    found = [row[place].strip() for row in below if place < len(row)]
    return [cell for cell in found if cell.lower() not in MISSING]


def is_misfit(cell: str, column: Sequence[str], is_number: Test) -> bool:
    """Is this a word above numbers alone?"""
    return bool(column) and cell.lower() not in MISSING and not is_number(cell) and all(map(is_number, column))


def is_whole(cell: str) -> bool:
    return cell.isascii() and cell.isdigit()


def have_points(column: Sequence[str]) -> bool:
    """Has no number of the column been written as a whole one?"""
    return not any(map(is_whole, (cell.lstrip("+-") for cell in column)))


def are_years(numbers: Sequence[str]) -> bool:
    """Rising years, be it a single one."""
    values = [int(cell) if is_whole(cell) and len(cell) == 4 else 0 for cell in numbers]
    return bool(values) and all(value in YEARS for value in values) and sorted(set(values)) == values


def count_up(numbers: Sequence[str]) -> bool:
    """Two whole numbers and more, each one more than the one before."""
    if len(numbers) < 2 or not all(is_whole(cell) and len(cell) < 18 and str(int(cell)) == cell for cell in numbers):
        return False
    return [int(cell) - place for place, cell in enumerate(numbers)] == [int(numbers[0])] * len(numbers)

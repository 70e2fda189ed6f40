"""Pairs for comparators of plug-ins, of those that are installed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

Sample = tuple[str, bytes, bytes, str]


def samples(names: Sequence[str]) -> list[Sample]:
    return databases() if "sqlite" in names else []


def databases() -> list[Sample]:
    """For the example of docs/examples/comparator."""
    rows = [(1, 0.5), (2, 0.25)]
    one = database("CREATE TABLE points (step, loss)", rows)
    other = database("CREATE TABLE points (step, loss)", [(1, 0.5), (2, 0.26)])
    return [
        ("results.db", one, database("CREATE TABLE points (step, loss)", rows, page_size=8192), "equivalent"),
        ("results.db", one, database("CREATE TABLE points (step, loss)", rows[::-1]), "equivalent"),
        ("results.db", one, other, "different"),
        ("results.db", one, database("CREATE TABLE points (step, acc)", rows), "different"),
    ]


def database(table: str, rows: Sequence[tuple[float, ...]], page_size: int = 4096) -> bytes:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute(f"PRAGMA page_size = {page_size}")
        made.execute(table)
        made.executemany("INSERT INTO points VALUES (?, ?)", rows)
        made.commit()
        data: bytes = made.serialize()  # type: ignore[attr-defined, unused-ignore]  # Python 3.11
        return data

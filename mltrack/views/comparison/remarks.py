"""What is said of the best where it is not simply the best number: runs that did not finish."""

from __future__ import annotations

from mltrack.compare.many import Comparison, Row
from mltrack.views.comparison.cells import ids_of
from mltrack.views.text import clean, count, number, shorten

MOST = 3
"""Runs, and metrics of each, of which something is said."""
LONGEST = 40


def remarks(comparison: Comparison) -> list[str]:
    """Sentences on runs that did not finish: those that are better than the best, and those that are it for want of
    others."""
    better: dict[int, list[Row]] = {}
    for row in comparison.rows:
        for place in row.better:
            better.setdefault(place, []).append(row)
    told = [better_words(comparison, place, rows) for place, rows in list(better.items())[:MOST]]
    if len(better) > MOST:
        told.append(f"So it is with {count(len(better) - MOST, 'other run')}.")
    none = [row for row in comparison.rows if row.none_finished]
    return [*told, f"No run that has {names_of(none)} finished: the best is of those that did not."] if none else told


def better_words(comparison: Comparison, place: int, rows: list[Row]) -> str:
    """`3kq8f2zx (failed) is better in acc (0.99), but did not finish: it is not the best.`"""
    run = comparison.runs[place]
    values = ", ".join(f"{short(row.name)} ({number(row.known[place])})" for row in rows[:MOST])
    more = f" and {len(rows) - MOST:,} more" if len(rows) > MOST else ""
    who = f"{ids_of(comparison.runs)[place]} ({clean(run.status)})"
    return f"{who} is better in {values}{more}, but did not finish: it is not the best."


def names_of(rows: list[Row]) -> str:
    names = ", ".join(short(row.name) for row in rows[:MOST])
    return names + (f" and {len(rows) - MOST:,} more" if len(rows) > MOST else "")


def short(name: str) -> str:
    return shorten(clean(name), LONGEST)

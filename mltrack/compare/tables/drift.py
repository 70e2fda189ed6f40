"""Two versions of a table -> its rows and columns, and for each column how far its distribution moved.

Which number says it: of what has an order the Kolmogorov-Smirnov distance, of categories the population stability
index; both are 0 for the same distribution. Neither is a test of a hypothesis: two versions of one data set share most
of their rows. What is nearer than two samples of one source would be by chance is said to be alike.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.tables.profile import NUMBERS, Column, Profile, of_column, shares
from mltrack.noun_json import to_dict
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.compare.tables.read import Table

SAME, ALIKE, MOVED, FAR = "same", "alike", "moved", "far"
GRADES = (SAME, ALIKE, MOVED, FAR)

KS_MOVED, KS_FAR = 0.05, 0.2
PSI_MOVED, PSI_FAR = 0.1, 0.25
"""Below 0.1 a population is commonly called stable, above 0.25 changed (Siddiqi 2006)."""
MISSING_MOVED, MISSING_FAR = 0.01, 0.1
"""By how much the share of missing values differs."""
CHANCE = 1.95
"""How many times sqrt((n + m) / nm) two samples of one source are apart once in a thousand (Smirnov 1948)."""
FEW_VALUES = 0.5
"""A text column with more distinct values than this share of its rows names things; it has no categories."""


@noun
class ColumnChange:
    """How one column differs between two versions. `grade`: the same values (in any order), alike, moved, far."""

    name: str
    grade: str
    a: Profile
    b: Profile
    ks: float | None = None
    """Kolmogorov-Smirnov distance, of numbers and times."""
    smd: float | None = None
    """Standardised mean difference, of numbers."""
    psi: float | None = None
    """Population stability index, of categories."""
    new: float | None = None
    """The share of b's values that a does not have, of texts."""
    vanished: float | None = None
    """The share of a's values that b does not have, of texts."""


@noun
class TypeChange:
    """A column whose type is another."""

    name: str
    a: str
    b: str


@noun
class TableChange:
    """How a table differs. `columns` are those that both have, in b's order."""

    rows: tuple[int, int]
    drawn: tuple[int, int]
    """Rows that the columns were compared by; all of them unless the table is long."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[TypeChange, ...]
    is_reordered: bool
    """Do the columns that both have stand in another order?"""
    columns: tuple[ColumnChange, ...]

    @property
    def is_sample(self) -> bool:
        return self.drawn != self.rows


def of_tables(a: Table, b: Table) -> TableChange:
    """The differences from a to b."""
    both = [name for name in b.names if name in a.columns]
    found, retyped = [], []
    for name in both:
        first = of_column(a.columns[name], a.types.get(name, ""))
        second = of_column(b.columns[name], b.types.get(name, ""))
        if first.type != second.type and "empty" not in (first.type, second.type):
            retyped.append(TypeChange(name, first.type, second.type))
        found.append(of_columns(name, first, second))
    return TableChange(
        (a.rows, b.rows),
        (a.drawn, b.drawn),
        tuple(name for name in b.names if name not in a.columns),
        tuple(name for name in a.names if name not in b.columns),
        tuple(retyped),
        both != [name for name in a.names if name in b.columns],
        tuple(found),
    )


def of_columns(name: str, a: Column, b: Column) -> ColumnChange:
    """One column: what kind of number says how far it moved depends on what it holds."""
    kinds = {a.profile.kind, b.profile.kind} - {"empty"}
    if not kinds:
        return ColumnChange(name, SAME if a.profile.count == b.profile.count else ALIKE, a.profile, b.profile)
    if (len(kinds) == 1 and kinds <= {"time"}) or kinds <= set(NUMBERS):
        return of_ordered(name, a, b)
    return of_texts(name, a, b)


def of_ordered(name: str, a: Column, b: Column) -> ColumnChange:
    """Numbers or times."""
    first, second = sorted(a.values), sorted(b.values)
    if first == second and a.profile.missing == b.profile.missing:
        return ColumnChange(name, SAME, a.profile, b.profile, 0.0, 0.0 if a.profile.kind in NUMBERS else None)
    ks = ks_distance(first, second)
    least = max(KS_MOVED, CHANCE * math.sqrt(1 / len(first) + 1 / len(second))) if first and second else 0.0
    grade = max(graded(ks, least, max(KS_FAR, least)), of_missing(a.profile, b.profile), key=GRADES.index)
    return ColumnChange(name, grade, a.profile, b.profile, ks, standardised(a.profile, b.profile))


def of_texts(name: str, a: Column, b: Column) -> ColumnChange:
    """Texts, truth values, and columns whose kind is another: as categories, where they are few."""
    first, second = list(map(str, a.values)), list(map(str, b.values))
    if Counter(first) == Counter(second) and a.profile.missing == b.profile.missing:
        return ColumnChange(name, SAME, a.profile, b.profile, psi=0.0, new=0.0, vanished=0.0)
    known, now = set(first), set(second)
    new = sum(value not in known for value in second) / len(second) if second else None
    vanished = sum(value not in now for value in first) / len(first) if first else None
    few = len(known) <= FEW_VALUES * len(first) and len(now) <= FEW_VALUES * len(second)
    psi = stability(first, second) if few and first and second else None
    if psi is not None:
        least = max(PSI_MOVED, by_chance(len(known | now), len(first), len(second)))
        grade = graded(psi, least, max(PSI_FAR, least))
    else:
        grade = graded(max(new or 0.0, vanished or 0.0), 0.05, 0.5)
    grade = max(grade, of_missing(a.profile, b.profile), key=GRADES.index)
    return ColumnChange(name, grade, a.profile, b.profile, psi=psi, new=new, vanished=vanished)


def graded(value: float | None, moved: float, far: float) -> str:
    if value is None:
        return FAR
    return FAR if value >= far else MOVED if value >= moved else ALIKE


def of_missing(a: Profile, b: Profile) -> str:
    """How far the share of missing values moved."""
    then, now = (profile.missing / profile.count if profile.count else 0.0 for profile in (a, b))
    return graded(abs(now - then), MISSING_MOVED, MISSING_FAR)


def ks_distance(a: Sequence[Any], b: Sequence[Any]) -> float | None:
    """The largest distance between the two shares of values up to x, over all x, of two sorted columns: the statistic
    of Smirnov's two-sample test (Smirnov 1939; Conover, Practical Nonparametric Statistics, 6.3). None if one is empty.
    """
    if not a or not b:
        return None
    largest = 0.0
    for one, other in ((a, b), (b, a)):
        many, others = len(one), len(other)
        at = 0
        while at < many:
            value = one[at]
            below = abs(at / many - bisect_left(other, value) / others)
            at = bisect_right(one, value, at)
            largest = max(largest, below, abs(at / many - bisect_right(other, value) / others))
    return largest


def standardised(a: Profile, b: Profile) -> float | None:
    """The difference of the means in standard deviations: (mean b - mean a) / sqrt((var a + var b) / 2) (Cohen 1988,
    2.2; Austin 2009). None where there is no spread to hold it against."""
    if a.mean is None or b.mean is None or a.sd is None or b.sd is None:
        return None
    pooled = math.hypot(a.sd, b.sd) / math.sqrt(2)
    difference = (b.mean - a.mean) / pooled if pooled else math.nan
    return difference if math.isfinite(difference) else None


def stability(a: Sequence[str], b: Sequence[str]) -> float:
    """The population stability index: the sum over all categories of (q - p) ln(q / p), with p and q the shares then
    and now (Siddiqi 2006; Jeffreys' divergence of 1946). A category that one side lacks counts there as half a row."""
    p, q = shares(a), shares(b)
    least, least_now = 0.5 / len(a), 0.5 / len(b)
    total = 0.0
    for value in p.keys() | q.keys():
        then, now = p.get(value, least), q.get(value, least_now)
        total += (now - then) * math.log(now / then)
    return total


def by_chance(categories: int, n: int, m: int) -> float:
    """What the index of two samples of one source hardly exceeds: it is about (1/n + 1/m) times a chi-square of one
    degree less than there are categories (Yurdakul 2018), here its mean and three deviations."""
    free = max(categories - 1, 1)
    return (1 / n + 1 / m) * (free + 3 * math.sqrt(2 * free))


def table_json(change: TableChange) -> dict[str, Any]:
    """The differences as plain dicts and lists."""
    return {
        "rows": {"a": change.rows[0], "b": change.rows[1]},
        "compared_rows": {"a": change.drawn[0], "b": change.drawn[1]},
        "sample": change.is_sample,
        "columns_added": list(change.added),
        "columns_removed": list(change.removed),
        "columns_retyped": [to_dict(one) for one in change.retyped],
        "reordered": change.is_reordered,
        "columns": [to_dict(one) for one in change.columns],
    }

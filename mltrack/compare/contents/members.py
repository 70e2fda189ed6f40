"""The members of two archives, side by side: by name, whatever their order -> one finding.

What the archive itself may differ in (times, order, compression) is told by its comparator; here are the members only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, IDENTICAL, Around, Content, Finding
from mltrack.compare.contents.cells import Cells
from mltrack.compare.contents.finding import compare_contents
from mltrack.verdicts import Measure

MOST = 1_000_000
"""Members of one archive; their names are in memory."""

TOLD = 3
"""Members that a reason names."""

ENOUGH = 1000
"""Members that differ with no measure; from then on the others would change nothing."""

Judge = Callable[[str, Content, Content], Finding]


def compare_members(then: Mapping[str, Content], now: Mapping[str, Content], judge: Judge, outer: str) -> Finding:
    """The worst of all members, with the sum of the measures of those that differ, if all of them have one.

    `outer` says what differs where no member does: "only the times in the zip".
    """
    if then.keys() != now.keys():
        return Finding(DIFFERENT, _one_sided(sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())))
    found: dict[str, Finding] = {}
    opaque = 0
    for name, content in then.items():
        found[name] = judge(name, content, now[name])
        opaque += found[name].grade == DIFFERENT and found[name].measure is None
        if opaque == ENOUGH:
            break
    differing = {name: finding for name, finding in found.items() if finding.grade == DIFFERENT}
    if differing:
        told = [f"{name}: {finding.reason}" for name, finding in list(differing.items())[:TOLD]]
        least = "at least " if len(found) < len(then) else ""
        count = f"{least}{len(differing)} of {len(then)} members differ: " if len(then) > 1 else ""
        return Finding(DIFFERENT, count + "; ".join(told), _summed(found))
    equivalent = {name: finding for name, finding in found.items() if finding.grade != IDENTICAL}
    told = [f"{name}: {finding.reason}" for name, finding in list(equivalent.items())[:TOLD]]
    more = [f"{len(equivalent) - TOLD} more members are equivalent"] if len(equivalent) > TOLD else []
    return Finding(EQUIVALENT, "; ".join([*told, *more] or [outer]))


def by_contents(around: Around) -> Judge:
    """Judges a member as a file of its own."""
    return lambda name, a, b: compare_contents(name, a, b, around)


def _one_sided(gone: list[str], new: list[str]) -> str:
    told = []
    for names, where in ((gone, "missing"), (new, "new")):
        if names:
            more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
            told.append(f"{where}: {', '.join(map(repr, names[:TOLD]))}{more}")
    return f"its members are not the same ({'; '.join(told)})"


def _summed(found: Mapping[str, Finding]) -> Measure | None:
    """None where something differs that was not measured: a part must not pass for the whole."""
    cells = Cells()
    for name, finding in found.items():
        if finding.measure is not None:
            cells.include(finding.measure, name.removesuffix(".npy"))
        elif finding.grade == DIFFERENT:
            return None
    return cells.measure()

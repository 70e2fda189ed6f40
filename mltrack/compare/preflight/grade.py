"""What a run's concerns come to: one grade, from A to F, and a line that says it.

Pure. Which concerns there are is said in `foreseen.py` (before the command starts) and `hindsight.py` (by the record).
"""

from __future__ import annotations

from collections.abc import Iterable

from mltrack.records import Concern, Preflight

GRADES = "ABCDF"
"""A: nothing is in the way. B: it comes back, with small differences possible. C: it comes back with some effort, or
something in it is not known. D: it needs something that may go. F: it cannot be had again elsewhere."""

BEST = "A"
"""The grade that a remark allows: it is shown, and lowers nothing."""

IN_A_LINE = 3
"""A line names at most so many concerns."""


def rank(grade: str) -> int:
    """0 for the best grade, more for a worse one; a grade that we do not know is the worst."""
    return GRADES.index(grade) if grade in GRADES else len(GRADES)


def is_worse(grade: str, than: str) -> bool:
    return rank(grade) > rank(than)


def grade(concerns: Iterable[Concern]) -> Preflight:
    """The worst of the concerns is the grade; they come worst first, each once, else in their order."""
    each: dict[tuple[str, str], Concern] = {}
    for one in sorted(concerns, key=lambda one: -rank(one.grade)):
        each.setdefault((one.kind, one.message), one)
    return Preflight(next(iter(each.values())).grade if each else BEST, tuple(each.values()))


def brief(concern: Concern) -> str:
    """The first part of a concern's message, for a line of several; it may go to a terminal as it is."""
    text = concern.message.split(": ")[0].rstrip(".")
    text = text if text.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return text[:1].lower() + text[1:]


def line(preflight: Preflight) -> str | None:
    """`preflight B: no seed is set; 2 packages have no hash`; None where there is nothing to say."""
    if not is_worse(preflight.grade, BEST):
        return None
    named = list(dict.fromkeys(brief(one) for one in preflight.concerns if is_worse(one.grade, BEST)))
    more = f"; {len(named) - IN_A_LINE} more" if len(named) > IN_A_LINE else ""
    return f"preflight {preflight.grade}: {'; '.join(named[:IN_A_LINE])}{more}"

"""Paths of two runs that mean the same place: a time of the run, its host, a process id or a counter differs. Pure.

`outputs/2026-01-02/10-30-00/model.bin` is in the next run `outputs/2026-01-03/08-00-00/model.bin`, and where a log
directory counts up (`logs/ppo/CartPole-v1_3/`, `version_0/`) an empty machine begins again.
A date counts as the run's own only if the run ran then: `report_2019.csv` is about a year. A number is a process id
only behind a word that says so. What is not certain is not paired: it is missing on one side and extra on the other.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.records import Run

_DATE = r"(?<!\d)(?P<year>(?:19|20)\d\d)[-_.]?(?P<month>[01]\d)[-_.]?(?P<day>[0-3]\d)"
_TIMES = lazy(
    rf"{_DATE}(?:[-_T ]?[0-2]\d[-_.:h]?[0-5]\d(?:[-_.:m]?[0-6]\d)?)?(?:[.,_]\d+)?Z?(?!\d)"
    r"|(?<!\d)[0-2]\d[-_.:h][0-5]\d[-_.:m][0-6]\d(?:[.,_]\d+)?(?!\d)"
    r"|(?<!\d)(?P<unix>1\d{9})(?:\d{3}|\d{6})?(?:\.\d+)?(?!\d)"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[0-3]\d(?=_)"
)
_COUNTER = lazy(r"(?<=[A-Za-z_.-])\d+$|^\d+$")
_COUNTS_ON = lazy(r"(?:^|.*[-_.])(?:version|run|exp|experiment|train|predict|val|trial|try|attempt)[-_.]?")
"""Before its number: the name of a directory that gets the next number each time."""
_VALUE = lazy(r"(?:^|.*[-_.])(?:fold|seed|split|epoch|step|rank|part|shard|layer|lr|batch|size|depth|n|k)[-_.=]?")
"""Before its number: the name of a directory that is called after a value."""
_EVENTS = lazy(r"events\.out\.tfevents\..*")
_HOST = lazy(r"(#_#)_.*")
"""TensorBoard's own names for a log end in the host's: `Jan02_10-30-00_host`."""
_PID = lazy(r"((?:^|[-_.])(?:pid|core|nohup|worker|proc|process)[-_.]?)(\d{3,7})(?=[-_.]|$)")
_HELD = "\0"
"""Stands for a process id in a shape; no path has it."""

NEAR_S = 36 * 3600
"""A date is that of a run from so long before its start to so long after its end: time zones differ."""

LEAST_HOST = 3
"""Letters of a host's name below which it may be any word."""


@noun
class Traces:
    """What is known of a run that its paths may hold: its hosts' names, and when it ran (unix seconds)."""

    hosts: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, run: Run) -> Traces:
        names = {run.host, run.host.partition(".")[0]} if run.host else set()
        hosts = sorted((name for name in names if len(name) >= LEAST_HOST), key=len, reverse=True)
        start = seconds(run.started_at or run.created_at)
        end = None if start is None or run.duration_s is None else start + run.duration_s
        return cls(tuple(hosts), start, end)


@noun
class Known:
    """The two runs whose paths are compared."""

    then: Traces = Traces()
    now: Traces = Traces()

    @classmethod
    def of(cls, then: Run, now: Run) -> Known:
        return cls(Traces.of(then), Traces.of(now))


KNOWN_NOTHING = Known()


def seconds(text: str | None) -> float | None:
    """`2026-11-21T01:02:03.123456Z` -> unix seconds; None where it is none."""
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?", text or "")
    return None if found is None else timegm((*map(int, found.groups()[:6]), 0, 0, 0)) + float(found[7] or 0)


def shape(path: str, traces: Traces = KNOWN_NOTHING.then) -> str:
    """A path without times, hosts and process ids, and without the numbers at the ends of its directories' names.

    One with a date on which the run did not run is its own shape.
    """
    if not all(is_of_run(found, traces) for found in _TIMES.finditer(path)):
        return path
    *directories, name = path.split("/")
    kept = [_COUNTER.sub("#", _HOST.sub(r"\1", bare(part, traces))) for part in directories]
    return "/".join([*kept, _EVENTS.sub("events#", _PID.sub(rf"\1{_HELD}", bare(name, traces)))])


def bare(part: str, traces: Traces) -> str:
    """A part of a path without its times and the names of its host."""
    part = _TIMES.sub("#", part)
    for host in traces.hosts:
        part = re.sub(rf"(?<![A-Za-z0-9]){re.escape(host)}(?![A-Za-z0-9])", "#host", part)
    return part


def is_of_run(found: re.Match[str], traces: Traces) -> bool:
    """Can a time in a path be one of the run? A time of day can; a date if the run ran then, or nobody knows when."""
    if traces.start is None:
        return True
    if found["unix"] is not None:
        moment = float(found["unix"])
    elif found["year"] is not None:
        moment = timegm((int(found["year"]), int(found["month"]), int(found["day"]), 12, 0, 0, 0, 0, 0))
    else:
        return True
    return traces.start - NEAR_S <= moment and (traces.end is None or moment <= traces.end + NEAR_S)


def same_places(
    before: Iterable[str],
    after: Iterable[str],
    known: Known = KNOWN_NOTHING,
    is_same: Callable[[str, str], bool] = lambda old, new: False,
) -> dict[str, str]:
    """Path of the later run -> path of the earlier one that means the same place, for paths that only one run has.

    Where several have one shape they go by their order, if both runs have as many and the order means something; else
    those whose content is the same on both sides go together (`is_same` says so of an old and a new path).
    """
    old, new = set(before), set(after)
    groups: dict[str, tuple[list[str], list[str]]] = {}
    sides = ((old - new, known.then), (new - old, known.now))
    for side, (paths, traces) in enumerate(sides):
        for path in paths:
            form = shape(path, traces)
            if form != path:
                groups.setdefault(form, ([], []))[side].append(path)
    pairs: dict[str, str] = {}
    for form, (first, second) in groups.items():
        first, second = sorted(first, key=in_order), sorted(second, key=in_order)
        found = in_pairs(first, second, is_same, is_ordered=_HELD not in form)
        pairs.update((later, earlier) for earlier, later in found if counts_on(earlier, later))
    return pairs


def in_pairs(
    first: Sequence[str], second: Sequence[str], is_same: Callable[[str, str], bool], is_ordered: bool
) -> Iterator[tuple[str, str]]:
    """Those of two sorted groups of one shape that belong together."""
    if len(first) == len(second) and (is_ordered or len(first) == 1):
        yield from zip(first, second, strict=True)
        return
    rest = list(second)
    alone = []
    for one in first:
        alike = [other for other in rest if is_same(one, other)]
        if alike:
            rest.remove(alike[0])
            yield one, alike[0]
        else:
            alone.append(one)
    if len(first) == len(second) and len(alone) == 1:
        yield alone[0], rest[0]


def counts_on(old: str, new: str) -> bool:
    """Can the numbers of the later path's directories be those that counting up gave? On an empty machine they begin
    again, with 0 or 1; where the old ones lie they go on, and then only a name that is known to count is believed."""
    for before, after in zip(old.split("/")[:-1], new.split("/")[:-1]):
        before, after = _TIMES.sub("#", before), _TIMES.sub("#", after)
        first, second = _COUNTER.search(before), _COUNTER.search(after)
        if first is None or second is None or first[0] == second[0]:
            continue
        was, now = int(first[0]), int(second[0])
        begins_again = now <= min(was, 1) and _VALUE.fullmatch(after[: second.start()]) is None
        goes_on = now > was and _COUNTS_ON.fullmatch(after[: second.start()]) is not None
        if not begins_again and not goes_on:
            return False
    return True


def in_order(path: str) -> list[tuple[int, str]]:
    """Sort key by which 10 comes after 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]

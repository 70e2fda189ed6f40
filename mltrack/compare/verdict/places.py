"""Paths of two runs that mean the same place: a time of the run, its host, a process id or a counter differs. Pure.

`outputs/2026-01-02/10-30-00/model.bin` is in the next run `outputs/2026-01-03/08-00-00/model.bin`, and where a
framework's log directory counts up (`version_3/`) an empty machine begins again.
A time counts as the run's own only if the run ran then: `report_2019.csv` is about a year, and so is `v01.02.03` no
time of day. A number is a counter or a process id only behind a word that says so. What is not certain is not paired:
it is missing on one side and extra on the other.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import gmtime
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.records import Run

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = r"(?<!\d)(?P<year>(?:19|20)\d\d)[-_.]?(?P<month>[01]\d)[-_.]?(?P<day>[0-3]\d)"
_TIMES = lazy(
    rf"{_DATE}(?:[-_T ]?(?P<clock>[0-2]\d[-_.:h]?[0-5]\d(?:[-_.:m]?[0-6]\d)?))?(?:[.,_]\d+)?Z?(?!\d)"
    r"|(?<!\d)(?P<bare>[0-2]\d[-_.:h][0-5]\d[-_.:m][0-6]\d)(?:[.,_]\d+)?(?!\d)"
    r"|(?<!\d)(?P<unix>1\d{9})(?:\d{3}|\d{6})?(?:\.\d+)?(?!\d)"
    rf"|(?P<named>{'|'.join(_MONTHS)})(?P<of_month>[0-3]\d)(?=_)"
)
_COUNTER = lazy(r"((?:^|.*[-_.])(?:version|run|exp|train|predict|val)[-_]?|.*-v\d+_)(\d+)")
"""Names of directories that frameworks count up: `version_3`, `exp2`, `CartPole-v1_3`."""
_EVENTS = lazy(r"events\.out\.tfevents\..*")
_HOST = lazy(r"(#_#)_.*")
"""TensorBoard's own names for a log end in the host's: `Jan02_10-30-00_host`."""
_PID = lazy(r"((?:^|[-_.])(?:pid[-_.]?|(?:nohup|worker|proc|process)[-_.]?|core\.))(\d{3,7})(?=[-_.]|$)")
_HELD = "\0"
"""Stands for a process id in a shape; no path has it."""

DAY = 86400
SLACK_S = 120.0
"""A time is that of a run from so long before its start to so long after its end."""

LEAST_HOST = 3
"""Letters of a host's name below which it may be any word."""


@noun
class Traces:
    """What is known of a run that its paths may hold: its hosts' names, when it ran (unix seconds), and by which
    clocks: seconds east of universal time."""

    hosts: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    zones: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, run: Run) -> Traces:
        names = {run.host, run.host.partition(".")[0]} if run.host else set()
        hosts = sorted((name for name in names if len(name) >= LEAST_HOST), key=len, reverse=True)
        start = seconds(run.started_at or run.created_at)
        end = None if start is None or run.duration_s is None else start + run.duration_s
        return cls(tuple(hosts), start, end, zones_of(run, start))


def zones_of(run: Run, at: float | None) -> tuple[int, ...]:
    """Universal time, and the run's own zone where that is known."""
    name = run.environment.variables.get("TZ", "").lstrip(":") or run.origin.get("time_zone")
    if not isinstance(name, str) or at is None:
        return (0,)
    from datetime import datetime
    from zoneinfo import ZoneInfo

    try:
        offset = datetime.fromtimestamp(at, ZoneInfo(name)).utcoffset()
    except (OSError, ValueError, KeyError):  # a zone that is not known here
        return (0,)
    own = 0 if offset is None else int(offset.total_seconds())
    return (0, own) if own else (0,)


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
    """A path without the times of its run, hosts and process ids, and without the numbers of directories that count.

    One with a time at which the run did not run is its own shape.
    """
    times = list(_TIMES.finditer(path))
    if times and not any(all(is_of_run(found, traces, zone) for found in times) for zone in traces.zones):
        return path
    *directories, name = path.split("/")
    kept = [_counted(_HOST.sub(r"\1", bare(part, traces))) for part in directories]
    return "/".join([*kept, _EVENTS.sub("events#", _PID.sub(rf"\1{_HELD}", bare(name, traces)))])


def _counted(part: str) -> str:
    found = _COUNTER.fullmatch(part)
    return part if found is None else f"{found[1]}#"


def bare(part: str, traces: Traces) -> str:
    """A part of a path without its times and the names of its host."""
    part = _TIMES.sub("#", part)
    for host in traces.hosts:
        part = re.sub(rf"(?<![A-Za-z0-9]){re.escape(host)}(?![A-Za-z0-9])", "#host", part)
    return part


def is_of_run(found: re.Match[str], traces: Traces, zone: int) -> bool:
    """Can a time in a path be one of the run, by a clock so many seconds east? Not if nobody knows when it ran."""
    if traces.start is None:
        return False
    low = traces.start - SLACK_S
    high = max(low, traces.start if traces.end is None else traces.end) + SLACK_S
    if found["unix"] is not None:
        return low <= float(found["unix"]) <= high
    low, high = low + zone, high + zone
    clock = of_clock(found["clock"] or found["bare"])
    if found["bare"] is not None:
        return clock is not None and (clock[0] - low) % DAY <= high - low
    day = day_of(found, gmtime(low).tm_year, gmtime(high).tm_year)
    if clock is None:
        return found["clock"] is None and any(low // DAY <= one // DAY <= high // DAY for one in day)
    return any(one + clock[0] <= high and one + clock[0] + clock[1] > low for one in day)


def of_clock(text: str | None) -> tuple[int, int] | None:
    """Seconds since midnight of `10-30-00`, and how many seconds a reading without them lasts; None if it is none."""
    digits = re.findall(r"\d\d", text or "")
    if len(digits) < 2:
        return None
    hour, minute, second = (*map(int, digits[:2]), int(digits[2]) if len(digits) > 2 else 0)
    return None if hour > 23 or second > 60 else (hour * 3600 + minute * 60 + second, 1 if len(digits) > 2 else 60)


def day_of(found: re.Match[str], *years: int) -> list[int]:
    """The midnights that a date in a path means; a name of a month may be of several years."""
    if found["named"] is not None:
        month, day = _MONTHS.index(found["named"]) + 1, int(found["of_month"])
    else:
        month, day, years = int(found["month"]), int(found["day"]), (int(found["year"]),)
    return [timegm((year, month, day, 0, 0, 0)) for year in years if 1 <= month <= 12 and 1 <= day <= 31]


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
    """Can the numbers of the later path's directories be those that counting up gave on an empty machine, where they
    begin again with 0 or 1?"""
    for before, after in zip(old.split("/")[:-1], new.split("/")[:-1]):
        first, second = _COUNTER.fullmatch(before), _COUNTER.fullmatch(after)
        if first is None or second is None or int(first[2]) == int(second[2]):
            continue
        if _TIMES.search(before) is None and int(second[2]) > min(int(first[2]), 1):
            return False
    return True


def in_order(path: str) -> list[tuple[int, str]]:
    """Sort key by which 10 comes after 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]

"""Times in texts: which characters of a line are a clock's reading, and whether two readings may differ.

A reading may differ only if both lie within their runs: any other time is data. One without its zone is in universal
time or in the run's own zone, and all of one file and side in the same. Where nobody knows when a run was, only what
begins a line of a log is its reading. Durations are no readings: of a bare `10:30:00` only what begins a line or
follows `[`, `at` or a level is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.compare.comparators import Side

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_BRIEFS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_MONTH = f"(?P<month>{_MONTHS}|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_BRIEF = "(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_WEEKDAY = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday),? )?"
_FRACTION = r"(?:\.\d{1,9}|,\d{3}(?=[\s\])|:-]))?"
"""A comma only as Python's logging has it: elsewhere the next value of a row follows it."""
_HOUR, _MINUTE, _SECOND = r"(?P<hour>[01]\d|2[0-3])", r"(?P<minute>[0-5]\d)", r"(?P<second>[0-6]\d)"
_CLOCK = rf"{_HOUR}:{_MINUTE}:{_SECOND}{_FRACTION}"
_HALF = r"(?: ?(?P<half>[AaPp])\.?[Mm]\b\.?)"
_SHORT = rf"(?P<hour>[01]?\d|2[0-3]):{_MINUTE}(?::{_SECOND}{_FRACTION})?{_HALF}?"
"""As people write it: the hour of one digit, without seconds, of twelve hours."""
_NAMES = "UTC|GMT|CET|CEST|EST|EDT|CST|CDT|MST|MDT|PST|PDT|BST|IST|JST|KST|MSK|HKT|SGT|WET|WEST|EET|EEST|AEST|AEDT"
_ZONE = rf"(?:(?P<zone>Z|[ ]?[+-](?:0\d|1[0-4]):?[0-5]\d|[ ](?:{_NAMES}))(?![A-Za-z0-9]))"
_YEAR, _NUMBER, _DAY = r"(?P<year>(?:19|20)\d\d)", r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
_DATE = rf"{_YEAR}(?P<daysep>[-/]){_NUMBER}(?P=daysep){_DAY}"
_LOOSE = rf"{_HOUR}(?:(?P<clocksep>[-:_.]){_MINUTE}(?P=clocksep){_SECOND}{_FRACTION}|:(?P<minutes>[0-5]\d){_HALF}?)"
_COMPACT = rf"{_YEAR}{_NUMBER}{_DAY}[T_-]{_HOUR}{_MINUTE}{_SECOND}"
_APART = r"(?<![A-Za-z0-9.])"
_LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "TRACE")
_AFTER_LEVEL = "|".join(f"(?<=^{level}:)" for level in _LEVELS)

FORMS = {
    "iso": rf"{_APART}{_DATE}(?:(?:[T_/@-]|--?| {{1,2}}){_LOOSE}{_ZONE}?)?(?![A-Za-z0-9%]|[.:/]\d)",
    "stamp": rf"{_APART}{_COMPACT}(?:\.\d{{1,9}})?(?P<zone>Z)?(?![A-Za-z0-9%]|[.:]\d)",
    "american": rf"(?<![\w./-])(?P<month>0?[1-9]|1[0-2])/(?P<day>0?[1-9]|[12]\d|3[01])/(?P<year>20\d\d|\d\d)"
    rf"(?:,? |T){_SHORT}{_ZONE}?(?![\w%]|[.:/]\d)",
    "mail": rf"(?<!\w){_WEEKDAY}(?P<day>[0-3]?\d) {_MONTH},? {_YEAR}(?:,? {_SHORT}{_ZONE}?)?(?!\w|:\d)",
    "web": rf"(?<!\w){_DAY}/{_BRIEF}/{_YEAR}:{_CLOCK}{_ZONE}?(?!\w)",
    "ctime": rf"(?<!\w){_WEEKDAY}{_MONTH} (?P<day>[ 0-3]?\d) {_CLOCK}(?:{_ZONE})?(?: {_YEAR})?(?!\w)",
    "words": rf"(?<!\w){_WEEKDAY}{_MONTH} (?P<day>[0-3]?\d)(?:st|nd|rd|th)?,? {_YEAR}"
    rf"(?:,?(?: at)? {_SHORT}{_ZONE}?)?(?!\w|:\d)",
    "named": rf"{_APART}{_BRIEF}(?P<day>[0-3]\d)_{_HOUR}-{_MINUTE}-{_SECOND}(?![A-Za-z0-9])",
    "glog": rf"(?<=^[IWEF]){_NUMBER}(?P<day>[0-3]\d) {_CLOCK}(?: +\d+(?= ))?",
    "clock": rf"(?:^|(?<=\[)|(?<=^\()|(?<= at )|{_AFTER_LEVEL}){_CLOCK}{_HALF}?(?=[\] )|,-]|:(?!\d))(?! ?<)",
}
"""Name -> pattern of a reading. Both sides must have the same form. The names of the groups are those of its parts."""

HINTS = {
    "iso": lazy(r"(?:19|20)\d\d[-/][01]\d[-/]"),
    "stamp": lazy(r"(?:19|20)\d{6}[T_-]\d{6}"),
    "american": lazy(r"\d/\d\d?/\d\d"),
    "mail": lazy(rf"\d {_MONTH},? \d"),
    "web": lazy(rf"/{_BRIEF}/"),
    "ctime": lazy(rf"{_MONTH} [ 0-3]?\d "),
    "words": lazy(rf"{_MONTH} [0-3]?\d(?:st|nd|rd|th)?,? \d"),
    "named": lazy(rf"{_BRIEF}\d\d_"),
    "glog": lazy(r"^[IWEF][01]\d[0-3]\d "),
    "clock": lazy(r"\d:[0-5]\d:"),
    "unix": lazy(r"1\d{9}"),
}
"""Name -> what is quickly found where there is such a reading."""

_LABEL = (
    r"(?:time|ts|t0|date|timestamp|created|updated|modified|started|finished|start|end|mtime|when|now)"
    r"(?:[_-]?(?:at|on|time|timestamp|stamp|date|utc|secs|seconds|ms))?"
)
_SINCE_1970 = r"1\d{9}(?:\d{3}){0,3}(?:\.\d+)?"
UNIX = rf"(?i:(?<![A-Za-z]){_LABEL})[\"']?\s{{0,2}}[:=]?\s{{0,2}}[\"']?(?P<unix>{_SINCE_1970})(?![\w.])"
"""Seconds (or thousandths, millionths, billionths) since 1970, where the text says that it is a time."""
_LABELLED = lazy(rf"(?i:.*(?<![A-Za-z]){_LABEL})")
_UNIX_NUMBER = lazy(_SINCE_1970)
_LEAD = lazy(rf"[\s\[(<]*(?:(?:{'|'.join(_LEVELS)})[\s\[\]():|-]{{1,4}}|[IWEF])?", re.IGNORECASE)
"""What stands before the time that begins a line of a log."""

_SLACK = 10.0
"""Seconds by which a run's own clock may differ from that of mltrack."""
_A_DAY = 86400.0

Span = tuple[float, float]
"""Unix seconds: from a reading's first moment to its last, as exact as it is."""


class Clock:
    """The readings of one file on one side, and in which zones all of them can be."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.zones = zones_of(side.zone)

    def may_show(self, form: str, text: str, place: tuple[int, int], lines: bool = False) -> bool:
        """May the reading at this place of a text be one while the run went on? `lines`: the text is a line."""
        if self.side.began is None or self.side.ended is None:
            return lines and form != "unix" and begins_log_line(text[: place[0]])
        if form == "unix":
            return self._is_within(in_seconds(text[slice(*place)]))
        found = _reader(form).match(text, place[0])
        parts = found.groupdict() if found else {}
        fitting = tuple(zone for zone in self.zones if any(map(self._is_within, moments(parts, zone, self.side))))
        self.zones = fitting or self.zones
        return bool(fitting)

    def _is_within(self, span: Span) -> bool:
        began, ended = self.side.began, self.side.ended
        return began is not None and ended is not None and began - _SLACK <= span[1] and span[0] <= ended + _SLACK


def begins_log_line(before: str) -> bool:
    """Does a time after this text begin a line of a log?"""
    return len(before) < 20 and _LEAD.fullmatch(before) is not None


def is_labelled_time(label: str, a: str, b: str) -> bool:
    """Are the values of a cell or key with this name times since 1970, in the same unit?"""
    if not (_LABELLED.fullmatch(label) and _UNIX_NUMBER.fullmatch(a) and _UNIX_NUMBER.fullmatch(b)):
        return False
    return len(a.partition(".")[0]) == len(b.partition(".")[0])


def in_seconds(text: str) -> Span:
    """A number since 1970, whatever its unit: told by the digits before its point."""
    digits = len(text.partition(".")[0])
    at = float(text) / float(10 ** (digits - 10))
    return at, at + 1


@lru_cache(maxsize=16)
def zones_of(name: str | None) -> tuple[tzinfo, ...]:
    """The zones that times without one can be in: universal time, and the run's own if it is known."""
    from zoneinfo import ZoneInfo

    try:
        own = None if name in (None, "UTC") else ZoneInfo(str(name))
    except (ValueError, OSError, KeyError):
        own = None  # a zone that this machine does not know
    return (timezone.utc,) if own is None else (timezone.utc, own)


def moments(parts: Mapping[str, str | None], zone: tzinfo, side: Side) -> Iterator[Span]:
    """What the parts of a reading in this zone may stand for; nothing for a day that does not exist.

    One without a year, or without a day, is of each year or day of the run.
    """
    offset = offset_of(parts.get("zone")) or zone
    for year, month, day in days_of(parts, offset, side):
        hour, minute = hour_of(parts), parts.get("minute") or parts.get("minutes")
        lasts = 1.0 if parts.get("second") else 60.0 if minute else _A_DAY
        try:
            at = datetime(year, month, day, hour, int(minute or 0), min(int(parts.get("second") or 0), 59))
            start = at.replace(tzinfo=offset).timestamp()
        except (ValueError, OverflowError):
            continue
        yield start, start + lasts


def days_of(parts: Mapping[str, str | None], zone: tzinfo, side: Side) -> Iterator[tuple[int, int, int]]:
    """(year, month, day) that a reading tells, or may mean: those of the run where it tells none."""
    year, month, day = parts.get("year"), parts.get("month"), parts.get("day")
    number = month and (int(month) if month.isdigit() else _BRIEFS.index(month[:3]) // 3 + 1)
    if year and number and day:
        yield int(year) + (2000 if len(year) == 2 else 0), number, int(day)
        return
    began, ended = (datetime.fromtimestamp(at or 0, zone) for at in (side.began, side.ended))
    if number and day:
        yield from ((each, number, int(day)) for each in {began.year, ended.year})
        return
    yield from {(at.year, at.month, at.day) for at in (began, min(ended, began + timedelta(days=1)))}


def hour_of(parts: Mapping[str, str | None]) -> int:
    hour, half = int(parts.get("hour") or 0), parts.get("half")
    if half is None:
        return hour
    return hour % 12 + (12 if half in "Pp" else 0) if 1 <= hour <= 12 else 24


@lru_cache(maxsize=32)
def _reader(form: str) -> re.Pattern[str]:
    return re.compile(FORMS[form])


def offset_of(zone: str | None) -> timezone | None:
    name = (zone or "").strip()
    if name in ("Z", "UTC", "GMT"):
        return timezone.utc
    if name[:1] not in ("+", "-"):
        return None
    minutes = int(name[1:3]) * 60 + int(name[-2:])
    return timezone(timedelta(minutes=minutes if name[0] == "+" else -minutes))

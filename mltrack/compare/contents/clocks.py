"""Times in texts: which characters of a line are a clock's reading, and whether two readings may differ.

A reading may differ only if both lie within their runs, where it is known when those ran: any other time is data.
Durations are no readings: of a bare `10:30:00` only what begins a line or follows `[` or `at` is one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.compare.comparators import Side

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_FRACTION = r"(?:\.\d{1,9}|,\d{3}(?=[\s\])|:-]))?"
"""A comma only as Python's logging has it: elsewhere the next value of a row follows it."""
_CLOCK = rf"(?:[01]\d|2[0-3]):[0-5]\d:[0-6]\d{_FRACTION}"
_NAMES = "UTC|GMT|CET|CEST|EST|EDT|CST|CDT|MST|MDT|PST|PDT|BST|IST|JST|KST|MSK|HKT|SGT|WET|WEST|EET|EEST|AEST|AEDT"
_ZONE = rf"(?:(?:Z|[ ]?[+-](?:0\d|1[0-4]):?[0-5]\d|[ ](?:{_NAMES}))(?![A-Za-z0-9]))"
_DATE = r"(?:19|20)\d\d(?P<daysep>[-/])(?:0[1-9]|1[0-2])(?P=daysep)(?:0[1-9]|[12]\d|3[01])"
_LOOSE = rf"(?:[01]\d|2[0-3])(?P<clocksep>[-:_.])[0-5]\d(?P=clocksep)[0-6]\d{_FRACTION}"
_COMPACT = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[T_-](?:[01]\d|2[0-3])[0-5]\d[0-6]\d"
_APART = r"(?<![A-Za-z0-9.])"

FORMS = {
    "iso": rf"{_APART}{_DATE}(?:(?:[T_/@-]|--?| {{1,2}}){_LOOSE}{_ZONE}?)?(?![A-Za-z0-9%]|[.:/]\d)",
    "stamp": rf"{_APART}{_COMPACT}(?:\.\d{{1,9}})?Z?(?![A-Za-z0-9%]|[.:]\d)",
    "mail": rf"(?<!\w)(?:{_DAY}, )?[0-3]?\d {_MONTH} (?:19|20)\d\d {_CLOCK}{_ZONE}?(?!\w)",
    "web": rf"(?<!\w)[0-3]\d/{_MONTH}/(?:19|20)\d\d:{_CLOCK}{_ZONE}?(?!\w)",
    "ctime": rf"(?<!\w)(?:{_DAY} )?{_MONTH} [ 0-3]?\d {_CLOCK}(?:{_ZONE})?(?: (?:19|20)\d\d)?(?!\w)",
    "named": rf"{_APART}{_MONTH}[0-3]\d_(?:[01]\d|2[0-3])-[0-5]\d-[0-6]\d(?![A-Za-z0-9])",
    "glog": rf"(?<=^[IWEF])(?:0[1-9]|1[0-2])[0-3]\d {_CLOCK}(?: +\d+(?= ))?",
    "clock": rf"(?:(?:^|(?<=\[)|(?<=^\()|(?<= at )){_CLOCK})(?=[\] )|,-])(?! ?<)",
}
"""Name -> pattern of a reading. Both sides must have the same form."""

HINTS = {
    "iso": lazy(r"(?:19|20)\d\d[-/][01]\d[-/]"),
    "stamp": lazy(_COMPACT),
    "mail": lazy(rf"\d {_MONTH} "),
    "web": lazy(rf"/{_MONTH}/"),
    "ctime": lazy(rf"{_MONTH} [ 0-3]?\d "),
    "named": lazy(rf"{_MONTH}\d\d_"),
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
_NUMBER = lazy(_SINCE_1970)

_SLACK = 120.0
_TICK = 5.0
_ANYWHERE = 15 * 3600.0
"""Seconds by which a time without its zone may lie beside the run's, in universal time."""
_QUARTER = 900.0
"""Zones differ by quarters of an hour: that is all that a clock without a date tells."""
_ZONE_IN = lazy(rf"(?<=\d){_ZONE}(?=$| \d{{4}}$)")
_PARTS = lazy(r"\d\d")


def may_be(form: str, text: str, side: Side) -> bool:
    """May this reading be of a clock while the run went on? True where nobody knows when it did."""
    if side.began is None:
        return True
    if form == "unix":
        return _is_within(in_seconds(text), side, _SLACK)
    if form in ("clock", "glog"):
        return _is_quarter(text, side)
    found = moment(form, text, side)
    if found is None:
        return False
    at, has_zone, has_clock = found
    slack = (_SLACK if has_zone else _ANYWHERE) + (0 if has_clock else 86400)
    return _is_within(at, side, slack)


def is_labelled_time(label: str, a: str, b: str) -> bool:
    """Are the values of a cell or key with this name times since 1970, in the same unit?"""
    if not (_LABELLED.fullmatch(label) and _NUMBER.fullmatch(a) and _NUMBER.fullmatch(b)):
        return False
    return len(a.partition(".")[0]) == len(b.partition(".")[0])


def in_seconds(text: str) -> float:
    """A number since 1970, whatever its unit: told by the digits before its point."""
    digits = len(text.partition(".")[0])
    return float(text) / float(10 ** (digits - 10))


def moment(form: str, text: str, side: Side) -> tuple[float, bool, bool] | None:
    """(Unix seconds, is the zone known, is there a clock) of a reading; None for a day that does not exist."""
    zone = _ZONE_IN.search(text) if len(text) > 11 else None
    offset = _offset(zone[0].strip()) if zone else None
    bare = text[: zone.start()] + text[zone.end() :] if zone else text
    made = _from_digits(bare) if form in ("iso", "stamp") else _from_words(bare, side)
    if made is None:
        return None
    return made.replace(tzinfo=offset or timezone.utc).timestamp(), offset is not None, len(text) > 11


def _from_digits(text: str) -> datetime | None:
    digits = [int(part) for part in _PARTS.findall(text)]
    hour, minute, second = digits[4:7] or (0, 0, 0)
    try:
        return datetime(digits[0] * 100 + digits[1], digits[2], digits[3], hour, minute, min(second, 59))
    except ValueError:
        return None


def _from_words(text: str, side: Side) -> datetime | None:
    clock = re.search(r"(?<!\d)(\d\d)[:-](\d\d)[:-](\d\d)", text)
    month, year = re.search(_MONTH, text), re.search(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)
    day = re.search(rf"(?<!\d)(\d\d?)(?=[ /]{_MONTH})|(?<={month[0] if month else '!'})[ ]{{0,2}}(\d\d?)", text)
    if clock is None or month is None or day is None:
        return None
    # Without a year it is the run's: of a year's last night the wrong one, and then a difference.
    in_year = int(year[0]) if year else datetime.fromtimestamp(side.began or 0, timezone.utc).year
    number = "JanFebMarAprMayJunJulAugSepOctNovDec".index(month[0]) // 3 + 1
    try:
        return datetime(in_year, number, int(day[1] or day[2]), int(clock[1]), int(clock[2]), min(int(clock[3]), 59))
    except ValueError:
        return None


def _offset(zone: str) -> timezone | None:
    if zone in ("Z", "UTC", "GMT"):
        return timezone.utc
    if zone[0] not in "+-":
        return None
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return timezone(timedelta(minutes=minutes if zone[0] == "+" else -minutes))


def _is_within(at: float, side: Side, slack: float) -> bool:
    assert side.began is not None
    return side.began - slack <= at and (side.ended is None or at <= side.ended + slack)


def _is_quarter(text: str, side: Side) -> bool:
    assert side.began is not None
    found = re.search(r"\d\d:(\d\d):(\d\d)", text)
    if found is None:
        return False
    if side.ended is None or side.ended - side.began + 2 * _TICK >= _QUARTER:
        return True
    since = (int(found[1]) * 60 + int(found[2]) - (side.began - _TICK)) % _QUARTER
    return since <= side.ended - side.began + 2 * _TICK

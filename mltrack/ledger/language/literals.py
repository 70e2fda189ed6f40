"""Values as they are typed: numbers, sizes, durations, times, versions. Pure; "now" is given."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from mltrack.digest import canonical_json
from mltrack.ledger.language.fields import BOOL, DURATION, SIZE, TIME, Field
from mltrack.ledger.language.tree import Literal

LARGEST = 1 << 63
MOST_DIGITS = 300
DIGITS = r"(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NUMBER = re.compile(rf"[+-]?{DIGITS}", re.ASCII)
AMOUNT = re.compile(rf"({DIGITS})\s*([a-zA-Z]+)", re.ASCII)
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
SIZES = {"b": 1, **{f"{letter}{end}": base**power for power, letter in enumerate("kmgtp", 1)
                    for end, base in (("", 1000), ("b", 1000), ("ib", 1024))}}  # fmt: skip
SECONDS = {
    **dict.fromkeys(("us", "µs"), 1e-6),
    "ms": 1e-3,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
}
DATE = re.compile(
    r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[Tt ](\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?)?)?"
    r"\s*(Z|z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
EXPECTED = {
    TIME: 'expected a time: 2026-11-01, "2026-11-01 12:00", -2d, "2 days ago", today, yesterday',
    DURATION: "expected a duration: 90, 30s, 1.5h, 2d",
    SIZE: "expected a size: 1500, 10MB, 1GiB",
    BOOL: "expected true or false",
}


def read(text: str, field: Field, now: datetime) -> Literal | None:
    """The literal, read as its field needs it; None when it cannot be."""
    if field.kind == TIME:
        span = read_time(text, now)
        return None if span is None else Literal(text, span=span)
    if field.kind == BOOL:
        truth = read_truth(text)
        return None if truth is None else Literal(text, truth=truth)
    units = {DURATION: SECONDS, SIZE: SIZES}.get(field.kind, {})
    number = read_number(text)
    if number is None and units:
        number = read_amount(text, units)
    return Literal(text, number, read_truth(text), listed=read_list(text))


def read_number(text: str) -> int | float | None:
    """`3`, `1e-3`, `1_000`, `-inf`, `nan`. Integers beyond 64 bits become floats, as in the ledger."""
    sign = -1 if text.startswith("-") else 1
    word = text.lstrip("+-").lower() if text[:1] in ("+", "-") else text.lower()
    if word in NOT_FINITE:
        return sign * NOT_FINITE[word]
    if len(text) > MOST_DIGITS or not NUMBER.fullmatch(text):  # the length first: the pattern's time is its square
        return None
    try:
        return small(int(text))
    except ValueError:
        return float(text)


def small(number: int) -> int | float:
    """The number as SQLite can hold it."""
    if -LARGEST <= number < LARGEST:
        return number
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def read_amount(text: str, units: dict[str, int] | dict[str, float] | dict[str, int | float]) -> float | None:
    """`1.5h`, `1h30m`, `10 MiB` in the smallest unit; a sign may stand in front."""
    rest, total = text.strip(), 0.0
    sign = -1 if rest.startswith("-") else 1
    rest = rest[1:] if rest[:1] in ("+", "-") else rest
    if not rest or len(rest) > MOST_DIGITS:
        return None
    while rest:
        match = AMOUNT.match(rest)
        if match is None or match[2].lower() not in units:
            return None
        total += float(match[1]) * units[match[2].lower()]
        rest = rest[match.end() :].lstrip()
    return sign * total


def read_truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def read_list(text: str) -> str | None:
    """`[1, 2]` as records write it; None for what is no list or table."""
    if text[:1] not in ("[", "{"):
        return None
    try:
        return canonical_json(json.loads(text)).decode()
    except (ValueError, RecursionError):
        return None


def read_time(text: str, now: datetime) -> tuple[str, str] | None:
    """The first microsecond of a time and the first one behind it: a date is a whole day, `-2d` a moment.

    Without a zone it is in that of this machine.
    """
    word = text.strip().lower()
    try:
        if word in ("today", "yesterday"):
            day = now.astimezone().replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
            day -= timedelta(days=word == "yesterday")
            return stamp(day), stamp(day + timedelta(days=1))
        if word == "now":
            return moment(now)
        if word.endswith(" ago") and word[:1].isdigit():
            word = f"-{word.removesuffix(' ago')}"
        if word[:1] in ("-", "+"):
            seconds = read_amount(word, SECONDS)
            return None if seconds is None else moment(now + timedelta(seconds=seconds))
        match = DATE.fullmatch(text.strip())
        return None if match is None else read_date(match)
    except (ValueError, OverflowError):
        return None


def read_date(match: re.Match[str]) -> tuple[str, str]:
    """Raises ValueError or OverflowError for a day that is none."""
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    start = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))
    start = start.replace(microsecond=int((fraction or "0").ljust(6, "0")))
    if month is None:
        end = start.replace(year=start.year + 1)
    elif day is None:
        end = (start + timedelta(days=31)).replace(day=1)
    elif hour is None:
        end = start + timedelta(days=1)
    else:
        end = start + (
            timedelta(minutes=1)
            if second is None
            else timedelta(seconds=1)
            if fraction is None
            else timedelta(microseconds=1)
        )
    where = zone_of(zone)
    return stamp(start.replace(tzinfo=where)), stamp(end.replace(tzinfo=where))


def zone_of(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in ("Z", "z"):
        return timezone.utc
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def moment(at: datetime) -> tuple[str, str]:
    return stamp(at), stamp(at + timedelta(microseconds=1))


def stamp(at: datetime) -> str:
    """A time as records write it; one without a zone is local."""
    return at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


VERSION = re.compile(r"\s*[vV]?(\d{1,9}(?:\.\d{1,9}){0,9})", re.ASCII)


def version_order(found: object, wanted: object) -> int | None:
    """-1, 0 or 1: is a version before, at or behind another? Only as many parts are looked at as are asked for, so
    that 3.11.7 is at 3.11. None where one of them does not begin with a number."""
    a = VERSION.match(found) if isinstance(found, str) else None
    b = VERSION.match(wanted) if isinstance(wanted, str) else None
    if a is None or b is None:
        return None
    right = [int(part) for part in b[1].split(".")]
    left = [int(part) for part in a[1].split(".")][: len(right)]
    left += [0] * (len(right) - len(left))
    return (left > right) - (left < right)


def version_key(text: object) -> str | None:
    """What a version sorts by; None of what does not begin with a number."""
    match = VERSION.match(text) if isinstance(text, str) else None
    return None if match is None else ".".join(part.zfill(9) for part in match[1].split("."))


HOLDS: dict[str, Callable[[int | float, int | float], bool]] = {
    "=": lambda a, b: a == b or (a != a and b != b),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
"""The comparisons of numbers; NaN is equal to itself only, and in no order."""

NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Numbers that JSON cannot say, by the texts that stand for them."""

"""What people write into the fields of a record, as a run has it: commands, times, params, metrics.

Pure. What can be meant in one way only is taken so; the rest is refused, never dropped in silence.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from mltrack.operations.exchange.refused import Refused

NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Numbers that JSON cannot say, by the texts that stand for them in records."""

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
LONGEST = 400
"""Characters of a number that is written as a text."""

METRIC_PARTS = ("last", "min", "max", "count", "last_step")


def words_of(command: Any) -> Any:
    """A command as its words; a text as a shell would read it."""
    if not isinstance(command, str):
        return command
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def times_of(made: Mapping[str, Any]) -> dict[str, Any]:
    """The times in our form; what is not given follows from the others where it can. Raises Refused."""
    found = {name: moment(made.get(name), name) for name in ("created_at", "started_at", "finished_at")}
    first = next((text for text in found.values() if text), None)
    found["created_at"] = found["created_at"] or first or ""
    times: dict[str, Any] = {name: text for name, text in found.items() if text is not None}
    if "duration_s" not in made and found["started_at"] and found["finished_at"]:
        took = read_moment(found["finished_at"]) - read_moment(found["started_at"])
        times["duration_s"] = max(took.total_seconds(), 0.0)
    return times


def moment(value: Any, name: str) -> str | None:
    """ISO 8601, or seconds since 1970, as ISO 8601 in UTC with microseconds; a time without a zone is UTC."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, timezone.utc)
        else:
            found = read_moment(value)
        found = found.replace(tzinfo=found.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError, OSError, AttributeError):
        raise Refused(f"its {name} {str(value)[:40]!r} is no time", "Such as 2026-11-21T01:02:03Z.") from None
    if found.year < 1000:
        raise Refused(f"its {name} {str(value)[:40]!r} is before the year 1000", "Such as 2026-11-21T01:02:03Z.")
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def flat_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params with flat names: `{"model": {"depth": 3}}` is `model.depth`. Raises Refused where two get one name."""
    made: dict[str, Any] = {}
    for name, value in flattened(params):
        if name in made:
            raise Refused(f"its params say {name[:60]!r} twice, once as a table", "Which one is meant? Leave one.")
        made[name] = value
    return made


def flattened(params: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def summary_of(name: str, value: Any) -> dict[str, Any]:
    """A metric; a number alone is its last value, and the only one. Raises Refused."""
    given = value if isinstance(value, Mapping) else {"last": value}
    unknown = next((part for part in given if part not in METRIC_PARTS), None)
    if unknown is not None or given.get("last") is None:
        what = "has no last value" if unknown is None else f"has a part {unknown[:40]!r}, which none has"
        raise Refused(f"its metric {name[:60]!r} {what}", f"Parts: {', '.join(METRIC_PARTS)}.")
    last = number_of(name, given["last"])
    made = {"last": last, "min": last, "max": last, "count": 1, "last_step": None}
    for part, text in given.items():
        if text is not None:
            made[part] = text if part == "count" else number_of(name, text)
    check_summary(name, made)
    return made


def check_summary(name: str, made: Mapping[str, Any]) -> None:
    """Refuse what no points come to. NaN is never a minimum or maximum, and of points that all are there is none."""
    count = made["count"]
    last, low, high = (NOT_FINITE.get(made[part], made[part]) for part in ("last", "min", "max"))
    if type(count) is not int or count < 1:
        raise Refused(f"its metric {name[:60]!r} has {str(count)[:40]} points", "`count` is 1 or more.")
    if low > high or (not is_nan(last) and (last < low or last > high)):
        raise Refused(
            f"its metric {name[:60]!r} has a last value, a min and a max that cannot be together",
            "Leave out what is not known of them.",
        )


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def number_of(name: str, value: Any) -> int | float | str:
    """A number, also one in a text; NaN and the infinities may be texts by those names. Raises Refused."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value in NOT_FINITE:
        return value
    text = value.strip() if isinstance(value, str) else ""
    if len(text) <= LONGEST and NUMBER.fullmatch(text):
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
        if math.isfinite(number):
            return number
    raise Refused(
        f"its metric {name[:60]!r} is {str(value)[:40]!r}, which is no number",
        "A metric is a number, or one of the texts NaN, Infinity and -Infinity. Words are params or notes.",
    )

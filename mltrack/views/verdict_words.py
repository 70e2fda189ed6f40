"""A verdict in words: the sentence it begins with, the few words of a list, and what to do next. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from mltrack.compare.changes import as_number, metric_number
from mltrack.compare.differences import LIBRARIES
from mltrack.compare.verdict.grades import (
    COULD_NOT_RUN,
    DIFFERENT,
    GRADES,
    IDENTICAL,
    NOTHING_TO_COMPARE,
    WITHIN_NOISE,
    WITHIN_TOLERANCE,
)
from mltrack.compare.verdict.judge import OUTCOME
from mltrack.verdicts import ArtifactVerdict, Condition, MetricVerdict, Verdict
from mltrack.views.text import count, number, percent, scalar, short_digest, short_id, shorten, signed

MOST_NAMED = 3
LONGEST = 40
"""Characters of a circumstance's value in a sentence."""

TIMINGS = ("time", "took", "second", "duration", "elapsed", "speed", "per_sec", "throughput")


def reason(verdict: Verdict) -> str:
    """What the grade rests on, as a sentence or two after it."""
    if verdict.grade == COULD_NOT_RUN:
        where = f"it stopped at {verdict.phase}" if verdict.phase else "it stopped"
        return f"{where}: {first_line(verdict.cause)}" if verdict.cause else f"{where}."
    parts = [*of_artifacts(verdict.artifacts), *of_metrics(verdict)]
    if verdict.cause:
        return f"{verdict.cause} Compared all the same: {joined(parts)}." if parts else verdict.cause
    if verdict.grade == NOTHING_TO_COMPARE and not parts:
        return "neither run has artifacts or metrics to compare."
    if not parts:
        return "the command ended differently."
    around = of_conditions(verdict.conditions) if verdict.grade != IDENTICAL else ""
    return f"{joined(parts)}.{around}"


def first_line(text: str) -> str:
    return text.split("\n", 1)[0]


def joined(parts: Sequence[str]) -> str:
    return ("; " if any("," in part for part in parts) else ", ").join(parts)


def of_artifacts(items: Sequence[ArtifactVerdict]) -> list[str]:
    """`2 of 3 artifacts byte for byte, 1 equivalent`; the files of a directory count as that directory."""
    outer = outermost(items)
    counts = Counter(item.grade for item in outer)
    same, total = counts.pop(IDENTICAL, 0), len(outer)
    if not total:
        return []
    if same == total:
        return [f"{count(total, 'artifact')} byte for byte"]
    others = [f"{counts[grade]:,} {words_of(grade)}" for grade in GRADES if counts[grade]]
    if not same and len(counts) == 1:
        return [f"{count(total, 'artifact')} {words_of(next(iter(counts)))}"]
    if not same:
        return [f"of {count(total, 'artifact')} {', '.join(others)}"]
    return [f"{same:,} of {count(total, 'artifact')} byte for byte, {', '.join(others)}"]


def words_of(grade: str) -> str:
    return "without meaning" if grade == NOTHING_TO_COMPARE else grade


def outermost(items: Iterable[ArtifactVerdict]) -> list[ArtifactVerdict]:
    """The items less the files of directories that are items themselves."""
    found = list(items)
    paths = {item.path for item in found}
    return [item for item in found if not any(parent in paths for parent in parents(item.path))]


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def of_metrics(verdict: Verdict) -> list[str]:
    """`loss moved by +0.3 %, inside the noise of 10 repetitions`; of several that moved, the one that moved worst."""
    items = verdict.metrics
    moved = [item for item in items if item.grade != IDENTICAL]
    if not items:
        return []
    if not moved:
        return [f"{count(len(items), 'metric')} exact"]
    first = max(moved, key=badness)
    more = f", and {len(moved) - 1:,} more differ{'s' if len(moved) == 2 else ''}" if len(moved) > 1 else ""
    same = [f"{len(items) - len(moved):,} of {count(len(items), 'metric')} exact"] if len(moved) < len(items) else []
    return [*same, f"{movement(first)}{standing(first, verdict.repetitions)}{more}"]


def badness(item: MetricVerdict) -> tuple[int, float]:
    return GRADES.index(item.grade), abs(relative(item) or 0.0)


def relative(item: MetricVerdict) -> float | None:
    """The change in per cent of the recorded value."""
    base, change = metric_number(item.then) if item.then is not None else None, as_number(item.change)
    return None if not base or change is None else change / abs(base) * 100


def movement(item: MetricVerdict) -> str:
    """`loss moved by +0.3 %`."""
    if item.then is None:
        return f"{item.name} is new"
    if item.now is None:
        return f"{item.name} is missing"
    change = as_number(item.change)
    if change is None:
        return f"{item.name} went from {number(item.then)} to {number(item.now)}"
    part = relative(item)
    return f"{item.name} moved by {signed(change) if part is None or item.name.endswith('(points)') else percent(part)}"


def standing(item: MetricVerdict, repetitions: int | None) -> str:
    """How a movement stands to what is allowed."""
    if item.grade == WITHIN_TOLERANCE:
        return ", within its tolerance"
    noise = f" the noise of {count(repetitions, 'repetition')}" if repetitions else " the noise"
    if item.grade == WITHIN_NOISE:
        return f", inside{noise}"
    return f", outside{noise}" if item.low is not None else ""


def of_conditions(conditions: Sequence[Condition]) -> str:
    """` What was not the same: numpy 2.1 → 2.2, cores 4 → 2.`; the likeliest to matter, the rest is counted."""
    around = [item for item in conditions if item.what not in OUTCOME]
    short = [item for item in around if not is_sentence(item)][:MOST_NAMED]
    if not short:
        return ""
    words = dict.fromkeys(map(in_short, short))
    more = f" and {len(around) - len(short):,} more" if len(around) > len(short) else ""
    return f" What was not the same: {', '.join(words)}{more}."


def in_short(item: Condition) -> str:
    """`numpy 2.1 → 2.2`; of code and data only that they are others: nobody reads digests."""
    if item.what.startswith("code."):
        return "the code"
    if item.what.startswith("inputs."):
        return shorten(item.what.removeprefix("inputs."), LONGEST)
    return f"{name_of(item.what)} {shorten(told(item.then), LONGEST)} → {shorten(told(item.now), LONGEST)}"


def is_sentence(item: Condition) -> bool:
    """Is it told in words of its own, which have no room in another sentence?"""
    return isinstance(item.now, str) and item.now.endswith(".") and " " in item.now


def name_of(what: str) -> str:
    """What a circumstance is called for a person."""
    for prefix in ("packages.", "variables.", LIBRARIES):
        what = what.removeprefix(prefix)
    return what


def told(value: object) -> str:
    """The value of a condition; digests and commits only as far as they help to recognise them."""
    if value is None:
        return "none"
    if isinstance(value, str) and value.startswith("b3:"):
        return short_digest(value)
    return scalar(value)


def few_words(verdict: Verdict) -> str:
    """What differed, for a list: `loss +0.3 %, model.bin`; the cause where it could not run."""
    if verdict.cause:
        return first_line(verdict.cause)
    metrics = [item for item in verdict.metrics if item.grade != IDENTICAL]
    artifacts = [item for item in outermost(verdict.artifacts) if item.grade != IDENTICAL]
    worst: list[tuple[int, str]] = [(GRADES.index(item.grade), brief(item)) for item in metrics]
    worst += [(GRADES.index(item.grade), item.path) for item in artifacts]
    words = [text for _, text in sorted(worst, key=lambda one: -one[0])]
    words += [item.what for item in verdict.conditions if item.what in OUTCOME]
    more = f" and {len(words) - MOST_NAMED:,} more" if len(words) > MOST_NAMED else ""
    return f"{', '.join(words[:MOST_NAMED])}{more}"


def brief(item: MetricVerdict) -> str:
    part = relative(item)
    return item.name if part is None else f"{item.name} {percent(part)}"


def one_line(verdict: Verdict) -> str:
    """For the end of a rerun: `within noise, compared with 3kq8f2zx: 2 artifacts byte for byte; ...`."""
    return f"{verdict.grade}, compared with {short_id(verdict.of)}: {reason(verdict)}"


def what_next(verdict: Verdict, now: str | None) -> list[tuple[str, str]]:
    """What a person can do: (why, command or setting)."""
    if verdict.grade == NOTHING_TO_COMPARE and not verdict.cause:
        return [
            ("compare files next time", "mltrack run --output PATH -- ..."),
            ("or numbers", "mltrack run --metrics FILE -- ..., or log them"),
        ]
    if verdict.grade == COULD_NOT_RUN and verdict.phase == "environment":
        return [
            ("what of it can be had", f"mltrack env check {short_id(verdict.of)}"),
            ("keep its packages with it", f"mltrack push --wheels {short_id(verdict.of)}, where it ran"),
        ]
    if verdict.grade != DIFFERENT or verdict.cause:
        return []
    found = [("all that differs", f"mltrack diff {short_id(verdict.of)} {short_id(now)}")] if now else []
    differing = [item.name for item in verdict.metrics if item.grade == DIFFERENT and item.change is not None]
    opened = [item for item in verdict.artifacts if item.grade == DIFFERENT and changed(item)]
    if verdict.calibration is None and (differing or opened):
        found.append(("is it noise?", f"mltrack calibrate {short_id(verdict.of)} -n 10"))
    timings = [name for name in differing if any(word in name.lower() for word in TIMINGS)]
    keys = [key for item in opened if (key := timing_of(item)) is not None]
    if keys:
        found.append(("timings say nothing", f"verdict: {{ignore: [{json.dumps(keys[0])}]}} in mltrack.yaml"))
    if timings:
        found.append(("timings say nothing", f"verdict: {{ignore: [{json.dumps(timings[0])}]}} in mltrack.yaml"))
    elif differing:
        whole = re.sub(r" \((?:min|max|at [^()]*)\)$", "", differing[0])  # their tolerance is that of the metric
        name = whole if re.fullmatch(r"[A-Za-z_][\w./-]*", whole) else json.dumps(whole)
        found.append(("it may move", f"verdict: {{tolerance: {{{name}: {{rel: 0.01}}}}}} in mltrack.yaml"))
    return found


def timing_of(item: ArtifactVerdict) -> str | None:
    """`log.csv#seconds`, as a rule that leaves out the column or key that is furthest apart, if it is a duration."""
    where = (item.measure and item.measure.where) or ""
    label = where.rpartition(", column ")[2] if ", column " in where else where.rpartition(".")[2].partition("[")[0]
    return f"{item.path}#{label}" if any(word in label.lower() for word in TIMINGS) else None


def changed(item: ArtifactVerdict) -> bool:
    """Is it there on both sides, with another content?"""
    return not (item.reason or "").startswith(("missing:", "extra:", "renamed:", "was a "))

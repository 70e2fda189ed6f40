"""Metrics in a command's output: lines matched by patterns, no line of code changed.

A pattern is literal text with fields: `{name}`, `{value}`, `{step}`, and any other word in braces, which is a value of
that name. A pattern with only `{step}` tells the step of what stands on its line and on those after it. Blanks stand
for any blanks. There is no form with regular expressions: one could be made that never ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.collect.guessing import guess
from mltrack.collect.numbers import NUMBER, STEP, number_of, step_of
from mltrack.errors import UsageError
from mltrack.formats.metrics import Point
from mltrack.nouns import noun
from mltrack.patterns import lazy, lazy_bytes

if TYPE_CHECKING:
    from mltrack.live.outputlog import LogLine

AUTO = "auto"
"""The name of the pattern set that guesses."""
LONGEST = 4096
"""Bytes of a line that are looked at: what is longer is no line of metrics."""
MOST_FIELDS = 12
LONGEST_PATTERN = 1000

_FIELD = lazy(r"\{([A-Za-z_][\w./-]{0,60})\}")
_NAME = r"(?<![\w./-])(?P<name>[A-Za-z_][\w./-]{0,127})"
_ESCAPES = lazy(r"\x1b(?:\[[0-?]{0,16}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\^_=>78])")
_REDRAWS = lazy_bytes(rb"\r|\x08+")
ADVICE = 'For example: "{name}: {value}", "epoch {step}", "loss {train_loss} {val_loss}", or auto.'


@noun
class Pattern:
    """A pattern, ready to be matched."""

    text: str
    regex: re.Pattern[str]
    names: Mapping[str, str]
    """Group of the regular expression -> name of the metric."""

    @property
    def tells_steps(self) -> bool:
        """Has it no value, only the step of others?"""
        return "value" not in self.regex.groupindex and not self.names


def parse_pattern(text: str) -> Pattern:
    """`{name}: {value}` -> a pattern. Raises UsageError that says what is wrong."""
    if len(text) > LONGEST_PATTERN:
        raise bad_pattern(f"{text[:50]}...", f"is longer than {LONGEST_PATTERN} characters")
    pieces = _FIELD.split(text)
    fields, names = pieces[1::2], {}
    for field in fields:
        if fields.count(field) > 1:
            raise bad_pattern(text, f"has {{{field}}} twice")
    if not fields or len(fields) > MOST_FIELDS:
        raise bad_pattern(text, "has no field" if not fields else f"has more than {MOST_FIELDS} fields")
    if "name" in fields and "value" not in fields:
        raise bad_pattern(text, "has {name} without {value}")
    regex = r"(?<!\w)" if pieces[0][:1].isalnum() else ""
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            regex += r"\s{1,40}".join(re.escape(part) for part in re.split(r"\s+", piece))
        elif piece in ("name", "value", "step"):
            regex += {"name": _NAME, "value": f"(?P<value>{NUMBER})", "step": f"(?P<step>{STEP})"}[piece]
        else:
            names[f"v{index}"] = piece
            regex += f"(?P<v{index}>{NUMBER})"
    return Pattern(text, re.compile(regex, re.IGNORECASE), names)


def bad_pattern(text: str, what: str) -> UsageError:
    return UsageError(f"The pattern {text!r} {what}.", ADVICE)


def parse_patterns(texts: Iterable[str]) -> tuple[Pattern | None, ...]:
    """All of some patterns; None stands for `auto`. Raises UsageError."""
    return tuple(None if text.strip().lower() == AUTO else parse_pattern(text) for text in texts)


@noun
class Matched:
    """What was found in one line."""

    text: str
    """The line as it was matched: without escape sequences."""
    points: tuple[Point, ...]
    step: int | float | None
    """The step that the line itself told."""
    is_repeated: bool = False
    """A progress bar drawn again with what it had said already; its points do not count."""


class OutputPoints:
    """Finds points in a log as it grows: `take` its records, `finish` at its end."""

    def __init__(self, patterns: Sequence[str], started_at: float, state: Mapping[str, Any] | None = None) -> None:
        """`started_at` in unix seconds; `state`: what an earlier one's `state` said. Raises UsageError."""
        self._patterns = parse_patterns(dict.fromkeys(patterns))
        self.matches = dict.fromkeys(patterns, 0)
        """How often each pattern has matched."""
        self._started_at = started_at
        known = state or {}
        self._rest = {stream: text.encode("latin-1") for stream, text in known.get("rest", {}).items()}
        self._is_drawn_over: dict[str, bool] = dict(known.get("over", {}))
        self._step: int | float | None = known.get("step")
        self._last: dict[str, list[Any]] = dict(known.get("last", {}))

    def take(self, records: Iterable[LogLine]) -> Iterator[Matched]:
        """What was found in the lines that these records end, one for each line that is not blank."""
        for record in records:
            stream = record.stream
            if stream not in ("o", "e"):
                continue
            data = self._rest.pop(stream, b"") + record.data
            if record.ends or data.endswith((b"\r", b"\b")):
                yield from self._line(record.at_s, stream, data, record.ends)
            else:
                self._rest[stream] = data[:LONGEST]

    def finish(self, at_s: float) -> Iterator[Matched]:
        """What was found in lines that never came to their end."""
        for stream, data in list(self._rest.items()):
            yield from self._line(at_s, stream, data, True)
        self._rest.clear()

    def state(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it."""
        rest = {stream: data.decode("latin-1") for stream, data in self._rest.items()}
        last = {name: [step, repr(value)] for name, (step, value) in self._pairs()}
        return {"rest": rest, "over": self._is_drawn_over, "step": self._step, "last": last}

    def _pairs(self) -> Iterator[tuple[str, tuple[Any, float]]]:
        for name, (step, value) in self._last.items():
            yield name, (step, float(value))

    def _line(self, at_s: float, stream: str, data: bytes, ends: bool) -> Iterator[Matched]:
        """A line with all its states: a state that is drawn over counts as the last one does."""
        parts = [part for part in _REDRAWS.split(data) if part.strip()]
        for place, part in enumerate(parts):
            is_over = place > 0 or self._is_drawn_over.get(stream, False)
            text = _ESCAPES.sub("", part[:LONGEST].decode(errors="replace")).strip()
            if text:
                yield self._match(text, self._started_at + at_s, is_over)
        self._is_drawn_over[stream] = not ends

    def _match(self, text: str, at: float, is_over: bool) -> Matched:
        step, values = self._find(text)
        points, repeated = [], 0
        for name, value, own in values:
            point = Point(name, value, self._step if own is None and step is None else step if own is None else own, at)
            known = self._last.get(name)
            if is_over and known is not None and known[0] == point.step and repr(float(known[1])) == repr(value):
                repeated += 1
                continue
            self._last[name] = [point.step, value]
            points.append(point)
        return Matched(text, tuple(points), step, repeated > 0 and not points)

    def _find(self, text: str) -> tuple[int | float | None, list[tuple[str, float, int | float | None]]]:
        """The step that the line tells for all its values, and its values, some with a step of their own."""
        step: int | float | None = None
        values: list[tuple[str, float, int | float | None]] = []
        for source, pattern in zip(self.matches, self._patterns, strict=True):
            if pattern is None:
                told, guessed = guess(text, self._step is not None)
                if told is not None:
                    step = told
                    if not guessed:
                        self._step = told
                values += [(name, value, None) for name, value in guessed]
                self.matches[source] += len(guessed)
                continue
            for match in pattern.regex.finditer(text):
                self.matches[source] += 1
                groups = match.groupdict()
                own = step_of(groups["step"]) if groups.get("step") else None
                if pattern.tells_steps:
                    step = self._step = own
                if groups.get("value"):
                    values.append((groups.get("name") or "value", number_of(groups["value"]), own))
                values += [(name, number_of(groups[group]), own) for group, name in pattern.names.items()]
        return step, values


def plain_text(data: bytes) -> str:
    """The last state of some bytes of output, without escape sequences."""
    states = [part for part in _REDRAWS.split(data) if part.strip()]
    return _ESCAPES.sub("", states[-1].decode(errors="replace")) if states else ""


def points_in_output(records: Iterable[LogLine], patterns: Sequence[str], started_at: float) -> Iterator[Point]:
    """The points that patterns find in the records of a log; `started_at` in unix seconds. Raises UsageError."""
    finder = OutputPoints(patterns, started_at)
    at_s = 0.0
    for record in records:
        at_s = record.at_s
        for matched in finder.take((record,)):
            yield from matched.points
    for matched in finder.finish(at_s):
        yield from matched.points

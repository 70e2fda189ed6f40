"""The pattern set `auto`: metrics in a line of output that nobody wrote a pattern for.

Only a line that names its step counts (`epoch 3`, `[10]`, `'epoch': 1.0`); below such a line also a progress bar, and
one of nothing but names and numbers (`loss: 0.5 acc: 0.3`). It is asked for by name, never used otherwise: a guess may
take a time or a count for a metric. Pure; no state.
"""

from __future__ import annotations

import re

from mltrack.collect.numbers import NUMBER, STEP, number_of, step_of
from mltrack.patterns import lazy

WORDS = ("global_step", "step", "iteration", "iter", "round", "it", "epoch", "batch")
"""What a step is called, the finest first. None of them is a metric: an index is no measurement."""

_LEVELS = frozenset(("INFO", "DEBUG", "WARNING", "WARN", "ERROR", "TRACE"))
_WORD = r"[A-Za-z_][\w./@'%-]{0,60}"
_NAMED_STEP = lazy(
    rf"(?<![\w/])['\"]?(?P<word>{'|'.join(WORDS)})['\"]?[ \t]{{0,4}}[:=#(\[]?[ \t]{{0,4}}(?P<step>{STEP})"
    r"(?:[ \t]?(?:/|of)[ \t]?\d{1,18})?[\])]?",
    re.IGNORECASE,
)
_LEADING_STEP = lazy(rf"[ \t]{{0,9}}(?:\[(?P<a>{STEP})\]|(?P<b>\d{{1,18}}):[ \t])")
_PAIR = lazy(
    # `train loss: 0.3` and `train loss = 0.3` are a name of two words; in `done acc=0.3` the first is prose.
    rf"(?<![\w.'])['\"]?(?:(?P<name>{_WORD}(?: {_WORD}){{0,2}})['\"]?"
    rf"(?:[ \t]{{0,4}}:|[ \t]{{1,4}}=)|(?P<word>{_WORD})=)"
    r"[ \t]{0,4}"
    rf"(?:(?:tensor|array|(?:np|numpy)\.\w{{1,12}})\()?(?P<value>{NUMBER})",
    re.IGNORECASE,
)
_BARE = lazy(rf"(?P<name>{_WORD}(?: {_WORD}){{0,2}})[ \t]{{1,4}}(?P<value>{NUMBER})[A-Za-z%/µ]{{0,8}}", re.IGNORECASE)
_BETWEEN = lazy(r"[,;|\t\0]|: | - ")
_NOTHING = lazy(r"(?:\0(?:(?:ms|s|m|h)\b)?|[ \t,;|-])*")
"""What is left of a line of pairs without them: separators, and units of time."""
_PROGRESS = lazy(r"(?<![\w/])\d{1,9}/\d{1,9}(?![\w/])|\d%\|")


def guess(line: str, is_below_a_step: bool = False) -> tuple[int | float | None, list[tuple[str, float]]]:
    """The step that a line names, and its metrics; both may be nothing. Only a progress bar, and a line of pairs
    alone, may do without a step, and only below a line that names one."""
    step, rest = without_step(line)
    if step is None and not (is_below_a_step and (_PROGRESS.search(line) or is_pairs(line))):
        return None, []
    found: list[tuple[str, float]] = []
    for match in _PAIR.finditer(rest):
        found.append((metric_name(match["name"] or match["word"]), number_of(match["value"])))
    for part in _BETWEEN.split(_PAIR.sub("\0", rest)):
        bare = _BARE.fullmatch(part.strip())
        if bare is not None:
            found.append((metric_name(bare["name"]), number_of(bare["value"])))
    return step, [(name, value) for name, value in found if name and name.lower() not in WORDS]


def is_pairs(line: str) -> bool:
    """Is there nothing in a line but names with their numbers? In prose there are other words; and a single whole
    number is a count (`batch size: 32`) more often than a measurement."""
    values = [match["value"] for match in _PAIR.finditer(line)]
    if not values or (len(values) == 1 and values[0].lstrip("+-").isdigit()):
        return False
    return _NOTHING.fullmatch(_PAIR.sub("\0", line.strip())) is not None


def without_step(line: str) -> tuple[int | float | None, str]:
    """The finest step that a line names, and the line with all its steps blotted out."""
    named = {match["word"].lower(): match["step"] for match in _NAMED_STEP.finditer(line)}
    rest = _NAMED_STEP.sub("\0", line)
    step = next((named[word] for word in WORDS if word in named), None)
    if step is None:
        leading = _LEADING_STEP.match(line)
        if leading is None:
            return None, line
        step, rest = leading["a"] or leading["b"], line[leading.end() :]
    return step_of(step), rest


def metric_name(text: str) -> str:
    """`train loss` -> `train_loss`; the level of a log line is no part of it."""
    words = text.split()
    while words and words[0].upper().strip("'") in _LEVELS:
        words.pop(0)
    return "_".join(words).strip("'\".-")

"""Numbers as programs print them -> values. Everything here is bounded: a line of output is nobody's promise."""

from __future__ import annotations

from mltrack.patterns import lazy

NUMBER = (
    r"(?:[-+]?(?:\d{1,3}(?:,\d{3}){1,6}|\d{1,40}(?:_\d{3}){0,6})(?:\.\d{0,40})?(?:[eE][-+]?\d{1,4})?"
    r"|[-+]?\.\d{1,40}(?:[eE][-+]?\d{1,4})?|[-+]?(?:nan|inf(?:inity)?)(?![A-Za-z]))"
    r"(?:(?-i:[kKMGT])(?![A-Za-z/]))?"
    r"(?![\w.,:/-]?\d)(?![A-Za-z%µ/]{0,8}[\d_])(?![A-Za-z%µ/]{9})"
)
"""A number, thousands marked or not, with k, K, M, G or T right behind it. Not the beginning of a date, a time, a
version, a fraction or a word; a unit or a percent sign may follow."""

STEP = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,18})(?:\.\d{1,9})?(?![\d.]?\d)"
"""A step: digits, thousands marked or not, or a fraction of an epoch."""

_FACTORS = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_MARKS = lazy(r"[,_]")


def number_of(text: str) -> float:
    """The value of what NUMBER matched: `1,234`, `12.5k`, `-inf`. A percentage is the number that stands there."""
    factor = _FACTORS.get(text[-1])
    digits = _MARKS.sub("", text[:-1] if factor else text)
    return float(digits) * (factor or 1.0)


def step_of(text: str) -> int | float:
    """The value of what STEP matched, an int where it is whole."""
    digits = text.replace(",", "")
    return int(digits) if "." not in digits else int(float(digits)) if float(digits).is_integer() else float(digits)

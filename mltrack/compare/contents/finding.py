"""The entrance of the family: a name and two contents -> a finding.

The comparators are asked in the order of `plugins`: the built-in ones, those of plug-ins, and last the one for any
text. The first that fits both files and can read them decides; where none can, the bytes do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING

from mltrack import plugins
from mltrack.compare.comparators import DEEPEST, DIFFERENT, IDENTICAL, Around, Finding, Unreadable
from mltrack.compare.contents.contents import head_of, same_bytes
from mltrack.errors import MltrackError

if TYPE_CHECKING:
    from mltrack.compare.comparators import Content

FAMILY = "comparators"
LAST = "text"
"""It takes any text, so that everything else is asked before it."""
_LONGEST = 600
"""Characters of a reason."""


def compare_contents(name: str, a: Content, b: Content, around: Around) -> Finding:
    """What the recorded file `a` and the new one `b` come to; `name` is the file's name or path.

    A comparator that opens files within files calls this for each of them, with the `around` that it was given: the
    depth is counted here. A comparator that fails in another way than by `Unreadable` is passed over, and named.
    """
    if same_bytes(a, b):
        return Finding(IDENTICAL, "the same bytes")
    if around.depth >= DEEPEST:
        return different_bytes(a, b, [f"it lies more than {DEEPEST} files deep"])
    refusals: list[str] = []
    heads = head_of(a), head_of(b)
    for known in known_names():
        try:
            module = plugins.load(FAMILY, known)
            if not all(module.fits(name, head) for head in heads):
                continue
            found: Finding = module.compare(a, b, replace(around, depth=around.depth + 1, name=name))
        except Unreadable as error:
            refusals.append(str(error))
        except MltrackError as error:
            refusals.append(error.message.rstrip("."))
        except Exception as error:  # whatever a plug-in does, the verdict is given
            refusals.append(f"the comparator {known} failed with {type(error).__name__}")
        else:
            return told(found, refusals)
    return different_bytes(a, b, refusals)


def find_comparator(name: str, head: bytes) -> ModuleType | None:
    """The first comparator that fits a file of this name and beginning."""
    return next((module for module in comparators() if module.fits(name, head)), None)


def comparators() -> Iterator[ModuleType]:
    """All of them, in the order in which they are asked. Raises UsageError for a plug-in that cannot be imported."""
    return (plugins.load(FAMILY, name) for name in known_names())


def known_names() -> tuple[str, ...]:
    """The names of all comparators, in the order in which they are asked."""
    return _names(tuple(sys.path))


@lru_cache(maxsize=1)
def _names(path: tuple[str, ...]) -> tuple[str, ...]:
    """Looking for plug-ins takes 40 ms, and a directory has thousands of files; `path` is where they are found."""
    return (*(name for name in plugins.names(FAMILY) if name != LAST), LAST)


def told(found: Finding, refusals: list[str]) -> Finding:
    """A finding with what those asked before could not read. What it quotes from the files is made harmless."""
    more = f" ({'; '.join(dict.fromkeys(refusals))})" if refusals and found.grade == DIFFERENT else ""
    measure = found.measure
    if measure is not None and measure.where is not None:
        measure = replace(measure, where=printable(measure.where))
    return Finding(found.grade, printable(found.reason + more), measure)


def printable(text: str) -> str:
    """Text without characters that a terminal would obey, and not too long."""
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


def different_bytes(a: Content, b: Content, reasons: list[str]) -> Finding:
    """Only the bytes are known to differ."""
    sizes = f"the same size ({a.size:,})" if a.size == b.size else f"{a.size:,} then, {b.size:,} now"
    return Finding(DIFFERENT, printable("; ".join(dict.fromkeys([f"different bytes, {sizes}", *reasons]))))

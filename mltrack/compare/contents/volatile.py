"""What of a text may differ from run to run: times, the roots of paths, known hosts, labelled process ids, addresses.

Two texts are alike if everything else in them is the same. Durations, rates, random ids and numbers are never passed
over. One `Volatile` serves a whole file, for a root must stand for one and the same root throughout.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from mltrack.compare.contents import clocks
from mltrack.compare.contents.roots import Roots, path_pattern
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around

_OTHERS = {
    "pid": r"(?i:(?<![A-Za-z])pid)[\"']?(?:\s{0,2}[:=]\s{0,2}|\s)(?P<pid>\d{1,7})(?![\w.])",
    "daemon": r"(?<=[A-Za-z])\[(?P<daemon>\d{1,7})\](?=: )",
    "address": r"(?<= at )(?P<address>0x[0-9a-fA-F]{6,16})(?=>)",
}
"""`pid 123`; `sshd[123]: ` as syslog has it, in a line that begins with a time only; an object as Python shows it."""
_HINTS = {
    **clocks.HINTS,
    "path": lazy(r"/"),
    "pid": lazy(r"(?i:pid)"),
    "daemon": lazy(r"\[\d+\]: "),
    "address": lazy(r" at 0x"),
}
_OF_LINES = ("clock", "glog", "daemon")
_NAMES = {"pid": "process ids", "daemon": "process ids", "address": "memory addresses", "host": "host names"}
_LONGEST = 1 << 20
"""Characters; a longer text is alike only if it is equal."""

_REACH = 80
"""Characters; no token but a path or a host, which hold no blank, is longer."""

Token = tuple[str, int, int]
"""(kind, start, end) of what may differ in a text."""

Found = tuple[str, Token]
"""A text, and a token in it."""


class Volatile:
    """Compares texts of one file; `kinds` counts what was passed over."""

    def __init__(self, around: Around, lines: bool = True) -> None:
        """`lines`: the texts are lines. A value `00:03:12` of its own is a duration as likely as a time."""
        self.around = around
        self._hints = {kind: hint for kind, hint in _HINTS.items() if lines or kind not in _OF_LINES}
        self.roots = Roots(around)
        self.lines = lines
        self.clocks = clocks.Clock(around.then), clocks.Clock(around.now)
        self.kinds: Counter[str] = Counter()
        self.hosts = tuple(filter(is_telling, (*around.then.hosts, *around.now.hosts)))

    def alike(self, a: str, b: str) -> bool:
        """Do two texts differ only in what may differ?"""
        if a == b:
            return True
        if len(a) > _LONGEST or len(b) > _LONGEST:
            return False
        found_by = pattern(*self._ingredients(a, b))
        margin = ends_of(a, b)
        first, second = tokens(a, found_by, margin), tokens(b, found_by, margin)
        if not first or fixed(a, first) != fixed(b, second):
            return False
        kinds = [
            self._kind((a, one), (b, other))
            for one, other in zip(first, second)
            if a[one[1] : one[2]] != b[other[1] : other[2]]
        ]
        if None in kinds:
            return False
        self.kinds.update(kind for kind in set(kinds) if kind)
        return True

    def are_labelled(self, label: str, a: str, b: str) -> bool:
        """Are two numbers times since 1970, by the name of their column or key?"""
        whole = ("unix", 0, len(a)), ("unix", 0, len(b))
        found = clocks.is_labelled_time(label, a, b) and self._are_times((a, whole[0]), (b, whole[1]))
        self.kinds.update(["times"] if found else [])
        return found

    def told(self) -> str:
        """`only times and paths differ`; only to be asked where something was passed over."""
        return f"only {listed(sorted(self.kinds))} differ"

    def _ingredients(self, a: str, b: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Which kinds of token may be in these texts, which known hosts, and which roots that need a pattern."""
        kinds = tuple(kind for kind, hint in self._hints.items() if hint.search(a) and hint.search(b))
        hosts = tuple(host for host in self.hosts if host in a or host in b)
        return kinds, hosts, self.roots.odd

    def _kind(self, one: Found, other: Found) -> str | None:
        """What two tokens that are not equal differ in; None if they must not."""
        kind = one[1][0]
        a, b = (text[start:end] for text, (_, start, end) in (one, other))
        if kind == "path":
            return self.roots.same(a, b, self._alike_below)
        if kind == "host" and not (a in self.around.then.hosts and b in self.around.now.hosts):
            return None
        return _NAMES[kind] if kind in _NAMES else "times" if self._are_times(one, other, self.lines) else None

    def _are_times(self, one: Found, other: Found, lines: bool = False) -> bool:
        return all(
            clock.may_show(kind, text, (start, end), lines)
            for clock, (text, (kind, start, end)) in zip(self.clocks, (one, other))
        )

    def _alike_below(self, a: str, b: str) -> bool:
        """Are what follows two roots the same, but for times in the names?"""
        if a == b:
            return True
        found_by = pattern(tuple(clocks.FORMS), (), ())
        first, second = tokens(a, found_by), tokens(b, found_by)
        return bool(first) and fixed(a, first) == fixed(b, second) and all(
            a[one[1] : one[2]] == b[other[1] : other[2]] or self._are_times((a, one), (b, other))
            for one, other in zip(first, second)
        )  # fmt: skip


@lru_cache(maxsize=256)
def pattern(kinds: tuple[str, ...], hosts: tuple[str, ...], odd_roots: tuple[str, ...]) -> re.Pattern[str]:
    """What may differ in a text: tokens of these kinds."""
    parts = []
    if "path" in kinds:
        parts.append(f"(?P<path>{path_pattern(odd_roots)})")
    for kind in kinds:
        if kind in clocks.FORMS:
            # The groups inside of a form are told apart by its name.
            own = re.sub(r"\(\?P([<=])(\w+)", rf"(?P\1{kind}_\2", clocks.FORMS[kind])
            parts.append(f"(?P<{kind}>{own})")
    parts += [clocks.UNIX] if "unix" in kinds else []
    parts += [_OTHERS[kind] for kind in kinds if kind in _OTHERS]
    if hosts:
        names = "|".join(re.escape(host) for host in sorted(set(hosts), key=len, reverse=True))
        parts.append(rf"(?<![\w.-])(?P<host>{names})(?![\w-])")
    return re.compile("|".join(parts) or r"(?!)")


def ends_of(a: str, b: str) -> tuple[int, int]:
    """How many characters at the beginning and at the end of two texts need no look: the same ones, and far enough
    from where they differ, with a blank before that, that no token reaches there."""
    before = same_beginning(a, b) - _REACH
    after = same_beginning(a[: before + _REACH : -1], b[: before + _REACH : -1]) - _REACH
    left = a.rfind(" ", 0, before) if before > 0 else 0
    right = a.find(" ", len(a) - after) if after > 0 else -1
    return max(left, 0), len(a) - right if right >= 0 else 0


def same_beginning(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return i
    return min(len(a), len(b))


def is_telling(host: str) -> bool:
    """Could a name that stands in a text be anything but this host?"""
    return len(host) > 2 and host != "localhost" and not host.isdigit()


def tokens(text: str, found_by: re.Pattern[str], margin: tuple[int, int] = (0, 0)) -> list[Token]:
    """What may differ in a text, from left to right; nothing is sought in as many characters at its ends."""
    found: list[Token] = []
    for match in found_by.finditer(text, margin[0], len(text) - margin[1]):
        kind = match.lastgroup or ""
        if kind != "daemon" or begins_with_time(text):
            found.append((kind, *match.span(kind)))
    return found


def begins_with_time(text: str) -> bool:
    return pattern(tuple(clocks.FORMS), (), ()).match(text) is not None


def fixed(text: str, found: Sequence[Token]) -> list[str]:
    """What must be equal: the text between the tokens, and of which kind these are."""
    at = 0
    parts = []
    for kind, start, end in found:
        parts += [text[at:start], kind]
        at = end
    return [*parts, text[at:]]


def listed(words: Sequence[str]) -> str:
    """`times`, `paths and times`, `host names, paths and times`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))

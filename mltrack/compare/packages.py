"""The packages of two environments -> what was added, removed, moved up or down, or built anew. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Package

PRE = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1}
"""What comes before the release, by how far."""


@noun
class PackageChange:
    """A package that is not the same in both. `kind`: added, removed, up, down, changed (versions that cannot be put in
    order), build (the same version, other files), place (the same version from elsewhere)."""

    name: str
    kind: str
    a: str | None
    b: str | None
    """Versions; where the kind is `place`, where it is from."""


def of_packages(a: Iterable[Package], b: Iterable[Package]) -> list[PackageChange]:
    """The changes from a to b, by name."""
    before, after = {one.name: one for one in a}, {one.name: one for one in b}
    found = []
    for name in sorted(before.keys() | after.keys()):
        first, second = before.get(name), after.get(name)
        if first is None or second is None:
            kind = "added" if first is None else "removed"
            found.append(PackageChange(name, kind, version_of(first), version_of(second)))
        elif first.version != second.version:
            found.append(PackageChange(name, direction(first.version, second.version), first.version, second.version))
        elif (change := of_one_version(first, second)) is not None:
            found.append(change)
    return found


def version_of(package: Package | None) -> str | None:
    return None if package is None else package.version


def of_one_version(first: Package, second: Package) -> PackageChange | None:
    """What differs in two packages of one version; None if nothing is known to."""
    if first.identity and second.identity and first.identity != second.identity:
        return PackageChange(first.name, "build", first.version, second.version)
    if first.identity and first.identity == second.identity:
        return None
    if origin(first) != origin(second) and first.source and second.source:
        return PackageChange(first.name, "place", origin(first), origin(second))
    return None


def origin(package: Package) -> str:
    """Where a package is from, as far as that says what it is: one index is as good as another."""
    if package.source == "index":
        return "an index"
    return f"{package.source} {package.place}" if package.place else package.source


def direction(a: str, b: str) -> str:
    """`up` or `down`; `changed` where the two versions cannot be put in order."""
    first, second = rank(a), rank(b)
    return "up" if first < second else "down" if second < first else "changed"


def rank(version: str) -> tuple[int, tuple[int, ...], int, int, int]:
    """What versions are ordered by: epoch, release without trailing zeros, how far before it, its number, post."""
    match = re.match(
        r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[._-]?(dev|alpha|beta|rc|a|b|c)[._-]?(\d*))?(?:[._-]?post[._-]?(\d*))?",
        version.lower(),
    )
    if match is None:
        return 0, (), 0, 0, 0
    epoch, release, word, number, post = match.groups()
    numbers = [int(part) for part in release.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    after = -1 if post is None else int(post or 0)
    return int(epoch or 0), tuple(numbers), PRE.get(word or "", 0), int(number or 0), after

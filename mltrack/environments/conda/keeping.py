"""The packages that py-rattler keeps in the user's cache: one build at a time may tidy them, many may use them.

py-rattler unpacks a package once into a directory `NAME-VERSION-BUILD...` and links its files into prefixes. It never
removes one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.environments.cache import alone, hold, release, remove, size_of

if TYPE_CHECKING:
    from mltrack.environments.conda.lock import CondaPackage

BELOW = "conda-packages"

KEPT_BYTES = 5 << 30
"""Above so many bytes the longest unused go; what prefixes share by hard links counts in parts."""


@contextmanager
def package_cache(cache: Path, packages: Sequence[CondaPackage], scratch: Path) -> Iterator[Path]:
    """A directory for py-rattler to keep packages in: the user's, which is tidied afterwards; one in `scratch` while
    somebody else tidies that."""
    place = cache / BELOW
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    if not hold(place):
        yield scratch / BELOW
        return
    try:
        yield place
        touch(place, packages)
    finally:
        release(place)
    tidy(place)


def touch(place: Path, packages: Sequence[CondaPackage]) -> None:
    """Note that these were used now."""
    stems = {package.file.removesuffix(f".{package.extension}") for package in packages}
    for entry in entries_of(place):
        if entry.name in stems or any(entry.name.startswith(f"{stem}-") for stem in stems):
            with suppress(OSError):
                os.utime(entry)


def tidy(place: Path, kept_bytes: int = KEPT_BYTES) -> None:
    """Remove the longest unused above the size, unless somebody uses them. Never raises: what cannot be removed
    stays."""
    with suppress(OSError), alone(place) as is_ours:
        found = sorted((entry.stat().st_mtime, size_of(entry), entry) for entry in entries_of(place) if is_ours)
        total = sum(size for _, size, _ in found)
        for _, size, entry in found:
            if total <= kept_bytes:
                break
            remove(entry)
            entry.with_name(f"{entry.name}.lock").unlink(missing_ok=True)
            total -= size


def entries_of(place: Path) -> list[Path]:
    """The packages that lie there."""
    try:
        return [entry for entry in place.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:
        return []

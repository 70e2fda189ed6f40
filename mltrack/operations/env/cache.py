"""`mltrack env cache`: the environments that `reproduce` built, in the user's cache, shared by all projects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StorageError
from mltrack.nouns import noun
from mltrack.operations.env.kinds import user_cache

if TYPE_CHECKING:
    from mltrack.environments.cache import Cached


@noun
class CachedEnvironment:
    """One environment in the cache. Times are seconds since 1970."""

    path: str
    lock: str
    """The first 32 digits of the digest of the lock that it was built from."""
    python: str | None
    packages: int | None
    size_bytes: int
    built_at: float
    used_at: float
    is_complete: bool
    is_used: bool
    """Does a process use it, or build it, now?"""
    is_removed: bool = False


@noun
class CacheReport:
    """What the cache holds, the longest unused first, and what was removed from it."""

    directory: str
    environments: tuple[CachedEnvironment, ...]
    cleared: bool = False


def look_at_cache(clear: bool = False) -> CacheReport:
    """The cache of this user; with `clear` every environment that no process uses goes. Raises StorageError."""
    from mltrack.environments.cache import BELOW, cached_environments

    cache = user_cache(os.environ)
    found = cached_environments(cache)
    told = tuple(told_of(one, clear and not one.is_used and removed(one.path)) for one in found)
    return CacheReport(str(cache / BELOW), told, clear)


def told_of(one: Cached, is_removed: bool) -> CachedEnvironment:
    return CachedEnvironment(
        str(one.path),
        one.path.name.partition("-")[0],
        one.python,
        one.packages,
        one.size_bytes,
        one.built_at,
        one.used_at,
        one.is_complete,
        one.is_used,
        is_removed,
    )


def removed(place: Path) -> bool:
    """Remove it unless a process took it meanwhile."""
    from mltrack.environments.cache import remove_cached

    try:
        return remove_cached(place)
    except OSError as error:
        raise StorageError(f"{place} cannot be removed: {error.strerror or error}.", "See who owns it.") from error

"""What frameworks wrote during a run, as params and metrics, with nothing declared.

A family: each member is a module with the names NAME and `find(left) -> Facts`. It looks at files that the run wrote
and at nothing else, executes nothing, and leaves what it cannot read to a warning. Members come in the order of FAMILY:
where two of them know a name, the first counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mltrack.noun_json import is_utf8
from mltrack.nouns import noun
from mltrack.records import Recognised, Warning

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.formats.metrics import Point

FAMILY = ("hydra", "lightning", "papermill", "dvc", "trainer", "results", "tensorboard")
"""The members, the most certain first. `results` and `tensorboard` know files by their names only."""

LARGEST_PARAMS = 1 << 20
LARGEST_METRICS = 64 << 20
"""Bytes of a file; a larger one is passed over with a warning."""
MOST_PARAMS = 1000
MOST_METRICS = 1000
"""Names that one member may find; with more it is data."""


@noun
class Left:
    """What a run left behind."""

    locate: Callable[[str], Path]
    """Where the bytes of a path lie."""
    cwd: str
    """Of the command, below the project's root."""
    command: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    """Last part of a path -> the paths of that name that the run wrote, relative to the root or absolute."""

    def written(self, *names: str) -> list[str]:
        """The written paths whose last part is one of the names."""
        return sorted(path for name in names for path in self.names.get(name, ()))

    def ending(self, *ends: str) -> list[str]:
        """The written paths whose last part ends so."""
        return sorted(path for name, paths in self.names.items() if name.endswith(ends) for path in paths)

    def place(self, path: str) -> Path:
        return self.locate(path)


@noun
class Facts:
    """What a framework's files say."""

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[tuple[str, tuple[Point, ...]], ...] = ()
    """(path, points) of each file."""
    files: tuple[str, ...] = ()
    """Files that were understood, which no later member reads again."""
    warnings: tuple[Warning, ...] = ()


@noun
class Found:
    """What all of them found, each name once."""

    params: Mapping[str, Any]
    sources: Mapping[str, str]
    """Name of a param -> the framework."""
    points: tuple[Point, ...]
    files: Mapping[str, Recognised]
    warnings: tuple[Warning, ...]


def left_behind(locate: Callable[[str], Path], cwd: str, command: Sequence[str], written: Iterable[str]) -> Left:
    """What a run left, from the paths that it wrote."""
    names: dict[str, list[str]] = {}
    for path in written:
        if not is_utf8(path):
            continue  # it could not stand in the record as a key
        names.setdefault(path.rpartition("/")[2], []).append(path)
    return Left(locate, cwd, tuple(command), {name: tuple(paths) for name, paths in names.items()})


def find_facts(left: Left, members: Sequence[str] = FAMILY, known: Collection[str] = ()) -> Found:
    """What the members find. `known`: params that the run has already, which are left as they are.

    Never raises for anything that stands in a file.
    """
    params: dict[str, Any] = {}
    sources: dict[str, str] = {}
    points: list[Point] = []
    files: dict[str, Recognised] = {}
    warnings: list[Warning] = []
    taken: set[str] = set()
    for name in members:
        facts = ask(name, left)
        warnings += facts.warnings
        if len(facts.params) > MOST_PARAMS:
            warnings.append(many(name, "params", len(facts.params)))
        else:
            new = {key: value for key, value in facts.params.items() if key not in params and key not in known}
            params.update(new)
            sources.update(dict.fromkeys(new, name))
        found = [point for point in merged(facts.metrics) if point.name not in taken]
        fresh = {point.name for point in found}
        if len(fresh) > MOST_METRICS:
            warnings.append(many(name, "metrics", len(fresh)))
        elif fresh:
            points += found
            taken |= fresh
        files.update({path: Recognised(name) for path in facts.files})
        left = without(left, set(facts.files))
    return Found(params, sources, tuple(points), files, tuple(warnings))


def unless_known(points: Iterable[Point], found: Iterable[Point]) -> Iterator[Point]:
    """The points of a run, then those that were found under names that none of them has. Reads the first once."""
    names = set()
    for point in points:
        names.add(point.name)
        yield point
    yield from (point for point in found if point.name not in names)


def ask(name: str, left: Left) -> Facts:
    """One member's facts; whatever goes wrong in it is a warning, for the run itself has ended well."""
    try:
        facts: Facts = import_module(f"mltrack.collect.frameworks.{name}").find(left)
    except Exception as error:
        said = f"What {name} wrote could not be read: {type(error).__name__}: {error}."
        return Facts(warnings=(Warning("framework-unreadable", said),))
    return facts


def many(name: str, what: str, count: int) -> Warning:
    return Warning("framework-too-much", f"{name}: {count:,} {what} were found in files of the run, and none taken.")


def without(left: Left, gone: Collection[str]) -> Left:
    names = {name: tuple(path for path in paths if path not in gone) for name, paths in left.names.items()}
    return Left(left.locate, left.cwd, left.command, names)


def merged(files: Sequence[tuple[str, Sequence[Point]]]) -> Iterable[Point]:
    """The points of several files as one: a name that two of them have is told by what differs in their paths.

    `0/metrics.json` and `1/metrics.json` give `0/loss` and `1/loss`; `metrics.json` and `eval.json` side by side
    `metrics/loss` and `eval/loss`.
    """
    files = [(path, points) for path, points in files if points]
    owners: dict[str, int] = {}
    for _, points in files:
        for name in {point.name for point in points}:
            owners[name] = owners.get(name, 0) + 1
    if max(owners.values(), default=0) < 2:
        return [point for _, points in files for point in points]
    prefixes = distinguish([path for path, _ in files])
    return [
        point._replace(name=f"{prefixes[path]}/{point.name}") if owners[point.name] > 1 and prefixes[path] else point
        for path, points in files
        for point in points
    ]


def distinguish(paths: Sequence[str]) -> dict[str, str]:
    """Path -> the shortest part of it, from the first directory that differs, which tells it from the others."""
    if len(paths) < 2:
        return dict.fromkeys(paths, "")
    directories = [path.rpartition("/")[0] for path in paths]
    if len(set(directories)) == len(paths):
        shared = shared_directory(directories)
        return {path: directory[len(shared) :].strip("/") for path, directory in zip(paths, directories)}
    shared = shared_directory(directories)
    below = {path: path[len(shared) :].strip("/") for path in paths}
    stems = {path: os.path.splitext(name)[0] for path, name in below.items()}
    return stems if len(set(stems.values())) == len(paths) else below


def shared_directory(directories: Sequence[str]) -> str:
    """The directory that all of them are, or lie below."""
    parts = [directory.split("/") if directory else [] for directory in directories]
    depth = 0
    while all(len(item) > depth for item in parts) and len({item[depth] for item in parts}) == 1:
        depth += 1
    return "/".join(parts[0][:depth])


def read_small(left: Left, path: str, limit: int = LARGEST_PARAMS) -> bytes | None:
    """The bytes of a written file; None where it is gone, no regular file, or too large."""
    from mltrack.formats.config_files import read_small as read

    return read(left.place(path), limit)

"""Which objects runs need, and what a person calls each of them.

Pure, but for the reader that manifests come from; nothing here knows a store or a remote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mltrack.errors import Damaged, DataMissing
from mltrack.ledger.events import Event, fold
from mltrack.noun_json import from_dict
from mltrack.nouns import noun
from mltrack.records import CodeState, Run

ObjectsOf = Callable[[Run], Sequence[str]]
"""Top-level digests that a run needs: packs of code, lockfile, artifacts, kept inputs, log, series."""

ManifestReader = Callable[[str], bytes]
"""The bytes of an object; raises DataMissing."""

MOST_NAMED = 5


@noun
class Need:
    """An object, the run that needs it and the path it has there."""

    digest: str
    run: str
    path: str


@dataclass
class Needs:
    """What some runs need. A manifest that many runs share is expanded once."""

    top: dict[str, tuple[Need, ...]] = field(default_factory=dict)
    """By digest of the record, since two records may have one id."""
    manifests: set[str] = field(default_factory=set)
    children: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Manifest -> (digest, path below it) of each object it lists; absent while the manifest was not read."""

    def add(self, record: str, run: Run, objects: Iterable[str]) -> None:
        names = labels(run)
        self.top[record] = tuple(Need(digest, run.id, names.get(digest, digest)) for digest in dict.fromkeys(objects))
        self.manifests |= directories(run) & {need.digest for need in self.top[record]}

    @property
    def unread(self) -> set[str]:
        """Manifests that were not to be had, so that nobody knows what they list."""
        return self.manifests - set(self.children)

    def expand(self, read: ManifestReader) -> None:
        """Read the manifests. One that is missing or damaged counts as not read."""
        from mltrack.store.manifest import decode_manifest

        for digest in sorted(self.unread):
            try:
                entries = decode_manifest(read(digest))
            except DataMissing:
                continue
            self.children[digest] = tuple((e.digest, os.fsdecode(e.path)) for e in entries if e.digest is not None)

    def digests(self) -> list[str]:
        """Every object, once: those below a manifest before it, in an order that only the records decide."""
        found: dict[str, None] = {}
        for needs in self.top.values():
            for need in needs:
                found.update(dict.fromkeys(digest for digest, _ in self.children.get(need.digest, ())))
                found[need.digest] = None
        return list(found)

    def touching(self, digests: set[str]) -> Iterator[Need]:
        """For each run and each place in it that needs one of these objects: which."""
        for needs in self.top.values():
            for need in needs:
                if need.digest in digests:
                    yield need
                for digest, path in self.children.get(need.digest, ()):
                    if digest in digests:
                        yield Need(digest, need.run, f"{need.path}/{path}")


def as_edited(record: bytes, events: Mapping[str, Sequence[Event]]) -> Run:
    """The run of a record, with what events by its id added to it: objects that were put together later."""
    run = from_dict(Run, json.loads(record))
    return fold(run, events.get(run.id, ()))


def labels(run: Run) -> dict[str, str]:
    """What the objects of a run are called."""
    found = {digest: "code" for code in codes(run.code) for digest in (*code.packs, code.raw) if digest}
    log = run.log.digest if run.log is not None else None
    for digest, name in ((run.series, "metric points"), (log, "log"), (run.environment.lockfile, "lockfile")):
        if digest is not None:
            found[digest] = name
    found |= {digest: f"environment {name}" for name, digest in carried(run).items()}
    return found | {digest: path for digest, path, _ in data_of(run)}


def directories(run: Run) -> set[str]:
    """Digests that are manifests, as the record says; nothing else is ever read as one."""
    found = {digest for digest, _, kind in data_of(run) if kind == "directory"}
    found |= {digest for name, digest in carried(run).items() if name != "lock"}
    return found | {code.raw for code in codes(run.code) if code.raw}


def carried(run: Run) -> dict[str, str]:
    """What is kept with a run's environment besides its lockfile, by name."""
    return {**run.environment.trees, **run.environment_kept}


def data_of(run: Run) -> list[tuple[str, str, str]]:
    """Digest, path and kind of each input and artifact."""
    inputs = [(item.digest, item.path, item.kind) for item in run.inputs if item.digest is not None]
    return inputs + [(item.digest, item.path, item.kind) for item in run.artifacts]


def codes(code: CodeState) -> Iterator[CodeState]:
    """A code state and those nested in it."""
    yield code
    for nested in code.nested:
        yield from codes(nested.code)


def data_missing(needs: Sequence[Need], where: str, damaged: bool = False) -> DataMissing:
    """The error that names what is not there: runs and paths."""
    named = [f"{need.path} (run {need.run})" for need in needs[:MOST_NAMED]]
    if len(needs) > MOST_NAMED:
        named.append(f"{len(needs) - MOST_NAMED} more")
    kind = Damaged if damaged else DataMissing
    what = "damaged" if damaged else "missing"
    return kind(f"Data is {what} {where}: {', '.join(named)}.", "Run `mltrack verify` to see where a good copy is.")

"""Which objects of the store a record needs."""

from __future__ import annotations

from collections.abc import Iterator

from mltrack.records import Artifact, CodeState, Input, Run


def objects_of(run: Run) -> list[str]:
    """The digests of every object that the record names and keeps, directories by their manifest."""
    return list(dict.fromkeys(digest for _, digest in named_objects(run)))


def named_objects(run: Run) -> list[tuple[str, str]]:
    """Pairs of what an object is to the run, for messages, and its digest."""
    found = list(code_objects(run.code, "code"))
    if run.environment.lockfile:
        found.append(("environment", run.environment.lockfile))
    found += [(f"environment {name}", digest) for name, digest in run.environment.trees.items()]
    found += [(f"environment {name}, kept later", digest) for name, digest in run.environment_kept.items()]
    found += [(f"input {item.path}", item.digest) for item in run.inputs if item.kept and item.digest]
    found += [(f"artifact {artifact.path}", artifact.digest) for artifact in run.artifacts]
    if run.series:
        found.append(("metric series", run.series))
    if run.resources.series:
        found.append(("resource series", run.resources.series))
    if run.observation and run.observation.paths:
        found.append(("observed paths", run.observation.paths))
    if run.observation and run.observation.listings:
        found.append(("observed listings", run.observation.listings))
    if run.log:
        found.append(("output log", run.log.digest))
    found += [(f"output log of rank {item.rank}", item.log.digest) for item in run.ranks if item.log]
    return found


def directories_of(run: Run) -> list[str]:
    """The digests among them that are manifests."""
    items: tuple[Input | Artifact, ...] = (*run.inputs, *run.artifacts)
    trees = [item.digest for item in items if item.kind == "directory" and item.digest]
    trees += run.environment.trees.values()
    trees += [digest for name, digest in run.environment_kept.items() if name != "lock"]
    return list(dict.fromkeys([*trees, *raw_manifests(run.code)]))


def code_objects(code: CodeState, name: str) -> Iterator[tuple[str, str]]:
    yield from ((name, pack) for pack in code.packs)
    if code.raw:
        yield f"{name} (raw bytes)", code.raw
    for nested in code.nested:
        yield from code_objects(nested.code, f"{name} of {nested.path}")


def raw_manifests(code: CodeState) -> Iterator[str]:
    if code.raw:
        yield code.raw
    for nested in code.nested:
        yield from raw_manifests(nested.code)


KINDS = (
    *("code", "environment", "input", "artifact", "metric series", "resource series"),
    *("observed paths", "observed listings", "output log"),
)


def kind_of(name: str) -> str:
    """One of KINDS, for a name that `named_objects` gave."""
    return next(kind for kind in KINDS if name.startswith(kind))

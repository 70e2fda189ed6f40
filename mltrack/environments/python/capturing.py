"""What a probe answered -> the environment as it is recorded, with its lock and what is kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.digest import digest_json
from mltrack.environments import Found, Request
from mltrack.environments.libraries import of_machine, of_packages
from mltrack.environments.python.distributions import Distribution, Installed, listed, normalise, read_answer
from mltrack.environments.python.lock import SOURCES, WHEELS, Lock
from mltrack.environments.python.locking import Locked, lock_distributions
from mltrack.environments.python.readable import write_readable
from mltrack.environments.python.sources import Sources, build_requirements, find_sources
from mltrack.records import Environment, Warning


def capture_installed(answer: Mapping[str, Any], request: Request) -> tuple[Found, bool]:
    """Describe what a probe saw, and say whether its lock lacks nothing. Raises nothing of its own: what cannot be had
    is a warning."""
    installed = read_answer(answer, request.project or request.cwd)
    sources = find_sources(installed.distributions, installed.local_sources)
    installed = replace(installed, distributions=tuple(with_tree(one, sources) for one in installed.distributions))
    lock, locked = make_lock(answer, installed, request)
    packages = {found.name: found.version for found in installed.distributions}
    places = [Path(place) for place in dict.fromkeys(found["place"] for found in answer["distributions"])]
    environment = Environment(
        digest=digest_of(answer, installed.distributions, sources.digests),
        kind="python",
        python=answer["version"],
        interpreter=answer["executable"],
        packages=packages,
        libraries={**of_machine(), **of_packages(packages, places)},
    )
    trees = {name: tree for name, tree in ((WHEELS, locked.wheels), (SOURCES, sources.tree)) if tree}
    warnings = (*warnings_of(answer, installed, sources), *locked.warnings)
    tops = {normalise(found["name"]): found["tops"] for found in answer["distributions"]}
    found = Found(environment, lock, warnings, trees, tops={name: tops[name] for name in packages if name in tops})
    return found, all(one.is_locked for one in locked.distributions if one.source in ("index", "file", "url"))


def with_tree(found: Distribution, sources: Sources) -> Distribution:
    return replace(found, tree=found.name) if found.name in sources.digests else found


def make_lock(answer: Mapping[str, Any], installed: Installed, request: Request) -> tuple[bytes, Locked]:
    """The lock of what is installed."""
    locked = lock_distributions(installed, answer, request)
    needs = build_needs(installed)
    lock, strange = write_readable(
        Lock(answer["version"], answer["implementation"], locked.distributions, answer["platform"], needs)
    )
    return lock, replace(locked, warnings=(*locked.warnings, *strange))


def build_needs(installed: Installed) -> tuple[str, ...]:
    """What must be there to build the directories that distributions are installed from."""
    needs = {need for place in installed.local_sources.values() for need in build_requirements(Path(place))}
    return tuple(sorted(needs))


def digest_of(answer: Mapping[str, Any], distributions: tuple[Distribution, ...], trees: Mapping[str, str]) -> str:
    """The digest of an environment: equal on two machines and in two directories if the same things are installed.

    `trees`: name -> digest of its files, for what is installed from a directory outside of the project.
    """
    return digest_json(
        {
            "kind": "python",
            "python": answer["version"],
            "implementation": answer["implementation"],
            "packages": {found.name: identity(found, trees) for found in distributions},
        }
    )


def identity(found: Distribution, trees: Mapping[str, str]) -> Any:
    """What of a distribution counts. The project's own code is known by its tree, not by a version it gave itself."""
    if found.source == "project":
        return {"project": found.place, "editable": found.is_editable}
    if found.source in ("url", "vcs"):
        return [found.version, found.url]
    if found.source == "file":
        return [found.version, found.sha256 or "file"]
    if found.source == "outside":
        return [found.version, trees.get(found.name, "local")]
    return [found.version, "local"] if found.source == "path" else found.version


def warnings_of(answer: Mapping[str, Any], installed: Installed, sources: Sources) -> tuple[Warning, ...]:
    """What the reader of the run must know, and what a rebuilt environment would lack."""
    by_source: dict[str, list[str]] = {}
    for found in installed.distributions:
        by_source.setdefault(found.source, []).append(found.name)
    unkept = [f"{name} ({why})" for name, why in sources.problems.items()]
    told = (
        (unkept, "Installed from a directory outside of the project, whose content is not kept"),
        (by_source.get("path"), "Found on PYTHONPATH without being installed; a rebuilt environment lacks it"),
        (installed.nameless, "Installed without readable metadata, so that name or version is a guess"),
        (
            installed.doubled,
            "There with two versions, as an interrupted installation leaves them; the newer one counts",
        ),
    )
    warnings = [Warning("environment", f"{text}: {listed(list(names))}.") for names, text in told if names]
    if answer["conda"]:
        text = "This Python belongs to a conda environment; of its packages, only Python distributions are recorded."
        warnings.append(Warning("environment", text))
    return tuple(warnings)

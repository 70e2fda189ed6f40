"""The wheels of a recorded environment, all of them, so that it can be built where no index is to be had.

Each from where it is certain: kept already; the very file that the index has, by its hash; packed from the environment
that the run used, while that is still what it was; an sdist. And what builds the directories of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltrack.environments import Gathered, Recorded, Request
from mltrack.environments.python.distributions import Distribution, File, normalise
from mltrack.environments.python.fetching import fetch_all
from mltrack.environments.python.indexes import Settings, installer_settings
from mltrack.environments.python.lock import WHEELS, Lock, read_lock, write_lock
from mltrack.environments.python.locking import ask, with_offer, with_stored
from mltrack.environments.python.resolve import Answer, Asked, resolve_needs
from mltrack.environments.python.wheels import fitting, info_directories, pack_installed
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun
from mltrack.records import Warning

CARRIED = ("index", "url", "vcs", "file")
"""Sources whose wheels are carried; directories are kept as they are."""


@noun
class Work:
    """What gathering goes by."""

    lock: Lock
    settings: Settings
    scratch: Path
    recorded: Recorded


def complete_hashes(recorded: Recorded, project: Path) -> Gathered:
    """The lock with the hashes that it lacks and that an index knows now. Raises EnvironmentFailed, Damaged."""
    lock = read_lock(need_lock(recorded))
    pins = tuple(one for one in lock.distributions if one.source == "index" and not one.is_locked)
    request = Request((), project, recorded.variables, recorded.cache, project, recorded.options)
    offered = ask(pins, lock.python, project, request)
    found = tuple(
        with_offer(one, offered.offers[one.name]) if one in pins and one.name in offered.offers else one
        for one in lock.distributions
    )
    why = offered.error or "no index has them"
    missing = [one.name for one in found if one.source == "index" and not one.is_locked]
    told = (Warning("unhashed", f"No hashes of {', '.join(missing)}: {why}."),) if missing else ()
    return Gathered(write_lock(replace(lock, distributions=found)), None, told)


def gather_wheels(recorded: Recorded, scratch: Path) -> Gathered:
    """All wheels of an environment. Raises EnvironmentFailed, Damaged."""
    lock = read_lock(need_lock(recorded))
    work = Work(lock, installer_settings(recorded.variables), scratch, recorded)
    tree = kept_wheels(recorded)
    wanted = [one for one in lock.distributions if one.source in CARRIED and one.stored not in tree]
    originals = {one.name: file for one in wanted if (file := fitting(one) or archive_of(one)) is not None}
    fetched = fetch_all(list(originals.values()), scratch / WHEELS, work.settings, recorded.tell)
    answer = answer_here(recorded)
    found, problems = [], []
    for one in lock.distributions:
        if one not in wanted:
            found.append(one)
            continue
        file = originals.get(one.name)
        if file is not None and file.name in fetched.files:
            tree[file.name] = fetched.files[file.name]
            found.append(replace(one, stored=file.name))
            continue
        taken, problem = take_otherwise(one, answer, work, tree)
        found.append(taken)
        problems += [problem] if problem else []
    needed, trouble = build_needs(work)
    tree |= needed
    told = tuple(Warning("wheels", text) for text in [*problems, *trouble])
    return Gathered(write_lock(replace(lock, distributions=tuple(found))), tree, told)


def says_the_same(lock: Lock, later: Lock) -> bool:
    """Is what was installed the same in both? They may differ in where it can be had."""

    def installed(one: Lock) -> list[tuple[str | None, ...]]:
        return sorted(
            (found.name, found.version, found.source, found.url, found.sha256, found.place, found.tree, found.installed)
            for found in one.distributions
        )

    def frame(one: Lock) -> tuple[str, ...]:
        return (one.python, one.implementation, one.platform, *sorted(one.build))

    return installed(lock) == installed(later) and frame(lock) == frame(later)


def need_lock(recorded: Recorded) -> bytes:
    if recorded.lock is None:
        raise EnvironmentFailed("The run has no lock of its environment.", "It was not captured; see its warnings.")
    return recorded.lock


def kept_wheels(recorded: Recorded) -> dict[str, Path]:
    """The wheels that are kept with the environment already."""
    place = recorded.lay_out(WHEELS)
    return {} if place is None else {path.name: path for path in sorted(place.iterdir())}


def archive_of(found: Distribution) -> File | None:
    """The wheel that a distribution was installed from by its URL."""
    url = (found.url or "").partition("#")[0]
    name = url.rpartition("/")[2]
    return File(name, found.sha256, url) if found.source == "url" and name.endswith(".whl") and found.sha256 else None


def answer_here(recorded: Recorded) -> dict[str, Any] | None:
    """What the interpreter of the run says today, if it is on this machine."""
    from mltrack.environments.interpreter import Interpreter
    from mltrack.environments.python.probe import probe

    path = recorded.own_interpreter
    if path is None or not Path(path).is_file():
        return None
    try:
        return probe(Interpreter((path,), Path("/"), recorded.variables), recorded.cache)
    except EnvironmentFailed:
        return None


def take_otherwise(
    found: Distribution, answer: dict[str, Any] | None, work: Work, tree: dict[str, Path]
) -> tuple[Distribution, str | None]:
    """The wheel of a distribution whose file no index gave: packed from what is installed, else built from an sdist
    another day. Puts files into `tree`; says what is left wanting."""
    if answer is not None and is_unchanged(found, answer):
        try:
            infos = info_directories(answer)
            packed = pack_installed(
                found, infos[found.name], Path(answer["prefix"]), work.scratch / "packed" / found.name
            )
            tree[packed.name] = packed
            return with_stored(found, packed), None
        except (EnvironmentFailed, KeyError):
            pass
    if found.sdist is not None and found.sdist.url is not None:
        fetched = fetch_all([found.sdist], work.scratch / WHEELS, work.settings, work.recorded.tell)
        tree.update(fetched.files)
        if fetched.files:
            return found, f"{found.name} {found.version} is carried as its source, for no wheel of it could be had."
    return found, f"{found.name} {found.version} is not carried: no index has its file, nor is it installed here."


def is_unchanged(found: Distribution, answer: Mapping[str, Any]) -> bool:
    """Is what is installed under this name today what the run used?"""
    return found.installed is not None and any(
        normalise(one["name"]) == found.name and one.get("installed") == found.installed
        for one in answer["distributions"]
    )


def build_needs(work: Work) -> tuple[dict[str, Path], list[str]]:
    """Wheels of what builds the environment's directories (setuptools, say), and why they are not to be had."""
    if not work.lock.build:
        return {}, []
    from mltrack.environments.python.installer import find_uv

    variables, cache = work.recorded.variables, work.recorded.cache
    asked = Asked((), work.lock.python, find_uv(variables), work.settings, work.scratch, cache)
    answer: Answer = resolve_needs(asked, work.lock.build)
    if answer.error:
        return {}, [f"What builds the project's own package is not carried: {answer.error}."]
    files = [
        next((file for file in offer.wheels if file.name.endswith("-none-any.whl")), offer.wheels[0])
        for offer in answer.offers.values()
        if offer.wheels
    ]
    here = {file.name: Path(answer.local[file.name]) for file in files if file.name in answer.local}
    fetched = fetch_all(
        [file for file in files if file.name not in here], work.scratch / WHEELS, work.settings, work.recorded.tell
    )
    return {**here, **fetched.files}, [f"{name} is not carried: {why}." for name, why in fetched.problems.items()]

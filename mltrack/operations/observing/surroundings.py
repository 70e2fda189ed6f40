"""The world of one run as the rules of observation need it: what is code, what is environment, what lies on disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun
from mltrack.observe import Event, Seen
from mltrack.observe.folding import Fold, joined
from mltrack.observe.names import CODE_SUFFIXES, suffix_of
from mltrack.observe.rules import ABSENT, TEMPORARY, Fact, Surroundings
from mltrack.operations.request import longest

if TYPE_CHECKING:
    from mltrack.git.repository import Repository
    from mltrack.live.rundir import RunDir
    from mltrack.operations.request import Place, Recording
    from mltrack.project import Project
    from mltrack.records import CodeState, Run
    from mltrack.redact import Redactor

PACKAGE = Path(__file__).resolve().parents[2]
LANGUAGE_VARIABLES = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_ROOT",
    "R_HOME",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "GUIX_PROFILE",
)
LISTS = ("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "JULIA_DEPOT_PATH", "LD_LIBRARY_PATH")
AT_HOME = (
    ".local/lib", ".local/share/uv", ".local/bin", ".julia", ".pyenv", ".conda", ".rustup", ".cargo", ".nvm", "R",
    "miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "go/pkg",
)  # fmt: skip
INTERPRETERS = ("python", "pypy", "Rscript", "julia", "conda", "mamba", "node")
LINK_MODE = b"120000"
MOST_TOLD = 16 << 20
"""Bytes of what one process says of itself."""


@noun
class Scene:
    """A run whose files are to be placed: alive, just ended, or folded late."""

    project: Project
    rundir: RunDir
    place: Place
    run: Run
    """As far as it is known: its code and what was declared."""
    variables: Mapping[str, str]
    redactor: Redactor
    inputs: tuple[str, ...] = ()
    """Where the declared inputs lie."""
    is_container: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the container."""


def scene_of(recording: Recording) -> Scene:
    """The scene of a run that we started ourselves."""
    return Scene(
        recording.project,
        recording.rundir,
        recording.plan.place,
        recording.opening,
        recording.variables,
        recording.redactor,
        tuple(str(item.place) for item in recording.inputs),
        recording.started is not None,
        recording.started.facts if recording.started is not None else {},
    )


IN_IMAGE = "/<image>"
"""What a path in a container begins with that no mount holds: part of the environment."""


def on_this_machine(scene: Scene, event: Event) -> Event:
    """An event of a process in a container with its paths as they are here."""
    if event.letter in "n!":
        return event
    other = here(scene, event.other) if event.letter == "m" else event.other
    return event._replace(path=here(scene, event.path), other=other)


def here(scene: Scene, path: str) -> str:
    from mltrack.environments import host_path

    if longest(path, scene.place.outside) is not None:  # ours, by the path that the record has
        return path
    root = str(scene.place.root)
    return host_path(scene.facts or {"mounts": [[root, root]]}, path) or f"{IN_IMAGE}{path}"


@noun
class Code:
    """The captured tree, by absolute paths."""

    files: frozenset[str] = frozenset()
    tracked: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()

    def has(self, path: str) -> bool:
        """Is it code, and not data that happens to lie in the tree, untracked?"""
        return path in self.files and (path in self.tracked or suffix_of(path) in CODE_SUFFIXES)


def code_of(repository: Repository, code: CodeState) -> Code:
    """The tree that a run recorded, as git has it: its files, those of them that are committed, its links."""
    files: set[str] = set()
    tracked: set[str] = set()
    links: set[str] = set()
    for place, one, inner in all_code(repository, code):
        if one.snapshot is None:
            continue
        for mode, path in tree_entries(inner, one.snapshot):
            name = f"{place}/{os.fsdecode(path)}"
            files.add(name)
            if mode == LINK_MODE:
                links.add(name)
        if one.commit is not None:
            tracked.update(f"{place}/{os.fsdecode(path)}" for _, path in tree_entries(inner, one.commit))
    return Code(frozenset(files), frozenset(tracked), frozenset(links))


def all_code(repository: Repository, code: CodeState) -> Iterator[tuple[str, CodeState, Repository]]:
    """A code state and those nested in it, with the directory and the repository of each."""
    from mltrack.git.changes import find_nested

    yield str(repository.root), code, repository
    for nested in code.nested:
        inner = find_nested(repository, os.fsencode(nested.path))
        if inner is not None:
            yield from all_code(inner, nested.code)


def tree_entries(repository: Repository, treeish: str) -> Iterator[tuple[bytes, bytes]]:
    """Mode and path of every file in a tree."""
    from mltrack.git.repository import git

    for line in git(repository, "ls-tree", "-r", "-z", "--full-tree", treeish).split(b"\0"):
        facts, _, path = line.partition(b"\t")
        if path:
            yield facts.split(b" ", 1)[0], path


def surroundings_of(scene: Scene, fold: Fold, code: Code, start_ns: int) -> Surroundings:
    """What the rules know, at this moment."""
    config, declared = scene.project.config, scene.run.declared
    home = os.path.normpath(scene.variables.get("HOME") or "/nonexistent")
    temporary = scene.variables.get("TMPDIR")
    real = tuple(os.path.realpath(place) for place in scene.inputs)
    return Surroundings(
        root=str(scene.place.root),
        look=looker(scene.place, start_ns),
        begins=lambda path: beginning(lies_at(scene.place, path)),
        home=home,
        temporary=(*TEMPORARY, os.path.normpath(temporary)) if temporary and temporary != "/" else TEMPORARY,
        environments=tuple(dict.fromkeys((*environments(scene, fold, home), IN_IMAGE))),
        own=(str(scene.project.state), str(PACKAGE)),
        data=tuple(name for name in scene.place.names if name.startswith(f"{scene.project.work}/")),
        is_code=code.has,
        inputs=(*declared.get("inputs", ()), *real),
        outputs=declared.get("outputs", ()),
        include=config.observe_include,
        exclude=config.observe_exclude,
        programs={path: os.path.realpath(path) for path in fold.programs},
        tools=frozenset(
            map(os.path.normpath, filter(os.path.isabs, scene.variables.get("PATH", "").split(os.pathsep)))
        ),
        command=command_path(scene),
        aliases=aliases(fold, code.links),
    )


def command_path(scene: Scene) -> str:
    """The absolute path of the command's program, if it was given by a path and not by its name alone."""
    program = scene.run.command[0] if scene.run.command else ""
    return os.path.normpath(os.path.join(scene.place.root, scene.run.cwd, program)) if "/" in program else ""


def looker(place: Place, start_ns: int) -> Callable[[str], Fact]:
    """Says what lies at a path that the command used; `start_ns` by the clock of the filesystem.

    Where links lead is asked once in a second for each directory: a hundred thousand files lie in few, and a command
    that is at work may turn a link to where secrets are.
    """
    from mltrack.operations.observing.listings import is_stand_in

    directories: dict[str, str] = {}
    asked_s = monotonic()

    def look(path: str) -> Fact:
        nonlocal asked_s
        if monotonic() - asked_s > 1:
            directories.clear()
            asked_s = monotonic()
        here = lies_at(place, path)
        parent, _, name = here.rpartition("/")
        leads = directories.get(parent)
        if leads is None:
            leads = directories[parent] = os.path.realpath(parent or "/").rstrip("/")
        real = f"{leads}/{name}"
        try:
            found = os.lstat(here)
            if stat.S_ISLNK(found.st_mode):
                real = os.path.realpath(here)
                found = os.stat(here)
        except OSError:
            return Fact("link") if os.path.islink(here) else ABSENT
        mode = found.st_mode
        kind = "file" if stat.S_ISREG(mode) else "directory" if stat.S_ISDIR(mode) else "special"
        kind = "stand-in" if is_stand_in(found) else kind
        return Fact(kind, found.st_ctime_ns >= start_ns, "" if real == here else real, found.st_size)

    return look


def beginning(path: str, most: int = 4096) -> bytes:
    """The first bytes of a regular file; nothing where they cannot be had."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(handle, most) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(handle)


def lies_at(place: Place, path: str) -> str:
    """`Place.lies_at` as a text: asked for thousands of paths."""
    return str(place.lies_at(path)) if place.outside else path


def environments(scene: Scene, fold: Fold, home: str) -> Iterator[str]:
    """Directories of which all belongs to the environment: prefixes of interpreters, libraries of other languages."""
    variables = scene.variables
    for name in LANGUAGE_VARIABLES:
        if os.path.isabs(variables.get(name, "")):
            yield os.path.normpath(variables[name])
    for name in LISTS:
        yield from (os.path.normpath(part) for part in variables.get(name, "").split(os.pathsep) if os.path.isabs(part))
    yield from (f"{home}/{name}" for name in AT_HOME)
    programs = [*fold.programs, scene.run.environment.interpreter or ""]
    for program in programs:
        directory, name = os.path.split(program)
        if name.startswith(INTERPRETERS) and os.path.basename(directory) in ("bin", "Scripts"):
            yield os.path.dirname(directory)
    yield from prefixes(scene.rundir.path / "processes")


def prefixes(directory: Path) -> Iterator[str]:
    """The prefixes that the run's Python processes told."""
    try:
        names = [name for name in sorted(os.listdir(directory)) if name.endswith(".json")]
    except OSError:
        return
    for name in names[:1000]:
        told = told_by(directory / name)
        for key in ("prefix", "base_prefix"):
            prefix = told.get(key) if isinstance(told, dict) else None
            if isinstance(prefix, str) and os.path.isabs(prefix):
                yield os.path.normpath(prefix)


def told_by(path: Path) -> Any:
    """What a file of JSON says that the run's own processes wrote: it may be anything."""
    from json import loads

    try:
        return loads(path.read_bytes()) if path.stat().st_size <= MOST_TOLD else None
    except (OSError, ValueError, RecursionError):
        return None


def aliases(fold: Fold, links: frozenset[str]) -> dict[str, str]:
    """Paths that lead through a link of the code -> where they lead: the link comes back with the code."""
    if not links:
        return {}
    led: dict[str, bool] = {"": False}

    def leads(path: str) -> bool:
        above = []
        while path not in led and path not in links:
            above.append(path)
            path = path.rpartition("/")[0]
        known = led[path] = path in links or led[path]
        led.update(dict.fromkeys(above, known))
        return known

    found = {}
    for path in fold.paths():
        if leads(path):
            with suppress(OSError, ValueError, RecursionError):
                real = os.path.realpath(path)
                if real != path:
                    found[path] = real
    return found


def all_seen(fold: Fold, aside: Mapping[str, Seen], aliases: Mapping[str, str]) -> list[Seen]:
    """Everything that was seen: programs too, what links lead to, and what sources say that know no process."""
    seen = fold.seen()
    for path, one in aside.items():
        seen[path] = joined(seen[path], one) if path in seen else one
    for program in fold.programs:
        seen.setdefault(program, Seen(program))
    for path, real in aliases.items():
        one = seen[path]._replace(path=real)
        seen[real] = joined(seen[real], one) if real in seen else one
    return list(seen.values())


def started_ns(rundir: RunDir) -> int:
    """When the command began, by the clock of the filesystem that the run's directory lies on."""
    try:
        return os.stat(rundir.path / "process.json").st_mtime_ns
    except OSError:
        return 0


def named(scene: Scene, path: str) -> str:
    """What the record calls an absolute path that the command used."""
    root = str(scene.place.root)
    if path.startswith(root + "/"):
        return path[len(root) + 1 :]
    return scene.place.named(path)


def shown(names: Sequence[str] | Iterable[str], most: int = 3) -> str:
    """`a, b, c and 5 more`."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")

"""Which files are not code: declared inputs, outputs and metrics files, and what earlier runs wrote.

Without this rule the first run's `metrics.json` would be part of the second run's code. `.mltrack/artifact-paths`
caches what earlier runs wrote, because it is asked before every start; the ledger can always say it again. Nor are the
plots, reports and exports code that mltrack wrote itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.observe.names import CODE_SUFFIXES, is_cache
from mltrack.operations.request import Declared, Place

if TYPE_CHECKING:
    from mltrack.project import Project

CACHE = "artifact-paths"
WRITTEN = "written-files"
"""Files that mltrack itself wrote in the project (plots, reports, exports), as they were when it had written them."""
MOST_WRITTEN = 1000


def output_rule(project: Project, declared: Declared, prefix: str) -> Callable[[bytes], bool]:
    """Is an untracked path (relative to the top of the repository) an output of this project, or data that it reads?

    Declared inputs are kept as such: as code too, a data set that git does not know would be packed twice.
    """
    earlier = artifact_paths(project)
    own = own_output(project.root) | written_files(project)
    patterns = [*declared.outputs, *declared.metrics]
    start = os.fsencode(prefix)

    def is_output(path: bytes) -> bool:
        if is_cache(path):
            return True
        if not path.startswith(start):
            return False
        name = os.fsdecode(path[len(start) :])
        if name in own or matches(name, patterns):
            return True
        is_data = is_in(name, earlier) or matches(name, declared.inputs)
        return is_data and Path(name).suffix.lower() not in CODE_SUFFIXES

    return is_output


def note_written(place: Path) -> None:
    """Remember a file that mltrack wrote on somebody's behalf, if it lies in a project: it is none of their code.

    Best effort: the file is there, and whoever asked for it has it.
    """
    from mltrack.project import Project

    try:
        place = Path(os.path.realpath(place))
        project = Project.find(place.parent)
        if project is None:
            return
        name = os.path.relpath(place, os.path.realpath(project.root))
        found = {**read_written(project), name: stamp(place)}
        lines = [os.fsencode(f"{mark}\0{one}\0") for one, mark in list(found.items())[-MOST_WRITTEN:]]
        temporary = project.state / f"{WRITTEN}.{os.getpid()}"
        temporary.write_bytes(b"".join(lines))
        os.replace(temporary, project.state / WRITTEN)
    except OSError:
        return


def written_files(project: Project) -> set[str]:
    """The files that mltrack wrote, below the root, which nobody has changed since."""
    found = set()
    for name, mark in read_written(project).items():
        try:
            if stamp(project.root / name) == mark:
                found.add(name)
        except OSError:
            continue
    return found


def read_written(project: Project) -> dict[str, str]:
    """Name below the root -> its stamp when it was written."""
    try:
        words = os.fsdecode((project.state / WRITTEN).read_bytes()).split("\0")[:-1]
    except OSError:
        return {}
    return dict(zip(words[1::2], words[::2]))


def stamp(place: Path) -> str:
    """What a file is known by: its size and when it was changed."""
    fields = os.lstat(place)
    return f"{fields.st_size}:{fields.st_mtime_ns}"


def own_files() -> dict[tuple[int, int], int]:
    """The regular files that we have on standard input, output and error: (device, inode) -> its number. What the shell
    writes there (`> train.log`) is of our caller's making, and no run's."""
    import stat

    found = {}
    for number in (0, 1, 2):
        try:
            fields = os.fstat(number)
        except OSError:
            continue
        if stat.S_ISREG(fields.st_mode):
            found[fields.st_dev, fields.st_ino] = number
    return found


def own_output(root: Path) -> set[str]:
    """The names below the root of the files that our own output goes to."""
    found = set()
    top = os.path.realpath(root)
    for (device, inode), number in own_files().items():
        try:
            place = os.readlink(f"/proc/self/fd/{number}")
            fields = os.lstat(place)
        except OSError:
            continue
        if number and (fields.st_dev, fields.st_ino) == (device, inode) and place.startswith(f"{top}/"):
            found.add(place[len(top) + 1 :])
    return found


def is_in(name: str, paths: set[str]) -> bool:
    """Is a relative path one of these, or below one?"""
    while name and name not in paths:
        name = name.rpartition("/")[0]
    return bool(name)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Is a relative path one of the patterns, or below one?"""
    for pattern in patterns:
        pattern = pattern.rstrip("/")
        if name == pattern or name.startswith(f"{pattern}/") or fnmatchcase(name, pattern):
            return True
    return False


def artifact_paths(project: Project) -> set[str]:
    """Every path that an earlier run wrote; read from the cache, which is made from the ledger where it is missing."""
    cache = project.state / CACHE
    try:
        return set(os.fsdecode(cache.read_bytes()).split("\0")) - {""}
    except FileNotFoundError:
        if not (project.state / "ledger.db").exists():
            return set()
        paths = project.ledger.artifact_paths()
        remember(project, paths)
        return paths


def remember(project: Project, paths: Iterable[str]) -> None:
    """Add paths to the cache."""
    with open(project.state / CACHE, "ab") as file:
        file.write(b"".join(os.fsencode(path) + b"\0" for path in paths))


def forget(project: Project) -> None:
    """Drop the cache: records came in from elsewhere."""
    (project.state / CACHE).unlink(missing_ok=True)


def below_root(files: Mapping[bytes, Any], prefix: str) -> dict[bytes, Any]:
    """Paths relative to the top of the repository -> relative to the project; what lies outside of it is dropped."""
    start = os.fsencode(prefix)
    return {path[len(start) :]: key for path, key in files.items() if path.startswith(start)}


def stat_declared(place: Place, patterns: Iterable[str]) -> dict[bytes, Any]:
    """Stat fields of all files that the declared patterns stand for now: path in the record -> fields."""
    from mltrack.store.keep import stat_files

    found: dict[bytes, Any] = {}
    for pattern in patterns:
        for text, here in stands_for(place, pattern):
            if not os.path.lexists(here):
                continue
            name = os.fsencode(text)
            for below, key in stat_files(here).items():
                found[name + b"/" + below if below else name] = key
    return found


def stands_for(place: Place, pattern: str) -> list[tuple[str, Path]]:
    """What a declared path or glob stands for: the record's path of each, and where it lies for us.

    What lies outside of a reproduction's workspace is where only the command sees it; `~` may be another home by now.
    """
    from mltrack.snapshot.inputs import expand, name_below

    top = os.path.expanduser(pattern)
    if not os.path.isabs(top) or not (place.outside or place.names):
        return [(name_below(place.root, here), here) for here in expand(pattern, place.root)]
    found: dict[Path, str] = {}
    for now, then in (("", ""), *place.names.items()):
        if top == then or top.startswith(f"{then}/"):
            for here in expand(str(place.lies_at(now + top[len(then) :])), place.root):
                found.setdefault(here, place.named(place.seen_as(here)))
    return [(name, here) for here, name in found.items()]

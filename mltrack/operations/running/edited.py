"""Code that was edited while the run was at work: the record has it as it was before, and the run may have seen either.

What the run itself was seen to write is its artifact and no edit. Where not everything was watched that cannot be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.observe.names import is_cache
from mltrack.operations.running.outputs import below_root, matches
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.git.repository import Repository
    from mltrack.observe import Seen
    from mltrack.operations.observing.watcher import Ended
    from mltrack.operations.request import Recording

KIND = "code-changed"
MOST = 500
"""Files that are read again; of more it is not asked whether they hold what they held."""


def edited_code(recording: Recording, ended: Ended | None, after: Mapping[bytes, Any]) -> list[Warning]:
    """The warning that names captured code that changed and that the run was not seen to write.

    `after`: path below the top of the repository -> stat fields, of all that git lists now.
    """
    captured, place = recording.captured, recording.plan.place
    moved = [path for path, key in captured.files.items() if after.get(path) != key and not is_cache(path)]
    if not moved:
        return []
    top = str(place.repository.root)
    places = [f"{top}/{os.fsdecode(path)}" for path in moved if not is_declared(recording, path)]
    seen = seen_by(ended)
    edited = [path for path in places if not is_by_run(seen, path, top)]
    edited = of_code(recording, ended, edited)
    differ = sorted(differing(recording, edited)) if len(edited) <= MOST else sorted(edited)
    if not differ:
        return []
    from mltrack.operations.observing.surroundings import shown

    names = shown([os.path.relpath(path, place.root) for path in differ])
    if ended is not None and ended.is_complete:
        text = f"Edited while the run was at work, and recorded as it was before: {names}."
        return [Warning(KIND, f"{text} Which one it used is not known.")]
    text = f"Code that changed while the run was at work, and who wrote it cannot be told: {names}."
    return [Warning("writer-unknown", text)]


def is_declared(recording: Recording, path: bytes) -> bool:
    """Is it declared to be written by the run, or an input, which is looked after as such?"""
    declared = recording.plan.declared
    names = below_root({path: None}, recording.captured.code.prefix)
    patterns = (*declared.outputs, *declared.metrics, *declared.inputs)
    return any(matches(os.fsdecode(name), patterns) for name in names)


def seen_by(ended: Ended | None) -> dict[str, Seen]:
    """What the run's processes were seen to do to each path; nothing where it was also told by who knows no process."""
    if ended is None or ("directories" in ended.sources and not ended.is_complete):
        return {}
    return {item.path: item.seen for item in ended.placed}


def is_by_run(seen: Mapping[str, Seen], path: str, top: str) -> bool:
    """Was the run seen to write or remove it, or to put something else in the place of a directory above it?"""
    while len(path) > len(top):
        known = seen.get(path)
        if known is not None and (known.writes or known.is_removed):
            return True
        path = path.rpartition("/")[0]
    return False


def of_code(recording: Recording, ended: Ended | None, places: list[str]) -> list[str]:
    """Those that a person writes or tracks; other files in the tree are data, and inputs if they were read."""
    from mltrack.operations.observing.surroundings import code_of

    if not places:
        return []
    code = ended.code if ended is not None else code_of(recording.plan.place.repository, recording.captured.code)
    return [path for path in places if code.has(path)]


def differing(recording: Recording, places: Iterable[str]) -> set[str]:
    """Those whose content is not that of the captured tree."""
    from mltrack.operations.observing.surroundings import all_code

    wanted = set(places)
    found = set()
    for top, code, repository in all_code(recording.plan.place.repository, recording.captured.code) if wanted else ():
        blobs = blobs_of(repository, code.snapshot or "", top, wanted)
        now = blobs_now(repository, sorted(blobs))
        found |= {path for path, blob in blobs.items() if now.get(path) != blob}
    return found


def blobs_of(repository: Repository, snapshot: str, top: str, wanted: set[str]) -> dict[str, str]:
    """Absolute path -> blob, of the wanted files that a tree holds."""
    from mltrack.git.repository import git

    found = {}
    for line in git(repository, "ls-tree", "-r", "-z", "--full-tree", snapshot).split(b"\0") if snapshot else ():
        facts, _, path = line.partition(b"\t")
        place = f"{top}/{os.fsdecode(path)}"
        if path and place in wanted:
            found[place] = facts.split(b" ")[2].decode()
    return found


def blobs_now(repository: Repository, paths: Sequence[str]) -> dict[str, str]:
    """Absolute path -> the blob that git would make of the regular file that lies there now."""
    from mltrack.errors import MltrackError
    from mltrack.git.repository import git

    files = [path for path in paths if os.path.isfile(path) and not os.path.islink(path)]
    if not files:
        return {}
    try:
        return dict(zip(files, git(repository, "hash-object", "--", *files).decode().split()))
    except MltrackError:
        return {}

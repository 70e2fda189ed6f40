"""The preflight that belongs to a run: a line before it starts, and the grade in its record.

On the path to a command's start, so that it asks nothing that takes time. What only a run can show (packages without
hashes, network reads) is remembered from the last run of the same command, in `.mltrack/preflight/`: a cache, which
may go at any time. Nothing here may keep a command from starting, or a record from being sealed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.compare.preflight.foreseen import Facts, foresee, seed
from mltrack.compare.preflight.grade import grade, is_worse, line
from mltrack.digest import keyed_digest
from mltrack.formats.launchers import arguments_start
from mltrack.noun_json import from_dict, to_dict
from mltrack.nouns import noun
from mltrack.records import Concern
from mltrack.snapshot.randomness import Program, beginning, look

if TYPE_CHECKING:
    from mltrack.git.capture import Captured
    from mltrack.operations.request import Plan, Recording, Tell
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.snapshot.inputs import FoundInput

CACHE = "preflight"
SOURCES_FIRST = 24
"""Files of the program that are looked at for seeds before it starts."""
SOURCES_LAST = 1000
"""And when it has ended."""
MOST_PROGRAMS = 1000
"""Of so many the last run is remembered."""
MOST_SETTLED = 200
"""So many left-out files are remembered."""
POINTER_SIZES = range(100, 1024)
MORE = "mltrack preflight -- ... says more"


@noun
class Memory:
    """What is kept of the last run of a command."""

    concerns: tuple[Concern, ...] = ()
    """Of kinds that only a run can show."""
    settled: frozenset[str] = frozenset()
    """Left-out files that it is known not to have missed."""
    lifted: frozenset[str] = frozenset()
    """Kinds that were foreseen, and turned out to be none."""


def foreseen(project: Project, plan: Plan, captured: Captured, inputs: Sequence[FoundInput], opening: Run) -> Run:
    """The opening record with what is foreseen of the run."""
    try:
        last = recall(project, opening)
        facts = facts_of(Ahead(project, plan, captured, inputs, opening))
        early = [one for one in foresee(replace(facts, settled=last.settled)) if one.kind not in last.lifted]
        known = {one.kind for one in early}
        return replace(opening, preflight=grade([*early, *(one for one in last.concerns if one.kind not in known)]))
    except Exception:  # whatever a stranger's files make of it, the command starts
        return opening


def tell_foreseen(plan: Plan, opening: Run, tell: Tell) -> None:
    """Say it in a line, unless all is well. Of a reproduction there is nothing to mend."""
    if opening.preflight is not None and plan.repeats is None:
        text = line(opening.preflight)
        if text is not None:
            tell(f"{text} ({MORE})")


@noun
class Ahead:
    """A run that is about to start."""

    project: Project
    plan: Plan
    captured: Captured
    inputs: Sequence[FoundInput]
    opening: Run


def facts_of(ahead: Ahead, most: int = SOURCES_FIRST) -> Facts:
    """What is known now. `most`: files of the program that are looked at."""
    from mltrack.git.repository import is_private

    project, plan, captured = ahead.project, ahead.plan, ahead.captured
    config, sizes = project.config, {item.path: item.size_bytes for item in ahead.inputs}
    options = {**config.environment, **plan.request.environment_options}
    return Facts(
        run=ahead.opening,
        root=str(plan.place.installed_from or plan.place.root),
        home=os.environ.get("HOME") or "/nonexistent",
        is_path=may_be_path,
        inputs=sizes,
        keep_limit=config.keep_limit,
        image=options.get("image") if isinstance(options.get("image"), str) else None,
        is_watched="off" not in config.observe_sources,
        has_git=not is_private(plan.place.repository),
        asks_index=options.get("lock", True),
        stdin_bytes=0 if plan.stdin is not None else waiting_bytes(),
        random_in=random_in(plan, captured, most),
        pointers=tuple(lfs_pointers(plan, captured)),
    )


def random_in(plan: Plan, captured: Captured, most: int) -> str | None:
    program = Program(str(plan.place.root), plan.cwd, plan.command, captured.files, captured.code.prefix)
    return look(program, most).unseeded_in


def lfs_pointers(plan: Plan, captured: Captured) -> Iterable[str]:
    """Files that are themselves what Git LFS commits: their content was not fetched."""
    attributes = captured.code.prefix and os.fsencode(captured.code.prefix) + b".gitattributes"
    root = plan.place.repository.root
    for name in {b".gitattributes", attributes or b".gitattributes"}:
        if name in captured.files and b"filter=lfs" in read_start(root, name, 1 << 16):
            break
    else:
        return
    from mltrack.git.conversion import POINTER

    for path, key in captured.files.items():
        if key[2] in POINTER_SIZES and read_start(root, path, len(POINTER)) == POINTER:
            yield os.fsdecode(path)


def read_start(root: Path, path: bytes, size: int) -> bytes:
    return beginning(os.path.join(os.fsencode(root), path), size)


def may_be_path(word: str) -> bool:
    """Does an absolute word lead to something, or to where something can be made? A pattern does not."""
    above = os.path.dirname(word.rstrip("/"))
    return os.path.lexists(word) or (above not in ("", "/") and os.path.isdir(above))


def waiting_bytes() -> int:
    """Bytes that wait in a pipe or socket at standard input."""
    import stat

    try:
        mode = os.fstat(0).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            return 0
        import fcntl
        import termios

        return int.from_bytes(fcntl.ioctl(0, termios.FIONREAD, bytes(4)), "little")
    except OSError:
        return 0


# -- when the run has ended


def with_preflight(project: Project, run: Run, recording: Recording | None = None) -> Run:
    """The run with its preflight by all that is known now; said, where it is worse than what was said at the start.

    `recording` is None for a run whose supervisor has gone.
    """
    from mltrack.compare.preflight.hindsight import preflight_of

    try:
        known = run if recording is None else with_seed(run, recording)
        done = replace(run, preflight=preflight_of(known, project.config.keep_limit))
    except Exception:  # a record without a grade is better than none
        return run
    if recording is not None and recording.plan.repeats is None:
        tell_worse(project, run, done)
        with suppress(Exception):  # it is a cache, and the disk may be full
            remember(project, done)
    return done


def with_seed(run: Run, recording: Recording) -> Run:
    """There is time now to look for seeds in all files of a larger program."""
    known = run.preflight.concerns if run.preflight else ()
    if any(one.kind == "seed" for one in known):
        return run
    random = random_in(recording.plan, recording.captured, SOURCES_LAST)
    return replace(run, preflight=grade([*known, *seed(Facts(run, "", random_in=random))]))


def tell_worse(project: Project, opening: Run, done: Run) -> None:
    if done.preflight is None or not is_worse(
        done.preflight.grade, opening.preflight.grade if opening.preflight else "A"
    ):
        return
    project.progress.tell(f"{line(done.preflight)} (seen while it ran; {MORE})")


# -- what the last run of the same command told


def words_of(command: Sequence[str], cwd: str) -> list[str]:
    """What makes two commands the same program: its script and what launches it, where it stands; no arguments."""
    start = max(1, arguments_start(command))
    return [cwd, command[0].rpartition("/")[2], *command[1:start]]


def settings_of(project: Project) -> list[Any]:
    """Where these differ, what was remembered is not true any more."""
    config = project.config
    return [config.keep_limit, config.artifact_limit, *config.observe_sources, "|", *config.observe_include]


def memory(project: Project, words: Sequence[str]) -> Path:
    """The file of a program; its name tells nobody what the program was."""
    digest = keyed_digest(project.key, map(os.fsencode, words))
    return project.state / CACHE / f"{digest.removeprefix('b3:')[:32]}.json"


def remember(project: Project, run: Run) -> None:
    """Keep what the next run of the same command cannot know before it starts.

    A run that failed early has seen less than the one before it: then what that one showed stays.
    """
    from mltrack.compare.preflight.foreseen import settled_in
    from mltrack.compare.preflight.hindsight import carried, lifted

    concerns = carried(run.preflight) if run.preflight is not None else []
    made = Memory(tuple(concerns), frozenset(settled_in(run)), frozenset(lifted(run)))
    if run.status != "finished":
        before, new = recall(project, run), {one.kind for one in concerns}
        made = replace(before, concerns=(*concerns, *(one for one in before.concerns if one.kind not in new)))
    words = words_of(run.command, run.cwd)
    path = memory(project, words)
    if made == Memory():
        path.unlink(missing_ok=True)
        return
    make_room(path.parent)
    known = {
        "settings": settings_of(project),
        "concerns": to_dict(made.concerns),
        "settled": sorted(made.settled)[:MOST_SETTLED],
        "lifted": sorted(made.lifted),
    }
    new_file = path.with_suffix(f".{os.getpid()}")
    new_file.write_text(json.dumps(known))
    os.replace(new_file, path)


def make_room(directory: Path) -> None:
    """A cache of thousands of programs (each `python -c` is one) is emptied rather than kept for good."""
    directory.mkdir(exist_ok=True)
    names = os.listdir(directory)
    if len(names) >= MOST_PROGRAMS:
        for name in names:
            (directory / name).unlink(missing_ok=True)


def recall(project: Project, run: Run) -> Memory:
    """What was kept of the last run of the same command; nothing where the settings have changed since."""
    words = words_of(run.command, run.cwd)
    try:
        known = json.loads(memory(project, words).read_bytes())
        if known["settings"] != settings_of(project):
            return Memory()
        concerns = tuple(from_dict(Concern, one) for one in known["concerns"])
        return Memory(concerns, frozenset(known["settled"]), frozenset(known["lifted"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Memory()

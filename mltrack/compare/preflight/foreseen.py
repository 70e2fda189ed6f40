"""What will make a run hard to get again, as far as it is known before the command starts.

Pure, and light: `mltrack run` asks it before every start. What the record says when all is known: `hindsight.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun
from mltrack.records import Concern

if TYPE_CHECKING:
    from mltrack.records import Run

EARLY = frozenset(
    (
        *("seed", "absolute-path", "path-in-cache", "path-outside", "stdin", "lfs-pointer", "submodule"),
        *("not-watched", "no-git", "hashes-off"),
    )
)
"""Kinds that are settled when the command starts. All others are judged again by what the run came to."""

OF_SNAPSHOT = frozenset(("left-out", "secret-file", "partial-clone", "odd-file"))
"""Kinds that `left_out` gives."""

UNNAMED = "params.yaml"
"""Its params are those of a run without being named (`operations/running/params.py`), if the command reads it."""

SEEDS = ("seed", "random_state", "randomstate")
SYSTEM = ("/dev", "/proc", "/sys", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/nix", "/opt/conda")
"""Directories of the machine's own software and devices: no data of a run."""
LISTED = 3
"""Names in one message; more are counted."""


def any_word(word: str) -> bool:
    return True


@noun
class Facts:
    """What is known of a run before it starts, besides its opening record."""

    run: Run
    root: str
    """Of the project, absolute."""
    home: str = "/nonexistent"
    is_path: Callable[[str], bool] = any_word
    """May this absolute word be the path of something?"""
    inputs: Mapping[str, int] = field(default_factory=dict)
    """Path of each input that is known of -> bytes, in the order in which they are kept."""
    keep_limit: int = 2 * 2**30
    needed_bytes: int = 0
    """What the store will take, as far as that can be told."""
    free_bytes: int | None = None
    image: str | None = None
    """The container image that is asked for, as it was written."""
    is_watched: bool = True
    """Will it be seen what the command reads?"""
    settled: frozenset[str] = frozenset()
    """Left-out files of which the last run of the same command is known to have had no need, or to have kept them."""
    has_git: bool = True
    asks_index: bool = True
    stdin_bytes: int = 0
    """Waiting in a pipe or socket at standard input."""
    random_in: str | None = None
    """A file of the program that uses random numbers, where none of its files sets a seed."""
    pointers: tuple[str, ...] = ()
    """Files of Git LFS whose content was not fetched."""


def foresee(facts: Facts) -> list[Concern]:
    """Everything that can be said now. Kinds outside of EARLY may be lifted by what the run is seen to do."""
    return [
        *left_out(facts.run, facts.is_watched, facts.settled if facts.is_watched else frozenset()),
        *over_limit(facts),
        *disk(facts),
        *secret_argument(facts.run),
        *pointers(facts.pointers),
        *stdin(facts.stdin_bytes),
        *unwatched(facts),
        *paths(facts),
        *seed(facts),
        *image_tag(facts.image),
        *submodules(facts.run),
        *remarks(facts),
    ]


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """`a, b, c and 4 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """`1 file is`, `3 files are`."""
    return f"{number:,} {noun} is" if number == 1 else f"{number:,} {noun}s are"


def left_out(run: Run, is_watched: bool, settled: Collection[str] = ()) -> Iterator[Concern]:
    """Files that the snapshot lacks. A large one that the run is seen to read is kept as an input after all."""
    needed = [item for item in run.code.all_left_out() if item.path not in settled and not is_settled(run, item.path)]
    secrets = [item.path for item in needed if item.reason == "may hold secrets"]
    odd = [item.path for item in needed if item.reason == "it is not a regular file"]
    absent = [item.path for item in needed if "partial clone" in item.reason]
    known = {*secrets, *odd, *absent}
    plain = [with_size(item.path, item.size_bytes) for item in needed if item.path not in known]
    is_open = is_watched and run.observation is None
    if plain:
        yield Concern(
            "left-out",
            "C" if is_open else "F",
            f"{counted(len(plain), 'file')} left out of the snapshot: {listed(plain)}.",
            "Declare what is read with --input, ignore the rest in .gitignore, or raise code.untracked_limit.",
        )
    if secrets:
        yield Concern(
            "secret-file",
            "C" if is_open else "D",
            f"{counted(len(secrets), 'secret file')} not recorded: {listed(secrets)}.",
            "Whoever runs it again must put it there: keep an example of it, without the secrets, in the repository.",
        )
    if absent:
        yield Concern(
            "partial-clone",
            "D",
            f"{counted(len(absent), 'tracked file')} not in this partial clone: {listed(absent)}.",
            "Fetch them first: git fetch --refetch --filter=blob:none --no-filter, or clone without --filter.",
        )
    if odd:
        text = f"{counted(len(odd), 'thing')} no regular file and cannot be kept: {listed(odd)}."
        yield Concern("odd-file", "B", text, "Ignore it in .gitignore, if the command makes it itself.")


def is_settled(run: Run, path: str) -> bool:
    """Is it known that the run had no need of this file, or kept it as an input?"""
    if run.observation is None:
        return any(item.kept and covers(item.path, path, run.code.prefix) for item in run.inputs)
    reads = [item for item in run.inputs if covers(item.path, path, run.code.prefix)]
    return any(item.kept for item in reads) or (not reads and run.observation.complete)


def settled_in(run: Run) -> list[str]:
    """The left-out files of a run of which it is known, as it was watched, that nothing of them is missing."""
    if run.observation is None:
        return []
    return [item.path for item in run.code.all_left_out() if is_settled(run, item.path)]


def covers(named: str, path: str, prefix: str) -> bool:
    """Is `path`, from the top of the repository, what an input names, or below it?"""
    below = path[len(prefix) :] if path.startswith(prefix) else f"../{path}"
    return below == named or below.startswith(f"{named.rstrip('/')}/")


def with_size(path: str, size_bytes: int | None) -> str:
    return path if size_bytes is None else f"{path} ({size_text(size_bytes)})"


def size_text(size_bytes: int) -> str:
    """`812 B`, `1.2 GiB`."""
    value, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1023.95 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 99.95 else f"{value:.1f} {units[0]}"


def over_limit(facts: Facts) -> Iterator[Concern]:
    """Inputs that will not be kept, as they are too large together."""
    room, over = facts.keep_limit, []
    for path, size_bytes in facts.inputs.items():
        if size_bytes <= room:
            room -= size_bytes
        else:
            over.append(with_size(path, size_bytes))
    if over:
        yield not_kept(over, facts.keep_limit)


def not_kept(names: Sequence[str], keep_limit: int) -> Concern:
    return Concern(
        "input-not-kept",
        "F",
        f"{counted(len(names), 'input')} not kept, only the digest: {listed(names)}.",
        f"Raise data.keep_limit in mltrack.yaml (now {size_text(keep_limit)}).",
    )


def disk(facts: Facts) -> Iterator[Concern]:
    if facts.free_bytes is not None and facts.needed_bytes > facts.free_bytes:
        needed, free = size_text(facts.needed_bytes), size_text(facts.free_bytes)
        text = f"The disk of the store is too full: about {needed} will be kept, {free} are free."
        yield Concern("disk-full", "D", text, "Free some space: mltrack du says what takes it, mltrack gc deletes.")


def secret_argument(run: Run) -> Iterator[Concern]:
    if any(warning.kind == "redacted-command" for warning in run.warnings):
        yield Concern(
            "secret-argument",
            "F",
            "A secret among the arguments is not recorded.",
            "Give it by an environment variable, or by a file outside of the repository.",
        )


def pointers(paths: Sequence[str]) -> Iterator[Concern]:
    if paths:
        yield Concern(
            "lfs-pointer",
            "D",
            f"{counted(len(paths), 'file')} not fetched by Git LFS: {listed(paths)}.",
            "The command would read the pointers. Fetch the content first: git lfs pull",
        )


def stdin(size_bytes: int) -> Iterator[Concern]:
    if size_bytes:
        text = "Standard input is a pipe, and what comes through it is not recorded."
        yield Concern("stdin", "C", text, "Write it to a file, and give that: mltrack run -- COMMAND < FILE")


def unwatched(facts: Facts) -> Iterator[Concern]:
    if not facts.is_watched:
        is_told = bool(facts.run.declared.get("inputs"))
        yield Concern(
            "not-watched",
            "B" if is_told else "C",
            "What the command reads is not watched (observe.sources: off).",
            "Take that setting away, or declare everything that it reads with --input.",
        )


def paths(facts: Facts) -> Iterator[Concern]:
    """Absolute paths among arguments and params: on another machine they may be something else."""
    inside: list[str] = []
    outside: list[str] = []
    caches: list[str] = []
    for word in dict.fromkeys([*arguments(facts.run.command), *texts(facts.run)]):
        path = os.path.normpath(word)
        if is_below(path, facts.root):
            inside.append(word)
        elif is_below(path, f"{facts.home}/.cache"):
            caches.append(word)
        elif facts.is_path(word) and not any(is_below(path, place) for place in SYSTEM):
            outside.append(word)
    if inside:
        text = "1 absolute path leads" if len(inside) == 1 else f"{len(inside):,} absolute paths lead"
        yield Concern(
            "absolute-path",
            "C",
            f"{text} into the project: {listed(inside)}.",
            f"Write it relative: {os.path.relpath(os.path.normpath(inside[0]), facts.root)}",
        )
    if caches:
        text = f"{counted(len(caches), 'path')} in a cache, whose files are not recorded: {listed(caches)}."
        yield Concern("path-in-cache", "D", text, "Copy what is read to a place of its own, and name that.")
    if outside:
        text = f"{counted(len(outside), 'path')} outside of the project: {listed(outside)}."
        remedy = "It is put back there, where that is allowed; a relative path below the project needs no permission."
        yield Concern("path-outside", "B", text, remedy)


def arguments(command: Sequence[str]) -> Iterator[str]:
    """The absolute paths among a command's words, interpreters apart."""
    for word in command[1:]:
        text = word.partition("=")[2] if not word.startswith("/") else word
        if text.startswith("/") and not text.rpartition("/")[2].startswith(("python", "pypy")):
            yield text


def texts(run: Run) -> Iterator[str]:
    """The absolute paths among the values of params files; of one that nobody named it is not known if it is read."""
    named = any(UNNAMED in word for word in (*run.declared.get("params", ()), *run.command))
    unknown = {"argv"} if named else {"argv", UNNAMED}
    for name, value in run.params.items():
        if run.param_sources.get(name) not in unknown:
            yield from (text for text in flat(value) if text.startswith("/") and "\n" not in text)


def flat(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for item in value for text in flat(item)] if isinstance(value, (list, tuple)) else []


def is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def seed(facts: Facts) -> Iterator[Concern]:
    """Random numbers and no seed: by option, param, or in the program itself. PYTHONHASHSEED alone seeds nothing."""
    if facts.random_in is None or facts.run.seed is not None or any(map(is_seed, facts.run.params.items())):
        return
    yield Concern(
        "seed",
        "B",
        f"No seed is set: {facts.random_in} uses random numbers.",
        "Seed its generators from $MLTRACK_SEED, or from an option such as --seed, and start it with `--seed N`.",
    )


def is_seed(param: tuple[str, Any]) -> bool:
    name = param[0].rpartition(".")[2].lower().replace("-", "_")
    return name.endswith(SEEDS) and param[1] is not None


def image_tag(image: str | None) -> Iterator[Concern]:
    if image and "@sha256:" not in image and not image.startswith("sha256:"):
        text = f"The image is named by a tag, which may move: {image}."
        yield Concern("image-tag", "B", text, "Name it by its digest: NAME@sha256:...")


def submodules(run: Run) -> Iterator[Concern]:
    dirty = [one.path for one in run.code.nested if one.code.dirty]
    if dirty:
        text = f"{counted(len(dirty), 'submodule')} changed and not committed: {listed(dirty)}."
        yield Concern("submodule", "B", text, "The snapshot has the changes, no commit has: commit them there.")


def remarks(facts: Facts) -> Iterator[Concern]:
    """What is worth a word and lowers no grade."""
    if not facts.has_git:
        text = "There is no git repository: the code is recorded, a history of it is not."
        yield Concern("no-git", "A", text, "git init, and commit what belongs to the project.")
    if not facts.asks_index:
        text = "No package index is asked (environment.lock: false), so the lock may have no hashes."
        yield Concern("hashes-off", "A", text, "Complete a lock later: mltrack env lock RUN")

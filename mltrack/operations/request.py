"""What a caller asks of `run`, and where the command is to work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Started
    from mltrack.executors import Bind
    from mltrack.formats.overrides import FileEdit
    from mltrack.git.capture import Captured
    from mltrack.git.repository import Repository
    from mltrack.live.rundir import RunDir
    from mltrack.operations.running.put_back import PutBack
    from mltrack.project import Project
    from mltrack.records import Artifact, CodeState, Input, Parent, Run
    from mltrack.redact import Redactor
    from mltrack.snapshot.inputs import FoundInput

Tell = Callable[[str], None]
"""Receives a sentence for the person at the terminal."""


LONGEST_WORD = 200
"""Characters of a name or a tag: it stands in every list of runs."""


def checked_tag(word: str) -> str:
    """The word, if it can be a tag. Raises UsageError."""
    if not word or len(word) > LONGEST_WORD or any(sign.isspace() or sign == "@" for sign in word):
        raise UsageError(
            f"{word[:LONGEST_WORD]!r} cannot be a tag.",
            f"A tag is one word without spaces or @, of at most {LONGEST_WORD} characters.",
        )
    return word


def checked_name(name: str | None, what: str) -> str | None:
    """The text, if it can be the name of a run or an experiment. Raises UsageError."""
    if name is not None and (not name.strip() or len(name) > LONGEST_WORD or len(name.splitlines()) > 1):
        raise UsageError(
            f"{name[:LONGEST_WORD]!r} cannot be the name of {what}.",
            f"A name is one line of at most {LONGEST_WORD} characters.",
        )
    return name


def silent(sentence: str) -> None:
    """Tell nobody."""


@noun
class RunRequest:
    """One run as it was asked for. Paths and patterns are relative to `cwd`, as they were typed."""

    command: tuple[str, ...]
    cwd: Path
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    name: str | None = None
    experiment: str | None = None
    tags: tuple[str, ...] = ()
    why: str | None = None
    seed: int | None = None
    environment_kind: str | None = None
    environment_options: Mapping[str, Any] = field(default_factory=dict)
    """Laid on top of the settings below `environment:`."""
    resume_from: str | None = None
    isolated: bool = False
    strict: bool = False
    quiet: bool = False
    trace: bool = False
    """Watch with strace: everything, at a price."""
    output_to_stderr: bool = False
    """Show the command's standard output on stderr: stdout is for JSON."""
    parent: Parent | None = None
    reuse: Callable[[Run, PutBack], None] | None = None
    """Given, a past run of the very same may be returned instead of a new one, and this is told of it."""
    when_interrupted: Callable[[], None] | None = None
    """Called when the command was asked to end, even if it then ended with 0."""


def longest(path: str, tops: Mapping[str, Any]) -> tuple[Any, str] | None:
    """What the nearest of the directories at or above a path stands for, and the rest of the path below it."""
    top = path
    while top not in tops:
        above = os.path.dirname(top)
        if above == top:
            return None
        top = above
    return tops[top], path[len(top) :].lstrip("/")


@noun
class Place:
    """Where the command works: the user's own worktree, or a copy."""

    root: Path
    """The project's root, or the copy of it: paths of the record are relative to it."""
    repository: Repository
    is_copy: bool = False
    code: CodeState | None = None
    """Where the copy came from: its branch and origin are recorded, not the copy's own."""
    installed_from: Path | None = None
    """The project that editable installs point to, where that is not `root`: the original of an isolated copy."""
    variables: Mapping[str, str | None] = field(default_factory=dict)
    """Changes to the environment variables; None removes one."""
    binds: tuple[Bind, ...] = ()
    """What only the command sees, at absolute paths outside the project."""
    outside: Mapping[str, Path] = field(default_factory=dict)
    """Absolute path as the command sees it -> where its bytes lie for us, for all below it; the longest counts."""
    names: Mapping[str, str] = field(default_factory=dict)
    """A directory as the command sees it -> what the record calls it: the home of whoever ran it first."""

    def lies_at(self, path: str) -> Path:
        """Where the bytes of an absolute path that the command used lie for us."""
        if not self.outside:
            return Path(path)
        found = longest(os.path.realpath(path), self.outside)
        return Path(path) if found is None else Path(found[0], found[1])

    def seen_as(self, place: Path) -> str:
        """The absolute path by which the command sees what lies there for us; the opposite of `lies_at`."""
        found = longest(str(place), {str(here): seen for seen, here in self.outside.items()})
        return str(place) if found is None else os.path.join(*found).rstrip("/")

    def named(self, path: str) -> str:
        """What the record calls an absolute path outside the project that the command used."""
        found = longest(path, self.names)
        return path if found is None else os.path.join(*found).rstrip("/")


@noun
class Declared:
    """Patterns relative to the root of the place, from flags and settings together."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    stdout: tuple[str, ...] = ()
    """Patterns that find metrics in the output."""


@noun
class Plan:
    """A run about to be recorded: nothing in it depends on the world any more, except through `place`."""

    request: RunRequest
    place: Place
    command: tuple[str, ...]
    """As it is recorded, before redaction."""
    argv: tuple[str, ...]
    """As it is started."""
    cwd: str
    declared: Declared
    set_params: Mapping[str, object] = field(default_factory=dict)
    """Values that `--set` put into the command. Those that it put into params files are in `edits`."""
    edits: tuple[FileEdit, ...] = ()
    stdin: Path | None = None
    resume: tuple[Artifact | Input, ...] = ()
    """Recorded files that the run starts from."""
    repeats: Run | None = None
    """The run that is reproduced."""
    in_parts: frozenset[str] = frozenset()
    """Declared directories of which the reproduced run recorded single files, because others lay there already."""

    @property
    def working_directory(self) -> Path:
        return Path(os.path.normpath(self.place.root / self.cwd))


@noun
class Recording:
    """Everything about a run that was fixed before its command started."""

    project: Project
    plan: Plan
    rundir: RunDir
    redactor: Redactor
    captured: Captured
    inputs: tuple[FoundInput, ...]
    opening: Run
    """The record as far as it is known: status running."""
    before: Mapping[bytes, Any]
    """Path below the root -> stat fields, of all files that were there."""
    variables: Mapping[str, str]
    """The environment of the command."""
    started: Started | None = None
    """How it starts inside of an environment that must be entered: a container."""

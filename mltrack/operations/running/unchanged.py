"""Is the world still what a past run found? `why_not` gives the first thing that is not, in words.

The fingerprint says that code, arguments, environment and declared inputs are the same; here is looked at what the run
was seen to do. What has a digest is compared by that (by the stat cache's final entries, else it is hashed now). What
was read and has none (settings, secrets, the environment's own files) must not have been touched since the run began,
by its time of change, which no program can set. What is not known counts as changed. Nothing is written.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError
from mltrack.observe.rules import ARTIFACT, BOTH, INPUT
from mltrack.operations.observing.observed import decode
from mltrack.operations.running.names import Names
from mltrack.operations.running.touched import Touched, is_bytecode
from mltrack.redact import PLACEHOLDER
from mltrack.store.statcache import StatKey, stat_key

if TYPE_CHECKING:
    from mltrack.git.capture import Captured
    from mltrack.operations.observing.observed import Line
    from mltrack.operations.request import Recording
    from mltrack.project import Project
    from mltrack.records import Environment, Hardware, Run

DOUBTS = frozenset(
    ("unwatched", "writes-mixed", "still-running", "inputs-left-out", "listing-not-kept", "stand-in-read")
    + ("input-changed", "artifact-not-kept", "artifacts-over-limit", "code-changed")
)
"""Warnings of a run of which not all is known; so do those whose kind ends in `-incomplete`."""

NOT_KEPT = frozenset(("secret", "settings", "environment", "system", "git"))
"""Rules of what a run may have written, and what cannot be put back."""

OF_RECORD = frozenset(("mltrack", "replica"))
"""What a record says of its origin, and what no command can see; another root, home, time zone or umask it can."""

SETTINGS = ("inputs", "outputs", "params", "metrics", "stdout")


class Now:
    """What is known before a command starts."""

    def __init__(self, recording: Recording, environment: Environment, lock: bytes | None) -> None:
        self.recording = recording
        self.environment = environment
        """As it would be recorded, without its lock."""
        self.lock = lock
        self._hardware: Hardware | None = None
        self._same_builds: dict[str, bool] = {}
        self.looked: dict[str, StatKey] = {}
        """Files outside of the code that were found to be as they were, with their fields as they were then."""

    @property
    def project(self) -> Project:
        return self.recording.project

    @property
    def captured(self) -> Captured:
        return self.recording.captured

    @property
    def root(self) -> str:
        return str(self.recording.plan.place.root)

    @cached_property
    def captured_code(self) -> dict[bytes, StatKey]:
        """Paths below the top of the repository that the fingerprint holds, with their fields as they were captured."""
        from mltrack.operations.running.outputs import output_rule

        is_output = output_rule(self.project, self.recording.plan.declared, self.captured.code.prefix)
        return {path: StatKey(*key) for path, key in self.captured.files.items() if not is_output(path)}

    @cached_property
    def code(self) -> frozenset[bytes]:
        """Paths below the project's root that the fingerprint holds with their content. Git lists others too: what
        runs made. Of those that it does track, some may be missing here."""
        return frozenset(self.keys)

    @cached_property
    def keys(self) -> dict[bytes, StatKey]:
        """The files of `code` as they were captured."""
        from mltrack.operations.running.outputs import below_root

        return below_root(self.captured_code, self.captured.code.prefix)

    @property
    def hardware(self) -> Hardware:
        from mltrack.snapshot.hardware import capture_hardware

        if self._hardware is None:
            self._hardware = capture_hardware()
        return self._hardware

    def has_same_builds(self, run: Run) -> bool:
        """Are its packages not only of the same versions, but the same builds?"""
        if run.id not in self._same_builds:
            self._same_builds[run.id] = self._compare_builds(run)
        return self._same_builds[run.id]

    def _compare_builds(self, run: Run) -> bool:
        from mltrack.environments import Recorded, get, packages

        kind, digest = get(run.environment.kind), run.environment.lockfile
        if digest is None or self.project.store.missing([digest]):
            return False
        locks = (self.project.store.get_bytes(digest), self.lock)
        builds = [
            {one.name: (one.version, one.identity) for one in packages(kind, Recorded(environment, lock, {}, Path()))}
            for environment, lock in zip((run.environment, self.environment), locks)
        ]
        return builds[0] == builds[1]


def why_not(now: Now, run: Run) -> str | None:
    """Why a run with the same fingerprint cannot stand for one that would begin now; None if it can."""
    try:
        reason = next(by_record(now, run), None)
        if reason is not None:
            return reason
        assert run.observation is not None
        digest = run.observation.paths
        if digest is not None and now.project.store.missing([digest]):
            return "the list of what it read is not here"
        lines = decode(now.project.store.get_bytes(digest)) if digest is not None else []
        touched = Touched(now, run, lines)
        return next(by_world(now, run, touched), None)
    except (MltrackError, OSError, ValueError) as error:
        return f"it could not be compared: {error}"


def why_moved(now: Now) -> str | None:
    """What was changed since it was looked at, a moment ago: asked right before the past run is taken."""
    root = os.fsencode(now.recording.plan.place.repository.root)
    for path, key in now.captured_code.items():
        if key_of(os.path.join(root, path)) != key:
            return f"{os.fsdecode(path)} was changed while it was compared"
    for place, fields in now.looked.items():
        if key_of(place) != fields:
            return f"{place} was changed while it was compared"
    from mltrack.store.keep import stat_path

    for item in now.recording.inputs:
        if item.role != "resume" and (not item.place.exists() or stat_path(item.place) != item.stat):
            return f"{item.path} was changed while it was compared"
    return None


def key_of(place: str | bytes) -> StatKey | None:
    """The fields of what lies there, a link's own; None for nothing."""
    try:
        return stat_key(os.lstat(place))
    except OSError:
        return None


# -- what the record itself says


def by_record(now: Now, run: Run) -> Iterator[str]:
    """What speaks against a run without a look at the disk."""
    ledger = now.project.ledger
    if not ledger.is_from_here(run.id, ledger.replicas):
        yield "its record came from elsewhere"
    if run.host != os.uname().nodename or any(rank.host not in (None, run.host) for rank in run.ranks):
        yield f"it ran on {run.host}"
    if run.observation is None or not run.observation.complete:
        yield "what it read is not known whole"
    doubts = [one for one in run.warnings if one.kind in DOUBTS or one.kind.endswith("-incomplete")]
    for doubt in doubts:
        yield doubt.message.rstrip(".")
    for item in run.inputs:
        if item.kind == "url":
            yield f"it read the network: {item.path}"
        if item.digest is None or item.changed_during_run:
            yield f"what it read of {item.path} is not known"
    for name, value in run.params.items():
        if PLACEHOLDER in str(value) and run.param_sources.get(name) != "argv":
            yield f"the parameter {name} is a secret, and is not recorded"
    yield from by_settings(now, run)
    yield from by_artifacts(run)


def by_settings(now: Now, run: Run) -> Iterator[str]:
    """What decides on a run's result, or on what is recorded of it, and is not in the fingerprint."""
    declared = now.recording.opening.declared
    for name in SETTINGS:
        if tuple(run.declared.get(name, ())) != tuple(declared.get(name, ())):
            yield f"other {name} are declared"
    if dict(run.environment.options) != dict(now.environment.options):
        yield "the settings of the environment are others"
    if any(text is None for text in (now.environment.options.get("env") or {}).values()):
        yield "a variable of the environment's settings is a secret, and is not recorded"
    for name, text in now.environment.libraries.items():
        if run.environment.libraries.get(name, text) != text:
            yield f"{name} {run.environment.libraries[name]} -> {text}"
    origin = now.recording.opening.origin
    for name in sorted((origin.keys() | run.origin.keys()) - OF_RECORD):
        if run.origin.get(name) != origin.get(name):
            yield f"{name} {run.origin.get(name)} -> {origin.get(name)}"
    if now.recording.variables.get("PYTHONPYCACHEPREFIX"):
        yield "PYTHONPYCACHEPREFIX is set, and bytecode does not show where its source is"
    then, here = lasting(run.hardware), lasting(now.hardware)
    if then != here:
        differs = [name for name, value in vars_of(here).items() if vars_of(then)[name] != value]
        yield f"the machine is not what it was: {', '.join(differs)}"
    if parsed_ns(run.finished_at) > time.time_ns():
        yield "the clock was set back since"


def vars_of(hardware: Hardware) -> Mapping[str, object]:
    from mltrack.noun_json import to_dict

    return dict(to_dict(hardware))


def lasting(hardware: Hardware) -> Hardware:
    """Without the memory, which a system counts anew at each start."""
    return replace(hardware, memory_bytes=None)


def by_artifacts(run: Run) -> Iterator[str]:
    """What it wrote where nothing is put back."""
    for item in run.artifacts:
        if item.found != "logged" and os.path.isabs(item.path):
            yield f"it wrote {item.path}, which lies outside of the project"


def parsed_ns(moment: str | None) -> int:
    """ISO 8601 in UTC with microseconds -> nanoseconds since 1970. Raises ValueError."""
    import calendar

    if not moment:
        raise ValueError("a time is missing")
    seconds = calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int((moment[20:26] or "0").ljust(6, "0")) * 1000


# -- what the disk says


def by_world(now: Now, run: Run, touched: Touched) -> Iterator[str]:
    """What is not as the run found it."""
    for name in run.declared.get("directories", ()):
        if not os.path.isdir(os.path.join(now.root, name)):
            yield f"the directory {name} is not there"
    modes = executables(now, run)
    for line in touched.lines:
        yield from by_line(now, line, touched, modes)
    for item in run.inputs:
        if item.found == "observed" and item.kind == "directory" and not item.partial:
            yield from whole_directory(now, item.path, item.digest)
    yield from touched.listings()
    yield from touched.ignored()
    yield from Names(touched).all()
    yield from touched.system()


def by_line(now: Now, line: Line, touched: Touched, modes: Mapping[str, bool]) -> Iterator[str]:
    """What is to be said of one path that the run touched."""
    is_read = "f" in line.letters
    if PLACEHOLDER in line.path and (is_read or not line.letters):
        yield "it read a path that is not recorded, for it may hold a secret"
    elif line.made in (INPUT, BOTH):
        yield from by_content(now, line, touched, modes)
    elif is_read and line.made != ARTIFACT:
        yield from touched.read(line)
    elif not line.letters:
        yield from touched.listed(line)
    elif "w" in line.letters and line.rule in NOT_KEPT and not is_bytecode(line.path):
        yield f"it wrote {line.path}, which is not kept"


def by_content(now: Now, line: Line, touched: Touched, modes: Mapping[str, bool]) -> Iterator[str]:
    """Has what was read the same bytes, and the same execute bit?"""
    from mltrack.store.keep import keep_path

    way = touched.way(line.path)
    try:
        found = os.lstat(way.real) if way.real else None
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        yield f"{line.path} is not there"
        return
    cache = now.project.stat_cache
    digest = cache.lookup(os.fsencode(way.real), stat_key(found)) or keep_path(Path(way.real), None, cache).digest
    if line.digest is None:
        yield f"what it read of {line.path} is not known"
    elif digest != line.digest:
        yield f"{line.path} changed"
    elif modes.get(line.path, False) != bool(found.st_mode & 0o100):
        yield f"{line.path} may {'' if found.st_mode & 0o100 else 'not '}be executed now"
    else:
        now.looked[way.real] = stat_key(found)


def executables(now: Now, run: Run) -> dict[str, bool]:
    """Path -> could the input be executed? Of the files that make up one directory as well, where that is kept."""
    from mltrack.store.checkout import manifest_of

    found: dict[str, bool] = {}
    for item in run.inputs:
        if item.kind == "file":
            found[item.path] = item.executable
        elif item.kind == "directory" and item.digest and not now.project.store.missing([item.digest]):
            for entry in manifest_of(now.project.store, item.digest):
                found[os.path.join(item.path, os.fsdecode(entry.path))] = entry.kind == "executable"
    return found


def whole_directory(now: Now, path: str, digest: str | None) -> Iterator[str]:
    """Is a directory that is kept whole the same, with what was not read of it?"""
    from mltrack.store.keep import keep_path

    place = Path(now.root, path)
    if not place.is_dir() or keep_path(place, None, now.project.stat_cache).digest != digest:
        yield f"{path} changed"

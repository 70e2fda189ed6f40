"""What a past run touched and no digest is kept of: has somebody touched it since the run began?

By the time of change (ctime) of files, and of the links that lead to them, against the run's start, with room for the
clocks of filesystems. Directories that were listed are compared by names. What cannot be told from unchanged is told.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mltrack.digest import digest_bytes
from mltrack.environments.installed import InstalledFiles
from mltrack.observe import Seen
from mltrack.observe.names import BYTECODE, CODE_SUFFIXES, is_cache
from mltrack.operations.observing.listings import NO_DATA, STATE, decode, described
from mltrack.operations.observing.ways import CLOCK_STEP_NS, Clocks, Way, Ways
from mltrack.operations.running.outputs import artifact_paths, is_in, matches
from mltrack.store.filesystems import IN_MEMORY, mount_of_device
from mltrack.store.statcache import stat_key

if TYPE_CHECKING:
    from mltrack.observe.rules import Placer
    from mltrack.operations.observing.listings import Entry, Listing
    from mltrack.operations.observing.observed import Line
    from mltrack.operations.running.unchanged import Now
    from mltrack.records import Run

PASSED = frozenset(("device", "mltrack", "exclude", "code", "link", "temporary", "untouched", "not there", "listing"))
"""Rules of what was read and is not looked at: it is in the fingerprint, is gone by itself, or is the user's word."""
UNKNOWN = frozenset(("unclear", "stand-in"))
SOFTWARE = frozenset(("environment", "system"))
"""Rules of files that nobody writes through memory: they are installed."""
OF_SYSTEM = ("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives")
"""What is written whenever shared libraries of the system come, go, or are chosen."""
EDITORS = frozenset((".idea", ".vscode", ".vs", ".settings", ".spyproject", ".Rproj.user", "Thumbs.db"))
OF_EDITORS = (".swp", ".swo", ".swx", "~", ".un~")
"""Ignored files of programs that people look at code with."""
OF_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
"""Lies at the top of an environment, whatever that is called."""


class Touched:
    """The paths of one run, looked at now."""

    def __init__(self, now: Now, run: Run, lines: Sequence[Line]) -> None:
        from mltrack.operations.running.unchanged import parsed_ns

        self.now = now
        self.run = run
        self.lines = lines
        self.since_ns = parsed_ns(run.started_at) - 2 * CLOCK_STEP_NS
        self.ways = Ways(now.recording.plan.place)
        self.clocks = Clocks(now.project.state)
        self.written = {line.path for line in lines if "w" in line.letters} | {item.path for item in run.artifacts}
        self.installed = InstalledFiles()
        self._kinds: dict[int, str] = {}

    def way(self, path: str) -> Way:
        """How a path of the record leads to what lies there now."""
        return self.ways.to(os.path.join(self.now.root, path))

    def is_older(self, found: os.stat_result) -> bool:
        """Was it so already before the run began?"""
        return self.clocks.is_of_then(stat_key(found), 0, self.since_ns)

    # -- files that were read

    def read(self, line: Line) -> Iterator[str]:
        """What is to be said of a file that was read, and of which no digest is kept."""
        own = str(self.now.project.state)
        place = os.path.join(self.now.root, line.path)
        if line.rule in UNKNOWN:
            yield f"what {line.path} was to it is not known"
        elif line.rule == "mltrack" and place.startswith(f"{own}/") and not place.startswith(f"{own}/runs/"):
            yield "it read what mltrack keeps"
        elif is_bytecode(line.path):
            yield from self.source_of(line)
        elif line.rule == "declared":
            yield from self.declared(line)
        elif line.rule not in PASSED:
            yield from self.file(line.path, line.rule)

    def file(self, path: str, rule: str) -> Iterator[str]:
        """Has the file, or a link on the way to it, been changed since?"""
        way = self.way(path)
        try:
            found = os.lstat(way.real) if way.real else None
        except OSError:
            found = None
        if found is None:
            yield f"{path} is not there"
        elif stat.S_ISREG(found.st_mode) and rule not in SOFTWARE and self.kind_of(found.st_dev) in IN_MEMORY:
            yield f"{path} lies in memory, where a change may leave no trace"
        elif any(made_ns >= self.since_ns for _, made_ns in way.links) or not (
            self.is_older(found) or (rule in SOFTWARE and self.is_only_linked(way.real, found))
        ):
            yield f"{path} was changed since, and what it held is not kept"

    def is_only_linked(self, place: str, found: os.stat_result) -> bool:
        """Was a file of an environment given another name, in another environment say, and nothing else?"""
        if found.st_nlink < 2 or found.st_mtime_ns >= self.since_ns:
            return False
        cache, key = self.now.project.stat_cache, stat_key(found)
        remembered = os.fsencode(f"as installed: {self.builds} {place}")
        if cache.lookup(remembered, key) is not None:
            return True
        is_same = self.now.has_same_builds(self.run) and self.installed.is_as_installed(place)
        if is_same:
            cache.record(remembered, key, digest_bytes(b""), self.looked_ns)
        return is_same

    @cached_property
    def builds(self) -> str:
        """Which two lists of packages were compared, for what is remembered of it."""
        return f"{self.run.environment.lockfile} {digest_bytes(self.now.lock or b'')}"

    @cached_property
    def looked_ns(self) -> int:
        """When hashing began, by the clock of the filesystem."""
        return self.now.project.stat_cache.now_ns()

    def kind_of(self, device: int) -> str:
        if device not in self._kinds:
            self._kinds[device] = mount_of_device(device).kind
        return self._kinds[device]

    def source_of(self, line: Line) -> Iterator[str]:
        """Bytecode stands for its source, which was only looked at. Without a source it stands for itself."""
        head, _, name = line.path.rpartition("/")
        source = f"{head.removesuffix('__pycache__')}{name.partition('.')[0]}.py" if "__pycache__" in head else ""
        if source and os.path.exists(os.path.join(self.now.root, source)):
            if not self.is_code(source):
                yield from self.file(source, line.rule)
        elif "w" not in line.letters:
            yield from self.file(line.path, line.rule)

    def declared(self, line: Line) -> Iterator[str]:
        """Of what is declared the digest is known, but where a link leads out of it."""
        place = os.path.join(self.now.root, line.path)
        if self.way(line.path).links and os.path.realpath(place) != os.path.normpath(place):
            yield from self.file(line.path, line.rule)

    def is_code(self, path: str) -> bool:
        """Is a path, relative to the project, in the captured tree?"""
        return os.fsencode(path) in self.now.code

    # -- what was listed, or executed

    def listed(self, line: Line) -> Iterator[str]:
        """A path of which the run did not read the content: a directory, or a program that was started."""
        place = os.path.join(self.now.root, line.path)
        try:
            found = os.stat(place)
        except OSError:
            if line.rule in SOFTWARE:
                yield f"{line.path} is not there"
            return
        if stat.S_ISREG(found.st_mode) and line.rule in SOFTWARE:
            yield from self.file(line.path, line.rule)
        is_ours = not os.path.isabs(line.path) or place.rstrip("/") == self.now.root or line.path in self.names_kept
        is_compared = line.rule in SOFTWARE or (line.rule == "listing" and not is_ours)
        if stat.S_ISDIR(found.st_mode) and is_compared:  # `listings` and `ignored` see the project's own
            yield from self.directory(line.path, found)
        elif stat.S_ISDIR(found.st_mode) and line.rule == "listing" and self.has_no_names(line.path):
            for name in sorted(os.listdir(place)):
                yield from self.name(line.path, name, None)

    def has_no_names(self, path: str) -> bool:
        """Is it a directory of the project in which the run found nothing but code and its own, and none to import?"""
        is_outside = os.path.isabs(path)
        return not is_outside and path not in self.names_kept and os.fsencode(path) not in self.with_code

    @cached_property
    def with_code(self) -> set[bytes]:
        """The directories that every program lists that imports something from there; the root is one."""
        suffixes = tuple(os.fsencode(suffix) for suffix in CODE_SUFFIXES)
        return {b"."} | {path.rpartition(b"/")[0] for path in self.now.code if path.endswith(suffixes)}

    def directory(self, path: str, found: os.stat_result) -> Iterator[str]:
        """Is there something new in a directory outside of the project, or in one of an environment?"""
        from mltrack.observe.trace import born_ns

        if self.is_older(found):
            return
        with os.scandir(os.path.join(self.now.root, path)) as entries:
            for entry in entries:
                fields = entry.stat(follow_symlinks=False)
                if self.is_older(fields) or is_cache(os.fsencode(entry.name)):
                    continue
                if stat.S_ISDIR(fields.st_mode) and 0 < (born_ns(os.fsencode(entry.path)) or 0) < self.since_ns:
                    continue
                if stat.S_ISREG(fields.st_mode) and self.is_only_linked(entry.path, fields):
                    continue
                if entry.path not in self.written and os.path.relpath(entry.path, self.now.root) not in self.written:
                    yield f"{os.path.join(path, entry.name)} is new or changed"

    @cached_property
    def kept_listings(self) -> tuple[Listing, ...]:
        observation = self.run.observation
        if observation is None or observation.listings is None:
            return ()
        return tuple(decode(self.now.project.store.get_bytes(observation.listings)))

    @cached_property
    def names_kept(self) -> set[str]:
        """The directories whose names are compared."""
        return {listing.path for listing in self.kept_listings}

    def listings(self) -> Iterator[str]:
        """Have the directories of data that it listed the same names, with the same sizes?"""
        for listing in self.kept_listings:
            place = os.path.join(self.now.root, listing.path)
            if not os.path.isdir(place):
                yield f"the directory {listing.path} is not there"
                continue
            known = {entry.name: entry for entry in listing.entries}
            names = set(os.listdir(place))
            for name in sorted(known.keys() - names):
                yield f"{os.path.normpath(os.path.join(listing.path, name))} is not there"
            for name in sorted(names):
                yield from self.name(listing.path, name, known.get(name))

    def name(self, directory: str, name: str, then: Entry | None) -> Iterator[str]:
        """One name of a directory that is there now; `then` as it was, None if it is not in the record."""
        path = os.path.normpath(os.path.join(directory, name))
        place = os.path.join(self.now.root, path)
        fields = os.lstat(place)
        if then is None:
            if not self.may_be_there(path, name, fields):
                yield f"{path} is new"
            return
        now = described(place, name, fields, None if then.size is None else os.stat(place).st_size)
        if now != then and path not in self.written:
            yield f"{path} changed"

    def may_be_there(self, path: str, name: str, fields: os.stat_result) -> bool:
        """Was a name without a record there before, in what is recorded elsewhere, or made by the run itself?

        Its age says nothing: it may have been moved here. Only of what no listing has, as a directory of an
        environment, it must do.
        """
        if name in STATE or is_cache(os.fsencode(name)) or self.is_code(path) or self.holds_own(path):
            return True
        if self.is_unlisted(path):
            return self.is_older(fields)
        start = os.fsencode(f"{path}/")
        return stat.S_ISDIR(fields.st_mode) and any(one.startswith(start) for one in self.now.code)

    def holds_own(self, path: str) -> bool:
        """Did the run write it, or something below it?"""
        return path in self.written or any(one.startswith(f"{path}/") for one in self.written)

    def holds_known(self, path: str) -> bool:
        """Is it, or is something below it, code or what some run wrote?"""
        start = f"{path}/"
        is_code = any(one.startswith(os.fsencode(start)) for one in self.now.code)
        return is_code or self.holds_own(path) or any(one == path or one.startswith(start) for one in self.made)

    def is_unlisted(self, path: str) -> bool:
        """Is it what no listing of the project's own directories has: an environment, git's own, what is excluded?"""
        if os.path.isabs(path) or path.startswith(".."):
            return False
        place = os.path.join(self.now.root, path)
        if is_of_tools(path) or any(os.path.lexists(f"{place}/{name}") for name in OF_ENVIRONMENT):
            return True
        return (
            self.placer.rule_by_name(Seen(place)) in NO_DATA or self.placer.rule_by_name(Seen(f"{place}/-")) in NO_DATA
        )

    @cached_property
    def placer(self) -> Placer:
        """The rules, as far as they go by names alone."""
        from mltrack.observe.rules import ABSENT, Placer, Surroundings

        config = self.now.project.config
        return Placer(
            Surroundings(
                root=self.now.root,
                look=lambda path: ABSENT,
                home=os.path.expanduser("~"),
                own=(str(self.now.project.state),),
                include=config.observe_include,
                exclude=config.observe_exclude,
            )
        )

    @cached_property
    def made(self) -> set[str]:
        """What this or another run of the project wrote."""
        return artifact_paths(self.now.project) | {item.path for item in self.run.artifacts}

    # -- what may have been looked for

    def ignored(self) -> Iterator[str]:
        """Files of the project that the fingerprint does not have, that came after the run and that no run made."""
        from mltrack.git.changes import list_ignored_come
        from mltrack.operations.running.outputs import own_output

        plan = self.now.recording.plan
        prefix = os.fsencode(self.now.captured.code.prefix)
        known = {line.path for line in self.lines if line.made in ("input", "both")} | own_output(plan.place.root)
        for raw in list_ignored_come(plan.place.repository, self.nested, self.since_ns):
            path = os.fsdecode(raw.removeprefix(prefix))
            is_passed = path.endswith("/") and self.holds_known(path[:-1])
            path = path.rstrip("/")
            if is_passed or self.is_tools_own(path) or path in known or path in self.written:
                continue
            if is_in(path, self.made) or matches(path, plan.declared.inputs):
                continue
            if not matches(path, (*plan.declared.outputs, *plan.declared.metrics, *self.excluded)):
                yield f"{path}, which git ignores, is new or was changed, and may have been looked for"

    @property
    def nested(self) -> list[bytes]:
        """The repositories within that of the project, as paths below its top."""
        return [os.fsencode(path) for path, _ in self.now.captured.objects if path]

    def is_tools_own(self, path: str) -> bool:
        """Is it what tools leave behind? Bytecode beside its source is; Python imports that which has none."""
        if path.endswith(BYTECODE) and "__pycache__" not in path.split("/"):
            return os.path.exists(os.path.join(self.now.root, f"{path.rpartition('.')[0]}.py"))
        return is_cache(os.fsencode(path)) or is_of_tools(path)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What the settings say is none of a run's."""
        return tuple(self.now.project.config.observe_exclude)

    def system(self) -> Iterator[str]:
        """The libraries that the C library finds by itself."""
        for place in OF_SYSTEM:
            try:
                found = os.lstat(place)
            except OSError:
                continue
            if not self.is_older(found):
                yield f"the system's libraries were changed since ({place})"


def is_of_tools(path: str) -> bool:
    """Is it what programs leave behind that people look at code with?"""
    return path.endswith(OF_EDITORS) or not EDITORS.isdisjoint(path.split("/"))


def is_bytecode(path: str) -> bool:
    return path.endswith(BYTECODE)

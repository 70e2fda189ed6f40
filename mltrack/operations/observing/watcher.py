"""Follows a run: reads what its processes tell, keeps what they read, and says at its end what each path was to it.

In the thread of `Beside`, but for the end. What fails here is a warning of the run and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.observe import Placed
from mltrack.operations.observing.sources import is_on

if TYPE_CHECKING:
    import threading

    from mltrack.observe import Event, Seen
    from mltrack.observe.directories import Directories
    from mltrack.observe.folding import Fold
    from mltrack.observe.rules import Placer
    from mltrack.operations.observing.inputs import Keeper
    from mltrack.operations.observing.listings import Listings
    from mltrack.operations.observing.surroundings import Code, Scene
    from mltrack.records import Input

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 2.0
NICENESS = 10
"""Of the thread that hashes beside the command: the training comes first."""
LONGEST_NAME = 300
"""Of a path in a sentence."""
HARMLESS = ("ldconfig", "ldconfig.real", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")
"""Static programs that read the system's files only, and that half of all programs start. glibc's loader (`uv` asks it
for its version) is one too, and loads the library into the program that it is given."""
ELSEWHERE = frozenset(
    ("docker", "podman", "nerdctl", "ssh", "srun", "sbatch", "kubectl", "systemd-run", "at", "batch", "dask-scheduler")
)
"""Programs that have others do the work, where nothing of ours is."""


@dataclass
class Ended:
    """What is known of a run's files at its end."""

    scene: Scene
    placer: Placer
    placed: list[Placed]
    code: Code
    sources: tuple[str, ...]
    is_complete: bool
    unseen: tuple[str, ...]
    network: tuple[str, ...]
    keeper: Keeper
    moved: Mapping[str, str]
    disturbed: tuple[Mapping[str, tuple[int, int]], ...]
    """`Fold.disturbed` of each source."""
    start_ns: int
    end_ns: int
    others: bool
    """Was another run of mltrack at work in this worktree meanwhile?"""
    inputs: dict[str, Input] = field(default_factory=dict)
    """By the path that the command used."""
    left_out: list[str] = field(default_factory=list)
    """What is not kept of directories that are kept whole."""
    listings: Listings | None = None
    """What was in the directories that it listed, once that was asked."""

    def place(self, seen: Iterable[Seen]) -> list[Placed]:
        """Paths that nobody was seen to touch, with their rules."""
        return place_all(self.placer, seen)[0]


def place_all(placer: Placer, seen: Iterable[Seen]) -> tuple[list[Placed], list[str]]:
    """Each path with its rule, and what is to be said of it. One that is beyond the rules costs only itself."""
    found: list[Placed] = []
    problems: dict[str, None] = {}
    for one in seen:
        try:
            found.append(placer.place(one))
        except Exception as error:
            problems[f"What some paths were to the run could not be found out ({type(error).__name__})."] = None
            found.append(Placed(one.path, "left out", "unclear", one))
    return found, list(problems)


class Watcher:
    """Follows one run. `begin`, `follow` and `conclude` are called in this order; `end` from any thread."""

    def __init__(self, scene: Scene, why_not: str | None = None, is_traced: bool = False) -> None:
        """`why_not`: why the library is not in the command's program."""
        from mltrack.observe.folding import Fold
        from mltrack.observe.journal import Tail

        self.scene = scene
        self.why_not = why_not
        self.is_traced = is_traced
        self.fold: Fold = Fold()
        self.aside: Fold = Fold()
        """What is known of paths without a process."""
        self.tail = Tail(scene.rundir.observed)
        self.directories: Directories | None = None
        self.limits: list[str] = []
        self.others: set[str] = set()
        self._code: Code | None = None
        self._keeper: Keeper | None = None
        self._placer: Placer | None = None
        self._known_programs = -1
        self._start_ns = 0

    def begin(self) -> None:
        """Watch directories, if the command itself cannot be watched. Called as soon as the command has started."""
        from mltrack.operations.observing.surroundings import started_ns

        self._start_ns = started_ns(self.scene.rundir)
        self.see_others()
        if self.why_not is not None:
            self.watch_directories()

    def watch_directories(self) -> None:
        from mltrack.observe.directories import Directories

        if self.directories is not None or not is_on(self.scene.project, "directories") or self.is_traced:
            return
        inputs = [place if os.path.isdir(place) else os.path.dirname(place) for place in self.scene.inputs]
        self.directories = Directories([str(self.scene.place.root), *map(str, inputs)])
        self.directories.start()

    def follow(self, ended: threading.Event, room: int) -> None:
        """Read what the processes tell, and keep what they read, until the command has ended. `room`: bytes to keep."""
        import threading

        self.keeper.room = room
        with suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        pause = FIRST_PAUSE_S
        while True:
            pause = FIRST_PAUSE_S if self.take() else min(LONGEST_PAUSE_S, pause * 1.5)
            if ended.is_set():
                return
            self.keep_fresh(lambda: not ended.is_set())
            self.see_others()
            if ended.wait(pause):
                return

    def take(self) -> bool:
        """Read on in the journal; False when there is nothing new."""
        events = self.tail.take()
        if self.scene.is_container:
            from mltrack.operations.observing.surroundings import on_this_machine

            events = [on_this_machine(self.scene, event) for event in events]
        self.fold.take_all(events)
        if self.directories is not None:
            self.aside.take_all(self.directories.take())
        elif any(is_serious(event) for event in self.fold.unwatched):
            self.watch_directories()
        return bool(events)

    @property
    def keeper(self) -> Keeper:
        if self._keeper is None:
            from mltrack.operations.observing.inputs import Keeper

            self._keeper = Keeper(self.scene, self.scene.project.config.keep_limit)
        return self._keeper

    @property
    def code(self) -> Code:
        if self._code is None:
            from mltrack.operations.observing.surroundings import code_of

            self._code = code_of(self.scene.place.repository, self.scene.run.code)
        return self._code

    def placer(self) -> Placer:
        """The rules with what is known by now; made again when other programs have come."""
        from mltrack.observe.rules import Placer
        from mltrack.operations.observing.surroundings import surroundings_of

        if self._placer is None or len(self.fold.programs) != self._known_programs:
            self._known_programs = len(self.fold.programs)
            world = surroundings_of(self.scene, self.fold, self.code, self._start_ns)
            self._placer = Placer(replace(world, was_there=lambda path: self.keeper.was_there(path, self._start_ns)))
        return self._placer

    def keep_fresh(self, go_on: Callable[[], bool]) -> None:
        """Hash and keep the inputs that have come to be known."""
        from mltrack.observe.rules import INPUT

        fresh, self.fold.fresh = self.fold.fresh, []
        if not fresh:
            return
        placer = self.placer()
        wanted = [path for path in fresh if placer.place(self.fold.see(path)).made == INPUT]
        if self.directories is not None:
            for path in wanted:
                self.directories.ignore(path)
        self.keeper.keep(wanted, go_on)

    def see_others(self) -> None:
        """Note other runs that are at work now."""
        from mltrack.live.rundir import RunDir

        runs = self.scene.project.runs
        with suppress(OSError):
            for name in set(os.listdir(runs)) - self.others - {self.scene.rundir.id}:
                if not name.startswith(".") and RunDir(runs / name).is_locked_by_other():
                    self.others.add(name)

    def conclude(self, end_ns: int) -> Ended:
        """What every path was to the run. `end_ns`: when its command ended, in nanoseconds since 1970."""
        from mltrack.operations.observing.surroundings import aliases, all_seen, started_ns

        self._start_ns = started_ns(self.scene.rundir)
        self.tail.stop_here()
        while self.take():
            pass
        self.tail.close()
        if self.directories is not None:
            self.aside.take_all(self.directories.stop())
        fold = self.traced_fold() if self.is_traced else self.fold
        self.fold = fold
        is_complete = self.is_complete(self.unseen())
        placer = self.last_placer()
        aside: Mapping[str, Seen] = {} if is_complete else self.aside.seen()
        seen = all_seen(fold, aside, aliases(fold, self.code.links))
        self.see_others()
        placed, problems = place_all(placer, seen)
        self.limits += problems
        unseen = self.unseen()
        return Ended(
            scene=self.scene,
            placer=placer,
            placed=placed,
            code=self.code,
            sources=self.sources(),
            is_complete=is_complete and not unseen,
            unseen=tuple(unseen),
            network=tuple(fold.network),
            keeper=self.keeper,
            moved={**self.aside.moved, **fold.moved},
            disturbed=(self.aside.disturbed, fold.disturbed),
            start_ns=self._start_ns,
            end_ns=end_ns,
            others=bool(self.others) and not self.scene.place.is_copy,
        )

    def last_placer(self) -> Placer:
        """The rules with all that is known; the plain ones, should that be beyond us: nothing that was seen is lost."""
        from mltrack.observe.rules import Placer, Surroundings
        from mltrack.operations.observing.surroundings import Code, looker

        self._placer = None
        try:
            return self.placer()
        except Exception as error:
            self.limits.append(f"What belongs to the environment is not known ({type(error).__name__}).")
            place = self.scene.place
            self._code = self._code or Code()
            return Placer(Surroundings(str(place.root), looker(place, self._start_ns), is_code=self._code.has))

    def traced_fold(self) -> Fold:
        """What strace saw: it counts for files, the journal for what only that has."""
        from mltrack.observe import trace
        from mltrack.observe.folding import Fold
        from mltrack.observe.journal import read

        directory, facts = self.scene.rundir.observed, self.scene.rundir.read("process") or {}
        if not trace.settle(directory, int(facts.get("pid", 0))):
            self.limits.append("The trace has no end; what came last may be missing in it.")
        fold = Fold()
        fold.take_all(event for event in read(directory) if event.letter in "bphn")
        cwd = os.path.normpath(self.scene.place.root / self.scene.run.cwd)
        for event in trace.events(directory, Path(cwd)):
            if event.letter == "p":  # a program, of which this does not say that the library is in it
                fold.programs[event.path] = None
            else:
                fold.take(event)
        return fold

    def sources(self) -> tuple[str, ...]:
        """What has watched."""
        letters = {letter for letters in self.fold.processes.values() for letter in letters}
        found = ["library"] if "p" in letters else []
        found += ["hook"] if "h" in letters else []
        found += ["directories"] if self.directories is not None and not self.directories.problem else []
        return (*found, *(("trace",) if self.is_traced else ()))

    def is_complete(self, unseen: Iterable[str]) -> bool:
        """Is every process known to have been watched?"""
        if any(unseen) or self.scene.is_container:
            return False
        facts = self.scene.rundir.read("process") or {}
        return self.is_traced or "p" in self.fold.processes.get(facts.get("pid", -1), ())

    def unseen(self) -> list[str]:
        """Sentences about what could not be watched."""
        found = list(self.limits)
        if self.tail.strange:
            found.append(f"{self.tail.strange} lines of what the processes told cannot be read.")
        if self.fold.failed:
            found.append(f"{self.fold.failed} events that the processes told could not be followed.")
        if not self.is_traced:
            has_library = any("p" in letters for letters in self.fold.processes.values())
            if self.why_not is not None and not has_library:
                found.append(f"The library did not watch the command: {self.why_not}.")
            found += unwatched_programs(self.fold.unwatched, has_library)
        names = sorted({os.path.basename(program) for program in self.fold.programs} & ELSEWHERE)
        found += [f"{name} has its work done by processes that are not the run's own." for name in names]
        found += self.directories.limits() if self.directories is not None else []
        return list(dict.fromkeys(found))


def is_serious(event: Event) -> bool:
    """Does that program or process do what nobody sees?"""
    return event.letter != "i" and os.path.basename(event.path) not in HARMLESS


def unwatched_programs(events: Iterable[Event], has_library: bool) -> list[str]:
    """A sentence for each program that could not be watched. A Python without the hook can, if the library is there."""
    found = []
    for event in events:
        path, other = printable(event.path), printable(event.other)
        if event.letter == "!":
            found.append(f"Not everything was told: {other or path}.".replace("..", "."))
        elif event.letter == "i" and not has_library:
            found.append(f"{path} was started so that Python does not load what watches it.")
        elif event.letter == "x" and is_serious(event):
            found.append(f"{path} could not be watched{f' ({other})' if other else ''}.")
    return found


def printable(text: str) -> str:
    """A text of the user's processes for a sentence: signs that a terminal acts upon stand as their numbers."""
    if text.isprintable():
        return text[:LONGEST_NAME]
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text[:LONGEST_NAME])

"""What a run read and wrote outside its project, in a reproduction: at the place where the command looks for it.

In this order: what is there with the recorded content is used as it is. What is not is laid out in a directory of ours
that only the command sees at the recorded path (`arrange.py`), or, where the person asked for it (`put_back`), written
at that path if nothing is there. Else nothing starts, and the message names the paths and the ways out. What the old
run wrote outside is kept away from the user's own files in the same way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, MltrackError
from mltrack.nouns import noun
from mltrack.observe.rules import DEVICES, SYSTEM, is_below
from mltrack.operations.fetch import bring
from mltrack.operations.outside.arrange import Arrangement, Mounting, Refused, allowed, check_plain
from mltrack.operations.outside.left_behind import claim, remove_claimed
from mltrack.operations.outside.moves import Moves
from mltrack.operations.outside.presence import is_kept, is_same, take_in
from mltrack.operations.outside.writings import Writing, outside_artifacts, writings_of
from mltrack.operations.repeating.workspace import is_outside, is_unknown
from mltrack.operations.request import Tell
from mltrack.records import Input, Run
from mltrack.snapshot.inputs import FoundInput
from mltrack.verdicts import Condition

if TYPE_CHECKING:
    from mltrack.operations.request import Place
    from mltrack.project import Project

UNWRITTEN = (*SYSTEM, *DEVICES, "/run", "/var/run", "/var/spool")
"""Directories whose files make others do things: nothing is put back there, though the command may see it there."""

SHOWN = 5

OF_MOUNTS = {
    "Invalid cross-device link": (b"Invalid cross-device link", b"[Errno 18]", b"os error 18", b"EXDEV"),
    "Device or resource busy": (b"Device or resource busy", b"[Errno 16]", b"os error 16", b"EBUSY"),
}
"""What a program says of an error that a mount may be the cause of, in the languages that are known."""

LAST_BYTES = 1 << 20
"""Of the output, in which it is looked for."""


@noun
class Way:
    """What may be done to have data where the command looks for it."""

    top: Path
    """A directory of ours for what only the command sees."""
    root: Path
    """The project's root in the workspace."""
    put_back: bool = False
    """May files be written at their own places, where nothing is?"""
    needed: tuple[Path, ...] = ()
    """What must stay to be seen by the command."""
    in_container: bool = False


@dataclass
class Outside:
    """What a reproduction needs outside its workspace, while it is put in place."""

    project: Project
    run: Run
    way: Way
    tell: Tell
    arranged: Arrangement = field(init=False)
    moves: Moves = field(init=False)
    conditions: list[Condition] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Each path that there is no way for, with the reason."""
    written: list[str] = field(default_factory=list)
    claim: int | None = None
    """While it is open, nobody takes what was laid out for left behind."""

    def __post_init__(self) -> None:
        beside = Path(os.path.realpath(self.project.work))
        self.arranged = Arrangement(self.way.top, self.way.needed, beside)
        if self.way.in_container:
            self.arranged = Mounting(self.way.top, sources=mounted(self.run))
        self.moves = Moves(self.run, str(self.way.root))

    @cached_property
    def why_no_binds(self) -> str | None:
        """The reason if the command cannot be made to see anything of its own; asked only where it counts."""
        from mltrack.executors.mounts import why_not

        return None if self.way.in_container else why_not()

    def already_there(self) -> set[str]:
        """The paths of the inputs that are at all their places with the recorded content. Raises Damaged."""
        items = [item for item in outside_inputs(self.run) if item.digest is not None and item.kind != "url"]
        for path in (*(item.path for item in items), *outside_artifacts(self.run)):
            check_plain(path)
        with suppress(DataMissing):  # told by those who need it
            bring(self.project, [str(item.digest) for item in items if item.partial])
        return {
            item.path for item in items if all(is_same(self.project, item, path) for path in self.targets(item.path))
        }

    def lying_here(self, there: Collection[str]) -> dict[str, str]:
        """Inputs that are not at all their places, but with their recorded content at one: path -> that place. What the
        store lacks of them is taken from there; nothing of them is to be fetched."""
        items = [item for item in outside_inputs(self.run) if item.kept and not item.partial and item.path not in there]
        places = (
            (item.path, next((path for path in self.targets(item.path) if is_same(self.project, item, path)), None))
            for item in items
        )
        return {path: place for path, place in places if place is not None}

    def take_in(self, there: Collection[str]) -> None:
        """Have in the store what lies here, so that it can be shown at other places too."""
        here = self.lying_here(there)
        for item in outside_inputs(self.run):
            if item.path in here and not is_kept(self.project, item):
                take_in(self.project, item, here[item.path])

    def put(self, there: Collection[str]) -> None:
        """Put the rest in place. Raises DataMissing, Damaged, StorageError."""
        items = sorted(outside_inputs(self.run), key=lambda item: len(PurePosixPath(item.path).parts))
        writings = list(writings_of(self.project, self.run))
        if self.claim is None and (items or writings):
            self.claim = claim(self.way.top)
        if self.can_bind(writings):
            known = (set(self.targets(one.path)).difference(self.moves.guessed(one.path)) for one in writings)
            self.arranged.open_together(path for paths in known for path in paths)
        for item in items:
            if item.path in there:
                continue
            if item.kind == "url" or is_unknown(item):
                self.leave(item)
            else:
                self.place(item)
        self.show_what_is_there(item for item in items if item.path in there)
        self.guard(writings)
        if self.refused:
            raise no_way(self.run, self.refused, self.why_no_binds)
        self.report()

    def leave(self, item: Input) -> None:
        """An input that nobody has: the reproduction goes on without."""
        self.conditions.append(Condition("input", item.path, told_of(item)))
        self.tell(f"{told_of(item)}")

    def place(self, item: Input) -> None:
        """One input, at each place where the command may look for it: laid out once, and linked from the others."""
        if item.digest is None:
            self.refused.append(f"{item.path} (it changed while the run used it, so what it read is not known)")
            return
        open_targets = [path for path in self.targets(item.path) if not is_same(self.project, item, path)]
        if not is_kept(self.project, item):
            if len(open_targets) == len(self.targets(item.path)):  # else it is where programs of today look for it
                self.refused.append(f"{item.path} ({facts_of(item)})")
            return
        source: Path | None = None
        for path in open_targets:
            try:
                source = self.provide(item, path, source)
            except Refused as error:
                if path not in self.moves.guessed(item.path):
                    self.refused.append(f"{path} ({error})")

    def provide(self, item: Input, path: str, source: Path | None) -> Path | None:
        """Have what an input held at a path, for the command or for good; where it lies with us. Raises Refused."""
        is_guess = path in self.moves.guessed(item.path)
        if self.way.put_back and not is_guess and not os.path.lexists(allowed(path)):
            self.write(item, path)
            return source
        if self.why_no_binds is not None:
            state = "something else is there" if os.path.lexists(path) else "nothing is there"
            raise Refused(f"{state}, {facts_of(item)}")
        place = self.arranged.place_for(path, item.kind == "directory", is_guess)
        if source is None:
            self.restore(item, place)
        else:
            linked(source, place)
        return source or place

    def write(self, item: Input, path: str) -> None:
        """At its own place, where nothing is."""
        self.check_writable(os.path.realpath(path))
        self.restore(item, Path(path))
        self.written.append(path)

    def check_writable(self, real: str) -> None:
        """Raise Refused for a path to which nothing is written for a record."""
        if any(part.startswith(".") for part in PurePosixPath(real).parts):
            raise Refused("names with a dot in front are not written for a record")
        programs = [os.path.realpath(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
        if any(is_below(real, place) for place in (*UNWRITTEN, *programs)):
            raise Refused("the system's directories are not written to for a record")
        above = nearest_thing(real)
        if not os.path.isdir(above):
            raise Refused(f"{above} is no directory")

    def restore(self, item: Input, place: Path) -> None:
        from mltrack.store.checkout import Manner, restore_path

        restore_path(self.project.store, item.kind, str(item.digest), place, item.executable, Manner(force=True))

    def show_what_is_there(self, items: Iterable[Input]) -> None:
        """What lies in its place may be hidden by now, by something that was laid out above it."""
        for item in items:
            if isinstance(self.arranged, Mounting):
                if item.found == "declared":
                    self.arranged.show(item.path)
                continue
            for path in self.targets(item.path):
                self.arranged.show(path)

    def can_bind(self, writings: Collection[Writing]) -> bool:
        """Can what the command writes be kept from the user's files?"""
        return bool(writings) and not self.way.in_container and self.why_no_binds is None

    def guard(self, writings: Collection[Writing]) -> None:
        """Keep the user's files from what the command will write. Not possible: a file that differs stops it."""
        can_bind = self.can_bind(writings)
        for one in writings:
            guessed = self.moves.guessed(one.path)
            for path in self.targets(one.path):
                keep = self.arranged.keep_from if one.is_new else self.arranged.keep_as_it_is
                if can_bind:
                    try:
                        keep(path, path in guessed)
                        continue
                    except Refused:
                        pass
                if path not in guessed:
                    self.expose(one.path, path)

    def expose(self, recorded: str, path: str) -> None:
        """A path that the command will write to for good."""
        then = next((item for item in self.run.artifacts if item.path == recorded), None)
        if then is None and not os.path.lexists(path):
            return  # the command made it, and removed it
        is_known = then is not None and is_same(self.project, then, path)
        if not self.way.put_back and os.path.lexists(path) and not is_known:
            self.refused.append(f"{path} (the run wrote it, and would write over what is there)")
        else:
            self.tell(f"the command may write outside its workspace, to {path}, for good")

    def targets(self, path: str) -> tuple[str, ...]:
        """A recorded path, and others by which the command may name the same file here."""
        return (path, *self.moves.of(path))

    def report(self) -> None:
        """Say what was done, before the command starts."""
        covered = len(self.arranged.covers)
        if covered and self.way.top.exists():
            places = f"{covered} place{'s' if covered > 1 else ''}"
            self.tell(f"the command sees files of its own at {places} outside its workspace; nothing is changed there")
        for path in self.written:
            self.tell(f"put back: {path}")

    def placed(self, place: Place) -> Place:
        """The place with what the command is to see. To be asked when all that it needs is there."""
        inputs = [item.path for item in outside_inputs(self.run) if item.kind != "url"]
        paths = [*inputs, *outside_artifacts(self.run)]
        names = {other: path for path in paths for other in self.moves.of(path)}
        names |= {now: then for then, now in self.moves.homes.items()}
        if not self.arranged.covers:
            return replace(place, names=names)
        return replace(place, binds=self.arranged.binds(), outside=self.arranged.outside(), names=names)

    def conditions_met(self, now: Run) -> list[Condition]:
        """Did the command fail by what it sees being mounts, which cannot be renamed over or across?"""
        if not self.arranged.covers or now.log is None or now.status == "finished":
            return []
        found = refusals(self.project, now.log.digest)
        where = ", ".join(sorted(place for place, cover in self.arranged.covers.items() if not cover.is_part)[:SHOWN])
        text = f"the command met {' and '.join(found)}; mltrack has places of its own at {where}, which are mounts"
        return [Condition("outside", "no places of mltrack's own", text)] if found else []

    def drop(self) -> None:
        """Remove what was laid out for the command alone: its run is recorded, or was never started."""
        if self.claim is not None:
            remove_claimed(self.way.top, self.claim)
            self.claim = None


def nearest_thing(path: str) -> str:
    """The nearest thing above a path that is there, whatever it is."""
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    return above


def refusals(project: Project, log: str) -> list[str]:
    """The errors in a run's output that a mount may be the cause of."""
    from mltrack.live.outputlog import plain_bytes

    try:
        text = plain_bytes(project.store.get_bytes(log))[-LAST_BYTES:]
    except MltrackError:
        return []
    return [f"“{words}”" for words, signs in OF_MOUNTS.items() if any(sign in text for sign in signs)]


def mounted(run: Run) -> tuple[str, ...]:
    """The places of the recorded machine that the run's container had mounted, as far as they are absolute."""
    texts = run.environment.options.get("mounts") or ()
    sources = [str(text).partition(":")[0] for text in ([texts] if isinstance(texts, str) else texts)]
    return tuple(source for source in sources if os.path.isabs(source))


def linked(source: Path, place: Path) -> None:
    """The same file or directory under a second name; a copy where a file cannot have two."""

    def link(old: str, new: str) -> str:
        if os.path.lexists(new):
            if os.path.samestat(os.lstat(old), os.lstat(new)):
                return new
            os.unlink(new)
        try:
            os.link(old, new, follow_symlinks=False)
        except OSError:
            shutil.copy2(old, new, follow_symlinks=False)
        return new

    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, place, symlinks=True, copy_function=link, dirs_exist_ok=True)
    else:
        link(str(source), str(place))


def outside_inputs(run: Run) -> list[Input]:
    """The inputs that do not lie in the project, or nowhere on a disk."""
    return [item for item in run.inputs if item.role != "resume" and is_outside(item)]


def told_of(item: Input) -> str:
    """A sentence on an input whose content is not known."""
    if item.kind == "url":
        return f"The run read {item.path} from the network, which is not kept."
    return f"The input {item.path} changed while the run used it, so what it read is not known."


def facts_of(item: Input) -> str:
    size = f"{item.size_bytes:,} bytes, " if item.size_bytes is not None else ""
    kept = "" if item.kept else ", not kept, for it was over data.keep_limit or a file in it could not be read"
    return f"{size}digest {item.digest}{kept}"


def no_way(run: Run, refused: Sequence[str], why_no_binds: str | None) -> DataMissing:
    """The error that names what cannot be had, and the ways out."""
    many = len(refused) - SHOWN
    shown = "; ".join(refused[:SHOWN]) + (f"; and {many} more" if many > 0 else "")
    because = f" To show it to the command alone is not possible: {why_no_binds}." if why_no_binds else ""
    return DataMissing(
        f"{run.id} used data outside its project that cannot be given to the command at its place: {shown}.{because}",
        "Put it there yourself, or, if it is kept and nothing is there, have it written there: mltrack reproduce "
        f"{run.id} --put-back",
    )


def declared_outside(place: Place, then: Run) -> list[FoundInput]:
    """The inputs outside the project that the repeated run declared, as they lie for this one."""
    from mltrack.store.keep import stat_path

    found = []
    for item in then.inputs:
        if item.found == "declared" and item.role is None and os.path.isabs(item.path):
            lies = place.lies_at(item.path)
            try:
                found.append(FoundInput(item.path, lies, stat_path(lies)))
            except MltrackError:
                continue  # it is in today's home; the command finds it there, or says that it does not
    return found

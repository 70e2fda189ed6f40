"""`mltrack checkout`: the code and the inputs of a run, or some of its paths, in a directory.

The directory may be there already: what is right is left, what differs is refused, or kept aside with `force`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.confine import inside
from mltrack.errors import DataMissing, UsageError
from mltrack.nouns import noun
from mltrack.operations.contents import entries_of, items_of, no_such
from mltrack.operations.fetch import ensure_here
from mltrack.operations.find import find_run
from mltrack.operations.keeping.objects import code_objects
from mltrack.operations.outside.presence import is_same
from mltrack.operations.repeating.workspace import is_outside, is_settled, is_unknown, place_of
from mltrack.operations.request import Tell, silent
from mltrack.store.checkout import Manner, Restoration
from mltrack.store.disk import temporary_beside, writing
from mltrack.store.manifest import ManifestEntry, check_paths
from mltrack.store.moving import Moving
from mltrack.store.placing import Keeper, refuse

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Artifact, Input, Run

    Item = Input | Artifact


@noun
class CheckoutRequest:
    """Which run, where to, and which of its paths (none: code and inputs, all of them)."""

    ref: str
    into: Path | None = None
    paths: tuple[str, ...] = ()


@noun
class CheckedOut:
    """What was done. `left` counts files that were right already, `kept_aside` is where what was in the way now is."""

    run: Run
    directory: Path
    written: int
    left: int
    kept_aside: Path | None
    not_laid_out: tuple[str, ...] = ()
    """Inputs that do not lie in the project, or whose content is not known."""


def checkout(project: Project, request: CheckoutRequest, manner: Manner, tell: Tell = silent) -> CheckedOut:
    """Restore what was asked for. Nothing is written unless all of it can be.

    Raises NotFound for a path that the run does not have, DataMissing for what is not to be had, UsageError that lists
    what is in the way.
    """
    run = find_run(project, request.ref)
    return _Checkout(project, run, request, manner).do(tell)


def chosen(run: Run, paths: Sequence[str]) -> tuple[list[tuple[Item, str]], list[str] | None]:
    """The inputs (and artifacts) that are asked for, each with the path that asks for it or for a part of it.

    Then the paths that the code is to be searched for: an empty list means all of it, None that it is not needed.
    """
    if not paths:
        inputs = [item for item in run.inputs if item.role != "resume"]
        return [(item, item.path) for item in inputs], []
    found: list[tuple[Item, str]] = []
    searched = []
    for path in (path.rstrip("/") for path in paths):
        within = [item for item in items_of(run) if is_below(path, item.path)]
        if within:
            found.append((within[0], path))
        else:
            found += [(item, item.path) for item in items_of(run) if is_below(item.path, path)]
            searched.append(path)
    return found, searched or None


def is_below(path: str, directory: str) -> bool:
    """Is it that path, or one below it?"""
    return path == directory or path.startswith(f"{directory}/")


class _Checkout:
    """One checkout, into `top`; the project's root is `root` in it."""

    def __init__(self, project: Project, run: Run, request: CheckoutRequest, manner: Manner) -> None:
        self.project = project
        self.run = run
        self.paths = request.paths
        self.manner = manner
        self.top = request.into or project.work / f"checkout-{run.id}"
        self.prefix = run.code.prefix.rstrip("/")
        self.start = f"{self.prefix}/" if self.prefix else ""
        self.root = inside(self.top, self.prefix) if self.prefix else self.top
        self.is_default = request.into is None
        self.not_laid_out: list[str] = []

    def do(self, tell: Tell) -> CheckedOut:
        check_directory(self.top)
        items, searched = chosen(self.run, self.paths)
        for item, path in items if self.paths else ():
            if is_outside(item):
                raise UsageError(
                    f"{path} does not lie in the project, and is not written to its place.",
                    f"Name a place for it: mltrack get {self.run.id} {path} -o PLACE",
                )
        data = self.data(items, tell)
        if searched is None:
            return self.put(data, None)
        ensure_here(self.project, [digest for _, digest in code_objects(self.run.code, "code")], tell, of=self.run)
        stage = Path(temporary_beside(self.top / "code" if self.top.is_dir() else self.top))
        try:
            self.stage(stage)
            moving = Moving(stage, self.top, self.wanted(searched), repositories=not searched)
            self.check_found(searched, moving, data)
            return self.put(data, moving)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def data(self, items: Iterable[tuple[Item, str]], tell: Tell) -> list[ManifestEntry]:
        """What is to be restored of these items, below `top`, all of it in the store."""
        found: dict[bytes, ManifestEntry] = {}
        for item, path in items:
            for entry in self.entries(item, path, tell):
                place = os.fsencode(self.start) + entry.path
                found.setdefault(place, ManifestEntry(place, entry.kind, entry.size, entry.digest))
        listed = [found[path] for path in sorted(found)]
        check_paths([entry.path for entry in listed])
        return listed

    def entries(self, item: Item, path: str, tell: Tell) -> list[ManifestEntry]:
        """Of one item; none if it is in its place, and need not or cannot be restored."""
        if is_outside(item) or is_unknown(item):
            self.leave(item, tell)
            return []
        place = place_of(self.root, item)
        listed: list[ManifestEntry] = []
        if item.digest is not None:
            try:
                listed = entries_of(self.project, item, path)
                ensure_here(self.project, sorted({entry.digest for entry in listed if entry.digest}), tell)
            except DataMissing:
                pass  # told in its own words, unless the file is in its place
        return [] if is_settled(self.project, self.run, item, place) else listed

    def leave(self, item: Item, tell: Tell) -> None:
        """Say what is neither laid out nor in its place, and how it is had."""
        if item.kind != "url" and is_same(self.project, item, item.path):
            return
        self.not_laid_out.append(item.path)
        if item.digest is None:
            tell(f"not laid out: {item.path}, whose content is not known")
        elif not getattr(item, "kept", True):
            tell(f"not laid out: {item.path}, which lies outside of the project and is not kept")
        else:
            tell(f"not laid out: {item.path}, which lies outside of the project: mltrack get {self.run.id} {item.path}")

    def stage(self, stage: Path) -> None:
        """The code, in a directory of its own."""
        from mltrack.snapshot.code import restore_code

        with writing(stage):
            stage.parent.mkdir(parents=True, exist_ok=True)
        restore_code(self.run.code, self.project.store, stage)
        root = inside(stage, self.prefix) if self.prefix else stage
        for name in self.run.declared.get("directories", ()):
            if not os.path.isabs(name):
                inside(root, name.rstrip("/")).mkdir(parents=True, exist_ok=True)

    def wanted(self, searched: Sequence[str]) -> Callable[[bytes], bool]:
        """Which paths of the code are to come."""
        asked = [os.fsencode(self.start + path) for path in searched]
        if not asked:
            return lambda path: True
        return lambda path: any(path == one or path.startswith(one + b"/") for one in asked)

    def check_found(self, searched: Sequence[str], moving: Moving, data: Sequence[ManifestEntry]) -> None:
        """Raises NotFound for a path that nothing is restored for."""
        there = [os.fsdecode(entry.path) for entry in (*moving.entries, *data)]
        for path in searched:
            if not any(is_below(one, self.start + path) for one in there):
                raise no_such(self.project, self.run, path)

    def put(self, data: list[ManifestEntry], moving: Moving | None) -> CheckedOut:
        """Look at everything, then write it."""
        if moving is not None:
            data = without_same(data, moving)
            moving.drop(with_parents(data))
            if moving.repositories and not os.path.lexists(self.top):
                return self.put_fresh(data, moving)
        keeper = Keeper(str(self.top), self.manner.force)
        restoration = Restoration(self.project.store, data, self.top, self.manner, keeper)
        plans = [restoration.look(), *([moving.look()] if moving else [])]
        if not self.manner.force:
            refuse(plans)
        restoration.run(plans[0])
        if moving is not None:
            moving.run(plans[1], keeper)
        written, left = sum(len(plan.entries) for plan in plans), sum(plan.left for plan in plans)
        return CheckedOut(self.run, self.top, written, left, keeper.place, tuple(self.not_laid_out))

    def put_fresh(self, data: list[ManifestEntry], moving: Moving) -> CheckedOut:
        """Into a directory that is not there yet."""
        with writing(self.top):
            os.rename(moving.source, self.top)
        try:
            done = Restoration(self.project.store, data, self.top, self.manner).run()
        except Exception:
            if self.is_default:
                shutil.rmtree(self.top, ignore_errors=True)
            raise
        written = done.written + len(moving.entries)
        return CheckedOut(self.run, self.top, written, done.left, done.kept_aside, tuple(self.not_laid_out))


def without_same(data: Iterable[ManifestEntry], moving: Moving) -> list[ManifestEntry]:
    """Those that the code does not bring too, the very same."""
    mine = {(entry.path, entry.kind, entry.digest) for entry in moving.entries}
    return [entry for entry in data if (entry.path, entry.kind, entry.digest) not in mine]


def with_parents(data: Iterable[ManifestEntry]) -> set[bytes]:
    """Their paths, and those of the directories that they lie in."""
    found = set()
    for entry in data:
        path = entry.path
        while path and path not in found:
            found.add(path)
            path = path.rpartition(b"/")[0]
    return found


def check_directory(top: Path) -> None:
    """Raises UsageError if that cannot be a directory to check out into."""
    try:
        is_something = os.path.lexists(top) or os.stat(top.parent) is None
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{top} cannot be a directory: {error.strerror}.", "Choose another with --into.") from error
    if is_something and not top.is_dir():
        raise UsageError(f"{top} is not a directory.", "Choose another with --into.")

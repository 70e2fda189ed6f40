"""Plots of how well classes were told apart: confusion matrices, ROC and precision-recall curves, from files of runs or
files here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, NotFound, UsageError
from mltrack.formats.columns import Table, read_table
from mltrack.formats.predictions import Named, Predictions, confusion_of, ordered
from mltrack.formats.scores import Ready, Scored, curve_of
from mltrack.nouns import noun
from mltrack.operations.plotting.labels import labels_of as labels_of_runs
from mltrack.plots import Confusion, Curve, Plot, Rates

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.compare.rates import Course
    from mltrack.operations.request import Tell
    from mltrack.project import Project
    from mltrack.records import Run

MOST_PANELS = 9
MOST_CURVES = 40
FEW = 3
"""Files up to which it is told how many rows of each are positive."""
LARGEST = 1 << 30
"""Bytes of a file that is read."""
TITLES = {"confusion": "Confusion matrix", "roc": "ROC", "pr": "Precision and recall"}
AREAS = {"roc": "AUC", "pr": "AP"}
ACROSS = {"roc": "FPR", "pr": "recall"}


@noun
class Sought:
    """What is asked for: `kind` is `confusion`, `roc` or `pr`; `files` as the user wrote them."""

    kind: str
    files: tuple[str, ...]
    named: Named = Named()
    by_row: bool = False
    title: str | None = None


@noun
class Source:
    """A file that was found: of a run, or here."""

    label: str
    where: str
    """How an error names it."""
    data: bytes
    path: str
    run: Run | None = None


def classification(project: Project | None, runs: Sequence[Run], sought: Sought, tell: Tell) -> Plot:
    """The plot of all the files that were asked for. `runs`: in which to look for them; of none, here first, then in
    the newest run that has one. Raises NotFound, DataMissing, and UsageError for what cannot be read."""
    sources = list(found(project, runs, sought.files, tell))
    labels = labels_of(sources)
    plot = confusions if sought.kind == "confusion" else curves
    return plot(sources, labels, sought)


def labels_of(sources: Sequence[Source]) -> list[str]:
    """The label of each: of several runs with the params in which they differ, with the path where a run has two."""
    runs = list({one.run.id: one.run for one in sources if one.run is not None}.values())
    told = labels_of_runs(runs, None)
    labels = [one.label if one.run is None else told[one.run.id] for one in sources]
    return [
        f"{label} {one.path}" if labels.count(label) > 1 and one.run is not None else label
        for one, label in zip(sources, labels)
    ]


# -- the files


def found(project: Project | None, runs: Sequence[Run], files: Sequence[str], tell: Tell) -> Iterator[Source]:
    """The files by their names: `RUN:PATH`, a path of the runs, a file here."""
    for name in files:
        of_run = named_run(project, name)
        if of_run is not None and project is not None:
            yield source_of(project, *of_run)
        elif runs and project is not None and not name.startswith(("./", "/", "../")):
            yield from of_runs(project, runs, plain(name), tell)
        else:
            yield here_or_newest(project, name)


def plain(path: str) -> str:
    """A path as records have it."""
    return path.removeprefix("./").rstrip("/") or path


def named_run(project: Project | None, name: str) -> tuple[Run, str] | None:
    """`RUN:PATH` as its parts; None where a file here has that very name, or there is no such run."""
    from pathlib import Path

    ref, colon, path = name.partition(":")
    if project is None or not colon or not ref or not path or Path(name).is_file():
        return None
    from mltrack.operations.find import find_run

    return find_run(project, ref), plain(path)


def of_runs(project: Project, runs: Sequence[Run], path: str, tell: Tell) -> Iterator[Source]:
    """The path in each of the runs that has it. Raises NotFound where none has, the error of the only one."""
    lacking: list[NotFound | DataMissing] = []
    for run in runs:
        try:
            yield source_of(project, run, path)
        except (NotFound, DataMissing) as error:
            lacking.append(error)
    if len(lacking) == len(runs):
        raise lacking[0]
    if lacking:
        tell(f"Left out: {len(lacking):,} of {len(runs):,} runs, which have no {path}.")


def source_of(project: Project, run: Run, path: str) -> Source:
    from mltrack.operations.bring import find_entries

    only, *more = find_entries(project, run.id, path)
    if more or only.kind == "directory" or only.digest is None:
        raise UsageError(f"{path} of {run.id} is a directory.", f"Name a file in it: mltrack get {run.id}")
    if (only.size or 0) > LARGEST:
        raise too_large(path, only.size or 0)
    return Source(run.id, f"{path} of {run.id[:8]}", project.store.get_bytes(only.digest), path, run)


def here_or_newest(project: Project | None, name: str) -> Source:
    from pathlib import Path

    path = Path(name)
    if path.is_file():
        return local(path, name)
    run = newest_with(project, plain(name)) if project is not None else None
    if run is None or project is None:
        raise NotFound(f"There is no file {name} here, and no run has one.", "See what a run has: mltrack get RUN")
    return source_of(project, run, plain(name))


def local(path: Path, name: str) -> Source:
    from mltrack.formats.documents import read_bytes

    if path.stat().st_size > LARGEST:
        raise too_large(name, path.stat().st_size)
    return Source(path.name, name, read_bytes(path), name)


def too_large(name: str, size: int) -> UsageError:
    return UsageError(f"{name} has {size:,} bytes.", f"At most {LARGEST:,} are read: keep the columns that are needed.")


def newest_with(project: Project, path: str) -> Run | None:
    """The newest run with an artifact of that path, or one that is a directory above it."""
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.tree import Compare, Literal
    from mltrack.operations.asking import known_field

    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    where = Compare(known_field("artifacts.path"), "=", tuple(map(Literal, above)))
    runs = list(project.ledger.list(RunQuery(1, where=where)))
    return runs[0] if runs else None


# -- confusion


def confusions(sources: Sequence[Source], labels: Sequence[str], sought: Sought) -> Plot:
    """A matrix for each file, all with the same classes, so that they can be laid one on another."""
    from mltrack.compare.rates import accuracy, confusion, rearranged

    remarks, matrices = [], []
    shown = list(zip(sources, labels))[:MOST_PANELS]
    for source, label in shown:
        read = confusion_of(table_of(source, sought.named), sought.named, source.where)
        if isinstance(read, Predictions):
            matrices.append(confusion(read.actual, read.predicted, read.counts))
            remarks += missing(label, read.left_out) + ([read.remark] if read.remark else [])
        else:
            matrices.append((read.classes, read.counts))
    together = common_classes([classes for classes, _ in matrices])
    panels = []
    for (classes, counts), common, (_, label) in zip(matrices, together, shown):
        rows = rearranged(classes, counts, common)
        share, total = accuracy(rows), sum(map(sum, rows))
        told = f"{label}: " if len(shown) > 1 else ""
        title = f"{told}{in_per_cent(share)} of {total:,} right" if share is not None else f"{told}no rows"
        panels.append(Confusion(title, tuple(common), rows, sought.by_row))
    remarks += rest(sources, "matrices")
    title = sought.title or (TITLES["confusion"] if len(shown) > 1 else f"{TITLES['confusion']}: {labels[0]}")
    return Plot(title, tuple(panels), tuple(dict.fromkeys(remarks)))


def in_per_cent(share: float) -> str:
    """`85.2 %`; what is not all is never 100."""
    return ">99.9 %" if 0.9995 <= share < 1 else f"{share * 100:.1f} %"


def common_classes(every: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The classes of each matrix: those of all of them, where each shares some with the first; else its own."""
    first = set(every[0])
    if all(set(one) == first for one in every):
        return [every[0]] * len(every)
    if all(first.intersection(one) for one in every):
        return [ordered(name for one in every for name in one)] * len(every)
    return list(every)


def rest(sources: Sequence[Source], what: str) -> list[str]:
    more = len(sources) - MOST_PANELS
    return [f"Not drawn: {more:,} more {what}."] if more > 0 else []


def missing(label: str, count: int) -> list[str]:
    return [f"{label}: {count:,} rows without a value are left out."] if count else []


def table_of(source: Source, named: Named) -> Table:
    return read_table(source.data, source.path, named.keeps)


# -- curves


def curves(sources: Sequence[Source], labels: Sequence[str], sought: Sought) -> Plot:
    """A curve for each file, and for each class where there are scores for several."""
    from mltrack.compare.rates import corners, thinned

    made: list[Curve] = []
    areas: list[float] = []
    remarks: list[str] = []
    for source, label in zip(sources, labels):
        courses, words = courses_of(source, label, sought)
        remarks += words
        if len(courses) == 1 and len(sources) <= FEW and (only := next(iter(courses.values()))).positives:
            remarks.append(f"{label}: {only.positives:,} of {only.positives + only.negatives:,} rows are positive.")
        for name, course in courses.items():
            told = " · ".join(part for part in (label, name) if part)
            xs, ys = corners(course.xs, course.ys) if sought.kind == "roc" else (course.xs, course.ys)
            run = None if source.run is None else source.run.id
            made.append(Curve(f"{told}, {said_area(course, sought.kind)}", *thinned(xs, ys), run=run))
            areas.append(course.area)
        remarks += mean_area(label, list(courses.values()), sought.kind)
    if len(made) > MOST_CURVES:
        remarks.append(f"Not drawn: {len(made) - MOST_CURVES:,} more curves.")
    heading = made[0].label if len(made) == 1 else ""
    panel = Rates(heading, sought.kind, tuple(made[:MOST_CURVES]), tuple(areas[:MOST_CURVES]))
    title = sought.title or (TITLES[sought.kind] if len(sources) > 1 else f"{TITLES[sought.kind]}: {labels[0]}")
    return Plot(title, (panel,), tuple(dict.fromkeys(remarks)))


def said_area(course: Course, kind: str) -> str:
    """`AUC 0.9123`; of a part of a curve `no AUC, FPR 0.1 to 0.45`."""
    if math.isnan(course.area):
        return f"no {AREAS[kind]}, {ACROSS[kind]} {course.xs[0]:.2g} to {course.xs[-1]:.2g}"
    return f"{AREAS[kind]} {course.area:.4f}"


def mean_area(label: str, courses: Sequence[Course], kind: str) -> list[str]:
    """The mean over the classes as a sentence, where there are several and each has an area."""
    mean = sum(course.area for course in courses) / max(len(courses), 1)
    if len(courses) < 2 or math.isnan(mean):
        return []
    return [f"{label}: mean {AREAS[kind]} of {len(courses)} classes {mean:.4f}, each against the rest."]


def ready_courses(source: Source, label: str, read: Ready, kind: str) -> tuple[dict[str, Course], list[str]]:
    """The curves that were made before, and what their ends leave to be said. Raises UsageError."""
    from mltrack.compare.rates import OPEN, ready_precision_recall, ready_roc

    made, words = {}, []
    for name, (xs, ys) in read.courses.items():
        try:
            course = (ready_roc if kind == "roc" else ready_precision_recall)(xs, ys)
        except ValueError as error:
            raise UsageError(f"{source.where}: {error}", "Make a file for each curve.") from error
        told = " ".join(part for part in (label, name) if part)
        first, precision = course.xs[1], course.ys[1]
        if math.isnan(course.area):
            words.append(f"{told}: its points are a part of a curve; an {AREAS[kind]} is of a whole one.")
        elif kind == "pr" and xs.min() > 0 and first * (1 - precision) > OPEN:
            words.append(
                f"{told}: no point is below recall {first:.4g}; AP takes {precision:.4g}, the precision there."
            )
        made[name] = course
    return made, words


def courses_of(source: Source, label: str, sought: Sought) -> tuple[dict[str, Course], list[str]]:
    """The curves of one file by class, "" for the only one, and what is to be said of them."""
    import numpy

    from mltrack.compare.rates import precision_recall, roc

    read = curve_of(table_of(source, sought.named), sought.kind, sought.named, source.where)
    if not isinstance(read, Scored):
        return ready_courses(source, label, read, sought.kind)
    actual, made = numpy.array(read.actual, dtype=object), {}
    words = missing(label, read.left_out)
    for name, scores in read.scores.items():
        try:
            made[name] = (roc if sought.kind == "roc" else precision_recall)(actual == name, scores)
        except ValueError as error:
            if len(read.scores) == 1:
                classes = ", ".join(ordered(set(read.actual))[:8]) or "none"
                raise UsageError(
                    f"{source.where}: {error}, and all {len(actual):,} are alike.", f"Classes: {classes}."
                ) from error
            words.append(f"{label}: no curve for {name}, since {error}.")
    if not made:
        raise UsageError(f"{source.where}: no class has a curve.", words[-1] if words else None)
    if len(made) == 1:
        [(name, course)] = made.items()
        words.append(f"The curves are of the class {name}.")
        made = {"": course}
    return made, words

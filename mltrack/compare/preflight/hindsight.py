"""What makes a run hard to get again, by its record: environment, inputs, what was seen of it.

Pure. Works on a finished run, and on one that is put together of what is known before it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mltrack.compare.preflight.foreseen import (
    EARLY,
    LISTED,
    counted,
    is_seed,
    is_settled,
    left_out,
    listed,
    not_kept,
    secret_argument,
    with_size,
)
from mltrack.compare.preflight.grade import grade
from mltrack.records import Concern

if TYPE_CHECKING:
    from mltrack.records import Input, Preflight, Run

CARRIED = frozenset(
    (
        *("network", "input-changed", "input-unreadable", "input-not-kept", "unwatched", "reads-cache", "reads-secret"),
        *("package-lost", "local-package", "package-on-path", "conda-python", "environment", "unhashed", "image-local"),
        *("python-unseen", "system", "artifacts-over-limit", "environment-incomplete"),
        "listing-not-kept",
    )
)
"""Kinds that the next run of the same command will most likely have too, and that cost too much to look for first."""

SEEN = frozenset(
    (
        *("network", "input-changed", "input-unreadable", "unwatched", "reads-cache", "reads-secret"),
        *("artifacts-over-limit", "listing-not-kept"),
    )
)
"""Of these, what only a run itself can show."""

ENVIRONMENT = (
    ("On no package index, and not kept", "package-lost", "D", "Let the remote carry them: mltrack push --wheels"),
    (
        *("Installed from a directory outside", "local-package", "D"),
        "Install it from an index, from a commit, or from a directory of the project.",
    ),
    (
        *("Found on PYTHONPATH without", "package-on-path", "D"),
        "Install it, from an index, a commit, or a directory of the project.",
    ),
    ("This Python belongs to a conda", "conda-python", "C", "Record the conda environment: mltrack run --env conda"),
    ("The command started ", "python-unseen", "D", "Record that Python: mltrack run --env python"),
)
"""How a warning of kind `environment` starts -> kind, grade and remedy of the concern. Others are minor."""

WARNINGS = {
    "code-incomplete": ("F", "Free some space or mend the repository, and run it again."),
    "inputs-incomplete": ("F", "Free some space, and run it again."),
    "environment-incomplete": ("D", "See what there is: mltrack env show RUN"),
    "code-changed": ("D", "Let nobody edit the code meanwhile: mltrack run --isolated works on a copy."),
    "writer-unknown": ("C", "Declare what the command itself writes with --output, or watch it: mltrack run --trace."),
    "observation-incomplete": ("C", "Declare what it reads with --input."),
    "reads-cache": ("D", "Copy what is read to a place of its own, and name that; or take it in: observe.include."),
    "reads-secret": (
        "D",
        "Whoever runs it again must put it there: keep an example of it, without the secrets, in the repository.",
    ),
    "listing-not-kept": ("C", "If which names it found there counts, keep all of it: inputs.whole_directories: true."),
    "stand-in-read": ("F", "Record the run that it repeats again, with inputs.whole_directories: true."),
    "artifacts-over-limit": ("C", "Declare the outputs that count with --output, or raise observe.artifact_limit."),
    "artifact-not-kept": ("C", "Let nothing write it when the command has ended, and run it again."),
    "writes-mixed": ("C", "Keep runs apart that work at the same time: mltrack run --isolated"),
}
"""Kind of a warning -> grade and remedy of a concern of the same kind."""

TO_SEE = "Declare what it reads with --input, or watch it once with mltrack run --trace."
LOOPBACK = ("localhost", "127.", "[::1]", "::1", "0.0.0.0")


def preflight_of(run: Run, keep_limit: int) -> Preflight:
    """The preflight of a run by all that is known: of what was foreseen, what stays so; and what its record says."""
    foreseen = run.preflight.concerns if run.preflight else ()
    gone = lifted(run)
    stays = [one for one in foreseen if one.kind in EARLY and one.kind not in gone]
    return grade([*stays, *look_back(run, keep_limit)])


def lifted(run: Run) -> set[str]:
    """Kinds that were foreseen and are none: a seed that the program logged, or that its framework's config holds."""
    return {"seed"} if any(map(is_seed, run.params.items())) else set()


def look_back(run: Run, keep_limit: int) -> list[Concern]:
    """All that the record says."""
    return [
        *left_out(run, False),
        *secret_argument(run),
        *inputs(run, keep_limit),
        *network(run),
        *watching(run),
        *environment(run),
        *gpu(run),
        *warned(run),
    ]


def inputs(run: Run, keep_limit: int) -> Iterator[Concern]:
    """Data of which there is no copy, or nobody knows which it was."""
    data = [item for item in run.inputs if item.kind != "url" and not is_secret(run, item)]
    changed = [item.path for item in data if item.changed_during_run]
    unread = [item.path for item in data if item.digest is None and not item.changed_during_run]
    over = [with_size(item.path, item.size_bytes) for item in data if item.digest is not None and not item.kept]
    if changed:
        text = f"{counted(len(changed), 'input')} changed while the run used it: {listed(changed)}."
        yield Concern(
            "input-changed", "F", text.replace("is changed", "was changed"), "Let nothing write it meanwhile."
        )
    if unread:
        text = f"{counted(len(unread), 'input')} not kept, as it could not be read: {listed(unread)}."
        yield Concern("input-unreadable", "F", text, "Check its permissions.")
    if over:
        yield not_kept(over, keep_limit)


def is_secret(run: Run, item: Input) -> bool:
    """Is it a file that was left out for its name? That is told as such."""
    return item.digest is None and any(
        found.reason == "may hold secrets" and not is_settled(run, found.path) and found.path.endswith(item.path)
        for found in run.code.all_left_out()
    )


def network(run: Run) -> Iterator[Concern]:
    places = [item.path for item in run.inputs if item.kind == "url" and not is_here(item.path)]
    if places:
        yield Concern(
            "network",
            "D",
            f"It reads from the network: {listed(places)}.",
            "Fetch it once to a file, and let the command read that: it is kept then.",
        )


def is_here(url: str) -> bool:
    """Does a URL name this machine?"""
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return host.startswith(LOOPBACK)


def watching(run: Run) -> Iterator[Concern]:
    if run.observation is not None and run.observation.unseen:
        yield Concern(
            "unwatched",
            "C",
            f"Not all that it reads could be seen: {' '.join(run.observation.unseen[:LISTED])}",
            TO_SEE,
        )


def environment(run: Run) -> Iterator[Concern]:
    """What a rebuilt environment would lack, or have otherwise."""
    for warning in run.warnings:
        if warning.kind in ("environment", "image"):
            known = next((row for row in ENVIRONMENT if warning.message.startswith(row[0])), None)
            kind, grade, remedy = known[1:] if known else (warning.kind, "B", "See what there is: mltrack env show RUN")
            yield Concern(kind, grade, warning.message, remedy)
        elif warning.kind == "unhashed":
            text = warning.message.partition(" Complete it")[0]
            yield Concern("unhashed", "B", text, "Complete it when an index can be asked: mltrack env lock RUN")
    if run.environment.kind == "system" and run.environment.digest is not None:
        yield of_system(run)
    if run.environment.image is not None and run.environment.image.digest is None:
        name = run.environment.image.reference or run.environment.image.id
        text = f"The image is known to no registry: {name}."
        yield Concern("image-local", "D", text, "Let the remote carry it: mltrack push --images")


def of_system(run: Run) -> Concern:
    words = [word.rpartition("/")[2] for word in run.command]
    if any(word.startswith("python") or word.endswith(".py") for word in words):
        text = "The packages of its Python are not recorded (environment: system)."
        return Concern("python-unseen", "D", text, "Record them: mltrack run --env python")
    # What is not the operating system's own is an input of a run that was watched whole, and kept.
    is_whole = run.observation is not None and run.observation.complete
    return Concern(
        "system",
        "B" if is_whole else "C",
        "It runs with this machine's own programs: only their digests are recorded.",
        "Run it in a container: mltrack run --image IMAGE",
    )


def gpu(run: Run) -> Iterator[Concern]:
    """torch on a GPU adds in no fixed order unless it is told to."""
    known, told = run.environment, run.environment.libraries
    if not run.hardware.gpus or "torch" not in known.packages or told.get("torch.deterministic") == "True":
        return
    if known.imported is not None and (
        "torch" not in known.imported or ("torch" in told and "torch.devices" not in told)
    ):
        return
    if known.imported is None and "CUBLAS_WORKSPACE_CONFIG" in known.variables:
        return
    is_benchmarked = told.get("torch.cudnn.benchmark") == "True"
    more = ", more so as cuDNN's benchmark mode is on" if is_benchmarked else ""
    yield Concern(
        "gpu",
        "B",
        f"On a GPU torch gives slightly different numbers each time{more}.",
        "torch.use_deterministic_algorithms(True), and CUBLAS_WORKSPACE_CONFIG=:4096:8 among the variables.",
    )


def warned(run: Run) -> Iterator[Concern]:
    for warning in run.warnings:
        if warning.kind in WARNINGS:
            grade, remedy = WARNINGS[warning.kind]
            yield Concern(warning.kind, grade, warning.message, remedy)


def carried(preflight: Preflight) -> list[Concern]:
    """What the next run of the same command is told of this one, before it starts."""
    return [one for one in preflight.concerns if one.kind in CARRIED]

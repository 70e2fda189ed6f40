"""The nouns: frozen dataclasses. Their JSON is made by `noun_json.py`.

`Run` has the fields of the machine interface in their order (`docs/reference/machine-interface.md`). A finished run's
canonical JSON, without what later events may change, is its sealed record; see `docs/reference/format.md`.
Nothing here reads or writes a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mltrack.noun_json import many, one
from mltrack.nouns import noun
from mltrack.verdicts import Calibration, Verdict

SCHEMA = 1
"""Version of the record format. Fields are added without a new version; a changed meaning needs one."""

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 16


def new_id() -> str:
    """A run id: 16 characters of random Crockford base 32 (80 bits), lower case."""
    number = int.from_bytes(os.urandom(10), "big")
    return "".join(ID_ALPHABET[(number >> shift) & 31] for shift in range(0, 80, 5))


@noun
class LeftOut:
    """A file that should have been captured and was not."""

    path: str
    size_bytes: int | None
    reason: str


@noun
class NestedCode:
    """A submodule or embedded repository, at `path` below its parent."""

    path: str
    code: CodeState = field(metadata={"of": lambda: CodeState})


@noun
class CodeState:
    """The exact tree that a run saw. `dirty` and `changed` are git's opinion; `tree` and `raw` are ours."""

    commit: str | None = None
    branch: str | None = None
    dirty: bool = False
    snapshot: str | None = None
    """The commit that holds the exact tree; its parent is `commit`."""
    tree: str | None = None
    origin: str | None = None
    prefix: str = ""
    """The project's directory below the top of the repository, "" when they are the same."""
    changed: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = many(LeftOut)
    packs: tuple[str, ...] = ()
    """Digests of the git packs in the store that together hold every object of `snapshot` and `commit`."""
    raw: str | None = None
    """Digest of the manifest of the files whose bytes differ from their git blob (a filter converts them)."""
    nested: tuple[NestedCode, ...] = many(NestedCode)

    def all_left_out(self, below: str = "") -> list[LeftOut]:
        """What was left out here and in nested repositories, with paths from the outermost one."""
        found = [LeftOut(below + item.path, item.size_bytes, item.reason) for item in self.left_out]
        return found + [item for one in self.nested for item in one.code.all_left_out(f"{below}{one.path}/")]


@noun
class Image:
    """A container image."""

    id: str
    digest: str | None
    """What a registry knows it by, `sha256:...`; None for an image that none has."""
    reference: str | None
    """As the user wrote it."""
    architecture: str | None = None
    os: str | None = None
    created_at: str | None = None
    size_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@noun
class Environment:
    """The software that a run saw. `digest` leaves out absolute paths, mltrack itself and the host."""

    digest: str | None = None
    kind: str = "system"
    python: str | None = None
    interpreter: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    lockfile: str | None = None
    """The object that says how to build it again; its format is the kind's own."""
    image: Image | None = one(Image)
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """The settings that the kind was given."""
    trees: Mapping[str, str] = field(default_factory=dict)
    """What no index or registry will have, by digest of a manifest: `wheels`, `sources`, `context`."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """What moves numbers and is no package of its own: C library, BLAS, CUDA, cuDNN, switches of a framework."""
    imported: tuple[str, ...] | None = None
    """Names of the packages that the run's processes imported; None if nobody looked."""


@noun
class Gpu:
    name: str
    memory_bytes: int | None = None
    driver: str | None = None
    cuda: str | None = None


@noun
class Hardware:
    cpu: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[Gpu, ...] = many(Gpu)
    os: str | None = None
    kernel: str | None = None
    machine: str | None = None
    """The processor architecture, as `uname -m` says it."""
    cpu_limit: float | None = None
    """Processors that the control group allows, where it sets a limit."""
    memory_limit_bytes: int | None = None
    cpu_flags: tuple[str, ...] = ()
    """The processor's instruction sets that numeric libraries choose their code by."""
    cpu_id: str | None = None
    """Maker, family, model and stepping: what libraries know the microarchitecture by."""
    physical_cores: int | None = None
    """Cores behind `cores`, which may be threads."""


@noun
class Input:
    """Data that a run read. `digest` is null when it changed while the run used it, or could not be read."""

    path: str
    kind: str
    digest: str | None
    size_bytes: int | None = None
    files: int | None = None
    role: str | None = None
    found: str = "declared"
    kept: bool = False
    changed_during_run: bool = False
    digest_after: str | None = None
    executable: bool = False
    root: str | None = None
    """`home` for a path in the home directory of whoever ran it, which elsewhere is another; else None."""
    partial: bool = False
    """A directory of which only those files are recorded that the run read."""


@noun
class Artifact:
    """A file or directory that a run produced and mltrack keeps."""

    path: str
    kind: str
    digest: str
    size_bytes: int
    files: int = 1
    found: str = "observed"
    executable: bool = False


@noun
class MetricSummary:
    """What a metric's points come to. NaN counts as a point and is never a minimum or maximum."""

    last: float | str
    min: float | str
    max: float | str
    count: int
    last_step: int | float | None = None


@noun
class Recognised:
    """A file of the run that a framework wrote and mltrack knows how to read."""

    by: str = ""
    """The framework: `hydra`, `results` ..."""


@noun
class Log:
    """The run's output with its times, in the store."""

    digest: str
    size_bytes: int
    truncated: bool = False


@noun
class GpuUse:
    """How a run used one GPU: by samples, of all processes on it."""

    index: int
    name: str
    mean_percent: float | None = None
    peak_percent: float | None = None
    peak_memory_bytes: int | None = None


@noun
class Resources:
    """What a run used. Beside the first two, all come from samples of the command's process tree."""

    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    mean_memory_bytes: int | None = None
    mean_cpu_percent: float | None = None
    """Of one core: 400 is four cores at work all the time."""
    peak_cpu_percent: float | None = None
    peak_processes: int | None = None
    read_bytes: int | None = None
    """Read from and written to disks, as the system counts them: what came from its cache is not in it."""
    written_bytes: int | None = None
    received_bytes: int | None = None
    """By all of the machine, while the run was there."""
    sent_bytes: int | None = None
    gpus: tuple[GpuUse, ...] = many(GpuUse)
    series: str | None = None
    """Digest of the samples in the store, in the format of metric points."""


@noun
class Rank:
    """One process of a training that was started as several: by torchrun, mpirun, srun, accelerate."""

    rank: int
    local_rank: int | None = None
    host: str | None = None
    device: str | None = None
    """What it was given to see of the GPUs: its `CUDA_VISIBLE_DEVICES`, say."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Where they differ from the run's own, those that an environment's record may hold."""
    ended: str | None = None
    """How its process ended: `of itself`, with the name of an uncaught exception, or `killed` before it could tell."""
    log: Log | None = field(default=None, metadata={"of": Log})


@noun
class Observation:
    """How the files of a run were watched; see `docs/reference/observation.md`."""

    sources: tuple[str, ...] = ()
    """What watched: `library`, `hook`, `directories`, `trace`."""
    complete: bool = False
    """Every process of the run is known to have been watched, so that what was not seen was not done."""
    unseen: tuple[str, ...] = ()
    """Programs that could not be watched from within, and what else limits what was seen: sentences."""
    paths: str | None = None
    """Digest of the object that lists each path with the rule that placed it."""
    listings: str | None = None
    """Digest of the object with what was in the directories that it listed: names and sizes."""


@noun
class Concern:
    """Something that will make a run hard to get again. `kind` is a fixed word; `grade` the best it allows."""

    kind: str
    grade: str
    message: str
    remedy: str


@noun
class Preflight:
    """How well a run can be got again, from A to F: the worst of its concerns."""

    grade: str
    concerns: tuple[Concern, ...] = many(Concern)


@noun
class Parent:
    """The run that this one repeats or continues."""

    kind: str
    run: str


@noun
class Imported:
    """How a run came into the ledger that was not made where mltrack recorded it: by `mltrack import`."""

    at: str
    by: str | None
    file: str
    """Its name, without its directory; `-` for standard input."""
    digest_proved: bool = False
    """The record is the one that was sealed when the run ended; else it was completed and sealed by the import."""


@noun
class Warning:
    """Something the reader of a run must know. `kind` is a fixed word, `message` a sentence."""

    kind: str
    message: str


@noun
class Run:
    """One execution of one command."""

    schema: int
    id: str
    name: str | None
    experiment: str | None
    status: str
    command: tuple[str, ...]
    cwd: str
    exit_code: int | None = None
    signal: int | None = None
    seed: int | None = None
    created_at: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    duration_s: float | None = None
    user: str | None = None
    host: str | None = None
    why: str | None = None
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str | None = None
    code: CodeState = field(default=CodeState(), metadata={"of": CodeState})
    environment: Environment = field(default_factory=Environment, metadata={"of": Environment})
    hardware: Hardware = field(default=Hardware(), metadata={"of": Hardware})
    params: Mapping[str, Any] = field(default_factory=dict)
    param_sources: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = many(Input)
    artifacts: tuple[Artifact, ...] = many(Artifact)
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict, metadata={"each": MetricSummary})
    recognised: Mapping[str, Recognised] = field(default_factory=dict, metadata={"each": Recognised})
    """Files that frameworks wrote, and that params or metrics were read from though nobody declared them."""
    series: str | None = None
    """Digest of the metric points in the store."""
    log: Log | None = one(Log)
    resources: Resources = field(default=Resources(), metadata={"of": Resources})
    ranks: tuple[Rank, ...] = many(Rank)
    observation: Observation | None = one(Observation)
    preflight: Preflight | None = one(Preflight)
    parent: Parent | None = one(Parent)
    verdict: Verdict | None = one(Verdict)
    calibrations: tuple[Calibration, ...] = many(Calibration)
    """In the order in which they were made; of a kind the one with the most repetitions counts, of equals the last."""
    environment_kept: Mapping[str, str] = field(default_factory=dict)
    """What was put together for its environment later: `lock`, and manifests of `wheels` and `image`."""
    imported: Imported | None = one(Imported)
    """Where its record came from a file; its data did not come with it."""
    warnings: tuple[Warning, ...] = many(Warning)
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the run was told: `inputs`, `outputs`, `params`, `metrics` patterns; a rerun is told the same."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Where the record was written: `replica`, `mltrack` (version), process facts of a run that is still alive."""
    record_digest: str | None = None


UNSEALED = ("record_digest", "verdict", "calibrations", "environment_kept", "imported")
"""Fields of the machine interface that are not part of a sealed record."""

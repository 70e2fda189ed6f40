"""Two runs -> every difference between them, section by section. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mltrack.compare.changes import Change, content, kind_of, of_fields, of_files, of_mappings, same_summary
from mltrack.compare.members import data_json, tracked_json
from mltrack.compare.packages import direction
from mltrack.compare.verdict.places import Known, same_places
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.records import Artifact, CodeState, Environment, Hardware, Run

if TYPE_CHECKING:
    from mltrack.compare.members import DataChange
    from mltrack.compare.noise.intervals import Noted
    from mltrack.compare.packages import PackageChange

VOLATILE_VARIABLES = ("SLURM_*", "VIRTUAL_ENV", "CONDA_PREFIX", "MASTER_ADDR", "MASTER_PORT", "MLTRACK_*")
"""Variables that say where and as which job a run ran, not what it computed: told, but never a difference."""

LIBRARIES = "libraries."
PACKAGES = "packages."


@noun
class CodeChange:
    """A file that differs between the two trees. `status` is git's letter: A, M, D or R (`path` is then `old -> new`).
    How many lines were added and removed is null for a binary file."""

    status: str
    path: str
    added: int | None = None
    removed: int | None = None


@noun
class Differences:
    """What is not the same in the runs with the ids `a` and `b`.

    `code_files` and `patch` need git, so the caller adds them with `replace`. `informative` holds what always differs
    or computes nothing (times, hosts, users, names); it never makes two runs different.
    """

    a: str
    b: str
    command: tuple[Change, ...] = ()
    code: tuple[Change, ...] = ()
    environment: tuple[Change, ...] = ()
    hardware: tuple[Change, ...] = ()
    inputs: tuple[Change, ...] = ()
    params: tuple[Change, ...] = ()
    metrics: tuple[Change, ...] = ()
    artifacts: tuple[Change, ...] = ()
    outcome: tuple[Change, ...] = ()
    informative: tuple[Change, ...] = ()
    code_files: tuple[CodeChange, ...] = ()
    patch: str | None = None
    noise: Mapping[str, Noted] = field(default_factory=dict)
    """What a calibration says of the metrics that differ."""
    goals: Mapping[str, str] = field(default_factory=dict)
    """`max` or `min`, for metrics that differ and of which it is known which is better."""
    data: Mapping[tuple[str, str], DataChange] = field(default_factory=dict)
    """(section, path in a) -> what changed inside of an input or artifact, as far as that was looked at."""
    tracked: DataChange | None = None
    """Of `code_files` those that look like data, and what changed inside of the tables among them."""

    @property
    def is_empty(self) -> bool:
        """True when no section but the informative one has a change."""
        return not any(getattr(self, section) for section in SECTIONS)


SECTIONS = (
    "command", "code", "environment", "hardware", "inputs", "params", "metrics", "artifacts", "outcome",
)  # fmt: skip
"""The sections that make two runs different, in the order in which they are told."""


def diff_runs(a: Run, b: Run) -> Differences:
    """Every difference between two runs. A run has none to itself; swapping the runs mirrors the result."""
    if a == b:
        return Differences(a.id, b.id)
    places = moved_artifacts(a, b)
    code, aside = of_code(a.code, b.code)
    return Differences(
        a=a.id,
        b=b.id,
        command=tuple(of_fields(a, b, ("command", "cwd", "seed"))),
        code=tuple(code),
        environment=tuple(of_environments(a.environment, b.environment)),
        hardware=tuple(of_hardware(a.hardware, b.hardware)),
        inputs=tuple(of_files(a.inputs, b.inputs)),
        params=tuple(of_mappings(a.params, b.params)),
        metrics=tuple(of_mappings(a.metrics, b.metrics, same=same_summary)),
        artifacts=tuple(of_artifacts(a, b, places)),
        outcome=tuple(of_fields(a, b, ("status", "exit_code", "signal"))),
        informative=(*of_circumstances(a, b), *aside, *of_places(a, b, places)),
    )


def moved_artifacts(a: Run, b: Run) -> dict[str, str]:
    """Path of an artifact of b -> the path in a that means the same place, where a time or a counter in it differs.

    Paired as a verdict pairs them: the run that began first is the one that the other is held against.
    """
    is_forth = (a.created_at, a.id) <= (b.created_at, b.id)
    then, now = (a, b) if is_forth else (b, a)
    old, new = ({item.path: content(item) for item in run.artifacts} for run in (then, now))
    moved = same_places(old, new, Known.of(then, now), lambda one, other: old[one] == new[other])
    return moved if is_forth else {earlier: later for later, earlier in moved.items()}


def of_artifacts(a: Run, b: Run, places: Mapping[str, str]) -> list[Change]:
    """The changes of artifacts under a's paths; what was moved keeps its own path in b."""
    at = {there: here for here, there in places.items()}

    def back(change: Change) -> Change:
        moved = change.kind in ("changed", "unknown") and change.what in at
        return replace(change, b=replace(change.b, path=at[change.what])) if moved else change

    moved = [replace(item, path=places.get(item.path, item.path)) for item in b.artifacts]
    return [back(change) for change in of_files(a.artifacts, moved)]


def of_places(a: Run, b: Run, places: Mapping[str, str]) -> list[Change]:
    """The same bytes at what means the same place."""
    before, after = by_path(a), by_path(b)
    same = [(there, here) for here, there in places.items() if content(before[there]) == content(after[here])]
    return [Change("artifacts", there, here, "changed") for there, here in sorted(same)]


def by_path(run: Run) -> dict[str, Artifact]:
    return {item.path: item for item in run.artifacts}


def of_code(a: CodeState, b: CodeState) -> tuple[list[Change], list[Change]]:
    """Commit, tree, raw bytes and what was left out, here and in nested repositories (`<path>/: <field>`); and what
    is none where the trees are the same: git's opinion of one tree, and the commit that it was seen from."""
    before, after = dict(nested_states(a)), dict(nested_states(b))
    found, aside = [], []
    for path in sorted(before.keys() | after.keys()):
        prefix = f"{path}: " if path else ""
        first, second = before.get(path), after.get(path)
        if first is None or second is None:
            found += of_mappings(
                {} if first is None else {"tree": first.tree}, {} if second is None else {"tree": second.tree}, prefix
            )
            continue
        if first.tree is not None and first.tree == second.tree:
            aside += of_fields(first, second, ("commit", "dirty"), f"code.{prefix}")
            names: tuple[str, ...] = ("raw", "prefix")
        else:
            names = ("commit", "tree", "dirty", "raw", "prefix")
        found += of_fields(first, second, names, prefix)
        found += of_mappings(left_out(first), left_out(second), f"{prefix}left_out.")
    return found, aside


def nested_states(code: CodeState, path: str = "") -> Iterable[tuple[str, CodeState]]:
    """A code state and those nested in it, each with its path below the outermost."""
    yield path, code
    for nested in code.nested:
        yield from nested_states(nested.code, f"{path}{nested.path}/")


def left_out(code: CodeState) -> dict[str, Any]:
    return {item.path: item.size_bytes for item in code.left_out}


def of_environments(a: Environment, b: Environment) -> list[Change]:
    """Kind, Python, image, settings, lockfile, packages, libraries and lasting variables; the digest only if it alone
    tells. Of libraries, those that both know: a process that was killed has told nothing."""
    software = of_fields(a, b, ("kind", "python"))
    if identity_of(a) != identity_of(b):  # one image has another size and no digest where it was loaded from a file
        software += of_mappings(image_of(a), image_of(b), "image.")
    software += of_mappings(a.options, b.options, "options.")
    software += of_mappings(a.packages, b.packages, "packages.")
    software += of_mappings(own_code(a), own_code(b), "trees.")
    software += of_fields(a, b, ("lockfile",))
    if not software:
        software = of_fields(a, b, ("digest",))
    both = a.libraries.keys() & b.libraries.keys()
    software += of_mappings({key: a.libraries[key] for key in both}, {key: b.libraries[key] for key in both}, LIBRARIES)
    return software + of_mappings(variables(a, volatile=False), variables(b, volatile=False), "variables.")


def explain_lock(found: Differences, packages: Iterable[PackageChange], same_digest: bool) -> Differences:
    """The differences with the two locks' digests in words: which packages have other files, or are from elsewhere,
    though the version is the same. Two locks of equal environments (`same_digest`) may differ in what they know of
    them, which is no difference."""
    told = [
        Change(f"packages.{item.name}", item.a, item.b, {"build": "rebuilt", "place": "moved"}[item.kind])
        for item in packages
        if item.kind in ("build", "place")
    ]
    lock = tuple(change for change in found.environment if change.what == "lockfile")
    others = tuple(change for change in found.environment if change.what != "lockfile")
    if not (same_digest or told or any(not change.what.startswith((LIBRARIES, "variables.")) for change in others)):
        return found
    aside = tuple(replace(change, what="environment.lockfile") for change in lock)
    return replace(found, environment=(*others, *told), informative=(*found.informative, *aside))


def identity_of(environment: Environment) -> str | None:
    """What an image is known by, on every engine."""
    return None if environment.image is None else environment.image.id


def image_of(environment: Environment) -> dict[str, Any]:
    """What is known of the image."""
    known = {} if environment.image is None else to_dict(environment.image)
    return {key: value for key, value in known.items() if value not in (None, {})}


def own_code(environment: Environment) -> dict[str, str]:
    """The trees that hold code; wheels and images are carried for convenience."""
    return {name: digest for name, digest in environment.trees.items() if name not in ("wheels", "image")}


def variables(environment: Environment, volatile: bool) -> dict[str, str]:
    """The recorded variables that are volatile, or those that are not."""
    return {
        name: value
        for name, value in environment.variables.items()
        if any(fnmatchcase(name, pattern) for pattern in VOLATILE_VARIABLES) == volatile
    }


def of_hardware(a: Hardware, b: Hardware) -> list[Change]:
    names = [item.name for item in fields(Hardware) if item.name not in ("gpus", "cpu_flags")]
    return of_fields(a, b, names) + of_flags(a, b) + of_mappings(gpu_facts(a), gpu_facts(b))


def of_flags(a: Hardware, b: Hardware) -> list[Change]:
    """The instruction sets that only one of two processors has, as one change; none if those of one are not known."""
    gone = tuple(flag for flag in a.cpu_flags if flag not in b.cpu_flags)
    new = tuple(flag for flag in b.cpu_flags if flag not in a.cpu_flags)
    if not a.cpu_flags or not b.cpu_flags or not (gone or new):
        return []
    return [Change("cpu_flags", gone or None, new or None, kind_of(gone or None, new or None))]


FAMILIES = ("avx512", "avx10", "amx", "sve", "sme", "asimd")

MOVES_NUMBERS = ("cpu", "cpu_id", "machine", "cores", "cpu_limit")
"""What of the hardware may change a result in its last digits, besides instruction sets and GPUs."""


def here_differs(then: Run, hardware: Hardware, libraries: Mapping[str, str]) -> list[Change]:
    """What may move the numbers of a recorded run if it is repeated on this machine, as far as both are known.

    `libraries` are those of this machine, whatever environment is built on it.
    """
    old = then.hardware
    known = [name for name in MOVES_NUMBERS if getattr(old, name) is not None and getattr(hardware, name) is not None]
    found = of_fields(old, hardware, known) + of_flags(old, hardware)
    gpus = of_mappings(gpu_facts(old), gpu_facts(hardware)) if old != Hardware() else []
    found += [change for change in gpus if not change.what.endswith("memory_bytes")]
    told = then.environment.libraries
    both = told.keys() & libraries.keys()
    return found + of_mappings({key: told[key] for key in both}, {key: libraries[key] for key in both}, LIBRARIES)


def in_words(changes: Iterable[Change]) -> str:
    """`cpu AMD EPYC → Intel Xeon, without avx512f, glibc 2.36 → 2.41`."""
    told = []
    for change in changes:
        if change.what == "cpu_flags":
            told += [f"without {', '.join(families(change.a))}"] if change.a else []
            told += [f"with {', '.join(families(change.b))}"] if change.b else []
        else:
            values = ["none" if value is None else str(value) for value in (change.a, change.b)]
            told.append(f"{change.what.removeprefix(LIBRARIES)} {values[0]} → {values[1]}")
    return "; ".join(told)


def families(flags: Iterable[str]) -> list[str]:
    """Instruction sets for a person: many of one family as one, `avx512 (9 sets)`."""
    groups: dict[str, list[str]] = {}
    for flag in flags:
        family = next((name for name in FAMILIES if flag.startswith(name)), flag)
        groups.setdefault(family, []).append(flag)
    return [
        word
        for family, found in groups.items()
        for word in ([f"{family} ({len(found)} sets)"] if len(found) > 2 else found)
    ]


def gpu_facts(hardware: Hardware) -> dict[str, Any]:
    """`gpus.0.name`, `gpus.0.driver` ...: one entry a fact that is known."""
    return {
        f"gpus.{place}.{fact}": value
        for place, gpu in enumerate(hardware.gpus)
        for fact, value in to_dict(gpu).items()
        if value is not None
    }


def of_circumstances(a: Run, b: Run) -> list[Change]:
    """What differs between any two runs, or computes nothing."""
    names = ("name", "experiment", "why", "tags", "notes", "user", "host", "created_at", "duration_s")
    found = of_fields(a, b, names) + of_mappings(parent_of(a), parent_of(b), "parent.")
    found += of_fields(a.code, b.code, ("branch", "origin"), "code.")
    found += of_fields(a.environment, b.environment, ("interpreter",), "environment.")
    found += of_mappings(
        variables(a.environment, volatile=True), variables(b.environment, volatile=True), "environment.variables."
    )
    found += of_one_sided(a.environment.libraries, b.environment.libraries, f"environment.{LIBRARIES}")
    found += of_imports(a.environment, b.environment)
    found += of_fields(a.resources, b.resources, ("peak_memory_bytes", "cpu_seconds"), "resources.")
    found += of_mappings(a.declared, b.declared, "declared.")
    found += of_mappings(version_of(a), version_of(b), "origin.")
    return found


def of_one_sided(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str) -> list[Change]:
    return [change for change in of_mappings(a, b, prefix) if change.kind != "changed"]


def of_imports(a: Environment, b: Environment) -> list[Change]:
    """Packages that only one of two runs imported, if both were asked."""
    if a.imported is None or b.imported is None:
        return []
    return of_mappings(
        dict.fromkeys(a.imported, "imported"), dict.fromkeys(b.imported, "imported"), "environment.imports."
    )


def parent_of(run: Run) -> dict[str, Any]:
    return to_dict(run.parent) if run.parent else {}


def version_of(run: Run) -> Mapping[str, Any]:
    return {"mltrack": run.origin["mltrack"]} if "mltrack" in run.origin else {}


def to_json(differences: Differences) -> dict[str, Any]:
    """The differences as plain dicts and lists, in the order of the fields."""
    result: dict[str, Any] = {"a": differences.a, "b": differences.b, "is_empty": differences.is_empty}
    for section in (*SECTIONS, "informative"):
        result[section] = [change_to_json(change) for change in getattr(differences, section)]
    for item, change in zip(result["metrics"], differences.metrics):
        if item["what"] in differences.noise:
            item["noise"] = to_dict(differences.noise[item["what"]])
        if item["what"] in differences.goals:
            item["goal"] = differences.goals[item["what"]]
            item["better"] = is_better(change, differences.goals)
    for item in result["environment"]:
        if item["what"].startswith(PACKAGES) and item["kind"] == "changed":
            item["direction"] = direction(item["a"], item["b"])
    for (section, what), inside in differences.data.items():
        for item in result[section]:
            if item["what"] == what:
                item |= data_json(inside)
    result["code_files"] = to_dict(differences.code_files)
    result["patch"] = differences.patch
    result["tracked_data"] = tracked_json(differences.tracked)
    return result


def is_better(change: Change, goals: Mapping[str, str]) -> bool | None:
    """Is a metric better in b? None where it is equal there, no number, or nobody knows which is better."""
    goal, by = goals.get(change.what), change.change
    return (by > 0) == (goal == "max") if goal is not None and by else None


def change_to_json(change: Change) -> dict[str, Any]:
    """One change; numbers carry their difference and its per cent of a."""
    result = {"what": change.what, "kind": change.kind, "a": to_dict(change.a), "b": to_dict(change.b)}
    if change.change is not None:
        result |= {"change": change.change, "percent": change.percent}
    return result

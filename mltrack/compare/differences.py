"""Two runs -> every difference between them, section by section. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from fnmatch import fnmatchcase
from typing import Any

from mltrack.compare.changes import Change, of_fields, of_files, of_mappings, same_summary
from mltrack.nouns import noun
from mltrack.records import CodeState, Environment, Hardware, Run, to_dict

VOLATILE_VARIABLES = ("SLURM_*", "VIRTUAL_ENV", "CONDA_PREFIX", "MASTER_ADDR", "MASTER_PORT", "MLTRACK_*")
"""Variables that say where and as which job a run ran, not what it computed: told, but never a difference."""


@noun
class CodeChange:
    """A file that differs between the two trees. `status` is git's letter: A, M, D or R."""

    status: str
    path: str


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
    return Differences(
        a=a.id,
        b=b.id,
        command=tuple(of_fields(a, b, ("command", "cwd", "seed"))),
        code=tuple(of_code(a.code, b.code)),
        environment=tuple(of_environments(a.environment, b.environment)),
        hardware=tuple(of_hardware(a.hardware, b.hardware)),
        inputs=tuple(of_files(a.inputs, b.inputs)),
        params=tuple(of_mappings(a.params, b.params)),
        metrics=tuple(of_mappings(a.metrics, b.metrics, same=same_summary)),
        artifacts=tuple(of_files(a.artifacts, b.artifacts)),
        outcome=tuple(of_fields(a, b, ("status", "exit_code", "signal"))),
        informative=tuple(of_circumstances(a, b)),
    )


def of_code(a: CodeState, b: CodeState) -> list[Change]:
    """Commit, tree, raw bytes and what was left out, here and in nested repositories (`<path>/: <field>`)."""
    before, after = dict(nested_states(a)), dict(nested_states(b))
    found = []
    for path in sorted(before.keys() | after.keys()):
        prefix = f"{path}: " if path else ""
        first, second = before.get(path), after.get(path)
        if first is None or second is None:
            found += of_mappings(
                {} if first is None else {"tree": first.tree}, {} if second is None else {"tree": second.tree}, prefix
            )
            continue
        found += of_fields(first, second, ("commit", "tree", "dirty", "raw", "prefix"), prefix)
        found += of_mappings(left_out(first), left_out(second), f"{prefix}left_out.")
    return found


def nested_states(code: CodeState, path: str = "") -> Iterable[tuple[str, CodeState]]:
    """A code state and those nested in it, each with its path below the outermost."""
    yield path, code
    for nested in code.nested:
        yield from nested_states(nested.code, f"{path}{nested.path}/")


def left_out(code: CodeState) -> dict[str, Any]:
    return {item.path: item.size_bytes for item in code.left_out}


def of_environments(a: Environment, b: Environment) -> list[Change]:
    """Kind, Python, image, lockfile, packages and lasting variables; the digest only if it alone tells."""
    software = of_fields(a, b, ("kind", "python"))
    software += of_mappings(image_of(a), image_of(b), "image.")
    software += of_mappings(a.packages, b.packages, "packages.")
    software += of_fields(a, b, ("lockfile",))
    if not software:
        software = of_fields(a, b, ("digest",))
    return software + of_mappings(variables(a, volatile=False), variables(b, volatile=False), "variables.")


def image_of(environment: Environment) -> dict[str, Any]:
    return {} if environment.image is None else to_dict(environment.image)


def variables(environment: Environment, volatile: bool) -> dict[str, str]:
    """The recorded variables that are volatile, or those that are not."""
    return {
        name: value
        for name, value in environment.variables.items()
        if any(fnmatchcase(name, pattern) for pattern in VOLATILE_VARIABLES) == volatile
    }


def of_hardware(a: Hardware, b: Hardware) -> list[Change]:
    names = [item.name for item in fields(Hardware) if item.name != "gpus"]
    return of_fields(a, b, names) + of_mappings(gpu_facts(a), gpu_facts(b))


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
    found += of_fields(a.resources, b.resources, ("peak_memory_bytes", "cpu_seconds"), "resources.")
    found += of_mappings(a.declared, b.declared, "declared.")
    found += of_mappings(version_of(a), version_of(b), "origin.")
    return found


def parent_of(run: Run) -> dict[str, Any]:
    return to_dict(run.parent) if run.parent else {}


def version_of(run: Run) -> Mapping[str, Any]:
    return {"mltrack": run.origin["mltrack"]} if "mltrack" in run.origin else {}


def to_json(differences: Differences) -> dict[str, Any]:
    """The differences as plain dicts and lists, in the order of the fields."""
    result: dict[str, Any] = {"a": differences.a, "b": differences.b, "is_empty": differences.is_empty}
    for section in (*SECTIONS, "informative"):
        result[section] = [change_to_json(change) for change in getattr(differences, section)]
    result["code_files"] = to_dict(differences.code_files)
    result["patch"] = differences.patch
    return result


def change_to_json(change: Change) -> dict[str, Any]:
    """One change; numbers carry their difference and its per cent of a."""
    result = {"what": change.what, "kind": change.kind, "a": to_dict(change.a), "b": to_dict(change.b)}
    if change.change is not None:
        result |= {"change": change.change, "percent": change.percent}
    return result

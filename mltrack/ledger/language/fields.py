"""What a query can ask for: each field's kind, its place in a run's JSON, and its place in the ledger's tables."""

from __future__ import annotations

from collections.abc import Mapping

from mltrack.nouns import noun

TEXT, ID, VERSION = "text", "id", "version"
NUMBER, DURATION, SIZE, METRIC = "number", "duration", "size", "metric"
BOOL, TIME, ANY = "bool", "time", "any"
NUMBERS = (NUMBER, DURATION, SIZE, METRIC)

GRADES = (
    "identical",
    "equivalent",
    "within tolerance",
    "within noise",
    "different",
    "nothing to compare",
    "could not run",
)


@noun
class Field:
    """Something a query can ask for."""

    kind: str
    path: tuple[str, ...]
    """Where it is in a run's JSON, through lists; `KEY` stands for the name that the query gives."""
    sql: str
    """Its value as SQL."""
    source: Source | None = None
    """Where the values come from, if not from the run's own row."""
    many: bool = False
    """A run may have several values."""
    choices: tuple[str, ...] = ()
    """The only values there are."""


@noun
class Source:
    """Rows beside the run's own that have its values."""

    table: str
    """What stands behind FROM."""
    own: str
    """What in these rows says whose they are ..."""
    of_run: str
    """... and what of `run` that is."""
    named: str = ""
    """Which of the rows have the name that the query gives, as a condition with one value."""
    is_shared: bool = False
    """Many runs share these rows, so that they are asked before the runs are."""


@noun
class Asked:
    """A field as a query names it: of `params`, `metrics` and the like, with the name asked for."""

    name: str
    """In full, without aliases."""
    field: Field
    key: str | None = None


KEY = "*"


def column(kind: str, name: str, sql: str | None = None, choices: tuple[str, ...] = ()) -> Field:
    """A column of the run's own row."""
    return Field(kind, tuple(name.split(".")), f"run.{sql or name.replace('.', '_')}", choices=choices)


def fact_source(table: str, items: str = "", named: str = "") -> Source:
    """Facts that runs share; `items`: the list or table in them whose members are the rows."""
    members = f", json_each({table}.{items}) AS item" if items else ""
    return Source(f"{table}_fact AS {table}{members}", f"{table}.id", f"run.{table}", named, is_shared=True)


def shared(kind: str, name: str, sql: str | None = None) -> Field:
    """A value of a fact that runs share."""
    table, *rest = name.split(".")
    return Field(kind, tuple(name.split(".")), f"{table}.{sql or '_'.join(rest)}", fact_source(table))


def listed(kind: str, name: str, part: str | None = None) -> Field:
    """Texts, or a part of the objects, in a list of a fact."""
    table, items = name.split(".")
    value = f"json_extract(item.value, '$.{part}')" if part else "item.value"
    return Field(kind, (table, items, *([part] if part else [])), value, fact_source(table, items), many=True)


def keyed(kind: str, name: str) -> Field:
    """A named value of a fact's table."""
    table, items = name.split(".")
    return Field(kind, (table, items, KEY), "item.value", fact_source(table, items, "item.key = ?"))


INPUTS = Source("input_row JOIN input_fact AS input ON input.id = input_row.input", "input_row.run", "run.number")
ARTIFACTS = Source("artifact_row AS artifact", "artifact.run", "run.number")
NAME = "{}.name = (SELECT id FROM word WHERE text = ?)"


def part_of(source: Source, kind: str, table: str, name: str) -> Field:
    """A column of the inputs or artifacts."""
    return Field(kind, (f"{table}s", name), f"{table}.{name}", source, many=True)


def summary(part: str) -> Field:
    """A part of a metric's summary."""
    source = Source("metric_row AS metric", "metric.run", "run.number", NAME.format("metric"))
    return Field(NUMBER if part == "count" else METRIC, ("metrics", KEY, part), f"metric.{part}", source)


def warning(part: str) -> Field:
    """A part of the warnings, to which a second record of the run may have added."""
    source = Source("json_each(run.warnings) AS item", "", "")
    return Field(TEXT, ("warnings", part), f"json_extract(item.value, '$.{part}')", source, many=True)


def imported(kind: str, name: str) -> Field:
    """How the record that is shown came, if it was imported."""
    source = Source(
        "record JOIN import ON import.id = record.imported", "record.position", "run.record", is_shared=True
    )
    return Field(kind, ("imported", name), f"import.{name}", source)


STATUSES = ("finished", "failed", "interrupted", "lost", "running")

FIELDS: Mapping[str, Field] = {
    **{name: column(ID, name) for name in ("id", "fingerprint")},
    "record_digest": Field(
        ID, ("record_digest",), "record.digest", Source("record", "record.position", "run.record", is_shared=True)
    ),
    **{name: column(TEXT, name) for name in ("name", "experiment", "cwd", "user", "host", "why")},
    **{name: column(NUMBER, name) for name in ("exit_code", "signal", "seed")},
    **{name: column(TIME, name) for name in ("created_at", "started_at", "finished_at")},
    "status": column(TEXT, "status", choices=STATUSES),
    "command": shared(TEXT, "command", "line"),
    "duration_s": column(DURATION, "duration_s"),
    "tag": Field(TEXT, ("tags",), "tag.tag", Source("tag_row AS tag", "tag.run", "run.number"), many=True),
    "note": Field(TEXT, ("notes",), "note.text", Source("note_row AS note", "note.run", "run.number"), many=True),
    "code.commit": shared(ID, "code.commit", "commit_id"),
    **{f"code.{name}": shared(ID, f"code.{name}") for name in ("snapshot", "tree")},
    "code.branch": shared(TEXT, "code.branch"),
    "code.dirty": shared(BOOL, "code.dirty"),
    "code.origin": shared(TEXT, "code.origin"),
    "code.changed": listed(TEXT, "code.changed"),
    "environment.digest": shared(ID, "environment.digest"),
    "environment.kind": shared(TEXT, "environment.kind"),
    "environment.python": shared(VERSION, "environment.python"),
    "environment.interpreter": shared(TEXT, "environment.interpreter"),
    "environment.lockfile": shared(ID, "environment.lockfile"),
    "environment.image.id": shared(TEXT, "environment.image.id"),
    "environment.image.digest": shared(TEXT, "environment.image.digest"),
    "environment.image.reference": shared(TEXT, "environment.image.reference"),
    "environment.imported": listed(TEXT, "environment.imported"),
    **{f"hardware.{name}": shared(TEXT, f"hardware.{name}") for name in ("cpu", "os", "kernel", "machine")},
    **{f"hardware.{name}": shared(NUMBER, f"hardware.{name}") for name in ("cores", "physical_cores", "cpu_limit")},
    "hardware.memory_bytes": shared(SIZE, "hardware.memory_bytes"),
    "hardware.gpus.name": listed(TEXT, "hardware.gpus", "name"),
    "hardware.gpus.memory_bytes": listed(SIZE, "hardware.gpus", "memory_bytes"),
    "hardware.gpus.driver": listed(VERSION, "hardware.gpus", "driver"),
    "hardware.gpus.cuda": listed(VERSION, "hardware.gpus", "cuda"),
    **{f"inputs.{name}": part_of(INPUTS, TEXT, "input", name) for name in ("path", "kind", "role", "found")},
    "inputs.digest": part_of(INPUTS, ID, "input", "digest"),
    "inputs.size_bytes": part_of(INPUTS, SIZE, "input", "size_bytes"),
    "inputs.files": part_of(INPUTS, NUMBER, "input", "files"),
    "inputs.kept": part_of(INPUTS, BOOL, "input", "kept"),
    "inputs.changed_during_run": part_of(INPUTS, BOOL, "input", "changed_during_run"),
    **{f"artifacts.{name}": part_of(ARTIFACTS, TEXT, "artifact", name) for name in ("path", "kind", "found")},
    "artifacts.digest": part_of(ARTIFACTS, ID, "artifact", "digest"),
    "artifacts.size_bytes": part_of(ARTIFACTS, SIZE, "artifact", "size_bytes"),
    "artifacts.files": part_of(ARTIFACTS, NUMBER, "artifact", "files"),
    "resources.peak_memory_bytes": column(SIZE, "resources.peak_memory_bytes", "peak_memory_bytes"),
    "resources.cpu_seconds": column(DURATION, "resources.cpu_seconds", "cpu_seconds"),
    "parent.kind": column(TEXT, "parent.kind"),
    "parent.run": column(ID, "parent.run"),
    **{f"imported.{name}": imported(TEXT, name) for name in ("by", "file")},
    "imported.at": imported(TIME, "at"),
    "imported.digest_proved": imported(BOOL, "digest_proved"),
    "verdict": Field(TEXT, ("verdict", "grade"), "run.verdict", choices=GRADES),
    "preflight": Field(TEXT, ("preflight", "grade"), "run.preflight"),
    "warnings.kind": warning("kind"),
    "warnings.message": warning("message"),
}

PARAM = Field(
    ANY,
    ("params", KEY),
    "param.value",
    Source("param_row AS param", "param.run", "run.number", NAME.format("param")),
)
PACKAGE = Field(
    VERSION,
    ("environment", "packages", KEY),
    "package.version",
    Source("package_row AS package", "package.package_set", "run.package_set", "package.name = ?", is_shared=True),
)
SUMMARIES = {part: summary(part) for part in ("last", "min", "max", "count", "last_step")}

NAMED: Mapping[str, Field] = {
    "params": PARAM,
    "metrics": SUMMARIES["last"],
    "packages": PACKAGE,
    "environment.packages": PACKAGE,
    "environment.variables": keyed(TEXT, "environment.variables"),
    "environment.libraries": keyed(VERSION, "environment.libraries"),
}
"""What has names of its own behind the next dot."""

ALIASES = {
    "created": "created_at",
    "started": "started_at",
    "finished": "finished_at",
    "duration": "duration_s",
    "tags": "tag",
    "notes": "note",
    "commit": "code.commit",
    "branch": "code.branch",
    "dirty": "code.dirty",
    "python": "environment.python",
    "inputs": "inputs.path",
    "inputs.size": "inputs.size_bytes",
    "artifacts": "artifacts.path",
    "artifacts.size": "artifacts.size_bytes",
    "hardware.memory": "hardware.memory_bytes",
    "hardware.gpu": "hardware.gpus.name",
    "hardware.gpus": "hardware.gpus.name",
    "hardware.gpus.memory": "hardware.gpus.memory_bytes",
    "resources.peak_memory": "resources.peak_memory_bytes",
    "parent": "parent.run",
    "imported": "imported.at",
    "verdict.grade": "verdict",
    "preflight.grade": "preflight",
}


def find_field(name: str, closed: bool = False) -> Asked | None:
    """The field of that name; None when there is none.

    `closed`: the last word was quoted, so that `metrics."a.min"` is a metric of that name and not the smallest `a`.
    """
    plain = name.lower()
    plain = ALIASES.get(plain, plain)
    if plain in FIELDS:
        return Asked(plain, FIELDS[plain])
    for family in sorted(NAMED, key=len, reverse=True):
        if not plain.startswith(family + ".") or len(plain) == len(family) + 1:
            continue
        key, field = name[len(family) + 1 :], NAMED[family]
        if family == "metrics" and not closed:
            before, dot, part = key.rpartition(".")
            if dot and before and part in SUMMARIES:
                key, field = before, SUMMARIES[part]
        return Asked(f"{family}.{name[len(family) + 1 :]}", field, key)
    return None


def nearest_field(name: str) -> str | None:
    """What was probably meant by a name that is none."""
    from difflib import get_close_matches

    if name.lower() in NAMED:
        return f"{name.lower()}.NAME"
    known = [*ALIASES, *FIELDS, *NAMED]
    head, dot, rest = name.partition(".")
    near = get_close_matches(head.lower(), ["params", "metrics", "packages"], 1, 0.7)
    if dot and near:
        return f"{near[0]}.{rest}"
    ends = [one for one in FIELDS if one.endswith("." + name.lower())]
    found = get_close_matches(name.lower(), known, 1) or ends[:1]
    return found[0] if found else None

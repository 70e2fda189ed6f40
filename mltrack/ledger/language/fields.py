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
    rows: str | None = None
    """Where the values come from, if not from the run's own row: what stands behind FROM, of which all rows count."""
    many: bool = False
    """A run may have several values."""
    choices: tuple[str, ...] = ()
    """The only values there are."""


@noun
class Asked:
    """A field as a query names it: of `params`, `metrics` and the like, with the name asked for."""

    name: str
    """In full, without aliases."""
    field: Field
    key: str | None = None


KEY = "*"


def column(kind: str, name: str, sql: str | None = None, choices: tuple[str, ...] = ()) -> Field:
    """A column of the table `run`."""
    return Field(kind, tuple(name.split(".")), f"run.{sql or name.replace('.', '_')}", choices=choices)


def extracted(kind: str, name: str) -> Field:
    """A value that only the record's JSON has."""
    return Field(kind, tuple(name.split(".")), f"json_extract(record.json, '$.{name}')")


def listed(kind: str, name: str, part: str | None = None) -> Field:
    """Texts, or a part of the objects, in a list that only the record's JSON has."""
    path = (*name.split("."), *([part] if part else []))
    value = f"json_extract(item.value, '$.{part}')" if part else "item.value"
    return Field(kind, path, value, f"json_each(record.json, '$.{name}') AS item WHERE 1", many=True)


def keyed(kind: str, name: str) -> Field:
    """A named value of an object that only the record's JSON has."""
    rows = f"json_each(record.json, '$.{name}') AS item WHERE item.key = ?"
    return Field(kind, (*name.split("."), KEY), "item.value", rows)


def part_of(table: str, kind: str, name: str) -> Field:
    """A column of the inputs or artifacts."""
    return Field(kind, (f"{table}s", name), f"{table}.{name}", f"{table} WHERE {table}.run = run.id", many=True)


def summary(part: str) -> Field:
    """A part of a metric's summary."""
    rows = "metric WHERE metric.run = run.id AND metric.name = ?"
    return Field(NUMBER if part == "count" else METRIC, ("metrics", KEY, part), f"metric.{part}", rows)


def changed_later(kind: str, part: str) -> Field:
    """A part of the warnings, to which a second record of the run may have added."""
    where = "ifnull(json_extract(run.folded, '$.warnings'), json_extract(record.json, '$.warnings'))"
    return Field(
        kind,
        ("warnings", part),
        f"json_extract(item.value, '$.{part}')",
        f"json_each({where}) AS item WHERE 1",
        many=True,
    )


COMMAND = "(SELECT ifnull(group_concat(word.value, ' '), '') FROM json_each(run.command) AS word)"
"""The words of the command with blanks between them."""

STATUSES = ("finished", "failed", "interrupted", "lost", "running")

FIELDS: Mapping[str, Field] = {
    **{name: column(ID, name) for name in ("id", "fingerprint", "record_digest")},
    **{name: column(TEXT, name) for name in ("name", "experiment", "cwd", "user", "host", "why")},
    **{name: column(NUMBER, name) for name in ("exit_code", "signal", "seed")},
    **{name: column(TIME, name) for name in ("created_at", "started_at", "finished_at")},
    "status": column(TEXT, "status", choices=STATUSES),
    "command": Field(TEXT, ("command",), COMMAND),
    "duration_s": column(DURATION, "duration_s"),
    "tag": Field(TEXT, ("tags",), "tag.tag", "tag WHERE tag.run = run.id", many=True),
    "note": Field(TEXT, ("notes",), "note.text", "note WHERE note.run = run.id", many=True),
    **{f"code.{name}": column(ID, f"code.{name}") for name in ("commit", "snapshot", "tree")},
    "code.branch": column(TEXT, "code.branch"),
    "code.dirty": column(BOOL, "code.dirty"),
    "code.origin": extracted(TEXT, "code.origin"),
    "code.changed": listed(TEXT, "code.changed"),
    "environment.digest": column(ID, "environment.digest"),
    "environment.kind": column(TEXT, "environment.kind"),
    "environment.python": column(VERSION, "environment.python", "python"),
    "environment.interpreter": extracted(TEXT, "environment.interpreter"),
    "environment.lockfile": extracted(ID, "environment.lockfile"),
    "environment.image.id": extracted(TEXT, "environment.image.id"),
    "environment.image.digest": extracted(TEXT, "environment.image.digest"),
    "environment.image.reference": extracted(TEXT, "environment.image.reference"),
    "environment.imported": listed(TEXT, "environment.imported"),
    **{f"hardware.{name}": extracted(TEXT, f"hardware.{name}") for name in ("cpu", "os", "kernel", "machine")},
    **{f"hardware.{name}": extracted(NUMBER, f"hardware.{name}") for name in ("cores", "physical_cores", "cpu_limit")},
    "hardware.memory_bytes": extracted(SIZE, "hardware.memory_bytes"),
    "hardware.gpus.name": listed(TEXT, "hardware.gpus", "name"),
    "hardware.gpus.memory_bytes": listed(SIZE, "hardware.gpus", "memory_bytes"),
    "hardware.gpus.driver": listed(VERSION, "hardware.gpus", "driver"),
    "hardware.gpus.cuda": listed(VERSION, "hardware.gpus", "cuda"),
    **{f"inputs.{name}": part_of("input", TEXT, name) for name in ("path", "kind", "role", "found")},
    "inputs.digest": part_of("input", ID, "digest"),
    "inputs.size_bytes": part_of("input", SIZE, "size_bytes"),
    "inputs.files": part_of("input", NUMBER, "files"),
    "inputs.kept": part_of("input", BOOL, "kept"),
    "inputs.changed_during_run": part_of("input", BOOL, "changed_during_run"),
    **{f"artifacts.{name}": part_of("artifact", TEXT, name) for name in ("path", "kind", "found")},
    "artifacts.digest": part_of("artifact", ID, "digest"),
    "artifacts.size_bytes": part_of("artifact", SIZE, "size_bytes"),
    "artifacts.files": part_of("artifact", NUMBER, "files"),
    "resources.peak_memory_bytes": extracted(SIZE, "resources.peak_memory_bytes"),
    "resources.cpu_seconds": extracted(DURATION, "resources.cpu_seconds"),
    "parent.kind": column(TEXT, "parent.kind"),
    "parent.run": column(ID, "parent.run"),
    "verdict": Field(TEXT, ("verdict", "grade"), "run.verdict", choices=GRADES),
    "preflight": Field(TEXT, ("preflight", "grade"), "json_extract(record.json, '$.preflight.grade')"),
    "warnings.kind": changed_later(TEXT, "kind"),
    "warnings.message": changed_later(TEXT, "message"),
}

PARAM = Field(ANY, ("params", KEY), "param.value", "param WHERE param.run = run.id AND param.name = ?")
PACKAGE = Field(
    VERSION,
    ("environment", "packages", KEY),
    "package.version",
    "package WHERE package.package_set = run.package_set AND package.name = ?",
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

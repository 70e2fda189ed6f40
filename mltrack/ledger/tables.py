"""The tables, indexes and views of the ledger's file, as SQL; `schema.py` makes and migrates files with it.

What people and their tools read are the views: `run`, `param`, `metric` and the like, which keep their names and
columns. Behind them stand tables with numbers for ids and names, and with each repeated thing once.
"""

from __future__ import annotations

from collections.abc import Mapping

RUN_COLUMNS = (
    "name", "experiment", "status", "cwd", "exit_code", "signal", "seed", "created_at", "started_at", "finished_at",
    "duration_s", "user", "host", "why", "fingerprint", "parent_kind", "parent_run", "replica",
    "peak_memory_bytes", "cpu_seconds", "preflight",
)  # fmt: skip
"""Columns of `run_row` that a sealed record alone decides, beside its numbers of shared rows."""

SHARED: Mapping[str, tuple[str, ...]] = {
    "command": ("words", "line"),
    "code": ("commit_id", "branch", "dirty", "snapshot", "tree", "origin", "changed"),
    "environment": (
        "digest", "kind", "python", "interpreter", "lockfile", "image_id", "image_digest", "image_reference",
        "variables", "libraries", "imported",
    ),
    "hardware": (
        "cpu", "cores", "physical_cores", "memory_bytes", "os", "kernel", "machine", "cpu_limit", "gpus",
    ),
    "input": (
        "path", "path_b64", "kind", "digest", "size_bytes", "files", "found", "role", "kept", "changed_during_run",
    ),
}  # fmt: skip
"""What many runs have alike is one row of `<name>_fact`: its columns, beside `id` and `key`."""

ARTIFACT_COLUMNS = ("path", "path_b64", "kind", "digest", "size_bytes", "files", "found")
SUMMARY_COLUMNS = ("last", "min", "max", "count", "last_step")

SHARED_KINDS = {
    "dirty": "INTEGER", "cores": "INTEGER", "physical_cores": "INTEGER", "memory_bytes": "", "cpu_limit": "",
    "size_bytes": "", "files": "", "kept": "INTEGER", "changed_during_run": "INTEGER",
}  # fmt: skip
"""Types of those columns that are not texts."""


def shared_table(name: str) -> str:
    columns = ",\n    ".join(f"{column} {SHARED_KINDS.get(column, 'TEXT')}".rstrip() for column in SHARED[name])
    return f"CREATE TABLE {name}_fact (\n    id INTEGER PRIMARY KEY,\n    key BLOB NOT NULL UNIQUE,\n    {columns}\n)"


TRUTH = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE dictionary (id INTEGER PRIMARY KEY, packed BLOB NOT NULL)",
    "CREATE TABLE dictionary_copy (id INTEGER PRIMARY KEY, packed BLOB NOT NULL)",
    """CREATE TABLE record (
    position INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    imported INTEGER,
    packed BLOB NOT NULL,
    dictionary INTEGER,
    package_set INTEGER,
    packages_at INTEGER
)""",
    "CREATE INDEX record_by_run ON record (run)",
    """CREATE TABLE import (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    by TEXT,
    file TEXT NOT NULL,
    digest_proved INTEGER NOT NULL
)""",
    "CREATE TABLE package_set (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE)",
    """CREATE TABLE package_row (
    name TEXT NOT NULL,
    package_set INTEGER NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (name, package_set)
) WITHOUT ROWID""",
    "CREATE INDEX package_by_set ON package_row (package_set)",
    """CREATE TABLE event (
    digest TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    run TEXT NOT NULL,
    value TEXT NOT NULL,
    clock TEXT NOT NULL,
    at TEXT NOT NULL,
    replica TEXT NOT NULL,
    user TEXT,
    extra TEXT
)""",
    "CREATE INDEX event_by_run ON event (run)",
)

DERIVED = (
    "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    *map(shared_table, SHARED),
    """CREATE TABLE run_row (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL,
    command INTEGER NOT NULL,
    code INTEGER NOT NULL,
    environment INTEGER NOT NULL,
    hardware INTEGER NOT NULL,
    package_set INTEGER NOT NULL,
    parent_kind TEXT,
    created_at TEXT NOT NULL,
    duration_s REAL,
    name TEXT,
    experiment TEXT,
    exit_code INTEGER,
    signal INTEGER,
    seed INTEGER,
    verdict TEXT,
    preflight TEXT,
    peak_memory_bytes,
    cpu_seconds,
    cwd TEXT,
    user TEXT,
    host TEXT,
    why TEXT,
    started_at TEXT,
    finished_at TEXT,
    fingerprint TEXT,
    parent_run TEXT,
    replica TEXT,
    warnings TEXT,
    folded TEXT
)""",
    "CREATE INDEX run_by_time ON run_row (created_at)",
    "CREATE INDEX run_by_name ON run_row (name) WHERE name IS NOT NULL",
    "CREATE INDEX run_by_command ON run_row (command)",
    "CREATE INDEX run_by_code ON run_row (code)",
    "CREATE INDEX run_by_environment ON run_row (environment)",
    "CREATE INDEX run_by_hardware ON run_row (hardware)",
    "CREATE INDEX run_by_packages ON run_row (package_set)",
    "CREATE INDEX run_by_fingerprint ON run_row (fingerprint) WHERE fingerprint IS NOT NULL",
    "CREATE INDEX run_by_parent ON run_row (parent_run) WHERE parent_run IS NOT NULL",
    "CREATE INDEX run_aside ON run_row (deleted, parent_kind) WHERE deleted OR parent_kind IS NOT NULL",
    "CREATE INDEX code_by_snapshot ON code_fact (snapshot)",
    """CREATE TABLE param_row (
    name INTEGER NOT NULL,
    run INTEGER NOT NULL,
    value,
    type TEXT NOT NULL,
    source INTEGER,
    PRIMARY KEY (name, run)
) WITHOUT ROWID""",
    "CREATE INDEX param_by_value ON param_row (name, value, type)",
    """CREATE TABLE metric_row (
    name INTEGER NOT NULL,
    run INTEGER NOT NULL,
    last,
    min,
    max,
    count INTEGER,
    last_step,
    PRIMARY KEY (name, run)
) WITHOUT ROWID""",
    "CREATE INDEX metric_by_value ON metric_row (name, last)",
    "CREATE TABLE input_row (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, input INTEGER NOT NULL)",
    "CREATE INDEX input_by_run ON input_row (run)",
    "CREATE INDEX input_by_fact ON input_row (input)",
    "CREATE INDEX input_by_digest ON input_fact (digest)",
    "CREATE INDEX input_by_path ON input_fact (path)",
    """CREATE TABLE artifact_row (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    path TEXT NOT NULL,
    path_b64 TEXT,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes,
    files,
    found TEXT
)""",
    "CREATE INDEX artifact_by_run ON artifact_row (run)",
    "CREATE INDEX artifact_by_digest ON artifact_row (digest)",
    "CREATE TABLE tag_row (run INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (run, tag)) WITHOUT ROWID",
    "CREATE INDEX tag_by_tag ON tag_row (tag)",
    """CREATE TABLE note_row (
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID""",
)

DERIVED_TABLES = tuple(statement.split()[2] for statement in DERIVED if statement.startswith("CREATE TABLE"))

ABOUT_REMOTES = (
    "CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE remote_segment (
    remote TEXT NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (remote, segment)
) WITHOUT ROWID""",
    """CREATE TABLE segment_item (
    item TEXT NOT NULL,
    segment INTEGER NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (item, segment)
) WITHOUT ROWID""",
    "CREATE INDEX segment_item_by_segment ON segment_item (segment)",
)


def as_number(value: str) -> str:
    """A number as SQL counts with it: infinities are kept by name, and NaN, which SQL does not have, is NULL."""
    return f"CASE {value} WHEN 'NaN' THEN NULL WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999 ELSE {value} END"


VIEWS = (
    """CREATE VIEW run AS SELECT
    run_row.id, record.digest AS record_digest, run_row.name, experiment, status, command.words AS command,
    command.line AS command_line, cwd, exit_code, signal, seed, created_at, started_at, finished_at, duration_s, user,
    host, why, fingerprint, code.commit_id AS code_commit, code.branch AS code_branch, code.dirty AS code_dirty,
    code.snapshot AS code_snapshot, code.tree AS code_tree, code.origin AS code_origin, code.changed AS code_changed,
    environment.digest AS environment_digest, environment.kind AS environment_kind, environment.python,
    environment.interpreter, environment.lockfile, environment.image_id, environment.image_digest,
    environment.image_reference, environment.variables, environment.libraries,
    environment.imported AS environment_imported,
    hardware.cpu AS hardware_cpu, hardware.cores AS hardware_cores,
    hardware.physical_cores AS hardware_physical_cores, hardware.memory_bytes AS hardware_memory_bytes,
    hardware.os AS hardware_os, hardware.kernel AS hardware_kernel, hardware.machine AS hardware_machine,
    hardware.cpu_limit AS hardware_cpu_limit, hardware.gpus AS hardware_gpus,
    peak_memory_bytes, cpu_seconds, preflight, parent_kind, parent_run, replica, verdict, deleted, warnings, folded,
    import.at AS imported_at, import.by AS imported_by, import.file AS imported_file,
    import.digest_proved AS imported_digest_proved
FROM run_row
LEFT JOIN record ON record.position = run_row.record
LEFT JOIN import ON import.id = record.imported
LEFT JOIN command_fact AS command ON command.id = run_row.command
LEFT JOIN code_fact AS code ON code.id = run_row.code
LEFT JOIN environment_fact AS environment ON environment.id = run_row.environment
LEFT JOIN hardware_fact AS hardware ON hardware.id = run_row.hardware""",
    f"""CREATE VIEW param AS SELECT
    run_row.id AS run, word.text AS name,
    CASE param_row.type WHEN 'float' THEN {as_number("param_row.value")} ELSE param_row.value END AS value,
    param_row.type, source.text AS source
FROM param_row JOIN word ON word.id = param_row.name JOIN run_row ON run_row.number = param_row.run
LEFT JOIN word AS source ON source.id = param_row.source""",
    f"""CREATE VIEW metric AS SELECT
    run_row.id AS run, word.text AS name, {as_number("metric_row.last")} AS last,
    {as_number("metric_row.min")} AS min, {as_number("metric_row.max")} AS max, metric_row.count, metric_row.last_step
FROM metric_row JOIN word ON word.id = metric_row.name JOIN run_row ON run_row.number = metric_row.run""",
    """CREATE VIEW input AS SELECT
    run_row.id AS run, path, path_b64, kind, digest, size_bytes, files, role, found, kept, changed_during_run
FROM input_row JOIN input_fact ON input_fact.id = input_row.input JOIN run_row ON run_row.number = input_row.run""",
    """CREATE VIEW artifact AS SELECT
    run_row.id AS run, path, path_b64, kind, digest, size_bytes, files, found
FROM artifact_row JOIN run_row ON run_row.number = artifact_row.run""",
    """CREATE VIEW package AS SELECT
    run_row.id AS run, package_row.name, package_row.version
FROM package_row JOIN run_row ON run_row.package_set = package_row.package_set""",
    "CREATE VIEW tag AS SELECT run_row.id AS run, tag FROM tag_row JOIN run_row ON run_row.number = tag_row.run",
    """CREATE VIEW note AS SELECT
    run_row.id AS run, note_row.number, text FROM note_row JOIN run_row ON run_row.number = note_row.run""",
    """CREATE VIEW record_conflict AS
    SELECT run, digest, position = (SELECT record FROM run_row WHERE id = record.run) AS shown FROM record
    WHERE run IN (SELECT run FROM record GROUP BY run HAVING count(*) > 1)""",
)

FACTS = (
    ("run_row", "sqlite_autoindex_run_row_1", "10000 1"),
    ("run_row", "run_by_time", "10000 2"),
    ("run_row", "run_by_name", "1000 10"),
    ("run_row", "run_by_command", "10000 5"),
    ("run_row", "run_by_code", "10000 20"),
    ("run_row", "run_by_environment", "10000 100"),
    ("run_row", "run_by_hardware", "10000 1000"),
    ("run_row", "run_by_packages", "10000 100"),
    ("run_row", "run_by_fingerprint", "10000 2"),
    ("run_row", "run_by_parent", "1000 5"),
    ("run_row", "run_aside", "1000 500 300 noskipscan"),
    ("word", "sqlite_autoindex_word_1", "500 1"),
    ("param_row", "param_row", "200000 10000 1 noskipscan"),
    ("param_row", "param_by_value", "200000 10000 20 20 1 noskipscan"),
    ("metric_row", "metric_row", "200000 10000 1 noskipscan"),
    ("metric_row", "metric_by_value", "200000 10000 5 1 noskipscan"),
    ("input_row", "input_by_run", "50000 5"),
    ("input_row", "input_by_fact", "50000 50"),
    ("input_fact", "input_by_digest", "1000 2"),
    ("input_fact", "input_by_path", "1000 10"),
    ("artifact_row", "artifact_by_run", "50000 5"),
    ("artifact_row", "artifact_by_digest", "50000 2"),
    ("package_row", "package_row", "10000 50 1 noskipscan"),
    ("package_row", "package_by_set", "10000 100 1"),
    ("code_fact", "code_by_snapshot", "1000 2"),
    ("tag_row", "tag_row", "1000 2 1 noskipscan"),
    ("tag_row", "tag_by_tag", "1000 20 1"),
    ("note_row", "note_row", "1000 2 1 noskipscan"),
    ("record", "record_by_run", "10000 1"),
)  # fmt: skip
"""What SQLite is told of sizes, as ANALYZE would find in a ledger of 10,000 runs: so that every tool that reads a view
goes by the right index, also where nobody ever ran ANALYZE."""

STATISTICS = (
    "ANALYZE sqlite_schema",
    *(f"INSERT INTO sqlite_stat1 VALUES ('{table}', '{index}', '{facts}')" for table, index, facts in FACTS),
    "ANALYZE sqlite_schema",
)
"""Makes the table of statistics, fills it, and has SQLite read it again."""

FIRST = (*TRUTH, *DERIVED, *ABOUT_REMOTES, *VIEWS, *STATISTICS)
"""Version 1, frozen: what `m001_initial` makes."""

NEWEST = FIRST
"""The schema of `schema.VERSION` in one go, for a new file."""

"""`lineage` over 10,000 runs in three shapes, and `blame` of a copied and renamed 1 GB file."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mltrack.digest import digest_bytes, hasher
from mltrack.ledger.ledger import sealed_bytes
from mltrack.project import Project
from mltrack.records import Artifact, Input, Run, new_id
from mltrack.store.manifest import ManifestEntry, encode_manifest
from mltrack.store.members import Members
from mltrack.store.statcache import QUIET_NS
from tests.benchmarks.timing import MLTRACK, Case, case_table, quiet_variables, side_by_side

RUNS = 10_000
WIDTH = 100
"""Runs of one layer of the layered shape."""
LARGE = 1 << 30

LIMIT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
step = {"up": "SELECT a.run FROM reached r JOIN input i ON i.run = r.run JOIN artifact a ON a.digest = i.digest",
        "down": "SELECT i.run FROM reached r JOIN artifact a ON a.run = r.run JOIN input i ON i.digest = a.digest"}
for word in sys.argv[3:]:
    query = f"WITH RECURSIVE reached(run) AS (SELECT ? UNION {step[word]}) SELECT count(*) FROM reached"
    print(db.execute(query, (sys.argv[2],)).fetchone()[0])
"""
"""What SQLite takes to find the runs, by files alone: no names, no paths, no files in directories, no first maker."""


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    for shape in (chain, fan, layers):
        measure_shape(scratch / shape.__name__, list(shape()), variables)
    measure_blame(scratch / "blame", variables)


def measure_shape(root: Path, runs: list[Run], variables: dict[str, str]) -> None:
    root.mkdir()
    with Project.open(root) as project:
        write(project, runs)
    begin = time.perf_counter()
    subprocess.run([*MLTRACK, "lineage", runs[0].id, "--depth", "1"], cwd=root, env=variables, capture_output=True)
    print(
        f"{root.name}: {len(runs):,} runs; the first look reads their directories: {time.perf_counter() - begin:.2f} s"
    )
    middle = runs[len(runs) // 2].id if root.name == "layers" else runs[0].id
    limit = Case("limit: python + a recursive query", [sys.executable, "-c", LIMIT, str(root / ".mltrack/ledger.db"), middle, "up", "down"])  # fmt: skip
    cases = [limit]
    cases += [Case(f"mltrack lineage --format {form}", [*MLTRACK, "lineage", middle, "--format", form], root) for form in ("json", "tree", "dot")]  # fmt: skip
    cases.append(Case("mltrack lineage --depth 1", [*MLTRACK, "lineage", middle, "--depth", "1"], root))
    side_by_side(cases, rounds=3, variables=variables)
    told = subprocess.run([*MLTRACK, "lineage", middle, "--json"], cwd=root, env=variables, capture_output=True).stdout
    graph = json.loads(told)
    title = f"{root.name}: {len(graph['runs']):,} runs and {len(graph['edges']):,} edges (goal: under 1 s)"
    case_table(title, cases, limit)
    shutil.rmtree(root)


def write(project: Project, runs: list[Run]) -> None:
    """Every run by the way that a pull writes them; their directories as a run keeps them."""
    for run in runs:
        for item in (*run.inputs, *run.artifacts):
            if item.kind == "directory":
                assert project.store.put_bytes(listing(item.path.rpartition("-")[2])) == item.digest
    project.store.flush()
    project.ledger.merge_records(sealed_bytes(run) for run in runs)


def listing(name: str) -> bytes:
    """A directory with a file of its own, and one that all of them have."""
    own = ManifestEntry(b"weights.bin", "file", 4096, digest_bytes(f"weights {name}".encode()))
    return encode_manifest([own, ManifestEntry(b"shared.json", "file", 100, digest_bytes(b"shared"))])


def file_of(name: str) -> tuple[str, str]:
    return f"file-{name}", digest_bytes(f"file {name}".encode())


def weights_of(name: str) -> tuple[str, str]:
    return f"in/{name}.bin", digest_bytes(f"weights {name}".encode())


def made(number: int, name: str, used: list[tuple[str, str]]) -> Run:
    """A run that used these files, and made a file and a directory of its own."""
    begin, end = (
        time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(1_700_000_000 + 10 * number + more)) for more in (0, 5)
    )
    path, digest = file_of(name)
    return Run(
        schema=1, id=new_id(), name=None, experiment=None, status="finished", command=("python", "step.py", name),
        cwd=".", exit_code=0, created_at=begin, started_at=begin, finished_at=end, duration_s=5.0,
        inputs=tuple(Input(path, "file", digest, 4096, 1, found="observed") for path, digest in used),
        artifacts=(
            Artifact(path, "file", digest, 4096),
            Artifact(f"out-{name}", "directory", digest_bytes(listing(name)), 4196, 2),
        ),
    )  # fmt: skip


def chain() -> Iterator[Run]:
    """Each run used the file of the one before."""
    yield made(0, "0", [])
    for number in range(1, RUNS):
        before = str(number - 1)
        yield made(number, str(number), [file_of(before)])


def fan() -> Iterator[Run]:
    """One run whose directory all the others used."""
    yield made(0, "0", [])
    for number in range(1, RUNS):
        yield made(number, str(number), [weights_of("0")])


def layers() -> Iterator[Run]:
    """Each run of a layer used files of three runs of the layer above, one of them out of a directory."""
    for number in range(RUNS):
        above = [str(number - WIDTH + shift) for shift in (0, 1, WIDTH // 2)] if number >= 2 * WIDTH else []
        yield made(number, str(number), [weights_of(name) if name == above[0] else file_of(name) for name in above])


def measure_blame(root: Path, variables: dict[str, str]) -> None:
    """A large file that a run made, under another name somewhere else: hashed, and with its digest known."""
    runs = list(chain())
    root.mkdir()
    place = root.parent / "elsewhere" / "copied and renamed.bin"
    place.parent.mkdir()
    state = hasher()
    with place.open("wb") as file:
        for _ in range(LARGE >> 20):
            block = os.urandom(1 << 20)
            state.update(block)
            file.write(block)
    digest = f"b3:{state.hexdigest()}"
    of_large = made(RUNS, "large", [])
    runs.append(Run(**{**of_large.__dict__, "artifacts": (Artifact("model.bin", "file", digest, LARGE),)}))
    with Project.open(root) as project:
        write(project, runs)
    time.sleep(max(0.0, (QUIET_NS + 10**9 - time.time_ns() + place.stat().st_ctime_ns) / 1e9))
    raw = f"from blake3 import blake3; print(blake3(max_threads=blake3.AUTO).update_mmap({str(place)!r}).hexdigest())"
    command = [*MLTRACK, "blame", str(place)]
    forget = root / ".mltrack" / "stat.db"
    limit = Case("limit: python + blake3 over the file", [sys.executable, "-c", raw])
    bare = Case("limit: python + sqlite3, who has this digest", [sys.executable, "-c", f"import sqlite3; print(sqlite3.connect({str(root / '.mltrack/ledger.db')!r}).execute('select run from artifact where digest = ?', ({digest!r},)).fetchall())"])  # fmt: skip
    cases = [limit, Case("mltrack blame FILE, to be hashed", command, root, lambda: forget.unlink(missing_ok=True))]
    side_by_side(cases, rounds=3, variables=variables)
    case_table(f"blame of a 1 GB file among {len(runs):,} runs", cases, limit)
    cases = [bare, Case("mltrack blame FILE, digest known (stat.db)", command, root), Case("mltrack blame b3:...", [*MLTRACK, "blame", digest], root)]  # fmt: skip
    side_by_side(cases, rounds=5, variables=variables)
    case_table("the same with its digest known (goal: under 1 s)", cases, bare)
    with sqlite3.connect(root / ".mltrack" / "members.db") as database:
        rows = database.execute("SELECT count(*) FROM member").fetchone()[0]
    database.close()
    print(f"members.db: {rows:,} files in directories, {(root / '.mltrack' / 'members.db').stat().st_size >> 10:,} KiB")
    Members.open(root / ".mltrack" / "members.db").close()

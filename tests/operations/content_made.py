"""Runs that share content, written as a pull writes them: nothing is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrack.digest import digest_bytes
from mltrack.ledger.ledger import sealed_bytes
from mltrack.project import Project
from mltrack.records import Artifact, Input, Run
from mltrack.store.manifest import ManifestEntry, encode_manifest

Things = Mapping[str, "bytes | Mapping[str, bytes] | None"]
"""Path -> the bytes of a file, the files of a directory, or None for an input whose content is not known."""


def moment(second: int) -> str:
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.000000Z"


def id_of(name: str) -> str:
    """A run id that shows the name, in the letters that ids have."""
    return name.translate(str.maketrans("ilou", "jkqv")).ljust(16, "0")


def name_of(run: str) -> str:
    """The name again; no name has the letters that stand for others."""
    return run.rstrip("0").translate(str.maketrans("jkqv", "ilou"))


def manifest(files: Mapping[str, bytes]) -> bytes:
    return encode_manifest([ManifestEntry(p.encode(), "file", len(b), digest_bytes(b)) for p, b in files.items()])


def record(name: str, second: int, used: Things, made: Things, **changes: Any) -> Run:
    """A run that began at `second` and took five seconds."""
    values: dict[str, Any] = {
        "schema": 1,
        "id": id_of(name),
        "name": None,
        "experiment": None,
        "status": "finished",
        "command": ("python", f"{name}.py"),
        "cwd": ".",
        "exit_code": 0,
        "created_at": moment(second),
        "started_at": moment(second),
        "finished_at": moment(second + 5),
        "duration_s": 5.0,
        "inputs": tuple(Input(path, *facts(content)) for path, content in used.items()),
        "artifacts": tuple(Artifact(path, *facts(content)) for path, content in made.items()),
    }
    return Run(**{**values, **changes})


def facts(content: Any) -> tuple[Any, ...]:
    if content is None:
        return "file", None, None, None
    if isinstance(content, bytes):
        return "file", digest_bytes(content), len(content), 1
    size = sum(map(len, content.values()))
    return "directory", digest_bytes(manifest(content)), size, len(content)


def project_with(root: Path, *runs: tuple[Run, Things, Things], keep: bool = True) -> Project:
    """A project that has these runs, and with `keep` the lists of their directories."""
    root.mkdir(parents=True, exist_ok=True)
    project = Project.open(root)
    for _, used, made in runs if keep else ():
        for content in (*used.values(), *made.values()):
            if isinstance(content, Mapping):
                project.store.put_bytes(manifest(content))
    project.store.flush()
    project.ledger.merge_records(sealed_bytes(run) for run, _, _ in runs)
    return project


def a_run(name: str, second: int, used: Things | None = None, made: Things | None = None, **changes: Any) -> Any:
    """What `project_with` takes."""
    return record(name, second, used or {}, made or {}, **changes), used or {}, made or {}

"""A project whose runs are made of given bytes, without running anything."""

from __future__ import annotations

import os
from pathlib import Path

from mltrack.operations.share import add_remote, push
from mltrack.project import Project
from mltrack.records import Artifact, CodeState, Input, Run, new_id
from mltrack.store.manifest import ManifestEntry, encode_manifest


class Keeping:
    """The project in `root`; each call opens it anew, as a command does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with Project(root) as project:
            project.make()

    @property
    def store(self) -> Path:
        return self.root / ".mltrack" / "store"

    def open(self) -> Project:
        return Project(self.root)

    def run(self, files: dict[str, bytes], tree: dict[str, bytes] | None = None, **changes: object) -> Run:
        """A sealed run with these artifacts, and an input directory `data` with these files."""
        with self.open() as project:
            return self.run_in(project, files, tree, **changes)

    def run_in(
        self, project: Project, files: dict[str, bytes], tree: dict[str, bytes] | None = None, **changes: object
    ) -> Run:
        store = project.store

        def put(data: bytes) -> str:
            return store.put_bytes(data)

        artifacts = tuple(Artifact(path, "file", put(data), len(data)) for path, data in files.items())
        inputs: tuple[Input, ...] = ()
        if tree:
            listed = [ManifestEntry(os.fsencode(path), "file", len(data), put(data)) for path, data in tree.items()]
            inputs = (Input("data", "directory", put(encode_manifest(listed)), kept=True),)
        code = CodeState(packs=(put(b"PACK of the code"),))
        store.flush()
        values: dict[str, object] = {
            "schema": 1, "id": new_id(), "name": None, "experiment": None, "status": "finished", "command": ("a",),
            "cwd": ".", "created_at": "2026-11-21T01:02:03.000004Z", "code": code, "artifacts": artifacts,
            "inputs": inputs, "origin": {"replica": project.ledger.replica},
        }  # fmt: skip
        return project.ledger.seal(Run(**{**values, **changes}))  # type: ignore[arg-type]

    def push_to(self, place: Path) -> None:
        with self.open() as project:
            if "origin" not in project.config.remotes:
                add_remote(project, "origin", str(place))
            push(project)

    def packs(self) -> list[Path]:
        return sorted([*(self.store / "packs").glob("*.pack"), *(self.store / "open").glob("*.pack")])

    def size(self) -> int:
        return sum(pack.stat().st_size for pack in self.packs())

    def has(self, *digests: str) -> bool:
        with self.open() as project:
            return not project.store.missing(digests)


def flip(path: Path, data: bytes, bit: int = 1) -> None:
    """Flip a bit in the middle of where these bytes lie, uncompressed, in a file."""
    whole = bytearray(path.read_bytes())
    whole[whole.index(data) + len(data) // 2] ^= bit
    path.write_bytes(whole)

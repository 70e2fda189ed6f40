"""What the tests of the road share: a town is a project's ledger and store; runs are made with real data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mltrack.ledger.ledger import Ledger
from mltrack.records import Artifact, CodeState, Input, Run, new_id
from mltrack.store.manifest import ManifestEntry, encode_manifest
from mltrack.store.objects import Store
from mltrack.sync.remote import Remote
from mltrack.sync.transfer import Transfer, pull, push


def objects_of(run: Run) -> Sequence[str]:
    """As the operations do it: code, data that was kept, artifacts, what was kept for the environment later."""
    found = [
        *run.code.packs,
        *run.environment_kept.values(),
        *(i.digest for i in run.inputs if i.kept and i.digest),
        *(a.digest for a in run.artifacts),
    ]
    return list(dict.fromkeys(found))


class Town:
    """A project with a ledger and a store, in a directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / ".mltrack"
        self.state.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger.open(self.state / "ledger.db")
        self.store = Store.open(self.state / "store")

    def __enter__(self) -> Town:
        return self

    def __exit__(self, *exc: object) -> None:
        self.ledger.close()
        self.store.close()

    def remote(self, url: str) -> Remote:
        return Remote(url, self.state / "remotes" / "origin")

    def push(self, url: str, **options: object) -> Transfer:
        return push(self.remote(url), self.ledger, self.store, objects_of, **options)  # type: ignore[arg-type]

    def pull(self, url: str, **options: object) -> Transfer:
        return pull(self.remote(url), self.ledger, self.store, objects_of, **options)  # type: ignore[arg-type]

    def record(self, *contents: bytes, tree: dict[str, bytes] | None = None, **changes: object) -> Run:
        """A finished run whose artifacts have these contents, and whose input is a directory with these files."""
        artifacts = tuple(
            Artifact(f"out/{number}.bin", "file", self.store.put_bytes(data), len(data))
            for number, data in enumerate(contents)
        )
        inputs: tuple[Input, ...] = ()
        if tree:
            entries = [
                ManifestEntry(os.fsencode(path), "file", len(data), self.store.put_bytes(data))
                for path, data in tree.items()
            ]
            digest = self.store.put_bytes(encode_manifest(entries))
            inputs = (Input("data", "directory", digest, kept=True),)
        self.store.flush()
        code = CodeState(packs=(self.store.put_bytes(b"PACK of the code"),))
        self.store.flush()
        values: dict[str, object] = {
            "schema": 1, "id": new_id(), "name": None, "experiment": None, "status": "finished", "command": ("a",),
            "cwd": ".", "created_at": "2026-11-21T01:02:03.000004Z", "code": code, "artifacts": artifacts,
            "inputs": inputs, "origin": {"replica": self.ledger.replica},
        }  # fmt: skip
        run = Run(**{**values, **changes})  # type: ignore[arg-type]
        return self.ledger.seal(run)

    def add_wheels(self, run_id: str, files: dict[str, bytes]) -> str:
        """Keep files for a run's environment later, as `push --wheels` does; the digest of their manifest."""
        entries = [
            ManifestEntry(os.fsencode(name), "file", len(data), self.store.put_bytes(data))
            for name, data in files.items()
        ]
        digest = self.store.put_bytes(encode_manifest(entries))
        self.store.flush()
        self.ledger.add_event("environment", run_id, {"wheels": digest})
        return digest

    def whole(self, run_id: str) -> bool:
        """Is everything that the run needs in this store, and is it what its digest says?"""
        from mltrack.sync.needs import Needs

        needs = Needs()
        run = self.ledger.get(run_id)
        needs.add(run_id, run, objects_of(run))
        needs.expand(self.store.get_bytes)
        if needs.unread or self.store.missing(needs.digests()):
            return False
        return all(self.store.get_bytes(digest) is not None for digest in needs.digests())

    def state_of_all(self) -> dict[str, Run]:
        """The folded state: what this ledger shows of every run."""
        return {run_id: self.ledger.get(run_id) for run_id in self.ledger.ids()}

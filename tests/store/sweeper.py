"""A process that puts what nobody needs, lets it go and sweeps, until it is killed. Run by test_sweep.py."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from mltrack.digest import to_raw
from mltrack.store import packs
from mltrack.store.entries import CHUNK, raw_digest
from mltrack.store.objects import Store
from mltrack.store.sweep import Needed, sweep
from tests.store.samples import noise


def parts(name: str) -> list[bytes]:
    """Blobs of many sizes."""
    chance = random.Random(name)
    return [noise(chance.randrange(20_000), f"{name} {n}".encode()) for n in range(40)]


def main(place: str, turn: str) -> None:
    packs.PACK_SIZE = 200_000
    needed = {(CHUNK, raw_digest(blob)) for blob in parts("needed")}
    number = 0
    print("ready", flush=True)
    while True:
        with Store.open(Path(place)) as store:
            mixed = parts(f"garbage {turn} {number}")[:20] + parts("needed")
            random.Random(number).shuffle(mixed)
            digests = {to_raw(store.put_bytes(blob)) for blob in mixed}
            assert {digest for _, digest in needed} <= digests
        with Store.open(Path(place)) as store:
            sweep(store, Needed(needed, frozenset, lambda: False))
        number += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

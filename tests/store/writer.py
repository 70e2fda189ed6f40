"""A process that puts objects until it is killed, and says what it has flushed. Run by test_processes.py."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from mltrack.store import packs
from mltrack.store.objects import Store
from tests.store.samples import noise


def blob(seed: str) -> bytes:
    """The bytes that belong to a seed: most are small, some are cut into chunks."""
    chance = random.Random(seed)
    size = chance.choice([0, 10, 500, 4096, 50_000, 300_000, 2_500_000])
    return noise(size, seed.encode()) if chance.random() < 0.7 else (seed.encode() * 1000)[:size]


def main(place: str, name: str, count: int) -> None:
    packs.PACK_SIZE = 3_000_000
    number = 0
    while number < count:
        with Store.open(Path(place)) as store:
            for _ in range(4):
                seeds = []
                for _ in range(random.Random(f"{name}{number}").randrange(1, 6)):
                    # every other object is one that the other writers put as well
                    seed = f"shared {number}" if number % 2 else f"{name} {number}"
                    seeds.append((store.put_bytes(blob(seed)), seed))
                    number += 1
                store.flush()
                for digest, seed in seeds:
                    sys.stdout.write(f"{digest}\t{seed}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

"""Many processes on one store, some of them killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from mltrack.store.objects import Store
from tests.store.writer import blob

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def start(place: Path, name: str, count: int, said: Path) -> subprocess.Popen[bytes]:
    with open(said, "wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.store.writer", str(place), name, str(count)],
            stdout=out,
            cwd=Path(__file__).parents[2],
        )


def promised(said: Path) -> dict[str, str]:
    """Digest -> seed of what a writer said it had flushed; its last line may be torn."""
    lines = said.read_text().split("\n")[:-1]
    return {line.partition("\t")[0]: line.partition("\t")[2] for line in lines}


def test_writers_at_once_lose_nothing_and_leave_few_packs(tmp_path: Path):
    place = tmp_path / "project" / "store"
    Store.open(place).close()
    writers = [start(place, f"w{n}", 60, tmp_path / f"said{n}") for n in range(4)]
    with Store.open(place) as reader:
        while any(writer.poll() is None for writer in writers):
            time.sleep(0.05)
            for n in range(4):  # a reader that looks while they write
                latest = list(promised(tmp_path / f"said{n}").items())[-3:]
                for digest, seed in latest:
                    assert reader.get_bytes(digest) == blob(seed)
    assert [writer.wait() for writer in writers] == [0] * 4
    with Store.open(place) as store:
        for n in range(4):
            found = promised(tmp_path / f"said{n}")
            assert len(found) >= 40 and not store.missing(found)
            assert all(store.get_bytes(digest) == blob(seed) for digest, seed in found.items())
        assert list(store.check()) == []
    assert len(list((place / "open").iterdir())) <= 4


def test_writers_killed_at_any_moment_lose_nothing_they_flushed(tmp_path: Path):
    place = tmp_path / "project" / "store"
    chance = random.Random(7)
    everything: dict[str, str] = {}
    for turn in range(10 * SOAK):
        said = [tmp_path / f"said{turn}-{n}" for n in range(2)]
        writers = [start(place, f"t{turn}-{n}", 10_000, out) for n, out in enumerate(said)]
        deadline = time.monotonic() + 30
        while not all(out.stat().st_size for out in said) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.3)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        for out in said:
            everything.update(promised(out))
        with Store.open(place) as store:
            assert not store.missing(everything)
            assert all(store.get_bytes(digest) == blob(seed) for digest, seed in everything.items())
    assert len(everything) > 50
    with Store.open(place) as store:
        before = store.totals()
        store.put_bytes(b"one more")  # takes over what the killed left
        store.flush()
        assert list(store.check()) == []
        store.rebuild_index()
        assert not store.missing(everything)
        assert store.totals().packs == before.packs
    assert not list(place.rglob("*.tmp"))


def test_a_forked_child_that_lives_on_does_not_hold_the_pack(tmp_path: Path):
    """The log keeper is forked from a process that may have the store open; it must not keep the lock."""
    place = tmp_path / "project" / "store"
    store = Store.open(place)
    store.put_bytes(b"one")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent is done
        os._exit(0)
    store.flush()
    store.close()
    with Store.open(place) as other:
        other.put_bytes(b"two")
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)
    assert len(list((place / "open").iterdir())) == 1

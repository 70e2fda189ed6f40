"""Real processes that push, pull and collect garbage at once, and are killed; servers that are killed too."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mltrack.sync.check import check_remote
from tests.sync.kinds import Site, params
from tests.sync.test_faults import OWN
from tests.sync.test_many_machines import folded
from tests.sync.towns import Town, objects_of

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, random, sys
from pathlib import Path
from mltrack.errors import DataMissing, RemoteError
from mltrack.sync import merging
from mltrack.sync.collection import GcRoad, collect
from tests.sync.towns import Town, objects_of
root, url = Path(sys.argv[1]), sys.argv[2]
merging.BASE = 3
with Town(root) as town:
    while True:
        run = town.record(os.urandom(3000), b"shared" * 50, tree={"x": os.urandom(20)})
        town.ledger.add_event("tag", run.id, "t")
        try:
            town.push(url, grace_s=0.0)
            print("pushed", run.id, flush=True)
            town.pull(url, data=random.random() < 0.2)
            town.ledger.add_event("note", random.choice(sorted(town.ledger.ids())), root.name)
            if random.random() < 0.3:
                collect(GcRoad(town.remote(url), town.ledger, town.store, objects_of, 1.0, True))
        except (RemoteError, DataMissing) as error:
            print("refused", type(error).__name__, error, flush=True)
"""


@contextmanager
def workers(root: Path, url: str, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes, each in a project of its own, that are killed at the end."""
    outs = [(root / f"out{number}").open("a") for number in range(count)]
    command = [sys.executable, "-c", PROGRAM]
    running = [
        subprocess.Popen([*command, str(root / f"town{number}"), url], cwd=ROOT, text=True, stdout=out, stderr=out)
        for number, out in enumerate(outs)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for out in outs:
            out.close()


def pushes(root: Path, count: int) -> set[str]:
    """The runs that the workers say they have pushed."""
    said = "".join((root / f"out{number}").read_text() for number in range(count))
    assert "Traceback" not in said, said[-3000:]
    return {line.split()[1] for line in said.splitlines() if line.startswith("pushed")}


def some_pushes(root: Path, count: int) -> None:
    """Wait until the workers have pushed a few times more."""
    enough, end = len(pushes(root, count)) + 2 * count, time.monotonic() + 90
    while len(pushes(root, count)) < enough and time.monotonic() < end:
        time.sleep(0.2)


def all_end_the_same(root: Path, url: str, count: int) -> None:
    towns = [Town(root / f"town{number}") for number in range(count)]
    try:
        for _ in range(2):
            for town in towns:
                town.push(url)
            for town in towns:
                town.pull(url, data=True)
        pushed = pushes(root, count)
        assert pushed
        assert len({folded(town, url) for town in towns}) == 1
        for town in towns:
            assert pushed <= town.ledger.ids()
            assert all(town.whole(run) for run in town.ledger.ids())
        assert [(p.kind, p.name, p.message) for p in check_remote(towns[0].remote(url), objects_of)] == []
        with Town(root / "fresh") as fresh:
            fresh.pull(url, data=True)
            assert folded(fresh, url) == folded(towns[0], url)
    finally:
        for town in towns:
            town.__exit__()


@pytest.mark.parametrize("count", [2, 8] if SOAK > 1 else [2])
def test_processes_that_are_killed_in_between_lose_nothing(tmp_path: Path, count: int) -> None:
    url = str(tmp_path / "remote")
    dice = random.Random(count)
    for _ in range(2 * SOAK):
        with workers(tmp_path, url, count) as running:
            for process in running:
                time.sleep(dice.uniform(0.5, 2.0) / count)
                process.send_signal(signal.SIGKILL)
            time.sleep(0.5)
            assert all(process.poll() == -signal.SIGKILL for process in running)
        with workers(tmp_path, url, count):
            some_pushes(tmp_path, count)
    all_end_the_same(tmp_path, url, count)


@pytest.mark.parametrize("site", params("sftp", *(["radosgw"] if SOAK > 1 else [])), indirect=True)
def test_processes_and_their_server_that_are_killed_lose_nothing(site: Site, tmp_path: Path) -> None:
    site.state = dict(site.state)
    count = 2 if SOAK == 1 else 8
    with OWN[site.kind.name](site, tmp_path) as (port, files, kill, start):  # type: ignore[operator]
        if files is not None:
            (files / site.folder).mkdir()
        site.at(port)
        for _ in range(SOAK):
            with workers(tmp_path, site.url(), count):
                some_pushes(tmp_path, count)
                kill()
                time.sleep(0.5)
                start()
                some_pushes(tmp_path, count)
        all_end_the_same(tmp_path, site.url(), count)

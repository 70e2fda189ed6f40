"""What a run of many files costs at its end: its journal folded and each path placed, beside a bare walk over them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from mltrack.observe import Event, Seen
from mltrack.observe.folding import Fold
from mltrack.observe.journal import read
from mltrack.observe.rules import Placer, Surroundings
from mltrack.operations.observing.surroundings import beginning, looker
from mltrack.operations.request import Place
from tests.benchmarks.timing import ms, table

FILES, DIRECTORIES, TEMPORARY, ROUNDS = 100_000, 100, 100_000, 5


def measure(scratch: Path) -> None:
    data, journal = scratch / "data", scratch / "observed"
    journal.mkdir()
    names = [str(data / str(number % DIRECTORIES) / f"{number:06}.bin") for number in range(FILES)]
    for number in range(DIRECTORIES):
        (data / str(number)).mkdir(parents=True)
    for name in names:
        with open(name, "wb") as file:
            file.write(b"x" * 100)
    with open(journal / "host.log", "wb") as file:
        file.writelines(b"r 7 %d\t%s\n" % (number, os.fsencode(name)) for number, name in enumerate(names))
    fold = folded(journal)
    seen = list(fold.seen().values())
    rows: dict[str, Callable[[], object]] = {
        "os.walk and stat": partial(walked, data),
        "the journal, read and folded": partial(folded, journal),
        "each path placed": partial(placed, scratch, seen),
        f"{TEMPORARY:,} temporary files folded": forgotten,
    }
    took = {name: median([seconds(work) for _ in range(ROUNDS)]) for name, work in rows.items()}
    bare = took["os.walk and stat"]
    table(
        f"{FILES:,} paths at the end of a run",
        ("work", "takes", "ratio"),
        [(name, ms(one), f"{one / bare:.2f}") for name, one in took.items()],
    )


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def walked(top: Path) -> int:
    return sum(os.stat(os.path.join(where, name)).st_size for where, _, names in os.walk(top) for name in names)


def folded(journal: Path) -> Fold:
    fold = Fold()
    fold.take_all(read(journal))
    return fold


def placed(root: Path, seen: list[Seen]) -> int:
    look = looker(Place(root, None), 0)  # type: ignore[arg-type]  # nothing here asks git
    placer = Placer(Surroundings(str(root), look, begins=beginning))
    found = [placer.place(one) for one in seen]
    assert {one.made for one in found} == {"input"}
    return len(found)


def forgotten() -> None:
    fold = Fold()
    for number in range(TEMPORARY):
        path = f"/tmp/run/{number}"
        fold.take(Event("w", 7, number, path))
        fold.take(Event("d", 7, number, path))

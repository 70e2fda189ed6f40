"""Files out of the store: many small ones, and one large file, against `rsync -a` and `cp`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mltrack.store.checkout import restore_path
from mltrack.store.keep import keep_path
from mltrack.store.objects import Store
from tests.benchmarks.timing import Case, case_table, side_by_side

SMALL = 50_000
LARGE = 1 << 30


def measure(scratch: Path) -> None:
    tree = scratch / "tree"
    for number in range(SMALL):
        place = tree / f"d{number % 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(os.urandom(4096))
    table(f"{SMALL:,} files of 4 KiB out of the store (goal: within 2x of rsync -a)", tree, scratch / "small")
    shutil.rmtree(tree)
    large = scratch / "large"
    with large.open("wb") as file:
        for _ in range(LARGE >> 20):
            file.write(os.urandom(1 << 20))
    table("One file of 1 GiB out of the store (goal: within 2x of cp)", large, scratch / "big")


def table(title: str, source: Path, scratch: Path) -> None:
    out = scratch / "out"
    with Store.open(scratch / "project" / "store") as store:
        kept = keep_path(source, store)

    def restore() -> None:
        with Store.open(scratch / "project" / "store") as store:
            restore_path(store, kept.kind, str(kept.digest), out)

    def clear() -> None:
        if out.is_dir():
            shutil.rmtree(out)
        out.unlink(missing_ok=True)
        os.sync()  # what the last one wrote is not to slow the next one down

    slash = "/" if source.is_dir() else ""
    copy = Case("limit: cp -r", ["cp", "-r", str(source), str(out)], None, clear)
    rsync = Case("limit: rsync -a", ["rsync", "-a", f"{source}{slash}", str(out)], None, clear)
    cases = [rsync, copy, Case("restore", restore, None, clear)]
    side_by_side(cases, rounds=5)
    case_table(title, cases, rsync if source.is_dir() else copy)
    shutil.rmtree(scratch)

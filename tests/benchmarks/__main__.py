"""`make bench`: every table, or those whose names are given: python -m tests.benchmarks overhead logging."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

TABLES = (
    "startup",
    "overhead",
    "watching",
    "logging",
    "ledger",
    "scale",
    "capture",
    "environments",
    "store",
    "checkout",
    "versions",
    "road",
    "output",
    "sampling",
    "observing",
    "placing",
    "cached",
    "noise",
    "lineage",
    "comparing",
    "plotting",
)


def main() -> None:
    for name in sys.argv[1:] or TABLES:
        if name not in TABLES:
            raise SystemExit(f"There is no table {name}. Known: {', '.join(TABLES)}")
        with TemporaryDirectory() as scratch:
            import_module(f"tests.benchmarks.{name}").measure(Path(scratch))


main()

"""The exact tree of a worktree, against git's own look at it."""

from __future__ import annotations

from pathlib import Path

from mltrack.git.capture import Limits
from mltrack.git.repository import find_repository
from mltrack.snapshot.code import capture_code
from tests.benchmarks.timing import Case, case_table, side_by_side
from tests.helpers import git_repository

LIMITS = Limits(10 << 20, 100 << 20)


def measure(scratch: Path) -> None:
    for count in (5, 5000):
        root = git_repository(scratch / str(count), {f"d{n % 50}/f{n}.py": f"x = {n}\n" * 40 for n in range(count)})
        repository = find_repository(root)

        def capture(repository: object = repository) -> None:
            capture_code(repository, None, LIMITS, lambda path: False)  # type: ignore[arg-type]

        def touch(root: Path = root) -> None:
            (root / "d1" / "f1.py").write_text(f"y = {(root / 'd1' / 'f1.py').stat().st_mtime_ns}\n")

        status = Case("limit: git status", ["git", "status", "--porcelain"], root)
        cases = [
            status,
            Case("capture, nothing changed", capture),
            Case("capture, one file changed", capture, None, touch),
        ]
        side_by_side(cases, rounds=7)
        case_table(f"Capture of {count:,} files", cases, status)

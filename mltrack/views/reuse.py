"""What is said when a past run stands for the one that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.views.text import ago

if TYPE_CHECKING:
    from mltrack.operations.running.put_back import PutBack
    from mltrack.records import Run


def reuse_lines(run: Run, done: PutBack, now: float) -> list[str]:
    """One line; a second one where something was moved out of the way. `now`: seconds since 1970."""
    found = [f"the same as {run.id} of {ago(run.started_at, now)}: nothing was run{outputs(done)}"]
    if done.kept_aside is not None:
        found.append(f"what was in the way, and is kept by no run, is now in {done.kept_aside}")
    return found


def outputs(done: PutBack) -> str:
    """`, 4 outputs put back (2 were right already)`."""
    right = "1 was" if done.right == 1 else f"{done.right} were"
    if not done.written:
        return (
            f", {'its output is' if done.right == 1 else f'its {done.right} outputs are'} there" if done.right else ""
        )
    beside = f" ({right} right already)" if done.right else ""
    return f", {done.written} output{'s' if done.written > 1 else ''} put back{beside}"

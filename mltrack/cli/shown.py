"""The answer of a command about one run: a sentence, or the run as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrack.records import Run


def shown(run: Run, as_json: bool, sentence: str) -> None:
    """Print the sentence, or with --json the run."""
    if as_json:
        from mltrack.views.console import show_json
        from mltrack.views.json import run_json

        show_json(run_json(run))
    else:
        print(sentence)

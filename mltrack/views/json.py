"""Records -> the machine interface's JSON: the fields of the design in their order, nothing a person's view adds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mltrack.digest import plain
from mltrack.noun_json import to_dict
from mltrack.records import Run


def run_json(run: Run, with_packages: bool = True) -> dict[str, Any]:
    """A run as `show --json` gives it; `ls --json` leaves out `environment.packages`."""
    result: dict[str, Any] = to_dict(run)
    if not with_packages:
        del result["environment"]["packages"]
    return result


def dumps(value: Any, ascii_only: bool = False) -> str:
    """Indented JSON text without a final newline; NaN and infinities are strings, paths that are not UTF-8 lossy."""
    return json.dumps(plain(value), indent=2, ensure_ascii=ascii_only, allow_nan=False)


def dumps_lines(documents: Sequence[Any]) -> str:
    """A JSON list with one item a line: thousands of runs are written ten times faster than indented."""
    lines = ",\n".join(map(dumps_line, documents))
    return f"[\n{lines}\n]" if lines else "[]"


def dumps_line(document: Any) -> str:
    """A document as JSON on one line, without a line feed."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def ascii_only(text: str) -> str:
    """The same JSON for a stream that has no other signs."""
    return text if text.isascii() else "".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in text)

"""Executed notebooks: the parameters that papermill gave, the defaults of the cell tagged `parameters`, failed cells.

papermill and nbconvert write the notebook that they executed; its parameters stand in its metadata. A cell that failed
in a notebook that went on (`--allow-errors`) is a warning, for the exit code says nothing of it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mltrack.collect.frameworks import Facts, Left, read_small
from mltrack.formats.documents import flatten
from mltrack.records import Warning

NAME = "papermill"

LARGEST = 100 << 20
_TOOLS = re.compile(r"papermill|nbconvert|jupyter|jupytext|quarto|ploomber")


def find(left: Left) -> Facts:
    """Parameters and failed cells of the notebooks that were executed."""
    params: dict[str, Any] = {}
    warnings: list[Warning] = []
    files: list[str] = []
    is_tool = any(_TOOLS.search(word.rpartition("/")[2]) for word in left.command)
    for path in left.ending(".ipynb"):
        notebook = notebook_in(read_small(left, path, LARGEST))
        given = given_params(notebook)
        if given is None and not is_tool:
            continue  # a person edited it while the run went on
        files.append(path)
        params.update(flatten({**default_params(notebook), **(given or {})}))
        failed = failed_cells(notebook)
        if failed:
            cells = "cell" if len(failed) == 1 else "cells"
            warnings.append(Warning("notebook-errors", f"{path}: {cells} {', '.join(map(str, failed))} failed."))
    return Facts(params, files=tuple(files), warnings=tuple(warnings))


def notebook_in(data: bytes | None) -> dict[str, Any]:
    """The notebook that the bytes are; empty for anything else."""
    try:
        notebook = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return notebook if isinstance(notebook, dict) else {}


def table(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def given_params(notebook: dict[str, Any]) -> dict[str, Any] | None:
    """What papermill was given; None where it did not execute the notebook."""
    about = table(table(notebook, "metadata"), "papermill")
    return table(about, "parameters") if about else None


def cells_of(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    cells = notebook.get("cells")
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []


def default_params(notebook: dict[str, Any]) -> dict[str, Any]:
    """The literals of the cells tagged `parameters`, where they are Python."""
    from mltrack.formats.constants import parse_constants
    from mltrack.formats.yaml_nodes import Broken

    found: dict[str, Any] = {}
    for cell in cells_of(notebook):
        tags = table(cell, "metadata").get("tags")
        source = cell.get("source")
        if not isinstance(tags, list) or "parameters" not in tags:
            continue
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        try:
            found.update(parse_constants(text))
        except (Broken, RecursionError):
            continue
    return found


def failed_cells(notebook: dict[str, Any]) -> list[int]:
    """The numbers of the code cells, from 1, that have an error among their outputs."""
    codes = [cell for cell in cells_of(notebook) if cell.get("cell_type") == "code"]
    return [number for number, cell in enumerate(codes, 1) if has_error(cell.get("outputs"))]


def has_error(outputs: Any) -> bool:
    return isinstance(outputs, list) and any(
        isinstance(output, dict) and output.get("output_type") == "error" for output in outputs
    )

"""Jupyter notebooks: sources must be equal, outputs are compared each by its kind.

Execution counts, ids of cells, when cells ran, and what papermill writes of its own run may differ. How a stream of
text was cut into outputs says nothing: that is a matter of timing.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding, Unreadable
from mltrack.compare.comparators.json_files import parse
from mltrack.compare.contents.contents import Held, whole
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.trees import Walk
from mltrack.compare.contents.volatile import listed

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "execution counts, ids of cells, when cells ran, papermill's own paths; in outputs what their kinds let differ"

LARGEST = 64 << 20
_IMAGES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg", "image/webp": "webp"}
_PAPERMILL = ("duration", "start_time", "end_time", "input_path", "output_path", "status")
_TIMINGS = ("papermill", "execution", "ExecuteTime")
"""What tools note in a cell's metadata of how it ran."""

Json = dict[str, Any]


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith(".ipynb")


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Raises Unreadable for what is no notebook of format 4."""
    one, other = (notebook(parse(whole(content, LARGEST))) for content in (a, b))
    walk = NotebookWalk(around)
    return walk.compare(one, other)


def notebook(values: Any) -> Json:
    """The values of a notebook whose cells are as they should be. Raises Unreadable."""
    cells = values.get("cells") if isinstance(values, dict) else None
    if not isinstance(cells, list) or not all(is_cell(cell) for cell in cells):
        raise Unreadable("it is no notebook that is read")
    return values  # type: ignore[no-any-return]


def is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("metadata", {}), dict):
        return False
    outputs = cell.get("outputs", [])
    return isinstance(outputs, list) and all(isinstance(output, dict) for output in outputs)


class NotebookWalk:
    """Compares two notebooks; everything that is no image goes through one walk of trees."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.walk = Walk(around, lines=True)
        self.images: list[str] = []
        """What differs in images of the same pixels."""

    def compare(self, a: Json, b: Json) -> Finding:
        first, second = a["cells"], b["cells"]
        if len(first) != len(second):
            return Finding(DIFFERENT, f"{len(first):,} cells then, {len(second):,} now")
        for number, (one, other) in enumerate(zip(first, second), 1):
            if joined(one.get("source")) != joined(other.get("source")) or one.get("cell_type") != other.get(
                "cell_type"
            ):
                return Finding(DIFFERENT, f"the source of cell {number:,} differs")
        for number, (one, other) in enumerate(zip(first, second), 1):
            found = self._cell(one, other, f"cell {number:,}")
            if found is not None:
                return found
        self.walk.compare(about(a), about(b), "notebook")
        return self._finding()

    def _cell(self, a: Json, b: Json, at: str) -> Finding | None:
        """Compare what a cell has beside its source; a finding where its outputs are not of the same kinds."""
        self.walk.compare(frame(a), frame(b), at)
        first, second = outputs_of(a), outputs_of(b)
        if [kinds(output) for output in first] != [kinds(output) for output in second]:
            told = f"{at} had {len(first):,} outputs, has {len(second):,}"
            return Finding(DIFFERENT, told if len(first) != len(second) else f"{at} has outputs of other kinds")
        for number, (one, other) in enumerate(zip(first, second), 1):
            found = self._output(one, other, f"{at}, output {number:,}")
            if found is not None:
                return found
        return None

    def _output(self, a: Json, b: Json, at: str) -> Finding | None:
        for kind, suffix in _IMAGES.items():
            if not (isinstance(a["data"].get(kind), str) and isinstance(b["data"].get(kind), str)):
                continue  # what is no image is compared as any value
            one, other = (image(output["data"].pop(kind), suffix) for output in (a, b))
            if one != other:
                found = compare_contents(f"image.{suffix}", Held(one), Held(other), self.around)
                if found.grade == DIFFERENT:
                    return Finding(DIFFERENT, f"{at}: {found.reason}", found.measure)
                self.images.append(found.reason)
        self.walk.compare(a, b, at)
        return None

    def _finding(self) -> Finding:
        found = self.walk.finding("execution counts, ids or timings differ")
        if found.grade == EQUIVALENT and self.images:
            passed = [f"{self.walk.volatile.told()}"] if self.walk.volatile.kinds else []
            return Finding(EQUIVALENT, listed([*passed, f"of images {self.images[0]}"]))
        return found


def joined(text: Any) -> Any:
    """Text as a notebook may have it, in one piece or by lines."""
    if isinstance(text, list) and all(isinstance(part, str) for part in text):
        return "".join(text)
    return text


def about(values: Json) -> Json:
    """A notebook without its cells and without what papermill tells of its own run."""
    kept = {key: value for key, value in values.items() if key != "cells"}
    metadata = kept.get("metadata")
    told = metadata.get("papermill") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and isinstance(told, dict):
        rest = {key: value for key, value in told.items() if key not in _PAPERMILL}
        kept["metadata"] = {**metadata, "papermill": rest}
    return kept


def frame(cell: Json) -> Json:
    """A cell without source, outputs, count, id and timings."""
    kept = {key: value for key, value in cell.items() if key not in ("source", "outputs", "execution_count", "id")}
    metadata = cell.get("metadata", {})
    return {**kept, "metadata": {key: value for key, value in metadata.items() if key not in _TIMINGS}}


def outputs_of(cell: Json) -> list[Json]:
    """The outputs without counts, texts in lines, and pieces of one stream that follow one another as one."""
    found: list[Json] = []
    for output in cell.get("outputs", []):
        kept = {key: value for key, value in output.items() if key != "execution_count"}
        data = kept.get("data")
        kept["data"] = {kind: joined(value) for kind, value in data.items()} if isinstance(data, dict) else {}
        if kept.get("output_type") == "stream":
            kept["text"] = joined(kept.get("text"))
            before = found[-1] if found else {}
            is_more = before.get("output_type") == "stream" and before.get("name") == kept.get("name")
            if is_more and isinstance(before["text"], str) and isinstance(kept["text"], str):
                before["text"] += kept["text"]
                continue
        found.append(kept)
    return [by_lines(output) for output in found]


def by_lines(output: Json) -> Json:
    """Texts as lists of lines, so that a reason can name one."""
    data = {kind: lines(value) if kind not in _IMAGES else value for kind, value in output["data"].items()}
    return {key: lines(value) if key == "text" else value for key, value in {**output, "data": data}.items()}


def lines(text: Any) -> Any:
    return text.split("\n") if isinstance(text, str) else text


def kinds(output: Json) -> tuple[Any, ...]:
    return (output.get("output_type"), output.get("name"), tuple(sorted(output["data"])))


def image(text: str, suffix: str) -> bytes:
    """The bytes of an image; SVG is text. Raises Unreadable."""
    if suffix == "svg":
        return text.encode(errors="surrogateescape")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable("it is no notebook that is read: an image in it is no base64") from error

"""TensorBoard's event files: their scalars as metrics, from whatever program wrote them.

Files of one directory are one log, in the order of their times. Where several directories have the same tag, as Keras
writes `train/` and `validation/`, the directory tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.collect.frameworks import Facts, Left
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point

NAME = "tensorboard"
_MARK = ".tfevents."


def find(left: Left) -> Facts:
    """The scalars of every event file that the run wrote."""
    from mltrack.formats.events import Events, read_events

    logs: dict[str, list[Point]] = {}
    files: list[str] = []
    warnings: list[Warning] = []
    for path in sorted(path for name, paths in left.names.items() if _MARK in name for path in paths):
        try:
            events = read_events(left.place(path))
        except OSError as error:
            events = Events((), False, str(error))
        if events.problem:
            warnings.append(Warning("metrics-unreadable", f"{path} was read only in part: {events.problem}."))
        files.append(path)
        logs.setdefault(path.rpartition("/")[0], []).extend(events.points)
    return Facts(
        metrics=tuple((f"{log}/" if log else "", tuple(points)) for log, points in logs.items()),
        files=tuple(files),
        warnings=tuple(warnings),
    )

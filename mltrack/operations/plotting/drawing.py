"""The points of runs -> the curves and bands of a plot; what is not drawn is counted and said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.errors import Damaged, DataMissing, NotFound
from mltrack.operations.plotting.banding import banded
from mltrack.operations.plotting.places import at_values_of, order_of, since_start
from mltrack.operations.plotting.points import columns_of_run, lost_words, none_here
from mltrack.plots import Axis, Band, Curve, Lines

if TYPE_CHECKING:
    import numpy

    from mltrack.formats.series_columns import Columns
    from mltrack.operations.plotting.banding import Grouping
    from mltrack.operations.plotting.curves import Wanted
    from mltrack.project import Project
    from mltrack.records import Run

    Array = numpy.ndarray[Any, Any]
    Drawn = tuple[Run, Curve]
    Found = tuple[Run, Curve, str]
    """With what its places are."""

COLUMNS = 1000
"""Of pixels, about, for which a curve's points are chosen."""
KINDS = ("step", "time", "points")
UNITS = {"_bytes": "bytes", "percent": "per cent", "_seconds": "s", "_s": "s"}


class Drawing:
    """Reads the points of one run after the other, keeps of them what is drawn, and counts what is not."""

    def __init__(self, wanted: Wanted, labels: Mapping[str, str]) -> None:
        self.wanted = wanted
        self.labels = labels
        self.shades: tuple[str, Mapping[str, float]] | None = None
        """The param that gives the colours, and its value by run."""
        self.grouping: Grouping | None = None
        """Which runs are one band."""
        self.by_points: frozenset[str] = frozenset()
        """Metrics of which some runs have steps and others have none: drawn in the order logged, all of them."""
        self.begin()
        self.said: dict[str, None] = {}

    def begin(self) -> None:
        """Nothing is read yet."""
        self.last: Array | None = None
        self.points = 0
        self.drawn = 0
        self.counts: dict[str, int] = {}
        self.lost: dict[str, tuple[Run, DataMissing]] = {}

    def panels(self, project: Project, runs: Sequence[Run], names: Sequence[str]) -> tuple[Lines, ...]:
        """A panel for each metric that has points. Raises NotFound, and DataMissing where no run's points are here."""
        found = self.read(project, runs, names)
        mixed = [name for name, own in found.items() if len({kind for _, _, kind in own}) > 1]
        if mixed:
            self.begin()
            self.by_points = frozenset(mixed)
            found = self.read(project, runs, names)
        for name in mixed:
            self.said[f"{name}: some of these runs have no steps, so all are drawn by points, in the order logged."] = (
                None
            )
        self.check(runs, found)
        return tuple(self.panel(name, own) for name, own in found.items() if own)

    def read(self, project: Project, runs: Sequence[Run], names: Sequence[str]) -> dict[str, list[Found]]:
        """Metric -> the curves of the runs that have it, and what their places are."""
        columns = {"step": ("steps",), "points": (), "time": ("times",)}.get(self.wanted.x or "step", ("steps",))
        found: dict[str, list[Found]] = {name: [] for name in names}
        partner = self.partner
        asked = [*names, *([partner] if partner and partner not in names else [])]
        logged = {name for run in runs for name in asked if name in run.metrics}
        for run in runs:
            own_names = [name for name in asked if name in run.metrics or name not in logged]
            try:
                read = columns_of_run(project, run, own_names, columns, self.wanted.rank)
            except Damaged:
                raise
            except DataMissing as error:
                self.lost[run.id] = run, error
                continue
            other = read.get(partner) if partner else None
            for name in names:
                own = read.pop(name, None) if name != partner else read.get(name)
                made = None if own is None else self.curve(run, name, own, other)
                if made is not None:
                    found[name].append((run, *made))
        return found

    @property
    def partner(self) -> str | None:
        """The metric that is the horizontal axis."""
        return self.wanted.x if self.wanted.x not in (None, *KINDS) else None

    def check(self, runs: Sequence[Run], found: Mapping[str, Sequence[Found]]) -> None:
        """Say what is missing. Raises NotFound or DataMissing where there is nothing to draw."""
        if self.lost and len(self.lost) == len(runs):
            raise none_here(list(self.lost.values()))
        if self.partner and not any(found.values()):
            raise NotFound(
                f"No run has a metric {self.partner} to draw against.", "Write -x step, time, points or a metric."
            )
        if not any(found.values()):
            of_rank = "" if self.wanted.rank is None else f" of rank {self.wanted.rank}"
            raise NotFound(f"None of these runs has a point{of_rank} to draw.", "What they logged: mltrack metrics RUN")
        if self.lost:
            self.said[lost_words([run for run, _ in self.lost.values()])] = None
        self.say_missing(found, len(runs) - len(self.lost))

    def panel(self, name: str, found: Sequence[Found]) -> Lines:
        x = next(kind for _, _, kind in found)
        axis = Axis(x, "x" in self.wanted.log, "s" if x == "time" else "")
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
        bands: Sequence[Band] = ()
        drawn: Sequence[Drawn] = [(run, curve) for run, curve, _ in found]
        if self.grouping is not None:
            made = banded(name, drawn, self.grouping)
            bands, drawn = made.bands, made.alone
            self.said.update(dict.fromkeys(made.said))
        curves = tuple(self.thin(curve) for _, curve in drawn)
        y = Axis("", "y" in self.wanted.log, unit)
        colour = None if self.shades is None else Axis(self.shades[0], spans_decades(self.shades[1].values()))
        return Lines(name, axis, y, curves, tuple(map(self.thin_band, bands)), colour, self.wanted.y_ends)

    def curve(self, run: Run, name: str, own: Columns, other: Columns | None) -> tuple[Curve, str] | None:
        """A run's curve with all points, and what its x is. None where nothing of it can be drawn."""
        import numpy as np

        from mltrack.compare.curves import smoothed

        by_points = name in self.by_points
        xs, kind = (order_of(own), "points") if by_points else self.places(run, own, other)
        xs = self.shared(xs)
        ys = own.values
        self.points += len(ys)
        xs, ys = self.counted(xs, ys)
        if not len(ys):
            return None
        raw = None
        if self.wanted.smooth and self.wanted.smooth != 1:
            raw, ys = ys, smoothed(ys, self.wanted.smooth)
            if "y" in self.wanted.log:
                ys = np.where(ys > 0, ys, np.nan)
        shade = None if self.shades is None else self.shades[1].get(run.id)
        curve = Curve(self.labels[run.id], xs, ys, raw, run.id, shade)
        return (self.thin(curve) if self.grouping is None else curve), kind

    def places(self, run: Run, own: Columns, other: Columns | None) -> tuple[Array, str]:
        """Where each value stands, and what that is."""
        import numpy as np

        asked = self.wanted.x
        if asked == "time" or (asked is None and len(own.times) and not np.isfinite(own.steps).any()):
            return since_start(run, own), "time"
        if asked in (None, "step") and bool(np.isfinite(own.steps).all()):
            return own.steps, "step"
        if asked in (None, "step", "points"):
            if asked != "points" and np.isfinite(own.steps).any():
                self.count(
                    "without a usable step: that curve is drawn in the order logged",
                    int((~np.isfinite(own.steps)).sum()),
                )
            return order_of(own), "points"
        assert asked is not None
        if other is None:
            return np.full(len(own.values), np.nan), asked
        return at_values_of(own, other), asked

    def counted(self, xs: Array, ys: Array) -> tuple[Array, Array]:
        """The points that have a place; values that have none are gaps. All of them are counted."""
        import numpy as np

        odd = ~np.isfinite(ys)
        self.count("not drawn: not finite (NaN or infinity); a gap is left", int(odd.sum()))
        if odd.any():
            ys = np.where(odd, np.nan, ys)
        nowhere = ~np.isfinite(xs)
        self.count("not drawn: no place on the horizontal axis", int(nowhere.sum()))
        if "x" in self.wanted.log:
            below = xs <= 0
            self.count("not drawn: not positive, on a log axis", int(below.sum()))
            nowhere |= below
        if "y" in self.wanted.log:
            below = ys <= 0
            self.count("not drawn: not positive, on a log axis", int(below.sum()))
            ys = np.where(below, np.nan, ys)
        return (xs[~nowhere], ys[~nowhere]) if nowhere.any() else (xs, ys)

    def shared(self, xs: Array) -> Array:
        """The places of the curve before, where they are the same: twenty runs have a million steps but once."""
        if self.last is None or len(self.last) != len(xs) or not bool((self.last == xs).all()):
            self.last = xs
        return self.last

    def count(self, what: str, many: int) -> None:
        if many:
            self.counts[what] = self.counts.get(what, 0) + many

    def thin(self, curve: Curve) -> Curve:
        """The curve with as many points as are seen."""
        if not self.wanted.is_drawn:
            return curve
        import numpy as np

        from mltrack.compare.curves import thinned

        xs, ys = np.asarray(curve.xs), np.asarray(curve.ys)
        series = [ys] if curve.raw is None else [ys, np.asarray(curve.raw)]
        kept = thinned(xs, series, COLUMNS, "x" in self.wanted.log)
        if len(kept) == len(xs):
            return curve
        self.drawn += len(kept) - len(xs)
        raw = None if curve.raw is None else series[1][kept]
        return replace(curve, xs=xs[kept], ys=ys[kept], raw=raw)

    def thin_band(self, band: Band) -> Band:
        if not self.wanted.is_drawn:
            return band
        import numpy as np

        from mltrack.compare.curves import thinned

        parts = [np.asarray(part) for part in (band.xs, band.middle, band.low, band.high)]
        kept = thinned(parts[0], parts[1:], COLUMNS, "x" in self.wanted.log)
        xs, middle, low, high = (part[kept] for part in parts)
        return replace(band, xs=xs, middle=middle, low=low, high=high)

    def say_missing(self, found: Mapping[str, Sequence[object]], runs: int) -> None:
        for name, own in found.items():
            if not own:
                self.said[f"{name} has no point to draw."] = None
            elif len(own) < runs:
                many = runs - len(own)
                self.said[f"{many:,} of {runs:,} runs {'has' if many == 1 else 'have'} no {name}."] = None

    def remarks(self) -> list[str]:
        """What a reader must know."""
        found = [] if self.wanted.rank is None else [f"Points of rank {self.wanted.rank}."]
        found += self.said
        for what, many in self.counts.items():
            found.append(f"{many:,} {'point' if many == 1 else 'points'} {what}.")
        if self.drawn:
            found.append(f"Drawn from {self.points:,} points: {self.points + self.drawn:,} of them, every peak kept.")
        return found


def spans_decades(values: Iterable[float]) -> bool:
    known = list(values)
    return min(known) > 0 and max(known) / 100 >= min(known)

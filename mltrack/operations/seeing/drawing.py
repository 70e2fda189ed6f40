"""The points of runs -> the curves and bands of a plot; what is not drawn is counted and said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.errors import NotFound
from mltrack.operations.seeing.places import at_values_of, since_start
from mltrack.operations.seeing.points import columns_of_run
from mltrack.plots import Axis, Band, Curve, Lines

if TYPE_CHECKING:
    import numpy

    from mltrack.formats.series_columns import Columns
    from mltrack.operations.seeing.curves import Wanted
    from mltrack.project import Project
    from mltrack.records import Run

    Array = numpy.ndarray[Any, Any]
    Drawn = tuple[Run, Curve]

COLUMNS = 1000
"""Of pixels, about, for which a curve's points are chosen."""
CONFIDENCE = 0.95
KINDS = ("step", "time", "points")
UNITS = {"_bytes": "bytes", "percent": "per cent", "_seconds": "s", "_s": "s"}


class Drawing:
    """Reads the points of one run after the other, keeps of them what is drawn, and counts what is not."""

    def __init__(self, wanted: Wanted, labels: Mapping[str, str]) -> None:
        self.wanted = wanted
        self.labels = labels
        self.shades: tuple[str, Mapping[str, float]] | None = None
        """The param that gives the colours, and its value by run."""
        self.last: Array | None = None
        self.points = 0
        self.drawn = 0
        self.counts: dict[str, int] = {}
        self.said: dict[str, None] = {}

    def panels(self, project: Project, runs: Sequence[Run], names: Sequence[str]) -> tuple[Lines, ...]:
        """A panel for each metric that has points."""
        columns = {"step": ("steps",), "points": (), "time": ("times",)}.get(self.wanted.x or "step", ("steps",))
        found: dict[str, list[tuple[Run, Curve, str]]] = {name: [] for name in names}
        partner = self.wanted.x if self.wanted.x not in (None, *KINDS) else None
        for run in runs:
            asked = [*names, *([partner] if partner and partner not in names else [])]
            read = columns_of_run(project, run, asked, columns, self.wanted.rank)
            other = read.get(partner) if partner else None
            for name in names:
                own = read.pop(name, None) if name != partner else read.get(name)
                if own is not None:
                    made = self.curve(run, name, own, other)
                    if made is not None:
                        found[name].append((run, *made))
        if partner and not any(found.values()):
            raise NotFound(
                f"No run has a metric {partner} to draw against.", "Write -x step, time, points or a metric."
            )
        missing = [name for name in names if not found[name]]
        if len(missing) == len(names):
            of_rank = "" if self.wanted.rank is None else f" of rank {self.wanted.rank}"
            raise NotFound(f"None of these runs has a point{of_rank} to draw.", "What they logged: mltrack metrics RUN")
        self.say_missing(found, len(runs))
        return tuple(self.panel(name, found[name]) for name in names if found[name])

    def panel(self, name: str, found: Sequence[tuple[Run, Curve, str]]) -> Lines:
        x = next(kind for _, _, kind in found)
        axis = Axis(x, "x" in self.wanted.log, "s" if x == "time" else "")
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
        bands: list[Band] = []
        drawn = [(run, curve) for run, curve, _ in found]
        if self.wanted.band:
            bands, drawn = self.bands(name, drawn)
        curves = tuple(self.thin(curve) for _, curve in drawn)
        y = Axis("", "y" in self.wanted.log, unit)
        colour = None if self.shades is None else Axis(self.shades[0], spans_decades(self.shades[1].values()))
        return Lines(name, axis, y, curves, tuple(map(self.thin_band, bands)), colour)

    def curve(self, run: Run, name: str, own: Columns, other: Columns | None) -> tuple[Curve, str] | None:
        """A run's curve with all points, and what its x is. None where nothing of it can be drawn."""
        import numpy as np

        from mltrack.compare.curves import smoothed

        xs, kind = self.places(run, own, other)
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
        return (curve if self.wanted.band else self.thin(curve)), kind

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
            return np.arange(len(own.values), dtype=np.float64), "step" if asked == "step" else "points"
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

    def bands(self, name: str, drawn: Sequence[Drawn]) -> tuple[list[Band], list[Drawn]]:
        """Groups of runs as one each, and the curves of those that are in none."""
        import numpy as np

        from mltrack.compare.curves import band
        from mltrack.operations.seeing.labels import group_labels

        groups: dict[str, list[Drawn]] = {}
        for run, curve in drawn:
            groups.setdefault(self.group_of(run), []).append((run, curve))
        large = {key: group for key, group in groups.items() if len(group) > 1}
        labels = group_labels({key: group[0][0] for key, group in large.items()}, self.labels, self.wanted.group_by)
        found, alone = [], [item for group in groups.values() if len(group) == 1 for item in group]
        for key, group in large.items():
            made = band([(np.asarray(curve.xs), np.asarray(curve.ys)) for _, curve in group], CONFIDENCE)
            if made is None:
                self.said[f"{name}: no band of {labels[key]}, whose {len(group)} runs have no place in common."] = None
                alone += group
                continue
            self.say_cut(name, labels[key], made[0], group)
            found.append(Band(labels[key], *made, len(group), CONFIDENCE))
        if found:
            self.said[self.about_bands()] = None
        elif drawn:
            self.said["No band: no two of these runs are alike but for the seed."] = None
        return found, alone

    def group_of(self, run: Run) -> str:
        from mltrack.compare.alike import likeness

        return self.labels[run.id] if self.wanted.group_by else likeness(run) or run.id

    def about_bands(self) -> str:
        alike = f"the same {self.wanted.group_by}" if self.wanted.group_by else "all alike but the seed"
        return f"A band is the mean of n runs with {alike}, and the {CONFIDENCE:.0%} confidence interval of that mean."

    def say_cut(self, name: str, label: str, xs: Array, group: Sequence[Drawn]) -> None:
        """A band ends with its shortest run."""
        last = max(float(curve.xs[-1]) for _, curve in group)
        if xs[-1] < last:
            self.said[f"{name}: the band of {label} ends at {xs[-1]:g}, with the shortest of its runs."] = None

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

"""The ranks of a run on its page: who they were and how each ended, and their metrics folded below the first one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.formats.ranked import in_ranks
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, number, short_id, size

if TYPE_CHECKING:
    from mltrack.records import MetricSummary, Rank, Run

MOST = 16
"""Ranks that a terminal shows."""
MORE = "... and {} more ranks; --json has them all"
QUIET = ("of itself", "cut off", None)
"""Ways to end that are no reason: a launcher kills the others when one fails."""


def ranks_section(page: Page, run: Run) -> None:
    """A grid of the ranks, and where the reason stands if one of them failed."""
    if not run.ranks:
        return
    page.heading("Ranks")
    page.grid(Grid([rank_row(rank, run.host) for rank in run.ranks], "><<<<", limit=MOST, more=MORE))
    failed = next((rank for rank in run.ranks if rank.ended not in QUIET and rank.log is not None), None)
    if failed is not None:
        page.line(f"  Rank {failed.rank} says why: ", (f"mltrack log {short_id(run.id)} --rank {failed.rank}", "cyan"))


def rank_row(rank: Rank, host: str | None) -> tuple[Cell, ...]:
    """`3   on node2   local 1, devices 0,1   ended with ValueError   12 KiB of output`."""
    device = "" if rank.device is None else f"devices {rank.device or 'none'}"
    local = "" if rank.local_rank is None else f"local {rank.local_rank}"
    ended = "" if rank.ended in ("of itself", None) else "cut off" if rank.ended == "cut off" else f"{rank.ended}"
    return (
        str(rank.rank),
        f"on {rank.host}" if rank.host and rank.host != host else "",
        (", ".join(part for part in (local, device) if part), "dim"),
        (ended, "yellow" if rank.ended in QUIET else "red"),
        ("no output" if rank.log is None else f"{size(rank.log.size_bytes)} of output", "dim"),
    )


def metric_rows(metrics: Mapping[str, MetricSummary]) -> list[tuple[Cell, ...]]:
    """Name, last, min, max and number of points of each metric; other ranks than the first in one row below it."""
    rows: list[tuple[Cell, ...]] = []
    for name, group in in_ranks(metrics).items():
        first = group[0][1]
        rows.append((name, (number(first.last), "cyan"), number(first.min), number(first.max), f"{first.count:,}"))
        if len(group) > 1:
            rows.append(others_row([summary for _, summary in group[1:]]))
    return rows


def others_row(others: Sequence[MetricSummary]) -> tuple[Cell, ...]:
    """`3 more ranks   0.12 .. 0.15`: the range of the last values, and of all."""
    last = span([summary.last for summary in others])
    low, high = span([summary.min for summary in others]), span([summary.max for summary in others])
    points = sum(summary.count for summary in others)
    texts = (f"  {count(len(others), 'more rank')}", last, low.partition(" ..")[0], high.rpartition(".. ")[2])
    return (*((text, "dim") for text in texts), (f"{points:,}", "dim"))


def span(values: Sequence[float | str]) -> str:
    """`0.12 .. 0.15` of some numbers; those that are none, and infinities, only where there is nothing else."""
    finite = sorted(value for value in values if not isinstance(value, str))
    if not finite:
        return ", ".join(sorted({str(value) for value in values}))
    low, high = number(finite[0]), number(finite[-1])
    return low if low == high else f"{low} .. {high}"

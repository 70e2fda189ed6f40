"""The ranks of a run: one entry for each process of a training that was started as several, and its log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.records import Log, Rank, Warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mltrack.collect.ranks import ToldRank
    from mltrack.live.rundir import RunDir
    from mltrack.records import Run
    from mltrack.redact import Redactor
    from mltrack.store.objects import Store

BLOCK = 1 << 20


def ranks_so_far(rundir: RunDir) -> tuple[Rank, ...]:
    """The ranks of a live run, as they told at their start."""
    from mltrack.collect.ranks import read_ranks

    ranks = read_ranks(rundir.path)
    return tuple(Rank(rank.rank, rank.local_rank, rank.host, rank.device) for rank in several(ranks))


def with_ranks(store: Store, run: Run, rundir: RunDir, redactor: Redactor) -> Run:
    """A run that has ended with its ranks, whose logs are put into the store, and what must be said of them."""
    ranks, warnings = fold_ranks(store, run, rundir, redactor)
    return replace(run, ranks=ranks, warnings=(*run.warnings, *warnings)) if ranks or warnings else run


def fold_ranks(
    store: Store, run: Run, rundir: RunDir, redactor: Redactor
) -> tuple[tuple[Rank, ...], tuple[Warning, ...]]:
    """The ranks, and warnings.

    A run in which one rank only was seen has none: it is one process, whatever it was told.
    """
    if not os.path.isdir(rundir.path / "ranks"):
        return (), ()
    from mltrack.collect.imports import read_processes
    from mltrack.collect.ranks import differences, elsewhere, endings, read_ranks, unseen, with_late

    processes = read_processes(rundir.path).told
    told = with_late(read_ranks(rundir.path), processes)
    variables = run.environment.variables
    warnings = unseen(told, variables)
    ranks = several(told)
    if not ranks:
        return (), tuple(warnings)
    kept = rundir.read("ranks") or {}
    ended = endings(ranks, processes)
    truncated = set(kept.get("truncated") or ())
    found = tuple(
        Rank(
            rank.rank,
            rank.local_rank,
            redactor.text(rank.host),
            redactor.text(rank.device) if rank.device is not None else None,
            own_variables(redactor, rank, variables),
            redactor.text(ended[rank.rank]),
            keep_log(store, rundir.path / "ranks" / f"{rank.rank}.log", rank.rank in truncated),
        )
        for rank in ranks
    )
    warnings += [*elsewhere(ranks, run.host), *differences(ranks, processes), *incomplete(kept)]
    return found, tuple(Warning(item.kind, redactor.text(item.message)) for item in warnings)


def several(ranks: list[ToldRank]) -> list[ToldRank]:
    return ranks if len(ranks) > 1 else []


def own_variables(redactor: Redactor, rank: ToldRank, of_run: Mapping[str, str]) -> dict[str, str]:
    """The variables that the rank had and the run had not, or others."""
    return {name: text for name, text in redactor.variables(rank.variables).items() if of_run.get(name) != text}


def keep_log(store: Store, path: Path, truncated: bool) -> Log | None:
    """Store a rank's log; None where it wrote nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(fd, "rb") as file:
        first = file.read(BLOCK)
        if not first:
            return None
        if len(first) < BLOCK:
            return Log(store.put_bytes(first), len(first), truncated)
        return Log(*store.put_stream(whole(first, file)), truncated)


def whole(first: bytes, file: Any) -> Iterator[bytes]:
    while first:
        yield first
        first = file.read(BLOCK)


def incomplete(kept: Mapping[str, Any]) -> list[Warning]:
    """Warnings by what the keeper tells: bytes that no rank's log has."""
    from mltrack.collect.ranks import named

    found = []
    lost, errors, unkept = kept.get("lost") or {}, kept.get("errors") or {}, kept.get("unkept") or 0
    if lost:
        size = sum(lost.values())
        text = f"The logs of {named(map(int, lost))} lack {size} bytes, which came too fast; the whole log has them."
        found.append(Warning("rank-log-incomplete", text))
    if kept.get("error"):
        found.append(Warning("rank-log-incomplete", f"The logs of the ranks stopped: {kept['error']}."))
    if errors:
        reason = next(iter(errors.values()))
        found.append(Warning("rank-log-incomplete", f"The logs of {named(map(int, errors))} stopped: {reason}."))
    if unkept:
        text = f"{unkept} more ranks of this host have no log of their own: that many files are not kept open."
        found.append(Warning("rank-log-missing", text))
    return found

"""After the run: what its ranks told of themselves at their start, in `ranks/<rank>` of the run directory.

Written by `inside/_mltrack_rank.py` in processes of the user, so that nothing in it is trusted. Here is told apart how
each rank ended, and in what they differ; the logs themselves are the keeper's (`live/ranks.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.collect.imports import read_capped
from mltrack.live.ranks import DIRECTORY
from mltrack.nouns import noun
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.collect.imports import Process

MOST_RANKS = 4096
MOST_BYTES = 1 << 16
MOST_VARIABLES = 200

OF_ITSELF = "of itself"
CUT_OFF = "cut off"
"""Killed, or ended by `os._exit`: gone before it could tell."""

DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
STARTED_AS_RANK = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
"""In a run's own variables: the run itself is one of several that a launcher has started."""
SAME = ("torch", "torch.cuda", "tensorflow", "jax", "blas", "cuda", "cudnn", "nccl")
"""Of the software that processes tell of, what must be the same in every rank."""


@noun
class ToldRank:
    """What the first process of a rank told at its start."""

    rank: int
    of: int
    """How many ranks it was told that there are."""
    local_rank: int | None
    host: str
    pid: int
    prefix: str
    python: str
    has_log: bool
    """It reached the keeper, so that what it writes is in a log of its own."""
    variables: Mapping[str, str]

    @property
    def device(self) -> str | None:
        return next((self.variables[name] for name in DEVICES if name in self.variables), None)


def read_ranks(run_dir: Path) -> list[ToldRank]:
    """The ranks of a run, the lowest first. Never raises for what is missing, damaged or strange."""
    place = run_dir / DIRECTORY
    try:
        names = [name for name in os.listdir(place) if name.isascii() and name.isdigit() and len(name) < 8]
    except OSError:
        return []
    texts = ((name, read_capped(place / name, MOST_BYTES)) for name in sorted(names, key=int)[:MOST_RANKS])
    found = (parse_rank(int(name), text) for name, text in texts if text is not None)
    return [rank for rank in found if rank is not None]


def with_late(ranks: Sequence[ToldRank], processes: Iterable[Process]) -> list[ToldRank]:
    """And those that were none yet at their start: Lightning's first process starts the others, and then is rank 0."""
    found = {rank.rank: rank for rank in ranks}
    size = max((rank.of for rank in ranks), default=0)
    for process in processes:
        number = int(process.rank) if process.rank.isascii() and process.rank.isdigit() else size
        if number < size and number not in found:
            found[number] = ToldRank(
                number, size, None, process.host, process.pid, process.prefix, process.python, False, {}
            )
    return [found[number] for number in sorted(found)]


def parse_rank(rank: int, text: bytes) -> ToldRank | None:
    """Entries `name=text`, each ended by a NUL: facts in small letters, variables; None if this is nothing of ours."""
    pairs = [os.fsdecode(entry).partition("=") for entry in text.split(b"\0")[:-1]]
    told = {name: value for name, _, value in pairs if value.isprintable()}
    facts = {name: value for name, value in told.items() if name.islower()}
    variables = {name: value for name, value in told.items() if not name.islower()}
    local = facts.get("local_rank", "")
    try:
        return ToldRank(
            rank=rank,
            of=int(facts["of"]),
            local_rank=int(local) if local else None,
            host=facts["host"],
            pid=int(facts["pid"]),
            prefix=facts["prefix"],
            python=facts["python"],
            has_log=facts.get("log") == "1",
            variables=dict(sorted(variables.items())[:MOST_VARIABLES]),
        )
    except (KeyError, ValueError):
        return None


def endings(ranks: Iterable[ToldRank], processes: Iterable[Process]) -> dict[int, str]:
    """Rank -> how it ended: OF_ITSELF, CUT_OFF, or the name of the exception that was its end."""
    errors: dict[str, str] = {}
    whole = set()
    for process in processes:
        if process.rank and not process.is_forked:
            whole.add((process.rank, process.pid))
            if process.error:
                errors.setdefault(process.rank, process.error)
    found = {}
    for rank in ranks:
        own = str(rank.rank)
        found[rank.rank] = errors.get(own) or (OF_ITSELF if (own, rank.pid) in whole else CUT_OFF)
    return found


def differences(ranks: Sequence[ToldRank], processes: Iterable[Process]) -> list[Warning]:
    """Warnings where ranks ran with different software."""
    facts: dict[str, dict[str, list[int]]] = {}
    pids = {(str(rank.rank), rank.pid): rank.rank for rank in ranks}
    for rank in ranks:
        facts.setdefault("Python", {}).setdefault(rank.python, []).append(rank.rank)
        facts.setdefault("environment", {}).setdefault(rank.prefix, []).append(rank.rank)
    for process in processes:
        number = pids.get((process.rank, process.pid))
        for key in SAME if number is not None and not process.is_forked else ():
            if key in process.facts:
                facts.setdefault(key, {}).setdefault(process.facts[key], []).append(number or 0)
    parts = [
        f"{key} {', '.join(f'{value} ({named(who)})' for value, who in sorted(values.items(), key=first))}"
        for key, values in facts.items()
        if len(values) > 1
    ]
    if not parts:
        return []
    return [Warning("ranks-differ", f"The ranks ran with different software: {'; '.join(parts)}.")]


def first(item: tuple[str, list[int]]) -> int:
    return min(item[1])


def unseen(ranks: Sequence[ToldRank], variables: Mapping[str, str]) -> list[Warning]:
    """A warning where fewer ranks told of themselves than there were. `variables`: the run's own."""
    if not ranks or any(name in variables for name in STARTED_AS_RANK):
        return []
    size = max(rank.of for rank in ranks)
    missing = size - len(ranks)
    if missing <= 0:
        return []
    text = f"Of {size} ranks, {missing} were not seen: they were no Python programs, or ran where the variables of the "
    return [Warning("ranks-unseen", f"{text}run did not reach them.")]


def elsewhere(ranks: Sequence[ToldRank], host: str | None) -> list[Warning]:
    """Warnings for ranks on other hosts, and for those of this one without a log of their own."""
    hosts = list(dict.fromkeys(rank.host for rank in ranks))
    here = host if host in hosts else hosts[0] if hosts else None
    found = []
    for other in [name for name in hosts if name != here]:
        there = [rank.rank for rank in ranks if rank.host == other]
        text = f"{named(there).capitalize()} ran on {other}: the packages and the hardware there are not recorded"
        logs = "" if all(rank.has_log for rank in ranks if rank.host == other) else ", and what they wrote not by rank"
        found.append(Warning("ranks-elsewhere", f"{text}{logs}."))
    silent = [rank.rank for rank in ranks if rank.host == here and not rank.has_log]
    if silent:
        found.append(Warning("rank-log-missing", f"No log of its own is kept of {named(silent)}: see the whole log."))
    return found


def named(numbers: Iterable[int]) -> str:
    """`rank 3`, `ranks 0-2, 5`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
    return f"rank{'' if len(runs) == 1 and runs[0][0] == runs[0][1] else 's'} {parts}"

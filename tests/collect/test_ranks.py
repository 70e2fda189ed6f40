"""What ranks told: read without trust, told apart by how they ended and what they ran with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.collect.imports import Process
from mltrack.collect.ranks import (
    CUT_OFF,
    OF_ITSELF,
    ToldRank,
    differences,
    elsewhere,
    endings,
    named,
    parse_rank,
    read_ranks,
    unseen,
)

RANK = ToldRank(0, 4, 0, "here", 10, "/v", "3.11.7", True, {})
RANKS = [replace(RANK, rank=number, pid=10 + number) for number in range(4)]
PROCESS = Process("/v/bin/python", "/v", "3.11.7", False, "train.py", {}, {}, {})


def entry(**facts: object) -> bytes:
    known = {"of": 4, "local_rank": 1, "host": "h", "pid": 7, "log": 1, "prefix": "/v", "python": "3.11.7", **facts}
    return b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in known.items() if value is not None)


def test_ranks_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "ranks").mkdir()
    for number in (10, 9, 0):
        (tmp_path / "ranks" / str(number)).write_bytes(entry(RANK=number, CUDA_VISIBLE_DEVICES="1"))
    (tmp_path / "ranks" / "9.log").write_bytes(b"0.001 o a log\n")
    found = read_ranks(tmp_path)
    assert [rank.rank for rank in found] == [0, 9, 10]
    assert (found[0].device, found[0].local_rank, found[0].variables["RANK"]) == ("1", 1, "0")


@pytest.mark.parametrize("spoil", ["cut", "link", "directory", "large", "fifo"])
def test_what_is_damaged_or_strange_is_passed_over(tmp_path: Path, spoil: str) -> None:
    place = tmp_path / "ranks"
    place.mkdir()
    (place / "1").write_bytes(entry())
    (tmp_path / "whole").write_bytes(entry())
    strange = place / "0"
    if spoil == "cut":
        strange.write_bytes(entry()[:20])
    elif spoil == "link":
        strange.symlink_to(tmp_path / "whole")
    elif spoil == "directory":
        strange.mkdir()
    elif spoil == "large":
        strange.write_bytes(entry() + b"x" * 100_000)
    else:
        os.mkfifo(strange)
    assert [rank.rank for rank in read_ranks(tmp_path)] == [1]


def test_a_run_without_ranks_has_none(tmp_path: Path) -> None:
    assert read_ranks(tmp_path) == []


@given(st.binary(max_size=200))
def test_no_bytes_at_all_are_an_error(text: bytes) -> None:
    rank = parse_rank(3, text)
    assert rank is None or rank.rank == 3


def test_how_a_rank_ended_is_what_its_process_told() -> None:
    processes = [
        replace(PROCESS, rank="0", pid=10),
        replace(PROCESS, rank="1", pid=11, error="ValueError"),
        replace(PROCESS, rank="2", pid=99),  # a program that rank 2 has started
        replace(PROCESS, rank="3", pid=13, is_forked=True),
    ]
    assert endings(RANKS, processes) == {0: OF_ITSELF, 1: "ValueError", 2: CUT_OFF, 3: CUT_OFF}


def test_ranks_of_the_same_software_do_not_differ() -> None:
    processes = [replace(PROCESS, rank=str(rank.rank), pid=rank.pid, facts={"torch": "2.1"}) for rank in RANKS]
    assert differences(RANKS, processes) == []


def test_ranks_of_other_software_are_named() -> None:
    ranks = [*RANKS[:3], replace(RANKS[3], python="3.12.1")]
    versions = {0: "2.1", 1: "2.1", 2: "2.2", 3: "2.1"}
    processes = [
        replace(PROCESS, rank=str(number), pid=10 + number, facts={"torch": version, "torch.threads": str(number)})
        for number, version in versions.items()
    ]
    (warning,) = differences(ranks, processes)
    assert warning.kind == "ranks-differ"
    assert "Python 3.11.7 (ranks 0-2), 3.12.1 (rank 3); torch 2.1 (ranks 0-1, 3), 2.2 (rank 2)." in warning.message


def test_ranks_that_told_nothing_are_counted() -> None:
    assert unseen(RANKS, {}) == []
    assert [item.kind for item in unseen(RANKS[:3], {})] == ["ranks-unseen"]
    assert "Of 4 ranks, 1 " in unseen(RANKS[:3], {})[0].message
    assert unseen(RANKS[:1], {"SLURM_PROCID": "0"}) == []  # each rank is a run of its own


def test_ranks_of_other_hosts_and_without_logs_are_told_once() -> None:
    ranks = [*RANKS[:2], *(replace(rank, host="there", has_log=False) for rank in RANKS[2:])]
    (warning,) = elsewhere(ranks, "here")
    assert warning.message.startswith("Ranks 2-3 ran on there: ")
    assert "not by rank" in warning.message
    (warning,) = elsewhere([RANKS[0], replace(RANKS[1], has_log=False)], "here")
    assert (warning.kind, "rank 1:" in warning.message) == ("rank-log-missing", True)
    assert elsewhere(RANKS, "the host of a container") == []


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([3], "rank 3"), ([1, 0], "ranks 0-1"), ([5, 0, 1, 2, 9], "ranks 0-2, 5, 9"), ([1, 3], "ranks 1, 3")],
)
def test_many_ranks_are_named_in_few_words(numbers: list[int], text: str) -> None:
    assert named(numbers) == text

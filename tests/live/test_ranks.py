"""Logs of ranks, from frames that come through a FIFO: whatever comes, in whatever pieces."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mltrack.live.ranks as ranks
from mltrack.live.outputlog import plain_bytes
from mltrack.live.ranks import FIFO, RankLogs
from mltrack.redact import Redactor
from tests.executors.driving import soak

FRAMES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("oe"), st.binary(max_size=30) | st.just(b"\1R1 o 0 3\nabc\n")),
    max_size=20,
)


def frame(rank: int, letter: str, data: bytes, lost: int = 0) -> bytes:
    return b"\1R%d %c %d %d\n%b" % (rank, ord(letter), lost, len(data), data)


def plain() -> Callable[[bytes], bytes]:
    return lambda line: line


def sent(logs: RankLogs, data: bytes, at_s: float = 0.0) -> None:
    assert logs.fd is not None
    os.write(logs.fd, data)
    logs.read(at_s)


def text(place: Path, rank: int, letter: str | None = None) -> bytes:
    return plain_bytes((place / "ranks" / f"{rank}.log").read_bytes(), letter)


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 600), max_size=6))
@settings(max_examples=soak(60), deadline=None)
def test_the_bytes_of_each_rank_come_back(
    tmp_path_factory: pytest.TempPathFactory, frames: list[tuple[int, str, bytes]], cuts: list[int]
) -> None:
    place = tmp_path_factory.mktemp("run")
    logs = RankLogs(place, 1 << 30, plain)
    data = b"".join(frame(*one) for one in frames)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        sent(logs, data[start:end])
    assert not any(logs.close(1.0, 1 << 20).values())
    for rank, letter in {(rank, letter) for rank, letter, data in frames if data}:
        expected = b"".join(data for of, to, data in frames if (of, to) == (rank, letter))
        assert text(place, rank, letter) == expected


@given(st.lists(st.binary(max_size=50) | st.sampled_from([b"\1R", b"\1R1 o 0 99999\n", b"\1R1 o 0 2\n"]), max_size=12))
@settings(max_examples=soak(60), deadline=None)
def test_after_anything_at_all_a_whole_frame_is_read(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes]
) -> None:
    place = tmp_path_factory.mktemp("run")
    logs = RankLogs(place, 1 << 30, plain)
    sent(logs, b"".join(noise) + b"x" * 70000)
    sent(logs, frame(5, "o", b"the whole line\n") * 2)
    assert logs.close(1.0, 1 << 20)["error"] is None
    assert b"the whole line\n" in text(place, 5)


def test_each_log_is_redacted_by_itself(tmp_path: Path) -> None:
    logs = RankLogs(tmp_path, 1 << 30, lambda: Redactor({"API_TOKEN": "hunter22hunter22"}).another().data)
    key = b"-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBgkq\n"
    sent(
        logs,
        frame(0, "o", key) + frame(1, "o", b"fine\n") + frame(0, "o", b"kqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"),
    )
    for part in (b"token=hunter2", b"2hunter22\n"):
        sent(logs, frame(2, "e", part))
    logs.close(1.0, 1 << 20)
    assert text(tmp_path, 1) == b"fine\n"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "ranks").iterdir())
    assert b"MIIE" not in kept
    assert b"kqhki" not in kept
    assert b"hunter22" not in kept


def test_logs_are_limited_each(tmp_path: Path) -> None:
    logs = RankLogs(tmp_path, 1000, plain)
    for _ in range(100):
        sent(logs, frame(0, "o", b"a line of some length\n"))
    sent(logs, frame(1, "o", b"short\n"))
    assert logs.close(1.0, 1 << 20)["truncated"] == [0]
    assert (tmp_path / "ranks" / "0.log").stat().st_size <= 1100
    assert text(tmp_path, 1) == b"short\n"


def test_what_a_rank_could_not_send_is_told(tmp_path: Path) -> None:
    logs = RankLogs(tmp_path, 1 << 20, plain)
    sent(logs, frame(3, "o", b"a\n", lost=10) + frame(3, "o", b"b\n", lost=5))
    assert logs.close(1.0, 1 << 20)["lost"] == {"3": 15}


def test_more_ranks_than_files_may_be_open_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "MOST_LOGS", 2)
    logs = RankLogs(tmp_path, 1 << 20, plain)
    sent(logs, b"".join(frame(rank, "o", b"a\n") for rank in (0, 1, 2, 3, 3)))
    assert logs.close(1.0, 1 << 20)["unkept"] == 2
    assert sorted(path.name for path in (tmp_path / "ranks").iterdir()) == ["0.log", "1.log"]


def test_an_unfinished_line_is_recorded_after_a_second(tmp_path: Path) -> None:
    logs = RankLogs(tmp_path, 1 << 20, plain)
    sent(logs, frame(0, "o", b"50%"), at_s=1.0)
    assert logs.is_waiting
    logs.flush_idle(2.5)
    assert text(tmp_path, 0) == b"50%"
    assert not logs.is_waiting
    logs.close(3.0, 1 << 20)


def test_without_a_fifo_there_are_no_logs_and_no_error(tmp_path: Path) -> None:
    (tmp_path / FIFO).write_text("in the way")
    logs = RankLogs(tmp_path, 1 << 20, plain)
    assert logs.fd is None
    assert logs.read(0.0) == 0
    assert not any(logs.close(1.0, 1 << 20).values())


def test_nobody_but_the_owner_reads_the_fifo(tmp_path: Path) -> None:
    logs = RankLogs(tmp_path, 1 << 20, plain)
    mode = (tmp_path / FIFO).stat().st_mode
    logs.close(1.0, 1 << 20)
    assert stat.S_ISFIFO(mode)
    assert not mode & 0o044

"""The output log: exact bytes back, whatever blocks they come in; limits, progress bars, redaction, full disks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.live.logwriter import LONGEST, LogWriter
from mltrack.live.outputlog import LogLine, plain_bytes, read_log
from tests.executors.driving import Driven, python, soak

TEXT = st.lists(st.sampled_from([b"a", b"loss 0.1", b"\n", b"\r", b"\r\n", b"\xff\x00", b" o ", b"1.000 e x"])).map(
    b"".join
)


def open_log(place: Path, limit: int = 1 << 30, returns: str = "") -> LogWriter:
    return LogWriter(place / "output.log", limit, lambda line: line.replace(b"hunter22", b"***"), returns)


def written(place: Path) -> bytes:
    return (place / "output.log").read_bytes()


def records(place: Path) -> list[LogLine]:
    return list(read_log(written(place)))


@given(blocks=st.lists(st.tuples(st.sampled_from("oe"), TEXT, st.booleans()), max_size=12))
@settings(max_examples=soak(60), deadline=None)
def test_the_bytes_of_each_stream_come_back(tmp_path_factory: pytest.TempPathFactory, blocks: list) -> None:
    place = tmp_path_factory.mktemp("log")
    log = open_log(place)
    for at, (stream, data, is_idle) in enumerate(blocks):
        log.feed(stream, data, at)
        if is_idle:
            log.flush_idle(at + 2)
    log.close(99)
    for stream in "oe":
        assert plain_bytes(written(place), stream) == b"".join(data for name, data, _ in blocks if name == stream)
    assert log.size == len(written(place))
    assert (log.truncated, log.error) == (False, None)


@given(text=TEXT, cut=st.integers(0, 200))
@settings(max_examples=soak(60), deadline=None)
def test_what_the_terminal_made_of_a_newline_is_undone(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, cut: int
) -> None:
    place = tmp_path_factory.mktemp("log")
    log = open_log(place, returns="o")
    shown = text.replace(b"\n", b"\r\n")
    log.feed("o", shown[:cut], 0)
    log.feed("o", shown[cut:], 1)
    log.close(2)
    assert plain_bytes(written(place)) == text


def test_a_record_tells_time_stream_and_whether_the_line_ended(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.feed("o", b"one\ntw", 1.5)
    log.feed("e", b"oh\n", 2)
    log.feed("o", b"o\nAre you sure? ", 3)
    log.close(4)
    assert written(tmp_path) == b"1.500 o one\n2.000 e oh\n3.000 o two\n4.000 O Are you sure? \n"


def test_an_unfinished_line_is_recorded_after_a_while(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.feed("o", b"waiting", 1)
    assert log.is_waiting
    log.flush_idle(1.5)
    assert written(tmp_path) == b""
    log.flush_idle(2.1)
    assert not log.is_waiting
    log.feed("o", b"...done\n", 5)
    log.close(6)
    assert [(line.at_s, line.data, line.ends) for line in records(tmp_path)] == [
        (2.1, b"waiting", False),
        (5.0, b"...done", True),
    ]


def test_each_state_of_a_progress_bar_is_a_record(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.feed("e", b"\r 10%", 1)
    log.feed("e", b"\r 20%\r", 2)
    log.feed("e", b"\n", 3)
    log.close(4)
    assert [(line.data, line.ends) for line in records(tmp_path)] == [
        (b"\r", False),
        (b" 10%\r", False),
        (b" 20%\r", True),
    ]


def test_a_very_long_line_is_cut_between_words(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    word = b"x" * 4000 + b" hunter22 "
    for _ in range(50):
        log.feed("o", word, 0)
    assert max(len(line.data) for line in records(tmp_path)) <= LONGEST
    log.close(1)
    assert b"hunter" not in written(tmp_path)
    assert plain_bytes(written(tmp_path)) == word.replace(b"hunter22", b"***") * 50


def test_a_full_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    log = open_log(tmp_path, limit=4000)
    for number in range(1000):
        log.feed("o", b"line %d\n" % number, number)
    log.close(1000)
    lines = records(tmp_path)
    gap = next(index for index, line in enumerate(lines) if line.stream == "x")
    head, tail = lines[:gap], lines[gap + 1 :]
    assert len(written(tmp_path)) <= 4000
    assert log.truncated
    assert [line.data for line in head] == [b"line %d" % number for number in range(len(head))]
    assert [line.data for line in tail] == [b"line %d" % number for number in range(1000 - len(tail), 1000)]
    missing = sum(len(b"%d.000 o line %d\n" % (n, n)) for n in range(len(head), 1000 - len(tail)))
    assert lines[gap].data == b"%d bytes left out" % missing
    assert plain_bytes(written(tmp_path)).count(b"left out") == 0


@pytest.mark.parametrize("over", [0, 1])
def test_a_log_that_just_fits_is_whole(tmp_path: Path, over: int) -> None:
    data = b"".join(b"line %03d\n" % number for number in range(100))
    log = open_log(tmp_path, limit=100 * len(b"0.000 o line 000\n") - over)
    log.feed("o", data, 0)
    log.close(0)
    assert log.truncated == bool(over)
    assert (plain_bytes(written(tmp_path)) == data) is not bool(over)


def test_a_failing_redactor_stops_the_log_and_writes_nothing_raw(tmp_path: Path) -> None:
    def broken(line: bytes) -> bytes:
        raise ValueError("no")

    log = LogWriter(tmp_path / "output.log", 1 << 20, broken)
    log.feed("o", b"secret\n", 0)
    log.feed("o", b"more\n", 1)
    log.close(2)
    assert written(tmp_path) == b""
    assert log.error == "ValueError: no"


def test_a_log_that_cannot_be_opened_is_an_error_told_once(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "none" / "output.log", 1 << 20, bytes)
    log.feed("o", b"x\n", 0)
    log.close(1)
    assert log.error == "No such file or directory"


def test_a_torn_record_at_the_end_is_given_as_unfinished() -> None:
    assert list(read_log(b"1.000 o whole\n2.000 e to")) == [
        LogLine(1.0, "o", b"whole", True),
        LogLine(2.0, "e", b"to", False),
    ]


def test_lines_that_are_no_records_are_passed_over() -> None:
    assert [line.data for line in read_log(b"junk\n\n1.0 z x\nnan? o x\n1.000 o good\n")] == [b"good"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 300 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.needs("mount")
def test_a_full_disk_stops_the_log_and_not_the_command(small_disk: Path, tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs")
    driven.rundir.path.parent.joinpath("run").symlink_to(small_disk)
    done = driven.run(*python("for n in range(100_000): print('line', n)\nprint('end')"))
    assert done.returncode == 0
    assert done.stdout.endswith(b"line 99999\nend\n")
    assert driven.result["log_error"] == "No space left on device"
    assert driven.result["status"] == "finished"
    lines = driven.logged().splitlines()
    assert lines == [b"line %d" % number for number in range(len(lines))]
    assert 200_000 < os.path.getsize(driven.rundir.output) <= 300 << 10

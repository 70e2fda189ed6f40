"""Which lines of a log are wanted, and reading one while it grows."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mltrack.live.outputlog import LogLine, new_records, read_log
from mltrack.live.rundir import RunDir
from mltrack.operations import log
from mltrack.operations.log import Part, blocks, growing, last_lines, wanted, whole_size
from mltrack.views.log import as_json, as_written, with_times

BAR = [
    LogLine(0.5, "o", b"begin", True),
    LogLine(1.0, "e", b"\r", False),
    LogLine(1.0, "e", b"1/3\r", False),
    LogLine(1.5, "o", b"epoch 1", True),
    LogLine(2.0, "e", b"2/3\r", False),
    LogLine(3.0, "e", b"3/", False),
    LogLine(3.1, "e", b"3", True),
    LogLine(61.0, "o", b"end", True),
]


def test_the_last_lines_have_of_a_progress_bar_its_last_state() -> None:
    assert b"".join(as_written(last_lines(BAR, 3))) == b"3/3\nepoch 1\nend\n"
    assert b"".join(as_written(last_lines(BAR, 1))) == b"end\n"
    assert last_lines(BAR, 0) == []
    assert len(last_lines(BAR, 100)) == 5


def test_one_stream_is_chosen_and_a_gap_is_told_in_both() -> None:
    given = [*BAR, LogLine(70.0, "x", b"9 bytes left out", True)]
    assert b"".join(as_written(wanted(given, Part(stream="o")))) == b"begin\nepoch 1\nend\n[9 bytes left out]\n"
    assert b"".join(as_written(wanted(given, Part(stream="e")))) == b"\r1/3\r2/3\r3/3\n[9 bytes left out]\n"


def test_times_stand_at_the_beginning_of_lines_and_of_states() -> None:
    assert b"".join(with_times(BAR[4:])) == b"0:00:02.000  2/3\r0:00:03.000  3/3\n0:01:01.000  end\n"


def test_json_lines_lose_nothing() -> None:
    entries = [json.loads(line) for line in as_json([LogLine(1.0, "o", b"\xff", True), BAR[2]])]
    assert entries == [
        {"at_s": 1.0, "stream": "o", "text": "\ufffd", "ends": True},
        {"at_s": 1.0, "stream": "e", "text": "1/3\r", "ends": False},
    ]


def test_what_is_there_of_a_growing_log_ends_with_a_whole_record() -> None:
    file = io.BytesIO(b"1.000 o a\n" * 20_000 + b"2.000 o torn")
    assert whole_size(file) == 200_000
    assert len(list(read_log(blocks(file, 200_000)))) == 20_000
    assert file.read() == b"2.000 o torn"
    assert whole_size(io.BytesIO(b"no end" * 30_000)) == 0
    assert whole_size(io.BytesIO()) == 0


def test_new_records_come_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    assert new_records(path, 0) == ([], 0)
    path.write_bytes(b"1.000 o a\n2.000 o to")
    records, offset = new_records(path, 0)
    assert [record.data for record in records] == [b"a"]
    with path.open("ab") as file:
        file.write(b"rn\n")
    records, offset = new_records(path, offset)
    assert [record.data for record in records] == [b"torn"]
    assert new_records(path, offset) == ([], offset)


def test_following_ends_when_the_run_has_gone_and_gives_what_came_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rundir = RunDir.create(tmp_path, "r1")
    rundir.output.write_bytes(b"1.000 o a\n")

    def end(_: float) -> None:
        with rundir.output.open("ab") as file:
            file.write(b"2.000 o b\n")
        rundir.remove()

    monkeypatch.setattr(log.time, "sleep", end)
    with open(rundir.output, "rb") as file:
        assert [record.data for record in read_log(growing(file, rundir))] == [b"a", b"b"]

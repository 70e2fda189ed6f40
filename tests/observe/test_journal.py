from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mltrack.observe import Event
from mltrack.observe.journal import LONGEST_LINE, Tail, parse, read


def escaped(path: bytes) -> bytes:
    return path.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def line(letter: str, pid: int, at: int, path: bytes, other: bytes | None = None) -> bytes:
    tail = b"" if other is None else b"\t" + escaped(other)
    return b"%s %d %d\t%s%s\n" % (letter.encode(), pid, at, escaped(path), tail)


names = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name).map(lambda name: b"/" + name)


@given(names, names, st.integers(1, 2**31), st.integers(0, 2**62))
def test_any_path_comes_back_as_it_was(path: bytes, other: bytes, pid: int, at: int) -> None:
    event = parse(line("m", pid, at, path, other)[:-1])
    assert event == Event("m", pid, at, os.fsdecode(path), os.fsdecode(other))


@given(st.binary(max_size=60))
def test_a_strange_line_is_no_event_and_no_error(data: bytes) -> None:
    event = parse(data.replace(b"\n", b""))
    assert event is None or event.letter in "rwulmdskbnphxi!"


def test_a_relative_path_a_nul_and_a_letter_that_nobody_knows_are_passed_over() -> None:
    assert parse(b"r 1 2\trelative") is None
    assert parse(b"r 1 2\t/a\0b") is None
    assert parse(b"q 1 2\t/a") is None
    assert parse(b"r -1 2\t/a") is None
    assert parse(b"m 1 2\t/a\tb") is None
    assert parse(b"n 1 2\thttps://example.org/a") == Event("n", 1, 2, "https://example.org/a")


def test_a_torn_last_line_waits_for_its_rest(tmp_path: Path) -> None:
    whole = line("r", 1, 2, b"/a") + line("w", 1, 3, b"/b")
    place = tmp_path / "host.log"
    place.write_bytes(whole[:-4])
    tail = Tail(tmp_path)
    assert [event.path for event in tail.take()] == ["/a"]
    assert tail.take() == []
    with open(place, "ab") as file:
        file.write(whole[-4:])
    assert [event.path for event in tail.take()] == ["/b"]
    assert tail.strange == 0
    tail.close()


def test_hosts_are_merged_by_time_and_their_processes_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line("r", 7, 10, b"/a1") + line("r", 7, 30, b"/a2"))
    (tmp_path / "b.log").write_bytes(line("r", 7, 20, b"/b1"))
    events = list(read(tmp_path))
    assert [event.path for event in events] == ["/a1", "/b1", "/a2"]
    assert events[0].pid == events[2].pid != events[1].pid


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(line("r", 1, 2, b"/a"))
    (tmp_path / "link.log").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "directory.log").mkdir()
    assert list(read(tmp_path)) == []
    assert list(read(tmp_path / "nowhere")) == []


def test_a_line_without_end_is_passed_over_and_what_follows_is_read(tmp_path: Path) -> None:
    place = tmp_path / "host.log"
    place.write_bytes(line("r", 1, 2, b"/" + b"x" * LONGEST_LINE * 3) + line("r", 1, 3, b"/after"))
    tail = Tail(tmp_path)
    assert [event.path for event in tail.take()] == ["/after"]
    assert tail.strange == 1
    tail.close()


def test_an_endless_line_that_grows_is_dropped_as_it_comes(tmp_path: Path) -> None:
    place = tmp_path / "host.log"
    tail = Tail(tmp_path)
    with open(place, "ab", buffering=0) as file:
        for _ in range(4):
            file.write(b"y" * LONGEST_LINE)
            assert tail.take() == []
        file.write(b"\n" + line("r", 1, 3, b"/after"))
    assert [event.path for event in tail.take()] == ["/after"]
    assert tail.strange == 1
    tail.close()

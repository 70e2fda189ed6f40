"""inotify on directories: what it tells of files, and that it says what it missed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.observe import directories
from mltrack.observe.directories import Directories, renamed, split
from tests.helpers import write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    write(tmp_path, {"data/a.csv": "1\n", "data/b.csv": "2\n", "log": "begun\n", "old": "x"})
    return tmp_path


@pytest.fixture
def watched(top: Path) -> Iterator[Directories]:
    watcher = Directories([str(top)])
    assert watcher.start()
    yield watcher
    watcher.stop()


def told(watcher: Directories, top: Path, is_over: bool = False) -> list[str]:
    """What was told, as `letter path [path]`, paths from the top."""
    events = watcher.take() + (watcher.stop() if is_over else [])
    assert {event.pid for event in events} <= {0}
    return [" ".join([e.letter, *(os.path.relpath(path, top) for path in (e.path, e.other) if path)]) for e in events]


def sh(top: Path, script: str) -> None:
    subprocess.run(["sh", "-ec", script], cwd=top, check=True)


def test_reads_and_writes_of_any_program_are_told_once(watched: Directories, top: Path) -> None:
    sh(top, "cat data/a.csv data/a.csv > out; cat data/a.csv >> out; cat out >> log")
    assert told(watched, top) == ["w out", "r data/a.csv", "r out", "w log"]
    sh(top, "cat data/a.csv data/b.csv > /dev/null")
    assert told(watched, top) == ["r data/b.csv"]


def test_what_is_only_listed_is_not_told(watched: Directories, top: Path) -> None:
    sh(top, "ls -la data >/dev/null; stat old >/dev/null; mkdir empty; rmdir empty")
    assert told(watched, top) == ["d empty"]


def test_renames_and_removals_start_a_path_anew(watched: Directories, top: Path) -> None:
    sh(top, "echo 1 > new; mv new final; rm final; echo 2 > final; mv old gone; cat gone > /dev/null")
    assert told(watched, top) == ["w new", "m new final", "d final", "w final", "m old gone", "r gone"]


def test_what_leaves_and_what_comes_from_outside(top: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, {"in/f": "1", "g": "2"})
    watcher = Directories([str(top)])
    watcher.start()
    sh(top, f"mv data {outside}/data; mv {outside}/g g; mv {outside}/in in")
    lines = told(watcher, top)
    sh(top, f"cat in/f {outside}/data/a.csv > /dev/null")
    assert sorted([*lines, *told(watcher, top, is_over=True)]) == ["d data", "r in/f", "w g", "w in/f"]


def test_new_directories_are_watched_however_quickly_they_fill(watched: Directories, top: Path) -> None:
    script = (
        "for i in 1 2 3 4 5 6 7 8; do mkdir -p n/$i/deep; echo 1 > n/$i/deep/f; done; mv n moved; cat moved/*/deep/f"
    )
    subprocess.run(["sh", "-ec", script], cwd=top, check=True, capture_output=True)
    time.sleep(0.05)
    lines = told(watched, top)
    assert "m n moved" in lines
    for number in range(1, 9):
        assert {f"w n/{number}/deep/f", f"w moved/{number}/deep/f"} & set(lines)
    sh(top, "echo 2 > moved/3/deep/later")
    assert told(watched, top) == ["w moved/3/deep/later"]


def test_a_file_still_open_at_the_end_was_read(watched: Directories, top: Path) -> None:
    with open(top / "data" / "a.csv"), open(top / "log", "a"):
        assert told(watched, top) == []
        assert told(watched, top, is_over=True) == ["r data/a.csv", "r log"]


def test_our_own_reading_is_not_told(watched: Directories, top: Path) -> None:
    watched.ignore(str(top / "data" / "a.csv"))
    (top / "data" / "a.csv").read_bytes()
    (top / "data" / "b.csv").read_bytes()
    assert told(watched, top) == ["r data/b.csv"]
    (top / "data" / "a.csv").write_bytes(b"now")
    assert told(watched, top) == ["w data/a.csv"]


def test_repositories_environments_and_what_is_skipped_are_left_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".git/config": "",
            "a/__pycache__/m.pyc": "",
            "venv/pyvenv.cfg": "",
            "venv/lib/m.py": "",
            "conda/conda-meta/history": "",
            "node_modules/x/y": "",
            "big/f": "",
            "src/m.py": "",
        },
    )
    watcher = Directories([str(tmp_path)], skip=lambda directory: directory.endswith("/big"))
    watcher.start()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.read_bytes()
    assert told(watcher, tmp_path, is_over=True) == ["r src/m.py"]
    assert watcher.limits() == []


def test_names_of_any_bytes(watched: Directories, top: Path) -> None:
    name = b"a\nb\t\xff \\"
    with open(os.path.join(os.fsencode(top), name), "w"):
        pass
    assert [os.fsencode(event.path) for event in watched.take()] == [os.path.join(os.fsencode(top), name)]


def test_three_thousand_directories(tmp_path: Path) -> None:
    for number in range(3000):
        os.makedirs(tmp_path / f"{number % 50}" / f"{number}")
    write(tmp_path, {f"{number % 50}/{number}/f": "1" for number in range(0, 3000, 100)})
    watcher = Directories([str(tmp_path)])
    watcher.start()
    assert watcher.limits() == []
    for number in range(0, 3000, 100):
        (tmp_path / f"{number % 50}" / f"{number}" / "f").read_bytes()
    lines = told(watcher, tmp_path, is_over=True)
    assert lines == [f"r {number % 50}/{number}/f" for number in range(0, 3000, 100)]


def test_more_directories_than_may_be_watched_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"d{number}/deep/f": "1" for number in range(10)})
    monkeypatch.setattr(directories, "MOST", 6)
    watcher = Directories([str(tmp_path)])
    watcher.start()
    write(tmp_path, {"top": "1"})
    assert told(watcher, tmp_path, is_over=True) == ["w top"]
    assert len(watcher.limits()) == 1
    # the top and five of the ten, of which nothing deeper was looked at
    assert watcher.unwatched == 10
    assert all(os.path.dirname(path) in (str(tmp_path), *map(str, tmp_path.iterdir())) for path in watcher.left)


def test_never_more_than_half_of_the_systems_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "limit"
    limit.write_text("8\n")
    monkeypatch.setattr(directories, "LIMIT_FILE", str(limit))
    write(tmp_path, {f"tree/{number}/f": "" for number in range(10)})
    watcher = Directories([str(tmp_path / "tree")])
    watcher.start()
    watcher.stop()
    assert watcher.unwatched == 10 - 3


def test_a_full_queue_is_told(watched: Directories, top: Path) -> None:
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        queued = int(file.read())
    if queued > 50_000:
        pytest.skip("the kernel's queue is too long to fill")
    with watched.lock:  # nobody empties the queue
        for number in range(queued // 2 + 100):
            os.close(os.open(top / "data" / f"{number}", os.O_CREAT | os.O_WRONLY))
    events = watched.take()
    assert [event.other for event in events if event.letter == "!"] == [
        "So much happened that some of it was not seen."
    ]
    write(top, {"after": "1"})
    assert told(watched, top) == ["w after"]


def test_no_more_queues_is_told_and_no_error(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Directories) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Directories, "_open_queue", refuse)
    watcher = Directories([str(top)])
    assert not watcher.start()
    assert watcher.limits() == ["Directories cannot be watched: Too many open files."]
    assert watcher.take() == watcher.stop() == []


def test_another_system_says_that_it_cannot(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    watcher = Directories([str(top)])
    assert not watcher.start()
    assert watcher.limits() == ["Directories are watched on Linux only."]


def test_stopping_leaves_nothing_open(top: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    watcher = Directories([str(top), str(top), str(top / "not-there")])
    watcher.start()
    watcher.stop()
    assert watcher.stop() == []
    assert set(os.listdir("/proc/self/fd")) == before


def test_paths_below_a_renamed_directory() -> None:
    assert renamed("/a/b", "/a/b", "/c") == "/c"
    assert renamed("/a/b/d", "/a/b", "/c") == "/c/d"
    assert renamed("/a/bc", "/a/b", "/c") == "/a/bc"


def test_blocks_are_split_into_events() -> None:
    header = directories.HEADER
    block = header.pack(1, 2, 0, 16) + b"name".ljust(16, b"\0") + header.pack(-1, directories.OVERFLOW, 0, 0)
    assert list(split(block)) == [(1, 2, 0, b"name"), (-1, directories.OVERFLOW, 0, b"")]

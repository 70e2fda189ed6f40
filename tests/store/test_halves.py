"""Many small files, read by two processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mltrack.digest import digest_bytes
from mltrack.store import halves
from mltrack.store.halves import OtherHalf, halfway, read_in_two
from mltrack.store.keep import keep_path
from mltrack.store.objects import Store
from mltrack.store.reader import Reader
from mltrack.store.walk import Seen, walk

NAMES = [b"plain", b"with\nnewline", b"with blank", b"\xff\xfe", "ümlaut".encode()]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for number in range(400):
        place = os.fsencode(root / f"d{number % 7}")
        os.makedirs(place, exist_ok=True)
        with open(place + b"/" + NAMES[number % 5] + b"%d" % number, "wb") as file:
            file.write(os.urandom(number * 10))
    return root


def contents(root: Path) -> dict[bytes, str]:
    return {seen.path: digest_bytes((root / os.fsdecode(seen.path)).read_bytes()) for seen in files_of(root)}


def files_of(root: Path) -> list[Seen]:
    return walk(os.fsencode(root)).files


def test_two_processes_find_what_one_finds(data: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    alone = keep_path(data, None)
    monkeypatch.setattr(halves, "ENOUGH", 10)
    told: list[int] = []
    together = keep_path(data, store, progress=told.append)
    assert together.digest == alone.digest and together.kept
    assert sum(told) == together.size_bytes == sum(range(400)) * 10
    store.flush()
    assert keep_path(data, None).digest == alone.digest  # hashing alone, by two processes


def test_what_the_other_process_kept_is_here_when_it_has_answered(data: Path, store: Store):
    done = list(read_in_two(Reader(os.fsencode(data), store), files_of(data), None))
    assert {one.seen.path: one.digest for one in done} == contents(data)
    assert not store.missing({str(one.digest) for one in done})
    with Store.open(store.path) as other:  # and safe
        assert not other.missing({str(one.digest) for one in done})


def test_both_halves_are_about_as_much_work(data: Path):
    files = files_of(data)
    assert 150 < halfway(files) < 250
    assert halfway([]) == 0 and halfway(files[:1]) in (0, 1)


def test_a_file_that_changed_and_one_that_cannot_be_read_are_told_from_the_other_half(data: Path):
    files = files_of(data)
    first, second, third = files[-1], files[-2], files[-3]
    stale = Seen(first.path, second.stat, False)
    absent = Seen(b"d0/absent", second.stat, False)
    other = OtherHalf(Reader(os.fsencode(data), None), [stale, absent, third], None)
    answers = {one.seen.path: one for one in other.answers()}
    other.end()
    assert answers[first.path].digest is None and answers[first.path].problem is None
    assert answers[b"d0/absent"].digest is None
    assert answers[third.path].digest == contents(data)[third.path]


@pytest.mark.parametrize("program", ["/bin/false", "/bin/cat", "/bin/true"])
def test_the_share_of_a_process_that_fails_is_read_again(
    data: Path, store: Store, program: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "executable", program)
    done = list(read_in_two(Reader(os.fsencode(data), store), files_of(data), None))
    assert {one.seen.path: one.digest for one in done} == contents(data)


def test_the_share_of_a_process_that_was_killed_is_read_again(
    data: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    killed: list[bool] = []
    answers = OtherHalf.answers

    def kill_first(self: OtherHalf) -> list[object]:
        self._process.kill()
        killed.append(True)
        return answers(self)  # type: ignore[return-value]

    monkeypatch.setattr(OtherHalf, "answers", kill_first)
    done = list(read_in_two(Reader(os.fsencode(data), store), files_of(data), None))
    assert killed and {one.seen.path: one.digest for one in done} == contents(data)
    assert not store.missing({str(one.digest) for one in done})


def test_no_interpreter_to_start_is_no_reason_to_fail(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/absent/python")
    done = list(read_in_two(Reader(os.fsencode(data), None), files_of(data), None))
    assert {one.seen.path: one.digest for one in done} == contents(data)

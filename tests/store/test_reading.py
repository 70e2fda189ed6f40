"""An object of the store is read as a file: from anywhere, chunk by chunk, and proved."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import DataMissing
from mltrack.store.chunks import MIB
from mltrack.store.objects import Store
from mltrack.store.reading import REMEMBERED, ObjectReader, StoredContent
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
LARGE = noise(9 * MIB)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    with Store.open(tmp_path_factory.mktemp("reading") / "store") as found:
        found.put_bytes(LARGE)
        found.flush()
        yield found


@settings(max_examples=25 * SOAK, deadline=None)
@given(st.data())
def test_it_behaves_as_the_bytes_in_memory(store: Store, data: st.DataObject) -> None:
    expected = data.draw(st.sampled_from([LARGE, b"", b"small"]))
    content = StoredContent(store, store.put_bytes(expected), len(expected))
    memory = io.BytesIO(expected)
    with content.open() as file:
        for _ in range(data.draw(st.integers(1, 5))):
            place = data.draw(st.integers(0, len(expected) + 10))
            whence = data.draw(st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]))
            step = place - (len(expected) if whence == os.SEEK_END else 0)
            if whence == os.SEEK_CUR and memory.tell() + step < 0:
                continue
            assert file.seek(step, whence) == memory.seek(step, whence) == file.tell()
            size = data.draw(st.integers(0, 3 * MIB))
            assert file.read(size) == memory.read(size)


def test_it_reads_to_the_end_and_never_before_the_beginning(store: Store) -> None:
    with StoredContent(store, store.put_bytes(LARGE), len(LARGE)).open() as file:
        assert file.read() == LARGE
        assert file.read() == b""
    with ObjectReader(store, store.put_bytes(LARGE)) as raw, pytest.raises(ValueError):
        raw.seek(-1)


def test_only_a_few_chunks_are_in_memory_and_each_is_asked_for_leave(store: Store) -> None:
    asked: list[int] = []
    digest = store.put_bytes(LARGE)
    with ObjectReader(store, digest, lambda: asked.append(1)) as raw:
        while raw.read(MIB):
            assert len(raw._kept) <= REMEMBERED
    assert len(asked) == len(store.pieces(digest) or ())


def test_a_check_ends_the_reading(store: Store) -> None:
    def stop() -> None:
        raise TimeoutError

    content = StoredContent(store, store.put_bytes(LARGE), len(LARGE), stop)
    with content.open() as file, pytest.raises(TimeoutError):
        file.read(1)


def test_what_is_not_here_is_said_to_be_missing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as empty, pytest.raises(DataMissing):
        StoredContent(empty, "b3:" + "0" * 64, 5).open()

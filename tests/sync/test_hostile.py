"""A remote that means harm: a clear refusal, nothing written outside, memory bounded."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mltrack.digest import canonical_json, digest_bytes
from mltrack.errors import Damaged, DataMissing, FormatTooNew, MltrackError
from mltrack.ledger.ledger import sealed_bytes
from mltrack.records import Artifact, CodeState, Input
from mltrack.store.entries import CHUNK, HEADER, MAGIC, RECIPE, TABLE_ROW, encode, encode_recipe, raw_digest
from mltrack.sync.check import check_remote
from mltrack.sync.packs import INDEX_HEADER, SECTION, Pack, Row, build_pack, encode_index, hex_of, pack_path
from mltrack.sync.segments import Link, SegmentName, encode_segment, record_line
from tests.ledger.made import RUN_ID, run
from tests.sync.towns import Town, objects_of

ROOT = Path(__file__).parents[2]
MEMORY = 300 << 20
"""Bytes that a process may take at most, whatever a remote does."""


@pytest.fixture
def a(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path / "a") as town:
        yield town


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "remote")


def forge(town: Town, url: str, entries: list[bytes], **changes: Any) -> None:
    """A remote with one record whose digests are all right, and entries that may be anything."""
    remote = town.remote(url)
    remote.found()
    if entries:
        pack, data = build_pack(entries)
        remote.write(pack_path(pack.name), data)
        index = encode_index([pack])
        remote.write(f"indexes/{hex_of(index)}", index)
    values = {"artifacts": (), "inputs": (), "code": CodeState(), **changes}
    record = sealed_bytes(run(id=RUN_ID, **values))
    name, segment = encode_segment(Link("f" * 16, 1, 1, None), [record_line(digest_bytes(record), record)])
    remote.write(name.path, segment)


def chunk(data: bytes) -> tuple[str, bytes]:
    return digest_bytes(data), encode(CHUNK, data, raw_digest(data))


def manifest_bytes(path: bytes) -> bytes:
    """The bytes of a manifest as its writer would never make it."""
    from mltrack.store.manifest import ManifestEntry, encode_manifest

    data = encode_manifest([ManifestEntry(b"x" * len(path), "file", 1, digest_bytes(b"1"))])
    return data.replace(b"x" * len(path), path, 1)


@pytest.mark.parametrize(
    "path", [b"../escaped", b"/etc/escaped", b"a/../../escaped", b"a//escaped", b"./escaped", b"."]
)
def test_a_manifest_that_leads_outside_is_refused(tmp_path: Path, place: str, a: Town, path: bytes) -> None:
    from mltrack.store.checkout import restore_path

    data = manifest_bytes(path)
    digest, entry = chunk(data)
    forge(a, place, [entry, chunk(b"1")[1]], artifacts=(Artifact("out", "directory", digest, 1),))
    with pytest.raises(MltrackError):
        a.pull(place, data=True)
    with pytest.raises(MltrackError):
        restore_path(a.store, "directory", digest, tmp_path / "target")
    assert not list(tmp_path.rglob("escaped")) and not Path("/etc/escaped").exists()
    assert any(problem.kind == "object" for problem in check_remote(a.remote(place), objects_of))


def test_a_link_that_leads_outside_carries_no_file_there(tmp_path: Path, place: str, a: Town) -> None:
    """A link to a directory outside, and then a file below it: the file must not follow the link."""
    from mltrack.store.checkout import restore_path
    from mltrack.store.manifest import ManifestEntry, encode_manifest

    outside = tmp_path / "outside"
    outside.mkdir()
    entries = [
        ManifestEntry(b"a", "link", len(os.fsencode(outside)), digest_bytes(os.fsencode(outside))),
        ManifestEntry(b"b/escaped", "file", 1, digest_bytes(b"1")),
    ]
    data = encode_manifest(entries).replace(b"b/escaped", b"a/escaped")
    digest, entry = chunk(data)
    parts = [entry, chunk(b"1")[1], chunk(os.fsencode(outside))[1]]
    forge(a, place, parts, artifacts=(Artifact("out", "directory", digest, 1),))
    try:
        a.pull(place, data=True)
        restore_path(a.store, "directory", digest, tmp_path / "target")
    except MltrackError:
        pass
    assert not list(outside.iterdir())


@pytest.mark.parametrize("path", ["../escaped", "/etc/escaped", "a\nb/../../escaped"])
def test_a_record_whose_path_leads_outside_writes_nothing_there(tmp_path: Path, place: str, a: Town, path: str) -> None:
    digest, entry = chunk(b"harm")
    forge(a, place, [entry], artifacts=(Artifact(path, "file", digest, 4),), inputs=(Input(path, "file", digest, 4),))
    a.pull(place, data=True)
    assert not list(tmp_path.rglob("escaped")) and not Path("/etc/escaped").exists()


def lying_entry(data: bytes, declared: int) -> bytes:
    """A compressed entry whose header, checksums and all, declares another length than its payload unpacks to."""
    import zlib

    import zstandard

    payload = zstandard.ZstdCompressor().compress(data)
    digest = raw_digest(data)
    head = HEADER.pack(MAGIC, 1, CHUNK, 1, 0, declared, len(payload), digest, zlib.crc32(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload


@pytest.mark.parametrize("declared", [16 << 20, 4, 1 << 31])
def test_an_entry_that_unpacks_to_another_length_is_refused(place: str, a: Town, declared: int) -> None:
    bomb = bytes(1 << 20)
    remote = a.remote(place)
    entry = lying_entry(bomb, declared)
    forge(a, place, [], artifacts=(Artifact("x", "file", digest_bytes(bomb), len(bomb)),))
    data = b"mltpack\x01" + entry
    name = hex_of(data)
    remote.write(pack_path(name), data)
    index = encode_index([Pack(name, len(data), (Row((CHUNK, raw_digest(bomb)), 8, len(entry), 1 << 20),))])
    remote.write(f"indexes/{hex_of(index)}", index)
    with pytest.raises((DataMissing, FormatTooNew)):
        a.pull(place, data=True)
    assert not a.store.has(digest_bytes(bomb))


def test_a_recipe_whose_chunks_make_something_else_is_refused(place: str, a: Town) -> None:
    truth, other = b"truth" * 100, b"other" * 100
    recipe = encode_recipe(raw_digest(truth), [(raw_digest(other), len(other))])
    forge(a, place, [recipe, chunk(other)[1]], artifacts=(Artifact("x", "file", digest_bytes(truth), len(truth)),))
    try:
        a.pull(place, data=True)
        a.store.get_bytes(digest_bytes(truth))
    except DataMissing:
        return
    raise AssertionError("something else was taken for what was recorded")


@pytest.mark.parametrize(
    "row",
    [
        (1 << 62, 100),
        (0, 1 << 31),
        (100_000, 60),
        (0, 0),
    ],
)
def test_an_index_that_points_outside_its_pack_misleads_nobody(place: str, a: Town, row: tuple[int, int]) -> None:
    digest, entry = chunk(b"something")
    forge(a, place, [entry], artifacts=(Artifact("x", "file", digest_bytes(b"else"), 4),))
    ((path, _),) = a.remote(place).list("packs").items()
    length = Path(place, "packs", path).stat().st_size
    index = encode_index([Pack(path[3:], length, (Row((CHUNK, raw_digest(b"else")), *row, 4),))])
    a.remote(place).write(f"indexes/{hex_of(index)}", index)
    with pytest.raises(DataMissing):
        a.pull(place, data=True)
    assert digest


@pytest.mark.parametrize(
    "change",
    [
        lambda head: {**head, "first": 2, "last": 1},
        lambda head: {**head, "replaces": "x"},
        lambda head: {**head, "replaces": ["../../x"]},
        lambda head: {**head, "replaces": [5]},
        lambda head: {**head, "previous": 5, "format": "new"},
        lambda head: [],
        lambda head: {},
    ],
)
def test_a_segment_with_a_bad_first_line_is_refused(place: str, a: Town, change: Callable[[dict], Any]) -> None:
    import zstandard

    head = {"first": 1, "format": 1, "last": 1, "previous": None, "replica": "f" * 16}
    data = zstandard.ZstdCompressor().compress(canonical_json(change(head)) + b"\n")
    remote = a.remote(place)
    remote.found()
    remote.write(SegmentName("f" * 16, 1, 1, hex_of(data)).path, data)
    with pytest.raises(Damaged):
        a.pull(place)


def test_a_segment_that_claims_to_replace_all_hides_nothing_for_good(tmp_path: Path, place: str, a: Town) -> None:
    """What it hides is found by the check, since it does not hold it."""
    one = a.record(b"x")
    a.push(place)
    (name,) = a.remote(place).list("ledger")
    liar, data = encode_segment(Link("f" * 16, 1, 1, None, (name,)), [])
    a.remote(place).write(liar.path, data)
    problems = list(check_remote(a.remote(place), objects_of))
    assert [problem.kind for problem in problems] == ["segment"] and name in problems[0].message
    assert one.id in a.ledger.ids()


@pytest.mark.parametrize(
    "path",
    [
        "ledger/UPPER/1-1-" + "a" * 64,
        "ledger/" + "é" * 8 + "/1-1-" + "a" * 64,
        "ledger/" + "f" * 16 + "/1-1-" + "a" * 64 + "\nx",
        "heads/new\nline",
        "heads/" + "h" * 200,
        "packs/zz/" + "z" * 64,
        "indexes/x\ny",
        "condemned/\x1b[31mred",
    ],
)
def test_odd_names_are_passed_over(place: str, a: Town, path: str) -> None:
    from mltrack.sync.collection import GcRoad, collect
    from mltrack.sync.planning import overview

    one = a.record(b"x")
    a.push(place)
    Path(place, path).parent.mkdir(parents=True, exist_ok=True)
    Path(place, path).write_text("odd")
    with Town(a.root / "b") as b:
        b.pull(place, data=True)
        assert b.whole(one.id)
        overview(b.remote(place), b.ledger)
        collect(GcRoad(b.remote(place), b.ledger, b.store, objects_of, 0.0, True))
    assert Path(place, path).exists()


# -- how much it may cost: measured in a process of its own


PROGRAM = """
import resource, sys
from pathlib import Path
from mltrack.errors import MltrackError
from tests.sync.towns import Town, objects_of
from mltrack.sync.check import check_remote
from mltrack.sync.collection import GcRoad, collect
with Town(Path(sys.argv[1])) as town:
    for act in sys.argv[3].split(","):
        try:
            if act == "pull":
                town.pull(sys.argv[2], data=True)
            elif act == "check":
                print(len(list(check_remote(town.remote(sys.argv[2]), objects_of))), "problems")
            elif act == "gc":
                collect(GcRoad(town.remote(sys.argv[2]), town.ledger, town.store, objects_of, 0.0, True))
            else:
                town.record(b"something")
                town.push(sys.argv[2])
            print(act, "done")
        except MltrackError as error:
            print(act, "refused:", error.message[:200])
try:  # what getrusage tells begins with the memory of the process that started this one
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print("memory", int(peak) * 1024)
"""


def act(town: Path, place: str, *acts: str) -> tuple[str, int]:
    """What a process of its own says that does these things, and the memory it took at most."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(town), place, ",".join(acts)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, int(done.stdout.rsplit("memory ", 1)[1])


def sparse(path: Path, begin: bytes, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)


def test_files_without_end_are_not_taken_into_memory(tmp_path: Path, place: str, a: Town) -> None:
    a.record(b"x")
    a.push(place)
    sparse(Path(place, "indexes", "a" * 64), INDEX_HEADER, 2 << 30)
    sparse(Path(place, "packs", "bb", "b" * 64), b"mltpack\x01", 2 << 30)
    sparse(Path(place, "ledger", "f" * 16, "1-1-" + "c" * 64), b"", 2 << 30)
    sparse(Path(place, "heads", "f" * 16), b"", 2 << 30)
    sparse(Path(place, "condemned", "d" * 64), b"", 2 << 30)
    said, memory = act(tmp_path / "b", place, "pull", "push", "check", "gc")
    assert memory < MEMORY
    assert "pull refused" in said and "push refused" in said and "gc refused" in said and "problems" in said


def test_a_segment_that_unfolds_to_ten_gigabytes_is_refused(tmp_path: Path, place: str, a: Town) -> None:
    import zstandard

    a.remote(place).found()
    for number, line in enumerate((b" " * (1 << 20), b"{}\n" * (1 << 18)), 1):
        head = {"first": 1, "format": 1, "last": 1, "previous": None, "replica": str(number) * 16}
        compressor = zstandard.ZstdCompressor(level=1).compressobj()
        parts = [compressor.compress(canonical_json(head) + b"\n")]
        parts += [compressor.compress(line) for _ in range(10_240 if number == 1 else 2_000)]
        data = b"".join([*parts, compressor.flush()])
        a.remote(place).write(SegmentName(str(number) * 16, 1, 1, hex_of(data)).path, data)
    said, memory = act(tmp_path / "b", place, "pull", "check")
    assert memory < MEMORY
    assert "pull refused" in said and "too large" in said


def test_an_index_of_ten_million_entries_costs_a_bounded_sum(tmp_path: Path, place: str, a: Town) -> None:
    """As many rows as a reader takes at all, in one index; and an index that claims more than it has."""
    one = a.record(b"x")
    a.push(place)
    rows = 1_200_000
    row = TABLE_ROW.pack(CHUNK, b"\x01" * 32, 8, 60, 4)
    body = SECTION.pack(b"\x02" * 32, 100, rows) + row * rows
    claims = SECTION.pack(b"\x02" * 32, 100, 10_000_000) + row
    for data in (INDEX_HEADER + struct.pack("<I", 0) + body, INDEX_HEADER + struct.pack("<I", 0) + claims,
                 INDEX_HEADER + struct.pack("<I", 1 << 31)):  # fmt: skip
        a.remote(place).write(f"indexes/{hex_of(data)}", data)
    said, memory = act(tmp_path / "b", place, "pull", "push")
    assert memory < MEMORY and "pull done" in said and "push done" in said
    with Town(tmp_path / "b") as b:
        assert b.whole(one.id)


def test_a_hundred_thousand_segments_are_read_or_refused(tmp_path: Path, place: str, a: Town) -> None:
    """Empty files are enough: each is damaged, and is said to be."""
    a.record(b"x")
    a.push(place)
    folder = Path(place, "ledger", "f" * 16)
    folder.mkdir()
    many = 20_000
    for number in range(1, many):
        (folder / f"{number}-{number}-{number:064x}").touch()
    said, memory = act(tmp_path / "b", place, "pull")
    assert memory < MEMORY and "pull refused" in said


def test_what_is_said_of_a_hostile_remote_is_one_line(place: str, a: Town) -> None:
    forge(a, place, [])
    folder = Path(place, "ledger", "f" * 16)
    for number in range(1, 300):
        (folder / f"{number}-{number}-{number:064x}").touch()
    with pytest.raises(Damaged) as caught:
        a.pull(place)
    assert len(caught.value.message) < 2000 and "\n" not in caught.value.message
    assert json.dumps(caught.value.message)
    assert RECIPE == 2

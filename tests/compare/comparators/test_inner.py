"""What lies inside of other files is read within bounds, and never executed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import zstandard

from mltrack.compare.comparators import Around, Finding, Unreadable, zip_files
from mltrack.compare.comparators.gzip_files import Unpacking, inner_name
from mltrack.compare.contents import inner as inner_module
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.inner import Budget, Inner, careful
from tests.compare.comparators import samples_binary as samples
from tests.compare.comparators.samples_binary import gzipped, npy, npz, tarred, zipped


def found(name: str, a: bytes, b: bytes) -> Finding:
    return compare_contents(name, Held(a), Held(b), Around())


def refused(name: str, a: bytes, b: bytes) -> str:
    """The reason why only the bytes were compared."""
    finding = found(name, a, b)
    assert (finding.grade, finding.measure) == ("different", None)
    assert finding.reason.startswith("different bytes") and "failed with" not in finding.reason, finding.reason
    return finding.reason


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner_module, "FREE", 1 << 20)
    monkeypatch.setattr(inner_module, "RATIO", 20)


def test_a_zip_that_unpacks_to_far_more_than_its_size_is_refused(small_budget: None) -> None:
    bomb = zipped({"zeros": bytes(3 << 20)})
    assert "far more" in refused("bomb.zip", bomb, zipped({"zeros": bytes(3 << 20)}, samples.LATE))


def test_zips_within_zips_share_one_budget(small_budget: None) -> None:
    layers = [zipped({"zeros": bytes(900 << 10)}, at) for at in (samples.EARLY, samples.LATE)]
    for _ in range(2):
        layers = [zipped({f"{i}.zip": layer for i in range(20)}) for layer in layers]
    finding = found("bomb.zip", *layers)
    assert finding.grade == "different" and "far more" in finding.reason


@pytest.mark.parametrize("pack", [gzipped, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_a_compressed_file_that_unpacks_to_far_more_than_its_size_is_refused(small_budget: None, pack) -> None:
    zeros = bytes(6 << 20)
    assert "far more" in refused("bomb", pack(zeros), pack(zeros) + pack(b"end"))


def test_members_that_lie_over_one_another_are_refused() -> None:
    once = zipped({"a": b"one", "b": b"two"})
    at = once.rindex(b"PK\1\2")
    over = bytearray(once)
    over[at + 42 : at + 46] = once[once.index(b"PK\1\2") + 42 :][:4]  # b stands where a does
    refused("over.zip", once, bytes(over))


@pytest.mark.parametrize("place", ["front", "between", "behind"])
def test_bytes_of_a_zip_that_belong_to_no_member_are_refused(place: str) -> None:
    once = zipped({"a": b"one", "b": b"two"})
    begin = {"front": 0, "between": once.index(b"PK\1\2"), "behind": len(once)}[place]
    hidden = bytearray(once[:begin] + b"PK\3\4hidden" + once[begin:])
    if place == "between":  # the end says where the directory is
        end = len(hidden) - 22
        (start,) = struct.unpack_from("<I", hidden, end + 16)
        struct.pack_into("<I", hidden, end + 16, start + 10)
    with zipfile.ZipFile(io.BytesIO(bytes(hidden))) as archive:
        assert archive.read("a") == b"one", "the zip can still be read"
    refused("a.zip", once, bytes(hidden))


def test_an_encrypted_zip_and_names_that_occur_twice_are_refused() -> None:
    once = bytearray(zipped({"a": b"one"}))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        once[once.index(signature) + offset] |= 1
    assert "encrypted" in refused("a.zip", zipped({"a": b"one"}), bytes(once))
    with warnings.catch_warnings(), zipfile.ZipFile(twice := io.BytesIO(), "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a", b"one")
        archive.writestr("a", b"one")
    assert "of one name" in refused("a.zip", zipped({"a": b"one"}), twice.getvalue())


def test_a_link_in_a_zip_is_not_a_file_with_the_same_bytes() -> None:
    made = []
    for mode in (0o100644, 0o120777):
        with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
            info = zipfile.ZipInfo("a")
            info.external_attr = mode << 16
            archive.writestr(info, b"target")
        made.append(file.getvalue())
    assert found("a.zip", *made).grade == "different"


def test_a_size_in_the_directory_that_is_not_the_member_s_is_refused() -> None:
    once = zipped({"a.csv": samples.TEXT})
    at = once.index(b"PK\1\2") + 24
    lie = once[:at] + struct.pack("<I", len(samples.TEXT) + 1) + once[at + 4 :]
    finding = found("a.zip", once, lie)
    assert finding.grade == "different"


def test_a_header_of_a_tar_cannot_ask_for_more_memory_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner_module, "LARGEST_IN_MEMORY", 1 << 20)
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 8 << 20
    bomb = info.tobuf(tarfile.USTAR_FORMAT) + bytes(9 << 20)
    assert "memory" in refused("a.tar.gz", gzipped(bomb, 1, 1), gzipped(bomb + bytes(512), 1, 1))


def test_a_tar_whose_second_header_is_damaged_does_not_end_there() -> None:
    once = tarred({"a": b"one", "b": b"two"}, format=tarfile.USTAR_FORMAT)
    broken = once[:1024] + b"\xff" + once[1025:]
    refused("a.tar", once, broken)
    assert found("a.tar", broken, broken[:1030] + b"x" + broken[1031:]).grade == "different"


def test_extended_attributes_of_a_tar_count() -> None:
    made = []
    for value in ("1", "2"):
        with tarfile.open(fileobj=(file := io.BytesIO()), mode="w", format=tarfile.PAX_FORMAT) as archive:
            info = tarfile.TarInfo("a")
            info.pax_headers = {"SCHILY.xattr.user.k": value}
            archive.addfile(info)
        made.append(file.getvalue())
    assert found("a.tar", *made).grade == "different"


@pytest.mark.parametrize("ending", [b"", b"garbage", b"\x1f\x8b"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_a_compressed_file_that_is_cut_off_or_followed_by_other_bytes_is_refused(pack, ending: bytes) -> None:
    packed = pack(samples.TEXT)
    with careful(lambda: Unpacking(io.BytesIO(packed))) as file:  # type: ignore[arg-type, return-value]
        assert file.read() == samples.TEXT
    with (
        pytest.raises(Unreadable),
        careful(lambda: Unpacking(io.BytesIO(packed + ending if ending else packed[:-3]))) as file,
    ):  # type: ignore[arg-type, return-value]
        file.read()


def test_zeros_may_follow_a_gzip() -> None:
    assert found("a.txt.gz", gzipped(b"one\n"), gzipped(b"one\n") + bytes(512)).grade == "equivalent"


def test_an_unpacking_reader_seeks_as_a_file_does() -> None:
    data = bytes(range(256)) * 40
    with careful(lambda: Unpacking(io.BytesIO(gzip.compress(data[:5000]) + gzip.compress(data[5000:])))) as file:  # type: ignore[arg-type, return-value]
        for offset, whence in ((0, 2), (100, 0), (4990, 0), (-20, 1), (-5, 2)):
            at = file.seek(offset, whence)
            assert file.read(30) == data[at : at + 30]


def test_every_seek_in_a_packed_file_is_charged() -> None:
    budget = Budget(0)
    budget.left = 1000
    content = Inner(lambda: io.BytesIO(bytes(400)), budget)
    with content.open() as file:
        file.read(400)
        file.seek(0)
        file.seek(399)
        with pytest.raises(Unreadable):
            file.seek(300)


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("a.csv.gz", "a.csv"),
        ("a.TGZ", "a.tar"),
        ("a.tar.xz", "a.tar"),
        ("model.rds", "model.rds"),
        ("x/y.svgz", "x/y.svg"),
    ],
)
def test_the_name_of_what_is_inside(name: str, inner: str) -> None:
    assert inner_name(name) == inner


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was loaded')",)


@pytest.mark.parametrize("protocol", range(6))
def test_no_pickle_is_loaded_wherever_it_lies(protocol: int) -> None:
    bomb = pickle.dumps(Bomb(), protocol)
    objects = np.array([Bomb()], object)
    pairs = [
        ("a.pkl", bomb, bomb + b"."),
        ("a.joblib", bomb, bomb + b"."),
        ("a.pkl.gz", gzipped(bomb), gzipped(bomb + b".")),
        ("a.npy", npy(objects), npy(np.array([Bomb(), 1], object))),
        ("a.npz", npz(a=objects), npz(a=np.array([Bomb(), 1], object))),
        (
            "a.pt",
            samples.torch_zip("a", {"0": samples.FLOATS}, "1", bomb),
            samples.torch_zip("a", {"0": samples.MOVED}, "1", bomb),
        ),
        ("a.pt", bomb, bomb + b"."),
    ]
    for name, a, b in pairs:
        finding = found(name, a, b)
        assert finding.grade == "different" and "failed with" not in finding.reason, (name, finding)


def test_a_pickle_of_pytorch_tells_the_types_of_its_storages_without_being_loaded() -> None:
    a = samples.torch_zip("a", {"0": samples.FLOATS, "1": np.array([0x3F80, 0x4000], np.uint16)}, "1")
    b = samples.torch_zip("b", {"0": samples.MOVED, "1": np.array([0x3F80, 0x4040], np.uint16)}, "2")
    finding = found("model.pt", a, b)
    assert finding.measure is not None
    assert (finding.measure.cells, finding.measure.changed, finding.measure.largest) == (26, 2, 1.0)
    assert finding.measure.where == "data/1[1] (layer1)"


def test_a_member_without_a_measure_leaves_the_archive_without_one() -> None:
    a = zipped({"w.npy": npy(samples.FLOATS), "x.bin": b"\0one"})
    b = zipped({"w.npy": npy(samples.MOVED), "x.bin": b"\0two"})
    finding = found("a.zip", a, b)
    assert (finding.grade, finding.measure) == ("different", None)


def test_a_thousand_members_that_differ_are_enough() -> None:
    a, b = ({f"{i}.bin": b"\0%d%s" % (i, end) for i in range(1200)} for end in (b"a", b"b"))
    assert found("a.zip", zipped(a), zipped(b)).reason.startswith("at least 1000 of 1200 members differ: ")


def test_the_measures_of_an_npz_are_one() -> None:
    a = npz(w=samples.FLOATS, b=np.zeros(3), same=np.ones(9))
    b = npz(w=samples.MOVED, b=np.array([0.0, 2.0, 0.0]), same=np.ones(9))
    measure = found("a.npz", a, b).measure
    assert measure is not None
    assert (measure.cells, measure.changed, measure.largest, measure.where) == (27, 2, 2.0, "b[1]")
    assert measure.largest_relative == "Infinity"


def test_a_zip_of_many_members_is_streamed() -> None:
    members = {f"{i}.bin": bytes([i % 7]) * 5_000_000 for i in range(3)}
    a, b = zipped(members), zipped(members, samples.LATE)
    found("a.zip", a, b)
    tracemalloc.start()
    assert found("a.zip", a, b).reason == "only times in the zip differ"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_files_lie_at_most_four_deep_in_others() -> None:
    deep = [samples.TEXT, samples.TEXT.replace(b"\n", b"\r\n")]
    for _ in range(6):
        deep = [gzipped(each, 3) for each in deep]
    assert "files deep" in found("a.gz", *deep).reason


def test_nothing_is_unpacked_by_a_png_that_lies_about_its_text() -> None:
    png = samples.image("PNG", samples.PIXELS)
    bomb = b"k\0\0" + zlib.compress(bytes(8 << 20))
    chunk = b"zTXt" + bomb
    big = png[:33] + struct.pack(">I", len(bomb)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]
    assert found("a.png", png, big).grade == "different"


def test_an_empty_zip_is_a_zip() -> None:
    assert zip_files.fits("a.zip", zipped({})[:10])
    assert found("a.zip", zipped({}), zipped({}, comment=b"x")).grade == "equivalent"


def test_lines_within_an_archive_are_not_read_byte_by_byte() -> None:
    reads: list[int] = []

    class Source(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size or 0)
            return super().read(size)

    text = b"".join(b"line %d\n" % number for number in range(20_000)) + b"\n\nlast"
    with Inner(lambda: Source(text), Budget(len(text)), len(text)).open() as file:
        assert list(iter(file.readline, b"")) == text.splitlines(keepends=True)
        assert len(reads) < 20 and file.tell() == len(text)
        assert file.seek(1) == 1
        assert (file.readline(3), file.tell()) == (text[1:4], 4)
        assert (file.read(3), file.readline(), file.tell()) == (text[4:7], text[7:14], 14)
        assert file.seek(-4, 2) == len(text) - 4 and file.readline() == b"last"

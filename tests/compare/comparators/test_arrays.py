"""Numbers, cell against cell: the measure is right, memory is bounded, and what is damaged is refused."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import sys
import tracemalloc
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from mltrack.compare.comparators import Around, Finding, Unreadable, arrays, parquet, safetensors
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.numeric_types import BITS, decoded
from tests.compare.comparators import samples_binary as samples
from tests.compare.comparators.samples_binary import npy, table

EXAMPLES = 60 * int(os.environ.get("MLTRACK_SOAK", "1"))

KINDS = ["<f2", "<f4", ">f8", "<i1", ">i4", "<i8", "<u8", "?", "<c8", "<U2", "S3", "<M8[s]"]


def found(name: str, a: bytes, b: bytes) -> Finding:
    return compare_contents(name, Held(a), Held(b), Around())


def expected(a: np.ndarray, b: np.ndarray) -> tuple[int, float | str | None]:
    """How many values differ, and the largest difference, one after the other in Python's own numbers."""
    changed, largest = 0, -1.0
    for x, y in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist()):
        parts = ((x.real, y.real), (x.imag, y.imag)) if isinstance(x, complex) else ((x, y),)
        if all(one == other or (one != one and other != other) for one, other in parts):
            continue
        changed += 1
        number = a.dtype.kind in "biufc"
        apart = abs(complex(x) - complex(y)) if isinstance(x, complex) else abs(x - y) if number else math.nan
        largest = apart if math.isnan(apart) or (not math.isnan(largest) and apart > largest) else largest
    if not changed:
        return 0, None
    return changed, "NaN" if math.isnan(largest) else "Infinity" if math.isinf(largest) else float(largest)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), st.sampled_from(KINDS))
def test_the_measure_of_two_arrays_is_what_python_counts_one_by_one(data: st.DataObject, kind: str) -> None:
    shape = data.draw(arrays_of.array_shapes(max_dims=3, max_side=5))
    a = data.draw(arrays_of.arrays(np.dtype(kind), shape))
    b = a.copy()
    for _ in range(data.draw(st.integers(0, 3))):
        b.reshape(-1)[data.draw(st.integers(0, b.size - 1))] = data.draw(arrays_of.from_dtype(np.dtype(kind)))
    finding = found("a.npy", npy(a), npy(np.asfortranarray(b)))
    changed, largest = expected(a, b)
    if not changed:
        assert finding.grade in ("identical", "equivalent"), finding
        return
    assert finding.grade == "different" and finding.measure is not None
    assert (finding.measure.cells, finding.measure.changed) == (a.size, changed)
    if isinstance(largest, float):
        assert finding.measure.largest == pytest.approx(largest, rel=1e-6), finding
        where = tuple(json.loads(finding.measure.where or ""))
        assert abs(complex(a[where]) - complex(b[where])) == pytest.approx(largest, rel=1e-3)
    else:
        assert finding.measure.largest == largest


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 223), st.integers(0, 7))
def test_a_flipped_bit_of_an_array_is_equivalent_only_if_numpy_reads_the_same(at: int, bit: int) -> None:
    once = npy(samples.FLOATS)
    broken = bytearray(once)
    broken[at] ^= 1 << bit
    if found("a.npy", once, bytes(broken)).grade == "equivalent":
        read = np.load(io.BytesIO(bytes(broken)), allow_pickle=False)
        np.testing.assert_array_equal(read, samples.FLOATS)


def test_a_value_is_named_rightly_in_the_last_of_many_blocks() -> None:
    a = np.zeros((3, 1_000_001), np.uint8)
    b = a.copy()
    b[0], b[2, 1_000_000] = 1, 9
    measure = found("a.npy", npy(a), npy(np.asfortranarray(b))).measure
    assert measure is not None
    assert (measure.changed, measure.largest, measure.where) == (1_000_002, 9.0, "[2, 1000000]")


def test_whole_numbers_far_apart_do_not_wrap() -> None:
    a, b = np.array([-(2**63), 5]), np.array([2**63 - 1, 5])
    measure = found("a.npy", npy(a), npy(b)).measure
    assert measure is not None and measure.largest == float(2**64)
    measure = found("a.npy", npy(np.array([0], "u8")), npy(np.array([2**64 - 1], "u8"))).measure
    assert measure is not None and measure.largest == float(2**64) and measure.largest_relative == "Infinity"


def test_fields_of_structured_arrays_are_cells_of_their_own() -> None:
    kind = [("n", "<i4"), ("v", "<f8", (2,))]
    a = np.zeros(3, kind)
    b = a.copy()
    b["v"][1, 1] = 0.5
    measure = found("a.npy", npy(a), npy(b)).measure
    assert measure is not None
    assert (measure.cells, measure.changed, measure.where) == (9, 1, "[1].v[1]")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10**9,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,)}",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': 'no', 'shape': (1,)}",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}",
        "__import__('os').abort()",
        "[" * 3000,
    ],
)
def test_a_header_of_an_array_that_cannot_be_trusted_is_refused(header: str) -> None:
    text = header.encode()
    data = b"\x93NUMPY\2\0" + struct.pack("<I", len(text)) + text + bytes(8)
    with pytest.raises(Unreadable):
        arrays.read_header(io.BytesIO(data), len(data))


class Zeros:
    """A .npy file of many zeros that is nowhere kept; one value of it may be another."""

    def __init__(self, count: int, changed: int | None = None) -> None:
        empty = npy(np.zeros(0))
        self.head = empty.replace(b"(0,), }" + b" " * 12, b"(%d,), }" % count + b" " * (13 - len(str(count))))
        assert len(self.head) == len(empty)
        self.count, self.changed = count, changed

    @property
    def size(self) -> int:
        return len(self.head) + 8 * self.count

    def open(self) -> BinaryIO:
        return _ZeroReader(self)  # type: ignore[return-value]


class _ZeroReader(io.BytesIO):
    def __init__(self, content: Zeros) -> None:
        super().__init__(content.head)
        self.left = content.count * 8
        self.changed = -1 if content.changed is None else content.changed * 8

    def read(self, size: int | None = -1, /) -> bytes:
        head = super().read(size)
        count = min((size or 0) - len(head), self.left)
        block = bytearray(count)
        at = self.changed
        if 0 <= at < count:
            block[at : at + 8] = struct.pack("<d", 0.25)
        self.changed -= count
        self.left -= count
        return head + bytes(block)


def test_large_arrays_are_streamed() -> None:
    count = (256 << 20) // 8
    tracemalloc.start()
    finding = arrays.compare(Zeros(count), Zeros(count, count - 7), Around())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert finding.measure is not None
    assert (finding.measure.cells, finding.measure.changed, finding.measure.where) == (count, 1, f"[{count - 7}]")
    assert peak < 32 << 20


def test_bits_of_small_floats_are_read_right() -> None:
    assert decoded(b"\x80\x3f\x40\xc0\x80\x7f", "BF16").tolist() == [1.0, -3.0, math.inf]
    assert decoded(b"\x38\xb8\x7e\x01\x00", "F8_E4M3").tolist() == [1.0, -1.0, 448.0, 2.0**-9, 0.0]
    assert np.isnan(decoded(b"\x7f\xff", "F8_E4M3")).all()
    assert decoded(b"\x3c\xbc\x7b\x01", "F8_E5M2").tolist() == [1.0, -1.0, 57344.0, 2.0**-16]
    assert decoded(b"\x7f\x80\x00", "F8_E8M0").tolist() == [1.0, 2.0, 2.0**-127]
    for kind, bits in BITS.items():
        if bits >= 8:
            assert len(decoded(bytes(bits), kind)) == 8, kind


def tensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        tensors({"a": F32}, bytes(8), length=2**63),
        tensors({"a": F32}, bytes(7)),
        tensors({"a": F32}, bytes(9)),
        tensors({"a": F32, "b": {**F32, "data_offsets": [4, 12]}}, bytes(12)),
        tensors({"a": F32, "b": {**F32, "data_offsets": [12, 20]}}, bytes(20)),
        tensors({"a": {**F32, "shape": [3]}}, bytes(8)),
        tensors({"a": {**F32, "shape": [-1, -2]}}, bytes(8)),
        tensors({"a": {**F32, "dtype": "X7"}}, bytes(8)),
        tensors({"a": {**F32, "more": 1}}, bytes(8)),
        tensors({"a": 3}),
        tensors([]),
        tensors({"__metadata__": 3}),
        tensors(b'{"a":' + json.dumps(F32).encode() + b',"a":' + json.dumps(F32).encode() + b"}", bytes(8)),
        tensors(b"[" * 100_000),
        tensors(b"\xff\xfe"),
    ],
)
def test_a_header_of_tensors_that_cannot_be_trusted_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        safetensors.read_header(io.BytesIO(data), len(data))


def test_a_measure_of_tensors_names_the_tensor() -> None:
    a = {"w": ("F32", (4, 6), samples.FLOATS.tobytes()), "s": ("BF16", (), b"\x80\x3f")}
    b = {**a, "w": ("F32", (4, 6), samples.MOVED.tobytes())}
    finding = found("m.safetensors", samples.safetensors(a), samples.safetensors(dict(reversed(b.items()))))
    assert finding.measure is not None
    assert (finding.measure.cells, finding.measure.changed, finding.measure.where) == (25, 1, "w[2, 3]")
    assert finding.measure.largest == pytest.approx(0.5)
    assert finding.reason.startswith("1 of 2 tensors differ")


def test_a_cell_of_a_table_is_named_by_row_and_column_over_all_blocks() -> None:
    rows = {"id": list(range(200_000)), "x": [0.5] * 200_000}
    other = {**rows, "x": [0.5] * 150_001 + [0.75] + [0.5] * 49_998}
    finding = found("t.parquet", table(rows, row_group_size=70_000), table(other, row_group_size=33_333))
    assert finding.measure is not None
    assert (finding.measure.cells, finding.measure.changed, finding.measure.where) == (
        400_000,
        1,
        "row 150001, column x",
    )
    assert finding.measure.largest == 0.25


def test_what_pandas_says_of_itself_may_differ_and_what_it_says_of_the_index_may_not() -> None:
    def made(**said: object) -> bytes:
        return table(samples.ROWS, metadata={b"pandas": json.dumps({"index_columns": [], **said}).encode()})

    old = made(pandas_version="1.5.0", creator={"library": "pyarrow", "version": "14"})
    assert found("t.parquet", old, made(pandas_version="2.2.0")).grade == "equivalent"
    assert found("t.parquet", old, made(index_columns=["id"])).grade == "different"


def test_without_pyarrow_tables_are_compared_by_their_bytes_and_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    finding = found("t.parquet", b"PAR1 one", b"PAR1 two")
    assert finding.grade == "different" and "mltrack-ledger[parquet]" in finding.reason


def test_a_column_of_an_extension_type_is_compared_as_it_is_kept() -> None:
    import pyarrow
    import pyarrow.parquet

    def made(*values: int) -> bytes:
        # What pyarrow once loaded as a pickle of Python's type, when it read it.
        said = {
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": b"\x80\x04cos\nabort\n.",
        }
        schema = pyarrow.schema([pyarrow.field("x", pyarrow.int64(), metadata=said)])
        pyarrow.parquet.write_table(pyarrow.table({"x": list(values)}, schema=schema), file := io.BytesIO())
        return file.getvalue()

    assert found("t.parquet", made(1, 2), made(1, 3)).grade == "different"
    assert parquet.fits("t.parquet", made(1)[:10])


def test_moments_finer_than_python_has_them_are_compared_as_integers_and_never_within_a_tolerance() -> None:
    import pyarrow
    import pyarrow.parquet

    def made(last: int | None, kind: str = "timestamp", **options: object) -> bytes:
        typed = {
            "timestamp": lambda: pyarrow.array([1, 1_700_000_000_000_000_001, last], pyarrow.timestamp("ns", "UTC")),
            "duration": lambda: pyarrow.array([1, 2, last], pyarrow.duration("ns")),
            "time": lambda: pyarrow.array([1, 2, last], pyarrow.time64("ns")),
            "date": lambda: pyarrow.array([1, 2, last], pyarrow.date32()),
            "of lists": lambda: pyarrow.array([[1], [last]], pyarrow.list_(pyarrow.timestamp("ns"))),
            "dictionary": lambda: pyarrow.array([1, last], pyarrow.timestamp("ns")).dictionary_encode(),
        }[kind]()
        pyarrow.parquet.write_table(pyarrow.table({"x": typed}), file := io.BytesIO(), **options)
        return file.getvalue()

    for kind in ("timestamp", "duration", "time", "date", "of lists", "dictionary"):
        assert found("t.parquet", made(7, kind), made(7, kind, compression="gzip")).grade == "equivalent"
        for other in (9, None):
            finding = found("t.parquet", made(7, kind), made(other, kind))
            assert (finding.grade, finding.reason.startswith("1 of ")) == ("different", True), finding
            assert finding.measure is not None and finding.measure.largest == "NaN"

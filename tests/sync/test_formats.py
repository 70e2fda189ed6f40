"""Names and bytes on a remote that other programs, and later versions, rely on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import canonical_json, digest_bytes
from mltrack.errors import Damaged, FormatTooNew
from mltrack.ledger.ledger import sealed_bytes
from mltrack.store.entries import CHUNK, TABLE_ROW, encode
from mltrack.sync.fetch import GAP
from mltrack.sync.packs import (
    INDEX_HEADER,
    PACK_SIZE,
    Pack,
    Row,
    build_pack,
    encode_index,
    hex_of,
    replaced_by,
    sections,
)
from mltrack.sync.remote import DESCRIPTION
from mltrack.sync.segments import (
    LARGEST,
    LONGEST_LINE,
    SEGMENT_BYTES,
    Link,
    SegmentName,
    decode_segment,
    encode_segment,
    event_line,
    items_of,
    record_line,
)
from tests.ledger.made import RUN_ID, event, run

RAW = st.binary(min_size=32, max_size=32)
LENGTHS = st.integers(0, 1 << 31)
PACKS = st.builds(
    Pack,
    RAW.map(bytes.hex),
    st.integers(0, 1 << 40),
    st.lists(
        st.builds(Row, st.tuples(st.integers(1, 2), RAW), st.integers(0, 1 << 40), LENGTHS, LENGTHS),
        max_size=4,
    ).map(tuple),
)  # fmt: skip


def test_the_description_of_a_remote_never_changes() -> None:
    assert canonical_json(DESCRIPTION) == b'{"digest":"blake3-256","format":"mltrack remote","version":1}'


def test_the_document_says_what_the_code_does() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/format-remote.md").read_text()
    assert canonical_json(DESCRIPTION).decode() in text
    assert f"{TABLE_ROW.size} each" in text and INDEX_HEADER[:-1].decode() in text
    assert f"{PACK_SIZE >> 20} MiB" in text and f"{SEGMENT_BYTES >> 20} MiB" in text
    assert f"at most {LONGEST_LINE >> 20} MiB, a segment {LARGEST >> 20} MiB" in text and f"{GAP >> 10} KiB" in text


@settings(max_examples=50, deadline=None)
@given(st.lists(PACKS, max_size=4), st.lists(RAW.map(bytes.hex), max_size=3))
def test_an_index_survives_its_bytes(packs: list[Pack], replaces: list[str]) -> None:
    data = encode_index(packs, replaces)
    assert replaced_by(data) == replaces
    assert [(name, length, len(rows)) for name, length, rows in sections(data)] == [
        (pack.name, pack.length, 49 * len(pack.rows)) for pack in packs
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(PACKS, min_size=1, max_size=2), st.data())
def test_an_index_that_is_cut_short_is_refused(packs: list[Pack], data: st.DataObject) -> None:
    whole = encode_index(packs)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        names = [name for name, _, _ in sections(cut)]
    except Damaged:
        return
    assert len(names) < len(packs)  # cut between two packs: the digest in its name tells


def test_the_bytes_of_an_index_are_pinned() -> None:
    pack = Pack("ab" * 32, 1000, (Row((1, b"\x01" * 32), 8, 60, 4), Row((2, b"\x02" * 32), 68, 100, 40)))
    assert (
        digest_bytes(encode_index([pack], ["cd" * 32]))
        == "b3:cdae8d92c18701c64f1292643d269a8c13b980cefd36a52a0e38216e91a8c972"
    )


def test_the_same_entries_make_the_same_pack() -> None:
    entries = [encode(CHUNK, text, bytes.fromhex(digest_bytes(text)[3:])) for text in (b"one", b"two" * 100)]
    (one, data), (two, _) = build_pack(entries), build_pack(entries)
    assert one == two and one.name == hex_of(data) and one.length == len(data)
    assert [data[row.offset : row.offset + row.length] for row in one.rows] == entries


LINK = Link("a" * 16, 7, 7, "ef" * 32)


def lines() -> list[bytes]:
    record = sealed_bytes(run(id=RUN_ID))
    return [record_line(digest_bytes(record), record), event_line(event("note", RUN_ID, "a\nb"))]


def test_a_segment_survives_its_bytes() -> None:
    name, data = encode_segment(LINK, lines())
    assert SegmentName.parse(str(name)) == name and name.path == f"ledger/{'a' * 16}/7-7-{hex_of(data)}"
    segment = decode_segment(name, data)
    assert segment.link == LINK
    assert segment.records[0][1] == sealed_bytes(run(id=RUN_ID))
    assert segment.events[0].value == "a\nb"
    assert [run for _, run in items_of(segment)] == [RUN_ID, RUN_ID]


def test_a_line_of_a_kind_that_is_yet_to_come_is_passed_over() -> None:
    name, data = encode_segment(LINK, [b'{"future":[1]}', *lines()])
    assert len(decode_segment(name, data).records) == 1


@pytest.mark.parametrize(
    "bad",
    [
        [b"not json"],
        [b"[1]"],
        [b'{"event":{"id":"x"}}'],
        [record_line("b3:" + "0" * 64, sealed_bytes(run()))],
        [b'{"event":' * 50_000],
    ],
)
def test_a_segment_with_a_bad_line_is_refused(bad: list[bytes]) -> None:
    name, data = encode_segment(LINK, bad)
    with pytest.raises(Damaged):
        decode_segment(name, data)


def test_a_segment_under_another_name_is_refused() -> None:
    name, data = encode_segment(LINK, lines())
    for other in (SegmentName("b" * 16, 7, 7, name.hex), SegmentName(name.replica, 7, 8, name.hex)):
        with pytest.raises(Damaged):
            decode_segment(other, data)


def test_a_newer_segment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.sync import segments

    monkeypatch.setattr(segments, "FORMAT", 2)
    name, data = encode_segment(LINK, lines())
    monkeypatch.undo()
    with pytest.raises(FormatTooNew):
        decode_segment(name, data)


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "../1-1-" + "a" * 64,
        "a" * 16 + "/1-1-" + "g" * 64,
        "a" * 16 + "/2-1-" + "a" * 64,
        "u" * 16 + "/1-1-" + "a" * 64,
        "a" * 16 + "/1-1-" + "a" * 64 + "\n",
    ],
)
def test_a_path_that_is_no_segments_is_none(path: str) -> None:
    assert SegmentName.parse(path) is None
